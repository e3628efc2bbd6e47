package forecast

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// caseAnswer writes an answer so that two can be compared.
func caseAnswer(res *Result) string { return string(appendResult(nil, nil, res, false)) }

// TestAllIsForecastInOrder holds that the batch gives, in their order, what
// Forecast gives for each.
func TestAllIsForecastInOrder(t *testing.T) {
	e := New(Builtin())
	var patients []*Patient
	for range 3 {
		for _, c := range publishedCases(t) {
			patients = append(patients, c.patient(t))
		}
	}
	for _, workers := range []int{1, 4} {
		n := 0
		for p, res := range e.All(t.Context(), slices.Values(patients), workers) {
			if p != patients[n] {
				t.Fatalf("%d workers: patient %d is out of its order", workers, n)
			}
			if want := caseAnswer(e.Forecast(p)); caseAnswer(res) != want {
				t.Fatalf("%d workers: patient %d is\n%s\nwant\n%s", workers, n, caseAnswer(res), want)
			}
			n++
		}
		if n != len(patients) {
			t.Errorf("%d workers: %d answers to %d patients", workers, n, len(patients))
		}
	}
}

// TestAllEnds holds that leaving the loop, and the end of the context, end the
// asking for patients, also of an endless source.
func TestAllEnds(t *testing.T) {
	e := New(Builtin())
	endless := func(yield func(*Patient) bool) {
		for yield(child()) {
		}
	}
	n := 0
	for range e.All(t.Context(), endless, 2) {
		if n++; n == 1000 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range e.All(ctx, endless, 2) {
		if n++; n == 2000 {
			cancel()
		}
	}
	if n < 2000 || n > 2001 {
		t.Errorf("%d answers", n)
	}
	for range e.All(t.Context(), slices.Values([]*Patient(nil)), 2) {
		t.Error("an answer to nobody")
	}
}

// TestWorkerAnswersAsEngine holds that a worker used again answers as the engine.
func TestWorkerAnswersAsEngine(t *testing.T) {
	e := New(Builtin())
	w := e.Worker()
	for _, c := range publishedCases(t) {
		p := c.patient(t)
		if got, want := caseAnswer(w.Forecast(p)), caseAnswer(e.Forecast(p)); got != want {
			t.Fatalf("%s is\n%s\nwant\n%s", c.ID, got, want)
		}
	}
}

// TestWorkerAllocatesNothing holds the promise of "no allocation storm": a patient
// without surprises costs a worker no allocation.
func TestWorkerAllocatesNothing(t *testing.T) {
	w := New(Builtin()).Worker()
	p := child()
	w.Forecast(p)
	if n := testing.AllocsPerRun(100, func() { w.Forecast(p) }); n != 0 {
		t.Errorf("%v allocations a patient", n)
	}
}

// TestActivateWhileForecasting holds that a schedule may be changed under those
// who are asking: each answer is of one schedule or the other.
func TestActivateWhileForecasting(t *testing.T) {
	live := NewLive(Builtin())
	other := *Builtin()
	other.Version = "next"
	want := caseAnswer(live.Engine().Forecast(child()))
	done := make(chan error)
	for range 4 {
		go func() {
			for range 200 {
				if got := caseAnswer(live.Engine().Forecast(child())); got != want {
					done <- fmt.Errorf("got %s", got)
					return
				}
			}
			done <- nil
		}()
	}
	for i := range 50 {
		live.Activate([]*schedule.Schedule{&other, Builtin()}[i%2])
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestTry holds that a dose about to be given is judged as if it had been, and
// that the patient stays as it was.
func TestTry(t *testing.T) {
	e := New(Builtin())
	p := child()
	early, right := p.Doses[2].Date+10, coldkeep.NewDate(2025, 4, 10)
	for _, c := range []struct {
		date Date
		want EvalStatus
	}{{early, NotValid}, {right, Valid}} {
		d := e.Try(p, Dose{Date: c.date, CVX: "107"})
		v := verdictOf(d, "DTaP/Tdap/Td")
		if v.Status != c.want || len(d.Words) != 1 {
			t.Errorf("on %s it is %+v: %v", c.date, v, d.Words)
		}
		if c.want == Valid && v.Number != 4 {
			t.Errorf("it is dose %d", v.Number)
		}
	}
	if len(p.Doses) != 3 || p.Assessment != child().Assessment {
		t.Errorf("the patient became %+v", p)
	}
}

// TestVerdicts holds how the antigens of a group are taken together.
func TestVerdicts(t *testing.T) {
	ev := func(group, antigen string, risk bool, s EvalStatus, why Reason, n int) Evaluation {
		return Evaluation{Group: group, Antigen: antigen, Risk: risk, Status: s, Reason: why, Number: n}
	}
	for _, c := range []struct {
		name string
		es   []Evaluation
		want []Verdict
	}{
		{"none", nil, nil},
		{"all count", []Evaluation{ev("D", "a", false, Valid, GraceAge, 4), ev("D", "b", false, Valid, 0, 5)}, []Verdict{{"D", Valid, GraceAge, 5, false}}},
		{"one does not", []Evaluation{ev("D", "a", false, Valid, GraceAge, 4), ev("D", "b", false, NotValid, TooSoon, 0)}, []Verdict{{"D", NotValid, TooSoon, 4, true}}},
		{"by risk or by standard", []Evaluation{ev("D", "a", true, NotValid, TooSoon, 0), ev("D", "a", false, Valid, 0, 2)}, []Verdict{{"D", Valid, 0, 2, false}}},
		{"two groups", []Evaluation{ev("D", "a", false, Valid, 0, 1), ev("P", "p", false, Extraneous, TooOld, 0)}, []Verdict{{"D", Valid, 0, 1, false}, {"P", Extraneous, TooOld, 0, false}}},
	} {
		d := DoseResult{Evaluations: c.es}
		if got := d.Verdicts(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestCatalogue holds that every observation with a use can be chosen, where it
// belongs.
func TestCatalogue(t *testing.T) {
	e := New(Builtin())
	c := e.Catalogue()
	find := func(es []CatalogueEntry, code string) *CatalogueEntry {
		i := slices.IndexFunc(es, func(x CatalogueEntry) bool { return x.Code == code })
		if i < 0 {
			return nil
		}
		return &es[i]
	}
	if x := find(c.Conditions, "007"); x == nil || x.Title != "Pregnant" || !slices.Contains(x.Groups, "RSV") || x.NeedsDate {
		t.Errorf("pregnancy as a condition: %+v", x)
	}
	if x := find(c.Contraindications, "007"); x == nil || !slices.Contains(x.Groups, "MMR") || slices.Contains(x.Groups, "RSV") {
		t.Errorf("pregnancy as a contraindication: %+v", x)
	}
	if x := find(c.Conditions, "170"); x == nil || !x.NeedsDate {
		t.Errorf("the onset of a pregnancy: %+v", x)
	}
	if len(c.Immunity) == 0 || find(c.Conditions, "055") == nil {
		t.Errorf("%d of immunity; health care personnel %+v", len(c.Immunity), find(c.Conditions, "055"))
	}
	for _, list := range [][]CatalogueEntry{c.Conditions, c.Immunity, c.Contraindications} {
		for i, x := range list {
			if x.Title == "" || len(x.Groups) == 0 || i > 0 && x.Code <= list[i-1].Code {
				t.Errorf("%+v", x)
			}
		}
	}
}
