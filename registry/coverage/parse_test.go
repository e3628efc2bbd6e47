package coverage

import (
	"encoding/json"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// A misspelt field is an error, and not a measure without a limit.
func TestParseMeasure(t *testing.T) {
	for _, bad := range []string{``, `{`, `[]`, `{"id":"a"} {"id":"b"}`, `{"id":"a","parts":[{"id":"x","befor":"2 years"}]}`} {
		if _, err := ParseMeasure([]byte(bad)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever is sent, a definition that is accepted can be worked with and says the same when it
// is written and read again.
func FuzzParseMeasure(f *testing.F) {
	for _, m := range Builtin() {
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"id":"a","version":1,"title":"t","about":"a","source":"s","who":{"from":"0 days","until":"2000 years"},"parts":[{"id":"x","title":"x","antigens":["HPV"],"season":"12-31","within":"0 days","ways":[{"doses":12,"apart":"0 days"}],"source":"s"}]}`))
	s := testEngine.Schedule()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMeasure(b)
		if err != nil || m.Check(s) != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParseMeasure(again)
		if err != nil || n.Check(s) != nil {
			t.Fatalf("%s: %v", again, err)
		}
		v, err := newSurvey(&Run{Day: coldkeep.NewDate(2025, 1, 15), Zone: "UTC", Asked: Asked{Measures: []Measure{m}}}, testEngine)
		if err != nil {
			t.Fatal(err)
		}
		first, last := v.births()
		birth := coldkeep.NewDate(2010, 2, 28)
		if v.assesses(v.plans[0], birth, v.moments[0].day) && (birth < first || birth > last) {
			t.Fatalf("%s is assessed and not read: %s to %s", birth, first, last)
		}
		tally := v.tally()
		tally.person(&Person{Head: "P", Birth: birth, Doses: []Dose{{ID: "A", Date: birth + 4000, CVX: "165", Site: "x", Administered: true}}})
		tally.list()
	})
}
