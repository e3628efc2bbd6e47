package forecast

import (
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// child has three DTaP-HepB-IPV doses at 2, 4 and 6 months.
func child() *Patient {
	born := coldkeep.CivilDate(2024, 1, 10)
	p := &Patient{ID: "child", Born: born, Gender: schedule.Female, Assessment: coldkeep.CivilDate(2024, 8, 1)}
	for _, d := range []Date{coldkeep.CivilDate(2024, 3, 10), coldkeep.CivilDate(2024, 5, 10), coldkeep.CivilDate(2024, 7, 10)} {
		p.Doses = append(p.Doses, Dose{Date: d, CVX: "110", LotExpiry: None})
	}
	return p
}

func forecastOf(t *testing.T, res *Result, group string) *Forecast {
	t.Helper()
	i := slices.IndexFunc(res.Forecasts, func(f Forecast) bool { return f.Group == group })
	if i < 0 {
		t.Fatalf("there is no forecast of %s", group)
	}
	return &res.Forecasts[i]
}

func statusOf(t *testing.T, res *Result, dose int, antigen string) (EvalStatus, Reason) {
	t.Helper()
	for _, e := range res.Doses[dose].Evaluations {
		if e.Antigen == antigen {
			return e.Status, e.Reason
		}
	}
	t.Fatalf("dose %d has no evaluation for %s", dose+1, antigen)
	return 0, 0
}

// TestSubStandard holds Table 6-3: a dose of a broken cold chain or an expired
// lot does not count, and the forecast changes at once.
func TestSubStandard(t *testing.T) {
	e := New(Builtin())
	whole := forecastOf(t, e.Forecast(child()), "DTaP/Tdap/Td")
	if whole.Number != 4 {
		t.Fatalf("three good doses, and the next is %d", whole.Number)
	}
	for _, c := range []struct {
		name   string
		spoil  func(*Dose)
		status EvalStatus
		reason Reason
		next   int
	}{
		{"dose condition flag", func(d *Dose) { d.Condition = true }, SubStandard, ConditionFlag, 3},
		{"given the day after the lot expired", func(d *Dose) { d.LotExpiry = d.Date - 1 }, SubStandard, LotExpired, 3},
		{"given on the day the lot expires", func(d *Dose) { d.LotExpiry = d.Date }, Valid, NoReason, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := child()
			c.spoil(&p.Doses[2])
			res := e.Forecast(p)
			if s, why := statusOf(t, res, 2, "Diphtheria"); s != c.status || why != c.reason {
				t.Errorf("the dose is %v (%v), want %v (%v)", s, why, c.status, c.reason)
			}
			if f := forecastOf(t, res, "DTaP/Tdap/Td"); f.Number != c.next {
				t.Errorf("the next dose is %d, want %d", f.Number, c.next)
			}
		})
	}
}

// TestFlagInTheMiddle holds that the doses after a flagged one are evaluated
// against the target dose it failed: three doses become two.
func TestFlagInTheMiddle(t *testing.T) {
	p := child()
	p.Doses[1].Condition = true
	res := New(Builtin()).Forecast(p)
	if s, _ := statusOf(t, res, 2, "HepB"); s != Valid {
		t.Errorf("the third dose is %v for HepB, want Valid as dose 2", s)
	}
	if f := forecastOf(t, res, "Polio"); f.Number != 3 {
		t.Errorf("the next polio dose is %d, want 3", f.Number)
	}
}

// TestLotMonth holds CALCDTLOTEXP-1: a lot that expires in a month expires on its
// last day.
func TestLotMonth(t *testing.T) {
	for in, want := range map[string]Date{
		"2024-02": coldkeep.CivilDate(2024, 2, 29), "2025-02": coldkeep.CivilDate(2025, 2, 28),
		"2024-12": coldkeep.CivilDate(2024, 12, 31), "2024-05-03": coldkeep.CivilDate(2024, 5, 3), "": None,
	} {
		if got, err := lotExpiry(in); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", in, got, err, want)
		}
	}
	if _, err := lotExpiry("2024-13"); err == nil {
		t.Error("a thirteenth month was accepted")
	}
}
