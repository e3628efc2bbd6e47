package forecast

import (
	"io/fs"

	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// LoadXML reads and compiles CDC's published supporting data from the top of
// fsys. The files do not carry their version; cdsixml.VersionOf finds one in the
// name of the directory they came in.
//
// EINVALID: the release is malformed or partial; the cause of a refusal is a
// *schedule.Refused with every reason.
func LoadXML(fsys fs.FS, version string) (*schedule.Schedule, error) {
	rel, err := cdsixml.Load(fsys, version)
	if err != nil {
		return nil, err
	}
	return schedule.Compile(rel)
}
