package templog

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// MaxIntervals is how many intervals one call may carry.
const MaxIntervals = 1000

// quarter is the length of an interval.
const quarter = 15 * time.Minute

// PutIntervals keeps intervals, all or none, and returns how many were new. A
// later revision becomes the one that is shown. EFORBIDDEN when by may not
// collect; EINVALID for a wrong field, an unknown appliance, a probe that never stood
// in it or an interval off the quarter hour, named with its place in the list; ECONFLICT when a revision is
// there already with other content.
func (s *Service) PutIntervals(ctx context.Context, by auth.Principal, list []coldkeep.Interval) (int, error) {
	if err := by.Require(auth.Collect, ""); err != nil {
		return 0, err
	}
	if len(list) > MaxIntervals {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "%d intervals in one call; want at most %d", len(list), MaxIntervals)
	}
	for i := range list {
		if err := checkInterval(&list[i]); err != nil {
			return 0, at(i, err)
		}
	}
	stored := 0
	err := s.store.Tx(ctx, func(tx Tx) error {
		stored = 0
		known := map[coldkeep.ApplianceID]bool{}
		stood, err := whereProbesStood(ctx, tx)
		if err != nil {
			return err
		}
		for i := range list {
			if !known[list[i].Appliance] {
				if _, err := applianceOf(ctx, tx, list[i].Appliance); err != nil {
					return at(i, err)
				}
				known[list[i].Appliance] = true
			}
			if !stood[standing{list[i].Probe, list[i].Appliance}] {
				return at(i, coldkeep.Errorf(coldkeep.EINVALID, "probe: %q never stood in %q", list[i].Probe, list[i].Appliance))
			}
			isNew, err := tx.PutInterval(ctx, list[i], s.clock.Now())
			if err != nil {
				return at(i, err)
			}
			if isNew {
				stored++
			}
		}
		return nil
	})
	return stored, err
}

// standing is a probe in an appliance.
type standing struct {
	probe     string
	appliance coldkeep.ApplianceID
}

// whereProbesStood is which probe was ever assigned to which appliance. When is left
// open: an assignment may be corrected after its readings were logged.
func whereProbesStood(ctx context.Context, r Reader) (map[standing]bool, error) {
	all, err := r.Assignments(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[standing]bool, len(all))
	for _, a := range all {
		out[standing{a.Series.String(), a.Appliance}] = true
	}
	return out, nil
}

// at puts the place in the list before an error's message.
func at(i int, err error) error {
	return coldkeep.Wrap(err, coldkeep.ErrorCode(err), "templog", "[%d].%s", i, coldkeep.ErrorMessage(err))
}

// applianceOf looks an appliance up for the collector and locks it, so that of two
// revisions the later is marked so. One that is not known is the sender's mistake,
// not a page that is not found.
func applianceOf(ctx context.Context, tx Tx, id coldkeep.ApplianceID) (coldkeep.Appliance, error) {
	a, err := tx.LockAppliance(ctx, id)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return a, coldkeep.Errorf(coldkeep.EINVALID, "appliance: %q is not known", id)
	}
	return a, err
}

