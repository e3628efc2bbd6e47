package simulate

import (
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// home is where a household lived and who cared for it since a day.
type home struct {
	from     coldkeep.Date
	town     int
	address  patient.Address
	practice int // for children, and for whoever the practice takes
	adults   int
}

// person is somebody of a household while it is put together.
type person struct {
	dice
	p             *Population
	group         int
	girl          bool
	birth         coldkeep.Date
	family, given string
	middle        string
	suffix        string
	maiden        string        // the family name before a marriage; "" when it is the same
	married       coldkeep.Date // when the family name changed
	twin, order   int           // how many were born together, and which this one was
	mother        *person
	father        *person
	homes         []home // the present one first
	cell, line    string
	email         string
	leaves        coldkeep.Date // the day of death or of moving out of the state; 0: is there
	died          bool
}

func (p *Population) birthAt(d dice, years float64) coldkeep.Date {
	return p.Today - coldkeep.Date(years*365.2425) - coldkeep.Date(d.IntN(3))
}

// household makes the records of one household, second records of its people among them.
func (p *Population) household(n uint64) []Record {
	d := newDice(p.Seed, n)
	group := pickSum(d, groupShares)
	people := p.people(d, group)
	p.settle(d, people)
	var out []Record
	for i := range people {
		rec := p.record(people[i])
		out = append(out, rec)
		// Of r records r·share are second ones: one to (1-share) first ones.
		if d.chance(p.Duplicates / (1 - p.Duplicates)) {
			out = append(out, p.second(people[i], &rec))
		}
	}
	return out
}

// people makes the persons of a household without homes.
func (p *Population) people(d dice, group int) []*person {
	if d.chance(p.ages.families) {
		return p.family(d, group)
	}
	adult := func(age float64, girl bool) *person {
		a := &person{dice: d, p: p, group: group, girl: girl, birth: p.birthAt(d, age)}
		a.name(familyName(d, group))
		return a
	}
	age := float64(pickSum(d, p.ages.adults)) + d.Float64()
	first := adult(age, d.chance(0.51))
	out := []*person{first}
	switch {
	case d.chance(0.45):
		second := adult(min(99, max(childAge, age+2.5*d.NormFloat64())), !first.girl)
		if d.chance(0.6) {
			marry(d, first, second)
		}
		out = append(out, second)
	case age > 45 && d.chance(0.09): // a grown child at home
		child := adult(max(childAge, age-float64(d.between(20, 32))), d.chance(0.45))
		child.family = first.family
		if !child.girl && !first.girl && d.chance(0.25) {
			junior(first, child)
		}
		out = append(out, child)
	}
	return out
}

// family makes parents with their children.
func (p *Population) family(d dice, group int) []*person {
	years, twins := p.ages.siblings(d)
	youngest, oldest := years[0], years[0]
	for _, y := range years {
		youngest, oldest = min(youngest, y), max(oldest, y)
	}
	mothersAge := min(youngest+47, max(oldest+16.5, years[0]+motherAge+motherSpread*d.NormFloat64()))
	mother := &person{dice: d, p: p, group: group, girl: true, birth: p.birthAt(d, mothersAge)}
	mother.name(familyName(d, group))
	fathersGroup := group
	if d.chance(0.12) { // parents of two groups
		fathersGroup = pickSum(d, groupShares)
	}
	father := &person{dice: d, p: p, group: fathersGroup, birth: p.birthAt(d, max(oldest+17, mothersAge+2+3*d.NormFloat64()))}
	father.name(familyName(d, fathersGroup))
	single := d.chance(0.25)
	if !single && d.chance(0.75) {
		marry(d, father, mother)
	}
	name := father.family
	switch {
	case single && d.chance(0.6):
		name = motherName(mother)
	case group == hispanic && d.chance(0.4):
		name = father.family + " " + motherName(mother)
	case father.family != mother.family && !strings.Contains(mother.family, "-") && d.chance(0.12):
		name = motherName(mother) + "-" + father.family
	}
	out := []*person{mother}
	if !single {
		out = append(out, father)
	}
	taken := map[string]bool{mother.given: true}
	for i, y := range years {
		c := &person{dice: d, p: p, group: group, girl: d.chance(0.488), mother: mother, father: father}
		if twin := twins && i == len(years)-1; twin {
			other := out[len(out)-1]
			c.birth, c.twin, c.order, other.twin, other.order = other.birth, 2, 2, 2, 1
			if d.chance(0.35) { // of one egg
				c.girl = other.girl
			}
		} else {
			c.birth = p.birthAt(d, y)
		}
		c.name(name)
		if !c.girl && !taken[father.given] && d.chance(0.05) {
			junior(father, c)
		}
		for try := 0; taken[c.given] && try < 20; try++ {
			c.name(name)
		}
		if c.twin > 0 && d.chance(0.15) { // twins whose names sound alike
			c.given = alike(d, out[len(out)-1].given, c)
		}
		taken[c.given] = true
		if single {
			c.father = nil
		}
		out = append(out, c)
	}
	return out
}

// name gives a person a name of the group and the year of birth.
func (a *person) name(family string) {
	year, _, _ := a.birth.Civil()
	a.family, a.given, a.middle = family, givenName(a.dice, a.group, a.girl, year), ""
	if a.chance(0.82) {
		a.middle = givenName(a.dice, a.group, a.girl, year-25)
		if a.chance(0.3) {
			a.middle = string([]rune(a.middle)[:1])
		}
	}
}

// junior gives a son the father's whole name.
func junior(father, son *person) {
	son.given, son.middle, son.suffix = father.given, father.middle, "Jr"
	if father.chance(0.6) {
		father.suffix = "Sr"
	}
	if father.suffix == "" && father.chance(0.1) {
		father.suffix, son.suffix = "Jr", "III"
	}
}

// alike is a name that begins as a twin's does, when the tables have one.
func alike(d dice, name string, c *person) string {
	year, _, _ := c.birth.Civil()
	for range 60 {
		if g := givenName(d, c.group, c.girl, year); g != name && []rune(g)[0] == []rune(name)[0] {
			return g
		}
	}
	return c.given
}

func motherName(m *person) string {
	if m.maiden != "" {
		return m.maiden
	}
	return m.family
}

// marry gives a woman her husband's name in seven of ten marriages, and both names with
// a hyphen in one.
func marry(d dice, a, b *person) {
	if a.girl {
		a, b = b, a
	}
	day := max(yearsAfter(b.birth, 18), b.p.Today-coldkeep.Date(d.between(100, 9000)))
	switch r := d.Float64(); {
	case r < 0.7:
		b.maiden, b.family, b.married = b.family, a.family, day
	case r < 0.8:
		b.maiden, b.married = b.family, day
		b.family += "-" + a.family
	}
}

// settle gives a household its homes, practices, telephones and ends.
func (p *Population) settle(d dice, people []*person) {
	town := pickSum(d, townSums)
	// One in nine or ten people moves within a year (Census Bureau), and it is mostly the
	// same ones.
	stay := 25.0 * 365
	if d.chance(0.35) {
		stay = 5 * 365
	}
	var homes []home
	at := p.Today
	for i := 0; i < 4; i++ {
		since := at - coldkeep.Date(d.days(stay))
		if i == 3 || at < p.Today-20*365 {
			since = 0
		}
		homes = append(homes, home{from: since, town: town, address: address(d, town), practice: p.practice(d, town, true), adults: p.practice(d, town, false)})
		if since == 0 {
			break
		}
		at = since
		if d.chance(0.4) {
			town = pickSum(d, townSums)
		} else { // across town: the practice mostly stays
			h := home{from: 0, town: town, address: address(d, town), practice: homes[i].practice, adults: homes[i].adults}
			since = at - coldkeep.Date(d.days(stay))
			if i == 2 {
				since = 0
			}
			h.from = since
			homes = append(homes, h)
			if since == 0 {
				break
			}
			at, i = since, i+1
		}
	}
	line := ""
	if d.chance(0.3) {
		line = phone(d)
	}
	for _, a := range people {
		a.homes, a.line = homes, line
		if ageAt(a.birth, p.Today) >= 14 && d.chance(0.93) {
			a.cell = phone(d)
		}
		if ageAt(a.birth, p.Today) >= childAge && d.chance(0.45) {
			a.email = strings.ToLower(foldASCII(a.given)) + "." + strconv.Itoa(d.IntN(100000)) + "@example.org"
		}
		years := ageAt(a.birth, p.Today)
		switch {
		case d.chance([]float64{0.001, 0.004, 0.06, 0.25}[min(3, years/30)]):
			a.died, a.leaves = true, d.day(max(a.birth+1, p.Today-8*365), p.Today-1)
		case d.chance(0.02):
			a.leaves = d.day(max(a.birth+60, p.Today-6*365), p.Today)
		}
		if a.leaves > p.Today {
			a.leaves = 0
		}
	}
}

// homeAt is where the household lived on a day.
func (a *person) homeAt(day coldkeep.Date) *home {
	for i := range a.homes {
		if a.homes[i].from <= day {
			return &a.homes[i]
		}
	}
	return &a.homes[len(a.homes)-1]
}

// siteAt is the practice on a day. Who outgrows pediatrics goes where adults go.
func (a *person) siteAt(day coldkeep.Date) int {
	h := a.homeAt(day)
	if ageAt(a.birth, day) >= 21 {
		return h.adults
	}
	return h.practice
}

// until is the span of what stood until a day.
func until(day coldkeep.Date) patient.Span {
	t := day.Midnight(time.UTC)
	return patient.Span{Until: &t, EndedBy: "Registry"}
}

var accents = strings.NewReplacer("á", "a", "é", "e", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "Á", "A", "É", "E", "Í", "I", "Ó", "O", "Ú", "U", "Ñ", "N", "ü", "u", " ", "", "'", "", "-", "", ".", "")

func foldASCII(s string) string { return accents.Replace(s) }
