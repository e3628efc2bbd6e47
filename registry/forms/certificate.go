package forms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/schoolrule"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Columns is how many doses of a row the certificate has room for. Further ones are on a
// continuation sheet of the same rows.
const Columns = 6

// CertificateRow is a row of the certificate with all its doses.
type CertificateRow struct {
	ID    string // such as "polio"
	Label string
	Note  string
	Band  string   // a line above the row
	Ticks []string // the types of which each dose has one
	Doses []CertificateDose
}

// CertificateDose is one dose in a row.
type CertificateDose struct {
	*immunization.Dose
	Tick string // the type; "" not known
	Name string // in the row of other vaccines
	Mark bool   // the schedule does not count it
}

// CertificatePage is what a certificate says.
type CertificatePage struct {
	*Record
	Rows       []CertificateRow
	Comments   []string
	Disease    []Evidence // clinical diagnosis, but of
	Chickenpox []Evidence // varicella, which has a line of its own
	Laboratory []Evidence
	Exemptions []immunization.Exemption // in force
	Status     *schoolrule.Judgement    // absent without a grade
	GradeTitle string
	Exam       bool // with the page of history and examination
}

// Evidence is proof of immunity in a line.
type Evidence struct {
	What string
	On   coldkeep.Date
}

// rowOf says in which rows of the certificate a vaccine stands: a combination fills several.
// The kinds are those of the school rule.
type rowOf struct {
	id, label, note, band string
	kinds                 []string    // of the rule
	groups                []string    // of the code sets, where the rule does not ask for the vaccine
	ticks                 [][2]string // kind and the word of its tick
}

// certificateRows are the rows in the form's order.
var certificateRows = []rowOf{
	{id: "dtap", label: "DTP or DTaP", band: "Required", kinds: []string{"DTP/DTaP"}},
	{id: "tdap", label: "Tdap; Td or pediatric DT", note: "check the specific type", kinds: []string{"Tdap", "DT/Td"}, ticks: [][2]string{{"Tdap", "Tdap"}, {"Td", "Td"}, {"DT", "DT"}}},
	{id: "polio", label: "Polio", note: "check the specific type", kinds: []string{"IPV", "OPV", "polio of unknown type"}, ticks: [][2]string{{"IPV", "IPV"}, {"OPV", "OPV"}}},
	{id: "hib", label: "Hib", note: "Haemophilus influenzae type b", kinds: []string{"Hib"}},
	{id: "pcv", label: "Pneumococcal conjugate", kinds: []string{"pneumococcal conjugate"}},
	{id: "hepb", label: "Hepatitis B", kinds: []string{"hepatitis B"}},
	{id: "mmr", label: "MMR", note: "measles, mumps, rubella", kinds: []string{"measles", "mumps", "rubella"}},
	{id: "varicella", label: "Varicella (chickenpox)", kinds: []string{"varicella"}},
	{id: "menacwy", label: "Meningococcal conjugate (MCV4)", kinds: []string{"meningococcal ACWY"}},
	{id: "hepa", label: "Hepatitis A", band: "Recommended, not required", groups: []string{"HepA"}},
	{id: "hpv", label: "HPV", groups: []string{"HPV"}},
	{id: "flu", label: "Influenza", groups: []string{"FLU", "H1N1 flu"}},
}

// scheduleGroup is the schedule's vaccine group by which a row's doses are judged.
var scheduleGroup = map[string]string{"dtap": "DTaP/Tdap/Td", "tdap": "DTaP/Tdap/Td", "polio": "Polio", "hib": "Hib", "pcv": "Pneumococcal", "hepb": "HepB", "mmr": "MMR", "varicella": "Varicella",
	"menacwy": "Meningococcal", "hepa": "HepA", "hpv": "HPV", "flu": "Influenza"}

// dtCVX are the pediatric forms without pertussis among what the rule calls DT/Td.
var dtCVX = []string{"28", "195"}

// tick is the type of a dose in a row with ticks.
func tick(rule *schoolrule.Rule, row, cvx string) string {
	is := func(kind string) bool { return slices.Contains(rule.Vaccines[kind], cvx) }
	switch {
	case row == "tdap" && is("Tdap"):
		return "Tdap"
	case row == "tdap" && slices.Contains(dtCVX, cvx):
		return "DT"
	case row == "tdap":
		return "Td"
	case row == "polio" && is("IPV"):
		return "IPV"
	case row == "polio" && is("OPV"):
		return "OPV"
	}
	return ""
}

// Certificate makes what the certificate says. grade may be ""; then it says nothing of the
// school rule. EFORBIDDEN when the record does not open to by, ENOTFOUND, EINVALID for an
// unknown grade. The print is in the trail, and the registry keeps by what it is verified.
func (s *Service) Certificate(ctx context.Context, by auth.Principal, id, grade string) (*CertificatePage, error) {
	detail := ""
	if grade != "" {
		detail = ", grade " + grade
	}
	r, err := s.open(ctx, by, id, Certificate, detail, func(_ Tx, r *Record) error {
		if grade == "" {
			return nil
		}
		_, err := Judge(r.View, grade)
		return err
	})
	if err != nil {
		return nil, err
	}
	return certificate(r, grade)
}

