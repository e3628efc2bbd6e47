package judge

import (
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

func (b *bench) report(t *testing.T, u *unit, seq int64, name string, m int64) {
	take := &ledger.Take{Entries: []ledger.Entry{{Epoch: ledger.Epoch{Site: "site", Agent: "agent", Epoch: u.epoch}, From: seq, To: seq, Oldest: 1,
		Events: []ledger.Event{{Seq: seq, Record: wire.Record{Event: name, Probe: u.series.Probe, At: base + m*minute}}}}}}
	if _, err := b.led.Enter(t.Context(), b.clock.Now(), take); err != nil {
		t.Fatal(err)
	}
}

// A door that opens where the probe stands now is not the old unit's.
func TestDoorOfAnotherUnit(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	c := &movingClock{at: base + 10*minute}
	b.clock = c
	u.mirror.Appliances[0].Profile = "who-pqs"
	two(u)
	old := u.mirror.Appliances[1].ID
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 100, 5000))
	b.report(t, u, 1000, wire.EventDoorOpen, 101)
	c.at = base + 130*minute
	j.lookForSilence()
	work(j)
	xs, _ := b.led.ExcursionsOf(t.Context(), old, time.UnixMilli(0), time.UnixMilli(1<<50))
	for _, x := range xs {
		if x.Kind == coldkeep.DoorOpen {
			t.Fatalf("door of %s, which the probe left at minute 50: %v", x.Appliance, x.Actions)
		}
	}
}

// Power that was lost for eight days comes back.
func TestLongPower(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	u.mirror.Appliances[0].Profile = "who-pqs"
	c := &movingClock{at: base + 10*minute}
	b.clock = c
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 10, 5000))
	for i, ev := range [][2]string{{wire.EventDoorOpen, wire.EventDoorClosed}, {wire.EventPowerLost, wire.EventPowerBack}} {
		b.report(t, u, 1000+int64(i), ev[0], 12)
	}
	c.at = base + 2000*minute
	b.round(t, j, u.minutes(2000, 2000, 5000))
	t.Logf("%s", brief(b.standing(t, u)))
	for i, ev := range [][2]string{{wire.EventDoorOpen, wire.EventDoorClosed}, {wire.EventPowerLost, wire.EventPowerBack}} {
		b.report(t, u, 2000+int64(i), ev[1], 8*1440)
	}
	c.at = base + 8*1440*minute + 5*minute
	b.round(t, j, u.minutes(8*1440+4, 8*1440+5, 5000))
	for _, x := range b.standing(t, u) {
		if (x.Kind == coldkeep.DoorOpen || x.Kind == coldkeep.PowerLost) && x.State == coldkeep.ExcursionOpen {
			t.Errorf("%s is open for ever", x.Kind)
		}
	}
}
