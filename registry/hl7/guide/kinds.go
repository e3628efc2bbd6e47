package guide

import (
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// kind judges one repetition of a field; nil: it is what it must be.
type kind func(w *walk, r er7.Rep) *problem

// problem is what is wrong with a value.
type problem struct {
	code, app string
	comp, sub int
	text      string
	rule      string
	take      bool // it can be read all the same
	partly    bool // with take: but for a part, as the text says
	unused    bool // it is well-formed and not kept: a warning
}

func badType(comp int, text string) *problem {
	return &problem{code: DataTypeError, app: InvalidValue, comp: comp, text: text}
}

func badDate(text string) *problem {
	return &problem{code: DataTypeError, app: InvalidDate, comp: 1, text: text}
}

func missing(comp int, text string) *problem {
	return &problem{code: RequiredFieldMissing, app: RequiredMissing, comp: comp, text: text}
}

func (p *problem) taken() *problem {
	p.take = true
	return p
}

// fixed wants one of some values, and takes others too: what such a field says is known.
func fixed(values ...string) kind {
	return func(_ *walk, r er7.Rep) *problem {
		got := part(r, 1)
		for _, v := range values {
			if got == v {
				return nil
			}
		}
		return (&problem{code: DataTypeError, app: InvalidValue, rule: "form", text: "want " + values[0]}).taken()
	}
}

// day wants YYYYMMDD, with or without a time.
func day(_ *walk, r er7.Rep) *problem {
	if d, precision := date(part(r, 1)); d.Known() && precision == 8 {
		return nil
	}
	return badDate("want a day that exists, as YYYYMMDD")
}

// partialDay wants a date of which the month or the day may be missing.
func partialDay(_ *walk, r er7.Rep) *problem {
	if d, _ := date(part(r, 1)); d.Known() {
		return nil
	}
	return badDate("want a date such as YYYYMMDD")
}

// month wants at least YYYYMM.
func month(_ *walk, r er7.Rep) *problem {
	if d, precision := date(part(r, 1)); d.Known() && precision >= 6 {
		return nil
	}
	return badDate("want a date such as YYYYMMDD or YYYYMM")
}

// stamp wants YYYYMMDDHHMMSS+ZZZZ and takes less of it.
func stamp(_ *walk, r er7.Rep) *problem {
	_, whole, ok := moment(part(r, 1))
	switch {
	case !ok:
		return badDate("want YYYYMMDDHHMMSS+ZZZZ")
	case !whole:
		p := badDate("want YYYYMMDDHHMMSS+ZZZZ, with seconds and zone").taken()
		p.rule = "form"
		return p
	}
	return nil
}

// date reads an HL7 date: the last day of what it leaves open, and how many digits of a
// day it has (4, 6 or 8). The zero Date is no date.
func date(s string) (d coldkeep.Date, precision int) {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	if digits < len(s) && !zoned(s[digits:], digits) {
		return 0, 0
	}
	y, err := strconv.Atoi(s[:min(4, digits)])
	if err != nil || y < 1800 {
		return 0, 0
	}
	switch digits {
	case 4:
		return coldkeep.NewDate(y, 12, 31), 4
	case 6:
		m, _ := strconv.Atoi(s[4:6])
		if m < 1 || m > 12 {
			return 0, 0
		}
		return coldkeep.NewDate(y, m, coldkeep.DaysIn(y, m)), 6
	case 8, 10, 12, 14:
		m, _ := strconv.Atoi(s[4:6])
		day, _ := strconv.Atoi(s[6:8])
		if digits > 8 && !clock(s[8:digits]) {
			return 0, 0
		}
		return coldkeep.NewDate(y, m, day), 8
	}
	return 0, 0
}

// clock reports whether digits are a time of day.
func clock(s string) bool {
	for i, most := range []string{"23", "59", "59"} {
		if len(s) >= 2*i+2 && s[2*i:2*i+2] > most {
			return false
		}
	}
	return true
}

// zoned reports whether a text is what may follow the digits of a time: a fraction of a
// second and a zone.
func zoned(s string, digits int) bool {
	if s[0] == '.' && digits == 14 {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		s = s[n:]
	}
	if s == "" {
		return true
	}
	if (s[0] != '+' && s[0] != '-') || len(s) < 4 || len(s) > 5 {
		return false
	}
	return strings.Trim(s[1:], "0123456789") == ""
}

// moment reads a time; whole is false when it lacks seconds or a zone, which then is UTC.
func moment(s string) (t time.Time, whole, ok bool) {
	d, precision := date(s)
	if !d.Known() || precision != 8 {
		return time.Time{}, false, false
	}
	zone, hasZone := time.UTC, false
	if at := strings.IndexAny(s, "+-"); at >= 0 {
		z := s[at+1:]
		if len(z) == 4 {
			h, _ := strconv.Atoi(z[:2])
			m, _ := strconv.Atoi(z[2:])
			offset := h*3600 + m*60
			if s[at] == '-' {
				offset = -offset
			}
			zone, hasZone = time.FixedZone(s[at:], offset), h < 15 && m < 60
		}
		s = s[:at]
	}
	s, _, _ = strings.Cut(s, ".")
	n := func(from int) int {
		if len(s) < from+2 {
			return 0
		}
		v, _ := strconv.Atoi(s[from : from+2])
		return v
	}
	y, m, day := d.Civil()
	return time.Date(y, time.Month(m), day, n(8), n(10), n(12), 0, zone), hasZone && len(s) == 14, true
}

// number wants a decimal number that is not negative.
func number(_ *walk, r er7.Rep) *problem {
	if isNumber(part(r, 1)) {
		return nil
	}
	return badType(1, "want a number")
}

func isNumber(s string) bool {
	before, after, dot := strings.Cut(s, ".")
	return before+after != "" && strings.Trim(before+after, "0123456789") == "" && len(s) <= 20 && (!dot || after != "" || before != "")
}

// positive wants a whole number from 1.
func positive(_ *walk, r er7.Rep) *problem {
	if n, err := strconv.Atoi(part(r, 1)); err == nil && n > 0 {
		return nil
	}
	p := badType(1, "want a whole number from 1")
	p.rule = "form"
	return p
}

func birthOrder(_ *walk, r er7.Rep) *problem {
	if n, err := strconv.Atoi(part(r, 1)); err == nil && n > 0 && n <= 12 {
		return nil
	}
	return badType(1, "want 1 to 12")
}

// limit wants a number of records.
func limit(_ *walk, r er7.Rep) *problem {
	if n, err := strconv.Atoi(part(r, 1)); err != nil || n < 1 {
		return badType(1, "want a whole number from 1")
	}
	if r.Comp(2).Text() != "RD" {
		p := (&problem{code: TableValueNotFound, app: NotInTable, comp: 2, text: "want the unit RD"}).taken()
		p.rule = "form"
		return p
	}
	return nil
}

// fullName wants a family and a given name.
func fullName(w *walk, r er7.Rep) *problem {
	switch {
	case whole(r, 1) == "":
		return missing(1, "the family name is missing")
	case part(r, 2) == "":
		return missing(2, "the given name is missing")
	case part(r, 7) == "" && w.result.Guide == Claimed:
		p := missing(7, "the type of the name is missing").taken()
		p.rule = "form"
		return p
	}
	return nil
}

// familyName wants a family name.
func familyName(_ *walk, r er7.Rep) *problem {
	if whole(r, 1) == "" {
		return missing(1, "the family name is missing")
	}
	return nil
}

// identifier wants a CX. One without an authority is read as the sender's own.
func identifier(w *walk, r er7.Rep) *problem {
	var p *problem
	switch {
	case part(r, 1) == "":
		return missing(1, "the identifier is missing")
	case part(r, 5) == "SS":
		return &problem{code: ApplicationError, comp: 1, rule: "ssn", text: "a social security number is not kept", unused: true}
	case w.result.Guide != Claimed:
		return nil
	case r.Comp(4).Empty():
		p = missing(4, "the assigning authority is missing, and the sender's own is taken")
		p.rule, p.partly = "form", true
	case part(r, 5) == "":
		p = missing(5, "the type of the identifier is missing")
		p.rule = "form"
	default:
		return nil
	}
	return p.taken()
}

// entity wants an EI.
func entity(_ *walk, r er7.Rep) *problem {
	if part(r, 1) == "" {
		return missing(1, "the identifier is missing")
	}
	return nil
}

// address wants something of an address.
func address(w *walk, r er7.Rep) *problem {
	a, wrong := w.address(r)
	switch {
	case a == (Address{Kind: a.Kind}):
		if bad := part(r, 7); bad == "BA" {
			return nil
		}
		return badType(0, "it is no address")
	case wrong != nil:
		wrong.partly = true
		return wrong.taken()
	case part(r, 7) == "" && w.result.Guide == Claimed:
		p := missing(7, "the type of the address is missing").taken()
		p.rule = "form"
		return p
	}
	return nil
}

// telecom wants a telephone number or an address of e-mail.
func telecom(w *walk, r er7.Rep) *problem {
	_, ok := contact(r)
	switch {
	case !ok && other(r):
		return nil // a fax or a pager: known, and of no use
	case !ok:
		return badType(0, "it is neither ten digits of a telephone number nor an address of e-mail")
	case part(r, 2) == "" && w.result.Guide == Claimed:
		p := missing(2, "the use code is missing").taken()
		p.rule = "form"
		return p
	}
	return nil
}

// source wants a code of NIP001 in the repetition that holds one.
func source(_ *walk, r er7.Rep) *problem {
	code, system := part(r, 1), part(r, 3)
	if _, ok := tables["NIP001"](nil, code); ok || code == "" || system != "" && !strings.HasPrefix(system, "NIP") {
		return nil
	}
	return &problem{code: TableValueNotFound, app: NotInTable, comp: 1, text: "it is not in table NIP001"}
}

// observed wants an observation that the guide knows.
func observed(_ *walk, r er7.Rep) *problem {
	if _, ok := observations[part(r, 1)]; ok {
		return nil
	}
	return &problem{code: TableValueNotFound, app: NotInTable, comp: 1, rule: "observation", text: "it is not an observation of the guide"}
}

// administered wants a vaccine by its CVX code or its NDC.
func administered(w *walk, r er7.Rep) *problem {
	v := w.vaccine(r)
	switch {
	case !v.known:
		return &problem{code: TableValueNotFound, app: NotInTable, comp: 1, rule: "vaccine", text: "the vaccine code is not recognized"}
	case v.mismatch:
		return (&problem{code: ApplicationError, app: IllogicalValue, comp: 4, rule: "ndc-cvx", text: "the NDC is of another vaccine than the CVX code, which is taken", partly: true}).taken()
	case v.loose:
		return (&problem{code: TableValueNotFound, app: NotInTable, comp: 3, rule: "form", text: "the name of the coding system is not CVX or NDC"}).taken()
	case v.unknownNDC:
		return (&problem{code: TableValueNotFound, app: NotInTable, comp: 1, rule: "ndc", text: "the NDC is not known; the CVX code is taken", partly: true}).taken()
	}
	return nil
}
