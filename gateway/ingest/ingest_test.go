package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/ingest"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

const (
	epoch = "01jd3k8w2m5n6p7q8r9s0t1v2w"
	base  = int64(1_767_225_600_000)
	limit = 20 * time.Second
)

// devices knows three agents by the password "secret".
type devices struct{}

func (devices) CheckDevice(user, password string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	site, agent, _ := strings.Cut(user, "/")
	return coldkeep.SiteID(site), coldkeep.AgentID(agent), password == "secret" && site == "clinic"
}

// stage is a broker and an intake, joined over TCP, and what a test sees of them.
type stage struct {
	t     *testing.T
	addr  string
	in    *ingest.Ingest
	store *holdable
	led   *ledger.Ledger
	link  *ingest.Link
	judge *hearing
}

// holdable is a store that can be made to refuse.
type holdable struct {
	readings.Store
	away   atomic.Bool
	refuse atomic.Int64 // seq that it can never take
}

func (h *holdable) Append(ctx context.Context, rs []coldkeep.Reading) error {
	if h.away.Load() {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "store is away")
	}
	for _, r := range rs {
		if r.Seq == h.refuse.Load() {
			return coldkeep.Errorf(coldkeep.EINVALID, "reading is too old")
		}
	}
	return h.Store.Append(ctx, rs)
}

// hearing is a judge that only hears. late makes it say of a series that a checkpoint
// covers its readings already.
type hearing struct {
	mu     sync.Mutex
	late   map[coldkeep.Series]int64
	open   int                        // tickets that are not done
	heard  map[coldkeep.Reading]int64 // how often each was said to be stored
	online map[coldkeep.AgentID]bool
}

func newHearing() *hearing {
	return &hearing{heard: map[coldkeep.Reading]int64{}, online: map[coldkeep.AgentID]bool{}}
}

func (h *hearing) Expect(rs []coldkeep.Reading) (map[coldkeep.Series]int64, func(bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open++
	var late map[coldkeep.Series]int64
	for i := range rs {
		if until, ok := h.late[rs[i].Series]; ok && rs[i].At <= until {
			if late == nil {
				late = map[coldkeep.Series]int64{}
			}
			if at, ok := late[rs[i].Series]; !ok || rs[i].At < at {
				late[rs[i].Series] = rs[i].At
			}
		}
	}
	called := false
	return late, func(stored bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if called {
			panic("a ticket was given back twice")
		}
		called = true
		h.open--
		for i := range rs {
			if stored {
				h.heard[rs[i]]++
			}
		}
	}
}

func (h *hearing) SetOnline(_ coldkeep.SiteID, agent coldkeep.AgentID, online bool) {
	h.mu.Lock()
	h.online[agent] = online
	h.mu.Unlock()
}

func newStage(t *testing.T, where string) *stage {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(broker.Config{Addr: "127.0.0.1:0", CollectorPassword: "top", Devices: devices{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, addr: "tcp://" + b.Addr(), store: &holdable{Store: store}, led: led, judge: newHearing()}
	s.link, err = ingest.NewLink(ingest.LinkConfig{Broker: s.addr, ClientID: "collector", Username: broker.CollectorUser, Password: "top", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.in = ingest.New(s.store, led, s.judge, s.link, coldkeep.RealClock{}, log)
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.in.Run(ctx) })
	g.Go(func() error { return s.link.Run(ctx, s.in.Handle) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s.until("the link is up", s.link.Connected)
	return s
}

func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			s.t.Fatalf("not within %v: %s", limit, what)
		}
		_ = coldkeep.RealClock{}.Sleep(context.Background(), 5*time.Millisecond)
	}
}

// agent is a device as the broker sees it.
type agent struct {
	s      *stage
	name   string
	client mqtt.Client
	acks   chan wire.Ack
	cmds   chan wire.Command
}

func (s *stage) connect(user, password string) (mqtt.Client, error) {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(s.addr).SetClientID(strings.ReplaceAll(user, "/", "-") + "-test").
		SetUsername(user).SetPassword(password).SetAutoReconnect(false).SetConnectRetry(false))
	tok := c.Connect()
	if !tok.WaitTimeout(limit) {
		s.t.Fatal("the broker does not answer")
	}
	return c, tok.Error()
}

func (s *stage) agent(name string) *agent {
	s.t.Helper()
	c, err := s.connect("clinic/"+name, "secret")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Disconnect(0) })
	a := &agent{s: s, name: name, client: c, acks: make(chan wire.Ack, 100), cmds: make(chan wire.Command, 100)}
	a.subscribe(wire.LeafAck, func(p []byte) {
		var ack wire.Ack
		if err := wire.Decode(p, &ack); err != nil {
			s.t.Error(err)
		}
		a.acks <- ack
	})
	a.subscribe(wire.LeafCommand, func(p []byte) {
		var cmd wire.Command
		if err := wire.Decode(p, &cmd); err != nil {
			s.t.Error(err)
		}
		a.cmds <- cmd
	})
	return a
}

