package evidence_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

const (
	none = coldkeep.NoTemperature
	base = int64(1_767_225_600_000) // 2026-01-01T00:00:00Z
	late = base + 400*24*3600*1000  // what is after it is quarantined
)

type outboxRecord = outbox.Record

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// fataler is a *testing.T, B or rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// store is a readings store that can be verified.
type store interface {
	readings.Store
	evidence.Source
}

// centre is a ledger and a readings store, and takes batches as ingest does.
type centre struct {
	t     fataler
	db    *database.DB
	led   *ledger.Ledger
	store store
	path  string // of the SQLite readings, "" on InfluxDB
	seals *evidence.Arrivals
	now   time.Time
}

func newCentre(t testing.TB, where string, s store, path string) *centre {
	t.Helper()
	db := databasetest.Open(t, where)
	led, err := ledger.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &centre{t: t, db: db, led: led, store: s, path: path, seals: evidence.NewArrivals(led), now: time.UnixMilli(late)}
}

func sqliteStore(t testing.TB) (store, string) {
	path := filepath.Join(t.TempDir(), "readings.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

// eachCentre runs a test over both ledgers and both readings stores.
func eachCentre(t *testing.T, test func(t *testing.T, c *centre)) {
	databasetest.Each(t, func(t *testing.T, where string) {
		t.Run("readings in SQLite", func(t *testing.T) {
			s, path := sqliteStore(t)
			test(t, newCentre(t, where, s, path))
		})
	})
	t.Run("readings in InfluxDB", func(t *testing.T) {
		test(t, newCentre(t, databasetest.SQLite(t), influxStore(t), ""))
	})
}

const influxURL = "COLDKEEP_TEST_INFLUX_URL"

func influxConfig(t testing.TB) influx.Config {
	url := os.Getenv(influxURL)
	if url == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not set", influxURL)
		}
		t.Skipf("no InfluxDB: %s is not set (the test command in the README sets it)", influxURL)
	}
	return influx.Config{URL: url, Token: os.Getenv("COLDKEEP_TEST_INFLUX_TOKEN"),
		Org: os.Getenv("COLDKEEP_TEST_INFLUX_ORG"), Bucket: os.Getenv("COLDKEEP_TEST_INFLUX_BUCKET")}
}

func influxStore(t testing.TB) store {
	s, err := influx.Open(influxConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// take stores a batch as ingest does, in one go.
func (c *centre) take(d *device, b *wire.Batch) ledger.Entry {
	c.t.Helper()
	ctx := context.Background()
	got, bad, err := wire.DecodeBatch(wire.AppendBatch(nil, b), late)
	if err != nil {
		c.t.Fatal(err)
	}
	e := ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: b.Epoch}
	known, err := c.led.Ranges(ctx, e)
	if err != nil {
		c.t.Fatal(err)
	}
	entry := ledger.Entry{Epoch: e, From: got.Seq, To: got.Seq + int64(len(got.Records)) - 1, Oldest: got.Oldest, Clock: got.Clock, Config: got.Config}
	isBad := map[int64]bool{}
	for _, x := range bad {
		if isBad[x.Seq] = true; !known.Has(x.Seq) {
			entry.Bad = append(entry.Bad, x)
		}
	}
	var rs []coldkeep.Reading
	for i, r := range got.Records {
		seq := got.Seq + int64(i)
		switch {
		case isBad[seq] || known.Has(seq):
		case r.IsEvent():
			entry.Events = append(entry.Events, ledger.Event{Seq: seq, Record: r})
		default:
			rs = append(rs, coldkeep.Reading{Series: coldkeep.Series{Site: d.site, Agent: d.agent, Probe: r.Probe}, Epoch: b.Epoch, Seq: seq,
				At: r.At, Celsius: r.Celsius, Raw: r.Raw, Lo: r.Lo, Hi: r.Hi, Quality: r.Quality})
		}
	}
	if err := c.seals.Take(ctx, c.now, &entry, got, bad); err != nil {
		c.t.Fatal(err)
	}
	if err := c.store.Append(ctx, rs); err != nil {
		c.t.Fatal(err)
	}
	entries := []ledger.Entry{entry}
	if _, err := c.led.Commit(ctx, c.now, entries); err != nil {
		c.t.Fatal(err)
	}
	return entries[0]
}

func (c *centre) noteKey(d *device) {
	c.t.Helper()
	pub := d.key.Public().(ed25519.PublicKey)
	if _, err := c.led.NoteKey(context.Background(), c.now, d.site, d.agent, wire.KeyID(pub), wire.EncodeKey(pub)); err != nil {
		c.t.Fatal(err)
	}
	c.seals.ForgetKeys(d.site, d.agent)
}

// verify gives the findings as "kind from-to", notes apart.
func (c *centre) verify(scope evidence.Scope) (found []evidence.Finding, sum evidence.Summary) {
	c.t.Helper()
	v := (&evidence.Verifier{Ledger: c.led, Readings: c.store}).Small()
	sum, err := v.Verify(context.Background(), scope, func(f evidence.Finding) error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return found, sum
}

func (c *centre) mustBeWhole(d *device) evidence.Summary {
	c.t.Helper()
	found, sum := c.verify(evidence.Scope{Site: d.site, Agent: d.agent})
	if !sum.Whole || len(found) != 0 {
		c.t.Fatalf("not whole:\n%s%+v", show(found), sum)
	}
	return sum
}

func show(found []evidence.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %d-%d %s %s: %s\n", f.Kind, f.FromSeq, f.ToSeq, stamp(f.From), stamp(f.To), f.Detail)
	}
	return b.String()
}

func stamp(t *time.Time) string {
	if t == nil {
		return "?"
	}
	return t.Format("02T15:04")
}

// exec changes the ledger behind its back.
func (c *centre) exec(query string, args ...any) {
	c.t.Helper()
	res, err := c.db.ExecContext(context.Background(), query, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		c.t.Fatalf("%s: %d rows, %v", query, n, err)
	}
}

// readingsExec changes the readings' SQLite file behind its back.
func (c *centre) readingsExec(query string, args ...any) {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+c.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		c.t.Fatal(err)
	}
}

