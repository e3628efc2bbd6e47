package forms

import (
	"context"
	"fmt"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// The forms that people fill in and sign: opting out and in, and a new patient. Each exists
// blank, for the counter, and with what the registry knows.

var patientPhones = []patient.ContactKind{patient.Phone, patient.Cell}

// Blank is a form to be filled in by hand: OptOut (with opt-in on its second half), NewPatient
// or Certificate. Whoever is signed in may have one.
func (s *Service) Blank(by auth.Principal, form Form) ([]byte, error) {
	if err := by.Require(auth.SearchPatients, by.Site); err != nil {
		return nil, err
	}
	at := s.clock.Now().UTC()
	d := paper.Document{Title: form.Title(), At: at, Foot: s.name + ". Form printed " + at.Format("01/02/2006") + "."}
	switch form {
	case NewPatient:
		return pdf(drawNewPatient(paper.New(d), nil))
	case Certificate:
		p, err := blankCertificate(s.name, s.doses.Codes(), at)
		if err != nil {
			return nil, err
		}
		b, _, err := p.drawOn(paper.New(d))
		return b, err
	default:
		d.Title = OptOut.Title()
		sheet := paper.New(d)
		drawOptOut(sheet, nil, s.name, false)
		sheet.NewPage()
		drawOptOut(sheet, nil, s.name, true)
		return pdf(sheet)
	}
}

func pdf(s *paper.Sheet) ([]byte, error) {
	b, _, err := s.PDF()
	return b, err
}

// OptOutPDF is the form by which a person has the record locked, or shared again when it is
// locked (77 Ill. Adm. Code 689.80), with the person's name. EFORBIDDEN when the record does
// not open to by, ENOTFOUND.
func (s *Service) OptOutPDF(ctx context.Context, by auth.Principal, id string) ([]byte, error) {
	r, err := s.open(ctx, by, id, OptOut, "", nil)
	if err != nil {
		return nil, err
	}
	sheet := r.sheet(OptOut.Title())
	drawOptOut(sheet, r, s.name, r.Locked)
	return pdf(sheet)
}

func drawOptOut(s *paper.Sheet, r *Record, registry string, in bool) {
	if in {
		s.Title("Opting in: sharing an immunization record again")
	} else {
		s.Title("Opting out: locking an immunization record")
	}
	s.Small("77 Ill. Adm. Code 689.80. " + registry + ".")
	s.Gap(2)
	var name, born, site, address, guard string
	if r != nil {
		name, born, site = Name(r.Person.Name()), Day(r.Person.Birth), siteWords(r.Site)
		street, city, zip := addressOf(&r.Person)
		address = strings.Trim(street+", "+city+" "+zip, ", ")
		guard, _, _ = guardian(&r.Person)
	}
	s.Fields(paper.Field{Label: "Patient: last, first middle", Value: name, Share: 3}, paper.Field{Label: "Birth date", Value: born})
	s.Fields(paper.Field{Label: "Address", Value: address, Share: 2}, paper.Field{Label: "Parent or guardian, of a minor", Value: guard})
	s.Gap(2)
	if in {
		s.Paragraph("I ask that the immunization record of the person named above be shared again with health care providers, schools and others who may use the registry and need to know. I understand that doses given while the record was locked may be missing from it, and that I may opt out again at any time.")
		s.Gap(2)
		s.Paragraph(paper.Tick(false, "I opt in: please unlock the record."))
	} else {
		s.Paragraph("Immunization records are kept in the state's registry and are shared with health care providers, schools and others who may use it and need to know, without consent being asked. You may have the record locked.")
		s.Gap(1)
		s.Paragraph("When a record is locked, only the state and the practice where this form is signed can open it. Other providers are told that a locked record exists, see nothing of it and add nothing to it. It is left out of their reminders and counts, and no school sees it: proof of immunization has to be shown on paper. In an emergency a provider may look at it with a reason, and the state reviews every such case. Care does not depend on this choice, and it may be changed at any time.")
		s.Gap(2)
		s.Paragraph(paper.Tick(false, "I opt out: please lock the record of the person named above."))
	}
	s.Gap(3)
	s.Sign("Signature of patient, or of parent or guardian of a minor", "Name in print")
	s.Sign("Relation to the patient", "Date")
	s.Heading("For the practice", 26)
	s.Fields(paper.Field{Label: "Practice", Value: site})
	s.Fields(paper.Field{Label: "Entered in the registry by"}, paper.Field{Label: "On"}, paper.Field{Label: "Where this form is kept"})
}

// NewPatientPDF is the form for a person's demographics with what is on record, to be looked
// through at the counter. EFORBIDDEN when the record does not open to by, ENOTFOUND.
func (s *Service) NewPatientPDF(ctx context.Context, by auth.Principal, id string) ([]byte, error) {
	r, err := s.open(ctx, by, id, NewPatient, "", nil)
	if err != nil {
		return nil, err
	}
	return pdf(drawNewPatient(r.sheet("Patient's data"), r))
}

// ticked lists the words of a table, ticked where the code is one of some.
func ticked(table []patient.Code, on ...string) string {
	var out []string
	for _, c := range table {
		is := false
		for _, code := range on {
			is = is || code == c.Code
		}
		out = append(out, paper.Tick(is, c.Title))
	}
	return strings.Join(out, "   ")
}

// drawNewPatient is the least set of 77 Ill. Adm. Code 689.40, with what tells people apart.
func drawNewPatient(s *paper.Sheet, r *Record) *paper.Sheet {
	p := patient.Patient{}
	if r == nil {
		s.Title("New patient")
	} else {
		p = r.Person
		s.Title("Patient's data: please look through and correct")
	}
	n := p.Name()
	street, city, zip := addressOf(&p)
	county := ""
	if a := p.Home(); a != nil {
		county = a.County
	}
	var other []string
	for _, x := range p.Names {
		if x != n && x.Until == nil {
			other = append(other, Name(x))
		}
	}
	s.Fields(paper.Field{Label: "Last name, suffix", Value: strings.TrimSpace(n.Family + " " + n.Suffix)}, paper.Field{Label: "First name", Value: n.Given}, paper.Field{Label: "Middle name", Value: n.Middle})
	s.Fields(paper.Field{Label: "Other names (at birth, maiden, also called)", Value: strings.Join(other, "; "), Share: 2}, paper.Field{Label: "Birth date (MO/DA/YR)", Value: Day(p.Birth)})
	s.Fields(paper.Field{Label: "Sex", Value: ticked(patient.Sexes, string(p.Sex)), Share: 2}, paper.Field{Label: "One of a multiple birth; which in order", Value: multiple(&p), Share: 1.4}, paper.Field{Label: "Born in (state, country)", Value: strings.TrimSpace(p.BirthState + " " + p.BirthNation)})
	s.Fields(paper.Field{Label: "Race (any number)", Value: ticked(patient.Races, p.Races...)})
	s.Fields(paper.Field{Label: "Ethnicity", Value: ticked(patient.Ethnicities, p.Ethnicity), Share: 2}, paper.Field{Label: "Language spoken at home", Value: language(p.Language)})
	s.Fields(paper.Field{Label: "Home address: street", Value: street, Share: 2}, paper.Field{Label: "City, state", Value: city}, paper.Field{Label: "ZIP", Value: zip, Share: 0.6}, paper.Field{Label: "County", Value: county, Share: 0.7})
	s.Fields(paper.Field{Label: "Mailing address, if it is another"})
	s.Fields(paper.Field{Label: "Telephone", Value: contacts(p.Contacts, patientPhones...)}, paper.Field{Label: "E-mail", Value: contacts(p.Contacts, patient.Email)}, paper.Field{Label: "Mother's name before her first marriage", Value: p.Mother})
	guards := 0
	for _, g := range p.Guardians {
		if g.Until == nil && guards < 2 {
			guards++
			s.Fields(paper.Field{Label: "Parent or guardian", Value: strings.TrimSpace(g.Given + " " + g.Middle + " " + g.Family), Share: 2}, paper.Field{Label: "Relation", Value: patient.Title(patient.Relations, g.Relation)}, paper.Field{Label: "Telephone", Value: contacts(g.Contacts, patientPhones...), Share: 1.4})
		}
	}
	for ; guards < 2; guards++ {
		s.Fields(paper.Field{Label: "Parent or guardian", Share: 2}, paper.Field{Label: "Relation"}, paper.Field{Label: "Telephone", Share: 1.4})
	}
	s.Heading("Vaccines for Children (under 19): which is true today", 16)
	s.Paragraph(strings.Join([]string{paper.Tick(false, "Medicaid"), paper.Tick(false, "No health insurance"), paper.Tick(false, "American Indian or Alaska Native"), paper.Tick(false, "Insurance does not cover vaccines"), paper.Tick(false, "None of these")}, "   "))
	s.Heading("Reminders", 12)
	s.Paragraph(ticked(patient.Publicities[:5], p.Publicity))
	s.Heading("Sharing", 20)
	s.Paragraph("Immunization records are kept in the state's registry and shared with providers and schools who need to know. You may have the record locked; ask for the opt-out form (77 Ill. Adm. Code 689.80). Please do not write a social security number on this form: the registry does not keep it.")
	s.Paragraph(paper.Tick(false, "I have been offered the opt-out form.") + "   " + paper.Tick(false, "I bring records of earlier vaccines."))
	s.Sign("Signature of patient, parent or guardian", "Relation", "Date")
	return s
}

func multiple(p *patient.Patient) string {
	yes, no := p.Multiple != nil && *p.Multiple, p.Multiple != nil && !*p.Multiple
	out := paper.Tick(yes, "Yes") + "  " + paper.Tick(no, "No")
	if p.BirthOrder > 0 {
		out += fmt.Sprintf("  number %d", p.BirthOrder)
	}
	return out
}

func language(code string) string {
	if code == "" {
		return ""
	}
	return patient.Title(patient.Languages, code)
}
