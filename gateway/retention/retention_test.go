package retention_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/retention"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// clock shows what it is set to.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                                   { return c.now }
func (c *clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

const (
	site   = coldkeep.SiteID("clinic")
	probes = 3
	step   = 30 * 24 * time.Hour // between two samples
)

var begin = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// centre is a collector's two stores, without the rest of it.
type centre struct {
	t      fataler
	db     *database.DB
	led    *ledger.Ledger
	store  *sqlite.Store
	seals  *evidence.Arrivals
	clock  *clock
	mirror coldkeep.Mirror
	keeper *retention.Keeper
	came   map[coldkeep.Reading]time.Time
}

func newCentre(t fataler, db *database.DB, store *sqlite.Store) *centre {
	led, err := ledger.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	c := &centre{t: t, db: db, led: led, store: store, seals: evidence.NewArrivals(led), clock: &clock{begin}, came: map[coldkeep.Reading]time.Time{}}
	c.keeper = &retention.Keeper{Ledger: led, Store: store, Mirror: func() coldkeep.Mirror { return c.mirror }, Clock: c.clock, Log: slog.New(slog.DiscardHandler)}
	return c
}

// device is one that samples all its probes at a time, and seals or not.
type device struct {
	agent coldkeep.AgentID
	key   ed25519.PrivateKey // nil: it does not seal
	epoch string
	seq   int64
	hash  wire.Hash
}

func (c *centre) device(agent coldkeep.AgentID, profile string, seals bool) *device {
	d := &device{agent: agent}
	if seals {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			c.t.Fatal(err)
		}
		d.key = key
		if _, err := c.led.NoteKey(context.Background(), c.clock.now, site, agent, wire.KeyID(pub), wire.EncodeKey(pub)); err != nil {
			c.t.Fatal(err)
		}
		c.seals.ForgetKeys(site, agent)
	}
	d.card()
	unit := coldkeep.ApplianceID("fridge-" + string(agent))
	c.mirror.Appliances = append(c.mirror.Appliances, coldkeep.Appliance{ID: unit, Site: site, Unit: coldkeep.Refrigerator, Profile: profile, InService: true})
	for p := range probes {
		c.mirror.Assignments = append(c.mirror.Assignments, coldkeep.Assignment{Appliance: unit, From: begin,
			Series: coldkeep.Series{Site: site, Agent: agent, Probe: coldkeep.ProbeID(fmt.Sprint("p", p))}})
	}
	return d
}

// card gives a device a new card, and so a new epoch.
func (d *device) card() {
	d.epoch, d.seq = fmt.Sprint(ulid.Make()), 0
	d.hash = wire.FirstHash(site, d.agent, d.epoch)
}

