package coverage

import (
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

var (
	testEngine = forecast.New(forecast.Builtin())
	born       = coldkeep.NewDate(2022, 3, 10)
)

// child is somebody with doses, each "cvx date" or "cvx/mvx date", entered on their day.
func child(t *testing.T, birth coldkeep.Date, doses ...string) *Person {
	t.Helper()
	p := &Person{Head: "P", Birth: birth, Sex: "F"}
	for i, d := range doses {
		what, day, _ := strings.Cut(d, " ")
		cvx, mvx, _ := strings.Cut(what, "/")
		on, err := coldkeep.ParseDate(day)
		if err != nil {
			t.Fatal(err)
		}
		p.Doses = append(p.Doses, Dose{ID: string(rune('A' + i)), Date: on, CVX: cvx, MVX: mvx, Administered: true, Site: "lakeside", Entered: on.Midnight(time.UTC).Add(12 * time.Hour)})
	}
	return p
}

func measureOf(t *testing.T, id string) *plan {
	t.Helper()
	for _, m := range Builtin() {
		if m.ID == id {
			p, err := m.compile(testEngine.Schedule())
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatalf("no measure %s", id)
	return nil
}

func onDay(day coldkeep.Date) moment {
	return moment{day, (day + 1).Midnight(time.UTC).Add(-time.Millisecond)}
}

// lacks is what a person lacks of a part of a measure: valid doses, and doses by count.
func lacks(t *testing.T, p *Person, measure, part string, day coldkeep.Date) (valid, count int) {
	t.Helper()
	m := measureOf(t, measure)
	v := newEvaluator(testEngine)
	v.look(p, onDay(day))
	l := v.lack(m, onDay(day), nil)
	if part == "" {
		return l.total(byValid), l.total(byCount)
	}
	for i := range m.Parts {
		if m.Parts[i].ID == part {
			return l[i][byValid], l[i][byCount]
		}
	}
	t.Fatalf("measure %s has no part %s", measure, part)
	return 0, 0
}

func TestBuiltinMeasures(t *testing.T) {
	if len(Builtin()) != 13 {
		t.Fatalf("%d measures", len(Builtin()))
	}
	files, err := builtinFiles.ReadDir("measures")
	if err != nil || len(files) != len(Builtin()) {
		t.Fatalf("%d files for %d measures, %v", len(files), len(Builtin()), err)
	}
	for _, m := range Builtin() {
		if err := m.Check(testEngine.Schedule()); err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
	}
}

// Each row is on the edge of a rule, with what is lacking on either side of it.
func TestEdges(t *testing.T) {
	day := coldkeep.NewDate(2025, 1, 15) // 34 months old: for both series and CIS
	d := func(age int) string { return (born + coldkeep.Date(age)).String() }
	first, second := coldkeep.NewDate(2023, 3, 10), coldkeep.NewDate(2024, 3, 10) // birthdays
	teen := coldkeep.NewDate(2012, 3, 10)                                         // 13th birthday 2025-03-10
	teenDay := coldkeep.NewDate(2025, 9, 1)
	for _, c := range []struct {
		name          string
		birth, day    coldkeep.Date
		measure, part string
		doses         []string
		valid, count  int
	}{
		// Day 42: HEDIS counts from day 42 of life; ACIP's six weeks have 4 days of grace.
		{"CIS, PCV on day 42", born, day, "cis-3", "pcv", []string{"133 " + d(42)}, 3, 3},
		{"CIS, PCV on day 41", born, day, "cis-3", "pcv", []string{"133 " + d(41)}, 4, 4},
		{"series, PCV on day 38, with grace", born, day, "4313314", "pcv", []string{"133 " + d(38)}, 3, 3},
		{"series, PCV on day 37", born, day, "4313314", "pcv", []string{"133 " + d(37)}, 4, 4},
		{"PPSV23 is no conjugate vaccine", born, day, "4313314", "pcv", []string{"33 " + second.String()}, 4, 4},
		// The first birthday: HEDIS has no grace, the series has 4 days.
		{"CIS, MMR on the first birthday", born, day, "cis-3", "mmr", []string{"03 " + first.String()}, 0, 0},
		{"CIS, MMR the day before", born, day, "cis-3", "mmr", []string{"03 " + (first - 1).String()}, 1, 1},
		{"series, MMR 4 days before the first birthday", born, day, "4313314", "mmr", []string{"03 " + (first - 4).String()}, 0, 0},
		{"series, MMR 5 days before", born, day, "4313314", "mmr", []string{"03 " + (first - 5).String()}, 1, 1},
		{"measles alone lacks mumps and rubella", born, day, "4313314", "mmr", []string{"05 " + second.String()}, 1, 1},
		// The second birthday.
		{"CIS, MMR on the second birthday", born, day, "cis-3", "mmr", []string{"03 " + second.String()}, 0, 0},
		{"CIS, MMR the day after it", born, day, "cis-3", "mmr", []string{"03 " + (second + 1).String()}, 1, 1},
		{"series on the day, MMR after it", born, day, "4313314", "mmr", []string{"03 " + (second + 1).String()}, 0, 0},
		{"series by 24 months, MMR after it", born, day, "4313314-24", "mmr", []string{"03 " + (second + 1).String()}, 1, 1},
		{"nothing after the day of the assessment", born, second, "4313314", "mmr", []string{"03 " + (second + 1).String()}, 1, 1},
		// Hib: four doses, three after two of PRP-OMP, which Vaxelis is not.
		{"Hib, three of PRP-T", born, day, "4313314", "hib", []string{"48 " + d(61), "48 " + d(122), "48 " + d(400)}, 1, 1},
		{"Hib, four of PRP-T", born, day, "4313314", "hib", []string{"48 " + d(61), "48 " + d(122), "48 " + d(183), "48 " + d(400)}, 0, 0},
		{"Hib, three that begin with two of PRP-OMP", born, day, "4313314", "hib", []string{"49/MSD " + d(61), "49/MSD " + d(122), "48 " + d(400)}, 0, 0},
		{"Hib, only the first is PRP-OMP", born, day, "4313314", "hib", []string{"49/MSD " + d(61), "48 " + d(122), "48 " + d(400)}, 1, 1},
		{"Hib, three of Vaxelis", born, day, "4313314", "hib", []string{"146 " + d(61), "146 " + d(122), "146 " + d(183)}, 1, 1},
		{"CIS, Hib, three of any", born, day, "cis-3", "hib", []string{"48 " + d(61), "48 " + d(122), "48 " + d(400)}, 0, 0},
		// By count and by the schedule differ where an interval is short.
		{"polio, the second too soon", born, day, "4313314", "polio", []string{"10 " + d(61), "10 " + d(71), "10 " + d(183)}, 1, 0},
		{"two on one day are one", born, day, "4313314", "polio", []string{"10 " + d(61), "110 " + d(61), "10 " + d(183)}, 1, 1},
		{"a combination counts for all of its antigens", born, day, "4313314", "polio", []string{"110 " + d(61), "110 " + d(122), "110 " + d(183)}, 0, 0},
		{"DT lacks pertussis", born, day, "4313314", "dtap", []string{"28 " + d(61), "20 " + d(122), "20 " + d(183), "20 " + d(500)}, 1, 1},
		// Rotavirus and influenza.
		{"rotavirus, two of the two-dose vaccine", born, day, "cis-7", "rotavirus", []string{"119 " + d(61), "119 " + d(122)}, 0, 0},
		{"rotavirus, one of each", born, day, "cis-7", "rotavirus", []string{"119 " + d(61), "116 " + d(122)}, 1, 1},
		{"rotavirus, one and two", born, day, "cis-7", "rotavirus", []string{"119 " + d(61), "116 " + d(122), "116 " + d(183)}, 0, 0},
		{"influenza on day 179 and later", born, day, "cis-10", "influenza", []string{"150 " + d(179), "150 " + d(230)}, 1, 1},
		{"influenza from day 180", born, day, "cis-10", "influenza", []string{"150 " + d(180), "150 " + d(230)}, 0, 0},
		{"live influenza before the second birthday", born, day, "cis-10", "influenza", []string{"150 " + d(230), "149 " + (second - 1).String()}, 1, 1},
		{"live influenza on it", born, day, "cis-10", "influenza", []string{"150 " + d(230), "149 " + second.String()}, 0, 0},
		{"influenza, 1 July begins the season", born, day, "influenza", "", []string{"150 2024-07-01"}, 0, 0},
		{"influenza, 30 June is of the last", born, day, "influenza", "", []string{"150 2024-06-30"}, 1, 1},
		{"influenza, assessed on 30 June", born, coldkeep.NewDate(2024, 6, 30), "influenza", "", []string{"150 2023-07-01"}, 0, 0},
		// HPV: two 146 days apart, or three.
		// Both doses are valid, the second as one of three: the measure asks for valid doses.
		{"HPV, 146 days apart", teen, teenDay, "ima-2", "hpv", []string{"165 2023-04-01", "165 2023-08-25"}, 0, 0},
		{"HPV, 145 days apart", teen, teenDay, "ima-2", "hpv", []string{"165 2023-04-01", "165 2023-08-24"}, 1, 1},
		{"HPV, 5 months apart", teen, teenDay, "ima-2", "hpv", []string{"165 2023-04-01", "165 2023-09-01"}, 0, 0},
		{"HPV, three", teen, teenDay, "ima-2", "hpv", []string{"165 2023-04-01", "165 2023-05-15", "165 2023-10-20"}, 0, 0},
		{"HPV, the day before the ninth birthday", teen, teenDay, "ima-2", "hpv", []string{"165 2021-03-09", "165 2023-09-01"}, 1, 1},
		{"HPV, after the thirteenth", teen, teenDay, "ima-2", "hpv", []string{"165 2023-09-01", "165 2025-03-11"}, 1, 1},
		{"Tdap on the tenth birthday", teen, teenDay, "ima-1", "tdap", []string{"115 2022-03-10"}, 0, 0},
		{"Tdap the day before it", teen, teenDay, "ima-1", "tdap", []string{"115 2022-03-09"}, 1, 1},
		{"Td is no Tdap", teen, teenDay, "ima-1", "tdap", []string{"113 2023-03-09"}, 1, 1},
		{"meningococcal on the tenth birthday", teen, teenDay, "ima-1", "menacwy", []string{"203 2022-03-10"}, 0, 0},
		{"meningococcal on the thirteenth", teen, teenDay, "ima-1", "menacwy", []string{"203 2025-03-10"}, 0, 0},
		{"meningococcal the day after", teen, teenDay, "ima-1", "menacwy", []string{"203 2025-03-11"}, 1, 1},
		{"MenB does not count", teen, teenDay, "ima-1", "menacwy", []string{"162 2024-03-11"}, 1, 1},
		// Hepatitis B: two of the adolescent series are complete by the schedule.
		{"teen, two of the adolescent hepatitis B", teen, teenDay, "teen", "hepb", []string{"43/MSD 2023-04-01", "43/MSD 2023-09-01"}, 0, 1},
		// Illinois, kindergarten: the last on or after the fourth birthday.
		{"kindergarten, last polio on the fourth birthday", coldkeep.NewDate(2019, 5, 5), coldkeep.NewDate(2024, 9, 1), "il-kindergarten", "polio", []string{"10 2019-07-05", "10 2019-09-05", "10 2019-11-05", "10 2023-05-05"}, 0, 0},
		{"kindergarten, the day before it", coldkeep.NewDate(2019, 5, 5), coldkeep.NewDate(2024, 9, 1), "il-kindergarten", "polio", []string{"10 2019-07-05", "10 2019-09-05", "10 2019-11-05", "10 2023-05-04"}, 1, 1},
		{"kindergarten, MMR 28 days apart", coldkeep.NewDate(2019, 5, 5), coldkeep.NewDate(2024, 9, 1), "il-kindergarten", "mmr", []string{"03 2020-05-05", "03 2020-06-02"}, 0, 0},
		{"kindergarten, MMR 27 days apart", coldkeep.NewDate(2019, 5, 5), coldkeep.NewDate(2024, 9, 1), "il-kindergarten", "mmr", []string{"03 2020-05-05", "03 2020-06-01"}, 1, 1},
		// Adults.
		{"Td ten years ago to the day", coldkeep.NewDate(1970, 1, 1), coldkeep.NewDate(2024, 9, 1), "adult", "td", []string{"113 2014-09-01"}, 0, 0},
		{"Td the day before", coldkeep.NewDate(1970, 1, 1), coldkeep.NewDate(2024, 9, 1), "adult", "td", []string{"113 2014-08-31"}, 1, 1},
		{"zoster 24 days apart", coldkeep.NewDate(1950, 1, 1), coldkeep.NewDate(2024, 9, 1), "adult-65", "zoster", []string{"187 2023-01-01", "187 2023-01-25"}, 0, 0},
		{"live zoster vaccine does not count", coldkeep.NewDate(1950, 1, 1), coldkeep.NewDate(2024, 9, 1), "adult-65", "zoster", []string{"121 2013-01-01", "187 2023-01-25"}, 1, 1},
		{"PCV13 and PPSV23", coldkeep.NewDate(1950, 1, 1), coldkeep.NewDate(2024, 9, 1), "adult-65", "pneumococcal", []string{"133 2016-01-01", "33 2017-01-25"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			valid, count := lacks(t, child(t, c.birth, c.doses...), c.measure, c.part, c.day)
			if valid != c.valid || count != c.count {
				t.Errorf("lacks %d valid and %d by count, want %d and %d", valid, count, c.valid, c.count)
			}
		})
	}
}

// What became of a dose on the record decides whether it counts, on the day that it was so.
func TestDosesThatDoNotCount(t *testing.T) {
	day := coldkeep.NewDate(2025, 1, 15)
	mmr := "03 2023-04-01"
	later := coldkeep.NewDate(2025, 1, 20).Midnight(time.UTC)
	for _, c := range []struct {
		name         string
		change       func(p *Person)
		valid, count int
	}{
		{"as it is", func(*Person) {}, 0, 0},
		{"refused", func(p *Person) { p.Doses[0].Refused = true }, 1, 1},
		{"spoilt by a cold-chain break", func(p *Person) { p.Doses[0].NonViable = true }, 1, 1},
		{"from a lot that had expired", func(p *Person) { p.Doses[0].Expires = p.Doses[0].Date - 1 }, 1, 0},
		{"deleted", func(p *Person) { at := p.Doses[0].Entered; p.Doses[0].Deleted = &at }, 1, 1},
		{"deleted after the day", func(p *Person) { p.Doses[0].Deleted = &later }, 0, 0},
		{"entered after the day", func(p *Person) { p.Doses[0].Entered = later }, 1, 1},
		{"told of by a better record", func(p *Person) {
			p.Doses = append(p.Doses, p.Doses[0])
			p.Doses[0].DuplicateOf, p.Doses[1].ID = "B", "B"
		}, 0, 0},
		{"told of by a better record that was entered after the day", func(p *Person) {
			p.Doses = append(p.Doses, p.Doses[0])
			p.Doses[0].DuplicateOf, p.Doses[1].ID, p.Doses[1].Entered = "B", "B", later
		}, 0, 0},
		{"evidence of immunity to all three", func(p *Person) {
			p.Doses = nil
			s := testEngine.Schedule()
			for i := range s.Antigens {
				if a := &s.Antigens[i]; a.Name == "Measles" || a.Name == "Mumps" || a.Name == "Rubella" {
					p.Facts = append(p.Facts, Fact{Code: s.Observations[a.Immune[0]].Code})
				}
			}
		}, 0, 0},
		{"to one of them", func(p *Person) {
			p.Doses = nil
			s := testEngine.Schedule()
			for i := range s.Antigens {
				if a := &s.Antigens[i]; a.Name == "Measles" {
					p.Facts = append(p.Facts, Fact{Code: s.Observations[a.Immune[0]].Code})
				}
			}
		}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := child(t, born, mmr)
			c.change(p)
			valid, count := lacks(t, p, "4313314", "mmr", day)
			if valid != c.valid || count != c.count {
				t.Errorf("lacks %d valid and %d by count, want %d and %d", valid, count, c.valid, c.count)
			}
		})
	}
}

// A cohort is of ages that are reached on the day and not passed.
func TestAges(t *testing.T) {
	day := coldkeep.NewDate(2025, 1, 15)
	v, err := newSurvey(&Run{Day: day, Zone: "UTC", Asked: Asked{Measures: []Measure{*measureOf(t, "4313314").Measure}}}, testEngine)
	if err != nil {
		t.Fatal(err)
	}
	first, last := v.births()
	for birth, want := range map[coldkeep.Date]bool{
		coldkeep.NewDate(2023, 6, 15): true, coldkeep.NewDate(2023, 6, 16): false, // 19 months
		coldkeep.NewDate(2022, 1, 16): true, coldkeep.NewDate(2022, 1, 15): false, // 36 months
	} {
		if got := v.assesses(v.plans[0], birth, day); got != want {
			t.Errorf("born on %s: %v", birth, got)
		}
		if want && (birth < first || birth > last) {
			t.Errorf("%s is not read: %s to %s are", birth, first, last)
		}
	}
}
