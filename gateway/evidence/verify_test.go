package evidence_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// furnished is a centre that has three hours of a device.
func furnished(t *testing.T, c *centre) *device {
	d := newDevice(t, t.TempDir())
	t.Cleanup(func() { _ = d.box.Close() })
	c.noteKey(d)
	d.threeHours()
	for _, b := range d.batches(1, 40) {
		c.take(d, b)
	}
	return d
}

func TestWhole(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		d := furnished(t, c)
		sum := c.mustBeWhole(d)
		if sum.Readings != 540 || sum.Events != 2 || sum.Quarantined != 1 || sum.Proven+sum.Unsealed != 543 || sum.Seals < 12 || sum.Unsealed > 45 ||
			len(sum.Keys) != 1 || !sum.Keys[0].Trusted || sum.Keys[0].Seals != sum.Seals {
			t.Errorf("summary %+v", sum)
		}
		open, err := c.led.OpenSeals(t.Context(), ledger.OpenSeal{}, 100)
		if err != nil || len(open) != 0 {
			t.Errorf("%d seals were not checked on arrival, %v", len(open), err)
		}
	})
}

// victim is a reading in the middle of a seal's interval: probe b of minute 50.
const victimMinute = 50

func victim(t *testing.T, c *centre, d *device) coldkeep.Reading {
	t.Helper()
	var out []coldkeep.Reading
	at := base + victimMinute*60_000
	if err := c.store.Range(t.Context(), d.series("b"), at, at+1000, func(r *coldkeep.Reading) error { out = append(out, *r); return nil }); err != nil || len(out) != 1 {
		t.Fatalf("%d readings of minute %d, %v", len(out), victimMinute, err)
	}
	return out[0]
}

