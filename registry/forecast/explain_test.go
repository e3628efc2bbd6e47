package forecast

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

var update = flag.Bool("update", false, "write what the explanations say now into testdata/explain")

// worked are patients whose explanation was read through by hand.
var worked = []struct {
	name, line string
	groups     []string // whose forecasts are told; all when empty
}{
	{"infant", `{"id":"1","dob":"2025-07-06","gender":"F","assessment_date":"2025-11-10","doses":[
		{"date":"2025-07-06","cvx":"08"},{"date":"2025-09-08","cvx":"20"},{"date":"2025-09-28","cvx":"20"},{"date":"2025-11-10","cvx":"20"},
		{"date":"2025-09-08","cvx":"49","mvx":"MSD"},{"date":"2025-08-10","cvx":"133"}]}`, nil},
	{"spoilt and expired", `{"id":"1","dob":"2024-10-01","gender":"M","assessment_date":"2025-11-10","doses":[
		{"date":"2025-09-28","cvx":"03"},{"date":"2025-10-10","cvx":"21"},{"date":"2025-10-12","cvx":"83","lot_expiry":"2025-09"},
		{"date":"2025-10-12","cvx":"17","condition":true}]}`, []string{"MMR", "Varicella", "HepA", "Hib", "RSV", "Rotavirus"}},
	{"pregnant", `{"id":"1","dob":"1995-03-02","gender":"F","assessment_date":"2025-11-10",
		"observations":[{"code":"007","date":"2025-06-01"},{"code":"170","date":"2025-06-01"},{"code":"014","presence":"unknown"}],
		"doses":[{"date":"2015-05-01","cvx":"115"}]}`, []string{"DTaP/Tdap/Td", "RSV", "MMR", "COVID-19"}},
	{"immune by birth", `{"id":"1","dob":"1950-03-02","gender":"M","assessment_date":"2025-11-10",
		"observations":[{"code":"160"}],"doses":[{"date":"2016-05-01","cvx":"133"},{"date":"2018-05-01","cvx":"33"},{"date":"2018-05-01","cvx":"999"}]}`,
		[]string{"MMR", "Pneumococcal", "Hib", "Zoster"}},
	{"dengue to come", `{"id":"1","dob":"2017-03-01","gender":"M","assessment_date":"2026-02-01","observations":[{"code":"211"}]}`, []string{"Dengue"}},
}

