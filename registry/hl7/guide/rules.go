package guide

import "github.com/coldkeep/coldkeep/registry/hl7/er7"

// rule is what the guide says of a field. need has a letter for each guide (Claimed,
// Near, Old):
//
//	R  required: without it the segment counts as empty (table 3-1)
//	e  required under its condition: an error, and the rest of the segment counts
//	w  required for form's sake: a warning, and the rest counts
//	x  not supported: what is sent is left out, with a warning
//	-  nothing is asked
type rule struct {
	segment string
	field   int
	name    string
	need    string
	when    func(*order) bool // the condition of need; nil: always
	kind    kind              // what a value must be; nil: anything
	keep    bool              // a value of another kind is warned of only: it is not used
}

// rules are the fields of the guide's tables that a receiver judges (chapter 4 and the
// addendum, with the predicates and constraints of the NIST profiles). Fields that are
// not here are optional.
var rules = []rule{
	{segment: "MSH", field: 7, name: "time of the message", need: "w--", kind: stamp, keep: true},
	{segment: "MSH", field: 10, name: "message control ID", need: "RRR"},
	{segment: "MSH", field: 15, name: "accept acknowledgment type", need: "w--", kind: fixed("ER", "AL", "NE", "SU"), keep: true},
	{segment: "MSH", field: 16, name: "application acknowledgment type", need: "w--", kind: fixed("AL", "ER", "NE", "SU"), keep: true},

	{segment: "PID", field: 1, name: "set ID", need: "w--", kind: fixed("1"), keep: true},
	{segment: "PID", field: 2, name: "patient ID", need: "x--"},
	{segment: "PID", field: 3, name: "patient identifier", need: "RRw", kind: identifier},
	{segment: "PID", field: 4, name: "alternate patient ID", need: "x--"},
	{segment: "PID", field: 5, name: "patient name", need: "RRR", kind: fullName},
	{segment: "PID", field: 6, name: "mother's maiden name", need: "---", kind: familyName},
	{segment: "PID", field: 7, name: "date of birth", need: "RRR", kind: day},
	{segment: "PID", field: 8, name: "sex", need: "RRw", kind: coded("HL70001")},
	{segment: "PID", field: 9, name: "patient alias", need: "x--"},
	{segment: "PID", field: 10, name: "race", need: "---", kind: coded("CDCREC race")},
	{segment: "PID", field: 11, name: "address", need: "---", kind: address},
	{segment: "PID", field: 12, name: "county code", need: "x--"},
	{segment: "PID", field: 13, name: "phone or e-mail", need: "---", kind: telecom},
	{segment: "PID", field: 15, name: "primary language", need: "---", kind: coded("ISO 639"), keep: true},
	{segment: "PID", field: 19, name: "social security number", need: "x--"},
	{segment: "PID", field: 20, name: "driver's license", need: "x--"},
	{segment: "PID", field: 21, name: "mother's identifier", need: "x--"},
	{segment: "PID", field: 22, name: "ethnicity", need: "---", kind: coded("CDCREC ethnicity")},
	{segment: "PID", field: 24, name: "multiple birth", need: "---", kind: coded("HL70136")},
	{segment: "PID", field: 25, name: "birth order", need: "---", kind: birthOrder},
	{segment: "PID", field: 29, name: "date of death", need: "---", kind: partialDay},
	{segment: "PID", field: 30, name: "death indicator", need: "---", kind: coded("HL70136")},

	{segment: "PD1", field: 11, name: "publicity code", need: "---", kind: coded("HL70215")},
	{segment: "PD1", field: 12, name: "protection indicator", need: "---", kind: coded("HL70136")},
	{segment: "PD1", field: 13, name: "date of the protection indicator", need: "---", kind: day},
	{segment: "PD1", field: 16, name: "registry status", need: "---", kind: coded("HL70441")},
	{segment: "PD1", field: 17, name: "date of the registry status", need: "---", kind: day},
	{segment: "PD1", field: 18, name: "date of the publicity code", need: "---", kind: day},

	{segment: "NK1", field: 1, name: "set ID", need: "w--", kind: positive, keep: true},
	{segment: "NK1", field: 2, name: "name", need: "RRR", kind: familyName},
	{segment: "NK1", field: 3, name: "relationship", need: "RRR", kind: coded("HL70063")},
	{segment: "NK1", field: 4, name: "address", need: "---", kind: address},
	{segment: "NK1", field: 5, name: "phone or e-mail", need: "---", kind: telecom},

	{segment: "ORC", field: 1, name: "order control", need: "w--", kind: fixed("RE"), keep: true},
	{segment: "ORC", field: 2, name: "placer order number", need: "---", kind: entity},
	{segment: "ORC", field: 3, name: "filler order number", need: "Rw-", kind: entity},

	{segment: "RXA", field: 1, name: "give sub-ID counter", need: "w--", kind: fixed("0"), keep: true},
	{segment: "RXA", field: 2, name: "administration sub-ID counter", need: "w--", kind: fixed("1", "999"), keep: true},
	{segment: "RXA", field: 3, name: "date of administration", need: "RRR", kind: day},
	{segment: "RXA", field: 5, name: "administered code", need: "RRR", kind: administered},
	{segment: "RXA", field: 6, name: "administered amount", need: "Rw-", kind: number},
	{segment: "RXA", field: 7, name: "administered units", need: "e--", when: measured, kind: coded("UCUM"), keep: true},
	{segment: "RXA", field: 9, name: "administration notes (NIP001)", need: "eww", when: done, kind: source},
	{segment: "RXA", field: 15, name: "lot number", need: "eew", when: givenHere},
	{segment: "RXA", field: 16, name: "expiration date", need: "---", kind: month},
	{segment: "RXA", field: 17, name: "manufacturer", need: "eew", when: givenHere, kind: coded("MVX")},
	{segment: "RXA", field: 18, name: "refusal reason", need: "ee-", when: refused, kind: coded("NIP002")},
	{segment: "RXA", field: 20, name: "completion status", need: "---", kind: coded("HL70322")},
	{segment: "RXA", field: 21, name: "action code", need: "w--", when: something, kind: coded("HL70323")},

	{segment: "RXR", field: 1, name: "route", need: "RRR", kind: coded("route")},
	{segment: "RXR", field: 2, name: "administration site", need: "---", kind: coded("HL70163")},

	{segment: "OBX", field: 1, name: "set ID", need: "w--", kind: positive, keep: true},
	{segment: "OBX", field: 2, name: "value type", need: "w--"},
	{segment: "OBX", field: 3, name: "observation identifier", need: "RRR", kind: observed, keep: true},
	{segment: "OBX", field: 4, name: "observation sub-ID", need: "w--", kind: positive, keep: true},
	{segment: "OBX", field: 5, name: "observation value", need: "RRR"},
	{segment: "OBX", field: 6, name: "units", need: "w--", when: numeric},
	{segment: "OBX", field: 11, name: "observation result status", need: "w--", kind: fixed("F"), keep: true},
	{segment: "OBX", field: 14, name: "date of the observation", need: "---", kind: day},
	{segment: "OBX", field: 17, name: "observation method", need: "---", kind: coded("eligibility method"), keep: true},

	{segment: "QPD", field: 2, name: "query tag", need: "RRR"},
	{segment: "QPD", field: 3, name: "patient identifier", need: "---", kind: identifier},
	{segment: "QPD", field: 4, name: "patient name", need: "---", kind: fullName},
	{segment: "QPD", field: 5, name: "mother's maiden name", need: "---", kind: familyName},
	{segment: "QPD", field: 6, name: "date of birth", need: "---", kind: day},
	{segment: "QPD", field: 7, name: "sex", need: "---", kind: coded("HL70001")},
	{segment: "QPD", field: 8, name: "address", need: "---", kind: address},
	{segment: "QPD", field: 9, name: "phone", need: "---", kind: telecom},
	{segment: "QPD", field: 10, name: "multiple birth", need: "---", kind: coded("HL70136")},
	{segment: "QPD", field: 11, name: "birth order", need: "---", kind: birthOrder},

	{segment: "RCP", field: 1, name: "query priority", need: "---", kind: fixed("I"), keep: true},
	{segment: "RCP", field: 2, name: "quantity limit", need: "ww-", kind: limit},
}

