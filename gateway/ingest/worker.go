package ingest

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/tracing"
)

const (
	retryAfter = time.Second
	// future is how far ahead of the collector's clock a reading may be: more is a
	// clock gone wrong, and the reading is quarantined.
	future = 24 * time.Hour
	// together is how many records one commit carries before it goes: two writes of the
	// readings store.
	together = 10_000
	// heardEvery is how often a device's row in the ledger says that it was heard.
	heardEvery = 10 * time.Second

	// What a worker remembers is dropped when it is more than this, and read again.
	devicesKept = 20_000
	epochsKept  = 8    // of a device
	probesKept  = 1000 // of a device
)

// worker deals with the agents of one queue.
type worker struct {
	*Ingest
	devices map[ledger.Device]*device // dropped on any failure
	seals   *evidence.Arrivals
	dec     wire.Decoder

	round int64 // of Round, when the take under way began

	// of the take under way, used again
	now      time.Time
	rs       []coldkeep.Reading
	book     ledger.Take
	newest   []int64       // of each batch, the time of its last new reading, ms
	open     []*epochState // those with entries
	agents   []*device     // those heard
	again    []*epochState // those of which only repeated records came
	refusals []*device
	quarters []quarter // of which readings came, some more than once
	told     []told    // births and wills
	batches  int64
	repeated int64

	// doubtful is how many of the next items a commit has carried that failed: what of
	// them is in the book all the same, because only the answer was lost, the judge has
	// not been told. It is told again, which it bears.
	doubtful int
	doubt    []coldkeep.Reading
	dummy    ledger.Entry
}

// device is what a worker remembers of a device.
type device struct {
	ledger.Device
	epochs map[string]*epochState
	latest *epochState
	// marked has, by probe, the quarter hour that this process has marked last, ms.
	marked  map[coldkeep.ProbeID]int64
	touched quarter // by the latest reading of this take

	rowAt    time.Time // when its row was written last
	rowEpoch string
	pub, key string // what its status showed last
	heard    bool   // in this take
	newest   int64  // of its new readings in this take, ms, 0 for none
	clock    string // of its latest batch in this take, "" for none

	refused refusals
}

// epochState is what a worker remembers of an epoch.
type epochState struct {
	*device
	ledger.Epoch
	known ledger.Progress // what the book has
	have  ledger.Ranges   // what needs not be stored again; also of this take
	entry int             // its last entry in this take, from 1; 0 for none
	waits bool            // in again
}

// told is a birth or a will.
type told struct {
	ledger.Device
	status   wire.Status
	retained bool
}

func (w *worker) run(ctx context.Context, q *queue) {
	var got load
	var last time.Time
	for {
		var ok bool
		if got, ok = q.take(ctx, last, w.pause, got); !ok {
			return
		}
		last = time.Now()
		for items := got.items; len(items) > 0; {
			n, ok := w.insist(ctx, &got, items)
			if !ok {
				return
			}
			q.release(items[:n])
			items = items[n:]
		}
	}
}

// insist takes the first of some items, trying until it works. False when ctx ends.
func (w *worker) insist(ctx context.Context, l *load, items []item) (n int, ok bool) {
	for stuck := false; ; {
		n, err := w.take(ctx, l, items)
		if err == nil {
			if stuck {
				w.stuck.Add(-1)
				w.log.Info("readings are stored again")
			}
			return n, true
		}
		if ctx.Err() != nil {
			return 0, false
		}
		w.forget()
		if w.Round != nil && w.Round() != w.round {
			continue // sites changed hands meanwhile; what is still ours goes at once
		}
		if !stuck {
			stuck = true
			w.stuck.Add(1)
			w.log.Error("readings cannot be stored; they wait on the devices", "error", err)
		}
		if err := (coldkeep.RealClock{}).Sleep(ctx, w.retry); err != nil {
			return 0, false
		}
	}
}

