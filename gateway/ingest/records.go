package ingest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// message reads one message into the take.
func (w *worker) message(ctx context.Context, l *load, it *item) error {
	if w.Mine != nil && !w.Mine(it.Site) {
		return nil
	}
	d := w.device(it.Device)
	payload := l.payload(it)
	switch {
	case it.leaf == wire.LeafStatus:
		return w.status(ctx, d, it, payload)
	case it.retained:
		// Retained readings would come again at every subscription.
		w.refuse(d, it, payload, "readings must not be retained")
		return nil
	}
	b, wrong, err := w.dec.Decode(payload, w.now.Add(future).UnixMilli())
	if err != nil {
		w.refuse(d, it, payload, coldkeep.ErrorMessage(err))
		return nil
	}
	e, err := w.epoch(ctx, d, b.Epoch)
	if err != nil {
		return err
	}
	w.hear(d)
	return w.batch(ctx, e, b, wrong)
}

func (w *worker) hear(d *device) {
	if !d.heard {
		d.heard = true
		w.agents = append(w.agents, d)
	}
}

// batch adds a batch to the take: its new readings, and an entry of the book, the
// one before when it goes on just there.
func (w *worker) batch(ctx context.Context, e *epochState, b *wire.Batch, wrong []wire.BadRecord) error {
	w.batches++
	e.device.clock = b.Clock
	oldest := b.Oldest
	last := b.Seq + int64(len(b.Records)) - 1
	// Most batches begin after all that has come, and none of their records is known.
	ahead := len(e.have) == 0 || b.Seq > e.have[len(e.have)-1][1]
	from, to := b.Seq, last
	if !ahead {
		for from <= to && e.have.Has(from) {
			from++
		}
		for from <= to && e.have.Has(to) {
			to--
		}
	}
	entry := w.entry(e, b, from, to)
	if b.Seal != nil || entry != nil {
		if entry == nil {
			entry = w.newEntry(e, b, from, to)
		}
		seals := len(entry.Seals)
		if err := w.seals.Take(ctx, w.now, entry, b, wrong); err != nil {
			return err
		}
		if w.SignedOnly != nil && w.SignedOnly(e.Epoch.Site) {
			// Whoever can send may leave records out, and only the device's key can say that
			// they are no more.
			oldest = 1
			if len(entry.Seals) > seals {
				if s := &entry.Seals[seals]; s.Refused == "" && s.Signed == ledger.KeyTrusted {
					oldest = s.Oldest
				}
			}
		}
		entry.Oldest = max(entry.Oldest, oldest)
	} else {
		w.dummy = ledger.Entry{Epoch: e.Epoch}
		if err := w.seals.Take(ctx, w.now, &w.dummy, b, wrong); err != nil { // it follows the chain
			return err
		}
		if oldest = w.believed(e, oldest); e.known.Ranges.Contiguous() < oldest-1 {
			w.newEntry(e, b, from, to).Oldest = oldest
		} else if e.entry == 0 && !e.waits {
			// Nothing is new: it is only acknowledged again.
			e.waits = true
			w.again = append(w.again, e)
		}
	}
	if w.doubtful > 0 && !ahead {
		w.doubtAll(e, b, wrong)
	}
	if from > to {
		w.repeated += int64(len(b.Records))
		w.newest = append(w.newest, 0)
		return nil
	}
	newest := w.records(e, entry, b, wrong, from, to, ahead)
	e.device.newest = max(e.device.newest, newest)
	w.newest = append(w.newest, newest)
	e.have = extend(e.have, from, to)
	return nil
}

// doubtAll notes the readings of a batch that are known already.
func (w *worker) doubtAll(e *epochState, b *wire.Batch, wrong []wire.BadRecord) {
	for i := range b.Records {
		seq := b.Seq + int64(i)
		if r := &b.Records[i]; e.have.Has(seq) && !r.IsEvent() && !isWrong(wrong, seq) {
			w.doubt = append(w.doubt, reading(e, seq, r))
		}
	}
}

func isWrong(wrong []wire.BadRecord, seq int64) bool {
	return len(wrong) > 0 && slices.ContainsFunc(wrong, func(x wire.BadRecord) bool { return x.Seq == seq })
}

func reading(e *epochState, seq int64, r *wire.Record) coldkeep.Reading {
	return coldkeep.Reading{Series: coldkeep.Series{Site: e.Epoch.Site, Agent: e.Epoch.Agent, Probe: r.Probe}, Epoch: e.Epoch.Epoch, Seq: seq,
		At: r.At, Celsius: r.Celsius, Raw: r.Raw, Lo: r.Lo, Hi: r.Hi, Quality: r.Quality}
}

// believed is the oldest of a batch without a seal.
func (w *worker) believed(e *epochState, oldest int64) int64 {
	if w.SignedOnly != nil && w.SignedOnly(e.Epoch.Site) {
		return 1
	}
	return oldest
}

// extend is Add, in place when the set only grows at its end.
func extend(r ledger.Ranges, from, to int64) ledger.Ranges {
	if n := len(r); n > 0 && r[n-1][0] <= from && from == r[n-1][1]+1 {
		r[n-1][1] = to
		return r
	}
	return r.Add(from, to)
}

