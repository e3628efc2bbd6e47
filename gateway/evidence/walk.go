package evidence

import (
	"context"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// plan is the part of an epoch that is to be proven: after the record that anchor
// sealed, up to the record to, 0 for the last.
type plan struct {
	ledger.Epoch
	anchor anchor
	to     int64
	ranges ledger.Ranges // what the ledger said before the readings were read
}

// top is the last seq that is looked at.
func (p *plan) top() int64 {
	if p.to != 0 {
		return p.to
	}
	if len(p.ranges) == 0 {
		return p.anchor.seq
	}
	return p.ranges[len(p.ranges)-1][1]
}

// anchor is a place in the chain that a good seal fixes; seq 0 is its beginning.
type anchor struct {
	seq, at int64
	hash    wire.Hash
	open    bool // no seal fixes it: what was before it was let go, and never sealed
}

// maxHeads bounds the ways in which a chain with doubled records is tried.
const maxHeads = 16

// walk follows the chain of one epoch.
type walk struct {
	plan
	report *report
	ring   keyring
	uses   map[string]int64 // seals by key
	lost   ledger.Ranges
	seals  pager[ledger.Seal]

	anchor anchor
	pos    int64       // everything up to here has been looked at
	at     int64       // time of the last record that is there
	heads  []wire.Hash // of the chain at pos; none: something is missing since the anchor
	count  int64       // records there since the anchor

	dueAt          int64 // time of the record at which a seal was due
	due            bool
	lateSeq, badly int64 // the first record after a seal that was not made; bad seals since the anchor

	unknown []unknown // records that the ledger does not say it has
	beyond  int64     // highest seal above all records
}

// unknown is a run of records that are stored and not in the book: perhaps they
// came while the stores were read.
type unknown struct {
	from, to    int64 // seqs
	since, till int64 // times
	probe       coldkeep.ProbeID
}

// maxUnknown bounds how many runs are told apart; what is beyond joins the last.
const maxUnknown = 10_000

func (w *walk) stray(seq int64, it *item) {
	if n := len(w.unknown); n > 0 {
		if u := &w.unknown[n-1]; seq <= u.to+1 && it.probe == u.probe || n == maxUnknown {
			u.to, u.till = seq, it.at
			return
		}
	}
	w.unknown = append(w.unknown, unknown{seq, seq, it.at, it.at, it.probe})
}

func (w *walk) finding(kind Kind, from, to int64, since, until int64, detail string) error {
	f := Finding{Kind: kind, Site: w.Site, Agent: w.Agent, Epoch: w.Epoch.Epoch, FromSeq: from, ToSeq: to, Detail: detail,
		Note: kind == KindUnreadable || kind == KindLateSeal}
	f.From, f.To = between(since, until)
	return w.report.add(f)
}

func (w *walk) run(ctx context.Context, recs *records) error {
	w.anchor = w.plan.anchor
	w.pos, w.at = w.anchor.seq, w.anchor.at
	if !w.anchor.open {
		w.heads = []wire.Hash{w.anchor.hash}
	}
	top := w.top()
	for n := 0; ; n++ {
		if n%page == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		seq, items, err := recs.next()
		if err != nil {
			return err
		}
		if len(items) == 0 {
			break
		}
		if !w.ranges.Has(seq) {
			for i := range items {
				w.stray(seq, &items[i])
			}
			continue
		}
		if seq <= w.plan.anchor.seq || seq > top {
			continue // of what is not asked for
		}
		if err := w.upTo(seq, items[0].at); err != nil {
			return err
		}
		if err := w.record(seq, items); err != nil {
			return err
		}
	}
	if err := w.upTo(top+1, 0); err != nil {
		return err
	}
	return w.end()
}

// upTo deals with the seals and the gaps below seq; at is the time of its record.
func (w *walk) upTo(seq, at int64) error {
	for {
		group, err := w.sealsBelow(seq)
		if err != nil {
			return err
		}
		if len(group) == 0 {
			return w.gap(w.pos+1, seq-1, at)
		}
		if err := w.gap(w.pos+1, group[0].Seq, at); err != nil {
			return err
		}
		if err := w.sealed(group); err != nil {
			return err
		}
	}
}

// sealsBelow takes the seals of the next sealed record, when that is below seq.
func (w *walk) sealsBelow(seq int64) (group []ledger.Seal, err error) {
	for {
		s, err := w.seals.peek()
		if err != nil || s == nil || s.Seq >= seq || len(group) > 0 && s.Seq != group[0].Seq {
			return group, err
		}
		group = append(group, *s)
		w.seals.take()
	}
}

// record moves the chain over a record.
func (w *walk) record(seq int64, items []item) error {
	if len(items) > 1 {
		for _, it := range items {
			if err := w.doubled(seq, it); err != nil {
				return err
			}
		}
	}
	var heads []wire.Hash
	for _, it := range items {
		if !it.ok {
			if err := w.finding(KindUnreadable, seq, seq, w.at, 0, "the quarantined record cannot be read far enough to follow the chain over it; the next seal takes it up again"); err != nil {
				return err
			}
			heads = nil
			break
		}
		for _, h := range w.heads {
			if len(heads) < maxHeads {
				heads = append(heads, h.Next(it.canonical))
			}
		}
	}
	if len(items) == 1 && len(w.heads) == 1 && len(heads) == 1 {
		w.heads[0] = heads[0]
	} else {
		w.heads = heads
	}
	w.pos, w.count = seq, w.count+1
	if items[0].at != 0 {
		w.at = items[0].at
	}
	if items[0].claimed != 0 {
		w.rule(seq, items[0].claimed)
	}
	return nil
}

func (w *walk) doubled(seq int64, it item) error {
	f := Finding{Kind: KindInserted, Site: w.Site, Agent: w.Agent, Epoch: w.Epoch.Epoch, Probe: it.probe, FromSeq: seq, ToSeq: seq,
		Detail: "more than one record is stored under this number"}
	f.From, f.To = between(it.at, it.at)
	return w.report.add(f)
}

// rule watches that the device sealed when it had to; see wire.SealEvery.
func (w *walk) rule(seq, at int64) {
	if w.lateSeq != 0 {
		return
	}
	if seq-w.anchor.seq > wire.SealRecords || w.due && at != w.dueAt {
		w.lateSeq = seq
		return
	}
	if since := at - w.anchor.at; !w.due && (w.anchor.seq == 0 || since >= wire.SealEvery.Milliseconds() || since <= -wire.SealEvery.Milliseconds()) {
		w.due, w.dueAt = true, at
	}
}

// gap deals with records that are not there.
func (w *walk) gap(from, to, next int64) error {
	if from > to {
		return nil
	}
	w.heads, w.pos = nil, to
	// In order of seq: what the ledger does not have, what it knows to be lost, and
	// what it says is stored.
	for from <= to {
		end, kind, detail := to, KindGap, "has not come"
		switch {
		case !w.ranges.Has(from):
			for _, r := range w.ranges {
				if r[0] > from {
					end = min(end, r[0]-1)
					break
				}
			}
		case w.lost.Has(from):
			kind, detail = KindLost, "the device no longer held it when it was asked for"
			end = min(end, endOf(w.lost, from), endOf(w.ranges, from))
		default:
			kind, detail = KindMissing, "was stored, and is not there any more"
			end = min(end, endOf(w.ranges, from))
			for _, r := range w.lost {
				if r[0] > from {
					end = min(end, r[0]-1)
					break
				}
			}
		}
		if err := w.finding(kind, from, end, w.at, next, detail); err != nil {
			return err
		}
		from = end + 1
	}
	return nil
}

func endOf(r ledger.Ranges, seq int64) int64 {
	for _, e := range r {
		if e[0] <= seq && seq <= e[1] {
			return e[1]
		}
	}
	return seq
}

// sealed compares the chain with the seals of one record, which is at w.pos.
func (w *walk) sealed(group []ledger.Seal) error {
	var good []ledger.Seal
	for _, s := range group {
		w.report.sum.Seals++
		signed, refused := w.ring.check(w.Epoch, &s.Seal)
		if why := s.Check(s.Seq); why != "" {
			refused = why
		} else if refused == "" && signed == ledger.KeyUnknown {
			refused = "the device has shown no key " + s.Key
		}
		if refused != "" {
			w.badly++
			if err := w.finding(KindSeal, s.Seq, s.Seq, s.At, s.At, refused); err != nil {
				return err
			}
			continue
		}
		w.uses[s.Key]++
		if signed == ledger.KeyUntrusted {
			if err := w.finding(KindKey, w.anchor.seq+1, s.Seq, w.anchor.at, s.At, "sealed by the key "+s.Key+", which nobody has trusted"); err != nil {
				return err
			}
		}
		good = append(good, s)
	}
	if len(good) == 0 {
		return nil // the chain runs on to the next seal
	}
	took := good[0]
	proven := false
	for _, s := range good {
		if h, _ := s.Head(); !proven && slices.Contains(w.heads, h) {
			took, proven = s, true
		}
	}
	for _, s := range good {
		if s.Hash != took.Hash {
			if err := w.finding(KindSeal, s.Seq, s.Seq, s.At, s.At, "two seals of one record state different hashes"); err != nil {
				return err
			}
		}
	}
	return w.settle(&took, proven)
}

// settle says what a good seal proves of the records before it, and goes on from it.
func (w *walk) settle(s *ledger.Seal, proven bool) error {
	from := w.anchor.seq + 1
	var err error
	switch {
	case proven:
		w.report.sum.Proven += w.count
	case len(w.heads) > 0:
		err = w.finding(KindAltered, from, s.Seq, w.anchor.at, s.At, "what is stored between these seals is not what was sealed")
	case w.count > 0:
		err = w.finding(KindUnproven, from, s.Seq, w.anchor.at, s.At, "records between these seals are not there, so that the chain does not prove the others")
	}
	if err == nil && w.lateSeq != 0 && w.badly == 0 && (proven || len(w.heads) == 0) {
		if w.anchor.seq > 0 {
			err = w.finding(KindUnsealed, from, s.Seq, w.dueAt, s.At, "a seal that the device made between these is not there")
		} else {
			err = w.finding(KindLateSeal, from, s.Seq, 0, s.At, "the first seal of the epoch is later than the rule; it covers all that is before it")
		}
	}
	if err != nil {
		return err
	}
	h, _ := s.Head()
	at := s.At
	if at == 0 {
		at = w.at
	}
	w.anchor = anchor{seq: s.Seq, at: at, hash: h}
	w.heads, w.count = []wire.Hash{h}, 0
	w.due, w.dueAt, w.lateSeq, w.badly = false, 0, 0, 0
	return nil
}

// end deals with what no seal covers yet.
func (w *walk) end() error {
	for w.to == 0 {
		s, err := w.seals.peek()
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		w.beyond = s.Seq
		w.seals.take()
	}
	if w.count == 0 {
		return nil
	}
	if w.lateSeq == 0 {
		w.report.sum.Unsealed += w.count
		return nil
	}
	detail := "no seal covers this, and one is overdue"
	if w.anchor.seq == 0 {
		detail = "no seal covers this: the device makes none, or they are not there"
	}
	return w.finding(KindUnsealed, w.anchor.seq+1, w.pos, w.anchor.at, w.at, detail)
}
