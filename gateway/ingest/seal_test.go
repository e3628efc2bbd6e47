package ingest_test

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// sign seals a batch at its last record; h is the chain before it.
func sign(key ed25519.PrivateKey, agent string, b *wire.Batch, h wire.Hash) wire.Hash {
	for i := range b.Records {
		h = h.Next(wire.AppendCanonical(nil, b.Seq+int64(i), &b.Records[i], b.Clock, b.Config))
	}
	b.Seal = wire.NewSeal(key, "clinic", coldkeep.AgentID(agent), b.Epoch, b.Seq+int64(len(b.Records))-1, 1, h)
	return h
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// birth is the status of a device with a key.
func birth(key ed25519.PrivateKey) []byte {
	pub := key.Public().(ed25519.PublicKey)
	st, _ := json.Marshal(wire.Status{V: 1, Online: true, Epoch: epoch, Key: wire.KeyID(pub), Pub: wire.EncodeKey(pub)})
	return st
}

func (a *agent) birth(key ed25519.PrivateKey, id string) {
	a.s.t.Helper()
	pub := key.Public().(ed25519.PublicKey)
	if id == "" {
		id = wire.KeyID(pub)
	}
	st, err := json.Marshal(wire.Status{V: 1, Online: true, Epoch: epoch, Key: id, Pub: wire.EncodeKey(pub)})
	if err != nil {
		a.s.t.Fatal(err)
	}
	if tok := a.client.Publish(a.topic(wire.LeafStatus), 1, true, st); !tok.WaitTimeout(limit) || tok.Error() != nil {
		a.s.t.Fatal(tok.Error())
	}
}

// Seals come through the broker, are checked, and kept before the ack; a wrong one
// is asked for twice more, and then its range is void. The readings are stored and
// acknowledged whatever the seal is.
func TestSealsThroughTheBroker(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		a := s.agent("pi-1")
		_, key, _ := ed25519.GenerateKey(nil)
		_, thief, _ := ed25519.GenerateKey(nil)
		a.birth(key, "")
		e := ledger.Epoch{Site: "clinic", Agent: "pi-1", Epoch: epoch}

		first, second, third := batch(1, 1, 10), batch(11, 1, 10), batch(21, 1, 10)
		h := sign(key, "pi-1", first, wire.FirstHash("clinic", "pi-1", epoch))
		a.send(wire.AppendBatch(nil, first), false)
		a.wantAck(10)
		got, err := s.led.Seals(t.Context(), e, 0, "", 10)
		if err != nil || len(got) != 1 || got[0].Signed != ledger.KeyTrusted || got[0].Chain != ledger.ChainWhole || got[0].At != first.Records[9].At {
			t.Fatalf("%+v, %v", got, err)
		}

		h = sign(key, "pi-1", second, h)
		good := second.Seal.Sig
		second.Seal.Sig = wire.NewSeal(thief, "clinic", "pi-1", epoch, 20, 1, h).Sig
		a.send(wire.AppendBatch(nil, second), false)
		for try := range 2 {
			select {
			case cmd := <-a.cmds:
				if cmd.Cmd != wire.CommandResend || cmd.From != 20 || cmd.To != 20 {
					t.Fatalf("asked %+v", cmd)
				}
			case <-time.After(limit):
				t.Fatalf("after refusal %d nothing is asked for", try+1)
			}
			again := batch(20, 1, 1)
			again.Seal = second.Seal
			a.send(wire.AppendBatch(nil, again), false)
		}
		a.wantAck(20)
		s.until("the range is void", func() bool {
			voids, err := s.led.Voids(t.Context(), e)
			return err == nil && len(voids) == 1 && voids[0].From == 11 && voids[0].To == 20
		})
		if good == second.Seal.Sig || s.in.Counts.SealsRefused.Load() != 3 || a.count() != 20 {
			t.Errorf("%d refused, %d readings", s.in.Counts.SealsRefused.Load(), a.count())
		}
		sign(key, "pi-1", third, h)
		a.send(wire.AppendBatch(nil, third), false)
		a.wantAck(30)
		if got, err = s.led.Seals(t.Context(), e, 20, "", 10); err != nil || len(got) != 1 || got[0].Chain != ledger.ChainWhole {
			t.Errorf("after the void range: %+v, %v", got, err)
		}
		select {
		case cmd := <-a.cmds:
			t.Errorf("asked for a void seal again: %+v", cmd)
		default:
		}
	})
}

// What a status shows as a key is kept when it is one, and raised otherwise.
func TestKeysOfTheStatus(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a := s.agent("pi-1")
	_, key, _ := ed25519.GenerateKey(nil)
	_, other, _ := ed25519.GenerateKey(nil)
	a.birth(key, "")
	a.birth(key, "")
	a.birth(other, wire.KeyID(key.Public().(ed25519.PublicKey))) // a false id
	a.client.Publish(a.topic(wire.LeafStatus), 1, true, []byte(`{"v":1,"online":true,"key":"k","pub":"no key"}`))
	a.birth(other, "")
	s.until("both keys are kept", func() bool {
		keys, err := s.led.Keys(t.Context(), "clinic", "pi-1")
		return err == nil && len(keys) == 2
	})
	keys, _ := s.led.Keys(t.Context(), "clinic", "pi-1")
	for _, k := range keys {
		if k.Trusted != (k.Key == wire.KeyID(key.Public().(ed25519.PublicKey))) {
			t.Errorf("%+v", k)
		}
	}
	faults, err := s.led.EvidenceFaults(t.Context(), "clinic", "pi-1")
	n := map[string]int{}
	for _, f := range faults {
		n[f.Kind]++
	}
	if err != nil || n[ledger.FaultKeyBad] != 2 || n[ledger.FaultKeyChanged] != 1 {
		t.Errorf("raised %v, %v", n, err)
	}
}