// TestExplanations holds the words of the worked patients.
func TestExplanations(t *testing.T) {
	e := New(Builtin())
	for _, w := range worked {
		t.Run(w.name, func(t *testing.T) {
			p, err := ParseLine([]byte(w.line))
			if err != nil {
				t.Fatal(err)
			}
			res := e.Explain(p)
			var b strings.Builder
			for i := range res.Doses {
				for _, s := range res.Doses[i].Words {
					fmt.Fprintln(&b, s)
				}
			}
			fmt.Fprintln(&b)
			told := func(f *Forecast) {
				fmt.Fprintln(&b, strings.Join(f.Words, " "))
			}
			for i := range res.Forecasts {
				if len(w.groups) == 0 {
					told(&res.Forecasts[i])
				}
			}
			for _, g := range w.groups {
				for _, f := range res.Of(g) {
					told(&f)
				}
			}
			for _, u := range res.Undetermined {
				fmt.Fprintln(&b, u.Says)
			}
			golden := filepath.Join("testdata", "explain", strings.ReplaceAll(w.name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("it says\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

// TestExplainedLineKeepsTheContract holds that an explained answer says what the
// plain one says, key for key, and only adds to it.
func TestExplainedLineKeepsTheContract(t *testing.T) {
	e := New(Builtin())
	lines := [][]byte{[]byte(fmt.Sprintf(aPatient, 1))}
	for _, w := range worked {
		lines = append(lines, []byte(w.line))
	}
	for _, c := range publishedCases(t) {
		lines = append(lines, c.line(t))
	}
	for _, line := range lines {
		var plain, told any
		if err := json.Unmarshal(e.AppendLine(nil, line, false), &plain); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.AppendLine(nil, line, true), &told); err != nil {
			t.Fatal(err)
		}
		if where := lacks(plain, told); where != "" {
			t.Fatalf("explained, %s differs: %s", where, line)
		}
	}
}

// lacks finds the first place where told does not say what plain says.
func lacks(plain, told any) string {
	switch p := plain.(type) {
	case map[string]any:
		o, ok := told.(map[string]any)
		if !ok {
			return "an object"
		}
		for k, v := range p {
			if where := lacks(v, o[k]); where != "" {
				return k + " " + where
			}
		}
		return ""
	case []any:
		o, ok := told.([]any)
		if !ok || len(o) != len(p) {
			return "a list"
		}
		for i := range p {
			if where := lacks(p[i], o[i]); where != "" {
				return fmt.Sprint(i, " ", where)
			}
		}
		return ""
	}
	if plain != told {
		return fmt.Sprintf("%v, not %v", told, plain)
	}
	return ""
}

// TestEveryDoseAndForecastHasWords holds, over any patient, that nothing is left
// unsaid and that what is said ends as a sentence.
func TestEveryDoseAndForecastHasWords(t *testing.T) {
	e := New(Builtin())
	for _, c := range publishedCases(t) {
		res := e.Explain(c.patient(t))
		check := func(what string, words ...string) {
			t.Helper()
			if len(words) == 0 {
				t.Errorf("%s: %s is not put in words", c.ID, what)
			}
			for _, w := range words {
				if !strings.HasSuffix(w, ".") || strings.Contains(w, "  ") || strings.Contains(w, ": .") || strings.Contains(w, "()") {
					t.Errorf("%s: %s says %q", c.ID, what, w)
				}
			}
		}
		for i := range res.Doses {
			check("dose "+itoa(i+1), res.Doses[i].Words...)
		}
		for i := range res.Forecasts {
			check(res.Forecasts[i].Group, res.Forecasts[i].Words...)
		}
	}
}

func TestAgeWords(t *testing.T) {
	born := coldkeep.NewDate(2024, 1, 31)
	for _, c := range []struct {
		on   Date
		want string
	}{
		{born, "0 days"}, {born + 1, "1 day"}, {born + 27, "27 days"}, {born + 30, "4 weeks 2 days"},
		{coldkeep.NewDate(2024, 3, 1), "4 weeks 2 days"},
		{coldkeep.NewDate(2024, 3, 31), "2 months"}, {coldkeep.NewDate(2024, 4, 30), "2 months 30 days"},
		{coldkeep.NewDate(2024, 5, 1), "3 months"}, {coldkeep.NewDate(2025, 12, 31), "23 months"},
		{coldkeep.NewDate(2026, 1, 31), "2 years"}, {coldkeep.NewDate(2028, 3, 2), "4 years 1 month 1 day"},
		{coldkeep.NewDate(2062, 3, 2), "38 years"}, {born - 1, "before birth"},
	} {
		if got := ageWords(born, c.on); got != c.want {
			t.Errorf("on %s it is %q, want %q", c.on, got, c.want)
		}
	}
}

// TestWordsOfAnAgeAddUp holds that the age in words, added to the birth by CDSi's
// calendar, is the day it was told for.
func TestWordsOfAnAgeAddUp(t *testing.T) {
	for _, born := range []Date{coldkeep.NewDate(2020, 2, 29), coldkeep.NewDate(2021, 1, 31), coldkeep.NewDate(2021, 12, 15)} {
		for on := born + 28; on < born+17*365; on++ {
			p, err := schedule.ParsePeriod(joined(ageWords(born, on)))
			if err != nil || p.From(born) != on {
				t.Fatalf("born %s, on %s: %q is %s, %v", born, on, ageWords(born, on), p.From(born), err)
			}
		}
	}
}

// joined puts "1 year 2 months" as the schedule would, "1 year + 2 months".
func joined(words string) string {
	f := strings.Fields(words)
	var out []string
	for i := 0; i+1 < len(f); i += 2 {
		out = append(out, f[i]+" "+f[i+1])
	}
	return strings.Join(out, " + ")
}
