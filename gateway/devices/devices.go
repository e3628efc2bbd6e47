// Package devices looks after the devices themselves, where ingest looks after
// what they send: it tells each its configuration, knows which of them are silent
// or have a wrong clock, and tells of their faults as of excursions.
//
//	registry's mirror ──► derive ──► devices_config ──► …/config, retained
//	broker ──► ingest ──► Heard, SetStatus ──┐
//	ledger: evidence_fault ──► Evidence ─────┴──► faults ──► devices_tell ──► Tell
//
// What was decided is in SQL before it is acted on, so that a restart goes on where
// the process died: a revision of a configuration is never used twice, and a fault
// is told once for each of its revisions.
package devices

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "devices"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// The defaults of Config.
const (
	DefaultInterval = time.Minute
	DefaultSilence  = 5 * time.Minute
	DefaultSkew     = 2 * time.Minute
)

// alertSkew is the skew from which a person is called: records of a quarter of an
// hour are then in another line of the log.
const alertSkew = 10 * time.Minute

// unsyncedFor is how long a device may say that nothing sets its clock. A Pi
// without a clock of its own finds the time within a minute of its start.
const unsyncedFor = 10 * time.Minute

// quiet is how long a fault that is an event, such as a broken chain, stays open
// after it was last seen.
const quiet = time.Hour

// way is how long a message may be under way or wait for a worker, on the machine's
// clock. On a clock that runs faster this is more, see Config.Speed.
const way = 5 * time.Second

// How often things are done, on the machine's clock.
const (
	stepEvery     = time.Second
	evidenceEvery = 10 * time.Second
	saveEvery     = 30 * time.Second
	answerFirst   = 30 * time.Second // until a device that says another revision is sent its own again
	answerMost    = time.Hour
)

// maxRevision bounds what a device can make us count up to.
const maxRevision = 1 << 52

// Publisher sends a message to the broker. An error means it was not sent.
type Publisher interface {
	Publish(ctx context.Context, topic string, retained bool, payload []byte) error
}

// Evidence is what the ledger knows of the devices' evidence and payloads.
type Evidence interface {
	// FaultsSince returns what was raised at since or later, the oldest first.
	FaultsSince(ctx context.Context, since time.Time) ([]ledger.EvidenceFault, error)
	// Keys returns the keys that a device has shown.
	Keys(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]ledger.DeviceKey, error)
}

// Config is what Devices needs.
type Config struct {
	Clock     coldkeep.Clock // nil is the machine's
	Log       *slog.Logger   // nil discards
	Publisher Publisher      // required
	Evidence  Evidence       // nil: no faults but those of silence and clocks

	// Tell hears of faults, in order. It may be given the same revision again after a
	// crash, and must then take it for told. nil: they are only in Health.
	Tell func(context.Context, []coldkeep.Excursion) error
	// Holds reports whether a site is this collector's to look after; nil: all are.
	Holds func(coldkeep.SiteID) bool
	// Listening reports whether what devices send reaches Heard at present: the broker
	// is there and the stores take what comes. While it does not, nobody is silent.
	// nil: always.
	Listening func() bool

	Interval time.Duration // between samples, for every device; 0 is DefaultInterval
	Silence  time.Duration // after which a device is offline, on Clock; 0 is DefaultSilence
	Skew     time.Duration // of a device's clock that is let pass, on Clock; 0 is DefaultSkew
	// Speed is how many times as fast as the machine's Clock runs; 0 is 1. What a
	// network and a busy machine may take counts that much more on Clock.
	Speed float64
}

// Devices looks after devices. Its methods may be called from several goroutines.
type Devices struct {
	cfg     Config
	db      *database.DB
	wake    chan struct{}
	machine func() time.Time

	mu        sync.Mutex
	mirror    *coldkeep.Mirror
	derived   bool // plan is of mirror
	plan      plan
	devices   map[name]*device
	held      map[coldkeep.SiteID]time.Time // the sites that are ours, and since when, on Clock
	listening time.Time                     // since when, on Clock; zero while not

	// Of Run's goroutine alone.
	read    time.Time // up to where Evidence was read
	readAt  time.Time // when, on the machine's clock
	savedAt time.Time
	failed  string // what was logged last
	untold  bool   // devices_tell may hold something
}

// device is what is known of one device.
type device struct {
	name

	// Its configuration as it was last decided.
	revision int64
	body     string // JSON with revision 0; "" when it is to have none
	owed     bool   // must be published: it changed, or the broker may have lost it
	sent     time.Time
	wait     time.Duration // until a status with another revision is answered again

	seen
	heard time.Time // latest proof of life, on Clock; zero for none
	gone  time.Time // when its will came, on Clock
	dirty bool      // seen is newer than its row
	clock clockWatch

	faults map[string]*fault // open, by kind
}

