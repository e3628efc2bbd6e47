package immunization

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Results lists the outcomes of VAERS form 2.0, item 21.
func Results() []Choice {
	return []Choice{
		{"office-visit", "Doctor or other healthcare professional office or clinic visit"}, {"emergency-room", "Emergency room or urgent care"},
		{"hospital", "Hospitalization"}, {"prolonged-hospital", "Prolongation of a hospital stay"}, {"life-threatening", "Life-threatening illness"},
		{"disability", "Disability or permanent damage"}, {"died", "Patient died"}, {"congenital", "Congenital anomaly or birth defect"}, {"none", "None of these"},
	}
}

// Facilities lists the types of VAERS form 2.0, item 16.
func Facilities() []Choice {
	return []Choice{{"office", "Doctor's office, urgent care or hospital"}, {"pharmacy", "Pharmacy or store"}, {"workplace", "Workplace clinic"},
		{"public-health", "Public health clinic"}, {"nursing-home", "Nursing home or senior living"}, {"school", "School or student health clinic"},
		{"other", "Other"}, {"unknown", "Unknown"}}
}

// Relations lists who may have completed VAERS form 2.0, item 13.
func Relations() []Choice {
	return []Choice{{"professional", "Healthcare professional or staff"}, {"patient", "Patient"}, {"guardian", "Parent, guardian or caregiver"}, {"other", "Other"}}
}

var yesNo = []Choice{{"yes", "Yes"}, {"no", "No"}, {"unknown", "Unknown"}}

// AddReaction records an adverse event after doses of one day. EFORBIDDEN when the
// record does not open to by or it may not record, ENOTFOUND for an unknown patient,
// EINVALID for a wrong field.
func (s *Service) AddReaction(ctx context.Context, by auth.Principal, r Reaction) (Reaction, error) {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, of(r.Patient)); err != nil {
		return r, err
	}
	if err := checkReaction(&r); err != nil {
		return r, err
	}
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, r.Patient, auth.RecordDoses)
		if err != nil {
			return err
		}
		doses, err := tx.Doses(ctx, g.Family)
		if err != nil {
			return err
		}
		day := coldkeep.Date(0)
		for _, id := range r.Doses {
			i := slices.IndexFunc(doses, func(d Dose) bool { return d.ID == id && d.Kind != Refused && d.Deleted == nil })
			if i < 0 {
				return coldkeep.Errorf(coldkeep.EINVALID, "Doses: one of them is not on this record.")
			}
			if day.Known() && doses[i].Date != day {
				return coldkeep.Errorf(coldkeep.EINVALID, "Doses: want those of one day; record another day's reaction by itself.")
			}
			day = doses[i].Date
		}
		if r.Onset != nil && (coldkeep.DateOf(*r.Onset)+1 < day || r.Onset.After(s.clock.Now())) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Began: want a time after the doses and not in the future.")
		}
		r.ID, r.Patient, r.By, r.Site, r.At, r.Ended = ulid.Make().String(), g.Head, by.Name, by.Site, s.clock.Now(), nil
		if err := tx.InsertReaction(ctx, r); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "reaction.add", "patient/"+g.Head, "", r.ID))
	})
	return r, err
}

func checkReaction(r *Reaction) error {
	for _, x := range []struct {
		name  string
		value *string
		most  int
	}{{"Medicines", &r.Medicines, 2000}, {"Allergies", &r.Allergies, 2000}, {"Other illnesses", &r.Illnesses, 2000}, {"Chronic conditions", &r.Chronic, 2000},
		{"Reporter", &r.Reporter, 300}, {"Professional to contact", &r.Doctor, 300}, {"What happened", &r.Event, 10000}, {"Tests", &r.Tests, 5000}} {
		if err := field(x.name, x.value, x.most); err != nil {
			return err
		}
	}
	if r.Event == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "What happened: please describe the event, its treatment and outcome.")
	}
	if len(r.Doses) == 0 || len(r.Doses) > 20 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Doses: please choose those it came after.")
	}
	for _, f := range []struct {
		name  string
		value *string
		table []Choice
		empty string
	}{{"Pregnant", &r.Pregnant, yesNo, "unknown"}, {"Recovered", &r.Recovered, yesNo, "unknown"}, {"Reporter is", &r.Relation, Relations(), "professional"}, {"Facility", &r.Facility, Facilities(), "office"}} {
		if *f.value == "" {
			*f.value = f.empty
		}
		if !In(f.table, *f.value) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: %q is not one of its answers.", f.name, *f.value)
		}
	}
	for _, x := range r.Results {
		if !In(Results(), x) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Result %q: is not one of the form's.", x)
		}
	}
	return nil
}

