package devices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// lines are what was told, as text: "pi-1 1 open [warn] reason".
func (r *rig) lines() []string {
	var out []string
	for _, x := range r.told {
		_, agent, _ := strings.Cut(x.Probe, "/")
		span := x.Start.Format("15:04")
		if x.End != nil {
			span += "-" + x.End.Format("15:04")
		}
		out = append(out, fmt.Sprintf("%s %d %s %v %s: %s", agent, x.Revision, x.State, x.Actions, span, x.Reason))
	}
	return out
}

func expect(t *testing.T, r *rig, want ...string) {
	t.Helper()
	if got := r.lines(); !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// one is a mirror with one device, whose probe stands in a fridge.
func one() coldkeep.Mirror {
	m := clinic()
	m.Devices, m.Assignments = m.Devices[:1], m.Assignments[2:3]
	return *m
}

// live has the device send a reading a minute, with its clock off by some.
func (r *rig) live(t failer, minutes int, off time.Duration, stamp string) {
	for range minutes {
		r.pass(t, time.Minute)
		r.Heard("lakeside", "pi-1", r.clock.Now(), r.clock.Now().Add(off-time.Second).UnixMilli(), stamp)
	}
	r.do(t)
}

func TestSilence(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		listening := true
		r := newRig(t, databasetest.Open(t, where), func(c *Config) { c.Listening = func() bool { return listening } })
		r.SetMirror(one())
		health := func() coldkeep.DeviceHealth {
			t.Helper()
			h := r.Health()
			if len(h) != 1 {
				t.Fatalf("%+v", h)
			}
			return h[0]
		}
		r.live(t, 10, 0, wire.ClockNTP)
		if h := health(); !h.Online || h.LastHeard == nil || !h.LastHeard.Equal(r.clock.Now()) || h.Clock != wire.ClockNTP || h.WantConfig != 1 || len(h.Faults) != 0 {
			t.Errorf("%+v", h)
		}
		expect(t, r)
		// Five minutes of silence are still nothing, more are.
		r.pass(t, 5*time.Minute)
		if h := health(); !h.Online {
			t.Errorf("%+v", h)
		}
		r.pass(t, time.Second)
		want := []string{"pi-1 1 open [warn] 00:10: nothing has come from the device for more than 5m0s"}
		expect(t, r, want...)
		if h := health(); h.Online || len(h.Faults) != 1 {
			t.Errorf("%+v", h)
		}
		// A restart neither repeats it nor forgets it, and takes nobody's silence of
		// before for silence now.
		r.restart(t)
		r.SetMirror(one())
		r.pass(t, time.Hour)
		expect(t, r, want...)
		r.live(t, 1, 0, wire.ClockNTP)
		want = append(want, "pi-1 2 closed [warn] 00:10-01:16: the device sends again")
		expect(t, r, want...)
		// A will is silence only once it lasts; and a birth is a sign of life.
		r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1}, false)
		r.pass(t, time.Minute)
		if h := health(); h.Online {
			t.Errorf("after its will: %+v", h)
		}
		r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1, Online: true, Version: "1.2", Probes: []wire.ProbeInfo{{Probe: "z"}, {Probe: "a"}}}, false)
		r.pass(t, 4*time.Minute)
		if h := health(); !h.Online || h.Version != "1.2" || !slices.Equal(h.Probes, []coldkeep.ProbeID{"a", "z"}) || !slices.Equal(h.Unassigned, []coldkeep.ProbeID{"z"}) {
			t.Errorf("after its birth: %+v", h)
		}
		// While the collector cannot hear, nobody is silent; nor right after.
		listening = false
		r.pass(t, 3*time.Hour)
		listening = true
		r.pass(t, time.Minute)
		expect(t, r, want...)
		// A retained birth is no sign of life: the broker tells it whenever we come back.
		r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1, Online: true}, true)
		r.pass(t, 6*time.Minute)
		want = append(want, "pi-1 1 open [warn] 01:17: nothing has come from the device for more than 5m0s")
		expect(t, r, want...)
		// Who has left is not missed.
		r.SetMirror(coldkeep.Mirror{Revision: 2})
		r.pass(t, time.Minute)
		want = append(want, "pi-1 2 closed [warn] 01:17-04:29: the registry does not have this device any more")
		expect(t, r, want...)
		if h := health(); len(h.Faults) != 1 || h.WantConfig != 0 {
			t.Errorf("after it left: %+v", h)
		}
		// It is back, and still silent: the same fault goes on.
		m := one()
		m.Revision = 3
		r.SetMirror(m)
		r.pass(t, time.Minute)
		expect(t, r, append(want, "pi-1 3 open [warn] 01:17: nothing has come from the device for more than 5m0s")...)
	})
}

