package sftp

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
)

// spool keeps uploads that have not counted yet, one folder an account. Names of files are
// encoded, so none of a sender's is one of this machine's; the ending says how far it is.
type spool struct {
	dir string

	mu   sync.Mutex
	used map[string]int64   // bytes of an account
	open map[string]*upload // by path without ending
}

// The endings.
const (
	openEnding  = ".open"  // being uploaded, or broken off
	wholeEnding = ".whole" // closed by the client under a temporary name, or not taken

	// takingEnding is of one that is being taken; who writes under its name again does not
	// write into it. What has it after a crash was not told to be taken.
	takingEnding = ".taking"
)

func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp.openSpool", "folder %s cannot be made", dir)
	}
	s := &spool{dir: dir, used: map[string]int64{}, open: map[string]*upload{}}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"+takingEnding))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "sftp.openSpool", "folder %s", dir)
	}
	for _, path := range left {
		base, _, _ := strings.Cut(filepath.Base(path), ".")
		if err := putBack(path, filepath.Join(filepath.Dir(path), base)); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp.openSpool", "folder %s cannot be written", dir)
		}
	}
	return s, nil
}

// putBack gives a file that was not taken its place again, unless there is another.
func putBack(path, base string) error {
	for _, ending := range []string{openEnding, wholeEnding} {
		if _, err := os.Stat(base + ending); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, os.Remove(path))
		}
	}
	return os.Rename(path, base+wholeEnding)
}

// claim is a whole file while it is taken.
type claim struct {
	*os.File
	spool         *spool
	account, base string
	size          int64
}

// claim sets a whole file aside to be taken; fs.ErrNotExist.
func (s *spool) claim(account, name string) (*claim, error) {
	base := s.base(account, name)
	path := base + "." + ulid.Make().String() + takingEnding
	if err := os.Rename(base+wholeEnding, path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &claim{File: f, spool: s, account: account, base: base, size: info.Size()}, nil
}

// done removes a file that was taken, or never will be.
func (c *claim) done() error {
	err := errors.Join(c.Close(), os.Remove(c.Name()))
	c.spool.freed(c.account, c.size)
	return err
}

// back keeps it for another try.
func (c *claim) back() error { return errors.Join(c.Close(), putBack(c.Name(), c.base)) }

// base is the path of an account's file without its ending.
func (s *spool) base(account, name string) string {
	return filepath.Join(s.folder(account), base64.RawURLEncoding.EncodeToString([]byte(name)))
}

func (s *spool) folder(account string) string {
	return filepath.Join(s.dir, base64.RawURLEncoding.EncodeToString([]byte(account)))
}

// partial is a file that has not counted.
type partial struct {
	name    string
	size    int64
	changed time.Time
	whole   bool
}

// find gives one; fs.ErrNotExist.
func (s *spool) find(account, name string) (partial, error) {
	for _, ending := range []string{openEnding, wholeEnding} {
		info, err := os.Stat(s.base(account, name) + ending)
		if err == nil {
			return partial{name, info.Size(), info.ModTime(), ending == wholeEnding}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return partial{}, err
		}
	}
	return partial{}, fs.ErrNotExist
}

// list gives those of an account.
func (s *spool) list(account string) ([]partial, error) {
	entries, err := os.ReadDir(s.folder(account))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []partial
	for _, e := range entries {
		ending := filepath.Ext(e.Name())
		name, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(e.Name(), ending))
		if err != nil || ending != openEnding && ending != wholeEnding {
			continue // not ours
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has counted meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, partial{string(name), info.Size(), info.ModTime(), ending == wholeEnding})
	}
	return out, nil
}

// reserve lets an account's uploads grow, or says that they may not.
func (s *spool) reserve(account string, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.used[account]; !known {
		all, err := s.list(account)
		if err != nil {
			return err
		}
		for _, p := range all {
			s.used[account] += p.size
		}
	}
	if bytes > 0 && s.used[account]+bytes > maxSpool {
		return coldkeep.Errorf(coldkeep.ETOOMANY, "uploads that have not ended take more than %d MB: end or remove some", maxSpool>>20)
	}
	s.used[account] += bytes
	return nil
}

// freed says that bytes are gone.
func (s *spool) freed(account string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.used[account]; known {
		s.used[account] = max(0, s.used[account]-bytes)
	}
}

// begin opens an upload, of a new file or of one to go on with. Another upload of the same
// name that is still open, as after a cut that the server has not noticed, is superseded.
func (s *spool) begin(account, name string, fresh, mustBeNew, mayCreate bool) (*upload, error) {
	p, err := s.find(account, name)
	exists := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case exists && mustBeNew:
		return nil, fs.ErrExist
	case !exists && !mayCreate:
		return nil, fs.ErrNotExist
	}
	if !exists {
		all, err := s.list(account)
		if err != nil {
			return nil, err
		}
		if len(all) >= maxPartial {
			return nil, coldkeep.Errorf(coldkeep.ETOOMANY, "there are %d uploads that have not ended: end or remove some", maxPartial)
		}
	}
	base := s.base(account, name)
	u := &upload{spool: s, account: account, name: name, base: base}
	s.supersede(base, u)
	if err := s.reserve(account, 0); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.folder(account), 0o700); err != nil {
		return nil, err
	}
	if exists && p.whole {
		if err := os.Rename(base+wholeEnding, base+openEnding); err != nil {
			return nil, err
		}
	}
	if u.f, err = os.OpenFile(base+openEnding, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if exists && fresh {
		if err := u.f.Truncate(0); err != nil {
			return nil, errors.Join(err, u.f.Close())
		}
		s.freed(account, p.size)
		p.size = 0
	}
	u.covered = ranges{end: p.size}
	return u, nil
}

// supersede makes u the one upload of its file; nil is that there is none.
func (s *spool) supersede(base string, u *upload) {
	s.mu.Lock()
	before := s.open[base]
	if u == nil {
		delete(s.open, base)
	} else {
		s.open[base] = u
	}
	s.mu.Unlock()
	if before != nil && before != u {
		before.fail(coldkeep.Errorf(coldkeep.ECONFLICT, "the file is being uploaded anew"))
	}
}

// ended says that an upload is over.
func (s *spool) ended(u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[u.base] == u {
		delete(s.open, u.base)
	}
}

// remove removes a file; fs.ErrNotExist.
func (s *spool) remove(account, name string) error {
	p, err := s.find(account, name)
	if err != nil {
		return err
	}
	base, ending := s.base(account, name), openEnding
	if p.whole {
		ending = wholeEnding
	}
	s.supersede(base, nil)
	if err := os.Remove(base + ending); err != nil {
		return err
	}
	s.freed(account, p.size)
	return syncFolder(s.folder(account))
}

// rename gives a whole file another name, in place of one that has it.
func (s *spool) rename(account, from, to string) error {
	if err := s.remove(account, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(s.base(account, from)+wholeEnding, s.base(account, to)+wholeEnding); err != nil {
		return err
	}
	return syncFolder(s.folder(account))
}

// tidy removes files that nothing was done to since a time.
func (s *spool) tidy(before time.Time) (n int, err error) {
	folders, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, err
	}
	for _, f := range folders {
		account, err := base64.RawURLEncoding.DecodeString(f.Name())
		if err != nil || !f.IsDir() {
			continue
		}
		all, err := s.list(string(account))
		if err != nil {
			return n, err
		}
		for _, p := range all {
			if !p.changed.Before(before) {
				continue
			}
			if err := s.remove(string(account), p.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
