package devices

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// The faults that are found here; the others are the ledger's.
const (
	faultOffline  = "offline"
	faultUnsynced = "clock-unsynced"
	faultSkew     = "clock-skew"
)

// evidenceWords say what the ledger's faults mean, for who is called at night. A
// kind that is not among them is told by its own name.
var evidenceWords = map[string]string{
	ledger.FaultKeyChanged:  "the device's key has changed",
	ledger.FaultKeyBad:      "the device shows something that is no key",
	ledger.FaultVoid:        "the device's seals were refused, and a range of its log is unsigned",
	ledger.FaultChainBroken: "the chain of the device's log is broken",
	ledger.FaultTwoSeals:    "the device has sealed one record in two ways",
	ledger.FaultSealWrong:   "a seal of the device is not by its key",
}

// fault is one of a device that is open.
type fault struct {
	coldkeep.Excursion
	kind string
	last time.Time // when it was last seen
}

// verdict is a new revision of a fault.
type verdict struct {
	v     *device
	fault fault
}

// identity is stable: the same device, kind and start give the same id however
// often a crash makes us find it anew.
func identity(n name, kind string, start time.Time) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{n.String(), kind, start.UTC().Format(time.RFC3339Nano)}, "\x1f")))
	return "d" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15]))
}

// raise makes the first revision of a fault.
func raise(v *device, kind string, start time.Time, action coldkeep.Action, reason string) verdict {
	start = start.UTC().Truncate(time.Millisecond) // as the tables keep it
	return verdict{v, fault{kind: kind, last: start, Excursion: coldkeep.Excursion{
		ID: identity(v.name, kind, start), Revision: 1, Site: v.site, Probe: v.String(), Kind: coldkeep.DeviceFault,
		Start: start, PeakAt: start, Extreme: coldkeep.NoTemperature, Actions: []coldkeep.Action{action}, State: coldkeep.ExcursionOpen, Reason: reason}}}
}

// close makes the last revision of an open fault.
func (f *fault) close(v *device, end time.Time, reason string) verdict {
	end = end.UTC().Truncate(time.Millisecond)
	if end.Before(f.Start) {
		end = f.Start
	}
	next := *f
	next.Revision++
	next.State, next.End, next.Reason = coldkeep.ExcursionClosed, &end, reason
	return verdict{v, next}
}

// look finds out which devices are silent or have a wrong clock, and which are so
// no more.
func (d *Devices) look(ctx context.Context) error {
	d.mu.Lock()
	now := d.cfg.Clock.Now()
	var out []verdict
	for n, v := range d.devices {
		if !d.cfg.Holds(n.site) {
			continue
		}
		c, ours := d.plan.configs[n]
		if d.derived && !ours {
			for _, kind := range []string{faultOffline, faultUnsynced, faultSkew} {
				if f := v.faults[kind]; f != nil {
					out = append(out, f.close(v, now, "the registry does not have this device any more"))
				}
			}
		}
		if ours {
			out = append(out, d.silence(v, now, len(c.Probes) > 0)...)
			out = append(out, v.clockFaults()...)
		}
	}
	d.mu.Unlock()
	return d.enter(ctx, out)
}

// silence looks at whether anything comes from a device. Of one that has never been
// there it is worth telling when its probes stand somewhere.
func (d *Devices) silence(v *device, now time.Time, standing bool) []verdict {
	if d.listening.IsZero() {
		return nil // nobody can know
	}
	f := v.faults[faultOffline]
	silent := now.Sub(d.silentSince(v)) > d.cfg.Silence
	switch {
	case f == nil && silent && !v.heard.IsZero():
		return []verdict{raise(v, faultOffline, v.heard, coldkeep.ActionWarn, fmt.Sprintf("nothing has come from the device for more than %v", d.cfg.Silence))}
	case f == nil && silent && (standing || v.Birth):
		return []verdict{raise(v, faultOffline, d.listening, coldkeep.ActionWarn, "nothing has ever come from the device")}
	case f != nil && !silent && v.heard.After(f.Start.Add(time.Millisecond)):
		return []verdict{f.close(v, v.heard, "the device sends again")}
	}
	return nil
}

// clockFaults looks at the device's clock.
func (v *device) clockFaults() []verdict {
	var out []verdict
	w, f := &v.clock, v.faults[faultUnsynced]
	switch {
	case f == nil && !w.unsynced.IsZero() && v.heard.Sub(w.unsynced) >= unsyncedFor:
		out = append(out, raise(v, faultUnsynced, w.unsynced, coldkeep.ActionWarn, "nothing sets the device's clock; the times of its readings may be wrong"))
	case f != nil && w.stamp != "" && w.stamp != wire.ClockUnsynced:
		out = append(out, f.close(v, v.heard, "the device's clock is set again"))
	}
	f = v.faults[faultSkew]
	action := coldkeep.ActionWarn
	if w.skew.Abs() > alertSkew {
		action = coldkeep.ActionAlert
	}
	switch {
	case f == nil && w.skew != 0:
		start := w.since
		if start.IsZero() {
			start = v.heard
		}
		out = append(out, raise(v, faultSkew, start, action, skewWords(w.skew)))
	case f != nil && w.skew == 0:
		out = append(out, f.close(v, v.heard, "the device's clock is right again"))
	case f != nil && action == coldkeep.ActionAlert && !f.Has(action):
		next := *f
		next.Revision++
		next.Actions, next.Reason = []coldkeep.Action{action}, skewWords(w.skew)
		out = append(out, verdict{v, next})
	}
	return out
}

func skewWords(skew time.Duration) string {
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	return fmt.Sprintf("the device's clock is %v %s the collector's", skew.Abs().Round(time.Second), side)
}

