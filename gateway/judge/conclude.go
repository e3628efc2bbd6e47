package judge

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func (o *outcome) quarter(s coldkeep.Series, at int64) {
	q := ledger.Quarter{Series: s, From: coldkeep.IntervalStart(at)}
	if n := len(o.Quarters); n == 0 || o.Quarters[n-1] != q {
		o.Quarters = append(o.Quarters, q)
	}
}

// longestGapLogged bounds how many empty quarter hours one gap may put into the
// log: four weeks. A longer silence is an appliance out of use.
const longestGapLogged = 28 * 24 * time.Hour

func (o *outcome) gap(s coldkeep.Series, from, to int64) {
	if to-from > longestGapLogged.Milliseconds() {
		return
	}
	for q := coldkeep.IntervalStart(from); q <= to; q += quarter.Milliseconds() {
		o.quarter(s, q)
	}
}

// conclude compares what the engine says now with what stands in the book.
func (j *Judge) conclude(ctx context.Context, o *outcome) error {
	t := o.track
	now := j.clock.Now()
	o.open = t.state.Open(t.rules, t.history, max(now.UnixMilli(), t.state.At))
	found := slices.DeleteFunc(append(slices.Clone(o.found), o.open...), func(f excursion.Finding) bool { return !worthTelling(&f) })
	heard := slices.ContainsFunc(t.last, func(at int64) bool { return at != 0 })
	silent := heard && j.listened(t, now)
	if !silent {
		// Silence that goes on is not told by one who has only begun to listen, nor of a
		// unit whose device has yet to be set up.
		found = slices.DeleteFunc(found, func(f excursion.Finding) bool { return f.Kind == coldkeep.NoData && f.End == 0 })
	}
	settled := min(o.since-t.rules.CloseAfter().Milliseconds(), o.unsettled-1)
	book := t.book
	if o.reset {
		var err error
		if book, err = j.ledger.Excursions(ctx, t.key.Appliance, settled); err != nil {
			return err
		}
	}
	// What devices report is looked at for a while back, and from the start of what goes
	// on since before that.
	from := now.Add(-reportsLookBack)
	for i := range book {
		if x := &book[i]; isReport(x.Kind) && x.End == nil && x.Start.Before(from) {
			from = x.Start
		}
	}
	reported, err := j.reported(ctx, t, from, now)
	if err != nil {
		return err
	}
	found = append(found, reported...)
	if len(found)+len(book) == 0 {
		return nil
	}
	r := reconciling{track: t, deaf: !silent, at: t.state.At, since: o.since, given: map[string]bool{}, look: func(id string) (ledger.Judged, bool, error) { return j.ledger.Excursion(ctx, id) }}
	for i := range book {
		x := &book[i]
		if isReport(x.Kind) && x.Start.Before(from) {
			r.given[x.ID] = true
			continue
		}
		if x.End != nil && x.End.UnixMilli() <= settled {
			r.given[x.ID] = true
			continue
		}
		r.book = append(r.book, *x)
	}
	revised, err := r.reconcile(found)
	if err != nil {
		return err
	}
	for i := range revised {
		if err := j.annotate(ctx, t, &revised[i].Excursion); err != nil {
			return err
		}
	}
	o.Revised = revised
	o.book = t.afterwards(book, revised)
	return nil
}

// worthTelling reports whether a finding goes into the book: every excursion does; a
// fault or a gap when it lasts so long that a profile wants it shown.
func worthTelling(f *excursion.Finding) bool {
	if f.Excursion() {
		return true
	}
	if f.Kind == coldkeep.NoData && f.Probe >= 0 && f.Role != coldkeep.RoleAir {
		// One of several is silent: the others speak for the vaccine.
		return slices.Contains(f.Actions, coldkeep.ActionAlert)
	}
	return slices.ContainsFunc(f.Actions, func(a coldkeep.Action) bool { return a.Rank() >= coldkeep.ActionWarn.Rank() })
}

