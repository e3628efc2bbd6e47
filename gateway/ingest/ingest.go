// Package ingest takes the agents' batches from the broker into the readings store
// and the ledger, and acknowledges what is durable in both. It holds a bounded
// number of bytes: when the stores are slow it takes no more, and the agents'
// outboxes keep what is not acknowledged.
//
// Messages wait in a few queues, one a worker, and all that waits in one is decoded,
// stored and committed together: the more comes, the less each message costs.
package ingest

import (
	"context"
	"database/sql"
	"hash/fnv"
	"iter"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Publisher sends a message to the broker. An error means it was not sent; what it
// said will be said again.
type Publisher interface {
	Publish(ctx context.Context, topic string, retained bool, payload []byte) error
}

// Judge hears of what is stored.
type Judge interface {
	// Expect is told of new readings before they are committed. It returns the series
	// of which some are older than what a checkpoint already covers (they must be
	// entered as unjudged from that time on, ms), and a function that must be called
	// once: with true when they are durable (the judge copies what it needs before it
	// returns) or with false when they are not.
	Expect(rs []coldkeep.Reading) (late map[coldkeep.Series]int64, done func(stored bool))
	SetOnline(site coldkeep.SiteID, agent coldkeep.AgentID, online bool)
}

// Ledger is the book in which what is stored is entered; *ledger.Ledger is one.
type Ledger interface {
	evidence.Keys
	Progress(ctx context.Context, e ledger.Epoch) (ledger.Progress, error)
	Enter(ctx context.Context, now time.Time, t *ledger.Take, fences ...ledger.Fence) ([]ledger.Progress, error)
	NoteKey(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, key, pub string) (fresh bool, err error)
	Raise(ctx context.Context, now time.Time, e ledger.Epoch, kind, subject, detail string) error
}

// Devices hears, once it is durable, of what devices send.
type Devices interface {
	// Heard is told when readings have come, of the time of the newest that is new, ms, 0
	// when none is, and of the clock that their latest batch says.
	Heard(site coldkeep.SiteID, agent coldkeep.AgentID, at time.Time, newestRecord int64, clock string)
	SetStatus(site coldkeep.SiteID, agent coldkeep.AgentID, at time.Time, st *wire.Status, retained bool)
}

// Message is what came from the broker. Its payload is read before Handle returns.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
	// Size, when it is not 0, is how long the payload was before it was cut: nobody
	// holds more of one than wire.MaxPayload and a byte.
	Size int
}

// Counts are what ingest has done since its start, and what it holds.
type Counts struct {
	Batches, Stored, Repeated, Quarantined, Refused atomic.Int64
	Seals, SealsRefused                             atomic.Int64

	Messages    atomic.Int64 // taken from the broker
	Takes       atomic.Int64 // commits that carried them
	QueuedBytes atomic.Int64 // that wait or are being worked on
}

// Ingest is the intake.
type Ingest struct {
	store  readings.Store
	ledger Ledger
	judge  Judge
	clock  coldkeep.Clock
	log    *slog.Logger

	Counts Counts

	// What follows may be set before Run.

	// Age is told of each batch how old its newest reading was when it had become
	// durable.
	Age func(time.Duration)
	// SignedOnly says whether a site requires signatures: then records are given up as
	// lost only by the oldest inside a valid seal. nil is no.
	SignedOnly func(coldkeep.SiteID) bool
	// Mine says whether this collector holds a site; what comes of others is left to
	// theirs. nil is all of them.
	Mine func(coldkeep.SiteID) bool
	// Fence is asked in each commit's transaction whether this collector still holds the
	// sites it enters; an error undoes the commit. nil is yes.
	Fence func(ctx context.Context, tx *sql.Tx, round int64, sites []coldkeep.SiteID) error
	// Round grows when the sites that this collector holds change: what was remembered
	// of devices before may be another's to know since, and Fence is told under which
	// round a take was made. nil: never.
	Round func() int64
	// Devices hears of what devices send. nil: nobody does.
	Devices Devices
	// Note is told of events that have become durable: for foresight, which does without
	// those that a crash keeps from it. nil: nobody is.
	Note func(site coldkeep.SiteID, agent coldkeep.AgentID, events []ledger.Event)

	retry, pause time.Duration

	queues []*queue
	routes routes
	acks   acks
	stuck  atomic.Int32 // workers whose batches the stores do not take

	heardMu sync.Mutex
	heard   map[ledger.Device]time.Time
}

