package cdsixml_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
)

func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, data := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestUnzip holds that a release is found in whatever folder of the archive, beside
// what else CDC packs with it.
func TestUnzip(t *testing.T) {
	for _, folder := range []string{"", "XML/", `Version 9.1\XML\`} {
		files, err := cdsixml.Unzip(archive(t, map[string][]byte{
			folder + "ScheduleSupportingData.xml":         []byte(scheduleXML),
			folder + "AntigenSupportingData- Pox-508.xml": []byte(antigenXML),
			folder + "AntigenSupportingData.xsd":          []byte("not read"),
			"Release Notes.docx":                          []byte("not read"),
			"__MACOSX/._ScheduleSupportingData.xml":       []byte("not read"),
		}))
		if err != nil || len(files) != 2 {
			t.Fatalf("%q: %d files, %v", folder, len(files), err)
		}
		rel, err := cdsixml.Read(files, "9.1")
		if err != nil || len(rel.Antigens) != 1 || rel.Version != "9.1" {
			t.Errorf("%q: %+v, %v", folder, rel, err)
		}
	}
}

// TestUnzipRefuses holds that an archive that is none, that holds two of a file or
// grows without end when it is opened, is refused with its reason.
func TestUnzipRefuses(t *testing.T) {
	zeros := make([]byte, 17<<20)
	big := bytes.Repeat([]byte(" "), 15<<20)
	many, bomb := map[string][]byte{}, map[string][]byte{}
	for i := range 501 {
		many[fmt.Sprintf("%d/AntigenSupportingData- %d-508.xml", i, i)] = []byte("<x/>")
	}
	for i := range 5 {
		bomb[fmt.Sprintf("AntigenSupportingData- %d-508.xml", i)] = big
	}
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"no archive", []byte("<xml/>"), "not a zip archive"},
		{"cut short", archive(t, map[string][]byte{"ScheduleSupportingData.xml": []byte(scheduleXML)})[:80], "not a zip archive"},
		{"one file without end", archive(t, map[string][]byte{"ScheduleSupportingData.xml": zeros}), "larger than 16 MB"},
		{"all of them without end", archive(t, bomb), "larger than 64 MB"},
		{"too many", archive(t, many), "more than 500 files"},
	} {
		_, err := cdsixml.Unzip(c.data)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	twice := []cdsixml.File{{Name: "a/ScheduleSupportingData.xml", Data: []byte(scheduleXML)}, {Name: "b/ScheduleSupportingData.xml", Data: []byte(scheduleXML)}}
	if _, err := cdsixml.Read(twice, "9.1"); !strings.Contains(coldkeep.ErrorMessage(err), "two schedule files") {
		t.Errorf("two schedules: %v", err)
	}
}

// FuzzUnzip holds that no bytes make the reader panic or read past its bounds.
func FuzzUnzip(f *testing.F) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create("ScheduleSupportingData.xml")
	if err != nil {
		f.Fatal(err)
	}
	_, _ = w.Write([]byte(scheduleXML))
	_ = z.Close()
	f.Add(buf.Bytes())
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if files, err := cdsixml.Unzip(data); err == nil {
			_, _ = cdsixml.Read(files, "9.1")
		}
	})
}
