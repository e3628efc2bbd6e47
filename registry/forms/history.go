package forms

import (
	"context"
	"fmt"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// HistoryPage is what the official immunization history says.
type HistoryPage struct {
	*Record
	Groups            []HistoryGroup
	Count             int // of doses; one of a combination counts once
	Immunity          []string
	Contraindications []string
	Exemptions        []string
	Refusals          []string
	Due               []HistoryDue
}

// HistoryGroup is the doses of a vaccine group.
type HistoryGroup struct {
	Name  string
	Doses []HistoryDose
}

// HistoryDose is a line of the history.
type HistoryDose struct {
	Number                                               string // in the group, of those that count; "–" of one that does not
	On, Age, Vaccine, Maker, Lot, Place, Provider, Valid string
}

// HistoryDue is the forecast of a vaccine group.
type HistoryDue struct{ Group, Status, Earliest, Recommended, PastDue string }

// HistoryReport makes the official immunization history. EFORBIDDEN when the record does not
// open to by, ENOTFOUND. The print is in the trail, and the registry keeps by what it is
// verified.
func (s *Service) HistoryReport(ctx context.Context, by auth.Principal, id string) (*HistoryPage, error) {
	r, err := s.open(ctx, by, id, History, "", nil)
	if err != nil {
		return nil, err
	}
	return history(r), nil
}

// HistoryPDF is HistoryReport as a PDF. Errors as HistoryReport.
func (s *Service) HistoryPDF(ctx context.Context, by auth.Principal, id string) ([]byte, error) {
	p, err := s.HistoryReport(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return s.sealed(ctx, p.Record, p.draw)
}

func history(r *Record) *HistoryPage {
	p := &HistoryPage{Record: r, Count: len(printed(r))}
	for _, g := range r.View.Groups {
		out := HistoryGroup{Name: g.Name}
		for i := range g.Doses {
			out.Doses = append(out.Doses, p.line(&g.Doses[i]))
		}
		p.Groups = append(p.Groups, out)
	}
	for _, f := range r.View.Facts {
		if f.Ended != nil {
			continue
		}
		line := f.Title
		if f.From.Known() {
			line += ", since " + Day(f.From)
		}
		if f.Until.Known() {
			line += ", until " + Day(f.Until)
		}
		if f.Kind == immunization.Immunity {
			p.Immunity = append(p.Immunity, line+": "+f.Basis)
		} else if f.Kind != immunization.Condition {
			p.Contraindications = append(p.Contraindications, strings.ToUpper(string(f.Kind[:1]))+string(f.Kind[1:])+": "+line)
		}
	}
	for _, e := range r.View.Exemptions {
		if e.Ended == nil && (!e.Until.Known() || r.Today() <= e.Until) {
			p.Exemptions = append(p.Exemptions, ExemptionLine(e.Kind, e.Groups, e.From, e.Until)+" ("+e.Source+")")
		}
	}
	for _, d := range r.View.Doses {
		if d.Kind == immunization.Refused && d.Deleted == nil {
			p.Refusals = append(p.Refusals, fmt.Sprintf("%s on %s: %s", r.Codes.Name(d.CVX), Day(d.Date), immunization.Text(immunization.Refusals(), d.Refusal)))
		}
	}
	for i := range r.View.Due {
		p.due(&r.View.Due[i])
	}
	return p
}

func (p *HistoryPage) line(e *immunization.Evaluated) HistoryDose {
	d := &e.Dose
	out := HistoryDose{Number: "–", On: GivenOn(d), Age: forecast.AgeWords(p.Person.Birth, d.Date), Vaccine: p.Codes.Name(d.CVX) + " (CVX " + d.CVX + ")", Lot: d.Lot, Valid: "not judged"}
	if d.DayUnknown {
		out.Age = "about " + out.Age
	}
	for _, product := range p.Codes.Products(d.CVX) {
		if d.MVX != "" && product.MVX == d.MVX {
			out.Vaccine = product.Name + ": " + out.Vaccine
			break
		}
	}
	if m, ok := p.Codes.MVX(d.MVX); ok {
		out.Maker = m.Name
	}
	out.Place = strings.TrimSpace(immunization.Text(immunization.BodySites(), d.BodySite) + " " + immunization.Text(immunization.Routes(), d.Route))
	switch {
	case d.Kind == immunization.Administered:
		site := p.Sites[d.Site]
		out.Provider = strings.TrimPrefix(d.GivenBy+", "+site.Name, ", ")
	case d.Elsewhere != "":
		out.Provider = "historical: " + d.Elsewhere
	default:
		out.Provider = "historical"
	}
	switch {
	case d.NonViable != "":
		out.Valid = "not valid: spoilt"
	case e.Status == forecast.Valid:
		out.Valid, out.Number = "valid", fmt.Sprint(e.Verdict.Number)
	case e.Status == forecast.Extraneous:
		out.Valid = "extra"
	case e.Status != forecast.Unevaluated:
		out.Valid = "not valid: " + e.Reason.String()
	}
	return out
}

func (p *HistoryPage) due(d *immunization.Due) {
	if d.Urgency == immunization.NotDue && d.Status != forecast.Complete && d.Status != forecast.Immune && d.Status != forecast.Contraindicated || d.Risk && d.Urgency == immunization.NotDue {
		return
	}
	words := map[immunization.Urgency]string{immunization.Overdue: "overdue", immunization.DueNow: "due now", immunization.MayGive: "may be given", immunization.Upcoming: "to come"}
	h := HistoryDue{Group: d.Group, Status: words[d.Urgency], Earliest: Day(known(d.Earliest)), Recommended: Day(known(d.Recommended)), PastDue: Day(known(d.PastDue))}
	if h.Status == "" {
		h.Status, h.Earliest, h.Recommended, h.PastDue = strings.ToLower(d.Status.String()), "", "", ""
	}
	if d.Exempt != nil {
		h.Status += ", exempt"
	}
	if d.Shared {
		h.Status += ", shared decision"
	}
	p.Due = append(p.Due, h)
}

// known is a date of the forecast, or the zero Date for its none.
func known(d coldkeep.Date) coldkeep.Date {
	if d == forecast.None {
		return 0
	}
	return d
}

// Name is the person's name as forms write it.
func (r *Record) Name() string { return Name(r.Person.Name()) }

// Day is a date as forms write it.
func (r *Record) Day(d coldkeep.Date) string { return Day(d) }

// Sex is the sex in words; "" when it is not known.
func (r *Record) Sex() string { return SexWord(r.Person.Sex) }

// Guardian is who answers for the person, in words.
func (r *Record) Guardian() string {
	name, relation, _ := guardian(&r.Person)
	if name != "" && relation != "" {
		name += " (" + strings.ToLower(relation) + ")"
	}
	return name
}

// PrivacyLine stands on every official history.
const PrivacyLine = "Confidential: this is a person's health record (77 Ill. Adm. Code 689; 45 CFR 160, 164). It is for the person, the guardian and those who need it for care, school or child care. It carries no social security number."

// Privacy is PrivacyLine.
func (p *HistoryPage) Privacy() string { return PrivacyLine }

// NoteOfEnd is what the history says of itself at its end.
func (p *HistoryPage) NoteOfEnd() string {
	return fmt.Sprintf("Doses on this report: %d. Validity and forecast are by the immunization schedule %s on %s; they are no order. A dose of a combination vaccine is listed under each of its groups and counted once.", p.Count, p.View.Schedule, Day(p.Today()))
}

func (p *HistoryPage) draw() ([]byte, int, error) {
	s := p.sheet(History.Title())
	s.Title(p.Registry + ": official immunization history")
	s.Small("Official record. Printed " + p.At.Format("01/02/2006 3:04 PM MST") + ".")
	s.Gap(1)
	s.Fields(paper.Field{Label: "Name: last, first middle", Value: Name(p.Person.Name()), Share: 4}, paper.Field{Label: "Birth date", Value: Day(p.Person.Birth), Share: 1.4}, paper.Field{Label: "Sex", Value: SexWord(p.Person.Sex), Share: 1.1})
	s.Fields(paper.Field{Label: "Registry id", Value: p.Person.ID, Share: 3}, paper.Field{Label: "Parent or guardian", Value: p.Guardian(), Share: 3}, paper.Field{Label: "Age on the day of print", Value: forecast.AgeWords(p.Person.Birth, p.Today()), Share: 2})
	if p.Site != nil {
		s.Fields(paper.Field{Label: "Printed at", Value: siteWords(p.Site)})
	}
	if len(p.Groups) == 0 {
		s.Heading("Immunizations", 8)
		s.Paragraph("No dose is recorded.")
	}
	for _, g := range p.Groups {
		s.Heading(g.Name, 14)
		var rows [][]string
		for _, d := range g.Doses {
			maker := strings.TrimSuffix(d.Maker+", lot "+d.Lot, ", lot ")
			rows = append(rows, []string{d.Number, d.On, d.Age, d.Vaccine, strings.TrimPrefix(maker, ", "), d.Place, d.Provider, d.Valid})
		}
		s.Table([]paper.Column{{Title: "Dose", Share: 0.6}, {Title: "Given", Share: 1.15}, {Title: "Age", Share: 1.3}, {Title: "Vaccine", Share: 2.4}, {Title: "Manufacturer, lot", Share: 1.7}, {Title: "Site, route", Share: 1.2}, {Title: "Provider", Share: 1.7}, {Title: "Validity", Share: 1.35}}, rows)
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Evidence of immunity", p.Immunity}, {"Contraindications and precautions", p.Contraindications}, {"Exemptions", p.Exemptions}, {"Refusals", p.Refusals}} {
		if len(part.lines) == 0 && part.title == "Refusals" {
			continue
		}
		s.Heading(part.title, 5)
		if len(part.lines) == 0 {
			s.Paragraph("None recorded.")
		}
		for _, l := range part.lines {
			s.Paragraph("• " + l)
		}
	}
	s.Heading("Forecast", 16)
	var rows [][]string
	for _, d := range p.Due {
		rows = append(rows, []string{d.Group, d.Status, d.Earliest, d.Recommended, d.PastDue})
	}
	s.Table([]paper.Column{{Title: "Vaccine group", Share: 2}, {Title: "Status", Share: 2}, {Title: "Earliest", Share: 1}, {Title: "Recommended", Share: 1}, {Title: "Overdue after", Share: 1}}, rows)
	s.Gap(2)
	s.Small(p.NoteOfEnd())
	s.Small(PrivacyLine)
	s.Sign("For a school: signature of health care provider or health official", "Title", "Date")
	return s.PDF()
}
