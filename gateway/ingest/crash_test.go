package ingest_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ingest"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// memory is a readings store that counts how often it was given each reading as
// new, and fails now and then, also after it has stored something.
type memory struct {
	readings.Store
	mu   sync.Mutex
	fail func() bool
	has  map[coldkeep.Reading]bool
}

func (m *memory) Append(_ context.Context, rs []coldkeep.Reading) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail() {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "store is away")
	}
	for i := range rs {
		if i == len(rs)/2 && m.fail() {
			return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "store went away half-way")
		}
		m.has[rs[i]] = true
	}
	return nil
}

// shaky is a ledger whose answers are lost now and then, and whose transactions fail.
type shaky struct {
	*ledger.Ledger
	fail func() bool
}

func (s *shaky) Progress(ctx context.Context, e ledger.Epoch) (ledger.Progress, error) {
	if s.fail() {
		return ledger.Progress{}, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "ledger is away")
	}
	return s.Ledger.Progress(ctx, e)
}

func (s *shaky) Enter(ctx context.Context, now time.Time, t *ledger.Take, fences ...ledger.Fence) ([]ledger.Progress, error) {
	out, err := s.Ledger.Enter(ctx, now, t, fences...)
	if err == nil && s.fail() {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the answer to a commit was lost")
	}
	return out, err
}

// ackBook is a publisher that keeps the acks, and checks each against what the
// ledger says: it must never be ahead.
type ackBook struct {
	led  *ledger.Ledger
	mu   sync.Mutex
	acks map[ledger.Epoch]int64
	errs []string
}

func (a *ackBook) Publish(ctx context.Context, topic string, _ bool, payload []byte) error {
	site, agent, leaf, err := wire.ParseTopic(topic)
	if err != nil || leaf != wire.LeafAck {
		return err
	}
	var ack wire.Ack
	if err := wire.Decode(payload, &ack); err != nil {
		return err
	}
	e := ledger.Epoch{Site: site, Agent: agent, Epoch: ack.Epoch}
	r, err := a.led.Ranges(ctx, e)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Contiguous() < ack.Seq || ack.Seq < a.acks[e] {
		a.errs = append(a.errs, fmt.Sprintf("%s/%s acknowledged to %d after %d, the book has %v", e.Agent, e.Epoch, ack.Seq, a.acks[e], r))
	}
	a.acks[e] = ack.Seq
	return nil
}

