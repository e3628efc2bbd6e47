package simulate

import (
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// manner is how somebody goes about vaccination.
type manner struct {
	delay      float64 // mean days that visits are late
	misses     float64 // share of the visits that do not take place
	refusesAt  [antigens]bool
	refusesAll bool
	lost       coldkeep.Date // seen for the last time; 0: comes still
	flu        float64       // share of the seasons with a dose
	covid      float64
}

func (a *person) manner() manner {
	m := manner{delay: 6, misses: 0.05, flu: 0.02 + 0.5*a.Float64()*a.Float64(), covid: 0.6}
	switch r := a.Float64(); {
	case r < 0.012:
		m.refusesAll = true // of all vaccines (CDC, children of kindergarten: about 1 % have none)
	case r < 0.05:
		m.refusesAt[choose(a.dice, []antigen{mmr, hpv, hepB, covid, rota})] = true
		m.refusesAt[flu], m.refusesAt[covid] = true, true
	case r < 0.23:
		m.delay, m.misses = 70, 0.2 // late
	case r < 0.28:
		m.delay, m.misses = 160, 0.35
	}
	if ageAt(a.birth, a.p.Today) >= 65 {
		m.flu += 0.2
	}
	if a.chance(0.06) {
		m.lost = a.day(a.birth+60, a.p.Today)
	}
	return m
}

// course is one person's vaccination while it is lived through.
type course struct {
	*person
	manner
	given  [antigens]int
	last   [antigens]coldkeep.Date
	doses  []immunization.Dose
	asked  [antigens]bool // refused once already
	public bool           // entitled to VFC vaccine
}

// wellVisits are the ages in days of the visits at which children are vaccinated
// (AAP/Bright Futures): birth, 2, 4, 6, 9, 12, 15, 18 and 24 months, 4, 5, 11, 12, 16 and 17
// years.
var wellVisits = []int{0, 61, 122, 183, 274, 366, 457, 549, 731, 1475, 1840, 4025, 4390, 5850, 6220}

// history is every dose that the registry has of somebody.
func (p *Population) history(a *person) []immunization.Dose {
	c := &course{person: a, manner: a.manner()}
	c.public = a.chance(0.48) // of the children (VFC: about half)
	for _, at := range wellVisits {
		day := a.birth + coldkeep.Date(at)
		if at > 0 {
			if c.chance(c.misses) {
				continue
			}
			day += coldkeep.Date(max(-4, c.normal(4, 7)))
			if c.chance(0.35) {
				day += coldkeep.Date(c.days(c.delay))
			}
		}
		c.visit(day)
	}
	c.adult()
	c.seasons()
	c.pandemic()
	slices.SortStableFunc(c.doses, func(x, y immunization.Dose) int { return int(x.Date - y.Date) })
	return c.doses
}

// childRule says when a child's dose is due: least age and least days since the last.
type childRule struct {
	of      antigen
	ages    []int // least age in days of each dose
	between []int // least days after the one before
	latest  int   // age in days after which it is not begun or continued; 0: none
	share   float64
}

var childRules = []childRule{
	{hepB, []int{0, 28, 168}, []int{0, 28, 56}, 0, 0.95},
	{rota, []int{42, 70, 98}, []int{0, 28, 28}, 240, 0.92},
	{dtap, []int{42, 70, 98, 365, 1461}, []int{0, 28, 28, 180, 180}, 2555, 0.97},
	{hib, []int{42, 70, 98, 365}, []int{0, 28, 28, 56}, 1826, 0.95},
	{pcv, []int{42, 70, 98, 365}, []int{0, 28, 28, 56}, 1826, 0.95},
	{polio, []int{42, 70, 168, 1461}, []int{0, 28, 28, 180}, 6570, 0.96},
	{mmr, []int{365, 1461}, []int{0, 28}, 6570, 0.97},
	{varicella, []int{365, 1461}, []int{0, 84}, 6570, 0.94},
	{hepA, []int{365, 545}, []int{0, 180}, 6570, 0.88},
	{tdap, []int{4000}, []int{0}, 6900, 0.93},
	{menACWY, []int{4000, 5840}, []int{0, 56}, 6900, 0.88},
	{hpv, []int{3650, 3830}, []int{0, 150}, 6900, 0.72},
	{menB, []int{5840, 6020}, []int{0, 28}, 6900, 0.3},
}

// visit gives what is due at a child's visit. A dose a little too early now and then is
// as life has it.
func (c *course) visit(day coldkeep.Date) {
	if c.gone(day) {
		return
	}
	year, _, _ := day.Civil()
	age := int(day - c.birth)
	line := c.p.practices[c.siteAt(day)].line
	for i := range childRules {
		r := &childRules[i]
		n := c.given[r.of]
		if n >= len(r.ages) || r.latest > 0 && age > r.latest {
			continue
		}
		slack := 0
		if c.chance(0.01) {
			slack = 6
		}
		if age < r.ages[n]-slack || n > 0 && int(day-c.last[r.of]) < r.between[n]-slack || !c.chance(r.share) {
			continue
		}
		if c.refuse(r.of, day) {
			continue
		}
		p, ok := offer(r.of, year, line)
		switch {
		case r.of == dtap && n == 4 && year >= 2008 && c.given[polio] < 4:
			p = &kinrix
		case r.of == dtap && (n == 3 || p != nil && len(p.protects) > 1 && c.given[polio] >= 3):
			p, ok = &products[dtap][3], year >= 1997
		case r.of == mmr && n == 0, r.of == mmr && c.given[varicella] >= 2:
			p = &products[mmr][0] // MMRV is not the first choice under four years
		case r.of == mmr && year >= 2005 && c.chance(0.6):
			p = &products[mmr][1]
		}
		if ok {
			c.give(p, day)
		}
	}
}

// gone reports whether the person is not seen that day.
func (c *course) gone(day coldkeep.Date) bool {
	return day > c.p.Today || day < c.birth || c.leaves.Known() && day >= c.leaves || c.lost.Known() && day > c.lost
}

// refuse enters a refusal once, and reports whether the antigen is refused.
func (c *course) refuse(of antigen, day coldkeep.Date) bool {
	if !c.refusesAll && !c.refusesAt[of] {
		return false
	}
	year, _, _ := day.Civil()
	if p, ok := offer(of, year, 0); ok && !c.asked[of] && year >= registryBegan && c.chance(0.6) {
		c.asked[of] = true
		site := &c.p.practices[c.siteAt(day)]
		reason := "00" // parental decision
		if ageAt(c.birth, day) >= childAge {
			reason = "03" // patient decision
		}
		at := c.enteredAfter(day, site)
		c.doses = append(c.doses, immunization.Dose{ID: c.id(at), Kind: immunization.Refused, Date: day, CVX: p.cvx, Refusal: reason, Site: site.ID,
			EnteredSite: site.ID, EnteredBy: choose(c.dice, site.Clinicians), EnteredAt: at, Revision: 1})
	}
	return true
}

func (c *course) enteredAfter(day coldkeep.Date, site *Practice) time.Time {
	lag := 0
	if c.chance(min(1, 0.15+site.LagDays/6)) {
		lag = c.days(site.LagDays * 1.5)
	}
	return c.workingHour(min(c.p.Today, day+coldkeep.Date(lag)))
}

// give enters a dose.
func (c *course) give(p *product, day coldkeep.Date) {
	for _, a := range p.protects {
		c.given[a]++
		c.last[a] = day
	}
	year, month, _ := day.Civil()
	site := &c.p.practices[c.siteAt(day)]
	elsewhere := ""
	age := ageAt(c.birth, day)
	if share := 0.04; p.protects[0] == flu || p.protects[0] == covid {
		if share = 0.12; age >= childAge {
			share = 0.5
		}
		if c.chance(share) {
			if elsewhere = "Pharmacy"; c.chance(0.25) { // which has not told the registry
				return
			}
		}
	} else if day-c.birth < 3 {
		elsewhere = "Birth hospital"
	} else if year < site.joined || c.chance(share) {
		elsewhere = "Told by the parent from a card"
	}
	at := c.enteredAfter(day, site)
	if year < site.joined {
		if !c.chance(0.25) { // nobody has told the registry
			return
		}
		if at = c.workingHour(coldkeep.CivilDate(site.joined, 1, 5) + coldkeep.Date(c.IntN(2000))); coldkeep.DateOf(at) > c.p.Today {
			at = c.workingHour(c.p.Today)
		}
	}
	d := immunization.Dose{ID: c.id(at), Date: day, CVX: p.cvx, EnteredSite: site.ID, EnteredBy: choose(c.dice, site.Clinicians), EnteredAt: at, Revision: 1}
	if elsewhere != "" {
		d.Kind, d.Source, d.Elsewhere = immunization.Historical, "01", elsewhere
		if elsewhere != "Told by the parent from a card" {
			d.MVX, d.Lot = p.mvx, lotNumber(p, year, month, c.IntN(4))
			d.Source = "04" // from another registry or provider
		}
		d.Site = ""
	} else {
		d.Kind, d.Source, d.Site = immunization.Administered, "00", site.ID
		d.MVX, d.NDC, d.Amount, d.Route = p.mvx, p.ndc, p.amount, p.route
		d.Lot = lotNumber(p, year, month, int(site.VFCPIN[len(site.VFCPIN)-1])%4)
		d.Expires = coldkeep.CivilDate(year+1, month, coldkeep.DaysIn(year+1, month))
		d.BodySite = c.bodySite(p, age)
		d.GivenBy = d.EnteredBy
		d.Eligibility, d.Funding = "V01", "PHC70"
		if age < 19 && c.public {
			d.Eligibility, d.Funding = "V02", "VXC50"
		}
		if day >= sheetEdition {
			for _, a := range p.protects {
				if sheets[a] != "" {
					d.VIS = append(d.VIS, immunization.VIS{Document: sheets[a], Edition: sheetEdition, Given: day})
				}
			}
		}
	}
	c.doses = append(c.doses, d)
}

func (c *course) bodySite(p *product, age int) string {
	switch {
	case p.route == "PO":
		return "MTH"
	case p.route == "NS":
		return "NAR"
	case age < 2:
		return choose(c.dice, []string{"LT", "RT"})
	case p.route == "SC":
		return choose(c.dice, []string{"LA", "RA"})
	}
	return choose(c.dice, []string{"LD", "LD", "RD"})
}

// lotNumber is that of a quarter's purchase. No maker's lot.
func lotNumber(p *product, year, month, batch int) string {
	const letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
	n := year*4 + (month-1)/3
	sum := batch
	for _, r := range p.cvx + p.mvx {
		sum = sum*31 + int(r)
	}
	if sum < 0 {
		sum = -sum
	}
	return string([]byte{letters[sum%23], letters[sum/23%23], byte('0' + n/1000%10), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10), letters[(sum/7+n)%23]})
}