// sample has a device take and deliver one sample of each probe, at a time of its own
// clock, and an event.
func (c *centre) sample(d *device, at time.Time) {
	c.t.Helper()
	const none = coldkeep.NoTemperature
	b := &wire.Batch{Epoch: d.epoch, Seq: d.seq + 1, Oldest: 1, Clock: wire.ClockNTP}
	for p := range probes {
		b.Records = append(b.Records, wire.Record{Probe: coldkeep.ProbeID(fmt.Sprint("p", p)), At: at.UnixMilli(), Celsius: coldkeep.Temperature(4000 + p), Raw: none, Lo: none, Hi: none})
	}
	b.Records = append(b.Records, wire.Record{Event: "boot", At: at.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none})
	e := ledger.Entry{Epoch: ledger.Epoch{Site: site, Agent: d.agent, Epoch: d.epoch}, From: b.Seq, To: b.Seq + probes, Oldest: 1, Clock: b.Clock}
	var rs []coldkeep.Reading
	for i := range b.Records {
		r := &b.Records[i]
		d.seq++
		d.hash = d.hash.Next(wire.AppendCanonical(nil, d.seq, r, b.Clock, 0))
		if r.IsEvent() {
			e.Events = append(e.Events, ledger.Event{Seq: d.seq, Record: *r})
			continue
		}
		x := coldkeep.Reading{Series: coldkeep.Series{Site: site, Agent: d.agent, Probe: r.Probe}, Epoch: d.epoch, Seq: d.seq, At: r.At, Celsius: r.Celsius, Raw: none, Lo: none, Hi: none}
		rs = append(rs, x)
		c.came[x] = c.clock.now
	}
	if d.key != nil {
		b.Seal = wire.NewSeal(d.key, site, d.agent, d.epoch, d.seq, 1, d.hash)
	}
	ctx := context.Background()
	if err := c.seals.Take(ctx, c.clock.now, &e, b, nil); err != nil {
		c.t.Fatal(err)
	}
	if err := c.store.Append(ctx, rs); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.led.Commit(ctx, c.clock.now, []ledger.Entry{e}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) pass() {
	c.t.Helper()
	if err := c.keeper.Pass(context.Background()); err != nil {
		c.t.Fatal(err)
	}
}

// stored gives what is left of a device's readings.
func (c *centre) stored(d *device) map[coldkeep.Reading]bool {
	c.t.Helper()
	out := map[coldkeep.Reading]bool{}
	for p := range probes {
		s := coldkeep.Series{Site: site, Agent: d.agent, Probe: coldkeep.ProbeID(fmt.Sprint("p", p))}
		if err := c.store.Range(context.Background(), s, math.MinInt64, math.MaxInt64, func(r *coldkeep.Reading) error {
			out[*r] = true
			return nil
		}); err != nil {
			c.t.Fatal(err)
		}
	}
	return out
}

// kept checks that nothing has gone that is not years old by the collector's clock and
// by its own time, and returns how much has gone.
func (c *centre) kept(d *device, years int) (gone int) {
	c.t.Helper()
	stored := c.stored(d)
	since := c.clock.now.AddDate(-years, 0, 0)
	for r, at := range c.came {
		switch {
		case r.Agent != d.agent || stored[r]:
		case at.After(since) || r.Time().After(since):
			c.t.Fatalf("%s: reading %d of %v, which came at %v, is gone at %v", d.agent, r.Seq, r.Time(), at, c.clock.now)
		default:
			gone++
		}
	}
	return gone
}

func (c *centre) whole() evidence.Summary {
	c.t.Helper()
	found := ""
	sum, err := (&evidence.Verifier{Ledger: c.led, Readings: c.store}).Verify(context.Background(), evidence.Scope{}, func(f evidence.Finding) error {
		found += fmt.Sprintf("%s %s %d-%d %s\n", f.Kind, f.Agent, f.FromSeq, f.ToSeq, f.Detail)
		return nil
	})
	if err != nil || !sum.Whole {
		c.t.Fatalf("%v, %+v\n%s", err, sum, found)
	}
	return sum
}

func openStore(t testing.TB) *sqlite.Store {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Years of three devices: what is older than the longest of what anybody asks for
// goes, proofs stay whole, and without being told to nothing goes.
func TestWhatIsOldGoes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := newCentre(t, databasetest.Open(t, where), openStore(t))
		cdc, open, texas := c.device("a-cdc", "cdc", true), c.device("b-open", "cdc", false), c.device("c-texas", "texas", true)
		all := []*device{cdc, open, texas}
		years := func(n int) {
			for range n * 12 {
				for _, d := range all {
					c.sample(d, c.clock.now)
				}
				c.pass()
				c.clock.now = c.clock.now.Add(step)
			}
		}
		years(4)
		for _, d := range all {
			if gone := c.kept(d, 100); gone != 0 {
				t.Errorf("%s: %d readings have gone, and nobody said so", d.agent, gone)
			}
		}
		c.keeper.Years = 3
		years(3)
		for _, x := range []struct {
			*device
			years, least, most int // of months that have gone
		}{{cdc, 3, 40, 47}, {open, 3, 40, 47}, {texas, 5, 16, 23}} {
			if gone := c.kept(x.device, x.years); gone < x.least*probes || gone > x.most*probes {
				t.Errorf("%s: %d of %d readings have gone", x.agent, gone, 84*probes)
			}
		}
		// The one that does not seal is told of for that; the others are whole.
		sum, err := (&evidence.Verifier{Ledger: c.led, Readings: c.store}).Verify(t.Context(), evidence.Scope{}, func(f evidence.Finding) error {
			if !f.Note && (f.Agent != open.agent || f.Kind != evidence.KindUnsealed) {
				t.Errorf("%+v", f)
			}
			return nil
		})
		if err != nil || sum.Findings[evidence.KindLetGo] != 3 {
			t.Errorf("%v, %+v", err, sum)
		}
		events, err := c.led.Events(t.Context(), ledger.Epoch{Site: site, Agent: cdc.agent, Epoch: cdc.epoch}, 0, 1000)
		if err != nil || len(events) < 37 || len(events) > 44 {
			t.Errorf("%d events are left, %v", len(events), err)
		}
	})
}

