package forms

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/schoolrule"
)

// CertificatePDF is Certificate as a PDF. Errors as Certificate.
func (s *Service) CertificatePDF(ctx context.Context, by auth.Principal, id, grade string) ([]byte, error) {
	p, err := s.Certificate(ctx, by, id, grade)
	if err != nil {
		return nil, err
	}
	return s.sealed(ctx, p.Record, p.draw)
}

// sealed draws a form that carries a code, and keeps the seal of the file.
func (s *Service) sealed(ctx context.Context, r *Record, draw func() ([]byte, int, error)) ([]byte, error) {
	b, pages, err := draw()
	if err != nil {
		return nil, err
	}
	return b, s.sealFile(ctx, r, b, pages)
}

// foot is the line below every page of an official print.
func (r *Record) foot() string {
	out := fmt.Sprintf("Printed %s from %s by %s.", r.At.Format("01/02/2006 3:04 PM MST"), r.Registry, r.By)
	if r.Site != nil {
		out = fmt.Sprintf("Printed %s from %s at %s by %s.", r.At.Format("01/02/2006 3:04 PM MST"), r.Registry, r.Site.Name, r.By)
	}
	if r.Code != "" {
		out += " To verify: page \"Verify a print\" of the registry, code " + r.Code + "."
	}
	return out
}

// sheet begins a print of the record.
func (r *Record) sheet(title string) *paper.Sheet {
	about := Name(r.Person.Name()) + ", born " + Day(r.Person.Birth)
	return paper.New(paper.Document{Title: title, At: r.At, Head: title + ": " + about, Foot: r.foot()})
}

// contacts are a person's telephone numbers of some kinds, in use.
func contacts(all []patient.Contact, kinds ...patient.ContactKind) string {
	var out []string
	for _, c := range all {
		for _, k := range kinds {
			if c.Until == nil && c.Kind == k {
				out = append(out, phone(c.Value))
			}
		}
	}
	return strings.Join(out, ", ")
}

func phone(s string) string {
	if len(s) == 10 && strings.Trim(s, "0123456789") == "" {
		return "(" + s[:3] + ") " + s[3:6] + "-" + s[6:]
	}
	return s
}

func addressOf(p *patient.Patient) (street, city, zip string) {
	if a := p.Home(); a != nil {
		return strings.TrimSpace(a.Street + " " + a.Street2), strings.TrimSpace(a.City + " " + a.State), a.ZIP
	}
	return "", "", ""
}

func guardian(p *patient.Patient) (name, relation string, contacts []patient.Contact) {
	for _, g := range p.Guardians {
		if g.Until == nil {
			return strings.TrimSpace(g.Given + " " + g.Family), patient.Title(patient.Relations, g.Relation), g.Contacts
		}
	}
	return "", "", nil
}

func races(p *patient.Patient) string {
	var out []string
	for _, r := range p.Races {
		out = append(out, patient.Title(patient.Races, r))
	}
	if p.Ethnicity != "" {
		out = append(out, patient.Title(patient.Ethnicities, p.Ethnicity))
	}
	return strings.Join(out, ", ")
}

// heading is the form's heading, which stands on its second page as well.
func (p *CertificatePage) heading(s *paper.Sheet) {
	n := p.Person.Name()
	last := n.Family
	if n.Suffix != "" {
		last += " " + n.Suffix
	}
	street, city, zip := addressOf(&p.Person)
	who, _, reached := guardian(&p.Person)
	home := contacts(p.Person.Contacts, patient.Phone, patient.Cell)
	if home == "" {
		home = contacts(reached, patient.Phone, patient.Cell)
	}
	s.Fields(paper.Field{Label: "Student: last name", Value: last, Share: 3}, paper.Field{Label: "First", Value: n.Given, Share: 3}, paper.Field{Label: "Middle", Value: n.Middle, Share: 2},
		paper.Field{Label: "Birth date (MO/DA/YR)", Value: Day(p.Person.Birth), Share: 1.8}, paper.Field{Label: "Sex", Value: SexWord(p.Person.Sex), Share: 1.2})
	s.Fields(paper.Field{Label: "Race / ethnicity", Value: races(&p.Person), Share: 3}, paper.Field{Label: "School", Share: 3}, paper.Field{Label: "Grade level", Value: p.GradeTitle, Share: 1.6}, paper.Field{Label: "ID number", Share: 1.4})
	s.Fields(paper.Field{Label: "Address: street", Value: street, Share: 3}, paper.Field{Label: "City", Value: city, Share: 2}, paper.Field{Label: "ZIP", Value: zip, Share: 1}, paper.Field{Label: "Parent or guardian", Value: who, Share: 2.2},
		paper.Field{Label: "Telephone: home", Value: home, Share: 1.7}, paper.Field{Label: "Work", Value: contacts(reached, patient.Work), Share: 1.3})
}