// bySegment are the rules of each segment.
var bySegment = func() map[string][]*rule {
	m := map[string][]*rule{}
	for i := range rules {
		m[rules[i].segment] = append(m[rules[i].segment], &rules[i])
	}
	return m
}()

// The conditions of fields, of the NIST profile's predicates.
func measured(o *order) bool { a := o.rxa.text(6); return a != "" && a != "999" }

func done(o *order) bool {
	c := o.completion()
	return (c == "CP" || c == "PA") && something(o)
}

func givenHere(o *order) bool { return done(o) && o.source() == "00" }

func refused(o *order) bool { return o.completion() == "RE" }

func something(o *order) bool { return o.cvx() != nothing }

func numeric(o *order) bool { return o.obx != nil && o.obx.text(2) == "NM" }

// nothing is the CVX code of an order that gave no vaccine.
const nothing = "998"

// apply judges the fields of a segment: it empties what may not be used and tells of it.
// false means that the segment counts as empty. o is the order it belongs to, nil outside
// of one.
func (w *walk) apply(s *seg, o *order) bool {
	whole := true
	for _, r := range bySegment[s.Name] {
		if s.off(r.field) {
			continue
		}
		f := s.Field(r.field)
		need := r.need[w.result.Guide]
		if need == 'x' {
			if !f.Empty() {
				s.empty(r.field)
				w.say(Warning, s.At(r.field), ApplicationError, "", "not-supported", "%s-%d (%s) is not supported: it is left out.", s.Name, r.field, r.name)
			}
			continue
		}
		told := false
		// What only has a form to keep is not asked of those who do not claim the guide.
		formal := r.keep && need == '-' && r.need[Claimed] != '-'
		if r.kind != nil && !f.Empty() && !formal {
			told = w.kinds(s, r, f)
		}
		if r.when != nil && (o == nil || !r.when(o)) || !s.blank(r.field) {
			continue
		}
		at := s.At(r.field)
		switch need {
		case 'R':
			whole = false
			if !told {
				w.say(Error, at, RequiredFieldMissing, RequiredMissing, "required", "%s-%d (%s) is required and missing.", s.Name, r.field, r.name)
			}
		case 'e':
			if !told {
				w.say(Error, at, RequiredFieldMissing, RequiredMissing, "required", "%s-%d (%s) is required here and missing.", s.Name, r.field, r.name)
			}
		case 'w':
			if !told {
				w.say(Warning, at, RequiredFieldMissing, RequiredMissing, "form", "%s-%d (%s) is missing; the message is read without it.", s.Name, r.field, r.name)
			}
		}
	}
	return whole
}

