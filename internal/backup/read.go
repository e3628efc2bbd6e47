package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"os"
	"strconv"

	"github.com/coldkeep/coldkeep"
)

// longestLine bounds a row: the longest that the centre keeps are sealed batches and
// answers of some megabytes.
const longestLine = 256 << 20

// Contents is what a backup holds.
type Contents struct {
	Summary
	MadeAt   string
	Versions map[string]map[string]int64 // of the components, by database
}

// Check reads a whole backup and compares its checksum and counts, touching no database.
// EINVALID when it is no backup, is broken or cut off, or is of a later release.
func Check(ctx context.Context, path string, known Components) (Contents, error) {
	c := Contents{Versions: map[string]map[string]int64{}}
	err := read(path, visitor{
		open: func(l line) error { c.MadeAt = l.MadeAt; return nil },
		database: func(l line) error {
			c.Databases = append(c.Databases, l.Database)
			c.Versions[l.Database] = l.Versions
			return checkVersions(l, known)
		},
		table: func(line) error { c.Tables++; return ctx.Err() },
		row:   func([]byte) error { c.Rows++; return nil },
		sum:   func(l line) { c.SHA256 = l.SHA256 },
	})
	return c, err
}

// checkVersions refuses tables that this program does not know.
func checkVersions(l line, known Components) error {
	for component, version := range l.Versions {
		files, ok := known[component]
		if !ok {
			return coldkeep.Errorf(coldkeep.EINVALID, "the backup has tables of %q, which this version of coldkeep does not know: restore it with the version that made it", component)
		}
		if last, err := latest(files); err != nil {
			return err
		} else if version > last {
			return coldkeep.Errorf(coldkeep.EINVALID, "the backup's tables of %q are of version %d, this coldkeep knows them up to %d: restore it with a newer one", component, version, last)
		}
	}
	return nil
}

// visitor is called for the lines of a backup.
type visitor struct {
	open, database, table, end func(line) error
	row                        func([]byte) error
	sum                        func(line)
}

// read goes through a backup once and checks its form, its counts and its checksum.
func read(path string, v visitor) error {
	f, err := os.Open(path)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "backup.read", "%s cannot be opened", path)
	}
	defer func() { _ = f.Close() }() // it was only read
	zip, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s is no backup", path)
	}
	r := &reader{in: bufio.NewReaderSize(zip, 1<<20), sum: sha256.New(), path: path}
	return r.all(v)
}

type reader struct {
	in     *bufio.Reader
	sum    hash.Hash
	path   string
	n      int // lines read
	long   []byte
	before string // the checksum of the lines before the present one
}

func (r *reader) broken(what string) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%s, line %d: %s: the backup is not whole", r.path, r.n, what)
}

// next gives a line without its end. It is valid until the next call.
func (r *reader) next() ([]byte, error) {
	r.n++
	b, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], b...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if b, err = r.in.ReadSlice('\n'); len(r.long) > longestLine {
				return nil, r.broken("a line without end")
			}
			r.long = append(r.long, b...)
		}
		b = r.long
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, r.broken("it ends here")
		}
		return nil, r.broken("it cannot be read on")
	}
	if b[0] == '{' { // it may be the last line, whose sum is of those before it
		r.before = hex.EncodeToString(r.sum.Sum(nil))
	}
	_, _ = r.sum.Write(b) // never fails
	return b[:len(b)-1], nil
}

func (r *reader) object() (l line, err error) {
	b, err := r.next()
	if err != nil {
		return l, err
	}
	if json.Unmarshal(b, &l) != nil {
		return l, r.broken("what stands here is not of a backup")
	}
	return l, nil
}

func (r *reader) all(v visitor) error {
	l, err := r.object()
	switch {
	case err != nil:
		return err
	case l.Coldkeep != "backup" || l.Format < 1:
		return coldkeep.Errorf(coldkeep.EINVALID, "%s is no backup of coldkeep", r.path)
	case l.Format > format:
		return coldkeep.Errorf(coldkeep.EINVALID, "%s is a backup of form %d, this coldkeep reads up to %d: restore it with a newer one", r.path, l.Format, format)
	}
	if err := call(v.open, l); err != nil {
		return err
	}
	rows := int64(0)
	named := false
	for {
		l, err := r.object()
		switch {
		case err != nil:
			return err
		case l.Database != "":
			named = true
			if err := call(v.database, l); err != nil {
				return err
			}
		case l.Table != "" && named && l.Rows != nil && len(l.Columns) > 0 && len(l.Columns) == len(l.Kinds):
			n, err := r.table(v, l)
			if err != nil {
				return err
			}
			rows += n
		case l.SHA256 != "" && l.Rows != nil:
			if r.before != l.SHA256 || *l.Rows != rows {
				return r.broken("its checksum does not fit")
			}
			if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) { // gzip's own sum is checked here too
				return r.broken("something stands behind its end")
			}
			if v.sum != nil {
				v.sum(l)
			}
			return nil
		default:
			return r.broken("what stands here is not of a backup")
		}
	}
}

func call(f func(line) error, l line) error {
	if f == nil {
		return nil
	}
	return f(l)
}

func (r *reader) table(v visitor, t line) (rows int64, err error) {
	if err := call(v.table, t); err != nil {
		return 0, err
	}
	for {
		b, err := r.next()
		if err != nil {
			return rows, err
		}
		if len(b) > 0 && b[0] == '[' {
			rows++
			if err := v.row(b); err != nil {
				return rows, err
			}
			continue
		}
		var l line
		if json.Unmarshal(b, &l) != nil || l.End != t.Table || l.Rows == nil || *l.Rows != rows || *t.Rows != rows {
			return rows, r.broken("rows are missing")
		}
		return rows, call(v.end, l)
	}
}

// values reads a row into into; false when it is not one of these kinds. Neither the row
// nor the reason is told: it is somebody's data.
func values(row []byte, kinds []kind, into []any) ([]any, bool) {
	var raw []json.RawMessage
	if json.Unmarshal(row, &raw) != nil || len(raw) != len(kinds) {
		return into, false
	}
	for i, b := range raw {
		v, ok := oneValue(b, kinds[i])
		if !ok {
			return into, false
		}
		into = append(into, v)
	}
	return into, true
}

func oneValue(b []byte, k kind) (any, bool) {
	switch {
	case string(b) == "null":
		return nil, true
	case b[0] == '"':
		var s string
		err := json.Unmarshal(b, &s)
		return s, err == nil && k == kindText
	case b[0] == '{':
		var o struct {
			B *string `json:"b"`
			F *string `json:"f"`
		}
		if json.Unmarshal(b, &o) != nil {
			return nil, false
		}
		if o.F != nil {
			f, err := strconv.ParseFloat(*o.F, 64)
			return f, err == nil && k == kindReal
		}
		if o.B == nil {
			return nil, false
		}
		raw, err := base64.StdEncoding.DecodeString(*o.B)
		if k == kindText {
			return string(raw), err == nil
		}
		return raw, err == nil && k == kindBytes
	case k == kindInteger:
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	case k == kindReal:
		f, err := strconv.ParseFloat(string(b), 64)
		return f, err == nil
	}
	return nil, false
}
