package forecast

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// FuzzLine holds that no input makes the engine panic, loop or write anything
// but one line of JSON.
func FuzzLine(f *testing.F) {
	e := New(Builtin())
	f.Add([]byte(fmt.Sprintf(aPatient, 1)))
	f.Add([]byte(`{"id":{"a":[1]},"dob":"1800-01-01","assessment_date":"2999-12-31","gender":""}`))
	f.Add([]byte(`[]`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, explain := range []bool{false, true} {
			out := e.AppendLine(nil, line, explain)
			if !json.Valid(out) {
				t.Fatalf("not JSON: %q", out)
			}
		}
	})
}

// FuzzHistory reads a history out of bytes, so that doses of known vaccines come
// in any number, order and age.
func FuzzHistory(f *testing.F) {
	s := Builtin()
	e := New(s)
	f.Add(uint16(9000), uint16(20000), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(uint16(0), uint16(0), []byte{})
	f.Fuzz(func(t *testing.T, born, age uint16, history []byte) {
		p := &Patient{Born: coldkeep.CivilDate(1940, 1, 1) + Date(born), Gender: schedule.UnknownGender}
		p.Assessment = p.Born + Date(age)
		for i := 0; i+3 < len(history) && i < 4*60; i += 4 {
			b := history[i:]
			date := p.Born + Date(b[0])*Date(b[1])
			if b[3]&3 == 3 {
				p.Observations = append(p.Observations, Observation{Code: s.Observations[int(b[2])%len(s.Observations)].Code, Date: date})
				continue
			}
			p.Doses = append(p.Doses, Dose{
				Date: date, CVX: s.Vaccines[int(b[2])%len(s.Vaccines)].Code, LotExpiry: None, Condition: b[3] == 0,
			})
		}
		res := e.Forecast(p)
		for i := range res.Forecasts {
			x := &res.Forecasts[i]
			if x.Status != NotComplete && (x.Number != 0 || x.Earliest != None) {
				t.Fatalf("%s is due: %+v", x.Status, x)
			}
			if x.Status == NotComplete && (x.Number < 1 || x.Recommended < x.Earliest || x.PastDue != None && x.PastDue < x.Earliest) {
				t.Fatalf("the dates are out of order: %+v", x)
			}
		}
	})
}