func (a *agent) subscribe(leaf string, f func([]byte)) {
	tok := a.client.Subscribe(a.topic(leaf), 1, func(_ mqtt.Client, m mqtt.Message) { f(m.Payload()) })
	if !tok.WaitTimeout(limit) || tok.Error() != nil {
		a.s.t.Fatal(tok.Error())
	}
}

func (a *agent) topic(leaf string) string {
	return wire.Topic("clinic", coldkeep.AgentID(a.name), leaf)
}

func (a *agent) send(payload []byte, retained bool) {
	a.s.t.Helper()
	if tok := a.client.Publish(a.topic(wire.LeafReadings), 1, retained, payload); !tok.WaitTimeout(limit) || tok.Error() != nil {
		a.s.t.Fatal("publish", tok.Error())
	}
}

// batch has n readings of probe p from a seq on, one a second.
func batch(seq, oldest int64, n int) *wire.Batch {
	b := &wire.Batch{Epoch: epoch, Seq: seq, Oldest: oldest, Clock: "ntp"}
	for i := range int64(n) {
		b.Records = append(b.Records, wire.Record{Probe: "p", At: base + (seq+i)*1000, Celsius: coldkeep.Temperature(seq + i), Raw: coldkeep.NoTemperature, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature})
	}
	return b
}

func (a *agent) wantAck(seq int64) {
	a.s.t.Helper()
	timeout := time.After(limit)
	last := int64(-1)
	for last != seq {
		select {
		case ack := <-a.acks:
			if ack.Epoch != epoch || ack.Seq < last || ack.Seq > seq {
				a.s.t.Fatalf("ack %+v after %d, want up to %d", ack, last, seq)
			}
			last = ack.Seq
		case <-timeout:
			a.s.t.Fatalf("no ack of %d, the last is %d", seq, last)
		}
	}
}

func (a *agent) count() int64 {
	a.s.t.Helper()
	n, err := a.s.store.Count(context.Background(), coldkeep.Series{Site: "clinic", Agent: coldkeep.AgentID(a.name), Probe: "p"}, 0, 1<<50)
	if err != nil {
		a.s.t.Fatal(err)
	}
	return n
}

func TestStoredOnceAckedAgain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		a := s.agent("pi-1")
		for range 3 {
			a.send(wire.AppendBatch(nil, batch(1, 1, 10)), false)
			a.wantAck(10)
		}
		a.send(wire.Compress(wire.AppendBatch(nil, batch(6, 1, 10))), false) // overlaps
		a.wantAck(15)
		if n := a.count(); n != 15 {
			t.Fatalf("%d readings stored, want 15", n)
		}
		if s.in.Counts.Stored.Load() != 15 || s.in.Counts.Repeated.Load() != 25 {
			t.Fatalf("counted %d stored and %d repeated", s.in.Counts.Stored.Load(), s.in.Counts.Repeated.Load())
		}
	})
}

func TestGapIsAskedForAndNotAcked(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		a := s.agent("pi-1")
		a.send(wire.AppendBatch(nil, batch(1, 1, 5)), false)
		a.wantAck(5)
		a.send(wire.AppendBatch(nil, batch(11, 1, 5)), false)
		select {
		case cmd := <-a.cmds:
			if cmd.Cmd != wire.CommandResend || cmd.Epoch != epoch || cmd.From != 6 || cmd.To != 10 {
				t.Fatalf("asked %+v", cmd)
			}
		case <-time.After(limit):
			t.Fatal("nothing was asked for")
		}
		a.wantAck(5)
		a.send(wire.AppendBatch(nil, batch(6, 1, 5)), false)
		a.wantAck(15)
		if n := a.count(); n != 15 {
			t.Fatalf("%d readings stored, want 15", n)
		}
	})
}

