package forms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// VisitPDF is the vaccine administration record of a day: each dose that was given then,
// with what 42 U.S.C. 300aa-25 asks of the record, and room for one's signature. A day
// without doses gives the form to be filled in by hand. EFORBIDDEN when the record does not
// open to by, ENOTFOUND, EINVALID without a day.
func (s *Service) VisitPDF(ctx context.Context, by auth.Principal, id string, on coldkeep.Date) ([]byte, error) {
	if !on.Known() && by.Known() {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Visit: want the day, such as 2026-03-02.")
	}
	r, err := s.open(ctx, by, id, Visit, ", "+on.String(), nil)
	if err != nil {
		return nil, err
	}
	b, _, err := r.drawVisit(on)
	return b, err
}

func (r *Record) drawVisit(on coldkeep.Date) ([]byte, int, error) {
	s := r.sheet(Visit.Title())
	s.Title(Visit.Title())
	r.who(s, on)
	var given, refused []*immunization.Dose
	for i := range r.View.Doses {
		d := &r.View.Doses[i]
		switch {
		case d.Date != on || d.Deleted != nil || d.DuplicateOf != "":
		case d.Kind == immunization.Administered:
			given = append(given, d)
		case d.Kind == immunization.Refused:
			refused = append(refused, d)
		}
	}
	s.Heading("Vaccines given on "+Day(on), 24)
	var rows [][]string
	for _, d := range given {
		rows = append(rows, r.visitLine(d))
	}
	if len(rows) == 0 {
		for range 6 {
			rows = append(rows, slices.Repeat([]string{"\n\n"}, 7))
		}
	}
	s.Table([]paper.Column{{Title: "Vaccine", Share: 2.2}, {Title: "Manufacturer, lot, expires", Share: 1.9}, {Title: "Amount, route, site", Share: 1.5}, {Title: "Eligibility, funding", Share: 1.7}, {Title: "VIS: edition, given", Share: 2}, {Title: "Given by: name, title", Share: 1.5}, {Title: "Ordered by", Share: 1.1}}, rows)
	if len(refused) > 0 {
		s.Heading("Refused", 6)
		for _, d := range refused {
			s.Paragraph(fmt.Sprintf("• %s: %s. %s", r.Codes.Name(d.CVX), immunization.Text(immunization.Refusals(), d.Refusal), d.Note))
		}
	}
	r.warnings(s)
	s.Heading("Next", 8)
	var next []string
	for _, d := range r.View.Due {
		if d.Urgency == immunization.Overdue || d.Urgency == immunization.DueNow && !d.Shared {
			next = append(next, d.Group+" (due now)")
		} else if d.Urgency == immunization.Upcoming && !d.Risk && d.Recommended != forecast.None && d.Recommended <= on+2*365 {
			next = append(next, d.Group+" "+Day(d.Recommended))
		}
	}
	s.Paragraph(strings.Join(next, "; "))
	if r.Site != nil {
		s.Heading("Practice", 10)
		s.Fields(paper.Field{Label: "Name and address (42 U.S.C. 300aa-25)", Value: siteWords(r.Site)})
	}
	s.Sign("Who gave the vaccines: signature", "Title", "Date")
	s.Sign("Patient, parent or guardian: signature (statements received, questions answered)", "Date")
	return s.PDF()
}

func (r *Record) who(s *paper.Sheet, on coldkeep.Date) {
	street, city, zip := addressOf(&r.Person)
	name, _, reached := guardian(&r.Person)
	tel := contacts(r.Person.Contacts, patientPhones...)
	if tel == "" {
		tel = contacts(reached, patientPhones...)
	}
	age := ""
	if on.Known() && r.Person.Birth.Known() && on >= r.Person.Birth {
		age = forecast.AgeWords(r.Person.Birth, on)
	}
	s.Fields(paper.Field{Label: "Patient: last, first middle", Value: Name(r.Person.Name()), Share: 3.4}, paper.Field{Label: "Birth date", Value: Day(r.Person.Birth), Share: 1.3}, paper.Field{Label: "Age", Value: age, Share: 1.6}, paper.Field{Label: "Sex", Value: SexWord(r.Person.Sex), Share: 1})
	s.Fields(paper.Field{Label: "Address", Value: strings.Trim(street+", "+city+" "+zip, ", "), Share: 3.4}, paper.Field{Label: "Telephone", Value: tel, Share: 1.6}, paper.Field{Label: "Parent or guardian", Value: name, Share: 2.3})
}

func (r *Record) visitLine(d *immunization.Dose) []string {
	maker := d.MVX
	if m, ok := r.Codes.MVX(d.MVX); ok {
		maker = m.Name
	}
	amount := d.Amount
	if amount != "" {
		amount += " mL"
	}
	var vis []string
	for _, v := range d.VIS {
		name := v.Document
		if st, ok := r.Codes.Statement(v.Document); ok {
			name = strings.TrimSuffix(st.Name, " VIS")
		}
		vis = append(vis, name+" "+Day(v.Edition)+", given "+Day(v.Given))
	}
	if len(vis) == 0 {
		vis = []string{"not recorded"}
	}
	join := func(parts ...string) string {
		return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
	}
	expires := ""
	if d.Expires.Known() {
		expires = "exp. " + Day(d.Expires)
	}
	return []string{r.Codes.Name(d.CVX) + " (CVX " + d.CVX + ")", join(maker, "lot "+d.Lot, expires), join(amount, immunization.Text(immunization.Routes(), d.Route), immunization.Text(immunization.BodySites(), d.BodySite)),
		join(immunization.Text(immunization.Eligibility(), d.Eligibility), immunization.Text(immunization.Fundings(), d.Funding)), strings.Join(vis, "\n"), d.GivenBy, d.OrderedBy}
}

// warnings are what speaks against vaccines.
func (r *Record) warnings(s *paper.Sheet) {
	var lines []string
	for _, f := range r.View.Facts {
		if f.Ended == nil && (f.Kind == immunization.Contraindication || f.Kind == immunization.Precaution) {
			lines = append(lines, f.Title)
		}
	}
	s.Heading("Contraindications and precautions on record", 6)
	if len(lines) == 0 {
		lines = []string{"None."}
	}
	for _, l := range lines {
		s.Paragraph("• " + l)
	}
}
