package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// watch is a clock that a test sets. Nothing here sleeps on it.
type watch struct {
	mu  sync.Mutex
	now time.Time
}

func (w *watch) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watch) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (w *watch) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
}

// broker keeps what is retained, as a broker does, and can be away or forget.
type broker struct {
	away     bool
	retained map[string][]byte
	sent     int
	pass     func(topic string, payload []byte) // to who is subscribed
}

func (b *broker) Publish(_ context.Context, topic string, retained bool, payload []byte) error {
	if b.away {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	b.sent++
	if retained {
		if len(payload) == 0 {
			delete(b.retained, topic)
		} else {
			b.retained[topic] = payload
		}
	}
	if b.pass != nil {
		b.pass(topic, payload)
	}
	return nil
}

// failer is a testing.T or a rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
}

// rig is a Devices whose time a test makes.
type rig struct {
	*Devices
	db      *database.DB
	clock   *watch
	machine time.Time
	broker  *broker
	told    []coldkeep.Excursion // each revision once, as the ledger would keep it
	cfg     Config
}

func newRig(t failer, db *database.DB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{db: db, clock: &watch{now: hour(0)}, machine: time.Now(), broker: &broker{retained: map[string][]byte{}}}
	r.cfg = Config{Clock: r.clock, Publisher: r.broker, Tell: func(_ context.Context, list []coldkeep.Excursion) error {
		r.keep(list)
		return nil
	}}
	if change != nil {
		change(&r.cfg)
	}
	r.restart(t)
	return r
}

func (r *rig) keep(list []coldkeep.Excursion) {
	for _, x := range list {
		if !slices.ContainsFunc(r.told, func(y coldkeep.Excursion) bool { return x.ID == y.ID && x.Revision == y.Revision }) {
			r.told = append(r.told, x)
		}
	}
}

// restart is a new process on the same database.
func (r *rig) restart(t failer) {
	t.Helper()
	d, err := Open(context.Background(), r.db, r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.machine = func() time.Time { return r.machine }
	r.Devices = d
}

// pass lets time pass on both clocks and does what is due.
func (r *rig) pass(t failer, d time.Duration) {
	t.Helper()
	r.clock.pass(d)
	r.machine = r.machine.Add(d)
	r.do(t)
}

func (r *rig) do(t failer) {
	t.Helper()
	if err := r.step(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// configs are the retained configurations by device.
func (r *rig) configs(t failer) map[string]wire.Config {
	t.Helper()
	out := map[string]wire.Config{}
	for topic, payload := range r.broker.retained {
		site, agent, leaf, err := wire.ParseTopic(topic)
		if err != nil || leaf != wire.LeafConfig {
			continue
		}
		var c wire.Config
		if err := wire.Decode(payload, &c); err != nil {
			t.Fatal(err)
		}
		out[name{site, agent}.String()] = c
	}
	return out
}

func TestConfigIsPublished(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		r := newRig(t, databasetest.Open(t, where), nil)
		r.do(t)
		if r.broker.sent != 0 {
			t.Fatal("published before there was a mirror")
		}
		m := *clinic()
		r.SetMirror(m)
		r.do(t)
		got := r.configs(t)
		if len(got) != 3 || got["lakeside/pi-1"].Revision != 1 || len(got["lakeside/pi-1"].Probes) != 5 {
			t.Fatalf("%+v", got)
		}
		r.SetMirror(m)
		r.pass(t, time.Minute)
		if r.broker.sent != 3 {
			t.Errorf("%d messages for a mirror that says the same", r.broker.sent)
		}
		// A line of the future becomes true by itself.
		r.pass(t, 5*time.Hour)
		if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 2 || len(c.Probes) != 6 {
			t.Errorf("at 5: %+v", c)
		}
		// After a restart and after a new connection everything is said again, as it was.
		sent := r.broker.sent
		r.restart(t)
		r.SetMirror(m)
		r.do(t)
		r.broker.retained = map[string][]byte{}
		r.Republish()
		r.broker.away = true
		r.do(t)
		r.broker.away = false
		r.do(t)
		if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 2 || r.broker.sent != sent+6 {
			t.Errorf("%d messages, %+v", r.broker.sent-sent, c)
		}
		// A device that leaves is told nothing any more, and its numbers go on when it
		// comes back.
		m.Devices = append([]coldkeep.Device{}, m.Devices...)
		m.Devices[0].Revoked = true
		r.SetMirror(m)
		r.do(t)
		if _, ok := r.configs(t)["lakeside/pi-1"]; ok {
			t.Error("a revoked device still has a configuration")
		}
		r.restart(t)
		m.Devices[0].Revoked = false
		r.SetMirror(m)
		r.do(t)
		if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 4 {
			t.Errorf("after it came back: %+v", c)
		}
	})
}

// A device that says another revision is sent its own again, not at every word.
func TestDeviceThatMissesItsConfig(t *testing.T) {
	r := newRig(t, databasetest.Open(t, databasetest.SQLite(t)), nil)
	r.SetMirror(*clinic())
	r.do(t)
	sent := 0
	r.broker.pass = func(topic string, _ []byte) {
		if topic == wire.Topic("lakeside", "pi-1", wire.LeafConfig) {
			sent++
		}
	}
	st := &wire.Status{V: 1, Online: true, Config: 0}
	var when []int
	for s := range 600 {
		r.SetStatus("lakeside", "pi-1", r.clock.Now(), st, false)
		before := sent
		r.pass(t, time.Second)
		if sent > before {
			when = append(when, s+1)
		}
	}
	if want := []int{30, 90, 210, 450}; !slices.Equal(when, want) {
		t.Errorf("sent again after %v s, want %v", when, want)
	}
	st.Config = 1
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), st, false)
	r.pass(t, time.Hour)
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1}, false) // its will has no revision
	r.pass(t, time.Hour)
	if sent != 4 {
		t.Errorf("sent %d times, want 4", sent)
	}
	// A database of before: the device has had revisions that this one does not know.
	st.Config = 1 << 40
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), st, false)
	r.do(t)
	if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 1<<40+1 {
		t.Errorf("%+v", c)
	}
	st.Config = 1<<63 - 1 // nonsense is not followed
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), st, false)
	r.do(t)
	if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 1<<40+1 {
		t.Errorf("%+v", c)
	}
}

