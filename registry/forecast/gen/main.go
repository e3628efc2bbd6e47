// Command gen makes the built-in schedule from a release of CDC's supporting
// data:
//
//	go run ./registry/forecast/gen -xml DIR -version 4.64 -released 2025-11-10
//
// It keeps the facts (codes, ages, intervals, dates and rules), leaves CDC's
// sentences behind, and refuses a release the engine would refuse. The output is
// the same for the same input.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

func main() {
	dir := flag.String("xml", "", "directory of the published XML files")
	version := flag.String("version", "", "version of the release; found in the directory's name when empty")
	released := flag.String("released", "", "date of the release, YYYY-MM-DD")
	out := flag.String("out", "registry/forecast/builtin.json.gz", "file to write")
	flag.Parse()
	err := run(*dir, *version, *released, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// name cuts a title that explains down to what names the observation.
func name(title string) string {
	const longest = 120
	if len(title) <= longest {
		return title
	}
	return title[:strings.LastIndexByte(title[:longest], ' ')] + " …"
}

func run(dir, version, released, out string) error {
	if version == "" {
		version = cdsixml.VersionOf(dir)
	}
	rel, err := cdsixml.Load(os.DirFS(dir), version)
	if err != nil {
		return err
	}
	rel.Released = released
	for i := range rel.Schedule.Observations {
		o := &rel.Schedule.Observations[i]
		o.Title = name(o.Title)
	}
	if _, err := schedule.Compile(rel); err != nil {
		return err
	}
	packed, err := rel.Pack()
	if err != nil {
		return err
	}
	return os.WriteFile(out, packed, 0o644)
}
