package update

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// errCut is what every call gives once the power is gone.
var errCut = errors.New("the power is gone")

// memDisk is a disk that forgets what was not synced when its power is cut: of the
// changes of each folder any first part is kept, of a file's content anything.
type memDisk struct {
	entries map[string]*node // as a program sees it
	durable map[string]*node // as after a cut
	pending map[string][]change
	left    int // steps until the cut; below zero: never
	cut     bool
}

type node struct {
	link   string // a symbolic link's target
	dir    bool
	now    []byte // content as a program sees it
	synced []byte // content as after a cut, if clean
	clean  bool
}

type change struct {
	path string
	to   *node // nil: removed
}

func newMemDisk() *memDisk {
	return &memDisk{entries: map[string]*node{}, durable: map[string]*node{}, pending: map[string][]change{}, left: -1}
}

// step is the moment before a change.
func (d *memDisk) step() error {
	if d.left == 0 {
		d.cut = true
	}
	if d.cut {
		return errCut
	}
	d.left--
	return nil
}

func (d *memDisk) set(path string, n *node) {
	if n == nil {
		delete(d.entries, path)
	} else {
		d.entries[path] = n
	}
	dir := filepath.Dir(path)
	d.pending[dir] = append(d.pending[dir], change{path, n})
}

func notExist(op, path string) error { return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist} }

// resolve follows no links: Slots names slots by their own paths.
func (d *memDisk) file(op, path string) (*node, error) {
	if d.cut {
		return nil, errCut
	}
	n := d.entries[path]
	if n == nil || n.dir || n.link != "" || !d.reachable(d.entries, path) {
		return nil, notExist(op, path)
	}
	return n, nil
}

func (d *memDisk) reachable(entries map[string]*node, path string) bool {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if n := entries[dir]; n == nil || !n.dir {
			return false
		}
	}
	return true
}

func (d *memDisk) ReadFile(path string) ([]byte, error) {
	n, err := d.file("read", path)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(n.now), nil
}

func (d *memDisk) Open(path string) (io.ReadCloser, error) {
	b, err := d.ReadFile(path)
	return io.NopCloser(bytes.NewReader(b)), err
}

func (d *memDisk) Readlink(path string) (string, error) {
	if d.cut {
		return "", errCut
	}
	n := d.entries[path]
	if n == nil || n.link == "" {
		return "", notExist("readlink", path)
	}
	return n.link, nil
}

func (d *memDisk) Write(path string, content []byte) error {
	if err := d.step(); err != nil {
		return err
	}
	if n := d.entries[path]; n != nil {
		n.now, n.clean = bytes.Clone(content), false
		return nil
	}
	if !d.reachable(d.entries, path) {
		return notExist("write", path)
	}
	d.set(path, &node{now: bytes.Clone(content)})
	return nil
}

func (d *memDisk) Executable(string) error { return d.step() }

func (d *memDisk) Sync(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	n, err := d.file("sync", path)
	if err == nil {
		n.synced, n.clean = bytes.Clone(n.now), true
	}
	return err
}

func (d *memDisk) SyncDir(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.apply(path, len(d.pending[path]))
	return nil
}

// apply makes the first n changes of a folder durable.
func (d *memDisk) apply(dir string, n int) {
	for _, c := range d.pending[dir][:n] {
		if c.to == nil {
			delete(d.durable, c.path)
		} else {
			d.durable[c.path] = c.to
		}
	}
	d.pending[dir] = d.pending[dir][n:]
}

func (d *memDisk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	n := d.entries[from]
	if n == nil || !d.reachable(d.entries, to) {
		return notExist("rename", from)
	}
	d.set(to, n)
	d.set(from, nil)
	return nil
}

func (d *memDisk) Symlink(to, path string) error {
	if err := d.step(); err != nil {
		return err
	}
	if d.entries[path] != nil {
		return fs.ErrExist
	}
	d.set(path, &node{link: to})
	return nil
}

func (d *memDisk) Remove(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	if d.entries[path] == nil {
		return notExist("remove", path)
	}
	d.set(path, nil)
	return nil
}

func (d *memDisk) RemoveAll(path string) error {
	for _, p := range slices.Sorted(maps.Keys(d.entries)) {
		if strings.HasPrefix(p, path+"/") {
			if err := d.step(); err != nil {
				return err
			}
			d.set(p, nil)
		}
	}
	if d.entries[path] == nil {
		return nil
	}
	if err := d.step(); err != nil {
		return err
	}
	d.set(path, nil)
	return nil
}

func (d *memDisk) MkdirAll(path string) error {
	if dir := filepath.Dir(path); dir != path && d.entries[dir] == nil && dir != "/" {
		if err := d.MkdirAll(dir); err != nil {
			return err
		}
	}
	if d.entries[path] != nil {
		return nil
	}
	if err := d.step(); err != nil {
		return err
	}
	d.set(path, &node{dir: true})
	return nil
}

// afterCut is the disk as it is when the power is back.
func (d *memDisk) afterCut(t *rapid.T) *memDisk {
	for _, dir := range slices.Sorted(maps.Keys(d.pending)) {
		if n := len(d.pending[dir]); n > 0 {
			d.apply(dir, rapid.IntRange(0, n).Draw(t, "kept of "+dir))
		}
	}
	out := newMemDisk()
	for _, path := range slices.Sorted(maps.Keys(d.durable)) {
		n := *d.durable[path]
		if !d.reachable(d.durable, path) {
			continue
		}
		if !n.dir && n.link == "" && !n.clean {
			switch rapid.IntRange(0, 3).Draw(t, "content of "+path) {
			case 0:
				n.now = bytes.Clone(n.synced)
			case 1:
				n.now = n.now[:len(n.now)/2]
			case 2:
				n.now = make([]byte, len(n.now)) // blocks that were never written
			}
		}
		n.now, n.synced, n.clean = bytes.Clone(n.now), bytes.Clone(n.now), true
		out.entries[path], out.durable[path] = &n, &n
	}
	return out
}

// clone is the same disk again, for a look that changes nothing.
func (d *memDisk) clone() *memDisk {
	out := newMemDisk()
	for path, n := range d.entries {
		c := *n
		out.entries[path], out.durable[path] = &c, &c
	}
	return out
}
