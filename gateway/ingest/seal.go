package ingest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// noteKey keeps the key that a device's status shows. What is no key is raised and
// not kept; the status is as good as without it.
func (w *worker) noteKey(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, st *wire.Status) error {
	if st.Pub == "" {
		return nil // a will, or a device that does not seal
	}
	e := ledger.Epoch{Site: site, Agent: agent}
	pub, err := wire.DecodeKey(st.Pub)
	switch {
	case err != nil:
		w.log.Error("device shows a key that is none", "site", site, "agent", agent, "error", err)
		return w.ledger.Raise(ctx, now, e, ledger.FaultKeyBad, "", "the status carries what is no public key")
	case wire.KeyID(pub) != st.Key:
		w.log.Error("device shows a key under a wrong id", "site", site, "agent", agent, "id", wire.KeyID(pub))
		return w.ledger.Raise(ctx, now, e, ledger.FaultKeyBad, wire.KeyID(pub), "the status names the key by another id")
	}
	fresh, err := w.ledger.NoteKey(ctx, now, site, agent, st.Key, st.Pub)
	if err != nil || !fresh {
		return err
	}
	w.seals.ForgetKeys(site, agent)
	keys, err := w.ledger.Keys(ctx, site, agent)
	if err != nil {
		return err
	}
	if len(keys) > 1 {
		w.log.Error("device shows another key than before; its seals are not trusted until a person says so", "site", site, "agent", agent, "key", st.Key, "trusted", keys[0].Key)
	} else {
		w.log.Info("device's key is trusted on first use", "site", site, "agent", agent, "key", st.Key)
	}
	return nil
}

// sealed tells of the seals of an entry that is durable, and asks for a refused one
// again until its range is void. Nothing else waits for it.
func (w *worker) sealed(ctx context.Context, e *ledger.Entry) {
	for i := range e.Seals {
		s := &e.Seals[i]
		log := w.log.With("site", e.Site, "agent", e.Agent, "epoch", e.Epoch.Epoch, "seq", s.Seq)
		switch {
		case s.VoidFrom != 0:
			w.Counts.SealsRefused.Add(1)
			log.Error("seal refused for the third time; the range is void", "from", s.VoidFrom, "reason", s.Refused)
		case s.Refused != "":
			w.Counts.SealsRefused.Add(1)
			log.Warn("seal refused", "reason", s.Refused, "tries", s.Tries)
			if s.Tries < ledger.VoidAfter {
				cmd, _ := json.Marshal(wire.Command{V: wire.Version, Cmd: wire.CommandResend, Epoch: e.Epoch.Epoch, From: s.Seq, To: s.Seq}) // always marshals
				_ = w.acks.pub.Publish(ctx, wire.Topic(e.Site, e.Agent, wire.LeafCommand), false, cmd)                                       // a seal that does not come again is one that verify finds missing
			}
		case s.Chain == ledger.ChainBroken:
			w.Counts.Seals.Add(1)
			log.Error("seal is good and does not fit the records that came")
		default:
			w.Counts.Seals.Add(1)
		}
	}
}
