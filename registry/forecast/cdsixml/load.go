// Package cdsixml reads CDC's published supporting data: a directory with
// ScheduleSupportingData.xml and one AntigenSupportingData file per antigen.
// What it cannot read it refuses, naming the file.
package cdsixml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
)

const (
	scheduleFile  = "schedulesupportingdata"
	antigenPrefix = "antigensupportingdata"
)

// File is one file of a release, as it was uploaded.
type File struct {
	Name string // of which the folders do not matter
	Data []byte
}

// The bounds of a release. CDC's 4.64 has 33 files, the greatest of 476 kB, and
// 2.6 MB in all.
const (
	maxFiles = 500
	maxFile  = 16 << 20
	maxAll   = 64 << 20
)

// Load reads a release from the XML files at the top of fsys. The files carry
// no version, so the caller says which it is; VersionOf finds it in a name.
//
// EINVALID: a file is malformed, missing or too large.
func Load(fsys fs.FS, version string) (*release.Release, error) {
	const op = "cdsixml.Load"
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, op, "the supporting data cannot be listed")
	}
	var files []File
	for _, e := range entries {
		if e.IsDir() || kindOf(e.Name()) == otherFile {
			continue
		}
		f, err := fsys.Open(e.Name())
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINVALID, op, "%s cannot be opened", e.Name())
		}
		data, err := readBounded(f, e.Name())
		_ = f.Close() // it was only read
		if err != nil {
			return nil, err
		}
		files = append(files, File{e.Name(), data})
	}
	return Read(files, version)
}

// Read reads a release from its files; those that are not of the schedule or of an
// antigen, such as a schema or release notes, are passed over.
//
// EINVALID: a file is malformed, missing or too large.
func Read(files []File, version string) (*release.Release, error) {
	if err := bounded(files); err != nil {
		return nil, err
	}
	rel := &release.Release{Version: version}
	found := ""
	for _, f := range files {
		switch kindOf(f.Name) {
		case theSchedule:
			if found != "" {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "there are two schedule files; the second is %s", f.Name)
			}
			found = f.Name
			if err := decode(f, "scheduleSupportingData", &rel.Schedule); err != nil {
				return nil, err
			}
		case anAntigen:
			var a release.Antigen
			if err := decode(f, "antigenSupportingData", &a); err != nil {
				return nil, err
			}
			if err := nameOf(&a, f.Name); err != nil {
				return nil, err
			}
			rel.Antigens = append(rel.Antigens, a)
		}
	}
	if found == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "ScheduleSupportingData.xml is missing")
	}
	if len(rel.Antigens) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "there is no AntigenSupportingData file")
	}
	// In the order of the antigens, however they were uploaded.
	slices.SortStableFunc(rel.Antigens, func(a, b release.Antigen) int { return strings.Compare(a.Name, b.Name) })
	return rel, nil
}

func bounded(files []File) error {
	if len(files) > maxFiles {
		return coldkeep.Errorf(coldkeep.EINVALID, "there are %d files; a release has at most %d", len(files), maxFiles)
	}
	all := 0
	for _, f := range files {
		if len(f.Data) > maxFile {
			return tooLarge(f.Name)
		}
		all += len(f.Data)
	}
	if all > maxAll {
		return coldkeep.Errorf(coldkeep.EINVALID, "the release is larger than %d MB", maxAll>>20)
	}
	return nil
}

func tooLarge(name string) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%s is larger than %d MB", name, maxFile>>20)
}

func readBounded(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Load", "%s cannot be read", name)
	}
	if len(data) > maxFile {
		return nil, tooLarge(name)
	}
	return data, nil
}

// fileKind is what a file is, by its name.
type fileKind uint8

const (
	otherFile fileKind = iota
	theSchedule
	anAntigen
)

func kindOf(name string) fileKind {
	name = strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	switch {
	case path.Ext(name) != ".xml":
		return otherFile
	case strings.HasPrefix(name, scheduleFile):
		return theSchedule
	case strings.HasPrefix(name, antigenPrefix):
		return anAntigen
	}
	return otherFile
}

// VersionOf finds a version such as 4.64 in the name of a directory or archive.
func VersionOf(name string) string {
	return regexp.MustCompile(`\d+\.\d+`).FindString(path.Base(name))
}

// decode reads one whole XML document whose root element is as named.
func decode(f File, root string, into any) error {
	name := f.Name
	dec := xml.NewDecoder(bytes.NewReader(f.Data))
	for {
		tok, err := dec.Token()
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Load", "%s is not XML", name)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: the root element is %s, not %s", name, start.Name.Local, root)
		}
		if err := dec.DecodeElement(into, &start); err != nil {
			return coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Load", "%s is malformed: %v", name, err)
		}
		break
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Load", "%s is malformed after its end", name)
	}
	tidy(reflect.ValueOf(into).Elem())
	return nil
}

// tidy trims every text and drops list members that are empty: the files write
// an element without content where there is nothing to say.
func tidy(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Join(strings.Fields(v.String()), " "))
	case reflect.Struct:
		for i := range v.NumField() {
			tidy(v.Field(i))
		}
	case reflect.Slice:
		kept := 0
		for i := range v.Len() {
			tidy(v.Index(i))
			if !empty(v.Index(i)) {
				v.Index(kept).Set(v.Index(i))
				kept++
			}
		}
		v.SetLen(kept)
	}
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if !empty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// nameOf takes the antigen's name from its series, which must agree on it, and
// marks the series that are a matter of shared clinical decision-making.
func nameOf(a *release.Antigen, file string) error {
	for i := range a.Series {
		s := &a.Series[i]
		if a.Name == "" {
			a.Name = s.Disease
		}
		if s.Disease != a.Name {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: series %q is for %s, not %s", file, s.Name, s.Disease, a.Name)
		}
		s.Shared = strings.Contains(strings.ToLower(s.Name), "shared clinical decision")
	}
	if a.Name == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s has no series", file)
	}
	return nil
}