func TestRevisionsBeyond32BitsOnPostgres(t *testing.T) {
	r := newRig(t, databasetest.Open(t, databasetest.Postgres(t)), nil)
	r.SetMirror(*clinic())
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1, Online: true, Config: 1 << 40}, false)
	r.do(t)
	if c := r.configs(t)["lakeside/pi-1"]; c.Revision != 1<<40+1 {
		t.Errorf("%+v", c)
	}
}

// pi is a device as far as its configuration goes (firmware/recorder.go): it keeps
// the latest it took, over restarts, and refuses an older revision.
type pi struct {
	up   bool
	conf wire.Config
}

func (p *pi) take(payload []byte) bool {
	var c wire.Config
	if len(payload) == 0 || wire.Decode(payload, &c) != nil || c.Revision < p.conf.Revision {
		return false
	}
	p.conf = c
	return true
}

// Whatever happens in whatever order, each device ends with what the latest mirror
// says of it.
func TestEveryDeviceEndsWithTheLatestMirror(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "PRAGMA synchronous=OFF"); err != nil { // no power is cut here
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, table := range []string{"devices_config", "devices_seen", "devices_fault", "devices_tell", "devices_place"} {
			_, _ = db.ExecContext(context.Background(), "DELETE FROM "+table) // absent before the first Open
		}
		names := []name{{"s1", "a"}, {"s1", "b"}, {"s2", "a"}}
		pis := map[name]*pi{}
		for _, n := range names {
			pis[n] = &pi{}
		}
		fail := t
		r := newRig(fail, db, nil)
		revision := int64(0)
		mirror := coldkeep.Mirror{}
		status := func(n name, retained bool) {
			p := pis[n]
			st := &wire.Status{V: 1, Online: p.up, Config: p.conf.Revision}
			if !p.up {
				st = &wire.Status{V: 1}
			}
			r.SetStatus(n.site, n.agent, r.clock.Now(), st, retained)
		}
		lossy := false
		r.broker.pass = func(topic string, payload []byte) {
			site, agent, leaf, err := wire.ParseTopic(topic)
			if err != nil || leaf != wire.LeafConfig {
				t.Fatalf("published to %s", topic)
			}
			n := name{site, agent}
			if p := pis[n]; p.up && !lossy && p.take(payload) {
				status(n, false)
			}
		}
		connect := func(n name) {
			p := pis[n]
			p.up = true
			status(n, false)
			if p.take(r.broker.retained[wire.Topic(n.site, n.agent, wire.LeafConfig)]) {
				status(n, false)
			}
		}
		probe := rapid.SampledFrom([]string{"p", "q"})
		appliance := rapid.SampledFrom([]coldkeep.ApplianceID{"fridge", "freezer"})
		device := rapid.SampledFrom(names)
		t.Repeat(map[string]func(*rapid.T){
			"mirror": func(t *rapid.T) {
				revision++
				mirror = coldkeep.Mirror{Revision: revision, Appliances: []coldkeep.Appliance{
					{ID: "fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: rapid.Bool().Draw(t, "in service")},
					{ID: "freezer", Unit: coldkeep.Freezer, Profile: "cdc", InService: true}}}
				for _, n := range names {
					if rapid.Bool().Draw(t, "listed") {
						mirror.Devices = append(mirror.Devices, coldkeep.Device{Site: n.site, Agent: n.agent, Revoked: rapid.Bool().Draw(t, "revoked")})
					}
				}
				for range rapid.IntRange(0, 4).Draw(t, "assignments") {
					n := device.Draw(t, "device")
					a := coldkeep.Assignment{Series: coldkeep.Series{Site: n.site, Agent: n.agent, Probe: coldkeep.ProbeID(probe.Draw(t, "probe"))},
						Appliance: appliance.Draw(t, "appliance"), From: r.clock.Now().Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "from")) * time.Hour)}
					if rapid.Bool().Draw(t, "ends") {
						to := a.From.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "length")) * time.Hour)
						a.To = &to
					}
					mirror.Assignments = append(mirror.Assignments, a)
				}
				if rapid.Bool().Draw(t, "calibrated") {
					mirror.Calibrations = []coldkeep.Calibration{{Series: coldkeep.Series{Site: "s1", Agent: "a", Probe: "p"},
						Offset: coldkeep.Temperature(rapid.IntRange(-20_000, 20_000).Draw(t, "offset"))}}
				}
				r.SetMirror(mirror)
			},
			"step":       func(*rapid.T) { r.do(fail) },
			"time":       func(t *rapid.T) { r.pass(fail, time.Duration(rapid.IntRange(1, 200).Draw(t, "minutes"))*time.Minute) },
			"connect":    func(t *rapid.T) { connect(device.Draw(t, "device")) },
			"disconnect": func(t *rapid.T) { n := device.Draw(t, "device"); pis[n].up = false; status(n, false) },
			"wiped":      func(t *rapid.T) { pis[device.Draw(t, "device")].conf = wire.Config{} },
			"lossy":      func(*rapid.T) { lossy = !lossy },
			"restart": func(*rapid.T) {
				r.restart(fail)
				if revision > 0 {
					r.SetMirror(mirror)
				}
				for _, n := range names {
					status(n, true)
				}
			},
			"broker away": func(*rapid.T) { r.broker.away = true },
			"broker back": func(t *rapid.T) {
				r.broker.away = false
				if rapid.Bool().Draw(t, "forgets") {
					r.broker.retained = map[string][]byte{}
				}
				r.Republish()
			},
			"database of before": func(*rapid.T) { // lost: a new one begins
				for _, table := range []string{"devices_config", "devices_seen", "devices_fault", "devices_tell"} {
					if _, err := db.ExecContext(context.Background(), "DELETE FROM "+table); err != nil {
						fail.Fatal(err)
					}
				}
				r.restart(fail)
				if revision > 0 {
					r.SetMirror(mirror)
				}
				for _, n := range names {
					status(n, true)
				}
			},
			"": func(*rapid.T) {},
		})
		if revision == 0 {
			return
		}
		// Now everything is there again, for long enough.
		r.broker.away, lossy = false, false
		r.Republish()
		for _, n := range names {
			connect(n)
		}
		for range 5 {
			r.pass(fail, 2*time.Minute)
			for _, n := range names {
				status(n, false)
			}
		}
		want := derive(&mirror, r.clock.Now(), time.Minute).configs
		for _, n := range names {
			retained := r.broker.retained[wire.Topic(n.site, n.agent, wire.LeafConfig)]
			c, ours := want[n]
			if !ours {
				if retained != nil {
					t.Fatalf("%s is not ours, and has %s", n, retained)
				}
				continue
			}
			got := pis[n].conf
			c.Revision = got.Revision
			if text1, text2 := asJSON(got), asJSON(c); text1 != text2 {
				t.Fatalf("%s has\n%s\nwant\n%s", n, text1, text2)
			}
			if string(retained) != asJSON(got) {
				t.Fatalf("%s has\n%s\nretained is\n%s", n, asJSON(got), retained)
			}
		}
	})
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Who looks after which site may change; the next one goes on where the one before
// was.
func TestSitesChangeHands(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	holder := 1
	m := *clinic()
	first := newRig(t, db, func(c *Config) { c.Holds = func(coldkeep.SiteID) bool { return holder == 1 } })
	second := newRig(t, db, func(c *Config) { c.Holds = func(coldkeep.SiteID) bool { return holder == 2 } })
	for _, r := range []*rig{first, second} {
		r.SetMirror(m)
		r.do(t)
	}
	if first.broker.sent != 3 || second.broker.sent != 0 {
		t.Fatalf("published %d and %d times, want 3 and 0", first.broker.sent, second.broker.sent)
	}
	first.Heard("lakeside", "pi-1", first.clock.Now(), 0, wire.ClockNTP)
	first.pass(t, 6*time.Minute)
	if len(first.told) != 2 || first.told[0].State != coldkeep.ExcursionOpen { // pi-1 and unlisted
		t.Fatalf("%+v", first.told)
	}
	holder = 2
	m.Calibrations = nil
	second.SetMirror(m)
	second.pass(t, 6*time.Minute)
	first.do(t)
	if c := second.configs(t)["lakeside/pi-1"]; c.Revision != 2 {
		t.Errorf("%+v", c)
	}
	second.Heard("lakeside", "pi-1", second.clock.Now(), 0, wire.ClockNTP)
	second.do(t)
	if len(second.told) != 1 || second.told[0].ID != first.told[0].ID && second.told[0].ID != first.told[1].ID || second.told[0].Revision != 2 || second.told[0].State != coldkeep.ExcursionClosed {
		t.Errorf("%+v", second.told)
	}
	if h := first.Health(); len(h) != 0 {
		t.Errorf("the one before still tells of %+v", h)
	}
	// It shows what the other wrote down.
	second.machine = second.machine.Add(saveEvery)
	second.do(t)
	first.SetMirror(m)
	first.do(t)
	others, err := first.Elsewhere(t.Context())
	if err != nil || !reflect.DeepEqual(others, second.Health()) {
		t.Errorf("elsewhere %+v, %v, and there %+v", others, err, second.Health())
	}
	if h, err := second.Elsewhere(t.Context()); err != nil || len(h) != 0 {
		t.Errorf("elsewhere of the other %+v, %v", h, err)
	}
}

