package forecast

import "slices"

// Of gives the forecasts of a vaccine group, by CDC's name of it: none, one, or
// several when a risk series applies beside the standard one or is to come.
func (res *Result) Of(group string) []Forecast {
	from := 0
	for from < len(res.Forecasts) && res.Forecasts[from].Group != group {
		from++
	}
	to := from
	for to < len(res.Forecasts) && res.Forecasts[to].Group == group {
		to++
	}
	return res.Forecasts[from:to]
}

// Verdict is what became of a dose in one vaccine group, its antigens and series
// taken together.
type Verdict struct {
	Group  string
	Status EvalStatus
	Reason Reason
	Number int  // which of the doses that count it is, the highest of its antigens; 0 when it does not
	Mixed  bool // it counts for some antigens of the group and not for others
}

// Verdicts gives the verdict of each vaccine group the dose is of. An antigen is
// counted when the dose is valid in the standard or in the risk series of it; a
// group with one antigen that is not counted is not valid.
func (d *DoseResult) Verdicts() []Verdict {
	var out []Verdict
	for k := range d.Evaluations {
		e := &d.Evaluations[k]
		if !standsFor(d.Evaluations, k) {
			continue
		}
		i := len(out) - 1
		if i < 0 || out[i].Group != e.Group {
			out = append(out, Verdict{e.Group, e.Status, e.Reason, e.Number, false})
			continue
		}
		v := &out[i]
		v.Mixed = v.Mixed || (v.Status == Valid) != (e.Status == Valid)
		v.Number = max(v.Number, e.Number)
		switch {
		case e.Status == v.Status:
			v.Reason |= e.Reason
		case v.Status == Valid:
			v.Status, v.Reason = e.Status, e.Reason
		}
	}
	return out
}

// Try tells what would become of a dose that is about to be given: whether it
// would count, in words. The patient stays as it is.
func (e *Engine) Try(p *Patient, d Dose) *DoseResult {
	q := *p
	q.Assessment = max(p.Assessment, d.Date)
	q.Doses = append(slices.Clone(p.Doses), d)
	return &e.Explain(&q).Doses[len(p.Doses)]
}
