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
