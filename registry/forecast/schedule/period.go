package schedule

import (
	"strings"

	coldkeep "github.com/coldkeep/coldkeep"
)

// Period is an age or an interval: signed years, months, weeks and days.
// "6 months - 4 days" is {Months: 6, Days: -4}; the part taken off in an
// absolute minimum is CDSi's grace period.
type Period struct {
	Years, Months, Days int16 // weeks are kept as seven days (CALCDT-3)
	Text                string
}

// ParsePeriod reads "N unit" terms joined by + or -, in any case.
func ParsePeriod(s string) (Period, error) {
	p := Period{Text: s}
	bad := coldkeep.Errorf(coldkeep.EINVALID, "%q is not an age or interval", s)
	sign, words := 1, strings.Fields(strings.ToLower(s))
	if len(words) == 0 {
		return p, bad
	}
	for len(words) >= 2 {
		n := digits(words[0])
		if n < 0 || n > 2000 || len(words[0]) > 4 {
			return p, bad
		}
		switch strings.TrimSuffix(words[1], "s") {
		case "year":
			p.Years += int16(sign * n)
		case "month":
			p.Months += int16(sign * n)
		case "week":
			p.Days += int16(sign * n * 7)
		case "day":
			p.Days += int16(sign * n)
		default:
			return p, bad
		}
		words = words[2:]
		if len(words) == 0 {
			return p, nil
		}
		switch words[0] {
		case "+":
			sign = 1
		case "-", "–", "−":
			sign = -1
		default:
			return p, bad
		}
		words = words[1:]
	}
	return p, bad
}

// From gives the date p after d: years, then months, then weeks and days
// (CALCDT-6). Years and months keep the day of the month (CALCDT-1, CALCDT-2),
// and a day that does not exist rolls forward to the first of the next month
// (CALCDT-5): 31 March and six months give 1 October.
func (p *Period) From(d Date) Date {
	if p.Years != 0 || p.Months != 0 {
		y, m, day := d.Civil()
		if p.Years != 0 {
			y, m, day = rollForward(y+int(p.Years), m, day)
		}
		if p.Months != 0 {
			n := m - 1 + int(p.Months)
			y, m = y+floorDiv(n, 12), n-floorDiv(n, 12)*12+1
			y, m, day = rollForward(y, m, day)
		}
		d = coldkeep.CivilDate(y, m, day)
	}
	return d + Date(p.Days)
}

func rollForward(y, m, d int) (int, int, int) {
	if d <= 28 || d <= coldkeep.DaysIn(y, m) {
		return y, m, d
	}
	if m == 12 {
		return y + 1, 1, 1
	}
	return y, m + 1, 1
}
