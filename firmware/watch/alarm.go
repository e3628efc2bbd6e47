package watch

import (
	"fmt"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// The words that the details of alarm-local events begin with.
const (
	alarmBegins = "begins"
	alarmEnds   = "ends"
)

// alarm is the local alarm of one probe, which sounds without anybody's help: beyond
// the limits of the configuration for as long as it says, until a value is back
// within them. A probe that fails meanwhile ends nothing: what was too warm is taken
// to be so until a value says otherwise.
type alarm struct {
	on    bool
	warm  bool      // else cold; of what is or was last out of range
	since time.Time // when it came out of range; zero while it is in
	last  coldkeep.Temperature
}

// look takes a value, or none, and returns the detail of the event that follows.
func (a *alarm) look(l *wire.LocalAlarm, at time.Time, value coldkeep.Temperature) string {
	switch {
	case l == nil:
		a.since = time.Time{}
		return a.end("no limits any more")
	case !value.Known():
		if a.since.IsZero() {
			return ""
		}
	case int32(value) < l.Low, int32(value) > l.High:
		warm := int32(value) > l.High
		if a.since.IsZero() || a.warm != warm || at.Before(a.since) { // or the clock was set back
			a.since = at
		}
		a.warm, a.last = warm, value
	default:
		a.since = time.Time{}
		return a.end(fmt.Sprintf("%v °C", value))
	}
	if a.on || at.Sub(a.since) < time.Duration(l.After)*time.Second {
		return ""
	}
	a.on = true
	side, limit := "below", coldkeep.Temperature(l.Low)
	if a.warm {
		side, limit = "above", coldkeep.Temperature(l.High)
	}
	return fmt.Sprintf("%s: %v °C, %s %v °C since %s", alarmBegins, a.last, side, limit, a.since.UTC().Format(time.RFC3339))
}

func (a *alarm) end(why string) string {
	if !a.on {
		return ""
	}
	a.on = false
	return alarmEnds + ": " + why
}

// resume takes the latest alarm-local event of the probe: a device that restarted in
// an alarm goes on with it.
func (a *alarm) resume(detail string) { a.on = strings.HasPrefix(detail, alarmBegins) }