// headingAgain is what of the heading stands on the second page.
func (p *CertificatePage) headingAgain(s *paper.Sheet) {
	s.Fields(paper.Field{Label: "Student: last, first middle", Value: Name(p.Person.Name()), Share: 4}, paper.Field{Label: "Birth date (MO/DA/YR)", Value: Day(p.Person.Birth), Share: 1.6}, paper.Field{Label: "Sex", Value: SexWord(p.Person.Sex), Share: 1},
		paper.Field{Label: "School", Share: 2}, paper.Field{Label: "Grade level", Value: p.GradeTitle, Share: 1.3}, paper.Field{Label: "ID number", Share: 1.1})
}

func (p *CertificatePage) draw() ([]byte, int, error) { return p.drawOn(p.sheet(Certificate.Title())) }

func (p *CertificatePage) drawOn(s *paper.Sheet) ([]byte, int, error) {
	s.Title("State of Illinois: Certificate of Child Health Examination")
	p.heading(s)
	s.Gap(1)
	s.Small("IMMUNIZATIONS: to be completed by a health care provider. A dose of which the day is not known has month and year. A medical contraindication needs a separate signed statement, attached.")
	s.Gap(0.8)
	sheets := p.Sheets()
	grid(s, sheets[0])
	if len(sheets) > 1 {
		s.Strong("More doses than this grid has room for are on the continuation sheet.")
	}
	p.below(s)
	for i, sheet := range sheets[1:] {
		s.NewPage()
		s.Title(fmt.Sprintf("Continuation sheet %d: immunizations", i+1))
		s.Fields(paper.Field{Label: "Student", Value: Name(p.Person.Name()), Share: 3}, paper.Field{Label: "Birth date (MO/DA/YR)", Value: Day(p.Person.Birth)})
		s.Gap(2)
		grid(s, sheet)
		s.Sign("Health care provider, school health professional or health official: signature", "Title", "Date")
	}
	if p.Exam {
		p.exam(s)
	}
	return s.PDF()
}

func grid(s *paper.Sheet, sheet CertificateSheet) {
	var columns []string
	for i := range Columns {
		columns = append(columns, strconv.Itoa(sheet.From+i))
	}
	var rows []paper.GridRow
	for _, r := range sheet.Rows {
		row := paper.GridRow{Label: r.Label, Note: r.Note, Band: r.Band, Ticked: len(r.Ticks) > 0}
		for i := range Columns {
			if i < len(r.Doses) {
				row.Cells = append(row.Cells, r.Doses[i].cell(r.Ticks))
			} else if len(r.Ticks) > 0 {
				row.Cells = append(row.Cells, paper.Cell{Top: ticks(r.Ticks, "")})
			}
		}
		rows = append(rows, row)
	}
	s.Grid("Vaccine / dose", columns, rows)
}

func ticks(all []string, on string) string {
	var out []string
	for _, t := range all {
		out = append(out, paper.Tick(t == on, t))
	}
	return strings.Join(out, " ")
}

// Parts are month, day and year as they stand in the grid; the day is a dash when it is not
// known.
func (d CertificateDose) Parts() [3]string {
	y, m, day := d.Date.Civil()
	out := [3]string{fmt.Sprintf("%02d", m), fmt.Sprintf("%02d", day), strconv.Itoa(y)}
	if d.DayUnknown {
		out[1] = "–"
	}
	if d.Mark {
		out[2] += "*"
	}
	return out
}

func (d CertificateDose) cell(all []string) paper.Cell {
	c := paper.Cell{Parts: d.Parts(), Bottom: d.Name}
	if len(all) > 0 {
		c.Top = ticks(all, d.Tick)
	}
	return c
}