// seen is the part of a device's state that is written down as JSON.
type seen struct {
	Online  bool               `json:"online"`
	Said    int64              `json:"cfg"`   // revision of its latest birth
	Birth   bool               `json:"birth"` // there was one
	Version string             `json:"version,omitempty"`
	Key     string             `json:"key,omitempty"`
	Refuses string             `json:"refuses,omitempty"` // why it refuses a configuration
	Probes  []coldkeep.ProbeID `json:"probes,omitempty"`
	Stamp   string             `json:"clock,omitempty"`
	SkewMS  int64              `json:"skew_ms,omitempty"`
}

// Open brings the tables up to date in db, which the caller closes, and reads how
// things stood.
func Open(ctx context.Context, db *database.DB, cfg Config) (*Devices, error) {
	if cfg.Publisher == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "devices.Open: a Publisher is needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Holds == nil {
		cfg.Holds = func(coldkeep.SiteID) bool { return true }
	}
	if cfg.Listening == nil {
		cfg.Listening = func() bool { return true }
	}
	cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval)
	cfg.Silence = cmp.Or(cfg.Silence, DefaultSilence)
	cfg.Skew = cmp.Or(cfg.Skew, DefaultSkew)
	cfg.Speed = cmp.Or(cfg.Speed, 1)
	slack := time.Duration(float64(way) * cfg.Speed)
	cfg.Silence, cfg.Skew = max(cfg.Silence, slack), max(cfg.Skew, slack)
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, err
	}
	d := &Devices{cfg: cfg, db: db, wake: make(chan struct{}, 1), machine: time.Now, devices: map[name]*device{}, held: map[coldkeep.SiteID]time.Time{}, untold: true}
	if err := d.known(ctx); err != nil {
		return nil, err
	}
	var err error
	d.read, err = d.place(ctx)
	return d, err
}

// slack is what a message may take, on Clock.
func (d *Devices) slack() time.Duration { return time.Duration(float64(way) * d.cfg.Speed) }

// SetMirror gives the registry's truth; the latest counts.
func (d *Devices) SetMirror(m coldkeep.Mirror) {
	d.mu.Lock()
	d.mirror, d.derived = &m, false // the plan stands until it is made anew
	d.mu.Unlock()
	d.nudge()
}

// Republish sends every configuration again. It is to be called after every
// connection to the broker, which may have lost what it retained.
func (d *Devices) Republish() {
	d.mu.Lock()
	for _, v := range d.devices {
		v.owed = v.revision > 0
	}
	if !d.listening.IsZero() {
		d.listening = d.cfg.Clock.Now()
	}
	d.mu.Unlock()
	d.nudge()
}

func (d *Devices) nudge() {
	select {
	case d.wake <- struct{}{}:
	default: // about to look
	}
}

// of finds a device or makes it; d.mu is held.
func (d *Devices) of(n name) *device {
	v := d.devices[n]
	if v == nil {
		v = &device{name: n, faults: map[string]*fault{}}
		d.devices[n] = v
	}
	return v
}

// Heard notes that readings have come from a device at a time on Clock. newestRecord
// is the time of the newest record in them that is new, in ms, and 0 when none is;
// stamp is the clock that the batch says.
func (d *Devices) Heard(site coldkeep.SiteID, agent coldkeep.AgentID, at time.Time, newestRecord int64, stamp string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.of(name{site, agent})
	d.alive(v, at)
	// A will may come after the birth of the connection that replaced its own; what
	// comes after it is from a device that is there.
	if at.After(v.gone) {
		v.Online = true
	}
	v.clock.batch(at, newestRecord, stamp, d.cfg.Skew, d.slack())
}

// alive notes a proof of life.
func (d *Devices) alive(v *device, at time.Time) {
	if at.After(v.heard) {
		v.heard, v.dirty = at, true
	}
}

// SetStatus notes a device's birth or will that came at a time on Clock. One that
// the broker had retained proves no life now.
func (d *Devices) SetStatus(site coldkeep.SiteID, agent coldkeep.AgentID, at time.Time, st *wire.Status, retained bool) {
	d.mu.Lock()
	v := d.of(name{site, agent})
	v.Online, v.dirty = st.Online, true
	if st.Online {
		if !retained {
			d.alive(v, at)
		}
		v.Birth, v.Said, v.Version, v.Key = true, st.Config, clip(st.Version), clip(st.Key)
		v.Refuses = ""
		if why, ok := st.Health["cfg_refused"].(string); ok {
			v.Refuses = clip(why)
		}
		v.Probes = nil
		for _, p := range st.Probes {
			if wire.ValidProbe(string(p.Probe)) {
				v.Probes = append(v.Probes, p.Probe)
			}
		}
		slices.Sort(v.Probes)
		v.Probes = slices.Compact(v.Probes)
		if v.Said == v.revision {
			v.wait = 0
		}
	} else {
		v.gone = at
	}
	d.mu.Unlock()
	d.nudge()
}