// A device that never came is told of when something depends on it.
func TestNeverHeardOf(t *testing.T) {
	r := newRig(t, databasetest.Open(t, databasetest.SQLite(t)), nil)
	m := one()
	m.Devices = append(m.Devices, coldkeep.Device{Site: "lakeside", Agent: "in-its-box"})
	r.SetMirror(m)
	r.do(t)
	r.pass(t, 6*time.Minute)
	expect(t, r, "pi-1 1 open [warn] 00:00: nothing has ever come from the device")
	if h := r.Health(); len(h) != 2 || h[0].Agent != "in-its-box" || h[0].Online || h[0].LastHeard != nil || h[0].WantConfig != 1 {
		t.Errorf("%+v", h)
	}
}

func TestClocks(t *testing.T) {
	for what, c := range map[string]struct {
		play func(t *testing.T, r *rig)
		want []string
	}{
		"right": {func(t *testing.T, r *rig) { r.live(t, 60, 0, wire.ClockNTP) }, nil},
		"two minutes are let pass": {func(t *testing.T, r *rig) {
			r.live(t, 60, 2*time.Minute, wire.ClockNTP)
			r.live(t, 60, -2*time.Minute+time.Second, wire.ClockRTC)
		}, nil},
		"ahead, then right": {func(t *testing.T, r *rig) {
			r.live(t, 4, 3*time.Minute, wire.ClockRTC)
			expect(t, r)
			r.live(t, 20, 3*time.Minute, wire.ClockRTC)
			r.live(t, 2, 0, wire.ClockNTP)
			if h := r.Health()[0]; h.ClockSkewMS != 179_000 {
				t.Errorf("%+v", h)
			}
			r.live(t, 20, 0, wire.ClockNTP)
		}, []string{
			"pi-1 1 open [warn] 00:01: the device's clock is 2m59s ahead of the collector's",
			"pi-1 2 closed [warn] 00:01-00:27: the device's clock is right again",
		}},
		"behind by hours": {func(t *testing.T, r *rig) { r.live(t, 20, -7*time.Hour, wire.ClockNTP) },
			[]string{"pi-1 1 open [alert] 00:01: the device's clock is 7h0m1s behind the collector's"}},
		"from bad to worse": {func(t *testing.T, r *rig) {
			r.live(t, 10, -5*time.Minute, wire.ClockNTP)
			r.live(t, 10, -30*time.Minute, wire.ClockNTP)
			r.live(t, 10, -5*time.Minute, wire.ClockNTP) // no less alarming for that
		}, []string{
			"pi-1 1 open [warn] 00:01: the device's clock is 5m1s behind the collector's",
			"pi-1 2 open [alert] 00:01: the device's clock is 30m1s behind the collector's",
		}},
		"a restart in between": {func(t *testing.T, r *rig) {
			r.live(t, 10, time.Hour, wire.ClockNTP)
			if err := r.save(context.Background()); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				r.restart(t)
				r.SetMirror(one())
				r.live(t, 10, time.Hour, wire.ClockNTP)
			}
			r.live(t, 10, 0, wire.ClockNTP)
		}, []string{
			"pi-1 1 open [alert] 00:01: the device's clock is 59m59s ahead of the collector's",
			"pi-1 2 closed [alert] 00:01-00:43: the device's clock is right again",
		}},
		"a backlog is not a clock": {func(t *testing.T, r *rig) {
			// Three days of records come at 60 times the pace of life.
			for behind := 72 * time.Hour; behind > 0; behind -= 5 * time.Minute {
				r.Heard("lakeside", "pi-1", r.clock.Now(), r.clock.Now().Add(-behind).UnixMilli(), wire.ClockNTP)
				r.pass(t, 5*time.Second)
			}
			r.live(t, 10, 0, wire.ClockNTP)
		}, nil},
		"a backlog beside live records": {func(t *testing.T, r *rig) {
			for i := range 60 {
				r.live(t, 1, 0, wire.ClockNTP)
				r.Heard("lakeside", "pi-1", r.clock.Now(), r.clock.Now().Add(time.Duration(i-600)*10*time.Minute).UnixMilli(), wire.ClockNTP)
			}
		}, nil},
		"nothing new": {func(t *testing.T, r *rig) {
			for range 20 {
				r.pass(t, time.Minute)
				r.Heard("lakeside", "pi-1", r.clock.Now(), 0, wire.ClockNTP) // repeated records
			}
		}, nil},
		"a Pi that starts": {func(t *testing.T, r *rig) {
			r.live(t, 9, 0, wire.ClockUnsynced)
			r.live(t, 10, 0, wire.ClockNTP)
		}, nil},
		"nothing sets it": {func(t *testing.T, r *rig) {
			r.live(t, 30, 0, wire.ClockUnsynced)
			r.live(t, 1, 0, wire.ClockRTC)
		}, []string{
			"pi-1 1 open [warn] 00:01: nothing sets the device's clock; the times of its readings may be wrong",
			"pi-1 2 closed [warn] 00:01-00:31: the device's clock is set again",
		}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, databasetest.Open(t, databasetest.SQLite(t)), nil)
			r.SetMirror(one())
			c.play(t, r)
			expect(t, r, c.want...)
		})
	}
}

