// Package ingest takes the agents' batches from the broker into the readings store
// and the ledger, and acknowledges what is durable in both. It holds a bounded
// number of batches: when the stores are slow it takes no more, and the agents'
// outboxes keep what is not acknowledged.
package ingest

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const (
	workers  = 4  // agents are spread over them; one agent's batches stay in order
	queued   = 32 // payloads that wait for a worker, each at most 256 KiB
	together = 32 // payloads that one commit may carry
	retry    = time.Second
	// future is how far ahead of the collector's clock a reading may be: more is a
	// clock gone wrong, and the reading is quarantined.
	future = 24 * time.Hour
)

// Publisher sends a message to the broker. An error means it was not sent; what it
// said will be said again.
type Publisher interface {
	Publish(ctx context.Context, topic string, retained bool, payload []byte) error
}

// Judge hears of what was stored.
type Judge interface {
	Notice(series ...coldkeep.Series)
	SetOnline(site coldkeep.SiteID, agent coldkeep.AgentID, online bool)
}

// Message is what came from the broker.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Counts are what ingest has done since its start.
type Counts struct {
	Batches, Stored, Repeated, Quarantined, Refused atomic.Int64
	Seals, SealsRefused                             atomic.Int64
}

// Ingest is the intake.
type Ingest struct {
	store  readings.Store
	ledger *ledger.Ledger
	judge  Judge
	clock  coldkeep.Clock
	log    *slog.Logger

	Counts Counts
	// Age, when set before Run, is told of each batch how old its newest reading was
	// when it had become durable.
	Age func(time.Duration)

	queues [workers]chan Message
	acks   acks
	stuck  atomic.Int32 // workers whose batches the stores do not take
}

// New makes an intake that answers through pub.
func New(store readings.Store, led *ledger.Ledger, j Judge, pub Publisher, clock coldkeep.Clock, log *slog.Logger) *Ingest {
	in := &Ingest{store: store, ledger: led, judge: j, clock: clock, log: log}
	for i := range in.queues {
		in.queues[i] = make(chan Message, queued)
	}
	in.acks.init(pub)
	return in
}

// Handle takes a message. It waits when the intake is full, which holds up the
// broker's connection, and returns early only when ctx ends.
func (in *Ingest) Handle(ctx context.Context, m Message) {
	h := fnv.New32a()
	if site, agent, _, err := wire.ParseTopic(m.Topic); err == nil {
		_, _ = h.Write([]byte(string(site) + "/" + string(agent))) // a hash does not fail
	}
	select {
	case in.queues[h.Sum32()%workers] <- m:
	case <-ctx.Done():
	}
}

// Stuck reports whether what comes in cannot be stored at present.
func (in *Ingest) Stuck() bool { return in.stuck.Load() > 0 }

// Run works until ctx ends.
func (in *Ingest) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for i := range in.queues {
		wg.Go(func() {
			w := worker{Ingest: in, known: map[ledger.Epoch]ledger.Ranges{}, seals: evidence.NewArrivals(in.ledger)}
			w.run(ctx, in.queues[i])
		})
	}
	wg.Go(func() { in.acks.run(ctx) })
	wg.Wait()
	return nil
}

// worker deals with the agents of one queue.
type worker struct {
	*Ingest
	known map[ledger.Epoch]ledger.Ranges // what the ledger has; dropped on any failure
	seals *evidence.Arrivals
	dec   wire.Decoder
}

func (w *worker) run(ctx context.Context, queue <-chan Message) {
	for {
		var ms []Message
		select {
		case <-ctx.Done():
			return
		case m := <-queue:
			ms = append(ms, m)
		}
		for more := true; more && len(ms) < together; {
			select {
			case m := <-queue:
				ms = append(ms, m)
			default:
				more = false
			}
		}
		for stuck := false; ; {
			err := w.take(ctx, ms)
			if err == nil {
				if stuck {
					w.stuck.Add(-1)
					w.log.Info("readings are stored again")
				}
				break
			}
			if ctx.Err() != nil {
				return
			}
			clear(w.known)
			w.seals.Forget()
			if !stuck {
				stuck = true
				w.stuck.Add(1)
				w.log.Error("readings cannot be stored; they wait on the devices", "error", err)
			}
			if err := (coldkeep.RealClock{}).Sleep(ctx, retry); err != nil {
				return
			}
		}
	}
}

