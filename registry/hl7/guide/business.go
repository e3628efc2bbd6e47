package guide

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// oldest is how many years ago a patient may be born (patient.Normalise).
const oldest = 125

// born judges the birth date: one that cannot be counts as missing.
func (w *walk) born(pid *seg) bool {
	d, _ := date(pid.text(7))
	if !d.Known() {
		return true // told already
	}
	at := pid.At(7)
	y, _, _ := d.Civil()
	now, _, _ := w.today.Civil()
	switch {
	case d > w.today:
		w.say(Error, at, ApplicationError, IllogicalDate, "birth-in-future", "PID-7 (date of birth) is in the future.")
	case now-y > oldest:
		w.say(Error, at, ApplicationError, IllogicalDate, "birth-too-long-ago", "PID-7 (date of birth) is more than %d years ago.", oldest)
	default:
		return true
	}
	return false
}

// people judges what PID says of a person and empties what cannot be.
func (w *walk) people(pid *seg, p *Patient) {
	if len(p.Names) > 0 && placeholder(p.Names[0]) {
		w.say(Warning, pid.At(5), ApplicationError, InvalidValue, "placeholder-name", "PID-5 (patient name) looks like a placeholder.")
	}
	dead := p.Deceased != nil && *p.Deceased
	switch {
	case !dead && !pid.blank(29):
		w.say(Warning, pid.At(29), ApplicationError, IllogicalValue, "death-without-indicator", "PID-29 (date of death) is sent and PID-30 is not Y: it is left out.")
	case dead && !p.Died.Known():
		w.say(Warning, pid.At(29), ApplicationError, RequiredMissing, "death-without-date", "PID-30 says that the patient is dead, and PID-29 gives no day.")
	case p.Died.Known() && p.Died < p.Birth:
		w.say(Error, pid.At(29), ApplicationError, IllogicalDate, "death-before-birth", "PID-29 (date of death) is before the date of birth: it is left out.")
		p.Died = 0
	case p.Died.Known() && p.Died > w.today:
		w.say(Error, pid.At(29), ApplicationError, IllogicalDate, "death-in-future", "PID-29 (date of death) is in the future: it is left out.")
		p.Died = 0
	}
	if p.Multiple != nil && !*p.Multiple && pid.text(25) != "" && pid.text(25) != "1" {
		w.say(Warning, pid.At(25), ApplicationError, IllogicalValue, "birth-order", "PID-25 (birth order) is sent and PID-24 says that it was a single birth: it is left out.")
	}
}

// judged is what a check of an order looks at.
type judged struct {
	w       *walk
	o       *order
	out     *Order
	patient *Patient
	vaccine vaccine.Vaccine
}

// check is a rule across the fields of an order. need has the severity for each guide, as
// rules' does: E, W or I, "-" for none.
type check struct {
	rule      string
	segment   string // "ORC", "RXA" or "OBX"
	field     int
	need      string
	code, app string
	text      string
	fails     func(j *judged) bool
	drop      bool // the order counts as empty
}

// decisive are the checks that decide whether an order counts. The dates are those that the
// registry would not record.
var decisive = []check{
	{rule: "dose-before-birth", segment: "RXA", field: 3, need: "EEE", code: ApplicationError, app: IllogicalDate, drop: true,
		text:  "RXA-3 (date of administration) is before the date of birth.",
		fails: func(j *judged) bool { return j.out.Kind != Nothing && j.out.Date < j.patient.Birth }},
	{rule: "dose-in-future", segment: "RXA", field: 3, need: "EEE", code: ApplicationError, app: IllogicalDate, drop: true,
		text:  "RXA-3 (date of administration) is in the future.",
		fails: func(j *judged) bool { return j.out.Kind != Nothing && j.out.Date > j.w.today }},
	{rule: "dose-after-message", segment: "RXA", field: 3, need: "WWW", code: ApplicationError, app: IllogicalDate,
		text: "RXA-3 (date of administration) is after the time of the message (MSH-7).",
		fails: func(j *judged) bool {
			// A day's grace: the sender's clock may be in another zone than its calendar.
			sent := j.w.result.Header.Sent
			return j.out.Kind != Nothing && !sent.IsZero() && j.out.Date > coldkeep.DateOf(sent)+1
		}},
	{rule: "dose-after-death", segment: "RXA", field: 3, need: "EEE", code: ApplicationError, app: IllogicalDate, drop: true,
		text: "RXA-3 (date of administration) is after the date of death.",
		fails: func(j *judged) bool {
			return j.out.Kind != Nothing && j.patient.Died.Known() && j.out.Date > j.patient.Died
		}},
	{rule: "delete-without-key", segment: "RXA", field: 21, need: "EEE", code: UnknownKey, drop: true,
		text:  "RXA-21 asks for a deletion, and ORC-3 does not say of what.",
		fails: func(j *judged) bool { return j.out.Action == Delete && j.out.Filler.Value == "" }},
}

