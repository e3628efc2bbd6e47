package firmware

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// recorder takes samples from the source and writes records into the outbox.
type recorder struct {
	cfg  Config
	box  *outbox.Box
	last map[coldkeep.ProbeID]time.Time // as the outbox had it at the start

	onProbe func() // hears of a probe that is new in this run

	keeper timekeeper
	watch  *watch.Watch

	mu      sync.Mutex
	gate    sensors.Gate
	pairs   sensors.Pairs
	conf    wire.Config
	cal     calibration
	refused string                    // the configuration that was refused last, and why; "" when the last was taken
	seen    map[coldkeep.ProbeID]bool // in this run; false: its name is refused
	missed  map[coldkeep.ProbeID]int  // samples in a row that were missing, of probes that stand in no appliance
	thins   map[coldkeep.ProbeID]*thinned
	clock   stepWatch
	synced  string // boot in which a time service has set the clock
	at      timing // of the records that are being made
}

// The events of this package that the wire contract does not list.
const (
	eventProbeRefused = "probe-refused" // a name that cannot travel
	eventProbesApart  = "probes-apart"  // two probes of one appliance disagree
	eventProbesAgree  = "probes-agree"  // they do so no more

	eventOutboxDamaged = "outbox-damaged" // an epoch has ended with a loss; the detail says which
)

// maxRevision bounds the revisions that are taken: from there on no collector could
// count further.
const maxRevision = 1 << 52

func newRecorder(ctx context.Context, cfg Config, box *outbox.Box) (*recorder, error) {
	last, err := box.Last(ctx)
	if err != nil {
		return nil, err
	}
	r := &recorder{cfg: cfg, box: box, last: last, onProbe: func() {}, keeper: cfg.keeper, watch: cfg.Watch, seen: make(map[coldkeep.ProbeID]bool),
		missed: make(map[coldkeep.ProbeID]int), thins: make(map[coldkeep.ProbeID]*thinned)}
	if r.watch == nil {
		r.watch = watch.New(cfg.Clock)
	}
	if r.keeper == nil {
		r.keeper = newTimekeeper()
	}
	if r.synced, err = r.since(ctx); err != nil {
		return nil, err
	}
	if err := r.loadSettings(ctx); err != nil {
		return nil, err
	}
	return r, r.recall(ctx)
}

// loadSettings puts the configuration in force that was in force before.
func (r *recorder) loadSettings(ctx context.Context) error {
	saved, err := r.box.Settings(ctx)
	if err != nil || saved == nil {
		return err
	}
	// A device that would not start for what it once took could not be told better.
	var c wire.Config
	err = json.Unmarshal(saved, &c)
	var cal calibration
	if err == nil {
		cal, err = check(&c)
	}
	if err != nil {
		r.cfg.Log.Error("saved configuration cannot be used; waiting for the collector's", "err", err)
		return nil
	}
	r.use(c, cal)
	return nil
}

// check reads a configuration, and says EINVALID of one that is wrong.
func check(c *wire.Config) (calibration, error) {
	// A reading must fit the profiles' longest gap, and a probe takes most of a second.
	if c.Interval < 0 || c.Interval > 3600 || c.Revision < 0 || c.Revision > maxRevision {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "cfg %d, interval_s %d: want no negative or absurd revision and 1 to 3600 seconds", c.Revision, c.Interval)
	}
	for _, p := range c.Probes {
		if l := p.Local; l != nil && (l.Low >= l.High || l.After < 0) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %s: local alarm from %d to %d after %d s: want low_mc below high_mc, and no time before now", p.Probe, l.Low, l.High, l.After)
		}
	}
	if len(c.Holds) > wire.MaxHolds {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%d lots on hold: want at most %d", len(c.Holds), wire.MaxHolds)
	}
	return newCalibration(c.Probes)
}

// use puts a checked configuration in force.
func (r *recorder) use(c wire.Config, cal calibration) {
	stands := func(c *wire.Config) map[coldkeep.ProbeID]coldkeep.ApplianceID {
		of := make(map[coldkeep.ProbeID]coldkeep.ApplianceID, len(c.Probes))
		for _, p := range c.Probes {
			of[p.Probe] = p.Appliance
		}
		return of
	}
	// What the probes' comparison has seen is worth keeping while they stay.
	if of := stands(&c); !maps.Equal(of, stands(&r.conf)) {
		r.pairs.Assign(of)
	}
	r.conf, r.cal = c, cal
	r.watch.Configure(c)
}

// interval is the configured time between samples, 0 when there is none.
func (r *recorder) interval() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.conf.Interval) * time.Second
}

