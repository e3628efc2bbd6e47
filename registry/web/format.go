package web

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// functions are what the templates may call.
func functions(static *assets) template.FuncMap {
	return template.FuncMap{
		"asset":        static.url,
		"has":          static.has,
		"celsius":      celsius,
		"both":         both,
		"f":            fahrenheit,
		"limit":        limit,
		"when":         when,
		"clock":        clock,
		"recent":       recent,
		"day":          day,
		"date":         func(d coldkeep.Date) string { return day(d.String()) },
		"dated":        dated,
		"choice":       immunization.Text,
		"missing":      forms.MissingWords,
		"language":     vis.LanguageName,
		"statement":    statementName,
		"givenOn":      givenOn,
		"input":        inputTime,
		"state":        stateWords,
		"unit":         unitWords,
		"kind":         kindWords,
		"context":      contextWords,
		"contexts":     func(all []coldkeep.ContextKind) string { return joinWords(all, contextWords) },
		"role":         roleWords,
		"measured":     measured,
		"degreeMin":    func(v float64) string { return signed(v) + " °C·min" },
		"anchor":       func(s string) string { return strings.ReplaceAll(s, "/", "-") },
		"rule":         ruleWords,
		"plain":        plainReason,
		"actions":      actionWords,
		"minutes":      minutes,
		"calls":        calls,
		"alertIcon":    alertIcon,
		"exposure":     exposureWords,
		"stock":        stockWords,
		"signedCount":  signedCount,
		"over":         overBudget,
		"hours":        hours,
		"ago":          ago,
		"skew":         skewWords,
		"table":        tableWords,
		"milli":        func(t coldkeep.Temperature) string { return strings.Replace(t.String(), "-", "−", 1) + " °C" },
		"minutesFloat": func(m *int) float64 { return float64(*m) },
		"minutesOf":    func(seconds int) int { return seconds / 60 },
		"joined":       joinedWords,
		"join":         strings.Join,
		"calendar":     calendar,
		"errorCode":    errorCode,
		"errorDetail":  errorDetail,
		"tail":         func(id string) string { return id[max(0, len(id)-6):] },
		"next":         func(n int64) int64 { return n + 1 },
		"qrbox":        func(n int) int { return n + 8 }, // with a quiet zone of four squares around (ISO/IEC 18004)
		"siteID":       func(s string) coldkeep.SiteID { return coldkeep.SiteID(s) },
		"args":         func(a ...any) []any { return a },
		"agentPath":    func(d coldkeep.Device) string { return string(d.Site) + "/" + string(d.Agent) },
	}
}

// statementName names a Vaccine Information Statement by its code, or gives what was recorded.
func statementName(codes *vaccine.Codes, document string) string {
	if st, ok := codes.Statement(document); ok {
		return strings.TrimSuffix(st.Name, " VIS")
	}
	return document
}

// givenOn is the day of a dose, or its month when no more is known.
func givenOn(dose any) string {
	var d immunization.Dose
	switch v := dose.(type) {
	case immunization.Dose:
		d = v
	case *immunization.Dose:
		d = *v
	}
	if d.DayUnknown && d.Date.Known() {
		return d.Date.Midnight(time.UTC).Format("January 2006")
	}
	return day(d.Date.String())
}

// celsius gives one decimal with a real minus sign; "–" when absent.
func celsius(t coldkeep.Temperature) string {
	if !t.Known() {
		return "–"
	}
	return signed(t.Celsius()) + " °C"
}

func fahrenheit(t coldkeep.Temperature) string {
	if !t.Known() {
		return ""
	}
	return signed(t.Celsius()*9/5+32) + " °F"
}

func both(t coldkeep.Temperature) string {
	if !t.Known() {
		return "–"
	}
	return celsius(t) + " (" + fahrenheit(t) + ")"
}

// limit is a threshold as it was published, with a real minus sign.
func limit(t coldkeep.Threshold) string { return strings.Replace(t.String(), "-", "−", 1) }

func signed(v float64) string {
	r := math.Round(v*10) / 10
	if r == 0 {
		r = math.Abs(r) // no minus before a zero
	}
	return strings.Replace(fmt.Sprintf("%.1f", r), "-", "−", 1)
}

