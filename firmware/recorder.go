package firmware

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// recorder takes samples from the source and writes records into the outbox.
type recorder struct {
	cfg  Config
	box  *outbox.Box
	last map[coldkeep.ProbeID]time.Time // as the outbox had it at the start

	onProbe func() // hears of a probe that is new in this run

	mu    sync.Mutex
	gate  sensors.Gate
	conf  wire.Config
	cal   calibration
	seen  map[coldkeep.ProbeID]bool // in this run; false: its name is refused
	clock stepWatch
}

func newRecorder(ctx context.Context, cfg Config, box *outbox.Box) (*recorder, error) {
	last, err := box.Last(ctx)
	if err != nil {
		return nil, err
	}
	r := &recorder{cfg: cfg, box: box, last: last, onProbe: func() {}, seen: make(map[coldkeep.ProbeID]bool)}
	saved, err := box.Settings(ctx)
	if err != nil || saved == nil {
		return r, err
	}
	if err := json.Unmarshal(saved, &r.conf); err != nil {
		cfg.Log.Error("saved configuration is not readable; waiting for the collector's", "err", err)
		r.conf = wire.Config{}
		return r, nil
	}
	r.cal, err = newCalibration(r.conf.Probes)
	return r, err
}

// interval is the configured time between samples, 0 when there is none.
func (r *recorder) interval() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.conf.Interval) * time.Second
}

func (r *recorder) revision() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conf.Revision
}

// trust is the "clock" of records made now.
func (r *recorder) trust() string {
	if r.cfg.TimeTrust != "" {
		return r.cfg.TimeTrust
	}
	return clockTrust()
}

// configure saves a configuration and puts it in force from the next record on,
// unless it already is. A wrong one is EINVALID and changes nothing.
func (r *recorder) configure(ctx context.Context, c wire.Config) (changed bool, err error) {
	// A reading must fit the profiles' longest gap, and a probe takes most of a second.
	if c.Interval < 0 || c.Interval > 3600 || c.Revision < 0 {
		return false, coldkeep.Errorf(coldkeep.EINVALID, "cfg %d, interval_s %d: want no negative revision and 1 to 3600 seconds", c.Revision, c.Interval)
	}
	cal, err := newCalibration(c.Probes)
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, err := json.Marshal(r.conf); err == nil && string(old) == string(text) {
		return false, nil
	}
	if err := r.box.SaveSettings(ctx, text); err != nil {
		return false, err
	}
	r.conf, r.cal = c, cal
	return true, nil
}

// event records an event of now.
func (r *recorder) event(ctx context.Context, event, detail string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.write(ctx, []outbox.Record{r.eventRecord(r.cfg.Clock.Now(), "", event, detail)})
}

// emit is the sensors.Emit of the source: gate, calibration, outbox. It returns
// once the samples are on disk.
func (r *recorder) emit(ctx context.Context, samples []sensors.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock.Now()
	records := make([]outbox.Record, 0, len(samples)+1)
	if r.cfg.TimeTrust == "" {
		if d, stepped := r.clock.look(now); stepped {
			records = append(records, r.eventRecord(now, "", wire.EventClockStep, fmt.Sprintf("%+.3f s", d.Seconds())))
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
			records = append(records, r.reading(r.gate.Judge(s)))
		}
	}
	if err := r.write(ctx, records); err != nil {
		return err
	}
	if fresh {
		r.onProbe()
	}
	return nil
}

// newProbe notes the first sample of a probe in this outbox. The samples of a
// probe whose name cannot travel are left out, and the book says so.
func (r *recorder) newProbe(now time.Time, p coldkeep.ProbeID, ok bool) []outbox.Record {
	if !ok {
		r.cfg.Log.Error("probe's name is not [A-Za-z0-9._:-]{1,64}; its samples cannot be recorded", "probe", p)
		name := strings.ToValidUTF8(string(p), "?")
		return []outbox.Record{r.eventRecord(now, "", "probe-refused", fmt.Sprintf("name %.80q is not [A-Za-z0-9._:-]{1,64}", name))}
	}
	if _, had := r.last[p]; had {
		return nil
	}
	return []outbox.Record{r.eventRecord(now, p, wire.EventProbeAdded, "")}
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
	return rec
}

func (r *recorder) eventRecord(at time.Time, p coldkeep.ProbeID, event, detail string) outbox.Record {
	const none = coldkeep.NoTemperature
	return r.record(wire.Record{Probe: p, At: at.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none, Event: event, Detail: detail})
}

func (r *recorder) record(w wire.Record) outbox.Record {
	return outbox.Record{Record: w, Clock: r.trust(), Config: r.conf.Revision}
}

// writeTries is how often a write is tried before the agent gives up and leaves it
// to its supervisor to start it anew, which checks the file.
const writeTries = 5

func (r *recorder) write(ctx context.Context, records []outbox.Record) error {
	for try := 1; ; try++ {
		err := r.box.Append(ctx, records)
		if err == nil || ctx.Err() != nil || try == writeTries {
			return err
		}
		r.cfg.Log.Error("outbox cannot be written; trying again", "err", err, "try", try)
		if err := (coldkeep.RealClock{}).Sleep(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
			return err
		}
	}
}