func checkInterval(i *coldkeep.Interval) error {
	if err := checkNames(i.Appliance, i.Probe); err != nil {
		return err
	}
	if err := checkTime("from", i.From); err != nil {
		return err
	}
	if err := checkTime("to", i.To); err != nil {
		return err
	}
	if !i.From.Equal(i.From.Truncate(quarter)) { // quarters of an hour of UTC since year 1
		return coldkeep.Errorf(coldkeep.EINVALID, "from: %s is not on the quarter hour UTC", i.From.UTC().Format(time.RFC3339Nano))
	}
	if !i.To.Equal(i.From.Add(quarter)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "to: %s is not 15 minutes after from", i.To.UTC().Format(time.RFC3339Nano))
	}
	for _, f := range []struct {
		name  string
		value int
		max   int
	}{{"readings", i.Readings, 1_000_000}, {"gap_s", i.GapSec, 900}, {"fault_s", i.FaultSec, 900}} {
		if f.value < 0 || f.value > f.max {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: %d is not between 0 and %d", f.name, f.value, f.max)
		}
	}
	if i.Revision < 1 {
		return coldkeep.Errorf(coldkeep.EINVALID, "revision: want at least 1")
	}
	for _, f := range []struct {
		name  string
		value coldkeep.Temperature
		when  *time.Time
		timed bool
	}{{"min", i.Min, i.MinAt, true}, {"max", i.Max, i.MaxAt, true}, {"mean", i.Mean, nil, false}} {
		if f.value.Known() != (i.Readings > 0) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want a temperature when there are readings, and null when there are none", f.name)
		}
		if !f.timed || f.when == nil {
			continue
		}
		if f.when.Before(i.From) || f.when.After(i.To) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s_at: %s is not in the interval", f.name, f.when.UTC().Format(time.RFC3339Nano))
		}
	}
	if i.Min.Known() && i.Min > i.Max {
		return coldkeep.Errorf(coldkeep.EINVALID, "min: %s is above max %s", i.Min, i.Max)
	}
	return nil
}

// PutExcursion keeps a revision of an excursion. It returns the latest revision
// that is now known. EFORBIDDEN when by may not collect, EINVALID for a wrong
// field or an unknown appliance, ECONFLICT when the revision is there already
// with other content or the excursion is another appliance's.
func (s *Service) PutExcursion(ctx context.Context, by auth.Principal, x coldkeep.Excursion) (coldkeep.Excursion, error) {
	if err := by.Require(auth.Collect, ""); err != nil {
		return x, err
	}
	if err := checkExcursion(&x); err != nil {
		return x, err
	}
	latest := x
	err := s.store.Tx(ctx, func(tx Tx) error {
		a, err := applianceOf(ctx, tx, x.Appliance)
		if err != nil {
			return err
		}
		if x.Site != "" && x.Site != a.Site {
			return coldkeep.Errorf(coldkeep.EINVALID, "site: %q is not the site of appliance %q", x.Site, x.Appliance)
		}
		x.Site = a.Site
		before, err := tx.Excursion(ctx, x.ID)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return err
		}
		if err == nil && before.Appliance != x.Appliance {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "appliance: excursion %q is of appliance %q", x.ID, before.Appliance)
		}
		if _, err := tx.PutExcursion(ctx, x, s.clock.Now()); err != nil {
			return err
		}
		latest, err = tx.Excursion(ctx, x.ID)
		return err
	})
	return latest, err
}

func checkExcursion(x *coldkeep.Excursion) error {
	if x.ID == "" || len(x.ID) > 200 {
		return coldkeep.Errorf(coldkeep.EINVALID, "id: want 1 to 200 characters")
	}
	if x.Revision < 1 {
		return coldkeep.Errorf(coldkeep.EINVALID, "revision: want at least 1")
	}
	if err := checkNames(x.Appliance, x.Probe); err != nil {
		return err
	}
	if err := checkKind(x); err != nil {
		return err
	}
	if x.Profile == "" || len(x.Profile) > 100 {
		return coldkeep.Errorf(coldkeep.EINVALID, "profile: want 1 to 100 characters, such as cdc@1")
	}
	if err := checkTime("start", x.Start); err != nil {
		return err
	}
	if err := checkTime("peak_at", x.PeakAt); err != nil {
		return err
	}
	if x.End != nil {
		if err := checkTime("end", *x.End); err != nil {
			return err
		}
		if x.End.Before(x.Start) {
			return coldkeep.Errorf(coldkeep.EINVALID, "end: %s is before start", x.End.UTC().Format(time.RFC3339Nano))
		}
	}
	switch x.State {
	case coldkeep.ExcursionOpen:
		if x.End != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "end: an open excursion has none")
		}
	case coldkeep.ExcursionClosed:
		if x.End == nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "end: a closed excursion has one")
		}
	case coldkeep.ExcursionWithdrawn:
	default:
		return coldkeep.Errorf(coldkeep.EINVALID, "state: %q: want open, closed or withdrawn", x.State)
	}
	if x.PeakAt.Before(x.Start) {
		return coldkeep.Errorf(coldkeep.EINVALID, "peak_at: %s is before start", x.PeakAt.UTC().Format(time.RFC3339Nano))
	}
	for i, a := range x.Actions {
		if a.Rank() == 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "actions[%d]: %q: want log, warn, alert or hold", i, a)
		}
	}
	if len(x.Reason) > 2000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "reason: want at most 2000 characters")
	}
	return checkNumbers(x)
}

