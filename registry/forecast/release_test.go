package forecast

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// The built-in schedule is of the facts of 4.64. What is known of 4.65 (August
// 2026) asks a few new things of the loader and the engine, beside new data; the
// test below changes 4.64 in those ways.
func laterFacts(t *testing.T) *release.Release {
	t.Helper()
	rel, err := cdsixml.Load(os.DirFS(filepath.Join(published(t), "supporting-data-4.64")), "4.65 in part")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rel.Schedule.Conflicts {
		c := &rel.Schedule.Conflicts[i]
		if slices.Contains([]string{"37", "183", "184"}, c.Previous) || slices.Contains([]string{"37", "183", "184"}, c.Current) {
			c.MinEnd, c.End = "28 days", "28 days" // of yellow fever vaccines, 30 before
		}
	}
	for i := range rel.Antigens {
		a := &rel.Antigens[i]
		switch a.Name {
		case "Pertussis": // the last dose recurs, and is skipped in forecasts only
			for k := range a.Series {
				if d := a.Series[k].Doses; len(d) >= 11 {
					d[10].Recurring = "Yes"
					for s := range d[10].Skips {
						d[10].Skips[s].Context = "Forecast"
					}
				}
			}
		case "HPV": // ages in another case
			for k := range a.Series {
				for d := range a.Series[k].Doses {
					for x := range a.Series[k].Doses[d].Ages {
						a.Series[k].Doses[d].Ages[x].Max = "46 Years"
					}
				}
			}
		case "HepA": // adult series of the standard kind, one of them only evaluated
			for _, s := range slices.Clone(a.Series) {
				if strings.Contains(s.Name, "Twinrix") {
					s.Name = strings.Replace(s.Name, "risk", "adult", 1)
					s.Select.Group, s.Select.GroupName, s.Equivalent, s.Indication = "4", "Standard adult", "", nil
					if s.Type == "Risk" {
						s.Type = "Standard"
					}
					a.Series = append(a.Series, s)
				}
			}
		}
	}
	return rel
}

// TestLaterRelease holds that the loader and the engine can work by the facts of a
// later release.
func TestLaterRelease(t *testing.T) {
	s, err := schedule.Compile(laterFacts(t))
	if err != nil {
		t.Fatal(err)
	}
	now, then := New(s), New(publishedXML(t))
	day := coldkeep.NewDate

	// A child had yellow fever vaccine on 1 September: varicella 28 days after it.
	p := &Patient{Born: day(2024, 6, 1), Gender: Female, Assessment: day(2025, 9, 10), Doses: []Dose{{CVX: "37", Date: day(2025, 9, 1)}}}
	if a, b := forecastOf(t, then.Forecast(p), "Varicella").Earliest, forecastOf(t, now.Forecast(p), "Varicella").Earliest; a != day(2025, 10, 1) || b != day(2025, 9, 29) {
		t.Errorf("after yellow fever vaccine from %s, and from %s", a, b)
	}
	// An adult's Tdap doses count, each of them.
	p = &Patient{Born: day(1980, 6, 1), Gender: Male, Assessment: day(2025, 9, 10)}
	for y := 1994; y < 2025; y += 10 {
		p.Doses = append(p.Doses, Dose{CVX: "115", Date: day(y, 8, 1)})
	}
	res := now.Forecast(p)
	for i := range res.Doses {
		if st, why := statusOf(t, res, i, "Pertussis"); st != Valid {
			t.Errorf("Tdap %d is %s: %s", i+1, st, why)
		}
	}
	// HPV ends at 46 years.
	p = &Patient{Born: day(1979, 9, 10), Gender: Female, Assessment: day(2025, 9, 10)}
	if f := forecastOf(t, now.Forecast(p), "HPV"); f.Status != AgedOut {
		t.Errorf("HPV at 46 years: %+v", f)
	}
	// Three doses that complete the series which is only evaluated complete the
	// standard adult group: it is no risk forecast.
	p = &Patient{Born: day(1980, 6, 1), Gender: Male, Assessment: day(2025, 9, 10), Doses: []Dose{
		{CVX: "104", Date: day(2020, 1, 1)}, {CVX: "52", Date: day(2020, 8, 1)}, {CVX: "104", Date: day(2021, 3, 1)},
	}}
	fs := now.Forecast(p).Of("HepA")
	if len(fs) == 0 || fs[0].Risk || fs[0].Status != Complete {
		t.Errorf("HepA of an adult: %+v", fs)
	}
}