// afterwards is the book after revisions, without what can no longer change.
func (t *track) afterwards(book, revised []ledger.Judged) []ledger.Judged {
	settled := min(t.state.At-t.rules.CloseAfter().Milliseconds(), t.state.Unsettled()-1)
	var out []ledger.Judged
	keep := func(x *ledger.Judged) {
		if x.State != coldkeep.ExcursionWithdrawn && (x.End == nil || x.End.UnixMilli() > settled) {
			out = append(out, *x)
		}
	}
	for i := range book {
		if !slices.ContainsFunc(revised, func(r ledger.Judged) bool { return r.ID == book[i].ID }) {
			keep(&book[i])
		}
	}
	for i := range revised {
		keep(&revised[i])
	}
	return out
}

// describe makes an excursion of a finding.
func (t *track) describe(f *excursion.Finding, at int64) ledger.Judged {
	x := coldkeep.Excursion{Site: t.appliance.Site, Appliance: t.appliance.ID, Probe: t.name(f.Probe), Kind: f.Kind, Role: f.Role, Rule: f.Rule, Profile: t.rules.Profile(),
		Start: utc(f.Start), PeakAt: utc(f.PeakAt), Extreme: f.Extreme, MinutesOut: Minutes(f.OutMS), Actions: f.Actions, State: coldkeep.ExcursionOpen}
	if !f.Excursion() {
		x.PeakAt, x.Extreme = x.Start, coldkeep.NoTemperature
	} else {
		x.DegreeMinutes = math.Round(f.DegreeMinutes()*10) / 10
		if f.MKT.Known() {
			mkt := f.MKT
			x.MKT = &mkt
		}
		for _, w := range f.Witnesses {
			x.Witnesses = append(x.Witnesses, coldkeep.Witness{Probe: t.name(w.Probe), Role: w.Role, Out: w.Out, Extreme: w.Extreme})
		}
		if f.FromStart {
			x.Contexts = append(x.Contexts, coldkeep.ContextWarmUp)
		}
	}
	if f.End != 0 {
		end := utc(f.End)
		x.End, x.State = &end, coldkeep.ExcursionClosed
	}
	return ledger.Judged{Excursion: x, JudgedAt: at}
}

// name names a probe; silence of them all goes by the first that stood for vaccine.
func (t *track) name(probe int) string {
	if probe >= 0 {
		return t.past.probes[probe].String()
	}
	for i := range t.past.stays {
		if t.past.stays[i].Role != coldkeep.RoleAir {
			return t.past.stays[i].Series.String()
		}
	}
	return t.past.probes[0].String()
}

// annotate notes what people and devices know about the time of an excursion.
func (j *Judge) annotate(ctx context.Context, t *track, x *coldkeep.Excursion) error {
	end := utc(t.state.At)
	if x.End != nil {
		end = *x.End
	}
	note := func(k coldkeep.ContextKind) {
		if !slices.Contains(x.Contexts, k) {
			x.Contexts = append(x.Contexts, k)
		}
	}
	for _, c := range t.past.others {
		if c.From.Before(end) && (c.To == nil || c.To.After(x.Start)) {
			note(c.Kind)
		}
	}
	for _, agent := range t.agents() {
		// What began up to a day before may still go on.
		evs, err := j.ledger.EventsBetween(ctx, t.appliance.Site, agent, x.Start.Add(-24*time.Hour), end)
		if err != nil {
			return err
		}
		for _, k := range contextsOf(evs, x.Start.UnixMilli(), func(p coldkeep.ProbeID) bool { return t.ours(agent, p) }) {
			note(k)
		}
	}
	slices.Sort(x.Contexts)
	return nil
}

// reportsLookBack is how far back a device's reports of its door and power are looked
// at: what began before and goes on is settled.
const reportsLookBack = 7 * 24 * time.Hour