// Whatever devices' clocks say, and however often they get a new card: nothing goes
// that came, or says it was measured, within the years, and what is left is whole.
func TestNothingGoesTooEarly(t *testing.T) {
	store := openStore(t)
	db := databasetest.Open(t, databasetest.SQLite(t))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		c := newCentre(rt, db, store)
		c.keeper.Years = rapid.IntRange(3, 4).Draw(rt, "years")
		d := c.device(coldkeep.AgentID(fmt.Sprint("a-", run)), "cdc", true)
		wrong := rapid.IntRange(0, 15).Draw(rt, "trouble, percent")
		for month := range 6 * 7 { // every other
			at := c.clock.now
			if dice := rapid.IntRange(0, 99).Draw(rt, "dice"); dice < wrong {
				at = at.Add(time.Duration(rapid.IntRange(-14*365, 3*365).Draw(rt, "days wrong")) * 24 * time.Hour)
			} else if dice == 99 {
				d.card()
			}
			c.sample(d, at)
			if month%3 == 2 {
				c.pass()
			}
			if month%12 == 11 {
				c.kept(d, c.keeper.Years)
			}
			c.clock.now = c.clock.now.Add(2 * step)
		}
		gone := c.kept(d, c.keeper.Years)
		if wrong == 0 && gone < 6*probes {
			rt.Fatalf("only %d have gone in seven years", gone)
		}
		found := ""
		sum, err := (&evidence.Verifier{Ledger: c.led, Readings: c.store}).Verify(context.Background(), evidence.Scope{Agent: d.agent}, func(f evidence.Finding) error {
			found += fmt.Sprintf("%+v\n", f)
			return nil
		})
		if err != nil || !sum.Whole {
			rt.Fatalf("%v, %+v\n%s", err, sum, found)
		}
	})
}