// Whatever fails between the steps, in whatever order and however often messages
// come: each reading is stored once under its seq, an ack never passes a gap, the
// judge hears of everything that is stored, and no more is held than the bound.
func TestNothingLostNothingTwice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		led, err := ledger.Open(t.Context(), databasetest.Open(t, where))
		if err != nil {
			t.Fatal(err)
		}
		run := 0
		rapid.Check(t, func(t *rapid.T) {
			run++
			const agents = 5
			seed := rapid.Uint64().Draw(t, "seed")
			rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's dice
			var dice sync.Mutex
			trouble := rapid.IntRange(0, 30).Draw(t, "trouble, percent")
			fail := func() bool {
				dice.Lock()
				defer dice.Unlock()
				return rng.IntN(100) < trouble
			}
			store := &memory{fail: fail, has: map[coldkeep.Reading]bool{}}
			book := &ackBook{led: led, acks: map[ledger.Epoch]int64{}}
			judge := newHearing()
			judge.late = map[coldkeep.Series]int64{}
			in := ingest.New(store, &shaky{led, fail}, judge, book, coldkeep.RealClock{}, slog.New(slog.DiscardHandler))
			in.Quicken()
			in.Fence = func(context.Context, *sql.Tx, int64, []coldkeep.SiteID) error {
				if fail() {
					return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the transaction broke")
				}
				return nil
			}
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() { _ = in.Run(ctx) })
			defer func() { cancel(); wg.Wait() }()

			site := coldkeep.SiteID(fmt.Sprint("s", run))
			want := map[coldkeep.Reading]bool{}
			last := map[coldkeep.AgentID]int64{}
			type message struct {
				agent   coldkeep.AgentID
				payload []byte
			}
			var messages []message
			for a := range agents {
				agent := coldkeep.AgentID(fmt.Sprint("a", a))
				n := rapid.Int64Range(1, 120).Draw(t, "records")
				last[agent] = n
				for seq := int64(1); seq <= n; {
					b := batch(seq, 1, rapid.IntRange(1, 12).Draw(t, "batch"))
					b.Records = b.Records[:min(int64(len(b.Records)), n-seq+1)]
					if rapid.Bool().Draw(t, "rtc") {
						b.Clock = "rtc"
					}
					for i := range b.Records {
						r := &b.Records[i]
						want[coldkeep.Reading{Series: coldkeep.Series{Site: site, Agent: agent, Probe: "p"}, Epoch: epoch, Seq: b.Seq + int64(i), At: r.At, Celsius: r.Celsius, Raw: r.Raw, Lo: r.Lo, Hi: r.Hi}] = true
					}
					for range rapid.IntRange(1, 3).Draw(t, "times") {
						messages = append(messages, message{agent, wire.AppendBatch(nil, b)})
					}
					seq += int64(len(b.Records))
				}
				judge.late[coldkeep.Series{Site: site, Agent: agent, Probe: "p"}] = base + rapid.Int64Range(0, 50).Draw(t, "covered")*1000
			}
			rng2 := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // as above
			switch rapid.IntRange(0, 2).Draw(t, "order") {
			case 0:
				rng2.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
			case 1:
				slices.Reverse(messages)
			}
			for _, m := range messages {
				if err := in.Handle(ctx, ingest.Message{Topic: wire.Topic(site, m.agent, wire.LeafReadings), Payload: m.payload}); err != nil {
					t.Fatal(err)
				}
				if held := in.Counts.QueuedBytes.Load(); held > in.QueueBytes() {
					t.Fatalf("%d bytes are held, the bound is %d", held, in.QueueBytes())
				}
			}
			for end := time.Now().Add(limit); in.Counts.QueuedBytes.Load() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the queue does not empty")
				}
			}
			store.mu.Lock()
			defer store.mu.Unlock()
			judge.mu.Lock()
			defer judge.mu.Unlock()
			if len(store.has) != len(want) || judge.open != 0 {
				t.Fatalf("%d readings stored, want %d; %d tickets open", len(store.has), len(want), judge.open)
			}
			unjudged := map[coldkeep.Series]int64{}
			us, err := led.Unjudged(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range us {
				unjudged[u.Series] = u.From
			}
			for r := range want {
				if !store.has[r] {
					t.Fatalf("%+v is lost", r)
				}
				if judge.heard[r] == 0 {
					t.Fatalf("the judge has not heard of %+v", r)
				}
				if from, ok := unjudged[r.Series]; r.At <= judge.late[r.Series] && (!ok || from > r.At) {
					t.Fatalf("%+v is late and the judge is not sent back to it: %v, %d", r, ok, from)
				}
			}
			for agent, n := range last {
				e := ledger.Epoch{Site: site, Agent: agent, Epoch: epoch}
				p, err := led.Progress(ctx, e)
				if err != nil || fmt.Sprint(p.Ranges) != fmt.Sprintf("[[1 %d]]", n) || p.Lost != nil {
					t.Fatalf("%s has %+v, %v, want 1 to %d", agent, p, err, n)
				}
				stamps, err := led.Stamps(ctx, e)
				if err != nil {
					t.Fatal(err)
				}
				var covered ledger.Ranges
				for _, s := range stamps {
					covered = covered.Add(s.From, s.To)
				}
				if fmt.Sprint(covered) != fmt.Sprintf("[[1 %d]]", n) {
					t.Fatalf("stamps %v do not cover 1 to %d", stamps, n)
				}
			}
			book.mu.Lock()
			defer book.mu.Unlock()
			if len(book.errs) > 0 {
				t.Fatal(book.errs)
			}
		})
	})
}