// remove deletes a reading from its store.
func remove(t *testing.T, c *centre, r coldkeep.Reading) {
	t.Helper()
	if c.path != "" {
		c.readingsExec(`DELETE FROM reading WHERE at = ? AND seq = ?`, r.At, r.Seq)
		return
	}
	q := fmt.Sprintf(`DELETE FROM reading WHERE agent = '%s' AND probe = '%s' AND time = %d`, r.Agent, r.Probe, r.At*1_000_000+r.Seq%1_000_000)
	resp, err := http.PostForm(influxConfig(t).URL+"/query", url.Values{"db": {"coldkeep"}, "q": {q}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func insert(t *testing.T, c *centre, r coldkeep.Reading) {
	t.Helper()
	// InfluxDB 1.8 may take a point into the delete that came just before it, also a
	// moment after it was there: it has to be seen a few times in a row.
	want, seen := 1, 0
	if c.path == "" {
		want = 4
	}
	for range 200 {
		if err := c.store.Append(t.Context(), []coldkeep.Reading{r}); err != nil {
			t.Fatal(err)
		}
		there := false
		if err := c.store.Range(t.Context(), r.Series, r.At, r.At+1, func(x *coldkeep.Reading) error { there = there || *x == r; return nil }); err != nil {
			t.Fatal(err)
		}
		if !there {
			seen = 0
		} else if seen++; seen == want {
			return
		}
		_ = coldkeep.RealClock{}.Sleep(t.Context(), 50*time.Millisecond)
	}
	t.Fatalf("%+v cannot be written", r)
}

// TestTamper changes one thing in either store and wants it found and pointed at.
func TestTamper(t *testing.T) {
	type tamper struct {
		name  string
		do    func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading // gives what was touched
		kind  evidence.Kind
		exact bool // the seq itself is told, and not the stretch between two seals
	}
	replace := func(change func(r *coldkeep.Reading)) func(*testing.T, *centre, *device, coldkeep.Reading) coldkeep.Reading {
		return func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			remove(t, c, r)
			n := r
			change(&n)
			insert(t, c, n)
			return r
		}
	}
	event := func(t *testing.T, c *centre, d *device) ledger.Event {
		ev, err := c.led.Events(t.Context(), ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}, 1, 1)
		if err != nil || len(ev) != 1 {
			t.Fatal(ev, err)
		}
		return ev[0]
	}
	where := ` WHERE agent = $1`
	for _, x := range []tamper{
		{"value by a thousandth", replace(func(r *coldkeep.Reading) { r.Celsius++ }), evidence.KindAltered, false},
		{"value taken away", replace(func(r *coldkeep.Reading) { r.Celsius, r.Quality = none, coldkeep.QualityMissing }), evidence.KindAltered, false},
		{"raw value", replace(func(r *coldkeep.Reading) { r.Raw = none }), evidence.KindAltered, false},
		{"highest value", replace(func(r *coldkeep.Reading) { r.Hi -= 1000 }), evidence.KindAltered, false},
		{"quality", replace(func(r *coldkeep.Reading) { r.Quality = coldkeep.QualityUncalibrated }), evidence.KindAltered, false},
		{"time by a second", replace(func(r *coldkeep.Reading) { r.At += 1000 }), evidence.KindAltered, false},
		{"time by a month", replace(func(r *coldkeep.Reading) { r.At -= 30 * 24 * 3600 * 1000 }), evidence.KindAltered, false},
		{"probe", replace(func(r *coldkeep.Reading) { r.Probe = "z" }), evidence.KindAltered, false},
		{"number", replace(func(r *coldkeep.Reading) { r.Seq += 100_000 }), evidence.KindMissing, true},
		{"epoch", replace(func(r *coldkeep.Reading) { r.Epoch = "01JD3K8W2M5N6P7Q8R9S0T1V2W" }), evidence.KindMissing, true},
		{"deleted", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			remove(t, c, r)
			return r
		}, evidence.KindMissing, true},
		{"inserted beside", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			r.At, r.Celsius = r.At+7, 5555
			insert(t, c, r)
			return r
		}, evidence.KindInserted, true},
		{"inserted after the end", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			r.Seq += 1_000_000
			insert(t, c, r)
			return r
		}, evidence.KindInserted, true},
		{"inserted with a new epoch", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			r.Epoch = "01JD3K8W2M5N6P7Q8R9S0T1V2W"
			insert(t, c, r)
			return r
		}, evidence.KindInserted, true},
		{"inserted with a new probe", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			r.Probe = "z"
			insert(t, c, r)
			return r
		}, evidence.KindInserted, true},
		{"event's detail", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			ev := event(t, c, d)
			c.exec(`UPDATE event SET detail = 'ups 99 %'`+where+` AND seq = $2`, d.agent, ev.Seq)
			return coldkeep.Reading{Seq: ev.Seq, At: ev.Record.At}
		}, evidence.KindAltered, false},
		{"event deleted", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			ev := event(t, c, d)
			c.exec(`DELETE FROM event`+where+` AND seq = $2`, d.agent, ev.Seq)
			return coldkeep.Reading{Seq: ev.Seq, At: ev.Record.At}
		}, evidence.KindMissing, true},
		// That record claims a time a year ahead, and was sealed at once for it.
		{"quarantined record", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			q, err := c.led.QuarantinedAfter(t.Context(), ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}, 0, 1)
			if err != nil || len(q) != 1 {
				t.Fatal(q, err)
			}
			c.exec(`UPDATE quarantine SET body = $2`+where, d.agent, []byte(strings.Replace(string(q[0].Body), `"c":4`, `"c":5`, 1)))
			return coldkeep.Reading{Seq: q[0].Seq, At: base + 75*60_000}
		}, evidence.KindAltered, false},
		{"stamp's configuration", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			c.exec(`UPDATE stamp SET cfg = 9`+where+` AND from_seq <= $2 AND to_seq >= $2`, d.agent, r.Seq)
			return r
		}, evidence.KindAltered, false},
		{"range taken out of the book", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			c.exec(`UPDATE seq_range SET to_seq = $2`+where, d.agent, r.Seq-1)
			return r
		}, evidence.KindInserted, false},
		{"seal's hash", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			return changeSeal(t, c, d, r, `hash = (SELECT MAX(hash) FROM seal s WHERE s.agent = seal.agent AND s.seq < seal.seq)`)
		}, evidence.KindSeal, true},
		{"seal's signature", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			return changeSeal(t, c, d, r, `sig = (SELECT MAX(sig) FROM seal s WHERE s.agent = seal.agent AND s.seq < seal.seq)`)
		}, evidence.KindSeal, true},
		{"seal's oldest", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			return changeSeal(t, c, d, r, `oldest = oldest + 1`)
		}, evidence.KindSeal, true},
		{"seal's number", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			at := changeSeal(t, c, d, r, `seq = seq - 1`)
			at.Seq--
			return at
		}, evidence.KindSeal, true},
		{"seal deleted", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			s := sealAfter(t, c, d, r.Seq)
			c.exec(`DELETE FROM seal`+where+` AND seq = $2`, d.agent, s.Seq)
			return coldkeep.Reading{Seq: s.Seq, At: s.At}
		}, evidence.KindUnsealed, false},
		{"key's bytes", func(t *testing.T, c *centre, d *device, r coldkeep.Reading) coldkeep.Reading {
			c.exec(`UPDATE device_key SET pub = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'`+where, d.agent)
			s := sealAfter(t, c, d, r.Seq)
			return coldkeep.Reading{Seq: s.Seq, At: s.At}
		}, evidence.KindSeal, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			eachCentre(t, func(t *testing.T, c *centre) {
				d := furnished(t, c)
				touched := x.do(t, c, d, victim(t, c, d))
				found, sum := c.verify(evidence.Scope{Agent: d.agent})
				if sum.Whole {
					t.Fatal("the log is whole")
				}
				pointed := false
				for _, f := range found {
					if f.Kind != x.kind || f.FromSeq > touched.Seq || touched.Seq > f.ToSeq || x.exact && x.kind != evidence.KindSeal && f.FromSeq != f.ToSeq {
						continue
					}
					pointed = pointed || (f.From == nil || f.From.UnixMilli() <= touched.At) && (f.To == nil || f.To.UnixMilli() >= touched.At)
					// Neighbouring seals are a quarter of an hour apart.
					if x.kind == evidence.KindAltered && x.name != "stamp's configuration" && x.name != "quarantined record" && (f.From == nil || f.To == nil || f.To.Sub(*f.From) > 16*time.Minute) {
						t.Errorf("told from %v to %v: wider than a seal's interval", f.From, f.To)
					}
				}
				if !pointed {
					t.Errorf("%s of record %d at %s is not told:\n%s", x.kind, touched.Seq, time.UnixMilli(touched.At).UTC(), show(found))
				}
			})
		})
	}
}

