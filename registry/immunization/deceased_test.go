package immunization_test

import (
	"encoding/json"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Nothing is due to somebody who has died, in whatever form it is asked for; the doses and
// what counts of them stay. Taken back, all is due again.
func TestNothingIsDueToTheDead(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		people := patient.New(w.st.Patients(), w.clock)
		id := w.child(coldkeep.NewDate(2024, 1, 1), "lakeside")
		w.record(nurse, historical(id, "03", coldkeep.NewDate(2025, 2, 3)))
		seen := func() (due, groups, status, forecasts, doses int) {
			t.Helper()
			v, err := w.View(w.ctx, nurse, id)
			w.must(err)
			st, err := w.School(w.ctx, nurse, id)
			w.must(err)
			line, err := w.ForecastOf(w.ctx, nurse, id, true)
			w.must(err)
			var f struct{ Forecasts, Doses []json.RawMessage }
			w.must(json.Unmarshal(line, &f))
			return len(v.Due) + len(v.Undetermined) + len(v.Upcoming), len(v.Groups), len(st), len(f.Forecasts), len(f.Doses)
		}
		if due, groups, status, forecasts, doses := seen(); due == 0 || groups != 1 || status == 0 || forecasts == 0 || doses != 1 {
			t.Fatal(due, groups, status, forecasts, doses)
		}
		_, err := people.SetDeceased(w.ctx, nurse, id, true, 0, "told by the family")
		w.must(err)
		if due, groups, status, forecasts, doses := seen(); due+status+forecasts != 0 || groups != 1 || doses != 1 {
			t.Error("something is due to the dead:", due, groups, status, forecasts, doses)
		}
		_, err = people.SetDeceased(w.ctx, nurse, id, false, 0, "another child")
		w.must(err)
		if due, _, status, forecasts, _ := seen(); due == 0 || status == 0 || forecasts == 0 {
			t.Error("nothing is due after it was taken back:", due, status, forecasts)
		}
		// A record that is merged into it may be the one that knows; it can be taken back too.
		other := w.child(coldkeep.NewDate(2024, 1, 1), "lakeside")
		_, err = people.SetDeceased(w.ctx, nurse, other, true, coldkeep.NewDate(2026, 1, 5), "told by the family")
		w.must(err)
		_, err = people.MergePatients(w.ctx, registryStaff, other, id, "the same child")
		w.must(err)
		if due, _, status, forecasts, _ := seen(); due+status+forecasts != 0 {
			t.Error("something is due to somebody whose merged record says they died:", due, status, forecasts)
		}
		if v, err := w.View(w.ctx, nurse, id); err != nil || v.Subject.Died != coldkeep.NewDate(2026, 1, 5) {
			t.Errorf("the day is %s, %v", v.Subject.Died, err)
		}
		faces, err := w.st.Faces(w.ctx, []string{id})
		w.must(err)
		if len(faces) != 1 || !faces[0].Deceased {
			t.Errorf("found as %+v", faces)
		}
		_, err = people.SetDeceased(w.ctx, nurse, id, false, 0, "another child")
		w.must(err)
		if due, _, status, forecasts, _ := seen(); due == 0 || status == 0 || forecasts == 0 {
			t.Error("nothing is due after it was taken back:", due, status, forecasts)
		}
	})
}
