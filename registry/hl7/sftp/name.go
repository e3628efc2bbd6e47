package sftp

import (
	"path"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// The folders that a sender sees.
const (
	inFolder      = "/in"
	outFolder     = "/out"
	archiveFolder = "/archive"
)

// answerSuffix is what the name of an answer has after that of its file.
const answerSuffix = ".ack.hl7"

// temporary are endings under which clients upload what they rename when it is whole.
var temporary = []string{".tmp", ".temp", ".part", ".partial", ".filepart", ".upload", ".uploading", "~"}

// Temporary reports whether a file of that name never counts: it ends in .tmp, .temp,
// .part, .partial, .filepart, .upload, .uploading or ~, or begins with a dot.
func Temporary(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	lower := strings.ToLower(name)
	for _, t := range temporary {
		if strings.HasSuffix(lower, t) {
			return true
		}
	}
	return false
}

// validName is nil for a name that a file may have: 1 to 128 printable ASCII characters
// without those that are no part of a name somewhere.
func validName(name string) error {
	if name == "" || len(name) > maxName || name == "." || name == ".." {
		return coldkeep.Errorf(coldkeep.EINVALID, "a file's name has 1 to %d characters", maxName)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || strings.IndexByte(`/\:*?"<>|`, c) >= 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "a file's name has letters of ASCII, digits, spaces and signs other than / \\ : * ? \" < > |")
		}
	}
	return nil
}

// split gives the folder and the name of a cleaned path; name is "" for a folder itself.
func split(p string) (folder, name string) {
	p = path.Clean("/" + p)
	switch p {
	case "/", inFolder, outFolder, archiveFolder:
		return p, ""
	}
	dir, name := path.Split(p)
	return path.Clean(dir), name
}
