package main

import (
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
)

// excursion is a stretch out of range of five minutes or more. Stretches less than
// half an hour apart are one.
type excursion struct {
	side       coldkeep.Kind
	start, end int64 // ms
}

const (
	atLeast = 5 * 60_000
	joined  = 30 * 60_000
)

func excursionsOf(low, high coldkeep.Temperature, samples []foresight.Sample) []excursion {
	var out []excursion
	for _, side := range []coldkeep.Kind{coldkeep.TooWarm, coldkeep.TooCold} {
		var list []excursion
		var open *excursion
		var last int64
		for _, s := range samples {
			if !believed(s.Celsius) {
				continue
			}
			if s.At-last > joined {
				open = nil // nobody knows how it went on
			}
			last = s.At
			beyond := s.Celsius > high
			if side == coldkeep.TooCold {
				beyond = s.Celsius < low
			}
			switch {
			case beyond && open == nil:
				if n := len(list); n > 0 && s.At-list[n-1].end < joined {
					open = &list[n-1]
				} else {
					list = append(list, excursion{side, s.At, s.At})
					open = &list[n]
				}
				open.end = s.At
			case beyond:
				open.end = s.At
			case open != nil:
				open.end = s.At
				open = nil
			}
		}
		for _, x := range list {
			if x.end-x.start >= atLeast {
				out = append(out, x)
			}
		}
	}
	slices.SortFunc(out, func(a, b excursion) int { return int(a.start/1000 - b.start/1000) })
	return out
}

// believed leaves out what the plausibility gate of an agent does, such as -273.2.
func believed(t coldkeep.Temperature) bool { return t.Known() && t > -120_000 && t < 80_000 }

// comesTrue reports whether an excursion to the side of the warning began within
// two hours of it. That of a drift, which is told days ahead, has twice the time
// that the warning gave, and a day.
func comesTrue(w foresight.Warning, xs []excursion) bool {
	within := int64(2 * time.Hour / time.Millisecond)
	if w.Cause == foresight.ThermostatDrift && w.Reaches-w.At > within {
		within = 2*(w.Reaches-w.At) + 24*3600_000
	}
	for _, x := range xs {
		if x.side == w.Side && x.start > w.At && x.start <= w.At+within {
			return true
		}
	}
	return false
}

func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	l := slices.Clone(list)
	slices.Sort(l)
	return l[int(q*float64(len(l)-1)+0.5)]
}