func certificate(r *Record, grade string) (*CertificatePage, error) {
	rule, err := schoolrule.Of(schoolrule.School, r.Today())
	if err != nil {
		return nil, err
	}
	p := &CertificatePage{Record: r, Exam: true}
	for _, of := range certificateRows {
		row := CertificateRow{ID: of.id, Label: of.label, Note: of.note, Band: of.band}
		for _, t := range of.ticks {
			row.Ticks = append(row.Ticks, t[1])
		}
		for _, d := range printed(r) {
			v, _ := r.Codes.CVX(d.CVX)
			if of.takes(rule, d.CVX, v.Groups) {
				row.Doses = append(row.Doses, CertificateDose{Dose: d, Tick: tick(rule, of.id, d.CVX), Mark: p.marked(of.id, d)})
			}
		}
		p.partial(&row, rule)
		p.Rows = append(p.Rows, row)
	}
	p.Rows = append(p.Rows, p.others(rule)...)
	for i := range r.View.Facts {
		if f := &r.View.Facts[i]; f.Kind == immunization.Immunity && f.Ended == nil {
			e := Evidence{What: evidenceOf(f), On: f.From}
			switch {
			case rests(f) && (f.Code == "023" || f.Code == "024" || f.Code == "025"):
				p.Chickenpox = append(p.Chickenpox, e)
			case rests(f):
				p.Disease = append(p.Disease, e)
			default:
				p.Laboratory = append(p.Laboratory, e)
			}
		}
	}
	for _, e := range r.View.Exemptions {
		if e.Ended == nil && e.From <= r.Today() && (!e.Until.Known() || r.Today() <= e.Until) {
			p.Exemptions = append(p.Exemptions, e)
		}
	}
	if grade != "" {
		j, err := Judge(r.View, grade)
		if err != nil {
			return nil, err
		}
		p.Status, p.GradeTitle = &j, schoolrule.TitleOf(grade, r.Today())
	}
	return p, nil
}

func (of *rowOf) takes(rule *schoolrule.Rule, cvx string, groups []string) bool {
	return slices.ContainsFunc(of.kinds, func(k string) bool { return slices.Contains(rule.Vaccines[k], cvx) }) ||
		slices.ContainsFunc(of.groups, func(g string) bool { return slices.Contains(groups, g) })
}

// others are the rows of vaccines that have none of their own, one for each vaccine group;
// an empty one when there are none.
func (p *CertificatePage) others(rule *schoolrule.Rule) []CertificateRow {
	var rows []CertificateRow
	for _, d := range printed(p.Record) {
		v, _ := p.Codes.CVX(d.CVX)
		if slices.ContainsFunc(certificateRows, func(of rowOf) bool { return of.takes(rule, d.CVX, v.Groups) }) {
			continue
		}
		group := p.Codes.Name(d.CVX)
		if of := p.doses.GroupsOf(d.CVX); len(of) > 0 {
			group = of[0]
		}
		i := slices.IndexFunc(rows, func(r CertificateRow) bool { return r.Label == "Other: "+group })
		if i < 0 {
			rows = append(rows, CertificateRow{ID: "other", Label: "Other: " + group})
			i = len(rows) - 1
		}
		rows[i].Doses = append(rows[i].Doses, CertificateDose{Dose: d, Name: p.Codes.Name(d.CVX)})
	}
	if len(rows) == 0 {
		rows = append(rows, CertificateRow{ID: "other", Label: "Other", Note: "specify immunization and dates"})
	}
	return rows
}

// marked reports whether the schedule does not count a dose in a row's group, and says why
// among the comments.
func (p *CertificatePage) marked(row string, d *immunization.Dose) bool {
	for _, g := range p.View.Groups {
		if g.Name != scheduleGroup[row] {
			continue
		}
		for _, e := range g.Doses {
			if e.ID != d.ID || e.Status != forecast.NotValid && e.Status != forecast.SubStandard {
				continue
			}
			why := e.Reason.String()
			if d.NonViable != "" {
				why = "it was spoilt"
			}
			p.comment(fmt.Sprintf("* %s, %s: not valid by the recommended schedule (%s).", GivenOn(d), p.Codes.Name(d.CVX), why))
			return true
		}
	}
	return false
}

// partial says which doses of the MMR row are of a part of it.
func (p *CertificatePage) partial(row *CertificateRow, rule *schoolrule.Rule) {
	for _, d := range row.Doses {
		if row.ID != "mmr" {
			return
		}
		all := true
		for _, kind := range []string{"measles", "mumps", "rubella"} {
			all = all && slices.Contains(rule.Vaccines[kind], d.CVX)
		}
		if !all {
			p.comment(fmt.Sprintf("MMR row, %s: %s alone.", GivenOn(d.Dose), p.Codes.Name(d.CVX)))
		}
	}
}

func (p *CertificatePage) comment(c string) {
	if !slices.Contains(p.Comments, c) {
		p.Comments = append(p.Comments, c)
	}
}

