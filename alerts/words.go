package alerts

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/coldkeep/coldkeep"
)

// Title is the message in one line, as for a subject or a phone's lock screen.
func (m *Message) Title() string {
	x := &m.Alert.Excursion
	subject := m.subject()
	switch m.Event {
	case EventAcknowledged:
		return line("Answered by %s: %s", m.Alert.AcknowledgedBy, subject)
	case EventWithdrawn:
		return line("Withdrawn: %s", subject)
	}
	what, over := m.saysSo(), ""
	if !temperature(x.Kind) {
		what, over = m.saysUnknown()
	}
	switch m.Event {
	case EventRepeated:
		return line("NOT ANSWERED: %s", what)
	case EventResolved:
		if over != "" {
			return line("%s", over)
		}
		return line("Back in range: %s", what)
	case EventReopened:
		return line("AGAIN: %s", what)
	}
	return line("ALERT: %s", what)
}

// temperature reports whether a kind of excursion is of a temperature.
func temperature(k coldkeep.Kind) bool { return k == coldkeep.TooWarm || k == coldkeep.TooCold }

// subject is what the alert is about: a unit or a device, and where.
func (m *Message) subject() string {
	s := m.unit()
	if m.Alert.Excursion.Kind == coldkeep.DeviceFault {
		s = "Device " + m.device()
	}
	if m.Site.Name != "" {
		s += ", " + m.Site.Name
	}
	return s
}

// saysSo says how warm or cold the unit is.
func (m *Message) saysSo() string {
	x := &m.Alert.Excursion
	now := "is " + kindWords(x.Kind)
	switch {
	case x.State == coldkeep.ExcursionWithdrawn:
		now = "was not out of range after all"
	case m.Event == EventResolved:
		now = "was " + kindWords(x.Kind)
	case x.State == coldkeep.ExcursionClosed:
		now = "was " + kindWords(x.Kind) + ", is back in range"
	}
	if x.Extreme.Known() && x.State != coldkeep.ExcursionWithdrawn {
		now += " (" + degrees(x.Extreme) + ")"
	}
	return m.subject() + " " + now
}