func sealAfter(t *testing.T, c *centre, d *device, seq int64) ledger.Seal {
	t.Helper()
	s, err := c.led.Seals(t.Context(), ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}, seq, "", 1)
	if err != nil || len(s) != 1 {
		t.Fatal(s, err)
	}
	return s[0]
}

func changeSeal(t *testing.T, c *centre, d *device, r coldkeep.Reading, set string) coldkeep.Reading {
	t.Helper()
	s := sealAfter(t, c, d, r.Seq)
	c.exec(`UPDATE seal SET `+set+` WHERE agent = $1 AND seq = $2`, d.agent, s.Seq)
	return coldkeep.Reading{Seq: s.Seq, At: s.At}
}

// A gap that may yet be filled, and one that never is, are two things.
func TestGaps(t *testing.T) {
	s, path := sqliteStore(t)
	c := newCentre(t, databasetest.SQLite(t), s, path)
	d := newDevice(t, t.TempDir())
	c.noteKey(d)
	d.threeHours()
	bs := d.batches(1, 1000)
	for i, b := range bs {
		if i < 2 || i == 6 {
			continue
		}
		if i >= 2 {
			b.Oldest = bs[2].Seq
		}
		c.take(d, b)
	}
	found, sum := c.verify(evidence.Scope{})
	want := map[evidence.Kind][2]int64{
		evidence.KindLost: {1, bs[2].Seq - 1},
		evidence.KindGap:  {bs[6].Seq, bs[7].Seq - 1},
	}
	for _, f := range found {
		if w, ok := want[f.Kind]; ok && w == [2]int64{f.FromSeq, f.ToSeq} {
			delete(want, f.Kind)
		}
	}
	if sum.Whole || len(want) != 0 || sum.Findings[evidence.KindAltered] != 0 {
		t.Errorf("not told: %v\n%s", want, show(found))
	}
	// The rest is proven: every whole interval between two seals.
	if sum.Proven < 380 {
		t.Errorf("only %d records proven", sum.Proven)
	}
}