// adult gives what adults are given: a booster against tetanus in ten years or so,
// zoster and pneumococcus with age, RSV since 2023.
func (c *course) adult() {
	year, _, _ := c.p.Today.Civil()
	since := max(yearsAfter(c.birth, 19), coldkeep.CivilDate(registryBegan, 1, 1))
	for day := since + coldkeep.Date(c.IntN(3650)); day <= c.p.Today; day += coldkeep.Date(3000 + c.IntN(2500)) {
		y, _, _ := day.Civil()
		if p, ok := offer(tdap, y, c.IntN(3)); ok && c.chance(0.6) && !c.gone(day) && !c.refuse(tdap, day) {
			c.give(p, day)
		}
	}
	later := func(of antigen, age, from int, share float64, doses, apart int) {
		first := max(yearsAfter(c.birth, age), coldkeep.CivilDate(from, 1, 15))
		day := first + coldkeep.Date(c.days(600))
		if !c.chance(share) {
			return
		}
		for range doses {
			y, _, _ := day.Civil()
			if p, ok := offer(of, y, c.IntN(2)); ok && !c.gone(day) && !c.refuse(of, day) {
				c.give(p, day)
			}
			day += coldkeep.Date(apart + c.IntN(40))
		}
	}
	later(zoster, 50, 2018, 0.35, 2, 70)
	later(zoster, 60, 2007, 0.15, 1, 0)
	later(pcv, 65, 2014, 0.6, 1, 0)
	if year >= 2023 {
		later(rsv, 75, 2023, 0.35, 1, 0)
	}
	if day := yearsAfter(c.birth, 65) + coldkeep.Date(c.days(500)); c.chance(0.5) && !c.gone(day) && day > coldkeep.CivilDate(registryBegan, 1, 1) && !c.refuse(pcv, day) {
		c.give(&ppsv, day)
	}
}

