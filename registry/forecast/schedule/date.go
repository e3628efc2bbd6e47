package schedule

import (
	"math"

	coldkeep "github.com/coldkeep/coldkeep"
)

// Date is a calendar day, counted from 1 January 1970. Ages and intervals are
// calendar arithmetic, so no clock and no zone is involved.
type Date int32

// The dates that stand for an empty value. None is a date that is not there;
// Past and Future are what CDSi assumes for an empty lower and upper bound when
// it evaluates a dose.
const (
	None   Date = math.MinInt32
	Past   Date = -25567 // 1 January 1900
	Future Date = 376199 // 31 December 2999
)

// Civil makes a date. The day must exist.
func Civil(year, month, day int) Date {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return Date(era*146097 + doe - 719468)
}

// Civil gives the year, month and day of d.
func (d Date) Civil() (year, month, day int) {
	z := int(d) + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// DaysIn gives the number of days of a month.
func DaysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// ParseDate reads YYYY-MM-DD, as patients carry it.
func ParseDate[T string | []byte](s T) (Date, error) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		if d := civil(digits(s[0:4]), digits(s[5:7]), digits(s[8:10])); d != None {
			return d, nil
		}
	}
	return None, badDate(string(s))
}

// parseCompact reads YYYYMMDD, the form of effective, cessation and season dates.
func parseCompact(s string) (Date, error) {
	if len(s) == 8 {
		if d := civil(digits(s[0:4]), digits(s[4:6]), digits(s[6:8])); d != None {
			return d, nil
		}
	}
	return None, badDate(s)
}

// parseUS reads MM/DD/YYYY, the form of the immunity birth date.
func parseUS(s string) (Date, error) {
	if len(s) == 10 && s[2] == '/' && s[5] == '/' {
		if d := civil(digits(s[6:10]), digits(s[0:2]), digits(s[3:5])); d != None {
			return d, nil
		}
	}
	return None, badDate(s)
}

// civil makes a date, or None of a day that does not exist.
func civil(y, m, d int) Date {
	if y < 1800 || y > 2999 || m < 1 || m > 12 || d < 1 || d > DaysIn(y, m) {
		return None
	}
	return Civil(y, m, d)
}

func badDate(s string) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%q is not a date", s)
}

// digits reads a number of digits only, or gives -1.
func digits[T string | []byte](s T) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// String gives YYYY-MM-DD, or "" for None.
func (d Date) String() string { return string(d.Append(nil)) }

// Append appends YYYY-MM-DD to b, or nothing for None.
func (d Date) Append(b []byte) []byte {
	if d == None {
		return b
	}
	y, m, day := d.Civil()
	return append(b,
		byte('0'+y/1000%10), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+day/10), byte('0'+day%10))
}

// MarshalText writes the date as YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return d.Append(nil), nil }

// UnmarshalText reads YYYY-MM-DD; an empty text is None.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = None
		return nil
	}
	v, err := ParseDate(b)
	*d = v
	return err
}
