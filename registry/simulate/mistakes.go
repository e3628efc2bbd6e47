package simulate

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// mistake is one way in which a second record comes to differ. It reports whether it has
// changed anything: who has no hyphen cannot lose half of a name.
type mistake struct {
	name  string
	share float64 // of the second records
	make  func(a *person, pt *patient.Patient) bool
}

// mistakes are after what reports on duplicates in registries name most (CDC's and AIRA's
// patient de-duplication guides): changed and missing contact data first, then names, then
// birth dates. The shares are ours.
var mistakes = []mistake{
	{"moved", 0.30, func(a *person, pt *patient.Patient) bool {
		if len(pt.Addresses) == 0 {
			return false
		}
		pt.Addresses = []patient.Address{address(a.dice, a.homes[0].town)}
		return true
	}},
	{"address-missing", 0.08, func(_ *person, pt *patient.Patient) bool {
		had := len(pt.Addresses) > 0
		pt.Addresses = nil
		return had
	}},
	{"phone-changed", 0.25, func(a *person, pt *patient.Patient) bool {
		pt.Contacts = []patient.Contact{{Kind: patient.Cell, Value: phone(a.dice)}}
		return true
	}},
	{"phone-missing", 0.12, func(_ *person, pt *patient.Patient) bool {
		had := len(pt.Contacts) > 0
		pt.Contacts = nil
		return had
	}},
	{"phone-digits-transposed", 0.05, func(a *person, pt *patient.Patient) bool {
		for i := range pt.Contacts {
			if pt.Contacts[i].Kind != patient.Email {
				pt.Contacts[i].Value = swapDigits(a.dice, pt.Contacts[i].Value)
				return true
			}
		}
		return false
	}},
	{"middle-missing", 0.30, func(_ *person, pt *patient.Patient) bool {
		had := pt.Names[0].Middle != ""
		pt.Names[0].Middle = ""
		return had
	}},
	{"middle-initial", 0.15, func(_ *person, pt *patient.Patient) bool {
		m := []rune(pt.Names[0].Middle)
		if len(m) < 2 {
			return false
		}
		pt.Names[0].Middle = string(m[:1])
		return true
	}},
	{"suffix-missing", 0.4, func(_ *person, pt *patient.Patient) bool {
		had := pt.Names[0].Suffix != ""
		pt.Names[0].Suffix = ""
		return had
	}},
	{"nickname", 0.12, func(a *person, pt *patient.Patient) bool {
		short := nicknames[pt.Names[0].Given]
		if len(short) == 0 {
			return false
		}
		pt.Names[0].Given = choose(a.dice, short)
		return true
	}},
	{"given-typo", 0.10, func(a *person, pt *patient.Patient) bool { return typo(a.dice, &pt.Names[0].Given) }},
	{"family-typo", 0.10, func(a *person, pt *patient.Patient) bool { return typo(a.dice, &pt.Names[0].Family) }},
	{"names-swapped", 0.03, func(_ *person, pt *patient.Patient) bool {
		n := &pt.Names[0]
		n.Family, n.Given = n.Given, n.Family
		return n.Family != n.Given
	}},
	{"accents-lost", 0.5, func(_ *person, pt *patient.Patient) bool {
		n := &pt.Names[0]
		was := *n
		n.Family, n.Given = plainLetters.Replace(n.Family), plainLetters.Replace(n.Given)
		return *n != was
	}},
	{"half-of-name", 0.35, func(a *person, pt *patient.Patient) bool {
		n := &pt.Names[0]
		parts := strings.FieldsFunc(n.Family, func(r rune) bool { return r == '-' || r == ' ' })
		if len(parts) != 2 || len(parts[0]) < 4 {
			return false
		}
		n.Family = choose(a.dice, parts)
		return true
	}},
	{"earlier-surname", 0.35, func(a *person, pt *patient.Patient) bool {
		if a.maiden == "" {
			return false
		}
		pt.Names = []patient.Name{{Family: a.maiden, Given: pt.Names[0].Given, Middle: pt.Names[0].Middle, Kind: patient.Legal}}
		return true
	}},
	{"surname-changed", 0.04, func(a *person, pt *patient.Patient) bool {
		if a.mother == nil || motherName(a.mother) == pt.Names[0].Family {
			return false
		}
		pt.Names[0].Family = motherName(a.mother) // a child entered under the mother's name
		return true
	}},
	{"birth-transposed", 0.03, func(a *person, pt *patient.Patient) bool {
		y, m, d := pt.Birth.Civil()
		switch a.IntN(3) {
		case 0:
			return setBirth(pt, y, d, m)
		case 1:
			return setBirth(pt, y, m, d%10*10+d/10)
		}
		return setBirth(pt, y/100*100+y%10*10+y/10%10, m, d)
	}},
	{"birth-digit", 0.04, func(a *person, pt *patient.Patient) bool {
		y, m, d := pt.Birth.Civil()
		switch a.IntN(3) {
		case 0:
			return setBirth(pt, y, m, d+choose(a.dice, []int{-1, 1, 10, -10}))
		case 1:
			return setBirth(pt, y, m+choose(a.dice, []int{-1, 1}), d)
		}
		return setBirth(pt, y+choose(a.dice, []int{-1, 1}), m, d)
	}},
	{"sex-unknown", 0.03, func(_ *person, pt *patient.Patient) bool {
		was := pt.Sex
		pt.Sex = patient.UnknownSex
		return was != pt.Sex
	}},
	{"sex-wrong", 0.008, func(_ *person, pt *patient.Patient) bool {
		switch pt.Sex {
		case patient.Female:
			pt.Sex = patient.Male
		case patient.Male:
			pt.Sex = patient.Female
		default:
			return false
		}
		return true
	}},
	{"guardians-missing", 0.3, func(_ *person, pt *patient.Patient) bool {
		had := len(pt.Guardians) > 0
		pt.Guardians, pt.Mother = nil, ""
		return had
	}},
	{"multiple-missing", 0.4, func(_ *person, pt *patient.Patient) bool {
		had := pt.Multiple != nil
		pt.Multiple, pt.BirthOrder = nil, 0
		return had
	}},
}