// configured are the probes that stand in an appliance.
func (r *recorder) configured() (out []coldkeep.ProbeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.conf.Probes {
		if p.Appliance != "" {
			out = append(out, p.Probe)
		}
	}
	return out
}

func (r *recorder) revision() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conf.Revision
}

// refusal tells of the configuration that was refused last; "" when the last one was
// taken.
func (r *recorder) refusal() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// trust is the "clock" of records made now.
func (r *recorder) trust() string {
	if r.cfg.TimeTrust != "" {
		return r.cfg.TimeTrust
	}
	return r.keeper.trust()
}

// configure saves a configuration and puts it in force from the next record on,
// unless it already is. A wrong one is EINVALID and changes nothing. One that is
// older than that in force is ECONFLICT: a broker restored from a copy, or a
// collector that has lost its book, must not have one revision mean two things; the
// collector sees our revision in the status and counts on from there.
func (r *recorder) configure(ctx context.Context, c wire.Config) (changed bool, err error) {
	cal, err := check(&c)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused = fmt.Sprintf("cfg %d: %s", c.Revision, coldkeep.ErrorMessage(err))
		return false, err
	}
	if c.Revision < r.conf.Revision {
		return false, coldkeep.Errorf(coldkeep.ECONFLICT, "cfg %d is older than %d, which is in force", c.Revision, r.conf.Revision)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	if old, err := json.Marshal(r.conf); err == nil && string(old) == string(text) {
		r.refused = ""
		return false, nil
	}
	if err := r.box.SaveSettings(ctx, text); err != nil {
		return false, err
	}
	r.use(c, cal)
	r.refused = ""
	return true, nil
}

// event records an event of now, of a probe or of none.
func (r *recorder) event(ctx context.Context, p coldkeep.ProbeID, event, detail string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock.Now()
	r.at = r.timing()
	rec := r.eventRecord(now, p, event, detail)
	if err := r.write(ctx, []outbox.Record{rec}, r.box.Append); err != nil {
		return err
	}
	r.watch.Event(rec.Record)
	return nil
}

// emit is the sensors.Emit of the source: gate, calibration, outbox. It returns
// once the samples are on disk.
func (r *recorder) emit(ctx context.Context, samples []sensors.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock.Now()
	records := make([]outbox.Record, 0, len(samples)+1)
	r.at = r.timing()
	if r.cfg.TimeTrust == "" {
		if d, stepped := r.clock.look(now); stepped {
			records = append(records, r.eventRecord(now, "", wire.EventClockStep, fmt.Sprintf("%+.3f s", d.Seconds())))
		}
		if r.at.boot != "" && r.at.trust == wire.ClockNTP {
			if err := r.settle(ctx, now, &records); err != nil {
				return err
			}
		}
	}
	fresh := false
	for _, s := range samples {
		if s.At.IsZero() {
			s.At = now
		}
		ok, known := r.seen[s.Probe]
		if !known {
			ok, fresh = wire.ValidProbe(string(s.Probe)), true
			r.seen[s.Probe] = ok
			records = append(records, r.newProbe(now, s.Probe, ok)...)
		}
		if ok {
			s = r.gate.Judge(s)
			rec := r.reading(s)
			gone, events := r.removed(now, rec)
			if records = append(records, events...); gone {
				continue
			}
			if s.Thin {
				records = append(records, r.thin(rec)...)
			} else {
				records = append(records, rec)
			}
			if detail := r.watch.Look(s.Probe, s.At, rec.Celsius, rec.Quality); detail != "" {
				r.cfg.Log.Warn("local alarm", "probe", s.Probe, "detail", detail)
				records = append(records, r.eventRecord(s.At, s.Probe, wire.EventAlarmLocal, detail))
			}
			s.Raw = rec.Celsius
			records = append(records, r.compare(s)...)
		}
	}
	if err := r.write(ctx, records, r.box.Append); err != nil {
		return err
	}
	if fresh {
		r.onProbe()
	}
	return nil
}

// settle records, when the clock has been set for the first time in this boot, by how
// much the times of before were wrong, after what records holds already.
func (r *recorder) settle(ctx context.Context, now time.Time, records *[]outbox.Record) error {
	ranges, err := r.box.Adrift(ctx)
	if err != nil {
		return err
	}
	all := append(*records, r.corrections(now, r.at, ranges)...)
	if err := r.write(ctx, all, func(ctx context.Context, all []outbox.Record) error { return r.box.Settle(ctx, r.at.boot, all) }); err != nil {
		return err
	}
	r.synced = r.at.boot
	*records = all[:0]
	return nil
}

