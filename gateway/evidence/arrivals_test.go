package evidence_test

import (
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

func kinds(t *testing.T, c *centre, d *device) (out []string) {
	t.Helper()
	faults, err := c.led.EvidenceFaults(t.Context(), d.site, d.agent)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		out = append(out, f.Kind)
	}
	return out
}

// A seal whose signature is wrong is refused and costs nothing else; at the third
// time its range is void, kept and raised.
func TestWrongSignatureThreeTimes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, path := sqliteStore(t)
		c := newCentre(t, where, s, path)
		d := newDevice(t, t.TempDir())
		c.noteKey(d)
		d.threeHours()
		bs := d.batches(1, 1000)
		for _, b := range bs[:3] {
			c.take(d, b)
		}
		bad := *bs[3].Seal
		bad.Sig = bs[2].Seal.Sig
		sealed := bs[3].Seal.Seq
		bs[3].Seal = &bad
		for try := int64(1); try <= 4; try++ {
			e := c.take(d, bs[3])
			if got := e.Seals[0]; got.Refused == "" || got.Tries != try || (got.VoidFrom != 0) != (try == ledger.VoidAfter) {
				t.Errorf("try %d: %+v", try, got)
			}
		}
		for _, b := range bs[4:] {
			if e := c.take(d, b); e.Seals != nil && e.Seals[0].Chain != ledger.ChainWhole {
				t.Errorf("seal after the refused one: %+v", e.Seals[0])
			}
		}
		e := ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}
		voids, err := c.led.Voids(t.Context(), e)
		if err != nil || len(voids) != 1 || voids[0].From != bs[3].Seq || voids[0].To != sealed {
			t.Errorf("void %+v, %v, want %d to %d", voids, err, bs[3].Seq, sealed)
		}
		if got := kinds(t, c, d); len(got) != 1 || got[0] != ledger.FaultVoid {
			t.Errorf("raised %v", got)
		}
		// The chain runs on: the next seal proves the records, the void range is told.
		found, sum := c.verify(evidence.Scope{})
		if sum.Whole || sum.Findings[evidence.KindVoid] != 1 || sum.Findings[evidence.KindAltered] != 0 || sum.Proven+sum.Unsealed != 543 {
			t.Errorf("%+v\n%s", sum, show(found))
		}
	})
}

// Whatever stands where a seal should be, the records beside it are taken.
func TestMalformedSeals(t *testing.T) {
	s, path := sqliteStore(t)
	c := newCentre(t, databasetest.SQLite(t), s, path)
	d := newDevice(t, t.TempDir())
	c.noteKey(d)
	d.append(sample("a", base, 4000))
	good := *d.batch(1, 10).Seal
	for name, change := range map[string]func(*wire.Seal){
		"zero":              func(s *wire.Seal) { *s = wire.Seal{} },
		"beyond":            func(s *wire.Seal) { s.Seq = 1 << 60 },
		"negative":          func(s *wire.Seal) { s.Seq = -1 },
		"oldest above seq":  func(s *wire.Seal) { s.Oldest = 2 },
		"hash":              func(s *wire.Seal) { s.Hash = "AAAA" },
		"padded":            func(s *wire.Seal) { s.Sig += "==" },
		"signature's bytes": func(s *wire.Seal) { s.Sig = s.Hash + s.Hash },
		"key":               func(s *wire.Seal) { s.Key = "\x1f" },
		"loose base64":      func(s *wire.Seal) { s.Sig = s.Sig[:85] + "_" },
	} {
		bad := good
		change(&bad)
		b := d.batch(1, 10)
		b.Seal = &bad
		e := c.take(d, b)
		if len(e.Seals) != 1 || e.Seals[0].Refused == "" || e.Seals[0].Seq != 1 {
			t.Errorf("%s: %+v", name, e.Seals)
		}
	}
	if n, err := c.store.Count(t.Context(), d.series("a"), 0, 1<<50); err != nil || n != 1 {
		t.Errorf("%d readings, %v", n, err)
	}
	e := c.take(d, d.batch(1, 10))
	if e.Seals[0].Refused != "" || e.Seals[0].Signed != ledger.KeyTrusted || e.Seals[0].Chain != ledger.ChainWhole {
		t.Errorf("the good one: %+v", e.Seals[0])
	}
}

// A key that changes is kept and raised, and its seals are not trusted until a
// person says so.
func TestKeyChanges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, path := sqliteStore(t)
		c := newCentre(t, where, s, path)
		dir := t.TempDir()
		d := newDevice(t, dir)
		c.noteKey(d)
		c.noteKey(d) // a birth comes with each connection
		d.append(sample("a", base, 4000))
		_ = d.box.Close()
		_, d.key, _ = ed25519.GenerateKey(nil)
		d.open(dir)
		d.append(sample("a", base+3_600_000, 4000))
		for _, b := range d.batches(1, 10) {
			c.take(d, b)
		}
		c.noteKey(d) // after its seal, as it may be
		if got := kinds(t, c, d); len(got) != 1 || got[0] != ledger.FaultKeyChanged {
			t.Fatalf("raised %v", got)
		}
		checker := evidence.Checker{Ledger: c.led, Readings: c.store, Clock: coldkeep.RealClock{}, Log: slog.New(slog.DiscardHandler)}
		if n, err := checker.Pass(t.Context()); n != 1 || err != nil {
			t.Fatalf("%d seals checked, %v", n, err)
		}
		found, sum := c.verify(evidence.Scope{})
		if sum.Whole || sum.Findings[evidence.KindKey] != 1 || found[0].FromSeq != 2 || found[0].ToSeq != 2 {
			t.Fatal(show(found))
		}
		key := wire.KeyID(d.key.Public().(ed25519.PublicKey))
		if err := c.led.TrustKey(t.Context(), d.site, d.agent, "another", "Ann"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Error(err)
		}
		for range 2 {
			if err := c.led.TrustKey(t.Context(), d.site, d.agent, key, "Ann"); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := c.led.Keys(t.Context(), d.site, d.agent)
		if err != nil || len(keys) != 2 || keys[0].TrustedBy+keys[1].TrustedBy != "first useAnn" && keys[0].TrustedBy+keys[1].TrustedBy != "Annfirst use" {
			t.Errorf("%+v, %v", keys, err)
		}
		c.mustBeWhole(d)
	})
}

