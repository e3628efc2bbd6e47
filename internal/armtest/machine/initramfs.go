package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// file is one of the board's files.
type file struct {
	name string // without the slash in front
	mode uint32 // type and permissions, stat(2)
	data []byte
}

// The modes of the files that the board has.
const (
	directory = 0o040755
	program   = 0o100755
	plain     = 0o100600
)

// writeInitramfs writes files as the kernel takes its first root from: a gzipped cpio
// archive of the format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
func writeInitramfs(path string, files []file) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	for i, entry := range append(files, file{name: "TRAILER!!!"}) {
		if err := writeEntry(z, i+1, entry); err != nil {
			return err
		}
	}
	return z.Close()
}

// writeEntry writes a header of thirteen numbers, in eight hexadecimal digits each,
// the name and the content, both filled up to a multiple of four bytes.
func writeEntry(w io.Writer, inode int, f file) error {
	header := "070701"
	for _, n := range []int{inode, int(f.mode), 0, 0, 1, 0, len(f.data), 0, 0, 0, 0, len(f.name) + 1, 0} {
		header += fmt.Sprintf("%08X", n)
	}
	head := append([]byte(header+f.name), 0)
	if _, err := w.Write(append(head, make([]byte, -len(head)&3)...)); err != nil {
		return err
	}
	if _, err := w.Write(f.data); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, -len(f.data)&3))
	return err
}
