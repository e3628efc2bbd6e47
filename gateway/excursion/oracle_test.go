package excursion

import (
	"slices"

	"github.com/coldkeep/coldkeep"
)

// oracle judges a whole record the slow and obvious way: it looks at all readings
// for each answer and keeps no state. It is written from the words of the command
// contract and shares no code with the engine but the finding.
func oracle(u *coldkeep.UnitRules, samples []Sample) []Finding {
	slices.SortStableFunc(samples, Compare)
	out := append(oracleFaults(samples), oracleGaps(u, samples)...)
	var good []Sample
	for _, s := range samples {
		if s.Celsius.Known() {
			good = append(good, s)
		}
	}
	for _, kind := range []coldkeep.Kind{coldkeep.TooWarm, coldkeep.TooCold} {
		out = append(out, oracleSide(u, kind, good)...)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		if a.Start != b.Start {
			return int(min(1, max(-1, a.Start-b.Start)))
		}
		return slices.Compare([]coldkeep.Kind{a.Kind}, []coldkeep.Kind{b.Kind})
	})
	return out
}

func oracleFaults(samples []Sample) (out []Finding) {
	for i := 0; i < len(samples); i++ {
		if samples[i].Celsius.Known() {
			continue
		}
		f := Finding{Kind: coldkeep.SensorFault, Start: samples[i].At, Reason: samples[i].Quality}
		for i < len(samples) && !samples[i].Celsius.Known() {
			i++
		}
		if i < len(samples) {
			f.End = samples[i].At
		}
		out = append(out, f)
	}
	return out
}

func oracleGaps(u *coldkeep.UnitRules, samples []Sample) (out []Finding) {
	for i := 1; i < len(samples); i++ {
		if samples[i].At-samples[i-1].At > u.MaxGapDuration().Milliseconds() {
			out = append(out, Finding{Kind: coldkeep.NoData, Start: samples[i-1].At, End: samples[i].At})
		}
	}
	return out
}

func oracleSide(u *coldkeep.UnitRules, kind coldkeep.Kind, good []Sample) (out []Finding) {
	isOut := func(i int) bool {
		if u.Out(good[i].Celsius) == kind {
			return true
		}
		for r := range u.Rules {
			if u.Rules[r].Kind == kind && u.Rules[r].Out(good[i].Celsius) {
				return true
			}
		}
		return false
	}
	counted := func(i int) int64 { // time that reading i stands for
		if i+1 >= len(good) {
			return 0
		}
		if dt := good[i+1].At - good[i].At; dt <= u.MaxGapDuration().Milliseconds() {
			return dt
		}
		return 0
	}
	for i := 0; i < len(good); i++ {
		if !isOut(i) {
			continue
		}
		first, last := i, len(good)-1
		f := Finding{Kind: kind, Start: good[first].At}
		for j := first; j < len(good); j++ {
			if isOut(j) {
				continue
			}
			back := j // first reading of the in-range stretch that j is in
			for back > first && !isOut(back-1) {
				back--
			}
			if good[j].At-good[back].At >= u.CloseAfterDuration().Milliseconds() {
				f.End, last = good[back].At, j
				break
			}
		}
		for j := first; j <= last; j++ {
			if !isOut(j) {
				continue
			}
			if j < last {
				f.OutMS += counted(j)
			}
			t := good[j].Celsius
			if j == first || kind == coldkeep.TooWarm && t > f.Extreme || kind == coldkeep.TooCold && t < f.Extreme {
				f.Extreme, f.PeakAt = t, good[j].At
			}
		}
		oracleRules(u, kind, good, first, last, counted, &f)
		out = append(out, f)
		i = last
	}
	return out
}

func oracleRules(u *coldkeep.UnitRules, kind coldkeep.Kind, good []Sample, first, last int, counted func(int) int64, f *Finding) {
	const minute = int64(60_000)
	best := 0
	for r := range u.Rules {
		rule := &u.Rules[r]
		if rule.Kind != kind {
			continue
		}
		met := false
		for m := first; m <= last; m++ {
			switch rule.Type {
			case coldkeep.Instant:
				met = met || rule.Out(good[m].Celsius)
			case coldkeep.Consecutive:
				for k := m; k >= first && rule.Out(good[k].Celsius); k-- {
					if k < m && counted(k) == 0 && good[k+1].At != good[k].At {
						break // a gap
					}
					met = met || good[m].At-good[k].At >= int64(rule.Minutes)*minute
				}
			case coldkeep.Cumulative:
				sum, since := int64(0), good[m].At-int64(rule.Window)*60*minute
				for k := 0; k < m; k++ {
					if end := good[k].At + counted(k); rule.Out(good[k].Celsius) && end > since {
						sum += end - max(good[k].At, since)
					}
				}
				met = met || sum >= int64(rule.Minutes)*minute
			}
		}
		if !met {
			continue
		}
		rank := 0
		for _, a := range rule.Actions {
			rank = max(rank, a.Rank())
			if !slices.Contains(f.Actions, a) {
				f.Actions = append(f.Actions, a)
			}
		}
		if rank > best {
			best, f.Rule = rank, rule.Type
		}
	}
	slices.SortFunc(f.Actions, func(a, b coldkeep.Action) int { return a.Rank() - b.Rank() })
}
