package schoolrule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"pgregory.net/rapid"
)

func day(t testing.TB, s string) coldkeep.Date {
	t.Helper()
	d, err := coldkeep.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// child is born on a day and has doses "cvx date …"; a date of seven characters is a month.
func child(t testing.TB, birth string, doses ...string) Child {
	t.Helper()
	c := Child{Birth: day(t, birth)}
	for _, line := range doses {
		f := strings.Fields(line)
		for _, on := range f[1:] {
			d := Dose{CVX: f[0]}
			if len(on) == 7 {
				d.From = day(t, on+"-01")
				y, m, _ := d.From.Civil()
				d.To = coldkeep.NewDate(y, m, coldkeep.DaysIn(y, m))
			} else {
				d.From = day(t, on)
				d.To = d.From
			}
			c.Doses = append(c.Doses, d)
		}
	}
	return c
}

func find(t testing.TB, c Child, grade, requirement, on string) *Finding {
	t.Helper()
	r, err := For(grade, day(t, on))
	if err != nil {
		t.Fatal(err)
	}
	j, err := r.Judge(c, grade, day(t, on))
	if err != nil {
		t.Fatal(err)
	}
	for i := range j.Findings {
		if j.Findings[i].Requirement == requirement {
			return &j.Findings[i]
		}
	}
	return nil
}

// Each number of the rule, the day before it and the day of it. The sources are beside the
// numbers in illinois-665.json and illinois-694.json.
func TestBoundariesByTheDay(t *testing.T) {
	const autumn = "2026-09-01"
	for _, x := range []struct {
		about, birth, grade, requirement string
		doses                            []string
		on                               string
		want                             Status // "": nothing is asked
		next                             string
	}{
		// DTaP, child care: 3 by 1 year, 1 more by the second birthday.
		{"before the first birthday nothing is late", "2025-09-02", "child-care", "dtap", nil, autumn, InProcess, ""},
		{"on the first birthday three are asked", "2025-09-01", "child-care", "dtap", []string{"20 2025-11-01 2026-01-01"}, autumn, Unprotected, autumn},
		{"three by 1 year, 28 days apart", "2025-09-01", "child-care", "dtap", []string{"20 2025-11-01 2025-11-29 2025-12-27"}, autumn, Protected, ""},
		{"27 days are not 4 weeks", "2025-09-01", "child-care", "dtap", []string{"20 2025-11-01 2025-11-29 2025-12-26"}, autumn, Unprotected, autumn},
		{"the day before the second birthday three do", "2024-09-02", "child-care", "dtap", []string{"20 2024-11-01 2025-01-01 2025-03-01"}, autumn, Protected, ""},
		{"on it four are asked", "2024-09-01", "child-care", "dtap", []string{"20 2024-11-01 2025-01-01 2025-03-01"}, autumn, Unprotected, autumn},
		{"the booster six months after the third", "2024-09-01", "child-care", "dtap", []string{"20 2024-11-01 2025-01-01 2025-03-01 2025-09-01"}, autumn, Protected, ""},
		{"not a day earlier", "2024-09-01", "child-care", "dtap", []string{"20 2024-11-01 2025-01-01 2025-03-01 2025-08-31"}, autumn, Unprotected, autumn},
		// Kindergarten: 4, the last on or after the 4th birthday.
		{"the last on the 4th birthday", "2021-03-10", "K", "dtap", []string{"20 2021-05-10 2021-07-10 2021-09-10 2025-03-10"}, autumn, Protected, ""},
		{"the day before it", "2021-03-10", "K", "dtap", []string{"20 2021-05-10 2021-07-10 2021-09-10 2025-03-09"}, autumn, Unprotected, autumn},
		{"an early fourth and a fifth do", "2021-03-10", "K", "dtap", []string{"20 2021-05-10 2021-07-10 2021-09-10 2022-06-10 2025-03-10"}, autumn, Protected, ""},
		{"a fourth six months after the third is not due before", "2021-03-10", "K", "dtap", []string{"20 2026-03-15 2026-04-15 2026-05-15"}, autumn, InProcess, "2026-11-15"},
		{"months by calendar: the 31st and six months", "2021-03-10", "K", "dtap", []string{"20 2021-05-10 2021-07-10 2025-08-31 2026-03-01"}, autumn, Protected, ""},
		{"28 February is a day too soon", "2021-03-10", "K", "dtap", []string{"20 2021-05-10 2021-07-10 2025-08-31 2026-02-28"}, autumn, Unprotected, autumn},
		{"born on 29 February: the 4th birthday is one", "2020-02-29", "1", "dtap", []string{"20 2020-05-01 2020-07-01 2024-02-29"}, autumn, Protected, ""},
		{"born on 29 February: the 1st is 1 March", "2020-02-29", "K", "measles", []string{"03 2021-02-28 2024-03-01"}, autumn, Unprotected, autumn},
		{"from 7 years three do", "2019-09-01", "K", "dtap", []string{"115 2026-01-01", "09 2026-02-01 2026-08-01"}, autumn, Protected, ""},
		{"the day before 7 years they do not", "2019-09-02", "K", "dtap", []string{"115 2025-11-01", "09 2025-12-01 2026-08-01"}, autumn, InProcess, "2027-02-01"},
		{"later grades: three", "2018-05-01", "3", "dtap", []string{"20 2018-07-01 2018-09-01 2022-05-01"}, autumn, Protected, ""},
		// Tdap from grade 6.
		{"grade 5 asks for no Tdap", "2015-05-01", "5", "tdap", nil, autumn, "", ""},
		{"grade 6 does", "2014-05-01", "6", "tdap", nil, autumn, Unprotected, autumn},
		{"a Td does not count", "2014-05-01", "6", "tdap", []string{"09 2025-06-01"}, autumn, Unprotected, autumn},
		{"a Tdap whatever the interval", "2014-05-01", "6", "tdap", []string{"09 2025-06-01", "115 2025-06-02"}, autumn, Protected, ""},
		// Polio.
		{"kindergarten: three are not four", "2021-03-10", "K", "polio", []string{"10 2021-05-10 2021-07-10 2025-03-10"}, autumn, Unprotected, autumn},
		{"kindergarten: four by a combination", "2021-03-10", "K", "polio", []string{"110 2021-05-10 2021-07-10 2021-09-10", "130 2025-03-10"}, autumn, Protected, ""},
		{"later: three of one type", "2018-05-01", "3", "polio", []string{"10 2018-07-01 2018-09-01 2022-05-01"}, autumn, Protected, ""},
		{"later: three of mixed types are not enough", "2018-05-01", "3", "polio", []string{"02 2018-07-01", "10 2018-09-01 2022-05-01"}, autumn, Unprotected, autumn},
		{"later: four of mixed types are", "2018-05-01", "3", "polio", []string{"02 2018-07-01 2018-08-01", "10 2018-09-01 2022-05-01"}, autumn, Protected, ""},
		{"of unknown type counts as mixed", "2018-05-01", "3", "polio", []string{"89 2018-07-01", "10 2018-09-01 2022-05-01"}, autumn, Unprotected, autumn},
		// MMR.
		{"child care: not before 24 months", "2024-09-02", "child-care", "measles", nil, autumn, InProcess, ""},
		{"child care: by 24 months", "2024-09-01", "child-care", "measles", nil, autumn, Unprotected, autumn},
		{"on the first birthday", "2024-09-01", "child-care", "measles", []string{"03 2025-09-01"}, autumn, Protected, ""},
		{"the day before: no days of grace", "2024-09-01", "child-care", "measles", []string{"03 2025-08-31"}, autumn, Unprotected, autumn},
		{"two, 28 days apart", "2021-03-10", "K", "measles", []string{"03 2022-03-10 2022-04-07"}, autumn, Protected, ""},
		{"two, 27 days apart", "2021-03-10", "K", "measles", []string{"03 2022-03-10 2022-04-06"}, autumn, Unprotected, autumn},
		{"one, ten days ago", "2021-03-10", "K", "measles", []string{"03 2026-08-22"}, autumn, InProcess, "2026-09-19"},
		{"rubella is not in a measles vaccine", "2021-03-10", "K", "rubella", []string{"05 2022-03-10", "03 2025-03-10"}, autumn, Unprotected, autumn},
		{"mumps is in MMRV", "2021-03-10", "K", "mumps", []string{"94 2022-03-10 2025-03-10"}, autumn, Protected, ""},
		// Hib and PCV end at the 5th birthday.
		{"Hib at 15 months: one does", "2025-01-15", "child-care", "hib", []string{"48 2026-04-15"}, autumn, Protected, ""},
		{"Hib the day before: it does not", "2025-01-15", "child-care", "hib", []string{"48 2026-04-14"}, autumn, Unprotected, autumn},
		{"Hib the day before the 5th birthday", "2021-09-02", "child-care", "hib", nil, autumn, Unprotected, autumn},
		{"Hib on the 5th birthday", "2021-09-01", "child-care", "hib", nil, autumn, "", ""},
		{"PCV at 24 months: one", "2024-09-01", "child-care", "pcv", []string{"133 2024-12-01"}, autumn, Protected, ""},
		{"PPSV23 is no conjugate", "2024-09-01", "child-care", "pcv", []string{"33 2026-08-30"}, autumn, Unprotected, autumn},
		// Hepatitis B.
		{"the third at 24 weeks", "2014-01-01", "6", "hepb", []string{"08 2014-01-01 2014-02-01 2014-06-18"}, autumn, Protected, ""},
		{"the day before", "2014-01-01", "6", "hepb", []string{"08 2014-01-01 2014-02-01 2014-06-17"}, autumn, Unprotected, autumn},
		{"the third 4 months after the first", "2014-01-01", "6", "hepb", []string{"08 2014-05-01 2014-06-01 2014-09-01"}, autumn, Protected, ""},
		{"a day less", "2014-01-01", "6", "hepb", []string{"08 2014-05-02 2014-06-01 2014-09-01"}, autumn, Unprotected, autumn},
		{"two of the adult formulation at 11 to 15", "2014-01-01", "6", "hepb", []string{"43 2025-02-01 2025-06-01"}, autumn, Protected, ""},
		{"four months by calendar", "2014-01-01", "6", "hepb", []string{"43 2025-02-01 2025-05-31"}, autumn, Unprotected, autumn},
		{"two of another formulation are not enough", "2014-01-01", "6", "hepb", []string{"08 2025-02-01 2025-06-01"}, autumn, Unprotected, autumn},
		{"grades below 6 ask for none", "2018-01-01", "3", "hepb", nil, autumn, "", ""},
		// Meningococcal.
		{"on the 11th birthday", "2015-03-10", "6", "menacwy", []string{"136 2026-03-10"}, autumn, Protected, ""},
		{"the day before", "2015-03-10", "6", "menacwy", []string{"136 2026-03-09"}, autumn, Unprotected, autumn},
		{"not eleven yet", "2015-10-01", "6", "menacwy", nil, autumn, InProcess, "2026-10-01"},
		{"MenB does not count", "2015-03-10", "6", "menacwy", []string{"162 2026-03-10"}, autumn, Unprotected, autumn},
		{"grade 12: one at 16", "2009-03-10", "12", "menacwy", []string{"136 2025-03-10"}, autumn, Protected, ""},
		{"grade 12: one before is not enough", "2009-03-10", "12", "menacwy", []string{"136 2025-03-09"}, autumn, Unprotected, autumn},
		{"grade 12: two, 8 weeks apart", "2009-03-10", "12", "menacwy", []string{"136 2025-03-09 2025-05-04"}, autumn, Protected, ""},
		// Varicella.
		{"two, 28 days apart", "2021-03-10", "K", "varicella", []string{"21 2022-03-10 2022-04-07"}, autumn, Protected, ""},
		{"one alone", "2021-03-10", "K", "varicella", []string{"21 2022-03-10"}, autumn, Unprotected, autumn},
		// A month alone.
		{"a month that shows the age", "2021-03-10", "K", "measles", []string{"03 2022-04 2025-04"}, autumn, Protected, ""},
		{"a month that does not", "2021-03-10", "K", "measles", []string{"03 2022-03 2025-04"}, autumn, Unprotected, autumn},
		// College.
		{"the last within ten years", "2007-05-01", "college", "dtp-college", []string{"20 2007-07-01 2007-07-29", "115 2016-09-01"}, autumn, Protected, ""},
		{"ten years and a day", "2007-05-01", "college", "dtp-college", []string{"20 2007-07-01 2007-07-29", "115 2016-08-31"}, autumn, Unprotected, autumn},
		{"tetanus toxoid alone", "2007-05-01", "college", "dtp-college", []string{"20 2007-07-01 2007-07-29", "35 2020-08-31"}, autumn, Unprotected, autumn},
		{"born before 1957", "1956-12-31", "college", "mmr-college", nil, autumn, "", ""},
		{"born in 1957", "1957-01-01", "college", "mmr-college", nil, autumn, Unprotected, autumn},
		{"22 years", "2004-09-01", "college", "menacwy-college", nil, autumn, "", ""},
		{"the day before", "2004-09-02", "college", "menacwy-college", nil, autumn, Unprotected, autumn},
	} {
		t.Run(x.requirement+": "+x.about, func(t *testing.T) {
			f := find(t, child(t, x.birth, x.doses...), x.grade, x.requirement, x.on)
			switch {
			case f == nil && x.want == "":
			case f == nil || f.Status != x.want:
				t.Fatalf("%+v, want %q", f, x.want)
			case x.next != "" && f.Next.String() != x.next:
				t.Fatalf("next %s, want %s", f.Next, x.next)
			case f.Status != Protected && len(f.Missing) == 0 || f.Status == Protected && len(f.Missing) > 0 || f.Source == "":
				t.Fatalf("%+v", f)
			}
		})
	}
}

func TestProofAndExemptions(t *testing.T) {
	const on = "2026-09-01"
	base := child(t, "2014-05-01")
	with := func(e ...Evidence) Child { c := base; c.Evidence = e; return c }
	for _, x := range []struct {
		about, requirement string
		c                  Child
		want               Status
	}{
		{"a titre", "measles", with(Evidence{Code: "020"}), Protected},
		{"a diagnosis before July 2002", "measles", with(Evidence{Code: "020", Disease: true, On: day(t, "2002-06-30")}), Protected},
		{"a diagnosis since", "measles", with(Evidence{Code: "020", Disease: true, On: day(t, "2002-07-01")}), Unprotected},
		{"a diagnosis without a date", "measles", with(Evidence{Code: "020", Disease: true}), Unprotected},
		{"mumps before July 2013", "mumps", with(Evidence{Code: "021", Disease: true, On: day(t, "2013-06-30")}), Protected},
		{"mumps since", "mumps", with(Evidence{Code: "021", Disease: true, On: day(t, "2013-07-01")}), Unprotected},
		{"rubella as a disease", "rubella", with(Evidence{Code: "022", Disease: true, On: day(t, "2000-01-01")}), Unprotected},
		{"rubella by laboratory", "rubella", with(Evidence{Code: "022"}), Protected},
		{"varicella verified by a provider", "varicella", with(Evidence{Code: "024", Disease: true}), Protected},
		{"hepatitis B by laboratory", "hepb", with(Evidence{Code: "019"}), Protected},
		{"another's proof", "polio", with(Evidence{Code: "020"}), Unprotected},
		{"religious, of all", "polio", Child{Birth: base.Birth, Exemptions: []Exemption{{Kind: Religious}}}, ExemptReligious},
		{"medical, of that group", "polio", Child{Birth: base.Birth, Exemptions: []Exemption{{Kind: Religious}, {Kind: Medical, Groups: []string{"Polio"}}}}, ExemptMedical},
		{"medical, of another group", "polio", Child{Birth: base.Birth, Exemptions: []Exemption{{Kind: Medical, Groups: []string{"MMR"}}}}, Unprotected},
	} {
		if f := find(t, x.c, "6", x.requirement, on); f == nil || f.Status != x.want {
			t.Errorf("%s: %+v, want %s", x.about, f, x.want)
		}
	}
	college := with(Evidence{Code: "020"}, Evidence{Code: "021"})
	if f := find(t, college, "college", "mmr-college", on); f.Status != Unprotected {
		t.Errorf("two of three titres: %+v", f)
	}
	college.Evidence = append(college.Evidence, Evidence{Code: "022"})
	if f := find(t, college, "college", "mmr-college", on); f.Status != Protected {
		t.Errorf("three titres: %+v", f)
	}
	j, err := builtin()[0].Judge(Child{Birth: base.Birth, Exemptions: []Exemption{{Kind: Religious}}}, "6", day(t, on))
	if err != nil || j.Status != ExemptReligious || j.Exclusion != "" {
		t.Errorf("%v %+v", err, j)
	}
	if _, err := builtin()[0].Judge(base, "13", day(t, on)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("grade 13: %v", err)
	}
	if _, err := builtin()[0].Judge(Child{}, "6", day(t, on)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("without a birth date: %v", err)
	}
}

func TestUsualGrade(t *testing.T) {
	for _, x := range [][3]string{
		{"2021-09-01", "2026-09-01", "K"}, {"2021-09-02", "2026-09-01", "child-care"}, {"2021-09-01", "2026-06-30", "child-care"}, {"2021-09-01", "2027-06-30", "K"},
		{"2015-05-01", "2026-10-01", "6"}, {"2009-05-01", "2026-10-01", "12"}, {"2008-05-01", "2026-10-01", "college"},
	} {
		if got := UsualGrade(day(t, x[0]), day(t, x[1])); got != x[2] {
			t.Errorf("born %s, on %s: %s, want %s", x[0], x[1], got, x[2])
		}
	}
}

func TestVersionsAreByTheDay(t *testing.T) {
	old, newer := &Rule{ID: "r", From: day(t, "2014-07-01")}, &Rule{ID: "r", From: day(t, "2025-07-01")}
	for on, want := range map[string]*Rule{"2025-06-30": old, "2025-07-01": newer} {
		if got, err := latest([]*Rule{newer, old}, "r", day(t, on)); err != nil || got != want {
			t.Errorf("on %s: %v %v", on, got, err)
		}
	}
	if _, err := latest([]*Rule{old}, "r", day(t, "2014-06-30")); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("before the first: %v", err)
	}
	for _, bad := range []string{`{}`, `{"id":"x"}`, `{"id":"x","version":"1","from":"2020-01-01","requirements":[{"cases":[{"grades":["K"],"source":"s","steps":[{"any":[]}]}]}]}`, `{"unknown":1}`,
		`{"id":"x","version":"1","from":"2020-01-01","grades":[{"code":"K"}],"requirements":[{"cases":[{"grades":["K"],"source":"s","steps":[{"any":[{"doses":[{"of":["none"]}]}]}]}]}]}`} {
		if _, err := Load([]byte(bad)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// anyChild draws a child with doses, a grade and a day.
func anyChild(t *rapid.T) (*Rule, Child, string, coldkeep.Date) {
	on := coldkeep.NewDate(2026, 9, 1)
	rules := builtin()
	r := rules[rapid.IntRange(0, len(rules)-1).Draw(t, "rule")]
	c := Child{Birth: on - coldkeep.Date(rapid.IntRange(1, 23*366).Draw(t, "age"))}
	for range rapid.IntRange(0, 8).Draw(t, "doses") {
		c.Doses = append(c.Doses, anyDose(t, r, c.Birth, on))
	}
	return r, c, r.Grades[rapid.IntRange(0, len(r.Grades)-1).Draw(t, "grade")].Code, on
}

func anyDose(t *rapid.T, r *Rule, birth, on coldkeep.Date) Dose {
	var codes []string
	for _, c := range r.Vaccines {
		codes = append(codes, c...)
	}
	slices.Sort(codes)
	d := birth + coldkeep.Date(rapid.IntRange(0, int(on-birth)).Draw(t, "at"))
	return Dose{CVX: codes[rapid.IntRange(0, len(codes)-1).Draw(t, "cvx")], From: d, To: d}
}

func rank(s Status) int { return slices.Index([]Status{Unprotected, InProcess, Protected}, s) }

// No dose makes a child who is protected anything less, and no dose of any kind takes a
// proof away.
func TestADoseNeverTakesProtectionAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c, grade, on := anyChild(t)
		before, err := r.Judge(c, grade, on)
		if err != nil {
			t.Fatal(err)
		}
		c.Doses = append(slices.Clone(c.Doses), anyDose(t, r, c.Birth, on))
		after, err := r.Judge(c, grade, on)
		if err != nil {
			t.Fatal(err)
		}
		for i := range before.Findings {
			if before.Findings[i].Status == Protected && after.Findings[i].Status != Protected {
				t.Fatalf("%+v became %+v", before.Findings[i], after.Findings[i])
			}
		}
		if before.Status == Protected && after.Status != Protected {
			t.Fatalf("%s became %s", before.Status, after.Status)
		}
	})
}

