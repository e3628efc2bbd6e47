package forecast

import (
	"cmp"
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// organize breaks the doses into antigen administered records, by antigen and
// then by date (4.2). Doses of one day are put in order of their codes, so that
// the order they were written in does not matter.
func (r *run) organize() {
	r.given = r.given[:0]
	for i := range r.p.Doses {
		d := &r.p.Doses[i]
		if d.Date > r.p.Assessment {
			continue // not given yet on the day that is asked about
		}
		cvx, _ := r.s.CVX(d.CVX)
		r.given = append(r.given, given{date: d.Date, cvx: cvx, input: int32(i), dose: d})
	}
	slices.SortFunc(r.given, func(a, b given) int {
		if a.date != b.date {
			return cmp.Compare(a.date, b.date)
		}
		if a.cvx != b.cvx {
			return cmp.Compare(a.cvx, b.cvx)
		}
		return sameDay(a.dose, b.dose)
	})
	for i := range r.records {
		r.records[i] = r.records[i][:0]
	}
	for i := range r.given {
		g := &r.given[i]
		if g.cvx == schedule.NoCVX {
			continue
		}
		for _, a := range r.s.Vaccines[g.cvx].Associations {
			// The same vaccine may be a different antigen by age, as live zoster
			// vaccine is varicella vaccine below 50 years.
			if r.within(a.Begin, a.End, g.date) {
				r.records[a.Antigen] = append(r.records[a.Antigen], int32(i))
			}
		}
	}
}

func sameDay(a, b *Dose) int {
	if c := cmp.Compare(a.MVX, b.MVX); c != 0 {
		return c
	}
	if a.Condition != b.Condition {
		if a.Condition {
			return 1
		}
		return -1
	}
	return cmp.Compare(b.LotExpiry, a.LotExpiry)
}

// observe finds the active observations. A code that is not in the schedule
// decides nothing; it is reported, because a risk may be behind it.
func (r *run) observe() {
	if r.anyObs {
		clear(r.observed)
		r.anyObs = false
	}
	r.unknown = r.unknown[:0]
	for _, o := range r.p.Observations {
		if o.Presence == Absent || o.Date != None && o.Date > r.p.Assessment {
			continue
		}
		i, ok := r.s.Observation(o.Code)
		if !ok {
			r.out.Undetermined = append(r.out.Undetermined, Undetermined{Code: o.Code,
				Says: "The code is not one of the schedule's observations, so no risk and no contraindication was judged by it."})
			continue
		}
		if o.Presence == Unknown {
			r.unknown = append(r.unknown, i)
			continue
		}
		if !r.observed[i] {
			r.obsDates[i] = None
		}
		r.observed[i], r.anyObs = true, true
		r.obsDates[i] = max(r.obsDates[i], o.Date)
	}
}