// MistakeNames lists what Record.Errors may hold.
func MistakeNames() (names []string) {
	for i := range mistakes {
		names = append(names, mistakes[i].name)
	}
	return names
}

// second makes another practice's record of a person who has one.
func (p *Population) second(a *person, first *Record) Record {
	entered := a.day(coldkeep.DateOf(first.Patient.CreatedAt), p.Today)
	site := a.p.practice(a.dice, a.homes[0].town, ageAt(a.birth, p.Today) < 21)
	clean := a.demographics(entered)
	pt := clean
	pt.Names = pt.Names[:1]
	// It is another practice's number; those of authorities are known now and then.
	var known []patient.Identifier
	for _, i := range first.Patient.Identifiers {
		if i.Kind != "MR" && a.chance(0.45) {
			known = append(known, i)
		}
	}
	pt.CreatedBy, pt.Lock = p.practices[site].ID, nil
	pt.Identifiers = append([]patient.Identifier{{Kind: "MR", Assigner: string(pt.CreatedBy), Value: strconv.Itoa(a.between(100000, 9999999))}}, known...)
	pt.Mother, pt.Races, pt.Ethnicity, pt.Multiple, pt.BirthOrder = first.Patient.Mother, first.Patient.Races, first.Patient.Ethnicity, first.Patient.Multiple, first.Patient.BirthOrder
	pt.Statuses = []patient.Status{{Site: pt.CreatedBy, Standing: patient.Active, Since: pt.CreatedAt, By: "Registry"}, {Standing: patient.Active, Since: pt.CreatedAt, By: "Registry"}}
	rec := Record{Truth: first.Truth, Second: true}
	for i := range mistakes {
		if m := &mistakes[i]; a.chance(m.share) && m.make(a, &pt) {
			rec.Errors = append(rec.Errors, m.name)
		}
	}
	rec.Patient = pt
	numberEntries(&rec.Patient)
	rec.Doses = p.secondDoses(a, first, &rec.Patient)
	return rec
}

