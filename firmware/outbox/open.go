package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// migrations bring a file from user_version i to i+1.
var migrations = []string{
	`CREATE TABLE book (
		id       INTEGER PRIMARY KEY CHECK (id = 1),
		site     TEXT NOT NULL,
		agent    TEXT NOT NULL,
		epoch    TEXT NOT NULL,
		last     INTEGER NOT NULL, -- highest seq recorded
		acked    INTEGER NOT NULL, -- highest seq delivered
		head     BLOB NOT NULL,    -- of the chain, at last
		settings BLOB
	);
	CREATE TABLE record (
		seq     INTEGER PRIMARY KEY,
		written INTEGER NOT NULL, -- ms since 1970, when recorded; t is when sampled
		t       INTEGER NOT NULL,
		p       TEXT NOT NULL,
		c       INTEGER, r INTEGER, lo INTEGER, hi INTEGER, -- thousandths of °C
		q       TEXT NOT NULL,
		e       TEXT NOT NULL,
		d       TEXT NOT NULL,
		clock   TEXT NOT NULL,
		cfg     INTEGER NOT NULL
	);
	CREATE TABLE probe (
		p TEXT PRIMARY KEY,
		t INTEGER NOT NULL -- latest reading, ms since 1970
	) WITHOUT ROWID;`,
	`CREATE TABLE seal (
		seq    INTEGER PRIMARY KEY,
		oldest INTEGER NOT NULL,
		h      TEXT NOT NULL, -- base64url, as in the wire contract
		key    TEXT NOT NULL,
		sig    TEXT NOT NULL
	);
	ALTER TABLE book ADD COLUMN sealed   INTEGER NOT NULL DEFAULT 0; -- highest seq sealed
	ALTER TABLE book ADD COLUMN sealed_t INTEGER NOT NULL DEFAULT 0; -- its record's t`,
	`CREATE TABLE adrift (
		from_seq INTEGER PRIMARY KEY,
		to_seq   INTEGER NOT NULL,
		boot     TEXT NOT NULL,
		base     INTEGER NOT NULL -- when the boot began, ms since 1970
	);
	ALTER TABLE book ADD COLUMN synced TEXT NOT NULL DEFAULT ''; -- boot in which the clock was set`,
	`CREATE TABLE extreme (
		p     TEXT PRIMARY KEY,
		lo    INTEGER NOT NULL, lo_t INTEGER NOT NULL, -- thousandths of °C, and when, ms since 1970
		hi    INTEGER NOT NULL, hi_t INTEGER NOT NULL,
		since INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE latest_event (
		e   TEXT NOT NULL,
		p   TEXT NOT NULL,
		seq INTEGER NOT NULL,
		t   INTEGER NOT NULL,
		d   TEXT NOT NULL,
		PRIMARY KEY (e, p)
	) WITHOUT ROWID;`,
}

// pageSize of a new file, in bytes. A commit writes every page that it touches whole
// into the log, and at the usual 4096 that is twenty times what a minute's readings
// are (bench/agent). Files of before keep their own.
const pageSize = 1024

// errDamaged marks a file that is no book any more.
var errDamaged = errors.New("damaged")

// Open opens the book, making it when it is not there. A damaged file is set aside
// as <path>.damaged-<time> and a new book, with a new epoch, begun: the device
// goes on recording. A file that another process holds, and one that belongs to
// another agent, are ECONFLICT and left alone.
func Open(ctx context.Context, cfg Config) (*Box, error) {
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Keep == 0 {
		cfg.Keep = Keep
	}
	b, err := open(ctx, cfg)
	if err == nil {
		return b, nil
	}
	if !isDamage(err) {
		return nil, err
	}
	aside := fmt.Sprintf("%s.damaged-%s", cfg.Path, time.Now().UTC().Format("20060102T150405.000Z"))
	cfg.Log.Error("outbox is damaged; it is set aside and a new epoch begins", "file", cfg.Path, "aside", aside, "err", err)
	var was State
	if b != nil { // it could be opened, and perhaps read in part
		was = b.State()
	}
	for _, suffix := range []string{"", "-wal", walKept, "-shm"} {
		if e := os.Rename(cfg.Path+suffix, aside+suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			return nil, coldkeep.Wrap(e, coldkeep.EUNAVAILABLE, "outbox.Open", "%s is damaged and cannot be set aside", cfg.Path)
		}
	}
	fresh, again := open(ctx, cfg)
	if again != nil {
		return nil, again
	}
	fresh.lost = fmt.Sprintf("the card has damaged the outbox of before; it is set aside as %s", filepath.Base(aside))
	if was.Epoch != "" {
		fresh.lost += fmt.Sprintf("; epoch %s, records to %d, of which %d were not delivered", was.Epoch, was.Last, was.Pending())
	}
	return fresh, nil
}

// walKept ends the name under which a damaged log is kept: SQLite deletes its own.
const walKept = "-wal-kept"

// Lost tells, for the record, what was set aside at Open; "" when nothing was.
func (b *Box) Lost() string { return b.lost }

func isDamage(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff { // the primary code
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return true
		}
	}
	return errors.Is(err, errDamaged)
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == lib.SQLITE_BUSY || e.Code()&0xff == lib.SQLITE_LOCKED)
}

