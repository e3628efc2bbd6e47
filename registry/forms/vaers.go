package forms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// VAERS is the report of an adverse event with the items of form VAERS 2.0 that the registry
// knows, under their numbers.
type VAERS struct {
	*Record
	Report *immunization.VAERS
	Before []*immunization.Dose // item 22: within a month before
}

// Vaers makes the report of a reaction. EFORBIDDEN when the record does not open to by,
// ENOTFOUND for an unknown reaction. It is in the trail.
func (s *Service) Vaers(ctx context.Context, by auth.Principal, reaction string) (*VAERS, error) {
	var re immunization.Reaction
	err := s.store.Tx(ctx, func(tx Tx) error {
		if !by.Known() {
			return by.Require(auth.ViewPatients, by.Site)
		}
		var err error
		re, err = tx.Reaction(ctx, reaction)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &VAERS{}
	out.Record, err = s.open(ctx, by, re.Patient, Reaction, ", "+re.ID, nil)
	if err != nil {
		return nil, err
	}
	out.Report = s.doses.VAERSOf(out.View, re)
	for _, d := range printed(out.Record) {
		if d.Date < out.Report.Given && d.Date >= out.Report.Given-31 && !slices.Contains(re.Doses, d.ID) {
			out.Before = append(out.Before, d)
		}
	}
	return out, nil
}

// VaersPDF is Vaers as a PDF. Errors as Vaers.
func (s *Service) VaersPDF(ctx context.Context, by auth.Principal, reaction string) ([]byte, error) {
	v, err := s.Vaers(ctx, by, reaction)
	if err != nil {
		return nil, err
	}
	b, _, err := v.draw()
	return b, err
}

// Item is an item of the form by its number.
type Item struct{ Number, Label, Value string }

// Items are the items of the form in its order, but for the vaccines (17 and 22).
func (v *VAERS) Items() []Item {
	p, r := &v.Person, v.Report
	n := p.Name()
	address := ""
	if a := p.Home(); a != nil {
		parts := []string{strings.TrimSpace(a.Street + " " + a.Street2), a.City, strings.TrimSpace(a.State + " " + a.ZIP), a.County}
		address = strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
	}
	onset := ""
	if r.Onset != nil {
		onset = r.Onset.In(v.At.Location()).Format("01/02/2006 3:04 PM")
	}
	site := v.Site
	if e, ok := v.Sites[r.Reaction.Site]; ok {
		site = &e
	}
	var results []string
	for _, c := range r.Results {
		results = append(results, immunization.Text(immunization.Results(), c))
	}
	var earlier []string
	for _, x := range v.View.Reactions {
		if x.ID != r.Reaction.ID && x.Ended == nil {
			earlier = append(earlier, x.Event)
		}
	}
	return []Item{
		{"1", "Patient: name, address, telephone, e-mail", strings.Join(slices.DeleteFunc([]string{strings.TrimSpace(n.Given + " " + n.Family), address, contacts(p.Contacts, patientPhones...), contacts(p.Contacts, patient.Email)}, func(s string) bool { return s == "" }), "; ")},
		{"2", "Date of birth", Day(r.Born)}, {"3", "Sex", sexOf(r.Sex)}, {"4", "Date of vaccination", Day(r.Given)}, {"5", "Event started", onset},
		{"6", "Age at vaccination", fmt.Sprintf("%d years, %d months", r.Years, r.Months)}, {"7", "Today's date", Day(r.Today)}, {"8", "Pregnant at the time", r.Pregnant},
		{"9", "Prescriptions, over-the-counter medicines, supplements, herbal remedies", r.Medicines}, {"10", "Allergies", r.Allergies}, {"11", "Other illnesses then and up to one month before", r.Illnesses}, {"12", "Chronic or long-standing conditions", r.Chronic},
		{"13", "Form completed by", strings.TrimPrefix(r.Reporter+", "+immunization.Text(immunization.Relations(), r.Relation), ", ")}, {"14", "Best doctor or professional to contact", r.Doctor},
		{"15", "Facility", siteWords(site)}, {"16", "Type of facility", immunization.Text(immunization.Facilities(), r.Facility)},
		{"18", "Adverse event, treatment, outcome, time course", r.Event}, {"19", "Medical tests and results", r.Tests}, {"20", "Recovered", r.Recovered}, {"21", "Result", strings.Join(results, "; ")},
		{"23", "Earlier adverse events after any vaccine", strings.Join(earlier, "; ")}, {"24, 25", "Race, ethnicity", races(p)},
	}
}

func sexOf(s string) string {
	switch s {
	case "F":
		return "Female"
	case "M":
		return "Male"
	}
	return "Unknown"
}

func (v *VAERS) draw() ([]byte, int, error) {
	s := v.sheet(Reaction.Title())
	s.Title("Adverse event after vaccination: for VAERS")
	s.Small("The items of form VAERS 2.0 by their numbers, to be entered at vaers.hhs.gov. This print is not the form itself. Essential are 2, 3, 4, 5, 6, 17, 18 and 21. Patient identity is confidential.")
	if len(v.Report.Missing) > 0 {
		s.Strong("Essential and missing: " + strings.Join(v.Report.Missing, ", ") + ".")
	}
	if v.Report.Ended != nil {
		s.Strong("This record was taken back on " + v.Report.Ended.At.In(v.At.Location()).Format("01/02/2006") + ": " + v.Report.Ended.Reason)
	}
	s.Gap(1)
	items := v.Items()
	field := func(i Item, share float64) paper.Field {
		return paper.Field{Label: i.Number + "  " + i.Label, Value: i.Value, Share: share}
	}
	s.Fields(field(items[0], 1))
	s.Fields(field(items[1], 1), field(items[2], 1), field(items[3], 1.2), field(items[4], 1.5))
	s.Fields(field(items[5], 1.2), field(items[6], 1), field(items[7], 1.2))
	for _, i := range items[8:12] {
		s.Fields(field(i, 1))
	}
	s.Fields(field(items[12], 1), field(items[13], 1))
	s.Fields(field(items[14], 2), field(items[15], 1))
	s.Heading("17  Vaccines given on the date in 4", 14)
	var rows [][]string
	for _, d := range v.Report.Vaccines {
		number := ""
		if d.Number > 0 {
			number = fmt.Sprint(d.Number)
		}
		rows = append(rows, []string{strings.TrimPrefix(d.Brand+": "+d.Name, ": "), d.Maker, d.Dose.Lot, immunization.Text(immunization.Routes(), d.Route), immunization.Text(immunization.BodySites(), d.BodySite), number})
	}
	columns := []paper.Column{{Title: "Type and brand", Share: 3}, {Title: "Manufacturer", Share: 2}, {Title: "Lot", Share: 1.2}, {Title: "Route", Share: 1.2}, {Title: "Body site", Share: 1.2}, {Title: "Dose in series", Share: 0.9}}
	s.Table(columns, rows)
	s.Gap(1.5)
	for _, i := range items[16:20] {
		s.Fields(field(i, 1))
	}
	if len(v.Before) > 0 {
		s.Heading("22  Other vaccines within one month before", 10)
		rows = nil
		for _, d := range v.Before {
			m, _ := v.Codes.MVX(d.MVX)
			rows = append(rows, []string{v.Codes.Name(d.CVX), m.Name, d.Lot, immunization.Text(immunization.Routes(), d.Route), immunization.Text(immunization.BodySites(), d.BodySite), GivenOn(d)})
		}
		columns[5].Title = "Given"
		s.Table(columns, rows)
		s.Gap(1.5)
	}
	s.Fields(field(items[20], 1))
	s.Fields(field(items[21], 1))
	return s.PDF()
}