// secondDoses are those that the other practice gave or was told of: some are in both
// records, a day off now and then.
func (p *Population) secondDoses(a *person, first *Record, pt *patient.Patient) []immunization.Dose {
	var out []immunization.Dose
	for _, d := range first.Doses {
		if d.Kind == immunization.Refused || !a.chance(0.3) {
			continue
		}
		d.Patient, d.EnteredSite = pt.ID, pt.CreatedBy
		d.Kind, d.Source, d.Site, d.Elsewhere = immunization.Historical, "01", "", "Told by the patient"
		d.NDC, d.Expires, d.BodySite, d.Route, d.Amount, d.Eligibility, d.Funding, d.VIS, d.GivenBy = "", 0, "", "", "", "", "", nil, ""
		if a.chance(0.5) {
			d.Lot = ""
		}
		if a.chance(0.1) && d.Date > pt.Birth && d.Date < p.Today {
			d.Date++
		}
		if at := d.Date.Midnight(time.UTC).Add(16 * time.Hour); at.After(pt.CreatedAt) {
			d.EnteredAt = at
		} else {
			d.EnteredAt = pt.CreatedAt
		}
		d.ID = a.id(d.EnteredAt)
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(x, y immunization.Dose) int { return int(x.Date - y.Date) })
	return out
}

// typo is one slip of the keyboard: a letter left out, doubled, hit beside, or two
// changed about. The first letter is mostly right.
func typo(d dice, s *string) bool {
	r := []rune(*s)
	if len(r) < 3 {
		return false
	}
	i := 1 + d.IntN(len(r)-1)
	if d.chance(0.08) {
		i = 0
	}
	switch d.IntN(4) {
	case 0:
		r = append(r[:i:i], r[i+1:]...)
	case 1:
		r = append(r[:i+1:i+1], r[i:]...)
	case 2:
		if near := keyboard[lower(r[i])]; near != "" {
			r[i] = rune(near[d.IntN(len(near))])
		}
	default:
		if i > 0 {
			r[i-1], r[i] = r[i], r[i-1]
		}
	}
	was := *s
	*s = string(r)
	return *s != was
}

func lower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// keyboard has the keys beside each on a US keyboard.
var keyboard = map[rune]string{'a': "sqwz", 'b': "vgn", 'c': "xdv", 'd': "sfec", 'e': "wrd", 'f': "dgrv", 'g': "fhtb", 'h': "gjyn", 'i': "uok", 'j': "hkum", 'k': "jli", 'l': "kop",
	'm': "nj", 'n': "bmh", 'o': "ipl", 'p': "ol", 'q': "wa", 'r': "etf", 's': "adwx", 't': "ryg", 'u': "yij", 'v': "cbf", 'w': "qes", 'x': "zcs", 'y': "tuh", 'z': "xa"}

var plainLetters = strings.NewReplacer("á", "a", "é", "e", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "Á", "A", "É", "E", "Í", "I", "Ó", "O", "Ú", "U", "Ñ", "N")

func swapDigits(d dice, s string) string {
	b := []byte(s)
	i := 1 + d.IntN(max(1, len(b)-1))
	if i < len(b) {
		b[i-1], b[i] = b[i], b[i-1]
	}
	return string(b)
}

// setBirth sets a day of birth when it is another one and could be somebody's.
func setBirth(pt *patient.Patient, y, m, d int) bool {
	day := coldkeep.NewDate(y, m, d)
	if !day.Known() || day == pt.Birth || day > coldkeep.DateOf(pt.CreatedAt) {
		return false
	}
	pt.Birth = day
	return true
}