// A flood of what cannot be read is counted and bounded, and the good beside it is
// stored and acknowledged.
func TestFloodOfBadPayloads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		a := s.agent("pi-1")
		const flood, good = 50_000, 200
		ctx := t.Context()
		var wg sync.WaitGroup
		wg.Go(func() {
			bad := []byte(`{"v":1,"epoch":"nonsense","seq":1,"records":[{"p":"p","t":1,"c":4}]}`)
			for range flood {
				if err := s.in.Handle(ctx, ingest.Message{Topic: "coldkeep/1/clinic/flood/readings", Payload: bad}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for i := range int64(good) {
			a.send(wire.AppendBatch(nil, batch(i*5+1, 1, 5)), false)
		}
		a.wantAck(good * 5)
		wg.Wait()
		s.until("the flood is counted", func() bool { return s.in.Counts.Refused.Load() == flood })
		if n := a.count(); n != good*5 {
			t.Fatalf("%d stored, want %d", n, good*5)
		}
		kept, err := s.led.Refused(ctx, "clinic", "flood")
		if err != nil || len(kept) > 100 || len(kept) == 0 {
			t.Fatalf("%d payloads kept, %v", len(kept), err)
		}
		faults, err := s.led.EvidenceFaults(ctx, "clinic", "flood")
		if err != nil || len(faults) == 0 || len(faults) > 2 || faults[0].Kind != ledger.FaultPayload { // two around midnight
			t.Fatalf("raised %+v, %v", faults, err)
		}
	})
}

// Where the site requires signatures, nobody but the device's key can say that
// records are no more.
func TestSignedOnly(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	var sites sync.Map
	in := ingest.New(s.store, s.led, s.judge, s.link, coldkeep.RealClock{}, slog.New(slog.DiscardHandler))
	in.SignedOnly = func(site coldkeep.SiteID) bool { sites.Store(site, true); return site == "clinic" }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	defer func() { cancel(); wg.Wait() }()
	key := newKey(t)
	hand := func(b *wire.Batch) {
		t.Helper()
		if err := in.Handle(ctx, ingest.Message{Topic: wire.Topic("clinic", "pi-9", wire.LeafReadings), Payload: wire.AppendBatch(nil, b)}); err != nil {
			t.Fatal(err)
		}
	}
	e := ledger.Epoch{Site: "clinic", Agent: "pi-9", Epoch: epoch}
	ranges := func(want string) {
		t.Helper()
		s.until("the book has "+want, func() bool {
			r, err := s.led.Ranges(ctx, e)
			return err == nil && fmt.Sprint(r) == want
		})
	}
	if err := in.Handle(ctx, ingest.Message{Topic: wire.Topic("clinic", "pi-9", wire.LeafStatus), Payload: birth(key)}); err != nil {
		t.Fatal(err)
	}
	hand(batch(11, 11, 5))
	ranges("[[11 15]]")
	thief := newKey(t)
	forged := batch(16, 11, 5)
	sign(thief, "pi-9", forged, wire.Hash{})
	forged.Seal.Oldest = 11
	hand(forged)
	ranges("[[11 20]]")
	honest := batch(21, 11, 5)
	h := wire.Hash{}
	for i := range honest.Records {
		h = h.Next(wire.AppendCanonical(nil, honest.Seq+int64(i), &honest.Records[i], honest.Clock, honest.Config))
	}
	honest.Seal = wire.NewSeal(key, "clinic", "pi-9", epoch, 25, 11, h)
	hand(honest)
	ranges("[[1 25]]")
	lost, err := s.led.Lost(ctx, e)
	if err != nil || fmt.Sprint(lost) != "[[1 10]]" {
		t.Fatalf("lost %v, %v", lost, err)
	}
}

// A take that sites change hands under is not stored under the old round, and what is
// still ours goes at once: nothing is said to be stuck.
func TestSitesChangeHandsUnderATake(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	var log strings.Builder
	in := ingest.New(s.store, s.led, s.judge, s.link, coldkeep.RealClock{}, slog.New(slog.NewTextHandler(&log, nil)))
	var round, refused atomic.Int64
	in.Round = round.Load
	in.Mine = func(site coldkeep.SiteID) bool { return site == "clinic" || round.Load() == 0 }
	in.Fence = func(_ context.Context, _ *sql.Tx, at int64, sites []coldkeep.SiteID) error {
		round.CompareAndSwap(0, 1) // just now
		if at != round.Load() || slices.Contains(sites, "elsewhere") {
			refused.Add(1)
			return coldkeep.Errorf(coldkeep.ECONFLICT, "the sites of this collector have changed")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	for _, site := range []coldkeep.SiteID{"elsewhere", "clinic"} {
		if err := in.Handle(ctx, ingest.Message{Topic: wire.Topic(site, "pi-9", wire.LeafReadings), Payload: wire.AppendBatch(nil, batch(1, 1, 5))}); err != nil {
			t.Fatal(err)
		}
	}
	s.until("what is still ours is stored", func() bool {
		r, err := s.led.Ranges(ctx, ledger.Epoch{Site: "clinic", Agent: "pi-9", Epoch: epoch})
		return err == nil && fmt.Sprint(r) == "[[1 5]]" && in.Counts.QueuedBytes.Load() == 0
	})
	cancel()
	wg.Wait()
	if r, err := s.led.Ranges(t.Context(), ledger.Epoch{Site: "elsewhere", Agent: "pi-9", Epoch: epoch}); err != nil || len(r) != 0 {
		t.Errorf("of the site that is another's: %v, %v", r, err)
	}
	if refused.Load() == 0 || log.Len() > 0 {
		t.Errorf("refused %d times, said:\n%s", refused.Load(), log.String())
	}
}