// evidenceOf names the disease of a piece of evidence: the schedule's words without what the
// form says anyway.
func evidenceOf(f *immunization.Fact) string {
	t := f.Title
	for _, cut := range []string{"Laboratory Evidence of Immunity or confirmation of ", "Laboratory Evidence of Immunity for ", "Healthcare provider verified history of or diagnosis of ", "Healthcare provider verified history or diagnosis of "} {
		t = strings.TrimPrefix(t, cut)
	}
	t = strings.TrimSuffix(t, " disease")
	return t
}

// CertificateSheet is a sheet of the grid. From is the number of its first column.
type CertificateSheet struct {
	From int
	Rows []CertificateRow
}

// Sheets parts the rows into sheets of Columns columns. The first has every row of the form
// and two of other vaccines; what has no room there is on the sheets after it.
func (p *CertificatePage) Sheets() []CertificateSheet {
	const others = 2
	cut := func(r CertificateRow, from int) CertificateRow {
		r.Doses = r.Doses[min(from, len(r.Doses)):min(from+Columns, len(r.Doses))]
		return r
	}
	first, rest, seen := CertificateSheet{From: 1}, CertificateSheet{From: 1}, 0
	for _, r := range p.Rows {
		if r.ID == "other" {
			seen++
		}
		if seen > others {
			rest.Rows = append(rest.Rows, cut(r, 0))
		} else {
			first.Rows = append(first.Rows, cut(r, 0))
		}
	}
	out := []CertificateSheet{first}
	if len(rest.Rows) > 0 {
		out = append(out, rest)
	}
	for n := Columns; ; n += Columns {
		sheet := CertificateSheet{From: n + 1}
		for _, r := range p.Rows {
			if len(r.Doses) > n {
				r.Band = ""
				sheet.Rows = append(sheet.Rows, cut(r, n))
			}
		}
		if len(sheet.Rows) == 0 {
			return out
		}
		out = append(out, sheet)
	}
}

// Judge says how a child stands with the school rule in a grade, on the day of a view.
// EINVALID for an unknown grade, or a record without a birth date.
func Judge(v *immunization.View, grade string) (schoolrule.Judgement, error) {
	rule, err := schoolrule.For(grade, v.Today)
	if err != nil {
		return schoolrule.Judgement{}, err
	}
	return rule.Judge(childOf(v), grade, v.Today)
}

// childOf is a record as the school rule looks at it. Doses that were spoilt count as
// little as those that were not given.
func childOf(v *immunization.View) schoolrule.Child {
	c := schoolrule.Child{Birth: v.Subject.Birth}
	for i := range v.Doses {
		d := &v.Doses[i]
		if !d.Counts() || d.NonViable != "" {
			continue
		}
		at := schoolrule.Dose{CVX: d.CVX, From: d.Date, To: d.Date}
		if d.DayUnknown {
			at.To = immunization.MonthTo(d.Date)
		}
		c.Doses = append(c.Doses, at)
	}
	for i := range v.Facts {
		if f := &v.Facts[i]; f.Kind == immunization.Immunity && f.Ended == nil {
			c.Evidence = append(c.Evidence, schoolrule.Evidence{Code: f.Code, On: f.From, Disease: rests(f)})
		}
	}
	for _, e := range v.Exemptions {
		if e.Ended == nil && e.From <= v.Today && (!e.Until.Known() || v.Today <= e.Until) {
			c.Exemptions = append(c.Exemptions, schoolrule.Exemption{Kind: schoolrule.Ground(e.Kind), Groups: e.Groups})
		}
	}
	return c
}

// SchoolStatus says how a child stands with the school rule, and in which grade a child of
// that age usually is; grade "" takes that one. It writes the view into the trail.
// EFORBIDDEN when the record does not open to by, ENOTFOUND, EINVALID.
func (s *Service) SchoolStatus(ctx context.Context, by auth.Principal, id, grade string) (schoolrule.Judgement, error) {
	var j schoolrule.Judgement
	err := s.guarded(ctx, by, id, wholeOrSubset(by), "school status", func(tx Tx, g patient.Gate) error {
		v, err := s.doses.ViewIn(ctx, tx, g, by.Site)
		if err != nil {
			return err
		}
		if grade == "" {
			grade = schoolrule.UsualGrade(v.Subject.Birth, v.Today)
		}
		if j, err = Judge(v, grade); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "school.status", g.Head, "grade "+grade))
	})
	return j, err
}

// siteWords is a site's name and address.
func siteWords(e *enrolment.SiteEnrolment) string {
	if e == nil {
		return ""
	}
	if l := SiteLine(e); l != "" {
		return e.Name + ", " + l
	}
	return e.Name
}

// blankCertificate is the form of nobody.
func blankCertificate(registry string, codes *vaccine.Codes, at time.Time) (*CertificatePage, error) {
	v := &immunization.View{Today: coldkeep.DateOf(at)}
	return certificate(&Record{Registry: registry, Form: Certificate, View: v, Codes: codes, At: at}, "")
}
