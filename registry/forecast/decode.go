package forecast

import (
	"encoding/json"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// decoder reads the lines almost everyone writes, without reflection and
// without allocating. It knows the contract's keys, plain ASCII strings, true,
// false and null. At anything else it gives up, and encoding/json reads the line
// and decides what is wrong with it; so the decoder has no errors of its own.
type decoder struct {
	b    []byte
	i    int
	seen map[string]string // codes met before, so that they are made once
}

// maxSeen bounds the codes a decoder keeps.
const maxSeen = 4096

// line reads a patient into p. ok is false when encoding/json has to look.
func (d *decoder) line(line []byte, p *Patient) (id json.RawMessage, ok bool) {
	d.b, d.i = line, 0
	p.Born, p.Assessment, p.Gender, p.BirthCountry = None, None, schedule.UnknownGender, ""
	p.Observations, p.Doses = p.Observations[:0], p.Doses[:0]
	had := 0 // keys met, to see one given twice
	for first := true; ; first = false {
		key, more := d.key(first)
		if key == nil {
			if more {
				break
			}
			return nil, false
		}
		bit := 0
		ok := false
		switch string(key) {
		case "id":
			from := d.i
			var s []byte
			s, ok = d.text()
			ok = ok && s != nil
			id, bit = line[from:d.i], 1
		case "dob":
			p.Born, ok = d.date()
			ok, bit = ok && p.Born != None, 2
		case "gender":
			p.Gender, ok = d.gender()
			bit = 4
		case "assessment_date":
			p.Assessment, ok = d.date()
			ok, bit = ok && p.Assessment != None, 8
		case "observations":
			ok, bit = d.list(d.observation, p), 16
		case "doses":
			ok, bit = d.list(d.dose, p), 32
		}
		if !ok || had&bit != 0 {
			return nil, false
		}
		had |= bit
	}
	d.space()
	return id, d.i == len(d.b) && p.Born != None && p.Assessment >= p.Born && id != nil
}

func (d *decoder) observation(p *Patient) bool {
	o := Observation{Date: None}
	for first := true; ; first = false {
		key, more := d.key(first)
		if key == nil {
			p.Observations = append(p.Observations, o)
			return more && len(p.Observations) <= maxObservations
		}
		ok := false
		switch string(key) {
		case "code":
			o.Code, ok = d.code()
		case "date":
			o.Date, ok = d.date()
		}
		if !ok {
			return false
		}
	}
}

func (d *decoder) dose(p *Patient) bool {
	x := Dose{Date: None, LotExpiry: None}
	for first := true; ; first = false {
		key, more := d.key(first)
		if key == nil {
			p.Doses = append(p.Doses, x)
			return more && x.Date != None && len(p.Doses) <= maxDoses
		}
		ok := false
		switch string(key) {
		case "date":
			x.Date, ok = d.date()
		case "cvx":
			x.CVX, ok = d.code()
		case "mvx":
			x.MVX, ok = d.code()
		case "lot_expiry":
			x.LotExpiry, ok = d.date()
		case "condition":
			x.Condition, ok = d.bool()
		}
		if !ok {
			return false
		}
	}
}

func (d *decoder) space() {
	for d.i < len(d.b) && (d.b[d.i] == ' ' || d.b[d.i] == '\t' || d.b[d.i] == '\r' || d.b[d.i] == '\n') {
		d.i++
	}
}

// is passes over one byte after white space, if it is c.
func (d *decoder) is(c byte) bool {
	d.space()
	if d.i < len(d.b) && d.b[d.i] == c {
		d.i++
		return true
	}
	return false
}

// word passes over a literal.
func (d *decoder) word(w string) bool {
	if len(d.b)-d.i >= len(w) && string(d.b[d.i:d.i+len(w)]) == w {
		d.i += len(w)
		return true
	}
	return false
}

// key reads up to the value of the next member. At the end of the object it
// gives no key and true, at anything else no key and false.
func (d *decoder) key(first bool) ([]byte, bool) {
	if first && !d.is('{') {
		return nil, false
	}
	if d.is('}') {
		return nil, first || d.b[d.i-1] == '}'
	}
	if !first && !d.is(',') {
		return nil, false
	}
	d.space()
	key, ok := d.text()
	if !ok || key == nil || !d.is(':') {
		return nil, false
	}
	d.space()
	return key, true
}

// list reads an array, or null, of what item reads.
func (d *decoder) list(item func(*Patient) bool, p *Patient) bool {
	if d.word("null") {
		return true
	}
	if !d.is('[') {
		return false
	}
	if d.is(']') {
		return true
	}
	for {
		d.space()
		if !item(p) {
			return false
		}
		if d.is(']') {
			return true
		}
		if !d.is(',') {
			return false
		}
	}
}

// text reads a string of plain characters; null gives nil.
func (d *decoder) text() ([]byte, bool) {
	if d.word("null") {
		return nil, true
	}
	if d.i >= len(d.b) || d.b[d.i] != '"' {
		return nil, false
	}
	for k := d.i + 1; k < len(d.b); k++ {
		switch c := d.b[k]; {
		case c == '"':
			s := d.b[d.i+1 : k : k]
			d.i = k + 1
			return s, true
		case c < 0x20 || c >= 0x7f || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// code reads a string that comes again and again.
func (d *decoder) code() (string, bool) {
	b, ok := d.text()
	if !ok || len(b) == 0 {
		return "", ok
	}
	s, known := d.seen[string(b)]
	if !known {
		s = string(b)
		if d.seen == nil || len(d.seen) >= maxSeen {
			d.seen = map[string]string{}
		}
		d.seen[s] = s
	}
	return s, true
}

// date reads a date; null and an empty string give None.
func (d *decoder) date() (Date, bool) {
	b, ok := d.text()
	if !ok || len(b) == 0 {
		return None, ok
	}
	v, err := coldkeep.ParseDate(b)
	return v, err == nil
}

func (d *decoder) gender() (schedule.Gender, bool) {
	b, ok := d.text()
	switch string(b) {
	case "F":
		return schedule.Female, ok
	case "M":
		return schedule.Male, ok
	case "U", "":
		return schedule.UnknownGender, ok
	}
	return 0, false
}

func (d *decoder) bool() (v, ok bool) {
	switch {
	case d.word("true"):
		return true, true
	case d.word("false"), d.word("null"):
		return false, true
	}
	return false, false
}
