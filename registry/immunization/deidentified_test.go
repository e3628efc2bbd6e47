package immunization_test

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// The file has a line for each dose and vaccine group, with ages in place of dates, and
// nothing by which a person, a practice or a lot can be found.
func TestDeidentifiedDoses(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		people := patient.New(w.st.Patients(), w.clock)
		birth := coldkeep.NewDate(2024, 1, 5)
		a, empty, old := w.child(birth, "lakeside"), w.child(coldkeep.NewDate(2023, 6, 1), "lakeside"), w.child(coldkeep.NewDate(1930, 1, 1), "lakeside")
		lot := w.lot("LOT-77", 3)
		w.record(nurse, historical(a, "110", birth+70))
		w.record(nurse, historical(a, "03", birth+100)) // too young
		w.record(nurse, given(a, lot, today))
		w.record(nurse, historical(old, "33", coldkeep.NewDate(2021, 3, 4)))
		epi := auth.Principal{ID: "e", Name: "Eli", Role: auth.StateEpi}
		var out bytes.Buffer
		w.must(people.WriteDeidentified(w.ctx, epi, &out, w.Deidentified()))
		rows, err := csv.NewReader(&out).ReadAll()
		w.must(err)
		at := func(name string) int { return slices.Index(rows[0], name) }
		var seen []string
		for _, r := range rows[1:] {
			seen = append(seen, strings.Join(r[at("dose"):], " "))
		}
		text := strings.Join(seen, "\n")
		for _, want := range []string{"1 110 70 DTaP/Tdap/Td Valid 1", "1 110 70 Polio Valid 1", "2 03 100 MMR Not Valid ", "3 03 787 MMR Valid 1", "1 33  Pneumococcal"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if !slices.Contains(seen, strings.Repeat(" ", 5)) {
			t.Errorf("%s, who has no doses, is not in\n%s", empty, text)
		}
		all := out.String() + strings.Join(rows[0], ",")
		for _, r := range rows {
			all += strings.Join(r, ",") + "\n"
		}
		for _, not := range []string{"LOT-77", "lakeside", "Okafor", "2026-", "2024-", a} {
			if strings.Contains(all, not) {
				t.Errorf("%q is in\n%s", not, all)
			}
		}
	})
}