// checkKind checks what a kind of excursion has: a time out of range has a rule and an
// extreme; silence and a probe's fault have neither, for nobody knows how the unit
// stood. A device's fault is of no unit and is not the registry's.
func checkKind(x *coldkeep.Excursion) error {
	switch x.Kind {
	case coldkeep.TooWarm, coldkeep.TooCold:
		if x.Rule != coldkeep.Instant && x.Rule != coldkeep.Consecutive && x.Rule != coldkeep.Cumulative {
			return coldkeep.Errorf(coldkeep.EINVALID, "rule: %q: want instant, consecutive or cumulative", x.Rule)
		}
		if !x.Extreme.Known() {
			return coldkeep.Errorf(coldkeep.EINVALID, "extreme_c: want a temperature")
		}
		return nil
	case coldkeep.NoData, coldkeep.SensorFault, coldkeep.DoorOpen, coldkeep.PowerLost:
		if x.Rule != "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "rule: %q: %s has none", x.Rule, x.Kind)
		}
		if x.Extreme.Known() {
			return coldkeep.Errorf(coldkeep.EINVALID, "extreme_c: %s has none; want null", x.Kind)
		}
		if x.MinutesOut != 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "minutes_out: %s has none; want 0", x.Kind)
		}
		return nil
	}
	return coldkeep.Errorf(coldkeep.EINVALID, "kind: %.100q: want too-warm, too-cold, no-data, sensor-fault, door-open or power-lost", x.Kind)
}

// The most probes and contexts that an excursion may name.
const (
	maxWitnesses = 100
	maxContexts  = 50
)

func checkNumbers(x *coldkeep.Excursion) error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"minutes_out", x.MinutesOut}, {"degree_minutes", x.DegreeMinutes}} {
		if !(f.value >= 0) || math.IsInf(f.value, 0) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want a number from 0", f.name)
		}
	}
	if x.Role != "" && !validRole(x.Role) {
		return coldkeep.Errorf(coldkeep.EINVALID, "role: %.100q: want vaccine or air", x.Role)
	}
	if len(x.Witnesses) > maxWitnesses {
		return coldkeep.Errorf(coldkeep.EINVALID, "witnesses: want at most %d", maxWitnesses)
	}
	for i, w := range x.Witnesses {
		if err := checkNames(x.Appliance, w.Probe); err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "witnesses[%d].%s", i, coldkeep.ErrorMessage(err))
		}
		if w.Role != "" && !validRole(w.Role) {
			return coldkeep.Errorf(coldkeep.EINVALID, "witnesses[%d].role: %.100q: want vaccine or air", i, w.Role)
		}
	}
	if len(x.Contexts) > maxContexts {
		return coldkeep.Errorf(coldkeep.EINVALID, "contexts: want at most %d", maxContexts)
	}
	for i, c := range x.Contexts {
		if !validID(string(c)) { // a newer collector may know more of them
			return coldkeep.Errorf(coldkeep.EINVALID, "contexts[%d]: %.100q: want a word such as door-open", i, c)
		}
	}
	return nil
}

func validRole(r coldkeep.Role) bool { return r == coldkeep.RoleVaccine || r == coldkeep.RoleAir }