// kinds judges each repetition of a field and empties those that are of another kind. It
// reports whether it has told of one.
func (w *walk) kinds(s *seg, r *rule, f er7.Field) (told bool) {
	for i := 1; i <= f.Reps() && i <= maxReps; i++ {
		rep := f.Rep(i)
		if rep.Empty() {
			continue
		}
		at := s.At(r.field)
		at.Rep = i
		p := r.kind(w, rep)
		if p == nil {
			continue
		}
		at.Comp, at.Sub = p.comp, p.sub
		severity, what := Error, ": it is left out"
		switch {
		case p.take && p.partly:
			severity, what = Warning, ""
		case p.take:
			severity, what = Warning, ": it is read all the same"
		case p.unused:
			severity, what = Warning, ": it is left out"
		case r.keep:
			severity, what = Warning, ": it is not used"
		}
		if !p.take {
			s.drop(r.field, i)
		}
		told = told || !p.take
		rule := p.rule
		if rule == "" {
			rule = "type"
		}
		w.say(severity, at, p.code, p.app, rule, "%s-%d (%s): %s%s.", s.Name, r.field, r.name, p.text, what)
	}
	if f.Reps() > maxReps {
		w.say(Warning, s.At(r.field), ApplicationError, "", "repetitions", "%s-%d (%s) has more than %d repetitions: those after them are left out.", s.Name, r.field, r.name, maxReps)
	}
	return told
}

// maxReps is the most repetitions of a field that are read.
const maxReps = 20
