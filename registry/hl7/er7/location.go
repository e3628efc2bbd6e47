package er7

import "strconv"

// Location is a place in a message as ERR-2 names it (ERL). What is 0 is not said.
type Location struct {
	Segment string
	Seq     int // which segment of that name, from 1
	Field   int
	Rep     int // from 1
	Comp    int
	Sub     int
}

// String is the place as ERR-2 has it, such as "PID^1^5^1^2", or "" for none.
func (l Location) String() string {
	if l.Segment == "" {
		return ""
	}
	s := l.Segment
	rep := l.Rep
	if l.Comp > 0 && rep == 0 {
		rep = 1
	}
	for _, n := range []int{l.Seq, l.Field, rep, l.Comp, l.Sub} {
		if n == 0 {
			break
		}
		s += "^" + strconv.Itoa(n)
	}
	return s
}

// Short is the place for people, such as "PID-5.2".
func (l Location) Short() string {
	s := l.Segment
	if l.Field > 0 {
		s += "-" + strconv.Itoa(l.Field)
	}
	if l.Comp > 0 {
		s += "." + strconv.Itoa(l.Comp)
	}
	if l.Seq > 1 {
		s += " of " + l.Segment + " " + strconv.Itoa(l.Seq)
	}
	return s
}