// compare notes when probes of one appliance begin to disagree, and when they agree
// again. s is judged and calibrated.
func (r *recorder) compare(s sensors.Sample) []outbox.Record {
	var out []outbox.Record
	for _, d := range r.pairs.Look(s) {
		event := eventProbesApart
		if d.Over {
			event = eventProbesAgree
		}
		r.cfg.Log.Warn("probes of one appliance", "appliance", d.Appliance, "event", event, "detail", d.String())
		out = append(out, r.eventRecord(d.At, "", event, d.String()))
	}
	return out
}

// newProbe notes the first sample of a probe in this outbox. The samples of a
// probe whose name cannot travel are left out, and the book says so.
func (r *recorder) newProbe(now time.Time, p coldkeep.ProbeID, ok bool) []outbox.Record {
	if !ok {
		r.cfg.Log.Error("probe's name is not [A-Za-z0-9._:-]{1,64}; its samples cannot be recorded", "probe", p)
		name := strings.ToValidUTF8(string(p), "?")
		return []outbox.Record{r.eventRecord(now, "", eventProbeRefused, fmt.Sprintf("name %.80q is not [A-Za-z0-9._:-]{1,64}", name))}
	}
	if _, had := r.last[p]; had {
		return nil
	}
	return []outbox.Record{r.eventRecord(now, p, wire.EventProbeAdded, "")}
}

// removedAfter is after how many samples in a row without an answer a probe that stands in
// no appliance has been taken away: a loose contact answers again before that.
const removedAfter = 5

// removed reports whether a probe was taken away on purpose, and the events that say so: it
// stands in no appliance of the configuration, and has stopped to answer. A probe that
// does stand in one is missing for as long as it stands there.
func (r *recorder) removed(now time.Time, rec outbox.Record) (gone bool, events []outbox.Record) {
	p := rec.Probe
	stands := r.conf.Revision == 0 || slices.ContainsFunc(r.conf.Probes, func(c wire.ProbeConfig) bool { return c.Probe == p && c.Appliance != "" })
	was := r.missed[p] >= removedAfter
	if stands || rec.Quality != coldkeep.QualityMissing {
		delete(r.missed, p)
		if was {
			events = append(events, r.eventRecord(now, p, wire.EventProbeAdded, ""))
		}
		return false, events
	}
	if was {
		return true, nil
	}
	r.missed[p]++
	if r.missed[p] < removedAfter {
		return false, nil
	}
	r.cfg.Log.Info("probe was taken away", "probe", p)
	return true, append(events, r.eventRecord(now, p, wire.EventProbeRemoved, ""))
}

// reading makes the record of a judged sample.
func (r *recorder) reading(s sensors.Sample) outbox.Record {
	const none = coldkeep.NoTemperature
	rec := r.record(wire.Record{Probe: s.Probe, At: s.At.UnixMilli(), Celsius: s.Raw, Raw: none, Lo: none, Hi: none, Quality: s.Quality})
	if c, ok := r.cal[s.Probe]; ok && s.Raw.Known() {
		rec.Raw, rec.Celsius = s.Raw, c.correct(s.Raw)
		if c.expired(s.At) && rec.Quality == coldkeep.QualityGood {
			rec.Quality = coldkeep.QualityUncalibrated
		}
	}
	r.at.doubt(&rec)
	return rec
}

func (r *recorder) eventRecord(at time.Time, p coldkeep.ProbeID, event, detail string) outbox.Record {
	const none = coldkeep.NoTemperature
	return r.record(wire.Record{Probe: p, At: at.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none, Event: event, Detail: detail})
}

func (r *recorder) record(w wire.Record) outbox.Record {
	rec := outbox.Record{Record: w, Clock: r.at.trust, Config: r.conf.Revision}
	if r.at.trust != wire.ClockNTP {
		rec.Boot, rec.Base = r.at.boot, r.at.base
	}
	return rec
}

// writeTries is how often a write is tried before the agent gives up and leaves it
// to its supervisor to start it anew, which checks the file.
const writeTries = 5

func (r *recorder) write(ctx context.Context, records []outbox.Record, write func(context.Context, []outbox.Record) error) error {
	for try := 1; ; try++ {
		err := write(ctx, records)
		if err == nil || ctx.Err() != nil || try == writeTries {
			return err
		}
		r.cfg.Log.Error("outbox cannot be written; trying again", "err", err, "try", try)
		if err := (coldkeep.RealClock{}).Sleep(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
			return err
		}
	}
}