// below is what stands under the grid on the first page.
func (p *CertificatePage) below(s *paper.Sheet) {
	s.FieldsOf(9, paper.Field{Label: "Comments", Value: strings.Join(p.Comments, "\n")})
	s.Small("Signed by the provider (MD, DO, APN, PA), school health professional or health official who verifies the above; who adds dates puts initials by them and signs the second line.")
	s.Sign("Signature", "Title", "Date")
	s.Sign("Signature", "Title", "Date")
	s.Heading("Alternative proof of immunity", 16)
	s.Fields(paper.Field{Label: "1. Clinical diagnosis (measles, mumps, hepatitis B), verified by a physician and supported by a laboratory's result (attach a copy). All measles diagnosed on or after 7/1/2002 and mumps on or after 7/1/2013 need laboratory evidence.", Value: EvidenceLine(p.Disease)})
	s.Fields(paper.Field{Label: "2. History of varicella disease, verified by a health care provider, school health professional or health official: the description by the parent points to past infection. Date of disease, signature, title.", Value: EvidenceLine(p.Chickenpox)})
	s.Fields(paper.Field{Label: "3. Laboratory evidence of immunity (attach a copy of the result)", Value: EvidenceLine(p.Laboratory)})
	var lines []string
	for _, e := range p.Exemptions {
		lines = append(lines, ExemptionLine(e.Kind, e.Groups, e.From, e.Until))
	}
	s.Fields(paper.Field{Label: "Exemptions on record", Value: strings.Join(lines, "\n")})
	p.status(s)
}

// EvidenceLine lists evidence with its dates.
func EvidenceLine(all []Evidence) string {
	var out []string
	for _, e := range all {
		if e.On.Known() {
			out = append(out, e.What+" "+Day(e.On))
		} else {
			out = append(out, e.What+", date not recorded")
		}
	}
	return strings.Join(out, "; ")
}

// ExemptionLine is an exemption in a line.
func ExemptionLine[K ~string](kind K, groups []string, from, until coldkeep.Date) string {
	of := "all vaccines"
	if len(groups) > 0 {
		of = strings.Join(groups, ", ")
	}
	out := strings.ToUpper(string(kind[:1])) + string(kind[1:]) + ": " + of + ", from " + Day(from)
	if until.Known() {
		out += " until " + Day(until)
	}
	return out
}

// status is how the child stands with the school rule.
func (p *CertificatePage) status(s *paper.Sheet) {
	if p.Status == nil {
		return
	}
	j := p.Status
	var rows [][]string
	for _, f := range j.Findings {
		missing := MissingWords(f)
		switch n := len(rows); {
		case f.Status == schoolrule.Protected:
		case n > 0 && rows[n-1][1] == string(f.Status) && rows[n-1][2] == missing: // the parts of MMR
			rows[n-1][0] += ", " + strings.ToLower(f.Title)
		default:
			rows = append(rows, []string{f.Title, string(f.Status), missing})
		}
	}
	const line = 3.8
	s.Heading(fmt.Sprintf("Status by %s, %s, on %s: %s", j.Rule, p.GradeTitle, Day(j.On), strings.ToUpper(string(j.Status))), line*float64(len(rows)+2))
	if len(rows) > 0 {
		s.Dense([]paper.Column{{Title: "Requirement", Share: 2}, {Title: "Status", Share: 1.4}, {Title: "Missing", Share: 5}}, rows)
	}
	if j.Exclusion != "" {
		s.Small(j.Exclusion)
	}
}

// MissingWords is what a finding says is missing, in a sentence.
func MissingWords(f schoolrule.Finding) string {
	out := strings.Join(f.Missing, ", ")
	if out == "" {
		return ""
	}
	out = strings.ToUpper(out[:1]) + out[1:]
	switch {
	case f.Deadline.Known():
		out += "; by " + Day(f.Deadline)
	case f.Next.Known() && f.Status == schoolrule.InProcess:
		out += "; the next counts from " + Day(f.Next)
	}
	return out + "."
}

// Line is EvidenceLine, for the printed page.
func (p *CertificatePage) Line(all []Evidence) string { return EvidenceLine(all) }

// ExemptionLines are the exemptions in force, a line each.
func (p *CertificatePage) ExemptionLines() (out []string) {
	for _, e := range p.Exemptions {
		out = append(out, ExemptionLine(e.Kind, e.Groups, e.From, e.Until))
	}
	return out
}

// On is the day of the dose as forms write it.
func (d CertificateDose) On() string { return GivenOn(d.Dose) }
