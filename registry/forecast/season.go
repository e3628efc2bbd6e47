package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// season gives the seasonal recommendation's start and end date of a target dose,
// or None (Table 7-9, FORECASTDTCAN-1). [I] A release holds the window of its own
// season only; each season has its release. Asked for a day before it, the same
// days of the earlier year stand, so that a pregnancy of 2023 is not told to wait
// for the season of 2025. A season after the release's is never assumed: what it
// recommends has not been published.
func (r *run) season(t *schedule.Dose) (start, end Date) {
	if n := r.seasonsBack(t); n > 0 {
		back := schedule.Period{Years: int16(-n)}
		return back.From(t.SeasonStart), back.From(t.SeasonEnd)
	}
	return t.SeasonStart, t.SeasonEnd
}

// seasonsBack is how many years before the release's season the season of the
// assessment date is: the one it falls in, or else the next. A season without an
// end does not come every year.
func (r *run) seasonsBack(t *schedule.Dose) int {
	if t.SeasonStart == None || t.SeasonEnd == None || r.p.Assessment > t.SeasonEnd-365 {
		return 0
	}
	last, _, _ := t.SeasonEnd.Civil()
	asked, _, _ := r.p.Assessment.Civil()
	n := last - asked
	back := schedule.Period{Years: int16(-n)}
	if back.From(t.SeasonEnd) < r.p.Assessment {
		n-- // the season that ends in the year asked for is over
	}
	return n
}

// counted gives the dates a skip condition counts doses between, None when open.
// In a seasonal dose they are of the season, and in a forecast they move with it;
// how a dose was evaluated must not depend on the day it is asked for.
func (r *run) counted(t *schedule.Dose, c *schedule.Condition, ctx schedule.Context) (start, end Date) {
	start, end = c.Start, c.End
	if ctx == schedule.InEvaluation || start == None && end == None {
		return start, end
	}
	if n := r.seasonsBack(t); n > 0 {
		back := schedule.Period{Years: int16(-n)}
		if start != None {
			start = back.From(start)
		}
		if end != None {
			end = back.From(end)
		}
	}
	return start, end
}
