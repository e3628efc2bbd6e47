package hl7

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// writer writes a person's record into a response.
type writer struct {
	m   *Messages
	b   *er7.Builder
	old bool // version 2.3.1
}

func hl7date(d coldkeep.Date) string { return strings.ReplaceAll(d.String(), "-", "") }

// face writes a person to choose from: who it is, and the number by which to ask again. It
// holds nothing by which a family could be reached.
func (w *writer) face(seq int, f *patient.Face) {
	w.b.Segment("PID").Set(1, strconv.Itoa(seq)).Set(3, f.ID, "", "", w.m.us.Authority, "SR").Set(5, name(&f.Name)...).Set(7, hl7date(f.Birth)).Set(8, sex(f.Sex, w.old))
}

func name(n *patient.Name) []string {
	kind := string(n.Kind)
	if kind == "" {
		kind = "L"
	}
	return []string{n.Family, n.Given, n.Middle, n.Suffix, "", "", kind}
}

func sex(s patient.Sex, old bool) string {
	switch {
	case s == "":
		return "U"
	case s == patient.OtherSex && old:
		return "O"
	}
	return string(s)
}

// pid writes PID. site is the asker's, whose record numbers are told; those of other
// practices are not.
func (w *writer) pid(p *patient.Patient, site coldkeep.SiteID, facility string) {
	l := w.b.Segment("PID").Set(1, "1").Add(3, p.ID, "", "", w.m.us.Authority, "SR")
	for _, d := range p.Identifiers {
		switch own := d.Assigner == string(site); {
		case d.Until != nil || (d.Kind == "MR" || d.Kind == "PI" || d.Kind == "PT") && !own:
			continue
		case own:
			l.Add(3, d.Value, "", "", cmp.Or(facility, string(site)), d.Kind)
		default:
			l.Add(3, d.Value, "", "", d.Assigner, d.Kind)
		}
	}
	legal := p.Name()
	l.Add(5, name(&legal)...)
	for _, n := range p.Names {
		if n.Until == nil && n.Kind == patient.Alias {
			l.Add(5, name(&n)...)
		}
	}
	if p.Mother != "" {
		l.Set(6, p.Mother, "", "", "", "", "", "M")
	}
	l.Set(7, hl7date(p.Birth)).Set(8, sex(p.Sex, w.old))
	for _, r := range p.Races {
		l.Add(10, r, patient.Title(patient.Races, r), "CDCREC")
	}
	for _, a := range p.Addresses {
		if a.Until == nil && a.Kind != "BDL" {
			l.Add(11, addressParts(&a)...)
		}
	}
	if p.BirthState != "" || p.BirthNation != "" {
		l.Add(11, "", "", "", p.BirthState, "", p.BirthNation, "BDL")
	}
	w.reach(l, 13, p.Contacts)
	if p.Language != "" {
		l.Set(15, p.Language, patient.Title(patient.Languages, p.Language), "ISO6392")
	}
	if p.Ethnicity != "" {
		l.Set(22, p.Ethnicity, patient.Title(patient.Ethnicities, p.Ethnicity), "CDCREC")
	}
	if p.Multiple != nil {
		l.Set(24, yes(*p.Multiple))
		if *p.Multiple && p.BirthOrder > 0 {
			l.Set(25, strconv.Itoa(p.BirthOrder))
		}
	}
	if p.Deceased {
		if p.Died.Known() {
			l.Set(29, hl7date(p.Died))
		}
		l.Set(30, "Y")
	}
}

