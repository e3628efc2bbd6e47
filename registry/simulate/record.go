package simulate

import (
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// registryBegan is the year in which practices began to enter doses.
const registryBegan = 1998

// raceCodes and the like are those of HL7 (CDC's race and ethnicity code set).
var raceCodes = [...][]string{white: {"2106-3"}, hispanic: {"2131-1", "2106-3"}, black: {"2054-5"}, asian: {"2028-9"}, other: {"1002-5", "2131-1", "2076-8", "2106-3"}}

const (
	isHispanic  = "2135-2"
	notHispanic = "2186-5"
)

// record makes somebody's first record.
func (p *Population) record(a *person) Record {
	truth := a.id(a.birth.Midnight(time.UTC))
	rec := Record{Truth: truth, Doses: p.history(a)}
	entered := a.entered(rec.Doses)
	rec.Patient = a.demographics(entered)
	numberEntries(&rec.Patient)
	for i := range rec.Doses {
		rec.Doses[i].Patient = rec.Patient.ID
	}
	if n := len(rec.Doses); n > 0 && rec.Doses[n-1].EnteredAt.After(rec.Patient.UpdatedAt) {
		rec.Patient.UpdatedAt = rec.Doses[n-1].EnteredAt
	}
	return rec
}

// numberEntries gives the entries of each list their places in the order of entry: what
// has been replaced came before what stands.
func numberEntries(p *patient.Patient) {
	number(p.Names, func(v *patient.Name) *patient.Span { return &v.Span })
	number(p.Addresses, func(v *patient.Address) *patient.Span { return &v.Span })
	number(p.Contacts, func(v *patient.Contact) *patient.Span { return &v.Span })
	number(p.Identifiers, func(v *patient.Identifier) *patient.Span { return &v.Span })
	number(p.Guardians, func(v *patient.Guardian) *patient.Span { return &v.Span })
	number(p.Statuses, func(v *patient.Status) *patient.Span { return &v.Span })
}

func number[T any](list []T, span func(*T) *patient.Span) {
	n := 0
	for i := len(list) - 1; i >= 0; i-- {
		if s := span(&list[i]); s.Until != nil {
			n++
			s.Seq = n
		}
	}
	for i := range list {
		if s := span(&list[i]); s.Until == nil {
			n++
			s.Seq = n
		}
	}
}

// demographics is a person as a practice has entered it on a day.
func (a *person) demographics(entered coldkeep.Date) patient.Patient {
	today := a.p.Today
	site := a.p.practices[a.siteAt(entered)].ID
	at := a.workingHour(entered)
	age := ageAt(a.birth, today)
	id := a.id(at)
	pt := patient.Patient{ID: id, Head: id, Birth: a.birth, Sex: patient.Male, CreatedBy: site, CreatedAt: at, UpdatedAt: at, Revision: 1, Publicity: "02"}
	if a.girl {
		pt.Sex = patient.Female
	}
	if a.chance(0.004) {
		pt.Sex = patient.UnknownSex
	}
	pt.Names = []patient.Name{{Family: a.family, Given: a.given, Middle: a.middle, Suffix: a.suffix, Kind: patient.Legal}}
	if a.maiden != "" && a.chance(0.5) {
		pt.Names = append(pt.Names, patient.Name{Family: a.maiden, Given: a.given, Middle: a.middle, Kind: patient.Maiden, Span: until(a.married)})
	}
	if a.twin > 0 && a.chance(0.9) {
		yes := true
		pt.Multiple, pt.BirthOrder = &yes, a.order
	} else if age < childAge && a.chance(0.7) {
		no := false
		pt.Multiple = &no
	}
	if a.chance(0.93) {
		pt.Races = raceCodes[a.group][:1]
		if a.group == other {
			pt.Races = []string{choose(a.dice, raceCodes[other])}
		}
		pt.Ethnicity = notHispanic
		if a.group == hispanic {
			pt.Ethnicity = isHispanic
		}
	}
	pt.Language = "eng"
	if a.group == hispanic && a.chance(0.45) {
		pt.Language = "spa"
	}
	if age < 25 && a.chance(0.85) || a.chance(0.2) {
		pt.BirthState, pt.BirthNation = "IL", "USA"
	}
	a.reach(&pt, entered)
	a.guarded(&pt, age)
	a.numbered(&pt, site, age)
	a.standings(&pt, entered)
	if a.chance(0.8) {
		offered := at
		pt.Consent = patient.Consent{OfferedAt: &offered, OfferedBy: site}
	}
	if a.chance(0.004) { // opted out
		day := a.workingHour(a.day(entered, today))
		pt.Lock = &patient.Lock{Site: a.p.practices[a.siteAt(coldkeep.DateOf(day))].ID, By: choose(a.dice, a.p.practices[a.siteAt(entered)].Clinicians), At: day, Form: "Opt-out form of " + coldkeep.DateOf(day).String()}
		if day.After(pt.UpdatedAt) {
			pt.UpdatedAt = day
		}
	}
	return pt
}

// reach fills in where the person lives and how to get hold of it.
func (a *person) reach(pt *patient.Patient, entered coldkeep.Date) {
	for i, h := range a.homes {
		if i > 0 && (a.homes[i-1].from <= entered || i > 2) {
			break // left before the registry knew of the person
		}
		address := h.address
		if i > 0 {
			address.Span = until(a.homes[i-1].from)
		}
		pt.Addresses = append(pt.Addresses, address)
	}
	add := func(kind patient.ContactKind, value string) {
		if value != "" {
			pt.Contacts = append(pt.Contacts, patient.Contact{Kind: kind, Value: value})
		}
	}
	add(patient.Phone, a.line)
	if ageAt(a.birth, a.p.Today) >= childAge {
		add(patient.Cell, a.cell)
		add(patient.Email, a.email)
	} else if a.mother != nil {
		add(patient.Cell, a.mother.cell)
	}
	if a.chance(0.12) && len(pt.Addresses) > 1 {
		pt.Contacts = append(pt.Contacts, patient.Contact{Kind: patient.Phone, Value: phone(a.dice), Span: pt.Addresses[1].Span})
	}
	if a.died {
		pt.Deceased = true
		if a.chance(0.9) {
			pt.Died = a.leaves
		}
	}
}

// guarded adds the parents of a child, and the mother's name to whoever it is known of.
func (a *person) guarded(pt *patient.Patient, age int) {
	if a.mother == nil {
		if a.chance(0.15) {
			pt.Mother = familyName(a.dice, a.group)
		}
		return
	}
	if a.chance(0.75) {
		pt.Mother = motherName(a.mother)
	}
	if age >= childAge {
		return
	}
	parent := func(m *person, relation string) {
		g := patient.Guardian{Family: m.family, Given: m.given, Relation: relation, Address: a.homes[0].address}
		if m.cell != "" {
			g.Contacts = []patient.Contact{{Kind: patient.Cell, Value: m.cell}}
		}
		pt.Guardians = append(pt.Guardians, g)
	}
	if a.chance(0.95) {
		parent(a.mother, "MTH")
	}
	if a.father != nil && a.chance(0.7) {
		parent(a.father, "FTH")
	}
}

// numbered gives the person the numbers that others know it by.
func (a *person) numbered(pt *patient.Patient, site coldkeep.SiteID, age int) {
	pt.Identifiers = append(pt.Identifiers, patient.Identifier{Kind: "MR", Assigner: string(site), Value: strconv.Itoa(a.between(100000, 9999999))})
	if age < childAge && a.chance(0.4) || a.chance(0.15) {
		pt.Identifiers = append(pt.Identifiers, patient.Identifier{Kind: "MA", Assigner: "Illinois Medicaid", Value: a.digits(9)})
	}
	if pt.BirthState != "" && age < 25 && a.chance(0.8) {
		year, _, _ := a.birth.Civil()
		pt.Identifiers = append(pt.Identifiers, patient.Identifier{Kind: "BR", Assigner: "Illinois Vital Records", Value: strconv.Itoa(year) + a.digits(7)})
	}
}

// standings says whose patient the person is and was.
func (a *person) standings(pt *patient.Patient, entered coldkeep.Date) {
	by := "Registry"
	seen := map[coldkeep.SiteID]bool{}
	for i := range a.homes {
		from := max(a.homes[i].from, entered)
		if i > 0 && a.homes[i-1].from <= entered {
			break // left there before the registry knew of the person
		}
		day := a.p.Today
		if i > 0 {
			day = a.homes[i-1].from - 1
		}
		site := a.p.practices[a.siteAt(max(day, from))].ID
		if seen[site] {
			continue
		}
		seen[site] = true
		st := patient.Status{Site: site, Standing: patient.Active, Since: from.Midnight(time.UTC), By: by}
		switch {
		case i > 0:
			st.Standing, st.Since = patient.Moved, a.homes[i-1].from.Midnight(time.UTC)
		case a.leaves.Known() && !a.died:
			st.Standing, st.Since = patient.Moved, a.leaves.Midnight(time.UTC)
		case a.chance(0.05):
			st.Standing = patient.Lost
		}
		pt.Statuses = append(pt.Statuses, st)
	}
	switch {
	case a.died:
		pt.Statuses = append(pt.Statuses, patient.Status{Standing: patient.Deceased, Since: a.leaves.Midnight(time.UTC), By: by})
	case a.leaves.Known():
		pt.Statuses = append(pt.Statuses, patient.Status{Standing: patient.Moved, Since: a.leaves.Midnight(time.UTC), By: by})
	default:
		pt.Statuses = append(pt.Statuses, patient.Status{Standing: patient.Active, Since: entered.Midnight(time.UTC), By: by})
	}
}
