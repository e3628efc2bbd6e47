package evidence

import (
	"context"
	"math"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// page is how many rows of the ledger are held at a time.
const page = 1000

// pager reads the ledger page by page.
type pager[T any] struct {
	fetch func(last *T) ([]T, error) // what comes after last, nil for the beginning
	buf   []T
	i     int
	ended bool
}

// peek gives the next one without taking it; nil at the end.
func (p *pager[T]) peek() (*T, error) {
	if p.i == len(p.buf) && !p.ended {
		var last *T
		if len(p.buf) > 0 {
			v := p.buf[len(p.buf)-1]
			last = &v
		}
		buf, err := p.fetch(last)
		if err != nil {
			return nil, err
		}
		p.buf, p.i, p.ended = buf, 0, len(buf) < page
	}
	if p.i == len(p.buf) {
		return nil, nil
	}
	return &p.buf[p.i], nil
}

func (p *pager[T]) take() { p.i++ }

// item is what is stored under a seq.
type item struct {
	at        int64 // 0 of a quarantined record, whose time is not to be believed
	claimed   int64 // the time by which the device sealed
	probe     coldkeep.ProbeID
	canonical []byte
	ok        bool // the canonical bytes are known
}

// records joins what is stored of an epoch, in the order of seq: readings of the
// readings store, events and quarantined records of the ledger.
type records struct {
	sum    *Summary
	stamps []ledger.Stamp
	events pager[ledger.Event]
	bad    pager[ledger.Refusal]

	rows  func() (row, bool, error) // of the whole device
	row   row
	has   bool
	epoch int32 // of the rows wanted
	names *sorter

	items []item // given by next; used again
	n     int
}

func newRecords(ctx context.Context, l *ledger.Ledger, e ledger.Epoch, after int64, stamps []ledger.Stamp, sum *Summary) *records {
	return &records{sum: sum, stamps: stamps,
		events: pager[ledger.Event]{fetch: func(last *ledger.Event) ([]ledger.Event, error) {
			from := after
			if last != nil {
				from = last.Seq
			}
			return l.Events(ctx, e, from, page)
		}},
		bad: pager[ledger.Refusal]{fetch: func(last *ledger.Refusal) ([]ledger.Refusal, error) {
			from := after
			if last != nil {
				from = last.Seq
			}
			return l.QuarantinedAfter(ctx, e, from, page)
		}},
	}
}

// next gives the lowest seq that has not been given, with everything that is
// stored under it. No items is the end.
func (r *records) next() (seq int64, items []item, err error) {
	ev, err := r.events.peek()
	if err != nil {
		return 0, nil, err
	}
	bad, err := r.bad.peek()
	if err != nil {
		return 0, nil, err
	}
	seq = math.MaxInt64
	if r.has && r.row.epoch == r.epoch {
		seq = r.row.seq
	}
	if ev != nil {
		seq = min(seq, ev.Seq)
	}
	if bad != nil {
		seq = min(seq, bad.Seq)
	}
	r.n = 0
	clock, cfg := r.stamp(seq)
	for r.has && r.row.epoch == r.epoch && r.row.seq == seq {
		reading := r.names.reading(&r.row)
		rec := wire.Record{Probe: reading.Probe, At: reading.At, Celsius: reading.Celsius, Raw: reading.Raw, Lo: reading.Lo, Hi: reading.Hi, Quality: reading.Quality}
		it := r.add(rec.At, rec.Probe)
		it.canonical, it.ok = wire.AppendCanonical(it.canonical, seq, &rec, clock, cfg), true
		r.sum.Readings++
		if r.row, r.has, err = r.rows(); err != nil {
			return 0, nil, err
		}
	}
	for ; ev != nil && ev.Seq == seq; ev, err = r.events.peek() {
		it := r.add(ev.Record.At, ev.Record.Probe)
		it.canonical, it.ok = wire.AppendCanonical(it.canonical, seq, &ev.Record, clock, cfg), true
		r.sum.Events++
		r.events.take()
	}
	if err != nil {
		return 0, nil, err
	}
	for ; bad != nil && bad.Seq == seq; bad, err = r.bad.peek() {
		it := r.add(0, "")
		it.claimed = wire.BadTime(bad.Body)
		it.canonical, it.ok = wire.AppendBadCanonical(it.canonical, seq, bad.Body, clock, cfg)
		r.sum.Quarantined++
		r.bad.take()
	}
	return seq, r.items[:r.n], err
}

func (r *records) add(at int64, probe coldkeep.ProbeID) *item {
	if r.n == len(r.items) {
		r.items = append(r.items, item{})
	}
	it := &r.items[r.n]
	it.at, it.claimed, it.probe, it.canonical, it.ok = at, at, probe, it.canonical[:0], false
	r.n++
	return it
}

// stamp finds the clock and the configuration of a record. Seqs are asked for in
// order.
func (r *records) stamp(seq int64) (string, int64) {
	for len(r.stamps) > 0 && r.stamps[0].To < seq {
		r.stamps = r.stamps[1:]
	}
	for _, s := range r.stamps { // the first one, unless two overlap
		if s.From <= seq && seq <= s.To {
			return s.Clock, s.Config
		}
		if s.From > seq {
			break
		}
	}
	return "", 0
}