// entry gives the entry that new records from from to to go into; nil when there are
// none.
func (w *worker) entry(e *epochState, b *wire.Batch, from, to int64) *ledger.Entry {
	if from > to {
		return nil
	}
	if e.entry > 0 {
		if x := &w.book.Entries[e.entry-1]; from == x.To+1 && x.From <= x.To && x.Clock == b.Clock && x.Config == b.Config {
			x.To = to
			return x
		}
	}
	return w.newEntry(e, b, from, to)
}

func (w *worker) newEntry(e *epochState, b *wire.Batch, from, to int64) *ledger.Entry {
	w.book.Entries = append(w.book.Entries, ledger.Entry{Epoch: e.Epoch, Known: &e.known, From: from, To: to, Clock: b.Clock, Config: b.Config, Unseen: true})
	if e.entry == 0 {
		w.open = append(w.open, e)
	}
	e.entry = len(w.book.Entries)
	return &w.book.Entries[e.entry-1]
}

// records takes the new records of a batch among from to to: readings for the store,
// the rest for the entry. It returns the time of the last reading, ms, 0 for none.
func (w *worker) records(e *epochState, entry *ledger.Entry, b *wire.Batch, wrong []wire.BadRecord, from, to int64, ahead bool) (newest int64) {
	for i := range wrong {
		if seq := wrong[i].Seq; from <= seq && seq <= to && (ahead || !e.have.Has(seq)) {
			entry.Bad = append(entry.Bad, wrong[i])
		}
	}
	w.repeated += int64(len(b.Records)) - (to - from + 1)
	for seq := from; seq <= to; seq++ {
		r := &b.Records[seq-b.Seq]
		switch {
		case !ahead && e.have.Has(seq):
			w.repeated++
			continue
		case isWrong(wrong, seq):
			continue
		case r.IsEvent():
			entry.Events = append(entry.Events, ledger.Event{Seq: seq, Record: *r})
			continue
		}
		w.rs = append(w.rs, reading(e, seq, r))
		w.touch(e.device, r)
		newest = r.At
	}
	return newest
}

// isolate stores, by halves, readings of which the store has said that some can never
// be, and puts those into quarantine under their seq. It appends the others to kept,
// which may share the memory of rs: it never gets ahead of what is read.
func (w *worker) isolate(ctx context.Context, rs, kept []coldkeep.Reading, refusal error) ([]coldkeep.Reading, error) {
	if len(rs) > 1 {
		for _, half := range [][]coldkeep.Reading{rs[:len(rs)/2], rs[len(rs)/2:]} {
			err := w.store.Append(ctx, half)
			switch {
			case err == nil:
				kept = append(kept, half...)
			case coldkeep.ErrorCode(err) == coldkeep.EINVALID:
				kept, err = w.isolate(ctx, half, kept, err)
			}
			if err != nil {
				return kept, err
			}
		}
		return kept, nil
	}
	r := rs[0]
	raw, _ := json.Marshal(&r) // numbers and strings always marshal
	w.log.Warn("reading refused by the store and quarantined", "series", r.Series.String(), "seq", r.Seq, "error", refusal)
	for k := range w.book.Entries {
		if e := &w.book.Entries[k]; e.Site == r.Site && e.Agent == r.Agent && e.Epoch.Epoch == r.Epoch && e.From <= r.Seq && r.Seq <= e.To {
			e.Bad = append(e.Bad, wire.BadRecord{Seq: r.Seq, Raw: raw, Reason: "refused by the readings store: " + refusal.Error()})
			break
		}
	}
	return kept, nil
}

func (w *worker) status(ctx context.Context, d *device, it *item, payload []byte) error {
	if len(payload) == 0 {
		return nil // the retained status was taken back
	}
	var st wire.Status
	if err := wire.Decode(payload, &st); err != nil {
		w.refuse(d, it, payload, coldkeep.ErrorMessage(err))
		return nil
	}
	if st.Epoch != "" && !wire.ValidEpoch(st.Epoch) {
		w.refuse(d, it, payload, "status epoch is not a ULID")
		return nil
	}
	if st.Pub != d.pub || st.Key != d.key {
		if err := w.noteKey(ctx, w.now, d.Site, d.Agent, &st); err != nil {
			return err
		}
		if st.Pub != "" { // a will shows none
			d.pub, d.key = st.Pub, st.Key
		}
	}
	w.book.Statuses = append(w.book.Statuses, ledger.StatusOf{Device: d.Device, Status: st})
	w.told = append(w.told, told{d.Device, st, it.retained})
	if st.Online {
		w.hear(d)
	}
	return nil
}

// refuse quarantines a payload that cannot be read as what it should be. It is an
// agent's fault and must not hold up the others.
func (w *worker) refuse(d *device, it *item, payload []byte, reason string) {
	if it.size > wire.MaxPayload {
		payload = payload[:wire.MaxPayload]
	}
	if !d.refused.busy() {
		w.refusals = append(w.refusals, d)
	}
	d.refused.add(ledger.Refused{Device: d.Device, Topic: it.topic, Reason: strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), "?"), Body: payload})
}
