package simulate

import (
	"fmt"
	"strconv"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// town is a place of Illinois with its post codes and about how many thousand live there.
type town struct {
	name, county string
	zip, zips    int // the first code and how many follow
	thousands    float64
}

var towns = []town{
	{"Chicago", "Cook", 60601, 57, 2747}, {"Aurora", "Kane", 60502, 5, 181}, {"Joliet", "Will", 60431, 5, 150}, {"Naperville", "DuPage", 60540, 1, 150},
	{"Rockford", "Winnebago", 61101, 9, 149}, {"Elgin", "Kane", 60120, 5, 115}, {"Springfield", "Sangamon", 62701, 7, 114}, {"Peoria", "Peoria", 61602, 5, 113},
	{"Waukegan", "Lake", 60085, 3, 89}, {"Champaign", "Champaign", 61820, 3, 88}, {"Cicero", "Cook", 60804, 1, 85}, {"Bloomington", "McLean", 61701, 5, 79},
	{"Evanston", "Cook", 60201, 3, 78}, {"Schaumburg", "Cook", 60193, 3, 79}, {"Decatur", "Macon", 62521, 6, 70}, {"Skokie", "Cook", 60076, 2, 68},
	{"Moline", "Rock Island", 61265, 1, 43}, {"Urbana", "Champaign", 61801, 2, 38}, {"Belleville", "St. Clair", 62220, 5, 42}, {"DeKalb", "DeKalb", 60115, 1, 40},
	{"Quincy", "Adams", 62301, 1, 39}, {"Kankakee", "Kankakee", 60901, 1, 24}, {"Galesburg", "Knox", 61401, 1, 30}, {"Danville", "Vermilion", 61832, 3, 29},
	{"Alton", "Madison", 62002, 1, 26}, {"Carbondale", "Jackson", 62901, 3, 22}, {"Freeport", "Stephenson", 61032, 1, 24}, {"Ottawa", "LaSalle", 61350, 1, 19},
	{"Effingham", "Effingham", 62401, 1, 12}, {"Mount Vernon", "Jefferson", 62864, 1, 15}, {"Marion", "Williamson", 62959, 1, 17}, {"Macomb", "McDonough", 61455, 1, 15},
}

var townSums = func() (sums []float64) {
	sum := 0.0
	for _, t := range towns {
		sum += t.thousands
		sums = append(sums, sum)
	}
	return sums
}()

var (
	streets = ranked(25, `Main Oak Maple Park Washington Elm Cedar Pine Lincoln Jefferson Walnut Jackson Adams Church Spring Center Lake Hill Franklin Madison
		Cherry Prairie River Monroe Highland Chestnut Grant College Locust Sunset Union Willow Mill Vine School State Forest Cottage_Grove
		Ashland Halsted Pulaski Western Kedzie Cicero Damen Racine Clark Broadway Sheridan Dempster Touhy Harlem Austin Kimball Lawrence
		Belmont Fullerton Diversey Archer Ogden Roosevelt Cermak Garfield Meadow Ridge Valley Birch Hickory Sycamore Magnolia Dogwood Juniper
		Deer_Run Fox_Hollow Quail_Ridge Wildwood Briarwood Fairview Orchard Pleasant Summit Grove Harrison Taylor Polk Van_Buren Fillmore
		Pierce Buchanan Hamilton Winnebago Kickapoo Sangamon Iroquois Pontiac Tecumseh Black_Hawk Burr_Oak`)
	streetKinds = ranked(2, `St Ave Rd Dr Ln Ct Blvd Pl Way Ter`)
	compass     = []string{"N", "S", "E", "W"}
)

func address(d dice, town int) patient.Address {
	t := &towns[town]
	a := patient.Address{City: t.name, County: t.county, State: "IL", Country: "USA", Kind: "H", ZIP: strconv.Itoa(t.zip + d.IntN(t.zips))}
	a.Street = strconv.Itoa(d.between(1, 99)*100+d.IntN(100)) + " "
	if d.chance(0.5) {
		a.Street += choose(d, compass) + " "
	}
	a.Street += streets.pick(d) + " " + streetKinds.pick(d)
	if d.chance(0.28) {
		a.Street2 = "Apt " + strconv.Itoa(d.between(1, 24))
		if d.chance(0.4) {
			a.Street2 += string(rune('A' + d.IntN(6)))
		}
	}
	return a
}

// phone is a number in an area code of the form N9X, which the North American Numbering
// Plan keeps for its own expansion: nobody has it.
func phone(d dice) string {
	return strconv.Itoa(d.between(2, 9)) + "9" + strconv.Itoa(d.IntN(10)) + strconv.Itoa(d.between(200, 999)) + d.digits(4)
}

// Practice is an invented practice.
type Practice struct {
	coldkeep.Site
	Town       string
	LagDays    float64  // mean days between a dose and its entry
	Clinicians []string // who gives doses there
	town       int
	children   bool // pediatrics: takes nobody over 21
	line       int  // whose vaccines it mostly buys
	joined     int  // the year since which it enters what it gives
}

// Sites lists the practices, which must be sites of the registry before the records can
// be.
func (p *Population) Sites() []Practice { return p.practices }

var practiceKinds = []string{"Pediatrics", "Family Medicine", "Family Health Center", "Medical Group", "Pediatrics", "Community Clinic", "Internal Medicine", "Health Department"}

func (p *Population) foundPractices() {
	d := newDice(p.Seed, 1<<63)
	p.byTown = make([][]int, len(towns))
	for i := range p.Config.Practices {
		t := pickSum(d, townSums)
		if i < len(towns) && i < p.Config.Practices/2 {
			t = i
		}
		kind := practiceKinds[i%len(practiceKinds)]
		pr := Practice{town: t, Town: towns[t].name, children: kind == "Pediatrics" && i > 0, line: d.IntN(3), LagDays: 0.3}
		pr.Site = coldkeep.Site{ID: coldkeep.SiteID(fmt.Sprintf("sim-%04d", i+1)), Name: fmt.Sprintf("%s %s %s", streets.pick(d), kind, towns[t].name), VFCPIN: fmt.Sprintf("9%05d", i+1), TimeZone: "America/Chicago"}
		pr.joined = registryBegan + d.between(2, 16)
		if d.chance(0.2) { // enters by hand at the week's or the month's end
			pr.LagDays = float64(d.between(4, 20))
		}
		for range d.between(2, 5) {
			pr.Clinicians = append(pr.Clinicians, givenName(d, white, true, 1980)+" "+familyName(d, d.IntN(4))+", "+choose(d, []string{"RN", "LPN", "MA", "PA-C", "MD"}))
		}
		p.practices = append(p.practices, pr)
		p.byTown[t] = append(p.byTown[t], i)
	}
}

// practice chooses one near a town for somebody.
func (p *Population) practice(d dice, town int, child bool) int {
	near := p.byTown[town]
	for range 8 {
		i := 0
		if len(near) > 0 && d.chance(0.93) {
			i = choose(d, near)
		} else {
			i = d.IntN(len(p.practices))
		}
		if child || !p.practices[i].children {
			return i
		}
	}
	return 0
}
