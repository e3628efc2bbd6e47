package immunization

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// View is a person's immunizations as who may see the whole record looks at them.
type View struct {
	Patient    string // the record that stands for the person
	Name       patient.Name
	Subject    Subject
	Today      coldkeep.Date
	Groups     []Group // with doses, in the schedule's order
	Doses      []Dose  // every record, also those that do not count, by date
	Due        []Due   // what is late first, then by date; none of somebody who has died
	Near       [][2]string
	Facts      []Fact
	Reactions  []Reaction
	Exemptions []Exemption
	// Undetermined names risks that could not be decided, Upcoming risk series that begin
	// to apply later.
	Undetermined []forecast.Undetermined
	Unasked      []forecast.Unasked // when explained
	Upcoming     []forecast.Upcoming
	Schedule     string // the version of the schedule
	// Practices names the sites that gave doses, which need not be who looks at it's own.
	Practices   map[coldkeep.SiteID]string
	SeasonsOver []string
	ViewOnly    bool // open for an emergency: nothing can be recorded
}

// Group is the doses of one vaccine group.
type Group struct {
	Name  string
	Doses []Evaluated
}

// Evaluated is a dose with what the schedule says of it in a group.
type Evaluated struct {
	Dose
	forecast.Verdict                       // of this group
	Evaluations      []forecast.Evaluation // of this group, by antigen and series
}

// Urgency is how near a due date is.
type Urgency string

// The urgencies.
const (
	Overdue  Urgency = "overdue"  // past due
	DueNow   Urgency = "due"      // recommended by now
	MayGive  Urgency = "may-give" // may be given, recommended later
	Upcoming Urgency = "upcoming"
	NotDue   Urgency = "not-due" // complete, immune, contraindicated, aged out, not recommended
)

// Due is the forecast of a vaccine group.
type Due struct {
	forecast.Forecast
	Urgency  Urgency
	Exempt   *Exemption // that covers the group today; absent: none
	Refusal  *Dose      // the latest, when nothing was given since; absent: none
	Products []string   // short names of the recommended vaccines
}

// View gives a person's immunizations, validity of each dose and what is due, and writes
// the view into the trail. EFORBIDDEN when the record does not open to by, ENOTFOUND.
func (s *Service) View(ctx context.Context, by auth.Principal, id string) (*View, error) {
	var v *View
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, id, auth.ViewPatients)
		if err != nil {
			return err
		}
		if v, err = s.view(ctx, tx, g, by.Site, false); err != nil {
			return err
		}
		v.ViewOnly = g.ViewOnly(by)
		return tx.Audit(ctx, s.entry(by, "doses.view", "patient/"+g.Head, "", ""))
	})
	return v, err
}

// ViewIn is View in a transaction of the caller's, who has asked the gate and writes the view
// into the trail. site is the practice whose day it is.
func (s *Service) ViewIn(ctx context.Context, tx Tx, g patient.Gate, site coldkeep.SiteID) (*View, error) {
	return s.view(ctx, tx, g, site, false)
}

// VAERSOf is VAERS of a view of the reaction's patient, for a caller who has asked the gate.
func (s *Service) VAERSOf(v *View, r Reaction) *VAERS { return s.vaers(v, r) }

// practices names the sites that gave doses; one that is not kept has no name.
func practices(ctx context.Context, tx Tx, doses ...Dose) (map[coldkeep.SiteID]string, error) {
	out := map[coldkeep.SiteID]string{}
	for i := range doses {
		id := doses[i].Site
		if _, known := out[id]; known || id == "" {
			continue
		}
		site, err := tx.Site(ctx, id)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return nil, err
		}
		out[id] = site.Name
	}
	return out, nil
}

// Look gives one dose of a person, whose record is named as the one that stands, and the
// name of the practice that gave it. It writes the view into the trail. EFORBIDDEN when
// the record does not open to by, ENOTFOUND.
func (s *Service) Look(ctx context.Context, by auth.Principal, id string) (d Dose, practice string, err error) {
	err = s.tx(ctx, by, func(tx Tx) error {
		var err error
		if d, err = tx.Dose(ctx, id); err != nil {
			return absent(err, "dose", id, auth.ViewPatients)
		}
		g, err := s.open(ctx, tx, by, d.Patient, auth.ViewPatients)
		if err != nil {
			return err
		}
		names, err := practices(ctx, tx, d)
		if err != nil {
			return err
		}
		d.Patient, practice = g.Head, names[d.Site]
		return tx.Audit(ctx, s.entry(by, "doses.view", "patient/"+g.Head, "", "dose "+id))
	})
	if err != nil {
		return Dose{}, "", err
	}
	return d, practice, nil
}

// Practice names a site that gave a dose of the person; its id when it has no name.
func (v *View) Practice(id coldkeep.SiteID) string { return cmp.Or(v.Practices[id], string(id)) }