// On a clock that runs 120 times as fast, five seconds of a busy machine are ten
// minutes, and no reason to warn of anything.
func TestFastClock(t *testing.T) {
	r := newRig(t, databasetest.Open(t, databasetest.SQLite(t)), func(c *Config) { c.Speed = 120 })
	r.SetMirror(one())
	r.live(t, 10, -9*time.Minute, wire.ClockNTP)
	r.pass(t, 10*time.Minute)
	expect(t, r)
	r.pass(t, time.Second)
	if len(r.told) != 1 {
		t.Errorf("%v", r.lines())
	}
}

// book is a ledger with the query that Evidence needs.
type book struct {
	*ledger.Ledger
	db *database.DB
}

func (b book) FaultsSince(ctx context.Context, since time.Time) ([]ledger.EvidenceFault, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT site, agent, epoch, kind, subject, detail, raised_at FROM evidence_fault WHERE raised_at >= $1 ORDER BY raised_at`, since.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ledger.EvidenceFault
	for rows.Next() {
		var f ledger.EvidenceFault
		var at int64
		if err := rows.Scan(&f.Site, &f.Agent, &f.Epoch.Epoch, &f.Kind, &f.Subject, &f.Detail, &at); err != nil {
			return nil, err
		}
		f.At = database.Time(at)
		out = append(out, f)
	}
	return out, rows.Err()
}

func evidenceRig(t *testing.T, where string) (*rig, book) {
	t.Helper()
	db := databasetest.Open(t, where)
	led, err := ledger.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	b := book{led, db}
	r := newRig(t, db, func(c *Config) { c.Evidence = b })
	m := one()
	m.Assignments = nil
	r.SetMirror(m)
	r.do(t)
	return r, b
}

func TestEvidenceIsTold(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		r, b := evidenceRig(t, where)
		pi := ledger.Epoch{Site: "lakeside", Agent: "pi-1", Epoch: "01JD3K8W2M5N6P7Q8R9S0T1V2W"}
		raise := func(kind, subject, detail string) {
			t.Helper()
			if err := b.Raise(t.Context(), r.clock.Now(), pi, kind, subject, detail); err != nil {
				t.Fatal(err)
			}
		}
		r.pass(t, time.Minute)
		raise(ledger.FaultChainBroken, "17", "the records up to 17 give another hash")
		r.pass(t, time.Minute)
		for i := range 30 { // one after the other: one fault
			raise(ledger.FaultChainBroken, fmt.Sprint(20+i), "again")
			r.pass(t, 2*time.Minute)
			if i%7 == 0 {
				r.restart(t)
				r.SetMirror(one())
			}
		}
		raise("payload-bad", "x", "not JSON")
		r.pass(t, 57*time.Minute)
		want := []string{
			"pi-1 1 open [alert] 00:01: the chain of the device's log is broken: the records up to 17 give another hash",
			"pi-1 1 open [alert] 01:02: payload-bad: not JSON",
		}
		got := func() []string { // of evidence only
			var out []string
			for _, l := range r.lines() {
				if !strings.Contains(l, "[warn]") {
					out = append(out, l)
				}
			}
			return out
		}
		if !slices.Equal(got(), want) {
			t.Errorf("told\n%s", strings.Join(got(), "\n"))
		}
		r.pass(t, time.Hour)
		want = append(want, "pi-1 2 closed [alert] 00:01-01:00: not seen again for 1h0m0s", "pi-1 2 closed [alert] 01:02-01:02: not seen again for 1h0m0s")
		slices.Sort(want)
		if g := got(); !slices.Equal(slices.Sorted(slices.Values(g)), want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(g, "\n"), strings.Join(want, "\n"))
		}
		// After the end a new one is a new fault, and old ones stay told.
		r.restart(t)
		r.SetMirror(one())
		r.pass(t, time.Minute)
		n := len(got())
		raise(ledger.FaultChainBroken, "99", "")
		r.pass(t, time.Minute)
		if g := got(); len(g) != n+1 || g[n] != "pi-1 1 open [alert] 03:00: the chain of the device's log is broken" {
			t.Errorf("told\n%s", strings.Join(g, "\n"))
		}
	})
}

func TestNewKeyIsAFaultUntilItIsTrusted(t *testing.T) {
	r, b := evidenceRig(t, databasetest.SQLite(t))
	r.pass(t, time.Minute)
	for _, key := range []string{"first", "second"} {
		if _, err := b.NoteKey(t.Context(), r.clock.Now(), "lakeside", "pi-1", key, "pub"); err != nil {
			t.Fatal(err)
		}
	}
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1, Online: true, Key: "second"}, false)
	r.do(t)
	for range 48 {
		r.pass(t, time.Hour)
		r.Heard("lakeside", "pi-1", r.clock.Now(), 0, wire.ClockNTP)
	}
	alerts := slices.DeleteFunc(r.lines(), func(l string) bool { return strings.Contains(l, "[warn]") })
	if len(alerts) != 1 || !strings.HasPrefix(alerts[0], "pi-1 1 open [alert] 00:01: the device's key has changed") {
		t.Fatalf("told %q", alerts)
	}
	if _, err := b.db.ExecContext(t.Context(), `UPDATE device_key SET trusted = 1 WHERE key = 'second'`); err != nil {
		t.Fatal(err)
	}
	r.pass(t, time.Minute)
	alerts = slices.DeleteFunc(r.lines(), func(l string) bool { return strings.Contains(l, "[warn]") })
	if len(alerts) != 2 || !strings.HasSuffix(alerts[1], "the key that the device shows is trusted") {
		t.Errorf("told %q", alerts)
	}
}

// Whenever the process dies and whatever Tell answers, each revision of a fault is
// told in its order, none is left out, and what is open at the end is what is wrong.
func TestCrashesNeitherRepeatNorForget(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "PRAGMA synchronous=OFF"); err != nil { // no power is cut here
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, table := range []string{"devices_config", "devices_seen", "devices_fault", "devices_tell", "devices_place"} {
			_, _ = db.ExecContext(context.Background(), "DELETE FROM "+table) // absent before the first Open
		}
		mode := "well"
		var r *rig
		r = newRig(t, db, func(c *Config) {
			c.Tell = func(_ context.Context, list []coldkeep.Excursion) error {
				switch mode {
				case "refuses":
					return errors.New("the ledger is away")
				case "dies after": // told, but it could not be taken off the list
					r.keep(list)
					return errors.New("killed")
				}
				r.keep(list)
				return nil
			}
		})
		r.SetMirror(one())
		off, stamp := time.Duration(0), wire.ClockNTP
		step := func() {
			if err := r.step(context.Background()); err != nil && mode == "well" {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"live": func(t *rapid.T) {
				for range rapid.IntRange(1, 15).Draw(t, "minutes") {
					r.clock.pass(time.Minute)
					r.machine = r.machine.Add(time.Minute)
					r.Heard("lakeside", "pi-1", r.clock.Now(), r.clock.Now().Add(off).UnixMilli(), stamp)
					step()
				}
			},
			"silence": func(t *rapid.T) {
				for range rapid.IntRange(1, 3).Draw(t, "times") {
					r.clock.pass(3 * time.Minute)
					step()
				}
			},
			"clock": func(t *rapid.T) {
				off = rapid.SampledFrom([]time.Duration{0, 5 * time.Minute, -time.Hour}).Draw(t, "off")
				stamp = rapid.SampledFrom([]string{wire.ClockNTP, wire.ClockUnsynced}).Draw(t, "stamp")
			},
			"tell": func(t *rapid.T) { mode = rapid.SampledFrom([]string{"well", "refuses", "dies after"}).Draw(t, "mode") },
			"die": func(t *rapid.T) {
				r.restart(t)
				r.SetMirror(one())
			},
			"": func(t *rapid.T) {
				latest := map[string]coldkeep.Excursion{}
				for _, x := range r.told {
					was := latest[x.ID]
					if x.Revision != was.Revision+1 {
						t.Fatalf("told revision %d after %d of %s", x.Revision, was.Revision, x.ID)
					}
					latest[x.ID] = x
				}
			},
		})
		mode, off, stamp = "well", 0, wire.ClockNTP
		for range 15 {
			r.clock.pass(time.Minute)
			r.machine = r.machine.Add(time.Minute)
			r.Heard("lakeside", "pi-1", r.clock.Now(), r.clock.Now().UnixMilli(), stamp)
			step()
		}
		latest := map[string]coldkeep.ExcursionState{}
		for _, x := range r.told {
			latest[x.ID] = x.State
		}
		for id, state := range latest {
			if state != coldkeep.ExcursionClosed {
				t.Fatalf("%s is %s while all is well:\n%s", id, state, strings.Join(r.lines(), "\n"))
			}
		}
		if h := r.Health()[0]; len(h.Faults) != 0 || !h.Online {
			t.Fatalf("%+v", h)
		}
	})
}