// seasons gives influenza vaccine from September to January. Under nine years a first
// season has two doses.
func (c *course) seasons() {
	today, _, _ := c.p.Today.Civil()
	born, _, _ := c.birth.Civil()
	for y := max(born, 2006); y <= today; y++ {
		day := coldkeep.CivilDate(y, 9, 1) + coldkeep.Date(min(150, max(0, c.normal(42, 28))))
		if day-c.birth < 183 || c.gone(day) || !c.chance(c.flu) || y < 2010 && c.chance(0.4) {
			continue
		}
		if c.refuse(flu, day) {
			return
		}
		year, _, _ := day.Civil()
		p, ok := offer(flu, year, c.p.practices[c.siteAt(day)].line)
		age := ageAt(c.birth, day)
		switch {
		case age >= 65 && year >= 2020 && year <= 2023:
			p, ok = &fluHighDose, true
		case age >= 65 && year >= 2010:
			p, ok = &fluHighTri, true
		case age >= 2 && age < 18 && year >= 2013 && year <= 2023 && c.chance(0.15):
			p, ok = &fluNasal, true
		}
		if !ok {
			continue
		}
		first := c.given[flu] == 0 && age < 9
		c.give(p, day)
		if second := day + 28 + coldkeep.Date(c.days(9)); first && !c.gone(second) && c.chance(0.7) {
			c.give(p, second)
		}
	}
}

