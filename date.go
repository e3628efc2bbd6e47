package coldkeep

import "time"

// Date is a calendar day without a zone, such as a day of birth or the last day of a
// lot. It counts days from 1 March of the year 0, so that adding to it is plain
// arithmetic; the zero Date is no day at all.
type Date int32

// NewDate makes a date. A day that does not exist, or of a year outside 1800 to
// 2999, is the zero Date.
func NewDate(year, month, day int) Date {
	if year < 1800 || year > 2999 || month < 1 || month > 12 || day < 1 || day > DaysIn(year, month) {
		return 0
	}
	return CivilDate(year, month, day)
}

// CivilDate makes a date of a day that is known to exist, in any year.
func CivilDate(year, month, day int) Date {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year%400 < 0 {
		era--
	}
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return Date(era*146097 + doe)
}

// DateOf is the day that t shows on a calendar in its own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return NewDate(y, int(m), d)
}

// Civil gives the year, month and day of d.
func (d Date) Civil() (year, month, day int) {
	z := int(d)
	era := z / 146097
	if z%146097 < 0 {
		era--
	}
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

// Known reports whether d is a day.
func (d Date) Known() bool { return d != 0 }

// Midnight is the first moment of the day in a zone.
func (d Date) Midnight(zone *time.Location) time.Time {
	y, m, day := d.Civil()
	return time.Date(y, time.Month(m), day, 0, 0, 0, 0, zone)
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

// ParseDate reads YYYY-MM-DD. Anything else, and a day that does not exist, is
// EINVALID.
func ParseDate[T string | []byte](s T) (Date, error) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		if d := NewDate(digits(s[0:4]), digits(s[5:7]), digits(s[8:10])); d.Known() {
			return d, nil
		}
	}
	return 0, Errorf(EINVALID, "%q is not a date", string(s))
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

// String gives YYYY-MM-DD, or "" for the zero Date.
func (d Date) String() string { return string(d.Append(nil)) }

// Append appends YYYY-MM-DD to b, or nothing for the zero Date.
func (d Date) Append(b []byte) []byte {
	if !d.Known() {
		return b
	}
	y, m, day := d.Civil()
	return append(b,
		byte('0'+y/1000%10), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+day/10), byte('0'+day%10))
}

// MarshalText writes the date as YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return d.Append(nil), nil }

// UnmarshalText reads YYYY-MM-DD; an empty text is the zero Date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := ParseDate(b)
	*d = v
	return err
}
