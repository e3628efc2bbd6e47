package judge

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// One silence, and a second probe is put in meanwhile.
func TestSilenceProbeAdded(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	c := &moving{}
	c.at.Store(base)
	b.clock = c
	// Another probe had stood there first.
	was := u.mirror.Assignments[0]
	was.Series.Probe = "0" + was.Series.Probe
	to := time.UnixMilli(base + 5*minute).UTC()
	was.To = &to
	u.mirror.Assignments = append(u.mirror.Assignments, was)
	u.mirror.Assignments[0].From = to
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(6, 20, 5000))
	c.at.Store(base + 300*minute)
	j.lookForSilence()
	work(j)
	as := u.mirror.Assignments[0]
	as.Series.Probe += "-2"
	as.From = time.UnixMilli(base + 300*minute).UTC()
	u.mirror.Assignments = append(u.mirror.Assignments, as)
	j.SetMirror(u.mirror)
	work(j)
	c.at.Store(base + 302*minute)
	j.lookForSilence()
	work(j)
	xs, _ := b.led.ExcursionsOf(t.Context(), u.mirror.Appliances[0].ID, time.UnixMilli(0), time.UnixMilli(1<<50))
	for _, x := range xs {
		t.Logf("%s %s %s %v state %s: %s", x.ID, x.Kind, x.Probe, x.Actions, x.State, x.Reason)
	}
	if len(xs) != 1 {
		t.Fatal("want one silence")
	}
}

// A probe's readings come before the registry says that it stands in a unit that is judged.
func TestLogOfAddedProbe(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 700, 5000))
	v := *u
	v.series.Probe += "-2"
	b.round(t, j, v.minutes(600, 700, 4000))
	for range 3 {
		if err := j.logIntervals(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := len(b.intervals(t, 0))
	as := u.mirror.Assignments[0]
	as.Series = v.series
	as.From = time.UnixMilli(base + 600*minute).UTC()
	u.mirror.Assignments = append(u.mirror.Assignments, as)
	j.SetMirror(u.mirror)
	work(j)
	for range 3 {
		if err := j.logIntervals(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.intervals(t, before)); n < 7 {
		t.Fatalf("%d lines of the log for 100 minutes of the second probe", n)
	}
}

func TestMirrorCost(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	m := u.mirror
	m.Appliances, m.Assignments = nil, nil
	for i := range 10_000 {
		ap := u.mirror.Appliances[0]
		ap.ID = coldkeep.ApplianceID(fmt.Sprint("fridge-", i))
		as := u.mirror.Assignments[0]
		as.Appliance = ap.ID
		as.Series.Agent = coldkeep.AgentID(fmt.Sprint("agent-", i))
		m.Appliances, m.Assignments = append(m.Appliances, ap), append(m.Assignments, as)
	}
	j := New(b.store, b.led, b.clock, j0, nil)
	for range 2 {
		j.SetMirror(m)
		s := time.Now()
		j.applyMirror()
		t.Logf("applyMirror held the lock for %v", time.Since(s))
	}
}

var j0 = slog.New(slog.DiscardHandler)
