package forecast

import (
	"sync/atomic"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Live holds the engine in force. A release that is refused never gets here, so
// the one before it stays in force.
type Live struct{ engine atomic.Pointer[Engine] }

// NewLive begins with a schedule.
func NewLive(s *schedule.Schedule) *Live {
	l := new(Live)
	l.Activate(s)
	return l
}

// Engine gives the engine in force.
func (l *Live) Engine() *Engine { return l.engine.Load() }

// Activate puts a schedule in force for every question from now on.
func (l *Live) Activate(s *schedule.Schedule) { l.engine.Store(New(s)) }

// Change is a forecast that differs between two schedules. Before or After is
// nil when only one of them has it.
type Change struct {
	Patient       string
	Group         string
	Risk          bool
	Before, After *Forecast
}

// Compare forecasts a sample of patients by two schedules and lists what
// differs in status, dose number or dates: what activating the second would do.
func Compare(before, after *schedule.Schedule, sample []*Patient) []Change {
	a, b := New(before), New(after)
	var out []Change
	for _, p := range sample {
		old, now := a.Forecast(p).Forecasts, b.Forecast(p).Forecasts
		for i := range old {
			f := find(now, &old[i])
			if f == nil || differs(f, &old[i]) {
				out = append(out, Change{p.ID, old[i].Group, old[i].Risk, &old[i], f})
			}
		}
		for i := range now {
			if find(old, &now[i]) == nil {
				out = append(out, Change{p.ID, now[i].Group, now[i].Risk, nil, &now[i]})
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