// EndReaction takes back a reaction that was entered by mistake. Errors as EndFact.
func (s *Service) EndReaction(ctx context.Context, by auth.Principal, id, why string) error {
	return s.end(ctx, by, why, "reaction.end", auth.RecordDoses, func(tx Tx) (string, error) {
		r, err := tx.Reaction(ctx, id)
		return r.Patient, absent(err, "reaction", id, auth.RecordDoses)
	}, func(tx Tx, d Deletion) error { return tx.EndReaction(ctx, id, d) }, id)
}

// VAERS is an adverse event as the report to the Vaccine Adverse Event Reporting System
// asks for it (form VAERS 2.0): the items that come from the record, in the form's order.
// Its essential items are 2, 3, 4, 5, 6, 17, 18 and 21.
type VAERS struct {
	Reaction
	Born     coldkeep.Date // item 2
	Sex      string        // item 3
	Given    coldkeep.Date // item 4
	Years    int           // item 6, with Months
	Months   int
	Today    coldkeep.Date // item 7
	Vaccines []VAERSDose   // item 17
	Missing  []string      // what the form calls essential and the record does not have
}

// VAERSDose is a row of item 17.
type VAERSDose struct {
	Dose
	Name   string // the vaccine
	Brand  string // its trade name, when one product fits
	Maker  string
	Number int // in its series; 0 when the schedule does not count it
}

// VAERS gives a reaction as a report. It writes the view into the trail. EFORBIDDEN when
// the record does not open to by, ENOTFOUND.
func (s *Service) VAERS(ctx context.Context, by auth.Principal, id string) (*VAERS, error) {
	var out *VAERS
	err := s.tx(ctx, by, func(tx Tx) error {
		r, err := tx.Reaction(ctx, id)
		if err != nil {
			return absent(err, "reaction", id, auth.ViewPatients)
		}
		g, err := s.open(ctx, tx, by, r.Patient, auth.ViewPatients)
		if err != nil {
			return err
		}
		v, err := s.view(ctx, tx, g, by.Site, false)
		if err != nil {
			return err
		}
		out = s.vaers(v, r)
		return tx.Audit(ctx, s.entry(by, "reaction.report", "patient/"+g.Head, "", id))
	})
	return out, err
}

func (s *Service) vaers(v *View, r Reaction) *VAERS {
	out := &VAERS{Reaction: r, Born: v.Subject.Birth, Sex: v.Subject.Sex, Today: v.Today}
	for i := range v.Doses {
		d := v.Doses[i]
		if !slices.Contains(r.Doses, d.ID) {
			continue
		}
		out.Given = d.Date
		row := VAERSDose{Dose: d, Name: s.codes.Name(d.CVX)}
		if m, ok := s.codes.MVX(d.MVX); ok {
			row.Maker = m.Name
		}
		for _, p := range s.codes.Products(d.CVX) {
			if p.MVX == d.MVX {
				row.Brand = p.Name
				break
			}
		}
		for g := range v.Groups {
			for k := range v.Groups[g].Doses {
				if e := &v.Groups[g].Doses[k]; e.ID == d.ID {
					row.Number = max(row.Number, e.Number)
				}
			}
		}
		out.Vaccines = append(out.Vaccines, row)
	}
	if out.Given.Known() && out.Born.Known() {
		out.Years = years(out.Born, out.Given)
		_, bm, bd := out.Born.Civil()
		_, m, d := out.Given.Civil()
		if out.Months = (m - bm + 12) % 12; d < bd {
			out.Months = (out.Months + 11) % 12
		}
	}
	for _, e := range []struct {
		item string
		ok   bool
	}{{"2 date of birth", out.Born.Known()}, {"3 sex", out.Sex == "F" || out.Sex == "M"}, {"4 date of vaccination", out.Given.Known()}, {"5 when it began", r.Onset != nil},
		{"17 vaccines", len(out.Vaccines) > 0}, {"18 what happened", r.Event != ""}, {"21 result", len(r.Results) > 0}} {
		if !e.ok {
			out.Missing = append(out.Missing, e.item)
		}
	}
	return out
}