// Text is the message in plain words: which unit, how warm or cold, since when,
// and what to do now. Times are the site's own.
func (m *Message) Text() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%s", m.Title())
	p("")
	if m.Alert.Excursion.Kind == coldkeep.DeviceFault {
		p("Device:        %s", line("%s", m.device()))
	} else {
		p("Unit:          %s", line("%s", m.unit()))
	}
	if m.Site.Name != "" || m.Site.ID != "" {
		p("Site:          %s", line("%s", orElse(m.Site.Name, string(m.Site.ID))))
	}
	m.facts(p)
	p("")
	if todo := m.todo(); len(todo) > 0 {
		p("What to do now")
		for i, t := range todo {
			p("%d. %s", i+1, t)
		}
		p("")
	}
	if m.Alert.State == coldkeep.AlertOpen && m.Repeat > 0 {
		p("This is told again every %s until a person has answered.", span(time.Duration(m.Repeat)*time.Second))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// facts are the lines about the excursion itself.
func (m *Message) facts(p func(string, ...any)) {
	x := &m.Alert.Excursion
	if temperature(x.Kind) {
		m.outOfRange(p)
	} else {
		m.unknown(p)
	}
	for _, o := range m.Also {
		p("Beside it:     %s since %s, by an alert of its own", alsoWords(o.Kind), m.clock(o.Start))
	}
	if m.Alert.AcknowledgedBy != "" {
		p("Answered by:   %s", line("%s", m.Alert.AcknowledgedBy))
		if m.Alert.Note != "" {
			p("Note:          %s", line("%s", m.Alert.Note))
		}
	}
	if m.Link != "" {
		p("Screen:        %s", m.Link)
	}
}

// outOfRange are the lines about a time too warm or too cold.
func (m *Message) outOfRange(p func(string, ...any)) {
	x := &m.Alert.Excursion
	known := x.State != coldkeep.ExcursionWithdrawn
	if x.Extreme.Known() && known {
		worst := "Warmest:      "
		if x.Kind == coldkeep.TooCold {
			worst = "Coldest:      "
		}
		p("%s %s at %s", worst, degrees(x.Extreme), m.clock(x.PeakAt))
	}
	switch {
	case !known:
		p("Out of range:  no; readings that came late corrected it")
	case x.End != nil:
		p("Out of range:  %s to %s, %s in all", m.clock(x.Start), m.clock(*x.End), minutes(x.MinutesOut))
	default:
		p("Out of range:  since %s, for %s", m.clock(x.Start), span(max(0, m.At.Sub(x.Start))))
	}
	if !known {
		return
	}
	if x.MKT != nil && x.MKT.Known() {
		p("Mean kinetic:  %s, for information only", degrees(*x.MKT))
	}
	if len(x.Witnesses) > 1 {
		out := 0
		for _, w := range x.Witnesses {
			if w.Out {
				out++
			}
		}
		p("Probes:        %d of the %d in the unit were out of range", out, len(x.Witnesses))
	}
	if len(x.Contexts) > 0 {
		noted := make([]string, len(x.Contexts))
		for i, c := range x.Contexts {
			noted[i] = contextWords(c)
		}
		p("Noted:         %s", line("%s", strings.Join(noted, ", ")))
	}
	if x.Has(coldkeep.ActionHold) {
		p("Vaccine:       the lots that stood in it go on hold")
	}
}

func contextWords(k coldkeep.ContextKind) string {
	switch k {
	case coldkeep.ContextOutOfService:
		return "unit out of service"
	case coldkeep.ContextWarmUp:
		return "running to temperature after set-up"
	case coldkeep.ContextDefrost:
		return "planned defrost"
	case coldkeep.ContextDoorOpen:
		return "door open"
	case coldkeep.ContextTransport:
		return "transport"
	case coldkeep.ContextPowerLost:
		return "power lost"
	}
	return strings.ReplaceAll(string(k), "-", " ")
}

// todo is what a person should do, in order. The steps on the vaccine are those of
// the CDC toolkit: keep it cold, mark it, ask before using or discarding it.
func (m *Message) todo() []string {
	x := &m.Alert.Excursion
	answer := "Answer this alert with your name, so that others know that you are on it"
	if x.State != coldkeep.ExcursionOpen {
		answer = "Answer this alert with your name, so that it is not told again"
	}
	if m.Link != "" {
		answer += ": " + m.Link // last, so that mail programs find where it ends
	}
	if !temperature(x.Kind) {
		return m.todoUnknown(answer)
	}
	switch {
	case m.Alert.State != coldkeep.AlertOpen && m.Event == EventAcknowledged:
		return nil
	case x.State == coldkeep.ExcursionWithdrawn:
		if m.Alert.State != coldkeep.AlertOpen {
			return nil
		}
		return []string{answer, "Lots that were held for it wait for a person to release them."}
	case x.State == coldkeep.ExcursionClosed:
		todo := []string{
			"Do not use the vaccine that stood in this unit and do not throw it away. Mark it DO NOT USE and keep it in range.",
			"Ask the manufacturer or your immunization programme whether it can be used.",
		}
		if m.Alert.State == coldkeep.AlertOpen {
			todo = append([]string{answer}, todo...)
		}
		return todo
	}
	todo := []string{
		"Go to the unit. Look at the door, the plug and the thermostat. Keep the door shut.",
		"If it does not recover at once, move the vaccine to a unit that is in range, by your emergency plan.",
		"Mark the vaccine DO NOT USE. Do not throw it away. Ask the manufacturer or your immunization programme.",
	}
	if m.Alert.State == coldkeep.AlertOpen {
		todo = append([]string{answer}, todo...)
	}
	return todo
}

func (m *Message) unit() string {
	return orElse(m.Appliance.Name, string(m.Appliance.ID), string(m.Alert.Appliance))
}

// clock gives a time on the site's own clock.
func (m *Message) clock(t time.Time) string {
	return t.In(m.zone()).Format("Mon 2 Jan 2006 15:04 MST")
}

// hour gives a time on the site's own clock as short as it can be told: the time of day
// alone when it was within the last day.
func (m *Message) hour(t time.Time) string {
	zone := m.zone()
	if age := m.At.Sub(t); age >= 0 && age < 24*time.Hour {
		return t.In(zone).Format("15:04")
	}
	return t.In(zone).Format("2 Jan 15:04")
}

func (m *Message) zone() *time.Location {
	if m.Site.TimeZone != "" {
		if z, err := time.LoadLocation(m.Site.TimeZone); err == nil {
			return z
		}
	}
	return time.UTC
}

func kindWords(k coldkeep.Kind) string {
	switch k {
	case coldkeep.TooWarm:
		return "too warm"
	case coldkeep.TooCold:
		return "too cold"
	}
	return strings.ReplaceAll(string(k), "-", " ")
}

// degrees gives a temperature in both scales, to a tenth.
func degrees(t coldkeep.Temperature) string {
	return fmt.Sprintf("%.1f °C, %.1f °F", t.Celsius(), t.Celsius()*9/5+32)
}

func minutes(m float64) string { return span(time.Duration(m * float64(time.Minute))) }

// span gives a duration as people say it: "45 s", "42 min", "3 h 5 min", "2 d 1 h".
func span(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	all := int(d / time.Minute)
	days, h, m := all/(24*60), all/60%24, all%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, h)
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	}
	return fmt.Sprintf("%d min", m)
}

// line formats text that must stay on one line, whatever names were typed in.
func line(format string, args ...any) string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	return strings.Join(strings.Fields(s), " ")
}

func orElse(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return "unknown unit"
}