// A good seal over records that are not those that came is kept and raised.
func TestSealDoesNotFitWhatCame(t *testing.T) {
	s, path := sqliteStore(t)
	c := newCentre(t, databasetest.SQLite(t), s, path)
	d := newDevice(t, t.TempDir())
	c.noteKey(d)
	d.threeHours()
	for i, b := range d.batches(1, 1000) {
		if i == 4 {
			b.Records[1].Celsius++
		}
		e := c.take(d, b)
		if want := map[bool]int64{true: ledger.ChainBroken, false: ledger.ChainWhole}[i == 4]; len(e.Seals) == 1 && e.Seals[0].Chain != want {
			t.Errorf("batch %d: %+v", i, e.Seals[0])
		}
	}
	if got := kinds(t, c, d); len(got) != 1 || got[0] != ledger.FaultChainBroken {
		t.Errorf("raised %v", got)
	}
	if found, sum := c.verify(evidence.Scope{}); sum.Findings[evidence.KindAltered] != 1 || sum.Findings[evidence.KindFault] != 1 {
		t.Error(show(found))
	}
}

// A seal that came before its key, and is not by it, is found when the key comes.
func TestSealBeforeItsKeyIsWrong(t *testing.T) {
	s, path := sqliteStore(t)
	c := newCentre(t, databasetest.SQLite(t), s, path)
	d := newDevice(t, t.TempDir())
	d.append(sample("a", base, 4000))
	b := d.batch(1, 10)
	_, other, _ := ed25519.GenerateKey(nil)
	h, _ := b.Seal.Head()
	forged := wire.NewSeal(other, d.site, d.agent, d.epoch, 1, 1, h)
	forged.Key = b.Seal.Key
	b.Seal = forged
	c.take(d, b)
	c.noteKey(d)
	checker := evidence.Checker{Ledger: c.led, Readings: c.store, Clock: coldkeep.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	for pass := range 2 { // it is told once
		if n, err := checker.Pass(t.Context()); n != 1-pass || err != nil {
			t.Errorf("%d seals told, %v", n, err)
		}
	}
	if got := kinds(t, c, d); len(got) != 1 || got[0] != ledger.FaultSealWrong {
		t.Errorf("raised %v", got)
	}
	if found, sum := c.verify(evidence.Scope{}); sum.Whole || sum.Findings[evidence.KindSeal] != 1 {
		t.Error(show(found))
	}
}

// Annotations stand beside the readings, are listed, and cannot be changed unseen.
func TestAnnotations(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, path := sqliteStore(t)
		c := newCentre(t, where, s, path)
		d := furnished(t, c)
		from := timeOf(base)
		for i, why := range []string{"door left open while restocking", "probe moved to the second shelf"} {
			a, err := c.led.Annotate(t.Context(), c.now, ledger.Annotation{Site: d.site, Agent: d.agent, Probe: "a", From: from, To: from.Add(600e9), Person: "Ann Lee", Why: why})
			if err != nil || a.N != int64(i+1) {
				t.Fatalf("%+v, %v", a, err)
			}
		}
		for _, bad := range []ledger.Annotation{
			{Site: d.site, From: from, To: from, Person: "Ann"}, {Site: d.site, From: from, To: from, Why: "x"}, {From: from, To: from, Person: "Ann", Why: "x"},
			{Site: d.site, From: from, To: from.Add(-1e9), Person: "Ann", Why: "x"}, {Site: d.site, From: from, To: from, Person: "Ann", Why: "x", FromSeq: 1, ToSeq: 2},
		} {
			if _, err := c.led.Annotate(t.Context(), c.now, bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		found, sum := c.verify(evidence.Scope{})
		if !sum.Whole || len(found) != 2 || !found[0].Note || found[0].Annotation.Person != "Ann Lee" || found[1].Detail != "probe moved to the second shelf" {
			t.Fatalf("%+v\n%s", sum, show(found))
		}
		if line, err := json.Marshal(found[0]); err != nil || !json.Valid(line) {
			t.Error(err)
		}
		c.exec(`UPDATE annotation SET why = 'nothing' WHERE n = 1`)
		if found, sum := c.verify(evidence.Scope{}); sum.Whole || sum.Findings[evidence.KindNote] == 0 {
			t.Error("an altered annotation is not told: " + show(found))
		}
		c.exec(`DELETE FROM annotation WHERE n = 2`)
		if found, sum := c.verify(evidence.Scope{}); sum.Whole || sum.Findings[evidence.KindNote] < 2 {
			t.Error("an annotation that was taken away is not told: " + show(found))
		}
	})
}