// Explain is View with the chain of decisions behind every dose and forecast. Errors as
// View.
func (s *Service) Explain(ctx context.Context, by auth.Principal, id string) (*View, error) {
	var v *View
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, id, auth.ViewPatients)
		if err != nil {
			return err
		}
		if v, err = s.view(ctx, tx, g, by.Site, true); err != nil {
			return err
		}
		v.ViewOnly = g.ViewOnly(by)
		return tx.Audit(ctx, s.entry(by, "doses.explain", "patient/"+g.Head, "", ""))
	})
	return v, err
}

func (s *Service) view(ctx context.Context, tx Tx, g patient.Gate, site coldkeep.SiteID, explain bool) (*View, error) {
	of, err := s.family(ctx, tx, g)
	if err != nil {
		return nil, err
	}
	v := &View{Patient: g.Head, Subject: of.subject, Doses: of.doses, Facts: of.facts}
	names, err := tx.Names(ctx, []string{g.Head})
	if err != nil {
		return nil, err
	}
	v.Name = names[g.Head]
	if v.Today, err = s.today(ctx, tx, site); err != nil {
		return nil, err
	}
	if v.Reactions, err = tx.Reactions(ctx, g.Family); err != nil {
		return nil, err
	}
	if v.Exemptions, err = tx.Exemptions(ctx, g.Family); err != nil {
		return nil, err
	}
	if v.Practices, err = practices(ctx, tx, of.doses...); err != nil {
		return nil, err
	}
	s.forecast(v, of, explain)
	v.Near = NearDuplicates(of.doses, s.known())
	return v, nil
}

// forecast fills in what the schedule says. It is a pure function of the record.
func (s *Service) forecast(v *View, of *family, explain bool) {
	e := s.schedule.Engine()
	p, ids := asked(of, v.Today, "")
	r := (*forecast.Result)(nil)
	if explain {
		r = e.Explain(p)
	} else {
		r = e.Forecast(p)
	}
	v.Schedule = e.Schedule().Version
	v.Undetermined, v.Upcoming, v.Unasked = r.Undetermined, r.Upcoming, r.Unasked
	for _, season := range e.Schedule().EndedSeasons(v.Today) {
		if !slices.Contains(v.SeasonsOver, season.Group) {
			v.SeasonsOver = append(v.SeasonsOver, season.Group)
		}
	}
	v.Groups = s.grouped(of.doses, r, ids)
	if of.subject.Deceased {
		v.Undetermined, v.Upcoming, v.Unasked, v.SeasonsOver = nil, nil, nil, nil
		return // nothing is due to somebody who has died
	}
	for i := range r.Forecasts {
		v.Due = append(v.Due, s.due(&r.Forecasts[i], v, of))
	}
	order := []Urgency{Overdue, DueNow, MayGive, Upcoming, NotDue}
	slices.SortStableFunc(v.Due, func(a, b Due) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Urgency), slices.Index(order, b.Urgency)), cmp.Compare(a.Recommended, b.Recommended))
	})
}

func (s *Service) grouped(doses []Dose, r *forecast.Result, ids []string) []Group {
	byID := map[string]*Dose{}
	for i := range doses {
		byID[doses[i].ID] = &doses[i]
	}
	k := s.known()
	var names []string
	groups := map[string]*Group{}
	for i, id := range ids {
		d := byID[id]
		in := k.Groups(d.CVX)
		if len(in) == 0 {
			in = []string{"Other"}
		}
		for _, name := range in {
			g := groups[name]
			if g == nil {
				g = &Group{Name: name}
				groups[name] = g
				names = append(names, name)
			}
			e := Evaluated{Dose: *d, Verdict: forecast.Verdict{Group: name}}
			for _, v := range r.Doses[i].Verdicts() {
				if v.Group == name {
					e.Verdict = v
				}
			}
			for _, v := range r.Doses[i].Evaluations {
				if v.Group == name {
					e.Evaluations = append(e.Evaluations, v)
				}
			}
			g.Doses = append(g.Doses, e)
		}
	}
	order := s.GroupNames()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(place(order, a), place(order, b)) })
	out := make([]Group, len(names))
	for i, n := range names {
		out[i] = *groups[n]
	}
	return out
}