// PutStatuses keeps the latest of appliances, all or none. What came last stands;
// the time since when an appliance has its state is carried on. EFORBIDDEN when by
// may not collect, EINVALID for a wrong field or an unknown appliance, named with
// its place in the list.
func (s *Service) PutStatuses(ctx context.Context, by auth.Principal, list []coldkeep.ApplianceStatus) error {
	if err := by.Require(auth.Collect, ""); err != nil {
		return err
	}
	for i := range list {
		if err := checkStatus(&list[i]); err != nil {
			return at(i, err)
		}
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		for i, st := range list {
			if err := s.putStatus(ctx, tx, st); err != nil {
				return at(i, err)
			}
		}
		return nil
	})
}

func (s *Service) putStatus(ctx context.Context, tx Tx, st coldkeep.ApplianceStatus) error {
	if _, err := applianceOf(ctx, tx, st.Appliance); err != nil {
		return err
	}
	now := s.clock.Now()
	since, err := since(ctx, tx, st, now)
	if err != nil {
		return err
	}
	return tx.PutStatus(ctx, st, since, now)
}

// since is the time from which an appliance has its state. Without data it is that
// of the latest record, however often the state is told again; in an excursion the
// start of the one that is open, which the state follows by the time that its rule
// allows. Other states carry on the time at which they were first told.
func since(ctx context.Context, tx Tx, st coldkeep.ApplianceStatus, now time.Time) (time.Time, error) {
	if st.State == coldkeep.StateNoData && st.At != nil {
		return *st.At, nil
	}
	if st.State == coldkeep.StateExcursion {
		list, err := tx.Excursions(ctx, st.Appliance, now, now.AddDate(1, 0, 0), 100)
		if err != nil {
			return now, err
		}
		var start *time.Time
		for i, x := range list {
			if (x.Kind == coldkeep.TooWarm || x.Kind == coldkeep.TooCold) && x.State == coldkeep.ExcursionOpen && (start == nil || x.Start.Before(*start)) {
				start = &list[i].Start
			}
		}
		if start != nil {
			return *start, nil
		}
	}
	before, err := tx.Unit(ctx, st.Appliance)
	switch {
	case err != nil:
		return now, err
	case before.Status != nil && before.Status.State == st.State && before.Since != nil:
		return *before.Since, nil
	case st.At != nil:
		return *st.At, nil
	}
	return now, nil
}

func checkStatus(st *coldkeep.ApplianceStatus) error {
	if st.Appliance == "" || len(st.Appliance) > 64 {
		return coldkeep.Errorf(coldkeep.EINVALID, "appliance: want 1 to 64 characters")
	}
	if st.Probe != "" { // an appliance without a probe has a status too
		if err := checkNames(st.Appliance, st.Probe); err != nil {
			return err
		}
	}
	if st.At != nil {
		if err := checkTime("at", *st.At); err != nil {
			return err
		}
	}
	if f := st.Foresight; f != nil {
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold || len(f.Words) > 500 || len(f.Cause) > 40 {
			return coldkeep.Errorf(coldkeep.EINVALID, "foresight: want kind too-warm or too-cold, words of at most 500 bytes and a cause of at most 40")
		}
		if err := checkTime("foresight.seen_at", f.SeenAt); err != nil {
			return err
		}
	}
	if !st.Quality.Valid() {
		return coldkeep.Errorf(coldkeep.EINVALID, "quality: %q is not a code of the wire contract", st.Quality)
	}
	switch st.State {
	case coldkeep.StateOK, coldkeep.StateWarning, coldkeep.StateFault, coldkeep.StateNoData, coldkeep.StateExcursion:
		return nil
	}
	return coldkeep.Errorf(coldkeep.EINVALID, "state: %q: want ok, warning, fault, no-data or excursion", st.State)
}

func checkNames(appliance coldkeep.ApplianceID, probe string) error {
	if appliance == "" || len(appliance) > 64 {
		return coldkeep.Errorf(coldkeep.EINVALID, "appliance: want 1 to 64 characters")
	}
	parts := strings.Split(probe, "/")
	if len(parts) != 3 || !validID(parts[0]) || !validID(parts[1]) || !validProbe(parts[2]) {
		return coldkeep.Errorf(coldkeep.EINVALID, "probe: %s: want site/agent/probe", fmt.Sprintf("%.200q", probe))
	}
	return nil
}