// overlap is how far back the ledger's faults are read again: one may have been
// committed after another that was raised later.
func (d *Devices) overlap() time.Duration { return max(time.Minute, d.slack()) }

// readEvidence takes in what the ledger has raised, and closes what has not come
// again. Faults of one kind are one fault of the device as long as it is open: a
// device whose every seal is wrong calls a person once.
func (d *Devices) readEvidence(ctx context.Context) error {
	now := d.machine()
	if d.cfg.Evidence == nil || !d.readAt.IsZero() && now.Sub(d.readAt) < evidenceEvery {
		return nil
	}
	faults, err := d.cfg.Evidence.FaultsSince(ctx, d.read)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.readEvidence", "the ledger's faults cannot be read")
	}
	for i := range faults {
		if err := d.found(ctx, &faults[i]); err != nil {
			return err
		}
	}
	if n := len(faults); n > 0 {
		if back := faults[n-1].At.Add(-d.overlap()); back.After(d.read) {
			d.read = back
		}
	}
	d.readAt = now
	return d.settle(ctx)
}

// found takes in one fault of the ledger.
func (d *Devices) found(ctx context.Context, e *ledger.EvidenceFault) error {
	if !d.cfg.Holds(e.Site) {
		return nil
	}
	n := name{e.Site, e.Agent}
	d.mu.Lock()
	v := d.of(n)
	f := v.faults[e.Kind]
	if f != nil && e.At.After(f.last) {
		f.last = e.At
	}
	d.mu.Unlock()
	if f != nil {
		return d.touch(ctx, f.ID, e.At)
	}
	last, err := d.lastOf(ctx, n, e.Kind)
	if err != nil || !e.At.Truncate(time.Millisecond).After(last) {
		return err // told already
	}
	words := evidenceWords[e.Kind]
	if words == "" {
		words = e.Kind
	}
	if e.Detail != "" {
		words += ": " + clip(e.Detail)
	}
	return d.enter(ctx, []verdict{raise(v, e.Kind, e.At, coldkeep.ActionAlert, words)})
}

// settle closes faults of the ledger's that are over.
func (d *Devices) settle(ctx context.Context) error {
	type keyed struct {
		v   *device
		f   *fault
		key string
	}
	var out []verdict
	var keys []keyed
	d.mu.Lock()
	now := d.cfg.Clock.Now()
	for n, v := range d.devices {
		if !d.cfg.Holds(n.site) {
			continue
		}
		for kind, f := range v.faults {
			switch {
			case kind == faultOffline || kind == faultUnsynced || kind == faultSkew:
			case kind == ledger.FaultKeyChanged:
				keys = append(keys, keyed{v, f, v.Key})
			case now.Sub(f.last) >= quiet:
				out = append(out, f.close(v, f.last, fmt.Sprintf("not seen again for %v", quiet)))
			}
		}
	}
	d.mu.Unlock()
	var errs []error
	for _, k := range keys {
		known, err := d.cfg.Evidence.Keys(ctx, k.v.site, k.v.agent)
		if err != nil {
			errs = append(errs, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.settle", "keys of %s cannot be read", k.v.name))
			continue
		}
		for _, key := range known {
			if key.Key == k.key && key.Trusted {
				out = append(out, k.f.close(k.v, now, "the key that the device shows is trusted"))
			}
		}
	}
	return errors.Join(append(errs, d.enter(ctx, out))...)
}

// enter writes verdicts down, with what is to be told of them, and then lets them
// count.
func (d *Devices) enter(ctx context.Context, verdicts []verdict) error {
	if len(verdicts) == 0 {
		return nil
	}
	at := database.Millis(d.cfg.Clock.Now())
	err := d.db.Tx(ctx, func(tx *sql.Tx) error {
		for i := range verdicts {
			f := &verdicts[i].fault
			if f.Revision == 1 {
				// A start that was told of before is gone on with.
				if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(revision), 0) + 1 FROM devices_fault WHERE id = $1`, f.ID).Scan(&f.Revision); err != nil {
					return err
				}
			}
			if err := writeFault(ctx, tx, at, verdicts[i].v.name, f, d.cfg.Tell != nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.enter", "%d faults of devices cannot be entered", len(verdicts))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range verdicts {
		f := w.fault
		if f.State == coldkeep.ExcursionOpen {
			w.v.faults[f.kind] = &f
		} else {
			delete(w.v.faults, f.kind)
		}
		d.cfg.Log.Warn("device fault", "site", f.Site, "device", f.Probe, "fault", f.kind, "state", f.State, "reason", f.Reason)
	}
	d.untold = true
	return nil
}

// tell hands over what has not been told.
func (d *Devices) tell(ctx context.Context) error {
	if !d.untold || d.cfg.Tell == nil {
		return nil
	}
	list, err := d.toTell(ctx)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(list, tellPage) {
		if err := d.cfg.Tell(ctx, page); err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.tell", "%d faults of devices cannot be told", len(page))
		}
		if err := d.told(ctx, page); err != nil {
			return err
		}
	}
	d.untold = false
	return nil
}

func writeFault(ctx context.Context, tx *sql.Tx, at int64, n name, f *fault, tell bool) error {
	body, err := json.Marshal(f.Excursion)
	if err != nil {
		return err
	}
	open := 0
	if f.State == coldkeep.ExcursionOpen {
		open = 1
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO devices_fault (id, revision, site, agent, kind, is_open, last_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, is_open = excluded.is_open, body = excluded.body,
			last_at = CASE WHEN excluded.last_at > devices_fault.last_at THEN excluded.last_at ELSE devices_fault.last_at END`,
		f.ID, f.Revision, n.site, n.agent, f.kind, open, database.Millis(f.last), string(body)); err != nil || !tell {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO devices_tell (id, revision, site, at, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		f.ID, f.Revision, n.site, at, string(body))
	return err
}