// What the agent no longer holds can never come: it is recorded as lost, and the
// ack moves on.
func TestGapBelowOldestIsLost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		a := s.agent("pi-1")
		a.send(wire.AppendBatch(nil, batch(101, 101, 5)), false)
		a.wantAck(105)
		lost, err := s.led.Lost(t.Context(), ledger.Epoch{Site: "clinic", Agent: "pi-1", Epoch: epoch})
		if err != nil || fmt.Sprint(lost) != "[[1 100]]" {
			t.Fatalf("lost %v, %v", lost, err)
		}
		// A batch that was under way all the time arrives after all.
		a.send(wire.AppendBatch(nil, batch(91, 91, 12)), false)
		s.until("the late records are stored", func() bool { return a.count() == 15 })
		a.wantAck(105)
		lost, err = s.led.Lost(t.Context(), ledger.Epoch{Site: "clinic", Agent: "pi-1", Epoch: epoch})
		if err != nil || fmt.Sprint(lost) != "[[1 90]]" {
			t.Fatalf("lost %v, %v", lost, err)
		}
	})
}

func TestBadInputStopsNothingElse(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a, other := s.agent("pi-1"), s.agent("pi-2")
	for range 60 {
		a.send([]byte("no batch at all"), false)
	}
	s.in.Handle(t.Context(), ingest.Message{Topic: a.topic(wire.LeafReadings), Payload: wire.AppendBatch(nil, batch(1, 1, 3)), Retained: true})
	b := string(wire.AppendBatch(nil, batch(1, 1, 3)))
	a.send([]byte(strings.Replace(b, `"c":0.002`, `"c":"cold"`, 1)), false)
	a.wantAck(3)
	if n := a.count(); n != 2 {
		t.Fatalf("%d readings stored, want the two good ones", n)
	}
	other.send(wire.AppendBatch(nil, batch(1, 1, 3)), false)
	other.wantAck(3)
	q, err := s.led.Quarantined(t.Context(), "clinic", "pi-1")
	if err != nil || len(q) != 1 || q[0].Seq != 2 || !strings.Contains(q[0].Reason, "not a record") || !strings.Contains(string(q[0].Body), "cold") {
		t.Fatalf("quarantine %+v, %v", q, err)
	}
	refused, err := s.led.Refused(t.Context(), "clinic", "pi-1")
	if err != nil || len(refused) != 61 {
		t.Fatalf("%d payloads kept, %v", len(refused), err)
	}
	if !slices.ContainsFunc(refused, func(r ledger.Refusal) bool { return strings.Contains(r.Reason, "retained") }) {
		t.Fatal("the retained readings are not among the refusals")
	}
	if got := s.in.Counts.Refused.Load(); got != 61 {
		t.Fatalf("%d refused, want 61", got)
	}
}

// The embedded broker retains no readings, even of a device that asks for it.
func TestReadingsAreNotRetained(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a := s.agent("pi-1")
	a.send(wire.AppendBatch(nil, batch(1, 1, 3)), true)
	a.wantAck(3)
	c, err := s.connect("collector", "top")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(0)
	got := make(chan string, 10)
	if tok := c.Subscribe("coldkeep/1/#", 1, func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() }); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	if topic := <-got; topic != a.topic(wire.LeafAck) { // which is retained
		t.Fatalf("%s was retained", topic)
	}
}

// A store that is away slows the intake. Nothing is acknowledged until it is back.
func TestStoreAway(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a := s.agent("pi-1")
	s.store.away.Store(true)
	a.send(wire.AppendBatch(nil, batch(1, 1, 10)), false)
	s.until("the intake says that it is stuck", s.in.Stuck)
	select {
	case ack := <-a.acks:
		t.Fatalf("acknowledged %+v, and nothing is stored", ack)
	default:
	}
	s.store.away.Store(false)
	a.wantAck(10)
	if s.in.Stuck() || a.count() != 10 {
		t.Fatalf("stuck %v, %d stored", s.in.Stuck(), a.count())
	}
}

func TestStatusIsKept(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a := s.agent("pi-1")
	st, err := json.Marshal(wire.Status{V: 1, Online: true, Epoch: epoch, Version: "1", Probes: []wire.ProbeInfo{{Probe: "p", Kind: "sim"}}})
	if err != nil {
		t.Fatal(err)
	}
	a.client.Publish(a.topic(wire.LeafStatus), 1, true, st)
	s.until("the status is in the ledger", func() bool {
		agents, err := s.led.Agents(t.Context())
		return err == nil && len(agents) == 1 && agents[0].Online && agents[0].Epoch == epoch && len(agents[0].Status.Probes) == 1
	})
}

