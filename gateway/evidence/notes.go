package evidence

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// letGo notes what of a device went because its time was over. Nobody may let go what
// every programme wants kept: then it is missing, whatever the book says of it.
func (v *Verifier) letGo(ctx context.Context, g ledger.LetGo, scope Scope, ring keyring, r *report) error {
	before := time.UnixMilli(g.Before)
	if g.Before == 0 || !scope.includes(time.Time{}, before) {
		return nil
	}
	_, early := readings.Expire(time.Now(), before, readings.LeastYears)
	for _, epoch := range slices.Sorted(maps.Keys(g.Epochs)) {
		f := Finding{Kind: KindLetGo, Note: true, Site: g.Site, Agent: g.Agent, Epoch: epoch, FromSeq: 1, ToSeq: g.Epochs[epoch], To: moment(g.Before),
			Detail: "what was measured before was let go when its time was over"}
		last, err := v.anchorAt(ctx, ledger.Epoch{Site: g.Site, Agent: g.Agent, Epoch: epoch}, f.ToSeq, ring)
		if err != nil {
			return err
		}
		if early != nil || time.UnixMilli(last.at).After(before.Add(LetGoSlack)) {
			f.Note, f.Detail = false, "was let go before its time was over"
		}
		if err := r.add(f); err != nil {
			return err
		}
	}
	return nil
}

// LetGoSlack is how much later than the time before which readings are let go the last
// record that is let go may be at most.
const LetGoSlack = 31 * 24 * time.Hour

// faults reports void ranges and what else was raised when a device's seals came.
//
// A payload that could not be read is a note. Nobody can tell which records it held,
// and nobody needs to: it was not acknowledged, so the device keeps them and sends
// them again. When they never come, their numbers are missing, and that is found; and
// whoever looks after the device has been called for the payload itself.
func (v *Verifier) faults(ctx context.Context, d ledger.Device, scope Scope, r *report) error {
	raised, err := v.Ledger.EvidenceFaults(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	for _, f := range raised {
		if f.Kind == ledger.FaultVoid || f.Kind == ledger.FaultKeyChanged {
			continue // void ranges are below; a changed key shows by its seals, until it is trusted
		}
		if !scope.includes(f.At, f.At) {
			continue
		}
		x := Finding{Kind: KindFault, Site: d.Site, Agent: d.Agent, Epoch: f.Epoch.Epoch, From: &f.At, To: &f.At,
			Detail: f.Kind + " " + f.Subject + ": " + f.Detail}
		if f.Kind == ledger.FaultPayload {
			x.Kind, x.Note = KindPayload, true
			x.Detail = "payloads came that could not be read, the first of them on " + f.Subject + ": " + f.Detail
		}
		if err := r.add(x); err != nil {
			return err
		}
	}
	epochs, err := v.Ledger.Epochs(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		voids, err := v.Ledger.Voids(ctx, e)
		if err != nil {
			return err
		}
		for _, x := range voids {
			at := moment(x.ReceivedAt)
			if !scope.includes(*at, *at) {
				continue
			}
			if err := r.add(Finding{Kind: KindVoid, Site: d.Site, Agent: d.Agent, Epoch: e.Epoch, FromSeq: x.From, ToSeq: x.To, To: at,
				Detail: "its seal was refused three times: " + x.Reason}); err != nil {
				return err
			}
		}
	}
	return nil
}

// includes reports whether a stretch touches the scope's times.
func (s *Scope) includes(from, to time.Time) bool {
	return (s.From.IsZero() || !to.Before(s.From)) && (s.To.IsZero() || from.Before(s.To))
}

// annotations lists what people have noted about a site's log, and checks that
// nobody has changed it since.
func (v *Verifier) annotations(ctx context.Context, site coldkeep.SiteID, scope Scope, r *report) error {
	notes, err := v.Ledger.Annotations(ctx, site)
	if err != nil {
		return err
	}
	made, err := v.Ledger.AnnotationsMade(ctx, site)
	if err != nil {
		return err
	}
	for i := range notes {
		a := &notes[i]
		f := Finding{Kind: KindAnnotation, Note: true, Site: site, Agent: a.Agent, Probe: a.Probe, Epoch: a.Epoch, FromSeq: a.FromSeq, ToSeq: a.ToSeq,
			From: &a.From, To: &a.To, Detail: a.Why, Annotation: a}
		if a.Altered {
			f.Kind, f.Note, f.Detail = KindNote, false, "the annotation is not what was noted, or the one before it was taken away"
		} else if scope.Agent != "" && a.Agent != "" && a.Agent != scope.Agent || !scope.includes(a.From, a.To) {
			continue
		}
		if err := r.add(f); err != nil {
			return err
		}
	}
	last := int64(0)
	if len(notes) > 0 {
		last = notes[len(notes)-1].N
	}
	if last < made {
		return r.add(Finding{Kind: KindNote, Site: site, Detail: "the latest annotations were taken away"})
	}
	return nil
}