// What stands in the way keeps everything of a device: no place in the registry, an
// excursion that goes on, a lease that is another's.
func TestWhatKeepsEverything(t *testing.T) {
	for name, keep := range map[string]func(c *centre, d *device){
		"no place in the registry": func(c *centre, _ *device) { c.mirror.Assignments = nil },
		"no such profile":          func(c *centre, _ *device) { c.mirror.Appliances[0].Profile = "atlantis" },
		"an excursion that goes on": func(c *centre, d *device) {
			x := ledger.Judged{Excursion: coldkeep.Excursion{ID: "x", Site: site, Appliance: "fridge-a", Revision: 1, Kind: coldkeep.NoData, State: coldkeep.ExcursionOpen, Start: begin}}
			if err := c.led.SaveJudgements(context.Background(), c.clock.now, nil, []ledger.Judgement{{Track: ledger.Track{Appliance: "fridge-a"}, Site: site, Rewound: math.MaxInt64, Revised: []ledger.Judged{x}}}); err != nil {
				c.t.Fatal(err)
			}
		},
		"another leads": func(c *centre, _ *device) {
			c.keeper.Fence = func(context.Context, *sql.Tx) error { return coldkeep.Errorf(coldkeep.ECONFLICT, "another leads") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCentre(t, databasetest.Open(t, databasetest.SQLite(t)), openStore(t))
			c.keeper.Years = 3
			d := c.device("a", "cdc", true)
			keep(c, d)
			for range 12 * 5 {
				c.sample(d, c.clock.now)
				if err := c.keeper.Pass(t.Context()); err != nil && c.keeper.Fence == nil {
					t.Fatal(err)
				}
				c.clock.now = c.clock.now.Add(step)
			}
			if gone := c.kept(d, 100); gone != 0 {
				t.Errorf("%d readings have gone", gone)
			}
			c.whole()
		})
	}
}

// Readings that come with a time of then, between letting go and removing, keep what
// was to be removed.
func TestComesBetween(t *testing.T) {
	c := newCentre(t, databasetest.Open(t, databasetest.SQLite(t)), openStore(t))
	c.keeper.Years = 3
	d := c.device("a", "cdc", true)
	for {
		c.sample(d, c.clock.now)
		c.pass()
		if g, err := c.led.LetGo(t.Context(), site, d.agent); err != nil {
			t.Fatal(err)
		} else if g.Before != 0 {
			break
		}
		c.clock.now = c.clock.now.Add(step)
	}
	c.sample(d, begin.Add(time.Hour))
	c.clock.now = c.clock.now.Add(48 * time.Hour)
	c.pass()
	if gone := c.kept(d, 100); gone != 0 {
		t.Errorf("%d readings have gone", gone)
	}
	c.whole()
}

// place is a consumer of the feed.
type place int64

func (p place) Place(context.Context) (int64, error) { return int64(p), nil }

// The feed is kept until everyone has read it, and a month.
func TestTrim(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := newCentre(t, databasetest.Open(t, where), openStore(t))
		for i := range 10 {
			if err := c.led.Tell(t.Context(), c.clock.now, []coldkeep.Excursion{{ID: fmt.Sprint(i), Revision: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		left := func() int64 {
			t.Helper()
			c.pass()
			list, err := c.led.Changes(t.Context(), 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			return int64(len(list))
		}
		if n := left(); n != 10 {
			t.Fatalf("%d left, and nobody is known to have read any", n)
		}
		c.keeper.Consumers = []retention.Consumer{place(7), place(3)}
		if n := left(); n != 10 {
			t.Fatalf("%d left within the month", n)
		}
		c.clock.now = c.clock.now.Add(31 * 24 * time.Hour)
		if n := left(); n != 7 {
			t.Fatalf("%d left, want those after 3", n)
		}
		// Of checkpoints older than a month one a week is left, and the next goes on.
		track := ledger.Track{Appliance: "fridge", Rules: "r"}
		var points []ledger.Checkpoint
		for h := 0; h < 60*24; h += 6 {
			points = append(points, ledger.Checkpoint{At: begin.Add(time.Duration(h) * time.Hour).UnixMilli(), State: []byte("{}")})
		}
		if err := c.led.SaveJudgements(t.Context(), c.clock.now, nil, []ledger.Judgement{{Track: track, Rewound: math.MaxInt64, Checkpoints: points}}); err != nil {
			t.Fatal(err)
		}
		c.clock.now = begin.Add(60 * 24 * time.Hour)
		c.pass()
		var n int
		if err := c.db.QueryRow(`SELECT COUNT(*) FROM appliance_checkpoint`).Scan(&n); err != nil || n < 30*4+4 || n > 30*4+6 {
			t.Fatalf("%d checkpoints are left, %v", n, err)
		}
	})
}