func TestCommand(t *testing.T) {
	r := newRig(t, databasetest.Open(t, databasetest.SQLite(t)), nil)
	var got []string
	r.broker.pass = func(topic string, payload []byte) { got = append(got, fmt.Sprintf("%s %s", topic, payload)) }
	ctx := context.Background()
	if err := r.Command(ctx, "lakeside", "pi-1", wire.CommandIdentify); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("unknown device: %v", err)
	}
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1, Online: true}, false)
	for _, c := range []string{wire.CommandIdentify, wire.CommandSampleNow} {
		if err := r.Command(ctx, "lakeside", "pi-1", c); err != nil {
			t.Error(err)
		}
	}
	if err := r.Command(ctx, "lakeside", "pi-1", "format"); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("unknown command: %v", err)
	}
	r.SetStatus("lakeside", "pi-1", r.clock.Now(), &wire.Status{V: 1}, false)
	if err := r.Command(ctx, "lakeside", "pi-1", wire.CommandIdentify); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("device away: %v", err)
	}
	if want := []string{`coldkeep/1/lakeside/pi-1/command {"v":1,"cmd":"identify"}`, `coldkeep/1/lakeside/pi-1/command {"v":1,"cmd":"sample-now"}`}; !slices.Equal(got, want) {
		t.Errorf("sent %s", strings.Join(got, "\n"))
	}
	if len(r.broker.retained) != 0 {
		t.Error("a command was retained")
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(context.Background(), databasetest.Open(t, databasetest.SQLite(t)), Config{}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("%v, want EINVALID", err)
	}
}
