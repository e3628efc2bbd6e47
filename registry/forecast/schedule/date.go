package schedule

import "github.com/coldkeep/coldkeep"

// Date is a calendar day. Ages and intervals are calendar arithmetic, so no clock
// and no zone is involved.
type Date = coldkeep.Date

// The dates that stand for an empty value. None is a date that is not there;
// Past and Future are what CDSi assumes for an empty lower and upper bound when
// it evaluates a dose.
const (
	None   Date = 0
	Past   Date = 693901  // 1 January 1900
	Future Date = 1095667 // 31 December 2999
)

// floorDiv divides and rounds down.
func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// parseCompact reads YYYYMMDD, the form of effective, cessation and season dates.
func parseCompact(s string) (Date, error) {
	if len(s) == 8 {
		if d, err := coldkeep.ParseDate(s[:4] + "-" + s[4:6] + "-" + s[6:]); err == nil {
			return d, nil
		}
	}
	return None, badDate(s)
}

// parseUS reads MM/DD/YYYY, the form of the immunity birth date.
func parseUS(s string) (Date, error) {
	if len(s) == 10 && s[2] == '/' && s[5] == '/' {
		if d, err := coldkeep.ParseDate(s[6:] + "-" + s[:2] + "-" + s[3:5]); err == nil {
			return d, nil
		}
	}
	return None, badDate(s)
}

func badDate(s string) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%q is not a date", s)
}

// digits reads a number of digits only, or gives -1.
func digits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