func open(ctx context.Context, cfg Config) (_ *Box, err error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Open", "%s cannot be opened", cfg.Path)
	}
	// locking_mode=EXCLUSIVE keeps the lock for the life of the process: two agents
	// on one book would give a number twice.
	q := url.Values{"_pragma": {"busy_timeout(500)", "cache_size(-256)", "locking_mode(EXCLUSIVE)", "synchronous(FULL)", "journal_size_limit(4194304)"},
		"_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Open", "%s cannot be opened", cfg.Path)
	}
	db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			_ = db.Close() // the first error is the one to tell
		}
	}()
	b := &Box{cfg: cfg, db: db, changed: make(chan struct{})}
	err = b.load(ctx)
	switch {
	case isBusy(err):
		return b, coldkeep.Wrap(err, coldkeep.ECONFLICT, "outbox.Open", "%s is in use by another process", cfg.Path)
	case err != nil && coldkeep.ErrorCode(err) == coldkeep.EINTERNAL:
		return b, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Open", "%s cannot be opened", cfg.Path)
	case err != nil:
		return b, err // as far as it could be read
	}
	return b, nil
}

// load checks the file, brings it to this version and reads where it stands.
func (b *Box) load(ctx context.Context) error {
	// Not among the connection's pragmas, which go by the alphabet: the size of pages has
	// to be set before the journal's mode, which is kept in the file.
	if _, err := b.db.ExecContext(ctx, fmt.Sprintf(`PRAGMA page_size = %d; PRAGMA journal_mode = WAL`, pageSize)); err != nil {
		return err
	}
	var verdict string
	if err := b.db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	// The file is ours alone by now, and nothing is written yet.
	wal := b.cfg.Path + "-wal"
	if err := checkWAL(wal); err != nil {
		if isDamage(err) {
			_ = os.Link(wal, b.cfg.Path+walKept) // for who wants to see it; without it the rest is kept
			_ = b.tx(ctx, func(tx *sql.Tx) error { return b.read(ctx, tx) })
		}
		return err
	}
	return b.tx(ctx, func(tx *sql.Tx) error {
		if err := b.migrate(ctx, tx); err != nil {
			return err
		}
		if err := b.read(ctx, tx); err != nil {
			return err
		}
		return b.verify(ctx, tx, &b.place)
	})
}

func (b *Box) migrate(ctx context.Context, tx *sql.Tx) error {
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "%s is of version %d, made by a newer agent; this one knows %d", b.cfg.Path, version, len(migrations))
	}
	if version == len(migrations) {
		return nil
	}
	for _, m := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, m); err != nil {
			return err
		}
	}
	if version == 0 {
		epoch := newEpoch()
		head := wire.FirstHash(b.cfg.Site, b.cfg.Agent, epoch)
		if _, err := tx.ExecContext(ctx, `INSERT INTO book (id, site, agent, epoch, last, acked, head) VALUES (1, $1, $2, $3, 0, 0, $4)`,
			string(b.cfg.Site), string(b.cfg.Agent), epoch, head[:]); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, len(migrations)))
	return err
}

// read fills the state from the file, and checks what SQLite cannot: that the
// numbers it holds are consecutive and end where the book says.
func (b *Box) read(ctx context.Context, tx *sql.Tx) error {
	var site, agent string
	var head []byte
	p := &b.place
	err := tx.QueryRowContext(ctx, `SELECT site, agent, epoch, last, acked, head, sealed, sealed_t FROM book`).
		Scan(&site, &agent, &p.Epoch, &p.Last, &p.Acked, &head, &p.sealed.seq, &p.sealed.at)
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(head) != len(p.head) {
		return fmt.Errorf("%w: the book has no head", errDamaged)
	}
	if err != nil {
		return err
	}
	if site != string(b.cfg.Site) || agent != string(b.cfg.Agent) {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "%s is the book of agent %s/%s, not of %s/%s", b.cfg.Path, site, agent, b.cfg.Site, b.cfg.Agent)
	}
	copy(p.head[:], head)
	if err := oldest(ctx, tx, &p.State); err != nil {
		return err
	}
	var n, highest int64
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MAX(seq), $1) FROM record`, p.Last).Scan(&n, &highest); err != nil {
		return err
	}
	if highest != p.Last || n != p.Last-p.Oldest+1 {
		return fmt.Errorf("%w: %d records from %d to %d, the book says %d", errDamaged, n, p.Oldest, highest, p.Last)
	}
	return nil
}

// LastRecorded returns the time of the latest reading in the book at path, and the
// zero time when there is no book, no reading, or a damaged file (which Open will
// set aside). The demo begins its clock behind it. No agent may be running on the
// book.
func LastRecorded(ctx context.Context, path string) (time.Time, error) {
	var last time.Time
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return last, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return last, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.LastRecorded", "%s cannot be read", path)
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs}).String())
	if err != nil {
		return last, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.LastRecorded", "%s cannot be opened", path)
	}
	defer func() { _ = db.Close() }() // only read
	all, err := lastTimes(ctx, db)
	if isDamage(err) {
		return last, nil
	}
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.LastRecorded", "%s cannot be read", path)
}
