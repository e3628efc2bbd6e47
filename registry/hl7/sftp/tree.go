package sftp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// maxReads is how many files one channel may have open for reading.
const maxReads = 16

// tree is what a sender sees. It is made of the spool and of what the exchange tells, and
// a path in it is no path of this machine.
type tree struct {
	server  *Server
	ctx     context.Context // of the connection
	who     *caller
	account string
	reads   atomic.Int32
}

// principal asks anew who has signed in, and that it is still the same.
func (t *tree) principal() (auth.Principal, error) {
	by, err := t.who.principal(t.ctx)
	if err == nil && by.ID != t.account {
		err = coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "the account has changed")
	}
	if err != nil {
		return by, t.client(err)
	}
	return by, nil
}

// client is an error as the client is to read it; what is ours is logged.
func (t *tree) client(err error) error {
	switch coldkeep.ErrorCode(err) {
	case "":
		return nil
	case coldkeep.EUNAUTHORIZED, coldkeep.EFORBIDDEN:
		return sftp.ErrSSHFxPermissionDenied
	case coldkeep.ENOTFOUND:
		return fs.ErrNotExist
	case coldkeep.EINTERNAL:
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			return err
		}
		if t.ctx.Err() == nil {
			t.server.Log.Error("sftp", "account", t.account, "err", err)
		}
	}
	return told(err)
}

// Filewrite implements sftp.FileWriter.
func (t *tree) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if _, err := t.principal(); err != nil {
		return nil, err
	}
	folder, name := split(r.Filepath)
	if folder != inFolder || name == "" {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	if err := validName(name); err != nil {
		return nil, told(err)
	}
	flags := r.Pflags()
	u, err := t.server.spool.begin(t.account, name, flags.Trunc, flags.Excl, flags.Creat)
	if err != nil {
		return nil, t.client(err)
	}
	u.count = func() error {
		if Temporary(name) {
			return nil
		}
		return t.count(name, name)
	}
	return u, nil
}

// count has a whole file of the spool taken, under a name. One that is no file of messages is
// removed: it would be refused again.
func (t *tree) count(spooled, name string) error {
	by, err := t.principal()
	if err != nil {
		return err
	}
	s := t.server
	c, err := s.spool.claim(t.account, spooled)
	if err != nil {
		return err
	}
	// The client may hang up now; what was closed is taken all the same.
	err = s.Exchange.Take(context.WithoutCancel(t.ctx), by, name, c)
	code := coldkeep.ErrorCode(err)
	if code == coldkeep.EINTERNAL {
		s.Log.Error("sftp: a file could not be taken", "account", t.account, "err", err)
	}
	end := c.back
	if err == nil || code == coldkeep.EINVALID {
		end = c.done
	}
	if e := end(); e != nil {
		s.Log.Error("sftp: spool", "account", t.account, "err", e)
	}
	if err == nil {
		s.recent.add(t.account, name, c.size)
	}
	return err
}

// Filecmd implements sftp.FileCmder.
func (t *tree) Filecmd(r *sftp.Request) error {
	if _, err := t.principal(); err != nil {
		return err
	}
	folder, name := split(r.Filepath)
	switch r.Method {
	case "Setstat":
		// Clients set times and modes after an upload and take a refusal for a failure.
		// There is nothing to be set.
		_, err := t.stat(folder, name)
		return err
	case "Rename", "PosixRename":
		toFolder, to := split(r.Target)
		if folder != inFolder || toFolder != inFolder || name == "" || to == "" {
			return sftp.ErrSSHFxPermissionDenied
		}
		return t.rename(name, to)
	case "Remove":
		switch {
		case name == "":
		case folder == inFolder:
			return t.client(t.server.spool.remove(t.account, name))
		case folder == outFolder:
			return t.removeAnswer(name)
		}
		return sftp.ErrSSHFxPermissionDenied
	}
	return sftp.ErrSSHFxPermissionDenied
}

// PosixRename implements sftp.PosixRenameFileCmder.
func (t *tree) PosixRename(r *sftp.Request) error { return t.Filecmd(r) }

func (t *tree) rename(from, to string) error {
	if err := validName(to); err != nil {
		return told(err)
	}
	p, err := t.server.spool.find(t.account, from)
	if err != nil {
		return t.client(err)
	}
	if !p.whole {
		return told(coldkeep.Errorf(coldkeep.ECONFLICT, "the upload of this file has not ended: go on with it, or send it anew"))
	}
	if from == to {
		return nil
	}
	if Temporary(to) {
		return t.client(t.server.spool.rename(t.account, from, to))
	}
	return t.client(t.count(from, to))
}

func (t *tree) removeAnswer(name string) error {
	by, err := t.principal()
	if err != nil {
		return err
	}
	e, err := t.answer(by, name)
	if err != nil {
		return err
	}
	return t.client(t.server.Exchange.Remove(t.ctx, by, e.id))
}

// Fileread implements sftp.FileReader: of answers.
func (t *tree) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	by, err := t.principal()
	if err != nil {
		return nil, err
	}
	folder, name := split(r.Filepath)
	if folder != outFolder || name == "" {
		// What was sent is the sender's: it is listed, and not given back.
		if _, err := t.stat(folder, name); err != nil {
			return nil, err
		}
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	e, err := t.answer(by, name)
	if err != nil {
		return nil, err
	}
	if t.reads.Add(1) > maxReads {
		t.reads.Add(-1)
		return nil, told(coldkeep.Errorf(coldkeep.ETOOMANY, "more than %d files are open", maxReads))
	}
	f, err := unnamed(t.server.Folder)
	if err == nil {
		if err = t.server.Exchange.Answer(t.ctx, by, e.id, f); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		t.reads.Add(-1)
		return nil, t.client(err)
	}
	return &reading{File: f, done: func() { t.reads.Add(-1) }}, nil
}