// A part of the log is verified by the seals around it.
func TestScope(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		d := furnished(t, c)
		r := victim(t, c, d)
		at := func(m int) time.Time { return time.UnixMilli(base + int64(m)*60_000) }
		remove(t, c, r)
		for _, x := range []struct {
			from, to int
			whole    bool
		}{{0, 30, true}, {80, 100, true}, {80, 1000, true}, {-100, -50, true}, {500, 1000, true}, {45, 55, false}, {50, 51, false}, {0, 1000, false}} {
			found, sum := c.verify(evidence.Scope{Agent: d.agent, From: at(x.from), To: at(x.to)})
			if sum.Whole != x.whole {
				t.Errorf("minutes %d to %d: whole %v\n%s", x.from, x.to, sum.Whole, show(found))
			}
			if x.to <= 55 && sum.Readings > 450 {
				t.Errorf("minutes %d to %d: %d readings were read", x.from, x.to, sum.Readings)
			}
		}
		v := &evidence.Verifier{Ledger: c.led, Readings: c.store}
		if _, err := v.Verify(t.Context(), evidence.Scope{Site: "elsewhere"}, nil); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Error(err)
		}
		if _, err := v.Verify(t.Context(), evidence.Scope{From: at(5), To: at(5)}, nil); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Error(err)
		}
	})
}

// A payload that could not be read, and whose records came again, is noted; records
// that never came are a gap beside it.
func TestUnreadablePayload(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		d := newDevice(t, t.TempDir())
		t.Cleanup(func() { _ = d.box.Close() })
		c.noteKey(d)
		d.threeHours()
		bs := d.batches(1, 40)
		mine := evidence.Scope{Site: d.site, Agent: d.agent}
		unreadable := &ledger.Take{Refused: []ledger.Refused{{Device: ledger.Device{Site: d.site, Agent: d.agent}, Reason: "payload is not a batch", Body: []byte("x")}}}
		if _, err := c.led.Enter(t.Context(), c.now, unreadable); err != nil {
			t.Fatal(err)
		}
		for i, b := range bs {
			if i != 5 {
				c.take(d, b)
			}
		}
		if found, sum := c.verify(mine); sum.Whole || sum.Findings[evidence.KindGap] != 1 || sum.Findings[evidence.KindPayload] != 1 {
			t.Errorf("without one batch: %+v\n%s", sum, show(found))
		}
		c.take(d, bs[5]) // as the device sends it again
		if found, sum := c.verify(mine); !sum.Whole || len(found) != 1 || found[0].Kind != evidence.KindPayload || !found[0].Note {
			t.Errorf("with all of them: %+v\n%s", sum, show(found))
		}
	})
}

// What a collector has stored and not entered yet is given its time.
func TestBesideACollectorAtWork(t *testing.T) {
	s, path := sqliteStore(t)
	c := newCentre(t, databasetest.SQLite(t), s, path)
	d := furnished(t, c)
	r := victim(t, c, d)
	r.Seq, r.At = 544, base+180*60_000
	insert(t, c, r)
	if found, sum := c.verify(evidence.Scope{}); sum.Whole || found[0].Kind != evidence.KindInserted {
		t.Fatal(show(found))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = coldkeep.RealClock{}.Sleep(context.Background(), 300*time.Millisecond)
		e := ledger.Entry{Epoch: ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}, From: 544, To: 544, Oldest: 1, Clock: "rtc", Config: 4}
		if _, err := c.led.Commit(context.Background(), c.now, []ledger.Entry{e}); err != nil {
			t.Error(err)
		}
	}()
	sum, err := (&evidence.Verifier{Ledger: c.led, Readings: c.store}).Verify(t.Context(), evidence.Scope{}, func(f evidence.Finding) error {
		t.Errorf("%+v", f)
		return nil
	})
	<-done
	if err != nil || !sum.Whole {
		t.Errorf("%+v, %v", sum, err)
	}
}