// forget drops what may be ahead of the stores; it is read again.
func (w *worker) forget() {
	kept := map[ledger.Device]*device{}
	for d, was := range w.devices {
		if was.refused.total > 0 {
			d := &device{Device: d, refused: was.refused} // what was counted is not in the book yet
			d.refused.begin()
			kept[d.Device] = d
		}
	}
	w.devices = kept
	w.seals.Forget()
}

// take stores, enters and acknowledges the first of some messages, and returns how
// many. On an error nothing was acknowledged and all may be taken again.
func (w *worker) take(ctx context.Context, l *load, items []item) (n int, err error) {
	w.begin()
	for n < len(items) && len(w.rs)+len(w.doubt) < together {
		if err := w.message(ctx, l, &items[n]); err != nil {
			return 0, err
		}
		n++
	}
	stored, end := tracing.Span(ctx, "ingest.store", tracing.Count{Name: "readings", N: len(w.rs)}, tracing.Count{Name: "messages", N: n})
	err = w.store.Append(stored, w.rs)
	end(err)
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		w.rs, err = w.isolate(ctx, w.rs, w.rs[:0], err)
	}
	if err != nil {
		return 0, err
	}
	if err := w.enter(ctx); err != nil {
		w.doubtful = max(w.doubtful, n)
		return 0, err
	}
	w.doubtful = max(0, w.doubtful-n)
	w.finish(ctx, n)
	return n, nil
}

func (w *worker) begin() {
	for _, d := range w.refusals {
		d.refused.begin()
	}
	if w.Round != nil {
		if round := w.Round(); round != w.round {
			w.round = round
			w.forget()
		}
	}
	if len(w.devices) > devicesKept {
		w.forget()
	}
	for _, e := range w.open {
		e.entry = 0
	}
	for _, e := range w.again {
		e.waits = false
	}
	for _, d := range w.agents {
		d.heard, d.newest, d.clock = false, 0, ""
	}
	for i := range w.quarters {
		w.quarters[i].device.touched = quarter{}
	}
	w.quarters = w.quarters[:0]
	w.now = w.clock.Now()
	w.rs, w.doubt, w.newest, w.open, w.agents, w.again, w.told, w.refusals = w.rs[:0], w.doubt[:0], w.newest[:0], w.open[:0], w.agents[:0], w.again[:0], w.told[:0], w.refusals[:0]
	clear(w.book.Entries) // they hold what came
	w.book = ledger.Take{Entries: w.book.Entries[:0], Unlogged: w.book.Unlogged[:0], Refused: w.book.Refused[:0], Statuses: w.book.Statuses[:0]}
	w.batches, w.repeated = 0, 0
}

func (w *worker) device(d ledger.Device) *device {
	v, ok := w.devices[d]
	if !ok {
		v = &device{Device: d}
		w.devices[d] = v
	}
	return v
}

// epoch finds what is known of an epoch, from the book when it is not remembered.
func (w *worker) epoch(ctx context.Context, d *device, name string) (*epochState, error) {
	if d.latest != nil && d.latest.Epoch.Epoch == name {
		return d.latest, nil
	}
	e, ok := d.epochs[name]
	if !ok {
		e = &epochState{device: d, Epoch: ledger.Epoch{Site: d.Site, Agent: d.Agent, Epoch: name}}
		var err error
		if e.known, err = w.ledger.Progress(ctx, e.Epoch); err != nil {
			return nil, err
		}
		// What was given up as lost and comes after all is as new as any.
		e.have = e.known.Ranges.Without(e.known.Lost)
		if d.epochs == nil || len(d.epochs) >= epochsKept {
			// Those of this take stay alive by w.open, and one that comes again in it is read
			// again: that is right only when it is not among them.
			kept := map[string]*epochState{}
			for name, other := range d.epochs {
				if other.entry > 0 || other.waits {
					kept[name] = other
				}
			}
			d.epochs = kept
		}
		d.epochs[name] = e
	}
	d.latest = e
	return e, nil
}
