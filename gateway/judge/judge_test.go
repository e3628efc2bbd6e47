package judge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

const (
	none   = coldkeep.NoTemperature
	minute = int64(60_000)
	base   = int64(1_767_225_600_000) // 2026-01-01T00:00:00Z
)

// bench is a ledger and a readings store that outlive the judges of a test.
type bench struct {
	t     testing.TB
	store readings.Store
	led   *ledger.Ledger
	clock coldkeep.Clock
}

func newBench(t testing.TB, where string) *bench {
	store, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	led, err := ledger.Open(context.Background(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, store: store, led: led, clock: fixedClock(base + 60*24*3_600_000)}
}

type fixedClock int64

func (c fixedClock) Now() time.Time { return time.UnixMilli(int64(c)).UTC() }
func (c fixedClock) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// unit is a refrigerator with one probe.
type unit struct {
	series coldkeep.Series
	mirror coldkeep.Mirror
	epoch  string
}

func newUnit() *unit {
	u := &unit{series: coldkeep.Series{Site: "site", Agent: "agent", Probe: coldkeep.ProbeID(ulid.Make().String())}, epoch: ulid.Make().String()}
	ap := coldkeep.ApplianceID("fridge-" + string(u.series.Probe))
	u.mirror = coldkeep.Mirror{Revision: 1,
		Appliances:  []coldkeep.Appliance{{ID: ap, Site: "site", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}},
		Assignments: []coldkeep.Assignment{{Series: u.series, Appliance: ap, From: time.UnixMilli(base).UTC()}}}
	return u
}

func (b *bench) judge(store readings.Store, u *unit) *Judge {
	j := New(store, b.led, b.clock, slog.New(slog.DiscardHandler), nil)
	j.retryAfter, j.lateEvery, j.stillComing = time.Nanosecond, time.Nanosecond, 0
	j.SetMirror(u.mirror)
	return j
}

// work has a judge do all there is to do. What fails is tried again, a few times.
func work(j *Judge) {
	for range 20 {
		j.applyMirror()
		j.round(context.Background())
		j.loads.Wait()
		if len(j.due) == 0 {
			return
		}
		time.Sleep(time.Microsecond)
	}
}

// bring stores readings as ingest does, and gives them to a judge, if there is one.
func (b *bench) bring(t fataler, j *Judge, rs []coldkeep.Reading) {
	if done := b.enter(t, j, rs); done != nil {
		done(true)
	}
}

// enter makes readings durable and leaves it to the caller to tell the judge.
func (b *bench) enter(t fataler, j *Judge, rs []coldkeep.Reading) func(bool) {
	if len(rs) == 0 {
		return nil
	}
	take, done := &ledger.Take{}, func(bool) {}
	if j != nil {
		take.Unjudged, done = j.Expect(rs)
	}
	if err := b.store.Append(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	for i := range rs {
		take.Unlogged = append(take.Unlogged, ledger.Quarter{Series: rs[i].Series, From: coldkeep.IntervalStart(rs[i].At)})
	}
	if _, err := b.led.Enter(context.Background(), b.clock.Now(), take); err != nil {
		t.Fatal(err)
	}
	return done
}

type fataler interface{ Fatal(...any) }

func (u *unit) reading(seq int64, at int64, c coldkeep.Temperature) coldkeep.Reading {
	r := coldkeep.Reading{Series: u.series, Epoch: u.epoch, Seq: seq, At: at, Celsius: c, Raw: none, Lo: none, Hi: none}
	if !c.Known() {
		r.Quality = coldkeep.QualityRange
	}
	return r
}

// standing returns the excursions that are not withdrawn.
func (b *bench) standing(t fataler, u *unit) []coldkeep.Excursion {
	xs, err := b.led.ExcursionsOf(context.Background(), u.mirror.Appliances[0].ID, time.UnixMilli(0), time.UnixMilli(1<<50))
	if err != nil {
		t.Fatal(err)
	}
	var out []coldkeep.Excursion
	for _, x := range xs {
		if x.State != coldkeep.ExcursionWithdrawn {
			out = append(out, x)
		}
	}
	slices.Reverse(out)
	return out
}

// flaky fails a read now and then.
type flaky struct {
	readings.Store
	fail func() bool
}

var errFlaky = errors.New("store is away")

func (f flaky) Range(ctx context.Context, s coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	n := 0
	err := f.Store.Range(ctx, s, from, to, func(r *coldkeep.Reading) error {
		if n++; n%7 == 0 && f.fail() {
			return errFlaky
		}
		return each(r)
	})
	return err
}

// compare holds what stands against one look at all readings.
func (b *bench) compare(t *rapid.T, u *unit, all []coldkeep.Reading) {
	ap := u.mirror.Appliances[0]
	rules, err := compile(&ap)
	if err != nil {
		t.Fatal(err)
	}
	p := pastOf(&u.mirror, ap.ID)
	tr := &track{appliance: ap, past: p, rules: rules}
	var samples []excursion.Sample
	for _, r := range all {
		samples = append(samples, excursion.Sample{At: r.At, Seq: r.Seq, Probe: slices.Index(p.probes, r.Series), Celsius: r.Celsius, Quality: r.Quality})
	}
	var want []coldkeep.Excursion
	for _, f := range excursion.Judge(rules, p.history(math.MinInt64), samples, b.clock.Now().UnixMilli()) {
		if worthTelling(&f) && (f.Kind != coldkeep.NoData || f.End != 0) {
			x := tr.describe(&f, 0)
			calm(&x, nil)
			want = append(want, x.Excursion)
		}
	}
	got := b.standing(t, u)
	for _, xs := range [][]coldkeep.Excursion{got, want} {
		slices.SortFunc(xs, func(a, b coldkeep.Excursion) int {
			return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Probe, b.Probe))
		})
	}
	if len(got) != len(want) {
		t.Fatalf("got %d excursions\n%s\nwant %d\n%s", len(got), brief(got), len(want), brief(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		// The minutes and extreme of an open excursion are told now and then only.
		if g.State == coldkeep.ExcursionOpen {
			g.MinutesOut, g.Extreme, g.PeakAt, g.Probe = w.MinutesOut, w.Extreme, w.PeakAt, w.Probe
			g.DegreeMinutes, g.MKT, g.Witnesses = w.DegreeMinutes, w.MKT, w.Witnesses
		}
		// Whether a fault called a person depends on when it was seen.
		if g.Kind == coldkeep.SensorFault || g.Kind == coldkeep.NoData {
			g.Actions = w.Actions
		}
		g.ID, g.Revision, g.Reason = "", 0, ""
		if got, want := asJSON(g), asJSON(w); got != want {
			t.Fatalf("excursion %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
	b.checkFeed(t, u, got)
}

// brief shows excursions a line each.
func brief(xs []coldkeep.Excursion) string {
	var b strings.Builder
	for _, x := range xs {
		end := "open"
		if x.End != nil {
			end = x.End.Format("02 15:04:05.000")
		}
		fmt.Fprintf(&b, "%s–%s %s %s %s %v %s r%d %s\n", x.Start.Format("02 15:04:05.000"), end, x.Kind, x.Role, x.Probe[len(x.Probe)-2:], x.Actions, x.Reason, x.Revision, x.ID)
	}
	return b.String()
}

func asJSON(x coldkeep.Excursion) string {
	b, _ := json.Marshal(x) // always marshals
	return string(b)
}

// checkFeed follows the feed as alerts and the registry do: each excursion's
// revisions come one by one from 1, and the last is what stands.
func (b *bench) checkFeed(t *rapid.T, u *unit, standing []coldkeep.Excursion) {
	last := map[string]coldkeep.Excursion{}
	after := int64(0)
	for {
		changes, err := b.led.Changes(context.Background(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if c.N != after+1 {
				t.Fatalf("feed goes from %d to %d", after, c.N)
			}
			after = c.N
			if x := c.Excursion; x != nil && x.Appliance == u.mirror.Appliances[0].ID {
				if x.Revision != last[x.ID].Revision+1 {
					t.Fatalf("excursion %s goes from revision %d to %d", x.ID, last[x.ID].Revision, x.Revision)
				}
				last[x.ID] = *x
			}
		}
	}
	n := 0
	for _, x := range last {
		if x.State != coldkeep.ExcursionWithdrawn {
			n++
		}
	}
	if n != len(standing) {
		t.Fatalf("feed leaves %d excursions, %d stand", n, len(standing))
	}
}

// The temperature log of a morning, by hand.
func TestIntervals(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		u := newUnit()
		var rs []coldkeep.Reading
		seq := int64(0)
		add := func(m int64, c coldkeep.Temperature) {
			seq++
			rs = append(rs, u.reading(seq, base+m*minute, c))
		}
		for m := range int64(15) { // 00:00 to 00:14
			add(m, 5000+coldkeep.Temperature(m))
		}
		for m := int64(15); m < 20; m++ { // a fault from 00:15 to 00:20
			add(m, none)
		}
		add(20, 4000) // then silence until 01:10
		add(70, 6000)
		j := b.judge(b.store, u)
		b.round(t, j, rs)
		if err := j.logIntervals(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := b.intervals(t, 0)
		want := []string{
			"00:00 min 5 max 5.014 mean 5.007 n 15 gap 0 fault 0 rev 1",
			// The reading of 00:20 ends the fault; its silence of 50 minutes is a gap.
			"00:15 min 4 max 4 mean 4 n 1 gap 600 fault 300 rev 1",
			"00:30 min - max - mean - n 0 gap 900 fault 0 rev 1",
			"00:45 min - max - mean - n 0 gap 900 fault 0 rev 1",
			// Silence again after 01:10, as the clock of the test stands weeks later.
			"01:00 min 6 max 6 mean 6 n 1 gap 900 fault 0 rev 1",
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%q\nwant\n%q", got, want)
		}
		// A late reading makes a second revision of its own quarter hour only.
		b.round(t, j, []coldkeep.Reading{u.reading(seq+1, base+5*minute+1, 9000)})
		if err := j.logIntervals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if more := b.intervals(t, len(want)); !slices.Equal(more, []string{"00:00 min 5 max 9 mean 5.256 n 16 gap 0 fault 0 rev 2"}) {
			t.Fatalf("late reading told %q", more)
		}
	})
}

func (b *bench) intervals(t testing.TB, skip int) []string {
	changes, err := b.led.Changes(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		if in := c.Interval; in != nil {
			f := func(x coldkeep.Temperature) string {
				if !x.Known() {
					return "-"
				}
				return x.String()
			}
			out = append(out, fmt.Sprintf("%s min %s max %s mean %s n %d gap %d fault %d rev %d", in.From.Format("15:04"), f(in.Min), f(in.Max), f(in.Mean), in.Readings, in.GapSec, in.FaultSec, in.Revision))
		}
	}
	return out[skip:]
}

// A probe that is assigned later is judged from its assignment on, over readings
// that were stored long before.
func TestAssignedLater(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		u := newUnit()
		var rs []coldkeep.Reading
		for m := range int64(120) {
			rs = append(rs, u.reading(m+1, base+m*minute, 9000))
		}
		unassigned := *u
		unassigned.mirror.Assignments = nil
		j := b.judge(b.store, &unassigned)
		b.round(t, j, rs)
		if xs := b.standing(t, u); len(xs) != 0 {
			t.Fatalf("judged without an appliance: %+v", xs)
		}
		u.mirror.Assignments[0].From = time.UnixMilli(base + 60*minute).UTC()
		j.SetMirror(u.mirror)
		work(j)
		xs := b.standing(t, u)
		if len(xs) != 1 || !xs[0].Start.Equal(time.UnixMilli(base+60*minute)) || xs[0].State != coldkeep.ExcursionOpen || !xs[0].Has(coldkeep.ActionHold) {
			t.Fatalf("got %+v", xs)
		}
		st, err := j.Status(t.Context())
		if err != nil || len(st) != 1 || st[0].State != coldkeep.StateExcursion || st[0].Celsius != 9000 {
			t.Fatalf("status %+v, %v", st, err)
		}
	})
}

// minutes makes one reading a minute from one minute to another, both included.
func (u *unit) minutes(from, to int64, c coldkeep.Temperature) (rs []coldkeep.Reading) {
	for m := from; m <= to; m++ {
		rs = append(rs, u.reading(m+1, base+m*minute, c))
	}
	return rs
}

func (b *bench) round(t *testing.T, j *Judge, rs []coldkeep.Reading) {
	t.Helper()
	work(j)
	b.bring(t, j, rs)
	work(j)
}

// An excursion is moved back by late readings and then split by later ones, so
// that its second part begins where it first began: two excursions, two ids, and
// the judge goes on.
func TestLateSplitAtTheFirstStart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		u := newUnit()
		j := b.judge(b.store, u)
		b.round(t, j, u.minutes(600, 660, 9000))
		b.round(t, j, u.minutes(540, 560, 9000))
		b.round(t, j, u.minutes(561, 599, 5000))
		b.round(t, j, u.minutes(661, 720, -1000))
		xs := slices.DeleteFunc(b.standing(t, u), func(x coldkeep.Excursion) bool { return x.Kind == coldkeep.NoData })
		if len(xs) != 3 || xs[0].ID == xs[1].ID {
			t.Fatalf("got %+v", xs)
		}
		for i, want := range []struct {
			kind  coldkeep.Kind
			start int64
		}{{coldkeep.TooWarm, 540}, {coldkeep.TooWarm, 600}, {coldkeep.TooCold, 661}} {
			if xs[i].Kind != want.kind || xs[i].Start.UnixMilli() != base+want.start*minute {
				t.Errorf("excursion %d is %s from %v", i, xs[i].Kind, xs[i].Start)
			}
		}
	})
}