// unnamed is a file that is gone once it is closed, however that comes about.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".out-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type reading struct {
	*os.File
	done func()
}

// Close implements io.Closer.
func (r *reading) Close() error {
	r.done()
	return r.File.Close()
}

// Filelist implements sftp.FileLister.
func (t *tree) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	folder, name := split(r.Filepath)
	if r.Method == "Readlink" {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	if r.Method == "Stat" || name != "" {
		e, err := t.stat(folder, name)
		if err != nil {
			return nil, err
		}
		if r.Method == "List" {
			return nil, told(coldkeep.Errorf(coldkeep.EINVALID, "this is a file"))
		}
		return listing{e}, nil
	}
	by, err := t.principal()
	if err != nil {
		return nil, err
	}
	switch folder {
	case "/":
		return listing{directory("archive"), directory("in"), directory("out")}, nil
	case inFolder:
		all, err := t.server.spool.list(t.account)
		if err != nil {
			return nil, t.client(err)
		}
		out := make(listing, 0, len(all))
		for _, p := range all {
			out = append(out, entry{name: p.name, size: p.size, at: p.changed})
		}
		return out.sorted(), nil
	}
	out, err := t.entries(by, folder)
	return out.sorted(), err
}

// Lstat implements sftp.LstatFileLister: there are no links.
func (t *tree) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	folder, name := split(r.Filepath)
	e, err := t.stat(folder, name)
	if err != nil {
		return nil, err
	}
	return listing{e}, nil
}

// stat gives one entry. A file that has just been taken is told of in in/ still, since
// clients look whether it has arrived whole.
func (t *tree) stat(folder, name string) (entry, error) {
	by, err := t.principal()
	if err != nil {
		return entry{}, err
	}
	if name == "" {
		return directory(path.Base(folder)), nil
	}
	switch folder {
	case inFolder:
		p, err := t.server.spool.find(t.account, name)
		if err == nil {
			return entry{name: name, size: p.size, at: p.changed}, nil
		}
		if e, ok := t.server.recent.find(t.account, name); ok {
			return e, nil
		}
		return entry{}, t.client(err)
	case outFolder:
		return t.answer(by, name)
	case archiveFolder:
		return t.archived(by, name)
	}
	return entry{}, fs.ErrNotExist
}

func (t *tree) answer(by auth.Principal, name string) (entry, error) {
	return t.pick(by, outFolder, name)
}
func (t *tree) archived(by auth.Principal, name string) (entry, error) {
	return t.pick(by, archiveFolder, name)
}

func (t *tree) pick(by auth.Principal, folder, name string) (entry, error) {
	all, err := t.entries(by, folder)
	if err != nil {
		return entry{}, err
	}
	for _, e := range all {
		// A file's own name with its id is always good, whatever the list calls it.
		if e.name == name || e.long == name {
			return e, nil
		}
	}
	return entry{}, fs.ErrNotExist
}

// entries are the answers that are there, or the files that were taken. Of several of one
// name the earliest is called so, and the others by their ids as well: a sender that removes
// what it has fetched always finds the next under the plain name.
func (t *tree) entries(by auth.Principal, folder string) (listing, error) {
	files, err := t.server.Exchange.Files(t.ctx, by, time.Now().Add(-KeepAnswers))
	if err != nil {
		return nil, t.client(err)
	}
	suffix := ""
	if folder == outFolder {
		suffix = answerSuffix
	}
	slices.SortStableFunc(files, func(a, b File) int { return a.At.Compare(b.At) })
	taken := map[string]bool{}
	var out listing
	for _, f := range files {
		if folder == outFolder && (f.EndedAt == nil || f.NoAnswer) {
			continue
		}
		e := entry{id: f.ID, name: f.Name + suffix, long: f.Name + "." + f.ID + suffix, size: f.Size, at: f.At}
		if taken[e.name] {
			e.name = e.long
		}
		taken[e.name] = true
		if folder == outFolder {
			e.at = *f.EndedAt
			if e.size, err = t.server.sizes.of(f.ID, func(to io.Writer) error { return t.server.Exchange.Answer(t.ctx, by, f.ID, to) }); err != nil {
				return nil, t.client(err)
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// entry is a file or a folder of the tree. It implements fs.FileInfo.
type entry struct {
	id   string
	name string
	long string
	size int64
	at   time.Time
	dir  bool
}

func directory(name string) entry { return entry{name: name, dir: true} }

// Name implements fs.FileInfo, and the others do as well.
func (e entry) Name() string { return e.name }

// Size is in bytes.
func (e entry) Size() int64 { return e.size }

// Mode says that it is the sender's alone.
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// ModTime is when the file was sent, or its answer made.
func (e entry) ModTime() time.Time { return e.at }

// IsDir reports whether it is a folder.
func (e entry) IsDir() bool { return e.dir }

// Sys has nothing to tell.
func (entry) Sys() any { return nil }

// listing is entries as sftp asks for them.
type listing []entry

func (l listing) sorted() listing {
	slices.SortFunc(l, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return l
}

// ListAt implements sftp.ListerAt.
func (l listing) ListAt(to []os.FileInfo, from int64) (int, error) {
	if from >= int64(len(l)) {
		return 0, io.EOF
	}
	n := 0
	for n < len(to) && int(from)+n < len(l) {
		to[n] = l[int(from)+n]
		n++
	}
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}
