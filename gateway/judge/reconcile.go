package judge

import (
	"crypto/sha256"
	"encoding/base32"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// refresh is how much event time passes until an open excursion of which only the
// minutes and the extreme have grown is told again.
const refresh = 15 * time.Minute

// reconciling compares what the engine found with what the book has of the same
// stretch of an appliance's time.
type reconciling struct {
	track *track
	at    int64 // event time up to which was judged, ms
	since int64 // and from which, ms
	book  []ledger.Judged
	deaf  bool            // silence that goes on is not seen, nor its end but by readings
	given map[string]bool // ids that stand, or have been given in this round
	// look finds an excursion by its id, also a withdrawn one.
	look func(id string) (ledger.Judged, bool, error)
}

// reconcile returns the new revisions. An excursion found keeps the identity of the
// earliest one in the book that it overlaps. Others that it overlaps have melted
// into it; one in the book that nothing found overlaps was none. Both are withdrawn,
// with the reason.
func (r *reconciling) reconcile(found []excursion.Finding) ([]ledger.Judged, error) {
	var out []ledger.Judged
	taken := make([]bool, len(r.book))
	for i := range r.book {
		r.given[r.book[i].ID] = true
	}
	withdraw := func(x ledger.Judged, why string) {
		x.State, x.Revision, x.Reason, x.JudgedAt = coldkeep.ExcursionWithdrawn, x.Revision+1, why, r.at
		out = append(out, x)
	}
	for i := range found {
		f := &found[i]
		x := r.track.describe(f, r.at)
		var was *ledger.Judged
		for i := range r.book {
			if taken[i] || !sameKind(&r.book[i].Excursion, &x.Excursion) || !overlap(&r.book[i].Excursion, f) {
				continue
			}
			taken[i] = true
			if was == nil {
				was = &r.book[i]
				continue
			}
			withdraw(r.book[i], "late readings joined it to excursion "+was.ID)
		}
		if was == nil {
			var err error
			if x.ID, was, err = r.freeIdentity(f); err != nil {
				return nil, err
			}
		} else {
			x.ID = was.ID
		}
		r.given[x.ID] = true
		calm(&x, was)
		if was == nil {
			x.Revision, x.Reason = 1, first(&x.Excursion, f)
			out = append(out, x)
			continue
		}
		x.Revision = was.Revision + 1
		if x.Reason = revision(was, &x); x.Reason == "" {
			continue
		}
		switch f.Ended {
		case excursion.EndedLeft:
			x.Reason = "the probe left the unit"
		case excursion.EndedOutOfService:
			x.Reason = "the unit was taken out of service"
		}
		out = append(out, x)
	}
	for i := range r.book {
		// What had ended by the time from which was judged is not found again.
		if x := &r.book[i]; !taken[i] && !(r.deaf && x.Kind == coldkeep.NoData && x.End == nil) && (x.End == nil || x.End.UnixMilli() > r.since) {
			withdraw(*x, "late readings show that it was none")
		}
	}
	return out, nil
}

// calm keeps a silence or a fault from calling a person when it was over before
// anybody could have been called: nothing is left to do about it.
func calm(x, was *ledger.Judged) {
	if x.Kind == coldkeep.TooWarm || x.Kind == coldkeep.TooCold || x.End == nil {
		return
	}
	if was != nil && was.State != coldkeep.ExcursionWithdrawn {
		x.Actions = was.Actions
		return
	}
	x.Actions = slices.DeleteFunc(slices.Clone(x.Actions), func(a coldkeep.Action) bool { return a.Rank() > coldkeep.ActionWarn.Rank() })
}

// first is the reason of a first revision.
func first(x *coldkeep.Excursion, f *excursion.Finding) string {
	what := "out of range"
	switch x.Kind {
	case coldkeep.NoData:
		what = "no readings"
	case coldkeep.DoorOpen:
		what = "the door is open"
	case coldkeep.PowerLost:
		what = "no mains power"
	case coldkeep.SensorFault:
		what = "the probe gives no reading that can be believed"
	}
	if x.End != nil {
		what += ", seen when it was over"
	}
	if x.Kind == coldkeep.SensorFault {
		what += ": " + string(f.Reason)
	}
	return what
}

// sameKind reports whether two excursions can be tellings of one.
func sameKind(a, b *coldkeep.Excursion) bool {
	vaccine := func(r coldkeep.Role) bool { return r != coldkeep.RoleAir }
	// Of faults and of air probes' silence there is one a probe; all else is the appliance's.
	ofProbe := a.Kind == coldkeep.SensorFault || a.Kind == coldkeep.NoData && !vaccine(a.Role)
	return a.Kind == b.Kind && vaccine(a.Role) == vaccine(b.Role) && (!ofProbe || a.Probe == b.Probe)
}

// freeIdentity gives an id to an excursion that overlaps none in the book: that of
// a withdrawn one which began at the same time, and which it then revives, or a
// new one. An excursion whose start was moved since keeps the id that its first
// start gave it, so that id may stand although nothing in the book begins there.
func (r *reconciling) freeIdentity(f *excursion.Finding) (id string, was *ledger.Judged, err error) {
	for n := 0; ; n++ {
		id = r.track.identity(f, n)
		if r.given[id] {
			continue
		}
		old, ok, err := r.look(id)
		switch {
		case err != nil:
			return "", nil, err
		case !ok:
			return id, nil, nil
		case old.State == coldkeep.ExcursionWithdrawn || old.Start.UnixMilli() == f.Start:
			return id, &old, nil
		}
	}
}

// identity is stable: the same appliance, kind and first start give the same id
// however often a crash makes the judge find it anew. n tells apart those that
// began at the same time in different tellings of the past.
func (t *track) identity(f *excursion.Finding, n int) string {
	parts := []string{string(t.appliance.Site), string(t.appliance.ID), string(f.Kind), time.UnixMilli(f.Start).UTC().Format(time.RFC3339Nano)}
	if f.Role == coldkeep.RoleAir {
		parts = append(parts, string(f.Role))
	}
	if f.Kind == coldkeep.SensorFault || f.Kind == coldkeep.NoData {
		parts = append(parts, t.name(f.Probe))
	}
	if n > 0 {
		parts = append(parts, strconv.Itoa(n))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x1f")))
	return "x" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15]))
}