// New makes an intake that answers through pub.
func New(store readings.Store, led Ledger, j Judge, pub Publisher, clock coldkeep.Clock, log *slog.Logger) *Ingest {
	in := &Ingest{store: store, ledger: led, judge: j, clock: clock, log: log, heard: map[ledger.Device]time.Time{}, retry: retryAfter, pause: pauseBetween}
	// Agents are spread over the workers; one agent's batches stay in order. While one
	// waits for a store, another decodes; more than a few only wait for each other.
	in.queues = make([]*queue, min(4, max(2, runtime.GOMAXPROCS(0))))
	for i := range in.queues {
		in.queues[i] = newQueue(&in.Counts)
	}
	in.acks.init(pub)
	return in
}

// Handle takes a message. It waits when the intake is full, which holds up the
// broker's connection, and returns early only when ctx ends; then it returns its
// error, and the message was not taken.
func (in *Ingest) Handle(ctx context.Context, m Message) error {
	r, fresh := in.routes.find(m.Topic, len(in.queues))
	switch {
	case r.leaf == "":
		if fresh {
			in.log.Warn("message on a topic that is not ours", "topic", m.Topic)
		}
		return nil
	case r.leaf != wire.LeafReadings && r.leaf != wire.LeafStatus:
		return nil
	}
	return in.queues[r.queue].put(ctx, r, m)
}

// Stuck reports whether what comes in cannot be stored at present.
func (in *Ingest) Stuck() bool { return in.stuck.Load() > 0 }

// LastHeard gives each device that has sent something readable since the start, and
// when it did so last, by the intake's clock. The ledger's device rows are up to ten
// seconds older than this.
func (in *Ingest) LastHeard() iter.Seq2[ledger.Device, time.Time] {
	return func(yield func(ledger.Device, time.Time) bool) {
		in.heardMu.Lock()
		devices := make([]ledger.Device, 0, len(in.heard))
		times := make([]time.Time, 0, len(in.heard))
		for d, at := range in.heard {
			devices, times = append(devices, d), append(times, at)
		}
		in.heardMu.Unlock()
		for i := range devices {
			if !yield(devices[i], times[i]) {
				return
			}
		}
	}
}

// Run works until ctx ends.
func (in *Ingest) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, q := range in.queues {
		wg.Go(func() {
			w := worker{Ingest: in, devices: map[ledger.Device]*device{}, seals: evidence.NewArrivals(in.ledger)}
			w.run(ctx, q)
		})
	}
	wg.Go(func() { in.acks.run(ctx) })
	wg.Wait()
	return nil
}

// route is where a topic's messages go.
type route struct {
	topic string
	ledger.Device
	leaf  string // "" of a topic that is not ours
	queue int
}

// routesKept bounds the topics that are remembered: whoever may publish anything
// must not fill the memory.
const routesKept = 50_000

// routes remembers topics, so that each is taken apart once.
type routes struct {
	mu sync.RWMutex
	by map[string]*route
}

func (rs *routes) find(topic string, queues int) (r *route, fresh bool) {
	rs.mu.RLock()
	r, ok := rs.by[topic]
	rs.mu.RUnlock()
	if ok {
		return r, false
	}
	r = &route{topic: topic}
	if site, agent, leaf, err := wire.ParseTopic(topic); err == nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(string(site) + "/" + string(agent))) // a hash does not fail
		r.Device, r.leaf, r.queue = ledger.Device{Site: site, Agent: agent}, leaf, int(h.Sum32()%uint32(queues))
	}
	rs.mu.Lock()
	if rs.by == nil || len(rs.by) >= routesKept {
		rs.by = map[string]*route{}
	}
	rs.by[topic] = r
	rs.mu.Unlock()
	return r, true
}