// timeOf takes a time or an optional one; ok is false when it is absent.
func timeOf(v any) (t time.Time, ok bool) {
	switch v := v.(type) {
	case time.Time:
		return v, !v.IsZero()
	case *time.Time:
		if v != nil {
			return *v, true
		}
	}
	return time.Time{}, false
}

// when is a time in the clinic's zone, for people and for programs.
func when(v any, loc *time.Location) template.HTML { return timeTag(v, loc, "Jan 2, 2006,", "3:04 PM") }

// clock is when without the year, for times whose day is plain.
func clock(v any, loc *time.Location) template.HTML { return timeTag(v, loc, "Jan 2,", "3:04 PM") }

// recent is the time of day alone for a time of today, else clock.
func recent(v any, loc *time.Location, now time.Time) template.HTML {
	if t, ok := timeOf(v); ok && t.In(loc).Format(time.DateOnly) == now.In(loc).Format(time.DateOnly) {
		return timeTag(v, loc, "", "3:04 PM")
	}
	return clock(v, loc)
}

// timeTag may be broken between date and time of day, and nowhere else.
func timeTag(v any, loc *time.Location, date, hour string) template.HTML {
	t, ok := timeOf(v)
	if !ok {
		return "–"
	}
	// A time's own text holds nothing that HTML reads otherwise.
	t = t.In(loc)
	text := `<span>` + t.Format(hour) + `</span>`
	if date != "" {
		text = `<span>` + t.Format(date) + `</span> ` + text
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `">` + text + `</time>`)
}

// day reads a date of the tables for people.
func day(s string) string {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return s
	}
	return t.Format("Jan 2, 2006")
}

// inputLayout is how <input type="datetime-local"> writes a time, in the clinic's
// zone.
const inputLayout = "2006-01-02T15:04"

func inputTime(t time.Time, loc *time.Location) string { return t.In(loc).Format(inputLayout) }

// stateWord is a unit's state for people: a word, a colour by class and an icon,
// never the colour alone.
type stateWord struct{ Class, Icon, Word string }

func stateWords(s coldkeep.State) stateWord {
	switch s {
	case coldkeep.StateOK:
		return stateWord{"ok", "ok", "In range"}
	case coldkeep.StateWarning:
		return stateWord{"warning", "warning", "Out of range"}
	case coldkeep.StateFault:
		return stateWord{"fault", "fault", "Probe fault"}
	case coldkeep.StateExcursion:
		return stateWord{"excursion", "excursion", "Excursion"}
	}
	return stateWord{"no-data", "no-data", "No data"}
}

func unitWords(u coldkeep.Unit) string {
	switch u {
	case coldkeep.Refrigerator:
		return "Refrigerator"
	case coldkeep.Freezer:
		return "Freezer"
	case coldkeep.UltraCold:
		return "Ultra-cold freezer"
	}
	return string(u)
}

func kindWords(k coldkeep.Kind) string {
	switch k {
	case coldkeep.TooWarm:
		return "Too warm"
	case coldkeep.TooCold:
		return "Too cold"
	case coldkeep.NoData:
		return "No readings"
	case coldkeep.SensorFault:
		return "Probe fault"
	case coldkeep.DoorOpen:
		return "Door open"
	case coldkeep.PowerLost:
		return "No mains power"
	case coldkeep.DeviceFault:
		return "Device fault"
	}
	return string(k)
}

// alertIcon is the picture of an alert's kind.
func alertIcon(k coldkeep.Kind) string {
	switch k {
	case coldkeep.NoData:
		return "no-data"
	case coldkeep.SensorFault, coldkeep.DeviceFault:
		return "fault"
	}
	return "excursion"
}

// measured reports whether a kind of excursion is of a temperature; of the others nobody
// knows how the unit stood.
func measured(k coldkeep.Kind) bool { return k == coldkeep.TooWarm || k == coldkeep.TooCold }

