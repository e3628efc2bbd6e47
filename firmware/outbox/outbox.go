// Package outbox is the agent's book: every reading and event in the order in
// which it was recorded, on disk, until the collector has acknowledged it and
// thirty days beyond.
//
// It is one SQLite file in WAL mode with synchronous=FULL: what Append has
// returned survives a power cut. (Vendor images that mount ext4 with
// data=writeback void that promise, basicallysource/sorter-v2#328; the image must
// not.) Identity of a record is (epoch, seq). The epoch, a ULID, is made with the
// file; numbers start at 1 in it, and none is used twice or skipped. The head of
// the chain of the wire contract moves in the transaction that records, and the
// device's key seals it there every quarter of an hour or thousand records. A batch
// never goes past a sealed record, so that the acknowledgement of the record is
// that of its seal.
package outbox

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Keep is how long a delivered record is kept, from the wire contract.
const Keep = 30 * 24 * time.Hour

// DefaultMaxBytes bounds the file: a year of ten probes a minute apart is about
// half of it.
const DefaultMaxBytes = 1 << 30

// Config says where the book is and whose.
type Config struct {
	Path     string
	Site     coldkeep.SiteID
	Agent    coldkeep.AgentID
	Clock    coldkeep.Clock // tells the age of records; nil is the machine's
	Log      *slog.Logger
	MaxBytes int64              // of records on disk; 0 is DefaultMaxBytes
	Keep     time.Duration      // of delivered records; 0 is Keep
	Key      ed25519.PrivateKey // seals the chain; nil seals nothing
}

// Record is a line of the book.
type Record struct {
	wire.Record
	Seq    int64  // given by Append
	Clock  string // "ntp", "rtc" or "unsynced": the device's clock when it was recorded
	Config int64  // revision of the configuration in force, 0 when none was

	// Boot and Base are those of Adrift, for a record whose clock no time service has
	// set; Boot "" otherwise. They stay on the device.
	Boot string
	Base int64
}

// State is where the book stands.
type State struct {
	Epoch  string
	Last   int64 // highest seq recorded; 0 when there is none
	Acked  int64 // everything up to here is delivered
	Oldest int64 // lowest seq still held; Last+1 when there is none
}

// Pending is how many records wait for their acknowledgement.
func (s State) Pending() int64 { return s.Last - max(s.Acked, s.Oldest-1) }

// Box is an open book. It is safe for concurrent use. Its errors are
// EUNAVAILABLE when the disk or the file fails, unless said otherwise.
type Box struct {
	cfg Config
	db  *sql.DB

	mu      sync.Mutex
	place   place
	closed  bool
	lost    string    // see Lost
	pruned  time.Time // when delivered records were last looked through
	changed chan struct{}
}

// place is where the book and its chain stand. A transaction works on a copy.
type place struct {
	State
	head   wire.Hash // of the chain, at Last
	sealed mark
}

// State returns where the book stands.
func (b *Box) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place.State
}

// Head returns the seq of the latest record and the hash of the chain there.
func (b *Box) Head() (seq int64, h wire.Hash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place.Last, b.place.head
}

