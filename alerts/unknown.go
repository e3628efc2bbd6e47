package alerts

import (
	"strings"

	"github.com/coldkeep/coldkeep"
)

// The words for alerts that are not of a temperature: nobody knows how the unit stands,
// or a device cannot be trusted.

// saysUnknown says what is the matter, and what to say when it is over.
func (m *Message) saysUnknown() (what, over string) {
	x, s := &m.Alert.Excursion, m.subject()
	since, until := m.hour(x.Start), ""
	if x.End != nil {
		until = m.hour(*x.End)
	}
	switch x.Kind {
	case coldkeep.NoData:
		if x.State == coldkeep.ExcursionClosed {
			return "No readings from " + s + " from " + since + " to " + until + "; they are back",
				"Readings are back: " + s + " (none from " + since + " to " + until + ")"
		}
		return "No readings from " + s + " since " + since, ""
	case coldkeep.SensorFault:
		fault := faultWords(x.Reason)
		if x.State == coldkeep.ExcursionClosed {
			return "Probe of " + s + " had a fault from " + since + " to " + until + " and is well again",
				"Probe is well again: " + s + " (fault from " + since + " to " + until + ")"
		}
		return "Probe of " + s + " reports a fault: " + fault + ", since " + since, ""
	case coldkeep.DoorOpen, coldkeep.PowerLost:
		is, was, well := "The door of "+s+" is open", "The door of "+s+" was open", "Door is shut"
		if x.Kind == coldkeep.PowerLost {
			is, was, well = s+" has no mains power", s+" had no mains power", "Mains power is back"
		}
		if x.State == coldkeep.ExcursionClosed {
			return was + " from " + since + " to " + until, well + ": " + s + " (from " + since + " to " + until + ")"
		}
		return is + " since " + since, ""
	case coldkeep.DeviceFault:
		if x.State == coldkeep.ExcursionClosed {
			return s + " had a fault from " + since + " to " + until + "; " + orElse(x.Reason, "it is well again"),
				s + " is well again: " + orElse(x.Reason, "the fault is over")
		}
		return s + ": " + orElse(x.Reason, "it has a fault"), ""
	}
	return s + ": " + kindWords(x.Kind), ""
}

// faultWords say what a probe's quality code means, in the words of who looks at the
// cable. A reason without a code is said as it is.
func faultWords(reason string) string {
	code := reason
	if i := strings.LastIndex(reason, ": "); i >= 0 {
		code = reason[i+2:]
	}
	switch coldkeep.Quality(code) {
	case coldkeep.QualityOpen:
		return "open circuit"
	case coldkeep.QualityShort:
		return "short circuit"
	case coldkeep.QualityMissing:
		return "it does not answer"
	case coldkeep.QualityTimeout:
		return "it does not answer in time"
	case coldkeep.QualityCRC:
		return "garbled answers"
	case coldkeep.QualityReset85:
		return "it starts again and again"
	case coldkeep.QualityZeros:
		return "empty answers"
	case coldkeep.QualityStuck:
		return "frozen at one value"
	case coldkeep.QualityRange:
		return "values that cannot be"
	case coldkeep.QualityRate:
		return "values that jump"
	case coldkeep.QualityError:
		return "it cannot be read"
	}
	return orElse(reason, "it gives no reading that can be believed")
}

// alsoWords name an alert that goes on beside this one.
func alsoWords(k coldkeep.Kind) string {
	switch k {
	case coldkeep.NoData:
		return "no readings"
	case coldkeep.SensorFault:
		return "a probe's fault"
	case coldkeep.DoorOpen:
		return "the door is open"
	case coldkeep.PowerLost:
		return "no mains power"
	}
	return "the unit is " + kindWords(k)
}