// reported gives what a device says of the door and the power for longer than the
// profile lets pass; of several rules that are met the one that asks for most.
func (j *Judge) reported(ctx context.Context, t *track, from, now time.Time) ([]excursion.Finding, error) {
	if !t.rules.Watched() {
		return nil, nil
	}
	var spans []excursion.Event
	for _, agent := range t.agents() {
		evs, err := j.ledger.EventsBetween(ctx, t.appliance.Site, agent, from, now.Add(time.Millisecond))
		if err != nil {
			return nil, err
		}
		for _, p := range reports {
			since := never
			for i := range evs {
				switch e := &evs[i].Record; {
				case !t.ours(agent, e.Probe) || e.Event == p.begins && !t.stood(agent, e.Probe, e.At):
				case e.Event == p.begins:
					since = min(since, e.At)
				case e.Event == p.ends && since != never:
					spans = append(spans, excursion.Event{Kind: p.kind, From: since, To: e.At})
					since = never
				}
			}
			if since != never {
				spans = append(spans, excursion.Event{Kind: p.kind, From: since, To: t.leaves(agent, since)})
			}
		}
	}
	var out []excursion.Finding
	for _, e := range excursion.Events(t.rules, spans, now.UnixMilli()) {
		f := excursion.Finding{Kind: coldkeep.Kind(e.Kind), Role: coldkeep.RoleVaccine, Probe: -1, Start: e.Start, End: e.End, Actions: e.Actions}
		if n := len(out); n > 0 && out[n-1].Kind == f.Kind && out[n-1].Start == f.Start {
			out[n-1].Actions = slices.Compact(slices.SortedFunc(slices.Values(append(slices.Clone(out[n-1].Actions), f.Actions...)),
				func(a, b coldkeep.Action) int { return a.Rank() - b.Rank() }))
			continue
		}
		out = append(out, f)
	}
	return out, nil
}

// reports are the pairs of events by which a device tells of a span.
var reports = []struct {
	begins, ends string
	kind         coldkeep.ContextKind
}{{wire.EventDoorOpen, wire.EventDoorClosed, coldkeep.ContextDoorOpen}, {wire.EventPowerLost, wire.EventPowerBack, coldkeep.ContextPowerLost}}

// isReport reports whether a kind is what devices report beside temperatures.
func isReport(k coldkeep.Kind) bool { return k == coldkeep.DoorOpen || k == coldkeep.PowerLost }

// stood reports whether a device's probe, or with "" any of its probes, stood in the
// appliance at a time (ms), while it was in service.
func (t *track) stood(agent coldkeep.AgentID, probe coldkeep.ProbeID, at int64) bool {
	for _, c := range t.past.away {
		if c.From.UnixMilli() <= at && at < openEnd(c.To) {
			return false
		}
	}
	return slices.ContainsFunc(t.past.stays, func(as coldkeep.Assignment) bool {
		return as.Agent == agent && (probe == "" || as.Probe == probe) && as.From.UnixMilli() <= at && at < openEnd(as.To)
	})
}

// leaves is when the last probe of a device that stood in the appliance at a time (ms)
// leaves it, or it goes out of service.
func (t *track) leaves(agent coldkeep.AgentID, at int64) int64 {
	end := at
	for _, as := range t.past.stays {
		if as.Agent == agent && as.From.UnixMilli() <= at && at < openEnd(as.To) {
			end = max(end, openEnd(as.To))
		}
	}
	for _, c := range t.past.away {
		if from := c.From.UnixMilli(); from > at {
			end = min(end, from)
		}
	}
	return end
}

// agents are the devices whose probes have stood in the appliance.
func (t *track) agents() []coldkeep.AgentID {
	var out []coldkeep.AgentID
	for _, s := range t.past.probes {
		if !slices.Contains(out, s.Agent) {
			out = append(out, s.Agent)
		}
	}
	return out
}

// ours reports whether an event of a device is about this appliance.
func (t *track) ours(agent coldkeep.AgentID, probe coldkeep.ProbeID) bool {
	return probe == "" || slices.Contains(t.past.probes, coldkeep.Series{Site: t.appliance.Site, Agent: agent, Probe: probe})
}

// contextsOf reads a device's events, in order of time, and returns what was so at
// some time from start (ms) on.
func contextsOf(evs []ledger.Event, start int64, ours func(coldkeep.ProbeID) bool) (out []coldkeep.ContextKind) {
	for _, p := range reports {
		since, seen := int64(-1), false
		for i := range evs {
			r := &evs[i].Record
			if !ours(r.Probe) {
				continue
			}
			switch r.Event {
			case p.begins:
				since = r.At
			case p.ends:
				seen = seen || since >= 0 && r.At >= start
				since = -1
			}
		}
		if seen || since >= 0 {
			out = append(out, p.kind)
		}
	}
	return out
}

// Minutes gives ms as minutes with one decimal, as excursions are printed.
func Minutes(ms int64) float64 { return math.Round(float64(ms)/6000) / 10 }

func utc(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