func contextWords(k coldkeep.ContextKind) string {
	switch k {
	case coldkeep.ContextOutOfService:
		return "Out of service"
	case coldkeep.ContextWarmUp:
		return "Warm-up"
	case coldkeep.ContextDefrost:
		return "Defrost"
	case coldkeep.ContextDoorOpen:
		return "Door open"
	case coldkeep.ContextTransport:
		return "Transport"
	case coldkeep.ContextPowerLost:
		return "Power lost"
	}
	return string(k)
}

// roleWords say what a probe stands for; one without a role stands for the vaccine.
func roleWords(r coldkeep.Role) string {
	if r == coldkeep.RoleAir {
		return "air"
	}
	return "vaccine"
}

func joinWords[T any](all []T, words func(T) string) string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = words(v)
	}
	return strings.Join(out, ", ")
}

func ruleWords(r coldkeep.RuleType) string {
	switch r {
	case coldkeep.Instant:
		return "at once"
	case coldkeep.Consecutive:
		return "time in a row"
	case coldkeep.Cumulative:
		return "time in all"
	}
	return string(r)
}

func actionWords(actions []coldkeep.Action) string {
	return joinWords(actions, func(a coldkeep.Action) string { return string(a) })
}

// minutes gives a length of time: "45 min", "23 h 22 min".
func minutes(m float64) string {
	n := int(math.Round(m))
	if n < 120 {
		return fmt.Sprintf("%d min", n)
	}
	return fmt.Sprintf("%d h %d min", n/60, n%60)
}

// machineReason is how the collector words why it asks for a hold.
var machineReason = regexp.MustCompile(`(too-warm|too-cold) by the (instant|consecutive|cumulative) rule of \S+, extreme -?[0-9.]+ °C`)

// plainReason says in people's words why lots are on hold. The profile and the
// extreme are left out: the excursion beside it has them.
func plainReason(text string) string {
	return machineReason.ReplaceAllStringFunc(text, func(m string) string {
		part := machineReason.FindStringSubmatch(m)
		how := map[coldkeep.RuleType]string{coldkeep.Instant: ", however short", coldkeep.Consecutive: " for too long in a row", coldkeep.Cumulative: " for too long in all"}
		return kindWords(coldkeep.Kind(part[1])) + how[coldkeep.RuleType(part[2])] + "."
	})
}

// ago says how long before now a time was, roughly.
func ago(t *time.Time, now time.Time) string {
	switch d := now.Sub(*t); {
	case d < time.Minute:
		return "less than a minute ago"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// skewWords say how a device's clock stands.
func skewWords(h *coldkeep.DeviceHealth) string {
	source := map[string]string{"ntp": "set by the network", "rtc": "its own clock", "unsynced": "not set"}[h.Clock]
	if source == "" {
		source = h.Clock
	}
	if h.ClockSkewMS == 0 {
		if source == "" {
			return "–"
		}
		return source
	}
	side := "ahead"
	if h.ClockSkewMS < 0 {
		side = "behind"
	}
	d := time.Duration(h.ClockSkewMS) * time.Millisecond
	words := d.Abs().Round(time.Second).String() + " " + side
	if source != "" {
		words += ", " + source
	}
	return words
}

// tableWords give a calibration's points.
func tableWords(points [][2]coldkeep.Temperature) string {
	return joinWords(points, func(p [2]coldkeep.Temperature) string {
		return strings.Replace(p[0].String(), "-", "−", 1) + ": " + strings.Replace(p[1].String(), "-", "−", 1)
	})
}

func joinedWords(how string) string {
	if how == inventory.JoinedPlaced {
		return "placed during open excursion"
	}
	return "stood in the unit"
}

// calendar is the day of a time in UTC, as accounts and enrolments are kept by.
func calendar(v any) string {
	switch t := v.(type) {
	case time.Time:
		return t.UTC().Format("Jan 2, 2006")
	case *time.Time:
		if t != nil {
			return t.UTC().Format("Jan 2, 2006")
		}
	}
	return ""
}

var isoDate = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`)

// dated writes the dates of a text that the services made, which have them by ISO 8601 for
// programs to read too, as the pages write all others.
func dated(text string) string { return isoDate.ReplaceAllStringFunc(text, day) }