// unknown are the lines about a silence or a fault.
func (m *Message) unknown(p func(string, ...any)) {
	x := &m.Alert.Excursion
	label := map[coldkeep.Kind]string{coldkeep.NoData: "No readings:  ", coldkeep.SensorFault: "Probe fault:  ",
		coldkeep.DoorOpen: "Door open:    ", coldkeep.PowerLost: "No power:     "}[x.Kind]
	if label == "" {
		label = "Fault:        "
	}
	switch {
	case x.State == coldkeep.ExcursionWithdrawn:
		p("%s no; what came late corrected it", label)
	case x.End != nil:
		p("%s %s to %s, %s", label, m.clock(x.Start), m.clock(*x.End), span(x.End.Sub(x.Start)))
	default:
		p("%s since %s, for %s", label, m.clock(x.Start), span(max(0, m.At.Sub(x.Start))))
	}
	if x.Kind == coldkeep.DeviceFault {
		if x.Reason != "" {
			p("What:          %s", line("%s", x.Reason))
		}
		return
	}
	if x.Kind == coldkeep.SensorFault && x.State == coldkeep.ExcursionOpen {
		p("What:          %s", line("%s", faultWords(x.Reason)))
	}
	if x.Probe != "" {
		p("Probe:         %s", line("%s", x.Probe))
	}
	if x.State != coldkeep.ExcursionWithdrawn && x.Kind != coldkeep.DoorOpen && x.Kind != coldkeep.PowerLost {
		p("Temperature:   not measured by this probe meanwhile")
	}
}

// todoUnknown is what a person should do when nobody knows how a unit stands. The steps
// follow the CDC toolkit: do not open the unit, look at plug, switch and door, use the
// backup logger that every clinic must have, and move the vaccine by the emergency plan
// when the unit is out of range or does not run.
func (m *Message) todoUnknown(answer string) []string {
	x := &m.Alert.Excursion
	if m.Alert.State != coldkeep.AlertOpen {
		answer = ""
	}
	var todo []string
	switch {
	case m.Event == EventAcknowledged || x.State == coldkeep.ExcursionWithdrawn && answer == "":
		return nil
	case x.State == coldkeep.ExcursionWithdrawn:
	case x.State == coldkeep.ExcursionClosed && x.Kind == coldkeep.DeviceFault:
	case x.State == coldkeep.ExcursionClosed && (x.Kind == coldkeep.DoorOpen || x.Kind == coldkeep.PowerLost):
		todo = []string{"Look at the unit's chart. Should it show an excursion, that has an alert of its own."}
	case x.Kind == coldkeep.DoorOpen:
		todo = []string{"Shut the door, and watch the unit until it is steady again."}
	case x.Kind == coldkeep.PowerLost:
		todo = []string{
			"Do not open the unit. See whether it is plugged in, and whether the fuse or the mains failed.",
			"If the power stays away, move the vaccine to a unit that is in range, by your emergency plan.",
		}
	case x.State == coldkeep.ExcursionClosed:
		todo = []string{
			"Look at the unit's chart. Readings that were kept on the device come late; should they show an excursion, it has an alert of its own.",
			"Where nothing came late, nobody knows how the unit stood. Write down what its own display or the backup logger shows.",
		}
	case x.Kind == coldkeep.NoData:
		todo = []string{
			"Do not open the unit. See that it is plugged in and switched on, that it runs, and that its door is shut.",
			"Check the power, the network and the probe of device " + m.device() + ".",
			"Put the backup data logger into the unit until readings come again.",
			"If the unit does not run, or is out of range, move the vaccine to a unit that is in range, by your emergency plan.",
		}
	case x.Kind == coldkeep.SensorFault:
		todo = []string{
			"Keep the door shut. See that the unit is plugged in and switched on, and that it runs.",
			"Check the probe's plug and cable on device " + m.device() + ".",
			"Put the backup data logger into the unit until the probe is well.",
			"If the unit does not run, or is out of range, move the vaccine to a unit that is in range, by your emergency plan.",
		}
	default:
		todo = []string{
			"Look at the device: its power, its network, its clock. Tell whoever looks after your devices.",
			"Watch the units of this device by their own displays until it is well. Nothing is held for it.",
		}
	}
	if answer != "" {
		todo = append([]string{answer}, todo...)
	}
	return todo
}

// device is the agent's name, of "site/agent" or "site/agent/probe".
func (m *Message) device() string {
	parts := strings.Split(m.Alert.Excursion.Probe, "/")
	if len(parts) < 2 || parts[1] == "" {
		return "unknown"
	}
	return parts[1]
}

// Path is the path of the screen where an alert is answered: the unit's, or for a
// device's fault the device's.
func Path(a coldkeep.Alert) string {
	if a.Excursion.Kind != coldkeep.DeviceFault {
		return "/units/" + string(a.Appliance)
	}
	return "/devices#device-" + strings.ReplaceAll(a.Excursion.Probe, "/", "-")
}
