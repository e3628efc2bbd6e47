//go:build !linux

package firmware

import (
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// blind is a timekeeper that cannot ask its system.
type blind struct{}

func newTimekeeper() timekeeper { return blind{} }

func (blind) trust() string { return wire.ClockUnsynced }

func (blind) boot() (id string, ago time.Duration, ok bool) { return "", 0, false }
