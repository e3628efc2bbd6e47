// Package cdsixml reads CDC's published supporting data: a directory with
// ScheduleSupportingData.xml and one AntigenSupportingData file per antigen.
// What it cannot read it refuses, naming the file.
package cdsixml

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"strings"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
)

const (
	scheduleFile  = "schedulesupportingdata"
	antigenPrefix = "antigensupportingdata"
)

// Load reads a release from the XML files at the top of fsys. The files carry
// no version, so the caller says which it is; VersionOf finds it in a name.
//
// EINVALID: a file is malformed or missing.
func Load(fsys fs.FS, version string) (*release.Release, error) {
	const op = "cdsixml.Load"
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, op, "the supporting data cannot be listed")
	}
	rel := &release.Release{Version: version}
	found := false
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if e.IsDir() || path.Ext(name) != ".xml" {
			continue
		}
		switch {
		case strings.HasPrefix(name, scheduleFile):
			if found {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "there are two schedule files; the second is %s", e.Name())
			}
			found = true
			err = decode(fsys, e.Name(), "scheduleSupportingData", &rel.Schedule)
		case strings.HasPrefix(name, antigenPrefix):
			var a release.Antigen
			err = decode(fsys, e.Name(), "antigenSupportingData", &a)
			if err == nil {
				err = nameOf(&a, e.Name())
			}
			rel.Antigens = append(rel.Antigens, a)
		}
		if err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "ScheduleSupportingData.xml is missing")
	}
	if len(rel.Antigens) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "there is no AntigenSupportingData file")
	}
	return rel, nil
}

// VersionOf finds a version such as 4.64 in the name of a directory or archive.
func VersionOf(name string) string {
	return regexp.MustCompile(`\d+\.\d+`).FindString(path.Base(name))
}

// decode reads one whole XML document whose root element is as named.
func decode(fsys fs.FS, name, root string, into any) error {
	f, err := fsys.Open(name)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "cdsixml.Load", "%s cannot be opened", name)
	}
	defer func() { _ = f.Close() }() // it is only read
	dec := xml.NewDecoder(f)
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