// Giving the dose that is asked for, on the first day on which it would count, never leaves
// the child less protected, and leads to protection in the end.
func TestGivingWhatIsAskedForLeadsToProtection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c, grade, on := anyChild(t)
		for _, q := range r.Requirements {
			c, on := c, on
			last := -1
			for range 12 {
				if on > c.Birth+24*365 {
					break
				}
				f, asked := r.judge(&q, &c, grade, on)
				if !asked || f.Status == Protected {
					last = 3
					break
				}
				if rank(f.Status) < last && f.Next <= on {
					t.Fatalf("%s: fell to %+v", q.ID, f)
				}
				on = max(on, f.Next)
				// Of a vaccine that meets any of the ways: the child's doses decide which.
				for _, kind := range q.caseFor(&c, grade, on).Steps[0].Any[0].Doses[0].Of {
					c.Doses = append(slices.Clone(c.Doses), Dose{CVX: r.Vaccines[kind][0], From: on, To: on})
					break
				}
			}
			if f, asked := r.judge(&q, &c, grade, on); asked && last != 3 && f.Status != Protected {
				t.Fatalf("%s in %s: after twelve doses %+v, %s", q.ID, grade, f, fmt.Sprint(c.Doses))
			}
		}
	})
}

// The judgement does not depend on the order in which doses are told, nor on hearing of one
// twice.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c, grade, on := anyChild(t)
		before, _ := r.Judge(c, grade, on)
		again := c
		again.Doses = append(slices.Clone(c.Doses), c.Doses...)
		slices.Reverse(again.Doses)
		after, _ := r.Judge(again, grade, on)
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("%+v\n%+v", before, after)
		}
	})
}