// clip bounds a word of a device's.
func clip(s string) string {
	if len(s) <= 200 {
		return s
	}
	return s[:200] + "…"
}

// Command sends a device wire.CommandIdentify or wire.CommandSampleNow. Another
// command is EINVALID, a device that nobody knows ENOTFOUND, and one that is not
// there, or a broker that is not, EUNAVAILABLE: nothing of it is kept for later.
func (d *Devices) Command(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, cmd string) error {
	if cmd != wire.CommandIdentify && cmd != wire.CommandSampleNow {
		return coldkeep.Errorf(coldkeep.EINVALID, "command %.40q: want identify or sample-now", cmd)
	}
	n := name{site, agent}
	d.mu.Lock()
	v := d.devices[n]
	online := v != nil && d.online(v, d.cfg.Clock.Now())
	d.mu.Unlock()
	switch {
	case v == nil:
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "device %.140s is not known", n)
	case !online:
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "device %s is not connected", n)
	}
	payload, err := json.Marshal(wire.Command{V: wire.Version, Cmd: cmd})
	if err != nil {
		return err
	}
	return d.cfg.Publisher.Publish(ctx, wire.Topic(site, agent, wire.LeafCommand), false, payload)
}

// silentSince is since when nothing came from a device that could have; d.mu is
// held.
func (d *Devices) silentSince(v *device) time.Time {
	since := v.heard
	for _, t := range []time.Time{d.listening, d.held[v.site]} {
		if t.After(since) {
			since = t
		}
	}
	return since
}

// online reports whether a device is there; d.mu is held. What came while nobody
// listened is not held against it.
func (d *Devices) online(v *device, now time.Time) bool {
	return v.Online && (d.listening.IsZero() || now.Sub(d.silentSince(v)) <= d.cfg.Silence)
}

// Run publishes, watches and tells until ctx ends, and returns nil then. A database
// or a broker that is away is waited for.
func (d *Devices) Run(ctx context.Context) error {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		d.complain(ctx, d.step(ctx))
		select {
		case <-ctx.Done():
			// What was heard since the last time is worth a moment, no more.
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			d.complain(end, d.save(end))
			return nil
		case <-d.wake:
		case <-tick.C:
		}
	}
}

// complain logs a failure once, and that it is over.
func (d *Devices) complain(ctx context.Context, err error) {
	switch {
	case err == nil && d.failed != "":
		d.cfg.Log.Info("devices are looked after again")
		d.failed = ""
	case err != nil && ctx.Err() == nil && d.failed != err.Error():
		d.failed = err.Error()
		d.cfg.Log.Error("devices cannot be looked after; trying again", "error", err)
	}
}

// step does what is due. One part that fails does not keep the others from theirs.
func (d *Devices) step(ctx context.Context) error {
	d.replan()
	if err := d.takeOver(ctx); err != nil {
		return err
	}
	errs := []error{d.decide(ctx)}
	d.publish(ctx)
	errs = append(errs, d.look(ctx), d.readEvidence(ctx), d.tell(ctx))
	if now := d.machine(); now.Sub(d.savedAt) >= saveEvery {
		d.savedAt = now
		errs = append(errs, d.save(ctx))
	}
	return errors.Join(errs...)
}

// takeOver notices which sites have become this collector's, and reads what the one
// before wrote down of them; and since when anybody listens.
func (d *Devices) takeOver(ctx context.Context) error {
	listening := d.cfg.Listening()
	d.mu.Lock()
	now := d.cfg.Clock.Now()
	switch {
	case !listening:
		d.listening = time.Time{}
	case d.listening.IsZero():
		d.listening = now
		for _, v := range d.devices {
			v.clock.forget()
		}
	}
	var taken []coldkeep.SiteID
	look := func(s coldkeep.SiteID) {
		_, had := d.held[s]
		switch holds := d.cfg.Holds(s); {
		case holds && !had:
			d.held[s] = now
			taken = append(taken, s)
		case !holds && had:
			delete(d.held, s)
		}
	}
	for n := range d.devices {
		look(n.site)
	}
	for n := range d.plan.configs {
		look(n.site)
	}
	d.mu.Unlock()
	for _, s := range taken {
		if err := d.load(ctx, s); err != nil {
			d.mu.Lock()
			delete(d.held, s)
			d.mu.Unlock()
			return err
		}
		// Others' sites were passed over; reading again what was read changes nothing.
		if from := now.Add(-quiet); d.read.After(from) {
			d.read = from
		}
		d.readAt, d.untold = time.Time{}, true
	}
	return nil
}
