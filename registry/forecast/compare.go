package forecast

import (
	"cmp"
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Change is a forecast that differs between two schedules. Before or After is
// nil when only one of them has it.
type Change struct {
	Patient       int // index in the sample
	Group         string
	Risk          bool
	Before, After *Forecast
}

// Compare forecasts a sample of patients by two schedules and lists what
// differs in status, dose number or dates: what activating the second would do.
func Compare(before, after *schedule.Schedule, sample []*Patient) []Change {
	a, b := New(before), New(after)
	var out []Change
	for n, p := range sample {
		old, now := a.Forecast(p).Forecasts, b.Forecast(p).Forecasts
		for i := range old {
			f := find(now, &old[i])
			if f == nil || differs(f, &old[i]) {
				out = append(out, Change{n, old[i].Group, old[i].Risk, &old[i], f})
			}
		}
		for i := range now {
			if find(old, &now[i]) == nil {
				out = append(out, Change{n, now[i].Group, now[i].Risk, nil, &now[i]})
			}
		}
	}
	return out
}

func find(fs []Forecast, like *Forecast) *Forecast {
	for i := range fs {
		if fs[i].Group == like.Group && fs[i].Risk == like.Risk && (fs[i].Begins == None) == (like.Begins == None) {
			return &fs[i]
		}
	}
	return nil
}

func differs(a, b *Forecast) bool {
	return a.Status != b.Status || a.Number != b.Number || a.Earliest != b.Earliest ||
		a.Recommended != b.Recommended || a.PastDue != b.PastDue
}

// GroupChange is what two schedules say differently of one vaccine group, counted
// over a sample. It carries nothing that tells a patient.
type GroupChange struct {
	Group    string
	Risk     bool
	Patients int // whose forecast differs
	Appears  int // of them, those who have the forecast by the second schedule only
	Vanishes int // and by the first only
	Status   int // of those who have both, whose status differs
	Dates    int // whose dates or dose number differ, and the status does not
	Examples []Example
}

// Example is one patient's forecast by two schedules, without the patient: the
// dates are told as the patient's age on them.
type Example struct {
	Age           string // at the assessment, in years, or in months below two years
	Before, After string // "" when there is no forecast
}

// maxExamples is how many examples a GroupChange has.
const maxExamples = 3

// Summarize counts changes by vaccine group, the one with most first. The sample
// is the one that was compared.
func Summarize(changes []Change, sample []*Patient) []GroupChange {
	var out []GroupChange
	for i := range changes {
		c := &changes[i]
		k := slices.IndexFunc(out, func(g GroupChange) bool { return g.Group == c.Group && g.Risk == c.Risk })
		if k < 0 {
			k = len(out)
			out = append(out, GroupChange{Group: c.Group, Risk: c.Risk})
		}
		g := &out[k]
		g.Patients++
		switch {
		case c.Before == nil:
			g.Appears++
		case c.After == nil:
			g.Vanishes++
		case c.Before.Status != c.After.Status:
			g.Status++
		default:
			g.Dates++
		}
		if p := sample[c.Patient]; len(g.Examples) < maxExamples {
			g.Examples = append(g.Examples, Example{roughAge(p.Born, p.Assessment), exampleWords(p, c.Before), exampleWords(p, c.After)})
		}
	}
	slices.SortStableFunc(out, func(a, b GroupChange) int { return cmp.Compare(b.Patients, a.Patients) })
	return out
}

func exampleWords(p *Patient, f *Forecast) string {
	if f == nil {
		return ""
	}
	if f.Status != NotComplete {
		return f.Status.String()
	}
	out := "Dose " + itoa(f.Number)
	if f.Earliest != None {
		out += " from the age of " + ageWords(p.Born, f.Earliest) + ", recommended at " + ageWords(p.Born, f.Recommended)
	}
	if f.PastDue != None {
		out += ", overdue after " + ageWords(p.Born, f.PastDue)
	}
	return out
}

// roughAge tells an age in whole years, or whole months below two years.
func roughAge(born, on Date) string {
	y, m, d := born.Civil()
	y2, m2, d2 := on.Civil()
	months := (y2-y)*12 + m2 - m
	if d2 < d {
		months--
	}
	if months < 24 {
		return plural(max(months, 0), "month")
	}
	return plural(months/12, "year")
}
