package update

import (
	"errors"
	"io"
	"os"
)

// disk is what is asked of a file system. Nothing is on disk for sure before Sync of
// the file and SyncDir of its folder have returned.
type disk interface {
	ReadFile(path string) ([]byte, error)
	Readlink(path string) (string, error)
	Open(path string) (io.ReadCloser, error)
	Write(path string, content []byte) error
	Executable(path string) error
	Sync(path string) error
	SyncDir(path string) error
	Rename(from, to string) error
	Symlink(to, path string) error
	Remove(path string) error
	RemoveAll(path string) error
	MkdirAll(path string) error
}

// realDisk is the machine's.
type realDisk struct{}

func (realDisk) ReadFile(path string) ([]byte, error)    { return os.ReadFile(path) }
func (realDisk) Readlink(path string) (string, error)    { return os.Readlink(path) }
func (realDisk) Open(path string) (io.ReadCloser, error) { return os.Open(path) }
func (realDisk) Write(path string, content []byte) error { return os.WriteFile(path, content, 0o600) }
func (realDisk) Executable(path string) error            { return os.Chmod(path, 0o700) } //nolint:gosec // a program
func (realDisk) Rename(from, to string) error            { return os.Rename(from, to) }
func (realDisk) Symlink(to, path string) error           { return os.Symlink(to, path) }
func (realDisk) Remove(path string) error                { return os.Remove(path) }
func (realDisk) RemoveAll(path string) error             { return os.RemoveAll(path) }
func (realDisk) MkdirAll(path string) error              { return os.MkdirAll(path, 0o700) }
func (realDisk) SyncDir(path string) error               { return realDisk{}.Sync(path) }

func (realDisk) Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
