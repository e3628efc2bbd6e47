package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// What is written is read again as the kernel reads it: headers in hexadecimal, names
// and contents on multiples of four bytes, and the trailer.
func TestInitramfs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "initramfs")
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(func(t *rapid.T) file {
			return file{rapid.StringMatching(`[a-z/._-]{1,40}`).Draw(t, "name"), rapid.SampledFrom([]uint32{directory, program, plain}).Draw(t, "mode"),
				rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		})).Draw(t, "files")
		if err := writeInitramfs(path, want); err != nil {
			t.Fatal(err)
		}
		got := readInitramfs(t, path)
		if !slices.EqualFunc(got, want, func(a, b file) bool { return a.name == b.name && a.mode == b.mode && bytes.Equal(a.data, b.data) }) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

func readInitramfs(t *rapid.T, path string) (files []file) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; ; {
		field := func(i int) int { // of the header behind its magic number
			n, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		if at%4 != 0 || string(b[at:at+6]) != "070701" {
			t.Fatalf("no header at %d", at)
		}
		size, nameSize := field(6), field(11)
		name := string(b[at+110 : at+110+nameSize-1])
		data := at + (110+nameSize+3)/4*4
		if name == "TRAILER!!!" {
			if data != len(b) {
				t.Errorf("%d bytes behind the trailer", len(b)-data)
			}
			return files
		}
		files = append(files, file{name, uint32(field(1)), b[data : data+size]})
		at = data + (size+3)/4*4
	}
}