// careful are the checks of an order that counts, with RXR and OBX read. The numbers are those
// of the guide's conformance statements.
var careful = []check{
	{rule: "IZ-23", segment: "RXA", field: 0, need: "EWW", code: ApplicationError, app: ObservationMissing,
		text: "A given dose needs an OBX with its funding program eligibility (64994-7).",
		fails: func(j *judged) bool {
			return j.out.Kind == Given && j.active() && !j.has(obsEligibility) && j.out.Eligibility == ""
		}},
	{rule: "IZ-24", segment: "RXA", field: 0, need: "WW-", code: ApplicationError, app: ObservationMissing,
		text: "A given dose of this vaccine needs OBX with the Vaccine Information Statement and the day it was presented (69764-9 or 30956-7 with 29768-9, and 29769-7).",
		fails: func(j *judged) bool {
			return j.out.Kind == Given && j.active() && !j.sheet() && len(j.w.codes.CurrentStatements(j.out.CVX)) > 0
		}},
	{rule: "IZ-30", segment: "RXA", field: 4, need: "WW-", code: ApplicationError, app: IllogicalValue,
		text: "RXA-4 is another date than RXA-3, which is taken.",
		fails: func(j *judged) bool {
			d, _ := date(j.o.rxa.text(4))
			return d.Known() && d != j.out.Date
		}},
	{rule: "IZ-32", segment: "RXA", field: 18, need: "WW-", code: ApplicationError, app: IllogicalValue,
		text:  "RXA-18 (refusal reason) is sent with a vaccine that was not refused: it is left out.",
		fails: func(j *judged) bool { return j.out.Kind != Refused && !j.o.rxa.Field(18).Empty() }},
	{rule: "refusal-unsaid", segment: "RXA", field: 20, need: "WW-", code: ApplicationError, app: IllogicalValue,
		text:  "RXA-18 has a refusal reason and RXA-20 is empty: the order is read as a refusal.",
		fails: func(j *judged) bool { return j.out.Kind == Refused && j.o.rxa.blank(20) }},
	{rule: "IZ-45", segment: "ORC", field: 3, need: "I--", code: ApplicationError, app: InvalidValue,
		text: "ORC-3 of an order without a dose is 9999.",
		fails: func(j *judged) bool {
			return (j.out.Kind == Refused || j.out.Kind == Nothing) && j.out.Filler.Value != ""
		}},
	{rule: "no-key", segment: "ORC", field: 3, need: "WW-", code: ApplicationError, app: InvalidValue,
		text: "ORC-3 of a dose is 9999: it cannot be updated or deleted.",
		fails: func(j *judged) bool {
			return j.out.Kind != Refused && j.out.Kind != Nothing && j.o.orc != nil && j.o.orc.text(3) == "9999"
		}},
	{rule: "IZ-47", segment: "RXA", field: 9, need: "W--", code: ApplicationError, app: IllogicalValue,
		text:  "RXA-9 has a source of information, and no dose is told of: it is left out.",
		fails: func(j *judged) bool { return (j.out.Kind == Refused || j.out.Kind == Nothing) && j.o.source() != "" }},
	{rule: "IZ-48", segment: "RXA", field: 6, need: "WW-", code: ApplicationError, app: IllogicalValue,
		text: "RXA-6 of an order without a dose is 999: the amount is left out.",
		fails: func(j *judged) bool {
			return (j.out.Kind == Refused || j.out.Kind == Nothing) && j.o.rxa.text(6) != "999" && !j.o.rxa.blank(6)
		}},
	{rule: "amount-zero", segment: "RXA", field: 6, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text: "RXA-6 of a dose is 0: the amount is left out.",
		fails: func(j *judged) bool {
			return j.out.Kind != Refused && j.out.Kind != Nothing && !j.o.rxa.blank(6) && strings.Trim(j.o.rxa.text(6), "0.") == ""
		}},
	{rule: "not-administered", segment: "RXA", field: 20, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text:  "RXA-20 is NA, and RXA-5 names a vaccine: no dose is recorded.",
		fails: func(j *judged) bool { return j.out.Kind == Nothing && j.out.CVX != nothing }},
	{rule: "nothing-completed", segment: "RXA", field: 20, need: "WW-", code: ApplicationError, app: IllogicalValue,
		text: "RXA-5 is 998 (no vaccine), and RXA-20 says that it was given: no dose is recorded.",
		fails: func(j *judged) bool {
			return j.out.CVX == nothing && (j.out.Completion == "CP" || j.out.Completion == "PA")
		}},
	{rule: "inactive-vaccine", segment: "RXA", field: 5, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text: "The vaccine (CVX) was never given in the United States, or is no longer, and the dose is told of as given now.",
		fails: func(j *judged) bool {
			switch j.vaccine.Status {
			case vaccine.NonUS, vaccine.NeverActive:
				return j.out.Kind == Given
			case vaccine.Inactive:
				return j.out.Kind == Given && j.w.today-j.out.Date < recent && !unspecified(j.vaccine)
			}
			return false
		}},
	{rule: "unspecified-vaccine", segment: "RXA", field: 5, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text:  "The vaccine (CVX) of a given dose is an unspecified one: who gave it knows which it was.",
		fails: func(j *judged) bool { return j.out.Kind == Given && unspecified(j.vaccine) }},
	{rule: "cvx-mvx", segment: "RXA", field: 17, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text: "The manufacturer (MVX) makes no product of this vaccine (CVX).",
		fails: func(j *judged) bool {
			products := j.w.codes.Products(j.out.CVX)
			return j.out.MVX != "" && j.out.Kind == Given && len(products) > 0 &&
				!slices.ContainsFunc(products, func(p vaccine.Product) bool { return p.MVX == j.out.MVX })
		}},
	{rule: "ndc-mvx", segment: "RXA", field: 17, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text: "The NDC is another manufacturer's than RXA-17 says.",
		fails: func(j *judged) bool {
			p, ok := j.w.codes.NDC(j.out.NDC)
			return ok && p.MVX != "" && j.out.MVX != "" && p.MVX != j.out.MVX
		}},
	{rule: "expired-lot", segment: "RXA", field: 16, need: "WWW", code: ApplicationError, app: IllogicalDate,
		text: "The lot had expired when the dose was given.",
		fails: func(j *judged) bool {
			return j.out.Kind == Given && j.out.Expires.Known() && j.out.Expires < j.out.Date
		}},
	{rule: "lot-placeholder", segment: "RXA", field: 15, need: "WWW", code: ApplicationError, app: InvalidValue,
		text: "The lot number looks like a placeholder.",
		fails: func(j *judged) bool {
			return j.out.Kind == Given && (slices.Contains(placeholders, letters(j.out.Lot)) || j.out.Lot != "" && strings.Trim(j.out.Lot, "0-. ") == "")
		}},
	{rule: "vfc-age", segment: "RXA", field: 0, need: "WWW", code: ApplicationError, app: IllogicalValue,
		text: "Vaccines for Children ends at 19 years, and the eligibility of this dose is of that program.",
		fails: func(j *judged) bool {
			y, m, d := j.patient.Birth.Civil()
			return slices.Contains([]string{"V02", "V03", "V04", "V05"}, j.out.Eligibility) && j.out.Kind == Given && j.out.Date >= coldkeep.CivilDate(y+19, m, d)
		}},
	{rule: "refusal-words", segment: "RXA", field: 18, need: "W--", code: ApplicationError, app: InvalidValue,
		text:  "Another reason of a refusal (02) needs words in RXA-18.2.",
		fails: func(j *judged) bool { return j.out.Refusal == "02" && j.out.RefusalWhy == "" }},
}