// take stores, enters and acknowledges messages. On an error nothing was
// acknowledged and all may be taken again.
func (w *worker) take(ctx context.Context, ms []Message) error {
	now := w.clock.Now()
	var entries []ledger.Entry
	var rs []coldkeep.Reading
	var newest []int64 // time of each entry's last new reading, ms; 0 for none
	var batches, repeated, bad int64
	for i, m := range ms {
		if m.Topic == "" {
			continue // refused in an earlier try
		}
		site, agent, leaf, err := wire.ParseTopic(m.Topic)
		switch {
		case err != nil:
			w.log.Warn("message on a topic that is not ours", "topic", m.Topic)
			continue
		case leaf == wire.LeafStatus:
			if err := w.status(ctx, now, site, agent, m.Payload); err != nil {
				return err
			}
			continue
		case leaf != wire.LeafReadings:
			continue
		case m.Retained:
			// Retained readings would come again at every subscription.
			if err := w.refuse(ctx, now, site, agent, m, "readings must not be retained"); err != nil {
				return err
			}
			ms[i] = Message{}
			continue
		}
		b, wrong, err := w.dec.Decode(m.Payload, now.Add(future).UnixMilli())
		if err != nil {
			if err := w.refuse(ctx, now, site, agent, m, coldkeep.ErrorMessage(err)); err != nil {
				return err
			}
			ms[i] = Message{}
			continue
		}
		batches++
		e := ledger.Epoch{Site: site, Agent: agent, Epoch: b.Epoch}
		ranges, ok := w.known[e]
		if !ok {
			if ranges, err = w.ledger.Ranges(ctx, e); err != nil {
				return err
			}
		}
		entry, fresh := enter(e, b, wrong, ranges)
		if last := entry.To; ranges.Overlaps(b.Seq, last) {
			// What was given up as lost and comes after all is as new as any.
			lost, err := w.ledger.Lost(ctx, e)
			if err != nil {
				return err
			}
			if lost.Overlaps(b.Seq, last) {
				entry, fresh = enter(e, b, wrong, ranges.Without(lost))
				entry.Found = true
			}
		}
		if err := w.seals.Take(ctx, now, &entry, b, wrong); err != nil {
			return err
		}
		rs = append(rs, fresh...)
		repeated += int64(len(b.Records) - len(fresh) - len(entry.Bad) - len(entry.Events))
		bad += int64(len(entry.Bad))
		w.known[e] = ranges.Add(entry.From, entry.To)
		entries = append(entries, entry)
		at := int64(0)
		if n := len(fresh); n > 0 {
			at = fresh[n-1].At
		}
		newest = append(newest, at)
	}
	err := w.store.Append(ctx, rs)
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		err = w.isolate(ctx, rs, entries)
	}
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	after, err := w.ledger.Commit(ctx, now, entries)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		w.known[e.Epoch] = after[i]
		w.acks.stored(e, after[i])
		if w.Age != nil && newest[i] > 0 {
			w.Age(time.Duration(w.clock.Now().UnixMilli()-newest[i]) * time.Millisecond)
		}
		w.sealed(ctx, e)
		for probe := range e.Touched {
			w.judge.Notice(coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: probe})
		}
	}
	w.Counts.Batches.Add(batches)
	w.Counts.Stored.Add(int64(len(rs)))
	w.Counts.Repeated.Add(repeated)
	w.Counts.Quarantined.Add(bad)
	return nil
}

// isolate stores readings one by one after the store has said that some can never
// be, and puts those into quarantine under their seq.
func (w *worker) isolate(ctx context.Context, rs []coldkeep.Reading, entries []ledger.Entry) error {
	for i := range rs {
		err := w.store.Append(ctx, rs[i:i+1])
		if err == nil {
			continue
		}
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			return err
		}
		r := &rs[i]
		raw, _ := json.Marshal(r) // numbers and strings always marshal
		w.log.Warn("reading refused by the store and quarantined", "series", r.Series.String(), "seq", r.Seq, "error", err)
		w.Counts.Quarantined.Add(1)
		for k := range entries {
			e := &entries[k]
			if e.Site == r.Site && e.Agent == r.Agent && e.Epoch.Epoch == r.Epoch && e.From <= r.Seq && r.Seq <= e.To {
				e.Bad = append(e.Bad, wire.BadRecord{Seq: r.Seq, Raw: raw, Reason: "refused by the readings store: " + err.Error()})
				break
			}
		}
	}
	return nil
}

// enter makes the ledger entry of a batch and the readings in it that are new.
func enter(e ledger.Epoch, b *wire.Batch, wrong []wire.BadRecord, known ledger.Ranges) (ledger.Entry, []coldkeep.Reading) {
	entry := ledger.Entry{Epoch: e, From: b.Seq, To: b.Seq + int64(len(b.Records)) - 1, Oldest: b.Oldest, Clock: b.Clock, Config: b.Config,
		Touched: map[coldkeep.ProbeID]int64{}, Quarters: map[coldkeep.ProbeID]map[int64]struct{}{}}
	badSeq := make(map[int64]bool, len(wrong))
	for _, bad := range wrong {
		badSeq[bad.Seq] = true
		if !known.Has(bad.Seq) {
			entry.Bad = append(entry.Bad, bad)
		}
	}
	var out []coldkeep.Reading
	for i := range b.Records {
		r, seq := &b.Records[i], b.Seq+int64(i)
		switch {
		case badSeq[seq] || known.Has(seq):
			continue
		case r.IsEvent():
			entry.Events = append(entry.Events, ledger.Event{Seq: seq, Record: *r})
			continue
		}
		out = append(out, coldkeep.Reading{Series: coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: r.Probe}, Epoch: b.Epoch, Seq: seq,
			At: r.At, Celsius: r.Celsius, Raw: r.Raw, Lo: r.Lo, Hi: r.Hi, Quality: r.Quality})
		if at, ok := entry.Touched[r.Probe]; !ok || r.At < at {
			entry.Touched[r.Probe] = r.At
		}
		if entry.Quarters[r.Probe] == nil {
			entry.Quarters[r.Probe] = map[int64]struct{}{}
		}
		entry.Quarters[r.Probe][coldkeep.IntervalStart(r.At)] = struct{}{}
	}
	return entry, out
}

