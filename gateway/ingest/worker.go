package ingest

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
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
	told     []told // births and wills
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
	// quarters has, by probe, the quarter hour that this process has marked last, ms.
	quarters map[coldkeep.ProbeID]int64

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

// enter commits the take. Its readings are in the store.
func (w *worker) enter(ctx context.Context) error {
	done := func(bool) {}
	switch {
	case len(w.doubt) > 0:
		w.book.Unjudged, done = w.judge.Expect(slices.Concat(w.rs, w.doubt))
	case len(w.rs) > 0:
		w.book.Unjudged, done = w.judge.Expect(w.rs)
	}
	skipped := w.markQuarters(w.clock.Now().UnixMilli())
	for _, d := range w.agents {
		if e := d.latest; e != nil && e.entry > 0 && (w.now.Sub(d.rowAt) >= heardEvery || w.now.Before(d.rowAt) || d.rowEpoch != e.Epoch.Epoch) {
			w.book.Entries[e.entry-1].Unseen = false
		}
	}
	for _, d := range w.refusals {
		w.book.Refused = d.refused.kept(w.now, w.book.Refused)
	}
	var after []ledger.Progress
	var err error
	if len(w.book.Entries)+len(w.book.Refused)+len(w.book.Statuses)+len(w.book.Unjudged)+len(w.book.Unlogged) > 0 {
		committed, end := tracing.Span(ctx, "ingest.commit", tracing.Count{Name: "batches", N: len(w.book.Entries)})
		after, err = w.ledger.Enter(committed, w.now, &w.book, w.fence())
		end(err)
	}
	done(err == nil)
	if err != nil {
		return err
	}
	for _, e := range w.open {
		e.known = after[e.entry-1]
		e.have = e.known.Ranges.Without(e.known.Lost)
	}
	if skipped != 0 && w.clock.Now().UnixMilli() >= skipped+coldkeep.IntervalLength.Milliseconds() {
		// The commit took so long that a quarter hour has ended which was not marked again,
		// and its line of the log may be told soon without these readings.
		for err = w.markAll(ctx); err != nil; err = w.markAll(ctx) {
			if err := (coldkeep.RealClock{}).Sleep(ctx, w.retry); err != nil {
				return err
			}
		}
	}
	return nil
}

// fence binds the fence to the sites of this take.
func (w *worker) fence() ledger.Fence {
	if w.Fence == nil {
		return nil
	}
	var sites []coldkeep.SiteID
	add := func(s coldkeep.SiteID) {
		if !slices.Contains(sites, s) {
			sites = append(sites, s)
		}
	}
	for i := range w.book.Entries {
		add(w.book.Entries[i].Site)
	}
	for i := range w.book.Statuses {
		add(w.book.Statuses[i].Site)
	}
	for i := range w.book.Refused {
		add(w.book.Refused[i].Site)
	}
	return func(ctx context.Context, tx *sql.Tx) error { return w.Fence(ctx, tx, w.round, sites) }
}

// markQuarters notes the quarter hours of the take's readings as not told yet. One
// that is still going on by the clock is noted once: until it has ended, and two
// minutes more, nobody tells it and takes the note away. It returns the earliest that
// was left out for that, ms, 0 for none.
func (w *worker) markQuarters(now int64) (skipped int64) {
	var last *coldkeep.Reading
	var lastQuarter int64
	var d *device
	for i := range w.rs {
		r := &w.rs[i]
		q := coldkeep.IntervalStart(r.At)
		if last != nil && q == lastQuarter && last.Series == r.Series {
			continue
		}
		if last == nil || last.Site != r.Site || last.Agent != r.Agent {
			d = w.devices[ledger.Device{Site: r.Site, Agent: r.Agent}]
		}
		last, lastQuarter = r, q
		if now < q+coldkeep.IntervalLength.Milliseconds() {
			if was, ok := d.quarters[r.Probe]; ok && was == q {
				if skipped == 0 || q < skipped {
					skipped = q
				}
				continue
			}
			if d.quarters == nil || len(d.quarters) >= probesKept {
				d.quarters = map[coldkeep.ProbeID]int64{}
			}
			d.quarters[r.Probe] = q
		}
		w.book.Unlogged = append(w.book.Unlogged, ledger.Quarter{Series: r.Series, From: q})
	}
	return skipped
}

// markAll notes every quarter hour of the take's readings, again.
func (w *worker) markAll(ctx context.Context) error {
	var all ledger.Take
	for i := range w.rs {
		q := ledger.Quarter{Series: w.rs[i].Series, From: coldkeep.IntervalStart(w.rs[i].At)}
		if n := len(all.Unlogged); n == 0 || all.Unlogged[n-1] != q {
			all.Unlogged = append(all.Unlogged, q)
		}
	}
	_, err := w.ledger.Enter(ctx, w.now, &all, w.fence())
	return err
}

// finish tells everyone of a take that is durable.
func (w *worker) finish(ctx context.Context, messages int) {
	for _, e := range w.open {
		w.acks.stored(e.Epoch, e.known.Ranges)
	}
	for _, e := range w.again {
		if e.entry == 0 {
			w.acks.stored(e.Epoch, e.known.Ranges)
		}
	}
	var bad int64
	for i := range w.book.Entries {
		e := &w.book.Entries[i]
		bad += int64(len(e.Bad))
		w.sealed(ctx, e)
		if w.Note != nil && len(e.Events) > 0 {
			w.Note(e.Site, e.Agent, e.Events)
		}
		if !e.Unseen {
			d := w.devices[ledger.Device{Site: e.Site, Agent: e.Agent}]
			d.rowAt, d.rowEpoch = w.now, e.Epoch.Epoch
		}
	}
	for _, t := range w.told {
		w.judge.SetOnline(t.Site, t.Agent, t.status.Online)
		if w.Devices != nil {
			w.Devices.SetStatus(t.Site, t.Agent, w.now, &t.status, t.retained)
		}
	}
	if w.Devices != nil {
		for _, d := range w.agents {
			if d.clock != "" {
				w.Devices.Heard(d.Site, d.Agent, w.now, d.newest, d.clock)
			}
		}
	}
	for _, d := range w.refusals {
		n := d.refused.done()
		w.Counts.Refused.Add(n)
		if d.refused.tellable(w.now) {
			w.log.Warn("payloads refused and quarantined", "site", d.Site, "agent", d.Agent, "payloads", d.refused.untold, "reason", d.refused.reason)
			d.refused.untold = 0
		}
	}
	if w.Age != nil {
		now := w.clock.Now().UnixMilli()
		for _, at := range w.newest {
			if at > 0 {
				w.Age(time.Duration(now-at) * time.Millisecond)
			}
		}
	}
	w.heardMu.Lock()
	for _, d := range w.agents {
		w.heard[d.Device] = w.now
	}
	w.heardMu.Unlock()
	w.Counts.Takes.Add(1)
	w.Counts.Messages.Add(int64(messages))
	w.Counts.Batches.Add(w.batches)
	w.Counts.Stored.Add(int64(len(w.rs)))
	w.Counts.Repeated.Add(w.repeated)
	w.Counts.Quarantined.Add(bad)
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