// recent is how long after a dose it is still one of now: vaccines that have gone since
// were given rightly.
const recent = 365

// unspecified reports whether a CVX code is for doses of which the product is not known.
func unspecified(v vaccine.Vaccine) bool {
	n := strings.ToLower(v.Name)
	return strings.Contains(n, "unspecified") || strings.HasSuffix(n, " nos") || strings.Contains(n, " nos ")
}

// active reports whether the order stands, and is not one to delete another by.
func (j *judged) active() bool { return j.out.Action != Delete }

// has reports whether an observation was sent, whatever it says.
func (j *judged) has(code string) bool {
	return slices.ContainsFunc(j.o.obxs, func(s *seg) bool {
		c := s.Field(3).Text()
		return c == code || code == obsEligibility && c == "VFC-STATUS"
	})
}

// sheet reports whether a VIS is told of whole.
func (j *judged) sheet() bool {
	return slices.ContainsFunc(j.out.VIS, func(s Sheet) bool {
		return s.Presented.Known() && (s.Document != "" || s.CVX != "" && s.Edition.Known())
	})
}

// judge runs the checks that decide whether an order counts.
func (w *walk) judge(o *order, out *Order, u *Update) bool { return w.checks(decisive, o, out, u) }

// complete runs the others.
func (w *walk) complete(o *order, out *Order, u *Update) { w.checks(careful, o, out, u) }

func (w *walk) checks(all []check, o *order, out *Order, u *Update) bool {
	j := &judged{w: w, o: o, out: out, patient: &u.Patient}
	j.vaccine, _ = w.codes.CVX(out.CVX)
	ok := true
	for i := range all {
		c := &all[i]
		severity := c.need[w.result.Guide]
		if severity == '-' || !c.fails(j) {
			continue
		}
		s := o.rxa
		if c.segment == "ORC" && o.orc != nil {
			s = o.orc
		}
		w.say(Severity(severity), s.At(c.field), c.code, c.app, c.rule, "%s", c.text)
		ok = ok && !c.drop
	}
	return ok
}
