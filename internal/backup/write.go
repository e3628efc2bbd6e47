package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"math"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
)

// Write makes a backup of the databases as they stand at one moment while others go on
// writing, in a new file that only its owner may read. Once Write returns nil the file is
// whole and on disk; otherwise there is none. progress is called now and then with the
// rows done and to do. ECONFLICT when the file exists, EUNAVAILABLE when it cannot be
// written or a database does not answer.
func Write(ctx context.Context, path string, now time.Time, parts []Part, progress func(done, all int64)) (s Summary, err error) {
	if _, err := os.Lstat(path); err == nil {
		return s, coldkeep.Errorf(coldkeep.ECONFLICT, "%s exists: a backup is written to a new file", path)
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return s, coldkeep.Errorf(coldkeep.ECONFLICT, "%s exists: another backup is being written, or one was broken off; remove it in that case", partial)
	}
	if err != nil {
		return s, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "backup.Write", "%s cannot be made", partial)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	err = func() error {
		s, err = WriteTo(ctx, f, now, parts, progress)
		return errors.Join(err, f.Sync(), f.Close())
	}()
	if err != nil {
		return s, err
	}
	if err := os.Rename(partial, path); err != nil {
		return s, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "backup.Write", "%s cannot be given its name", path)
	}
	return s, nil
}

// snapshot is a transaction in which nothing changes.
type snapshot struct {
	Part
	tx       *sql.Tx
	tables   []table
	versions map[string]int64
	rows     []int64 // of each table
}

// WriteTo writes a backup to w.
func WriteTo(ctx context.Context, w io.Writer, now time.Time, parts []Part, progress func(done, all int64)) (s Summary, err error) {
	all := int64(0)
	var open []*snapshot
	defer func() {
		for _, o := range open {
			_ = o.tx.Rollback() // it has only read
		}
	}()
	for _, p := range parts { // all of them before the first is read out
		o, err := begin(ctx, p)
		if err != nil {
			return s, err
		}
		open = append(open, o)
	}
	for _, o := range open {
		for _, t := range o.tables {
			n, err := number(ctx, o.tx, `SELECT COUNT(*) FROM `+quote(t.name))
			if err != nil {
				return s, err
			}
			o.rows = append(o.rows, n)
			all += n
		}
	}
	zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a valid one
	out := &writer{buf: bufio.NewWriterSize(zip, 1<<16), sum: sha256.New()}
	out.object(line{Coldkeep: "backup", Format: format, MadeAt: now.UTC().Format(time.RFC3339)})
	for _, o := range open {
		s.Databases = append(s.Databases, o.Name)
		out.object(line{Database: o.Name, Versions: o.versions})
		for i, t := range o.tables {
			out.object(line{Table: t.name, Columns: t.columns, Kinds: t.kinds, Rows: &o.rows[i]})
			n, err := out.table(ctx, o.tx, t, func(n int64) {
				if progress != nil {
					progress(s.Rows+n, all)
				}
			})
			if err != nil {
				return s, err
			}
			out.object(line{End: t.name, Rows: &n})
			s.Tables++
			s.Rows += n
		}
	}
	s.SHA256 = hex.EncodeToString(out.sum.Sum(nil))
	out.object(line{SHA256: s.SHA256, Rows: &s.Rows})
	if err := errors.Join(out.err, out.buf.Flush(), zip.Close()); err != nil {
		return s, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "backup.WriteTo", "the backup cannot be written")
	}
	return s, nil
}

func begin(ctx context.Context, p Part) (*snapshot, error) {
	o := &snapshot{Part: p}
	opts := &sql.TxOptions{ReadOnly: true}
	if p.DB.Postgres() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := p.DB.BeginTx(ctx, opts)
	if err != nil {
		return nil, failed(err)
	}
	o.tx = tx
	// The first read is what fixes the moment, in both engines.
	if o.tables, o.versions, err = tables(ctx, tx, p.DB.Postgres()); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return o, nil
}

// writer writes lines and takes their sum.
type writer struct {
	buf *bufio.Writer
	sum hash.Hash
	row []byte
	err error // the first of writing
}

func (w *writer) object(l line) {
	b, err := json.Marshal(l)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.line(b)
}

func (w *writer) line(b []byte) {
	b = append(b, '\n')
	_, _ = w.sum.Write(b) // never fails
	if _, err := w.buf.Write(b); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *writer) table(ctx context.Context, tx *sql.Tx, t table, progress func(int64)) (n int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+quoteAll(t.columns)+` FROM `+quote(t.name))
	if err != nil {
		return 0, failed(err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	values, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, failed(err)
		}
		w.row = append(w.row[:0], '[')
		for i, v := range values {
			if i > 0 {
				w.row = append(w.row, ',')
			}
			var ok bool
			if w.row, ok = appendValue(w.row, t.kinds[i], v); !ok {
				return n, coldkeep.Errorf(coldkeep.EINTERNAL, "column %s of table %s holds a %T where %s should be", t.columns[i], t.name, v, t.kinds[i])
			}
		}
		w.line(append(w.row, ']'))
		if w.err != nil {
			return n, coldkeep.Wrap(w.err, coldkeep.EUNAVAILABLE, "backup.WriteTo", "the backup cannot be written")
		}
		if n++; n%1000 == 0 {
			progress(n)
		}
	}
	progress(n)
	return n, failed(rows.Err())
}

// appendValue appends a value as JSON: what JSON has no form for is an object of one
// field, "b" bytes in base64 or "f" a number that is none.
func appendValue(b []byte, k kind, v any) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), true
	case int64:
		if k == kindReal { // SQLite may hand back a whole one so
			return appendReal(b, float64(v)), true
		}
		return strconv.AppendInt(b, v, 10), k == kindInteger
	case float64:
		return appendReal(b, v), k == kindReal
	case string:
		return appendText(b, v), k == kindText
	case []byte:
		if k == kindText {
			return appendText(b, string(v)), true
		}
		return appendBytes(b, v), k == kindBytes
	}
	return b, false
}

func appendReal(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(append(append(b, `{"f":"`...), strconv.FormatFloat(v, 'g', -1, 64)...), `"}`...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func appendBytes(b, v []byte) []byte {
	b = append(b, `{"b":"`...)
	b = base64.StdEncoding.AppendEncode(b, v)
	return append(b, `"}`...)
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			if !utf8.ValidString(s) { // only SQLite lets it in
				return appendBytes(b, []byte(s))
			}
			quoted, _ := json.Marshal(s) // a string can always be
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