// refuse quarantines a payload that cannot be read as what it should be. It is an
// agent's fault and must not hold up the others.
func (w *worker) refuse(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, m Message, reason string) error {
	w.Counts.Refused.Add(1)
	w.log.Warn("payload refused and quarantined", "site", site, "agent", agent, "bytes", len(m.Payload), "reason", reason)
	body := m.Payload[:min(len(m.Payload), wire.MaxPayload)]
	return w.ledger.Refuse(ctx, now, site, agent, m.Topic, reason, body)
}

func (w *worker) status(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, payload []byte) error {
	if len(payload) == 0 {
		return nil // the retained status was taken back
	}
	var st wire.Status
	if err := wire.Decode(payload, &st); err != nil {
		return w.refuse(ctx, now, site, agent, Message{Topic: wire.Topic(site, agent, wire.LeafStatus), Payload: payload}, coldkeep.ErrorMessage(err))
	}
	if st.Epoch != "" && !wire.ValidEpoch(st.Epoch) {
		return w.refuse(ctx, now, site, agent, Message{Topic: wire.Topic(site, agent, wire.LeafStatus), Payload: payload}, "status epoch is not a ULID")
	}
	if err := w.ledger.SetStatus(ctx, now, site, agent, &st); err != nil {
		return err
	}
	if err := w.noteKey(ctx, now, site, agent, &st); err != nil {
		return err
	}
	w.judge.SetOnline(site, agent, st.Online)
	return nil
}

// acks coalesces acknowledgements to at most one a second an agent, and asks for
// what is missing at most every resendEvery.
type acks struct {
	pub  Publisher
	mu   sync.Mutex
	due  map[agentKey]ledger.Ranges
	last map[agentKey]sent
}

type agentKey struct {
	site  coldkeep.SiteID
	agent coldkeep.AgentID
	epoch string
}

type sent struct{ ack, resend time.Time }

const (
	ackEvery    = time.Second
	resendEvery = 10 * time.Second
)

func (a *acks) init(pub Publisher) {
	a.pub, a.due, a.last = pub, map[agentKey]ledger.Ranges{}, map[agentKey]sent{}
}

func (a *acks) stored(e *ledger.Entry, r ledger.Ranges) {
	a.mu.Lock()
	a.due[agentKey{e.Site, e.Agent, e.Epoch.Epoch}] = r
	a.mu.Unlock()
}

func (a *acks) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.flush(ctx, now)
		}
	}
}

func (a *acks) flush(ctx context.Context, now time.Time) {
	a.mu.Lock()
	todo := map[agentKey]ledger.Ranges{}
	for k, r := range a.due {
		if now.Sub(a.last[k].ack) >= ackEvery {
			todo[k] = r
			delete(a.due, k)
		}
	}
	a.mu.Unlock()
	for k, r := range todo {
		a.send(ctx, now, k, r)
	}
}

// send publishes one ack, and a resend for the first gap. Neither is retried: the
// agent sends again what it has no ack for, and that is acknowledged again.
func (a *acks) send(ctx context.Context, now time.Time, k agentKey, r ledger.Ranges) {
	ack, _ := json.Marshal(wire.Ack{V: wire.Version, Epoch: k.epoch, Seq: r.Contiguous()}) // always marshals
	if err := a.pub.Publish(ctx, wire.Topic(k.site, k.agent, wire.LeafAck), true, ack); err != nil {
		return
	}
	a.mu.Lock()
	s := a.last[k]
	s.ack = now
	from, to, gap := r.FirstGap()
	ask := gap && now.Sub(s.resend) >= resendEvery
	if ask {
		s.resend = now
	}
	a.last[k] = s
	a.mu.Unlock()
	if !ask {
		return
	}
	cmd, _ := json.Marshal(wire.Command{V: wire.Version, Cmd: wire.CommandResend, Epoch: k.epoch, From: from, To: to}) // always marshals
	_ = a.pub.Publish(ctx, wire.Topic(k.site, k.agent, wire.LeafCommand), false, cmd)                                  // see above
}