// place is where a group stands; one that the schedule does not have comes last.
func place(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

func (s *Service) due(f *forecast.Forecast, v *View, of *family) Due {
	d := Due{Forecast: *f, Urgency: NotDue, Exempt: exempt(v.Exemptions, f.Group, v.Today)}
	if f.Status == forecast.NotComplete && f.Earliest != forecast.None {
		switch {
		case f.PastDue != forecast.None && v.Today > f.PastDue:
			d.Urgency = Overdue
		case f.Recommended <= v.Today:
			d.Urgency = DueNow
		case f.Earliest <= v.Today:
			d.Urgency = MayGive
		default:
			d.Urgency = Upcoming
		}
	} else if f.Status == forecast.NotComplete {
		d.Urgency = DueNow // due, and its dates are not known
	}
	for _, c := range f.CVX {
		d.Products = append(d.Products, s.codes.Name(c))
	}
	k := s.known()
	for i := range of.doses {
		o := &of.doses[i]
		if o.Deleted != nil || !slices.Contains(k.Groups(o.CVX), f.Group) {
			continue
		}
		if o.Kind == Refused {
			d.Refusal = o
		} else if d.Refusal != nil && o.Date >= d.Refusal.Date {
			d.Refusal = nil
		}
	}
	return d
}

// exempt finds an exemption that covers a vaccine group on a day.
func exempt(all []Exemption, group string, on coldkeep.Date) *Exemption {
	for i := range all {
		e := &all[i]
		if e.Ended == nil && e.From <= on && (!e.Until.Known() || on <= e.Until) && (len(e.Groups) == 0 || slices.Contains(e.Groups, group)) {
			return e
		}
	}
	return nil
}

// SchoolStatus is what a school or child care may know of one vaccine group.
type SchoolStatus struct {
	Group  string        `json:"vaccine_group"`
	Status string        `json:"status"` // "up to date", "due", "overdue", "exempt" or "immune"
	Due    coldkeep.Date `json:"due,omitzero"`
	Exempt ExemptionKind `json:"exempt,omitempty"`
	Doses  []string      `json:"dose_dates"` // that count
}

// School gives a child's status by vaccine group, without lots, makers and providers, for
// the groups of the standard schedule; none of somebody who has died. It writes the view into the trail. EFORBIDDEN when
// the record does not open to by, ENOTFOUND.
func (s *Service) School(ctx context.Context, by auth.Principal, id string) ([]SchoolStatus, error) {
	var out []SchoolStatus
	err := s.tx(ctx, by, func(tx Tx) error {
		perm := auth.ViewSubset
		if by.Anywhere(auth.ViewPatients) {
			perm = auth.ViewPatients
		}
		g, err := s.open(ctx, tx, by, id, perm)
		if err != nil {
			return err
		}
		v, err := s.view(ctx, tx, g, by.Site, false)
		if err != nil {
			return err
		}
		out = school(v)
		return tx.Audit(ctx, s.entry(by, "doses.status", "patient/"+g.Head, "", ""))
	})
	return out, err
}

func school(v *View) []SchoolStatus {
	out := []SchoolStatus{}
	for i := range v.Due {
		d := &v.Due[i]
		if d.Risk || d.Begins != forecast.None || d.Status == forecast.NotRecommended && len(dates(v, d.Group)) == 0 {
			continue
		}
		st := SchoolStatus{Group: d.Group, Status: "up to date", Doses: dates(v, d.Group)}
		switch {
		case d.Exempt != nil:
			st.Status, st.Exempt = "exempt", d.Exempt.Kind
		case d.Status == forecast.Immune:
			st.Status = "immune"
		case d.Urgency == Overdue, d.Urgency == DueNow && !d.Shared:
			st.Status, st.Due = "due", d.Recommended
			if d.Urgency == Overdue {
				st.Status = "overdue"
			}
		case d.Urgency == Upcoming || d.Urgency == MayGive:
			st.Due = d.Recommended
		}
		out = append(out, st)
	}
	slices.SortStableFunc(out, func(a, b SchoolStatus) int { return cmp.Compare(a.Group, b.Group) })
	return out
}

func dates(v *View, group string) []string {
	out := []string{}
	for i := range v.Groups {
		if v.Groups[i].Name != group {
			continue
		}
		for k := range v.Groups[i].Doses {
			if d := &v.Groups[i].Doses[k]; d.Status == forecast.Valid {
				out = append(out, d.Date.String())
			}
		}
	}
	return out
}

// Ask is a person as the forecast engine is asked about, for other areas of the registry
// that go on to forecast many. Errors are the store's only: the caller has asked the
// gate.
func (s *Service) Ask(ctx context.Context, r Reader, g patient.Gate, on coldkeep.Date) (*forecast.Patient, error) {
	of, err := s.family(ctx, r, g)
	if err != nil {
		return nil, err
	}
	p, _ := asked(of, on, "")
	return p, nil
}

// Sample gives some of the registry's people as the forecast engine is asked about, to
// try a schedule on. They have no names, and are not to be shown. EFORBIDDEN when by may
// not manage the programme.
func (s *Service) Sample(ctx context.Context, by auth.Principal, n int) ([]*forecast.Patient, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	var out []*forecast.Patient
	err := s.store.Tx(ctx, func(tx Tx) error {
		out = nil
		ids, err := tx.SampleOf(ctx, n)
		if err != nil {
			return err
		}
		today := coldkeep.DateOf(s.clock.Now())
		for _, id := range ids {
			g, err := tx.PatientGate(ctx, id, "", s.clock.Now())
			if err != nil {
				return err
			}
			p, err := s.Ask(ctx, tx, g, today)
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return tx.Audit(ctx, s.entry(by, "schedule.sample", "schedule/", "", fmt.Sprintf("%d records", len(out))))
	})
	return out, err
}