// A late reading between two closes the gap in every quarter hour that it crossed.
func TestLateReadingMendsTheLog(t *testing.T) {
	logOf := func(order ...[]int64) map[string]string {
		b := newBench(t, databasetest.SQLite(t))
		u := newUnit()
		j := b.judge(b.store, u)
		for _, minutes := range order {
			var rs []coldkeep.Reading
			for _, m := range minutes {
				rs = append(rs, u.reading(m+1, base+m*minute, 5000))
			}
			b.round(t, j, rs)
			if err := j.logIntervals(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		lines := map[string]string{}
		for _, s := range b.intervals(t, 0) { // later revisions come later
			lines[s[:5]] = s[:len(s)-len(" rev 1")]
		}
		return lines
	}
	late := logOf([]int64{0, 10, 50, 60, 75, 90}, []int64{30})
	inTime := logOf([]int64{0, 10, 30, 50, 60, 75, 90})
	if fmt.Sprint(late) != fmt.Sprint(inTime) {
		t.Fatalf("late\n%v\nin time\n%v", late, inTime)
	}
}

// A probe's stay ends, and the registry corrects when: live and restarted say the
// same, and an excursion that was open when it left is over for the unit.
func TestStayEnds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		u := newUnit()
		j := b.judge(b.store, u)
		b.round(t, j, u.minutes(0, 59, 9000))
		for _, left := range []int64{50, 20, 40} { // as people correct themselves
			to := time.UnixMilli(base + left*minute).UTC()
			u.mirror.Assignments[0].To = &to
			j.SetMirror(u.mirror)
			b.round(t, j, nil)
			live := b.standing(t, u)
			b.round(t, b.judge(b.store, u), nil)
			for name, xs := range map[string][]coldkeep.Excursion{"live": live, "restarted": b.standing(t, u)} {
				if len(xs) != 1 || xs[0].State != coldkeep.ExcursionClosed || !xs[0].End.Equal(to) || xs[0].MinutesOut != float64(left) {
					t.Fatalf("%s, left at %d: %+v", name, left, xs)
				}
			}
		}
	})
}

// A probe that has fallen silent never hides what a live one says.
func TestSilentProbeHidesNothing(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	ap := u.mirror.Appliances[0].ID
	second := u.series
	second.Probe += "-2"
	never := u.series
	never.Probe += "-3"
	for _, s := range []coldkeep.Series{second, never} {
		u.mirror.Assignments = append(u.mirror.Assignments, coldkeep.Assignment{Series: s, Appliance: ap, From: time.UnixMilli(base).UTC()})
	}
	b.clock = fixedClock(base + 600*minute)
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 10, 6000)) // and then nothing for hours
	other := *u
	other.series = second
	for _, c := range []struct {
		temperature coldkeep.Temperature
		want        coldkeep.State
	}{{5000, coldkeep.StateOK}, {9000, coldkeep.StateWarning}} {
		at := int64(598)
		if c.want == coldkeep.StateWarning {
			at = 599
		}
		b.round(t, j, other.minutes(at, at, c.temperature))
		st, err := j.Status(t.Context())
		if err != nil || len(st) != 1 || st[0].State != c.want || st[0].Celsius != c.temperature || st[0].Probe != second.String() {
			t.Fatalf("%v: %+v, %v", c.temperature, st, err)
		}
	}
}