// Changed returns a channel that is closed at the next change of State. Take it
// before looking at what you wait for.
func (b *Box) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// notify wakes those who hold the channel of Changed; b.mu is held.
func (b *Box) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// WaitDelivered waits until nothing is pending, or returns ctx.Err().
func (b *Box) WaitDelivered(ctx context.Context) error {
	for {
		changed := b.Changed()
		if b.State().Pending() <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Append records all of records or none of them, in their order, and sets their
// Seq. It returns once they are on disk, with the seals that became due. An event
// has no temperatures and no quality. An empty slice does nothing.
func (b *Box) Append(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	return b.append(ctx, records, func(*sql.Tx) error { return nil })
}

// append is Append with more to do in its transaction.
func (b *Box) append(ctx context.Context, records []Record, also func(*sql.Tx) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Clock.Now()
	next := b.place
	err := b.tx(ctx, func(tx *sql.Tx) error {
		if len(records) > 0 {
			if err := b.makeRoom(ctx, tx, &next, now, &records[0]); err != nil {
				return err
			}
			if err := b.insert(ctx, tx, &next, now, records); err != nil {
				return err
			}
		}
		return also(tx)
	})
	// What failed before its first row has nothing that could be on disk.
	if err != nil && (next.Last == b.place.Last || !b.committed(ctx, next.State)) {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Append", "%s: %d records cannot be written", b.cfg.Path, len(records))
	}
	b.place = next
	b.notify()
	return nil
}

// committed looks whether a transaction that reported an error is on disk after
// all; if it were, numbering on from the old state would use numbers twice.
func (b *Box) committed(ctx context.Context, want State) bool {
	var last int64
	err := b.db.QueryRowContext(context.WithoutCancel(ctx), `SELECT last FROM book`).Scan(&last)
	return err == nil && last == want.Last
}

// insert writes records after p.Last and moves p.
func (b *Box) insert(ctx context.Context, tx *sql.Tx, p *place, now time.Time, records []Record) error {
	line, err := tx.PrepareContext(ctx, `INSERT INTO record (seq, written, t, p, c, r, lo, hi, q, e, d, clock, cfg)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`)
	if err != nil {
		return err
	}
	defer func() { _ = line.Close() }() // ends with the transaction anyway
	latest := make(map[coldkeep.ProbeID]int64)
	stand := standings{extremes: make(map[coldkeep.ProbeID]*Extreme)}
	var canonical []byte
	for i := range records {
		r := &records[i]
		if r.IsEvent() { // the wire and the collector keep none of these for an event, and the chain covers them
			r.Celsius, r.Raw, r.Lo, r.Hi = coldkeep.NoTemperature, coldkeep.NoTemperature, coldkeep.NoTemperature, coldkeep.NoTemperature
			r.Quality = coldkeep.QualityGood
		}
		p.Last++
		r.Seq = p.Last
		if _, err := line.ExecContext(ctx, r.Seq, now.UnixMilli(), r.At, string(r.Probe), null(r.Celsius), null(r.Raw), null(r.Lo), null(r.Hi),
			string(r.Quality), r.Event, r.Detail, r.Clock, r.Config); err != nil {
			return err
		}
		if err := stand.note(ctx, tx, r); err != nil {
			return err
		}
		if r.Boot != "" {
			if err := drifted(ctx, tx, r); err != nil {
				return err
			}
		}
		canonical = wire.AppendCanonical(canonical[:0], r.Seq, &r.Record, r.Clock, r.Config)
		p.head = p.head.Next(canonical)
		var after *Record
		if i+1 < len(records) {
			after = &records[i+1]
		}
		if b.cfg.Key != nil && p.sealed.due(r, after) {
			if err := b.seal(ctx, tx, p, r); err != nil {
				return err
			}
		}
		if at, ok := latest[r.Probe]; !r.IsEvent() && (!ok || r.At > at) {
			latest[r.Probe] = r.At
		}
	}
	for probe, at := range latest {
		if _, err := tx.ExecContext(ctx, `INSERT INTO probe (p, t) VALUES ($1, $2)
			ON CONFLICT (p) DO UPDATE SET t = MAX(t, excluded.t)`, string(probe), at); err != nil {
			return err
		}
	}
	if err := stand.write(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE book SET last = $1, head = $2, sealed = $3, sealed_t = $4, acked = $5`, p.Last, p.head[:], p.sealed.seq, p.sealed.at, p.Acked)
	return err
}

// Ack notes that every record of the epoch up to seq is delivered. An
// acknowledgement of another epoch, and one that is lower than what is known,
// changes nothing. One beyond the last record is ECONFLICT: see Renumber.
//
// It is written with the next Append, or by Close: a commit of its own would be a third
// of all that is written to the card. A book that is cut off in between sends again what
// was delivered since, which the collector knows by its numbers.
func (b *Box) Ack(ctx context.Context, epoch string, seq int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case epoch != b.place.Epoch || seq <= b.place.Acked:
		return nil
	case seq > b.place.Last:
		return coldkeep.Errorf(coldkeep.ECONFLICT, "acknowledged up to %d of epoch %s, whose last record here is %d", seq, epoch, b.place.Last)
	}
	b.place.Acked = seq
	b.notify()
	return nil
}

// ReadFrom returns consecutive records from seq on, delivered or not, that share
// one Clock and Config, so that they fit one batch: none after one that is sealed
// (see Seal), at most limit, and no more than
// maxBytes on the wire unless the first alone exceeds it. A seq below the oldest
// held begins there; none is left gives none.
func (b *Box) ReadFrom(ctx context.Context, seq int64, limit, maxBytes int) ([]Record, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT seq, t, p, c, r, lo, hi, q, e, d, clock, cfg
		FROM record WHERE seq >= $1 AND seq <= COALESCE((SELECT MIN(seq) FROM seal WHERE seq >= $1), 9223372036854775807)
		ORDER BY seq LIMIT $2`, seq, limit)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.ReadFrom", "%s cannot be read", b.cfg.Path)
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	var out []Record
	for bytes := 0; rows.Next(); {
		r, err := scan(rows)
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.ReadFrom", "%s: record after %d cannot be read", b.cfg.Path, seq)
		}
		bytes += wireSize(&r)
		if len(out) > 0 && (bytes > maxBytes || r.Clock != out[0].Clock || r.Config != out[0].Config || r.Seq != out[len(out)-1].Seq+1) {
			break
		}
		out = append(out, r)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "outbox.ReadFrom", "%s cannot be read", b.cfg.Path)
}

// wireSize bounds a record's JSON: below 150 bytes of keys, numbers and short
// words, and texts of which each byte may become \u00xx.
func wireSize(r *Record) int {
	return 150 + len(r.Probe) + len(r.Event) + 6*len(r.Detail)
}

// Last returns the time of the latest reading of each probe that was ever
// recorded in this book, delivered, deleted or not.
func (b *Box) Last(ctx context.Context) (map[coldkeep.ProbeID]time.Time, error) {
	out, err := lastTimes(ctx, b.db)
	return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Last", "%s cannot be read", b.cfg.Path)
}

func lastTimes(ctx context.Context, db *sql.DB) (map[coldkeep.ProbeID]time.Time, error) {
	rows, err := db.QueryContext(ctx, `SELECT p, t FROM probe`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	out := make(map[coldkeep.ProbeID]time.Time)
	for rows.Next() {
		var p string
		var ms int64
		if err := rows.Scan(&p, &ms); err != nil {
			return nil, err
		}
		out[coldkeep.ProbeID(p)] = time.UnixMilli(ms).UTC()
	}
	return out, rows.Err()
}

// Settings returns what SaveSettings saved, nil when nothing was.
func (b *Box) Settings(ctx context.Context) ([]byte, error) {
	var v []byte
	err := b.db.QueryRowContext(ctx, `SELECT settings FROM book`).Scan(&v)
	return v, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Settings", "%s cannot be read", b.cfg.Path)
}

// SaveSettings keeps the agent's configuration beside its records, so that it is
// in force from the first reading after a restart without the network.
func (b *Box) SaveSettings(ctx context.Context, v []byte) error {
	_, err := b.db.ExecContext(ctx, `UPDATE book SET settings = $1`, v)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.SaveSettings", "%s cannot be written", b.cfg.Path)
}

// Ping asks the file something, to see whether it answers.
func (b *Box) Ping(ctx context.Context) error {
	var last int64
	err := b.db.QueryRowContext(ctx, `SELECT last FROM book`).Scan(&last)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Ping", "%s does not answer", b.cfg.Path)
}

// Close writes the latest acknowledgement and closes the file. Twice is no harm.
func (b *Box) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	_, err := b.db.Exec(`UPDATE book SET acked = $1 WHERE epoch = $2 AND acked < $1`, b.place.Acked, b.place.Epoch)
	return coldkeep.Wrap(errors.Join(err, b.db.Close()), coldkeep.EUNAVAILABLE, "outbox.Close", "%s cannot be closed well", b.cfg.Path)
}

func (b *Box) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return err
	}
	return tx.Commit()
}

func null(t coldkeep.Temperature) any {
	if !t.Known() {
		return nil
	}
	return int64(t)
}

func scan(rows *sql.Rows) (Record, error) {
	var r Record
	var p, q string
	var c, raw, lo, hi sql.NullInt64
	err := rows.Scan(&r.Seq, &r.At, &p, &c, &raw, &lo, &hi, &q, &r.Event, &r.Detail, &r.Clock, &r.Config)
	r.Probe, r.Quality = coldkeep.ProbeID(p), coldkeep.Quality(q)
	r.Celsius, r.Raw, r.Lo, r.Hi = known(c), known(raw), known(lo), known(hi)
	return r, err
}

func known(v sql.NullInt64) coldkeep.Temperature {
	if !v.Valid {
		return coldkeep.NoTemperature
	}
	return coldkeep.Temperature(v.Int64)
}