func yes(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

func addressParts(a *patient.Address) []string {
	return []string{a.Street, a.Street2, a.City, a.State, a.ZIP, cmp.Or(a.Country, "USA"), a.Kind, "", a.County}
}

// reach writes telephones and e-mail addresses.
func (w *writer) reach(l *er7.Line, field int, all []patient.Contact) {
	for _, c := range all {
		use, equipment := "PRN", "PH"
		switch c.Kind {
		case patient.Email:
			if !w.old {
				l.Add(field, "", "NET", "Internet", c.Value)
			}
			continue
		case patient.Cell:
			equipment = "CP"
		case patient.Work:
			use = "WPN"
		}
		switch {
		case c.Until != nil:
		case w.old && len(c.Value) == 10:
			l.Add(field, "("+c.Value[:3]+")"+c.Value[3:6]+"-"+c.Value[6:], use, equipment)
		case len(c.Value) == 10:
			l.Add(field, "", use, equipment, "", "", c.Value[:3], c.Value[3:])
		default:
			l.Add(field, c.Value, use, equipment)
		}
	}
}

// pd1 writes PD1 and NK1: what a whole history has beside PID.
func (w *writer) pd1(p *patient.Patient, site coldkeep.SiteID) {
	l := w.b.Segment("PD1")
	if p.Publicity != "" {
		l.Set(11, p.Publicity, patient.Title(patient.Publicities, p.Publicity), "HL70215")
	}
	l.Set(12, yes(p.Lock != nil))
	if st := map[patient.Standing]string{patient.Active: "A", patient.Inactive: "I", patient.Moved: "M", patient.Lost: "L", patient.Deceased: "P"}[p.Standing(string(site))]; st != "" {
		l.Set(16, st)
	}
	n := 0
	for _, g := range p.Guardians {
		if g.Until != nil {
			continue
		}
		n++
		k := w.b.Segment("NK1").Set(1, strconv.Itoa(n)).Set(2, g.Family, g.Given, g.Middle, "", "", "", "L").Set(3, g.Relation, patient.Title(patient.Relations, g.Relation), "HL70063")
		if g.Address != (patient.Address{}) {
			k.Set(4, addressParts(&g.Address)...)
		}
		w.reach(k, 5, g.Contacts)
	}
}

// routes takes HL7 table 0162 to the codes of the guide (NCIT).
var routes = map[string][2]string{"IM": {"C28161", "Intramuscular"}, "SC": {"C38299", "Subcutaneous"}, "ID": {"C38238", "Intradermal"}, "NS": {"C38284", "Nasal"}, "PO": {"C38288", "Oral"},
	"TD": {"C38676", "Percutaneous"}}

// noNumber is ORC-3 of an order that stands for no dose.
const noNumber = "9999"

// vaccine writes a code with its name.
func (w *writer) vaccine(cvx string) []string { return []string{cvx, w.m.codes.Name(cvx), "CVX"} }

// dose writes ORC, RXA and RXR of a dose.
func (w *writer) dose(d *immunization.Dose, order []string) {
	if d.Kind == immunization.Refused {
		order = []string{noNumber, w.m.us.Authority} // IZ-45
	}
	w.b.Segment("ORC").Set(1, "RE").Set(3, order...)
	given := hl7date(d.Date)
	r := w.b.Segment("RXA").Set(1, "0").Set(2, "1").Set(3, given).Set(4, given).Set(5, w.vaccine(d.CVX)...)
	if d.NDC != "" {
		r.Add(5, d.NDC, "", "NDC")
	}
	if r.Set(6, "999"); d.Amount != "" && d.Kind != immunization.Refused {
		r.Set(6, d.Amount).Set(7, "mL", "", "UCUM")
	}
	switch d.Kind {
	case immunization.Administered:
		r.Set(9, "00", "New immunization record", "NIP001").Set(20, "CP")
		if d.GivenBy != "" {
			r.Set(10, "", d.GivenBy)
		}
		r.Set(11, "", "", "", string(d.Site))
		if d.NonViable == immunization.Partly {
			r.Set(20, "PA")
		}
	case immunization.Historical:
		r.Set(9, d.Source, immunization.Text(immunization.Sources(), d.Source), "NIP001").Set(20, "CP")
		if d.DayUnknown {
			r.Add(9, "", guide.OnlyMonth)
		}
		if d.Elsewhere != "" {
			r.Set(11, "", "", "", d.Elsewhere)
		}
	case immunization.Refused:
		r.Set(18, d.Refusal, immunization.Text(immunization.Refusals(), d.Refusal), "NIP002").Set(20, "RE")
		if d.Refusal == "02" && d.Note != "" {
			r.Set(18, d.Refusal, d.Note, "NIP002")
		}
	}
	if d.Kind != immunization.Refused {
		r.Set(15, d.Lot)
		if d.Expires.Known() {
			r.Set(16, hl7date(d.Expires))
		}
		if maker, ok := w.m.codes.MVX(d.MVX); ok {
			r.Set(17, d.MVX, maker.Name, "MVX")
		}
	}
	if r.Set(21, "A"); d.Kind != immunization.Refused && (d.Route != "" || d.BodySite != "") {
		x := w.b.Segment("RXR")
		if n := routes[d.Route]; n[0] != "" && !w.old {
			x.Set(1, n[0], n[1], "NCIT")
		} else if d.Route != "" {
			x.Set(1, d.Route, immunization.Text(immunization.Routes(), d.Route), "HL70162")
		}
		if d.BodySite != "" {
			x.Set(2, d.BodySite, immunization.Text(immunization.BodySites(), d.BodySite), "HL70163")
		}
	}
}

// observations writes OBX segments of one order.
type observations struct {
	w     *writer
	n     int
	group int
}

func (o *observations) add(kind, code, title string, value ...string) *er7.Line {
	o.n++
	return o.w.b.Segment("OBX").Set(1, strconv.Itoa(o.n)).Set(2, kind).Set(3, code, title, "LN").Set(4, strconv.Itoa(o.group)).Set(5, value...).Set(11, "F")
}

func (o *observations) date(code, title string, d coldkeep.Date) {
	if d != forecast.None && d.Known() {
		o.add("DT", code, title, hl7date(d))
	}
}

// facts writes what belongs to a dose besides.
func (o *observations) facts(d *immunization.Dose) {
	day := hl7date(d.Date)
	if d.Eligibility != "" {
		o.group++
		l := o.add("CE", "64994-7", "Vaccine funding program eligibility category", d.Eligibility, immunization.Text(immunization.Eligibility(), d.Eligibility), "HL70064").Set(14, day)
		if !o.w.old {
			l.Set(17, "VXC40", "Eligibility captured at the immunization level", "CDCPHINVS")
		}
	}
	if d.Funding != "" {
		o.group++
		o.add("CE", "30963-3", "Vaccine funding source", d.Funding, immunization.Text(immunization.Fundings(), d.Funding), "CDCPHINVS").Set(14, day)
	}
	for _, v := range d.VIS {
		o.group++
		switch cvx, told := strings.CutPrefix(v.Document, "CVX "); {
		case len(v.Document) == 24 && strings.Trim(v.Document, "0123456789") == "":
			o.add("CE", "69764-9", "Document type", v.Document, "", "cdcgs1vis").Set(14, day)
		case told:
			o.add("CE", "30956-7", "Vaccine type", o.w.vaccine(cvx)...).Set(14, day)
			o.date("29768-9", "Date vaccine information statement published", v.Edition)
		default:
			o.group--
			continue
		}
		o.date("29769-7", "Date vaccine information statement presented", v.Given)
	}
}

// orders gives the order numbers by which the asker's site knows the doses of a record; what
// other practices number is told by the registry's own.
func (m *Messages) orders(ctx context.Context, r exchange.Reader, q *exchange.Request, v *immunization.View) (map[string][]string, error) {
	ids := make([]string, len(v.Doses))
	for i := range v.Doses {
		ids[i] = v.Doses[i].ID
	}
	known, err := r.OrderNumbersOf(ctx, q.Site, ids)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, id := range ids {
		out[id] = []string{id, m.us.Authority}
		for _, o := range known[id] {
			if o.Authority != exchange.ByContent {
				out[id] = []string{o.Number, o.Authority}
			}
		}
	}
	return out, nil
}

// history writes the doses, refusals and facts of a record, each dose once, by date.
func (w *writer) history(v *immunization.View, orders map[string][]string) {
	for i := range v.Doses {
		d := &v.Doses[i]
		if d.Deleted != nil || d.DuplicateOf != "" {
			continue
		}
		w.dose(d, orders[d.ID])
		o := &observations{w: w}
		o.facts(d)
		for _, x := range v.Reactions {
			if x.Ended == nil && slices.Contains(x.Doses, d.ID) {
				o.group++
				o.add("CE", loincReaction, "Reaction", "", x.Event, "L").Set(14, hl7date(d.Date))
			}
		}
	}
	w.exemptions(v)
	w.facts(v)
}

// nothing writes the order that carries what belongs to no dose.
func (w *writer) nothing(on coldkeep.Date) {
	w.b.Segment("ORC").Set(1, "RE").Set(3, noNumber, w.m.us.Authority)
	w.b.Segment("RXA").Set(1, "0").Set(2, "1").Set(3, hl7date(on)).Set(4, hl7date(on)).Set(5, "998", "No vaccine administered", "CVX").Set(6, "999").Set(20, "NA")
}

// groupCVX are the codes by which CDC names vaccine groups, by the schedule's names of them
// (CDC's table of CVX codes mapped to vaccine groups).
var groupCVX = map[string]string{"Chikungunya": "317", "Cholera": "26", "COVID-19": "213", "Dengue": "330", "DTaP/Tdap/Td": "107", "Ebola": "214", "HepA": "85", "HepB": "45", "Hib": "17", "HPV": "137",
	"Influenza": "88", "Japanese Encephalitis": "129", "Meningococcal": "108", "Meningococcal B": "164", "MMR": "03", "Orthopoxvirus": "325", "Pneumococcal": "109", "Polio": "89", "Rabies": "90",
	"Rotavirus": "122", "RSV": "304", "TBE": "222", "Typhoid": "91", "Varicella": "21", "Yellow Fever": "184", "Zoster": "188"}

// group begins the observations about one vaccine group.
func (o *observations) about(group string) bool {
	cvx, ok := groupCVX[group]
	if !ok {
		return false
	}
	o.group++
	o.add("CE", "30956-7", "Vaccine type", cvx, group, "CVX")
	o.add("CE", "59779-9", "Immunization schedule used", "VXC16", "ACIP", "CDCPHINVS")
	return true
}

// evaluated writes the doses that were given, each with what the schedule says of it in each
// vaccine group, and the forecast.
func (w *writer) evaluated(v *immunization.View, orders map[string][]string) {
	verdicts := map[string][]immunization.Evaluated{}
	for i := range v.Groups {
		for _, e := range v.Groups[i].Doses {
			e.Verdict.Group = v.Groups[i].Name
			verdicts[e.ID] = append(verdicts[e.ID], e)
		}
	}
	for i := range v.Doses {
		d := &v.Doses[i]
		if !d.Counts() {
			continue
		}
		w.dose(d, orders[d.ID])
		o := &observations{w: w}
		for _, e := range verdicts[d.ID] {
			if !o.about(e.Verdict.Group) {
				continue
			}
			if e.Number > 0 {
				o.add("NM", "30973-2", "Dose number in series", strconv.Itoa(e.Number)).Set(6, "NA", "", "HL70353")
			}
			if e.Status != forecast.Unevaluated {
				o.add("ID", "59781-5", "Dose validity", yes(e.Status == forecast.Valid))
			}
			if e.Reason != forecast.NoReason {
				o.add("ST", "30982-3", "Reason applied by forecast logic to project this vaccine", e.Reason.String())
			}
		}
		if o.n == 0 { // the group of a response has an observation: what the vaccine is
			o.group++
			o.add("CE", "30956-7", "Vaccine type", w.vaccine(d.CVX)...)
		}
	}
	w.nothing(v.Today)
	o := &observations{w: w}
	due := slices.Clone(v.Due)
	slices.SortStableFunc(due, func(a, b immunization.Due) int { return strings.Compare(a.Group, b.Group) })
	for i := range due {
		d := &due[i]
		if !o.about(d.Group) {
			continue
		}
		if d.Number > 0 {
			o.add("NM", "30973-2", "Dose number in series", strconv.Itoa(d.Number)).Set(6, "NA", "", "HL70353")
		}
		o.date("30981-5", "Earliest date to give", d.Earliest)
		o.date("30980-7", "Date vaccine due", d.Recommended)
		o.date("59778-1", "Date when overdue for immunization", d.PastDue)
		o.date("59777-3", "Latest date to give immunization", d.Latest)
		code, words := status(d)
		o.add("CE", "59783-1", "Status in immunization series", code, words, "LN")
		if why := d.Reason.String(); why != "" {
			o.add("ST", "30982-3", "Reason applied by forecast logic to project this vaccine", why)
		}
	}
}

// status is a forecast in the words of LOINC's answer list for 59783-1.
func status(d *immunization.Due) (code, words string) {
	switch d.Status {
	case forecast.Complete:
		return "LA13421-5", "Complete"
	case forecast.Immune:
		return "LA27183-5", "Immune"
	case forecast.Contraindicated:
		return "LA4216-3", "Contraindicated"
	case forecast.AgedOut:
		return "LA13424-9", "Too old"
	case forecast.NotRecommended:
		return "LA4695-8", "Not recommended"
	}
	if d.Urgency == immunization.Overdue {
		return "LA13423-1", "Overdue"
	}
	return "LA13422-3", "On schedule"
}
