package forecast

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// The words in which ages, times and lists are put for people.

// ageWords tells an age on a day as one says it: days in the first four weeks,
// then weeks, then months and days, then years and months. Months are counted by
// CDSi's calendar (CALCDT-1, CALCDT-2, CALCDT-5).
func ageWords(born, on Date) string {
	days := int(on - born)
	switch {
	case days < 0:
		return "before birth"
	case days < 28:
		return plural(days, "day")
	}
	months := 0
	for n := days / 31; ; n++ {
		if monthsAfter(born, n) > on {
			break
		}
		months = n
	}
	rest := int(on - monthsAfter(born, months))
	switch {
	case months < 2:
		return and(plural(days/7, "week"), days%7, "day")
	case months < 24:
		return and(plural(months, "month"), rest, "day")
	case months < 12*18:
		out := and(plural(months/12, "year"), months%12, "month")
		return and(out, rest, "day")
	}
	return plural(months/12, "year")
}

// AgeWords tells an age on a day as one says it, such as "4 years, 2 months".
func AgeWords(born, on Date) string { return ageWords(born, on) }

// monthsAfter is the day a patient is so many months old, as it is told: in months
// below two years, then in years and months.
func monthsAfter(born Date, n int) Date {
	p := schedule.Period{Months: int16(n)}
	if n >= 24 {
		p = schedule.Period{Years: int16(n / 12), Months: int16(n % 12)}
	}
	return p.From(born)
}

// spanWords tells a number of days, and in weeks when they are whole.
func spanWords(days int) string {
	if days > 0 && days < 7*20 && days%7 == 0 {
		return plural(days, "day") + " (" + plural(days/7, "week") + ")"
	}
	return plural(days, "day")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return itoa(n) + " " + unit + "s"
}

func and(first string, n int, unit string) string {
	if n == 0 {
		return first
	}
	return first + " " + plural(n, unit)
}

// limits puts what applies in brackets, and leaves out what is empty.
func limits(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

// counts tells from when a dose counts before its minimum: the grace period.
func counts(from string, date Date) string {
	switch {
	case from == "" || from == anyAge:
		return ""
	case date == None:
		return "counts from " + from
	}
	return "counts from " + from + ", " + date.String()
}

func spell(p *schedule.Period) string {
	if p == nil {
		return ""
	}
	return inWords(p.Text)
}

// inWords reads the schedule's "6 weeks - 4 days" out.
func inWords(period string) string {
	return strings.NewReplacer(" - ", " less ", " + ", " and ").Replace(period)
}

const anyAge = "any age"

func (r *run) periodText(id schedule.PeriodID) string {
	if id == 0 {
		return anyAge
	}
	return inWords(r.s.Periods[id].Text)
}

func (r *run) vaccineName(c schedule.CVX) string {
	if v := &r.s.Vaccines[c]; v.Name != "" {
		return v.Name
	}
	return "CVX " + r.s.Vaccines[c].Code
}

// list joins names: "A", "A and B", "A, B and C".
func list(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// sentence begins a clause with a capital and ends it.
func sentence(clause string) string {
	if clause == "" {
		return ""
	}
	return strings.ToUpper(clause[:1]) + clause[1:] + "."
}