// device is an outbox with a key.
type device struct {
	t     fataler
	site  coldkeep.SiteID
	agent coldkeep.AgentID
	key   ed25519.PrivateKey
	box   *outbox.Box
	epoch string
}

func newDevice(t fataler, dir string) *device {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, "a device's key")
	d := &device{t: t, site: "clinic", agent: coldkeep.AgentID("pi-" + strings.ToLower(ulid.Make().String())), key: ed25519.NewKeyFromSeed(seed)}
	d.open(dir)
	return d
}

func (d *device) open(dir string) {
	d.t.Helper()
	var err error
	d.box, err = outbox.Open(context.Background(), outbox.Config{Path: filepath.Join(dir, "outbox.db"), Site: d.site, Agent: d.agent, Key: d.key})
	if err != nil {
		d.t.Fatal(err)
	}
	d.epoch = d.box.State().Epoch
}

func (d *device) append(records ...outbox.Record) {
	d.t.Helper()
	if err := d.box.Append(context.Background(), records); err != nil {
		d.t.Fatal(err)
	}
}

func sample(p string, at int64, c coldkeep.Temperature) outbox.Record {
	return outbox.Record{Record: wire.Record{Probe: coldkeep.ProbeID(p), At: at, Celsius: c, Raw: c + 125, Lo: none, Hi: c + 50}, Clock: wire.ClockNTP, Config: 3}
}

func event(name string, at int64) outbox.Record {
	return outbox.Record{Record: wire.Record{At: at, Celsius: none, Raw: none, Lo: none, Hi: none, Event: name, Detail: "ups 87 %"}, Clock: wire.ClockNTP, Config: 3}
}

// threeHours records three probes every minute, with events, a fault, another
// configuration, and a record that the collector quarantines.
func (d *device) threeHours() {
	d.append(event(wire.EventBoot, base-1000))
	for m := range int64(180) {
		at := base + m*60_000
		tick := []outbox.Record{sample("a", at, coldkeep.Temperature(4000+m)), sample("b", at+120, coldkeep.Temperature(5000-m)), sample("c", at+240, 3)}
		if m == 40 {
			tick[1].Celsius, tick[1].Raw, tick[1].Hi, tick[1].Quality = none, none, none, coldkeep.QualityCRC
		}
		if m >= 100 {
			for i := range tick {
				tick[i].Clock, tick[i].Config = wire.ClockRTC, 4
			}
		}
		d.append(tick...)
		if m == 70 {
			d.append(event(wire.EventPowerLost, at+500))
		}
		if m == 75 {
			d.append(sample("a", late+1, 4000)) // from the future
		}
	}
}

// batches gives what the uplink would send of records from one seq on.
func (d *device) batches(from int64, limit int) (out []*wire.Batch) {
	d.t.Helper()
	for {
		b := d.batch(from, limit)
		if b == nil {
			return out
		}
		out = append(out, b)
		from += int64(len(b.Records))
	}
}

func (d *device) batch(from int64, limit int) *wire.Batch {
	d.t.Helper()
	ctx := context.Background()
	records, err := d.box.ReadFrom(ctx, from, limit, 200_000)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(records) == 0 {
		return nil
	}
	b := &wire.Batch{Epoch: d.epoch, Seq: records[0].Seq, Oldest: d.box.State().Oldest, Clock: records[0].Clock, Config: records[0].Config}
	for _, r := range records {
		b.Records = append(b.Records, r.Record)
	}
	if b.Seal, err = d.box.Seal(ctx, records[len(records)-1].Seq); err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *device) series(p string) coldkeep.Series {
	return coldkeep.Series{Site: d.site, Agent: d.agent, Probe: coldkeep.ProbeID(p)}
}

func wireKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))
}
