package cdsixml

import (
	"archive/zip"
	"bytes"

	coldkeep "github.com/coldkeep/coldkeep"
)

// maxZip bounds an archive as it is uploaded. CDC's of 4.64 is 2 MB, spreadsheets
// included.
const maxZip = 64 << 20

// Unzip takes the files of a release out of an archive, from whatever folder of it
// they are in. What an archive says of its sizes is not believed: reading stops at
// the bounds.
//
// EINVALID: it is no zip archive, or too large, or holds too many files.
func Unzip(archive []byte) ([]File, error) {
	if len(archive) > maxZip {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the archive is larger than %d MB", maxZip>>20)
	}
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Unzip", "the file is not a zip archive")
	}
	var files []File
	all := 0
	for _, e := range z.File {
		if e.FileInfo().IsDir() || kindOf(e.Name) == otherFile {
			continue
		}
		if len(files) == maxFiles {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "the archive holds more than %d files of a release", maxFiles)
		}
		r, err := e.Open()
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Unzip", "%s cannot be read from the archive", e.Name)
		}
		data, err := readBounded(r, e.Name)
		_ = r.Close() // it was only read
		if err != nil {
			return nil, err
		}
		if all += len(data); all > maxAll {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "the release is larger than %d MB", maxAll>>20)
		}
		files = append(files, File{e.Name, data})
	}
	return files, nil
}