func overlap(x *coldkeep.Excursion, f *excursion.Finding) bool {
	end := int64(math.MaxInt64)
	if x.End != nil {
		end = x.End.UnixMilli()
	}
	fEnd := f.End
	if fEnd == 0 {
		fEnd = math.MaxInt64
	}
	start := x.Start.UnixMilli()
	return start == f.Start || start < fEnd && f.Start < end // one that ended in the ms in which it began is one too
}

// revision gives the reason for which now is told after was, "" when it is not
// worth telling.
func revision(was, now *ledger.Judged) string {
	switch {
	case was.State == coldkeep.ExcursionWithdrawn:
		return "late readings brought it back"
	case was.State == coldkeep.ExcursionOpen && now.State == coldkeep.ExcursionClosed:
		switch now.Kind {
		case coldkeep.NoData, coldkeep.SensorFault:
			return "readings again"
		case coldkeep.DoorOpen:
			return "the door is shut"
		case coldkeep.PowerLost:
			return "the power is back"
		}
		return "back in range"
	case was.State == coldkeep.ExcursionClosed && now.State == coldkeep.ExcursionOpen:
		return "late readings opened it again"
	case now.Kind == coldkeep.NoData && now.State == coldkeep.ExcursionOpen:
		return "" // a back-fill moves its start with every batch
	case !was.Start.Equal(now.Start):
		return "late readings moved its start"
	case slices.Contains(was.Contexts, coldkeep.ContextWarmUp) && !slices.Contains(now.Contexts, coldkeep.ContextWarmUp):
		return "late readings show that it had been in range before"
	case !slices.Equal(was.Actions, now.Actions) || was.Rule != now.Rule:
		return "rule met: " + string(now.Rule)
	case now.State == coldkeep.ExcursionOpen:
		if now.JudgedAt-was.JudgedAt >= refresh.Milliseconds() && (was.MinutesOut != now.MinutesOut || was.Extreme != now.Extreme) {
			return "goes on"
		}
		return ""
	case !was.End.Equal(*now.End):
		return "late readings moved its end"
	case was.MinutesOut != now.MinutesOut || was.Extreme != now.Extreme || !was.PeakAt.Equal(now.PeakAt) || was.Probe != now.Probe,
		was.DegreeMinutes != now.DegreeMinutes || deref(was.MKT) != deref(now.MKT) || !slices.Equal(was.Witnesses, now.Witnesses):
		return "late readings changed it"
	}
	return ""
}

func deref(t *coldkeep.Temperature) coldkeep.Temperature {
	if t == nil {
		return coldkeep.NoTemperature
	}
	return *t
}