// What the access list does not see: a will is published past it, and a second
// client of one id throws the first one out.
func TestBrokerRefusesForeignWillsAndIDs(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	for name, opts := range map[string]*mqtt.ClientOptions{
		"a will for another's readings": mqtt.NewClientOptions().SetClientID("x").SetWill("coldkeep/1/clinic/pi-2/readings", "forged", 1, false),
		"a will for another's ack":      mqtt.NewClientOptions().SetClientID("x").SetWill("coldkeep/1/other/pi/ack", "forged", 1, true),
		"the collector's client id":     mqtt.NewClientOptions().SetClientID("collector"),
	} {
		c := mqtt.NewClient(opts.AddBroker(s.addr).SetUsername("clinic/pi-1").SetPassword("secret").SetAutoReconnect(false))
		if tok := c.Connect(); !tok.WaitTimeout(limit) || tok.Error() == nil {
			t.Errorf("%s was let in", name)
			c.Disconnect(0)
		}
	}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(s.addr).SetClientID("x").SetUsername("clinic/pi-1").SetPassword("secret").
		SetWill("coldkeep/1/clinic/pi-1/status", `{"v":1,"online":false}`, 1, true).SetAutoReconnect(false))
	if tok := c.Connect(); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Fatalf("its own will: %v", tok.Error())
	}
	c.Disconnect(0)
	if !s.link.Connected() {
		t.Fatal("the collector was thrown out")
	}
}

// One device's nonsense in its status holds up nobody, on either engine.
func TestBadStatusHoldsUpNobody(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := newStage(t, where)
		bad := s.agent("pi-1")
		for _, status := range []string{`{"v":1,"online":true,"epoch":"\u0000"}`, `{"v":1,"online":true,"version":"\u0000"}`, `{"v":1,"online":true,"probes":[{"p":"\u0000","kind":"x"}]}`,
			`{"v":1,"online":true,"health":{"note":"\u0000"}}`, `{"v":1,"online":"yes"}`} {
			bad.client.Publish(bad.topic(wire.LeafStatus), 1, true, status).WaitTimeout(limit)
		}
		for i := range 8 { // more than there are workers
			a := s.agent(fmt.Sprint("ok-", i))
			a.send(wire.AppendBatch(nil, batch(1, 1, 3)), false)
			a.wantAck(3)
		}
		if s.in.Stuck() {
			t.Fatal("the intake says that it is stuck")
		}
	})
}

// A reading that the store can never take, such as one older than its retention,
// is quarantined under its seq; the rest goes on.
func TestRefusedByTheStore(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	s.store.refuse.Store(2)
	a := s.agent("pi-1")
	a.send(wire.AppendBatch(nil, batch(1, 1, 5)), false)
	a.wantAck(5)
	q, err := s.led.Quarantined(t.Context(), "clinic", "pi-1")
	if err != nil || len(q) != 1 || q[0].Seq != 2 || !strings.Contains(q[0].Reason, "too old") {
		t.Fatalf("quarantine %+v, %v", q, err)
	}
	if n := a.count(); n != 4 {
		t.Fatalf("%d stored, want the four others", n)
	}
}

// The broker ties an account to its own topics.
func TestBrokerKeepsClientsApart(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	for _, c := range [][2]string{{"clinic/pi-1", "wrong"}, {"clinic/pi-1", ""}, {"other/pi-1", "secret"}, {"collector", "secret"}, {"collector", ""}, {"", ""}} {
		if client, err := s.connect(c[0], c[1]); err == nil {
			client.Disconnect(0)
			t.Errorf("%q with %q was let in", c[0], c[1])
		}
	}
	a, thief := s.agent("pi-1"), s.agent("pi-2")
	forged := wire.AppendBatch(nil, batch(1, 1, 3))
	for _, leaf := range []string{wire.LeafReadings, wire.LeafStatus, wire.LeafAck, wire.LeafConfig} {
		thief.client.Publish(a.topic(leaf), 1, false, forged).WaitTimeout(time.Second)
	}
	a.client.Publish(a.topic(wire.LeafAck), 1, false, []byte(`{"v":1,"epoch":"`+epoch+`","seq":99}`)).WaitTimeout(time.Second)
	for _, topic := range []string{a.topic(wire.LeafAck), "coldkeep/1/+/+/ack", "#", "coldkeep/1/clinic/+/config"} {
		tok := thief.client.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { t.Errorf("pi-2 reads %s", m.Topic()) })
		tok.WaitTimeout(time.Second)
		if sub, ok := tok.(*mqtt.SubscribeToken); ok && tok.Error() == nil && sub.Result()[topic] != 0x80 {
			t.Errorf("pi-2 may subscribe to %s", topic)
		}
	}
	a2 := s.agent("pi-3")
	a2.send(wire.AppendBatch(nil, batch(1, 1, 3)), false)
	a2.wantAck(3)
	if n := a.count(); n != 0 {
		t.Fatalf("pi-2 wrote %d readings as pi-1", n)
	}
	select {
	case ack := <-a.acks:
		t.Fatalf("a device forged an ack: %+v", ack)
	default:
	}
}