// pandemic gives COVID-19 vaccine since the end of 2020.
func (c *course) pandemic() {
	if !c.chance(c.covid) {
		return
	}
	start := coldkeep.CivilDate(2021, 2, 15)
	switch age := ageAt(c.birth, start); {
	case age >= 65:
	case age >= 16:
		start = coldkeep.CivilDate(2021, 4, 1)
	case age >= 12:
		start = coldkeep.CivilDate(2021, 5, 20)
	case age >= 5:
		start = coldkeep.CivilDate(2021, 11, 10)
		if c.chance(0.5) {
			return
		}
	default:
		return
	}
	day := start + coldkeep.Date(c.days(60))
	give := func(day coldkeep.Date) bool {
		if c.gone(day) || c.refuse(covid, day) {
			return false
		}
		year, _, _ := day.Civil()
		p, ok := offer(covid, year, c.IntN(2))
		if age := ageAt(c.birth, day); age < 12 && year <= 2022 {
			p, ok = &covidChild, true
		} else if age < 12 {
			p, ok = &covidChild2, true
		}
		if ok {
			c.give(p, day)
		}
		return ok
	}
	if !give(day) || !give(day+21+coldkeep.Date(c.days(4))) {
		return
	}
	if c.chance(0.55) {
		give(day + 180 + coldkeep.Date(c.days(60)))
	}
	today, _, _ := c.p.Today.Civil()
	for y := 2022; y <= today; y++ {
		share := 0.15
		if ageAt(c.birth, c.p.Today) >= 65 {
			share = 0.42
		}
		if c.chance(share) {
			give(coldkeep.CivilDate(y, 9, 15) + coldkeep.Date(c.days(35)))
		}
	}
}

// entered is the day on which the registry first heard of the person.
func (a *person) entered(doses []immunization.Dose) coldkeep.Date {
	began := coldkeep.CivilDate(registryBegan, 1, 5)
	day := max(a.birth, began) + coldkeep.Date(a.days(20))
	if ageAt(a.birth, began) >= 6 { // an adult comes with a first dose, or somewhen
		day = a.day(began, a.p.Today)
	}
	if a.leaves.Known() {
		day = min(day, max(a.birth, a.leaves-1))
	}
	for i := range doses {
		day = min(day, coldkeep.DateOf(doses[i].EnteredAt))
	}
	return min(day, a.p.Today)
}
