package guide

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// completion is RXA-20 with what an empty one stands for: complete, but for a refusal
// reason, which older senders write alone, and for an order without a vaccine.
func (o *order) completion() string {
	switch c := strings.ToUpper(o.rxa.text(20)); {
	case c != "":
		return c
	case o.cvx() == nothing:
		return "NA"
	case !o.rxa.Field(18).Empty():
		return "RE"
	}
	return "CP"
}

// cvx is the CVX code of RXA-5, "" for none.
func (o *order) cvx() string { return o.check.vaccine(o.rxa.first(5)).cvx }

// source is the code of NIP001 in RXA-9, "" for none.
func (o *order) source() string {
	for _, r := range o.rxa.reps(9) {
		if system := part(r, 3); system == "" || strings.HasPrefix(system, "NIP") {
			if c, ok := tables["NIP001"](nil, part(r, 1)); ok {
				return c
			}
		}
	}
	return ""
}

// read gives what ORC and RXA say.
func (w *walk) read(o *order) Order {
	s := o.rxa
	v := w.vaccine(s.first(5))
	out := Order{CVX: v.cvx, NDC: v.ndc, Completion: o.completion(), Source: o.source(), At: s.At(0)}
	switch {
	case v.cvx == nothing || out.Completion == "NA":
		out.Kind = Nothing
	case out.Completion == "RE":
		out.Kind = Refused
	case out.Completion == "PA":
		out.Kind = Partial
	case out.Source == "00":
		out.Kind = Given
	default:
		out.Kind = Historical
	}
	if out.Source == "" && (out.Kind == Historical || out.Kind == Partial) {
		out.Source = "01" // where the report is from is not said
	}
	if out.Kind == Refused || out.Kind == Nothing {
		out.Source = ""
	}
	out.Action = Add
	if a, ok := w.code("HL70323", s.first(21)); ok {
		out.Action = Action(a)
	}
	out.Date, _ = date(s.text(3))
	if a := s.text(6); isNumber(a) && a != "999" && strings.Trim(a, "0.") != "" && out.Kind != Refused && out.Kind != Nothing {
		out.Amount = amount(a)
		out.Unit, _ = w.code("UCUM", s.first(7))
	}
	out.MVX, _ = w.code("MVX", s.first(17))
	out.Lot = strings.ToUpper(s.text(15))
	out.Expires, _ = date(s.text(16))
	if out.Kind == Refused {
		out.Refusal, _ = w.code("NIP002", s.first(18))
		out.RefusalWhy = orElse(part(s.first(18), 2), part(s.first(18), 5))
	}
	out.GivenBy = person(s.first(10))
	out.Facility = w.facility(s)
	out.Note, out.MonthOnly = notes(s)
	out.MonthOnly = out.MonthOnly && out.Kind == Historical
	out.Erase = s.nulls(out.Erase, 6, 7, 10, 11, 15, 16, 17)
	if o.orc != nil {
		out.OrderAt = o.orc.At(0)
		out.Filler, out.Placer = w.entity(o.orc.first(3)), w.entity(o.orc.first(2))
		out.EnteredBy, out.OrderedBy = person(o.orc.first(10)), person(o.orc.first(12))
		out.Enterer = orElse(part(o.orc.first(17), 2), part(o.orc.first(17), 1))
	}
	if out.Filler.Value == "9999" {
		out.Filler = ID{} // the guide's number for an order that has none
	}
	if out.Filler.Value == "" && w.result.Guide == Old {
		out.Filler = w.wisconsin(s)
	}
	return out
}

// facility is RXA-11: component 4 is an HD, with its parts below it.
func (w *walk) facility(s *seg) Authority {
	a := authority(s.first(11).Comp(4))
	if a.Namespace == "" && a.Universal == "" {
		a.Namespace = part(s.first(11), 1)
	}
	return a
}

// wisconsin reads the id of a dose that senders of 2.3.1 write in RXA-9, as a repetition
// id^WIR immunization id^IMM_ID.
func (w *walk) wisconsin(s *seg) ID {
	for _, r := range s.reps(9) {
		if part(r, 3) == "IMM_ID" && part(r, 1) != "" {
			return ID{Value: part(r, 1), Authority: w.result.Header.SendingFacility}
		}
	}
	return ID{}
}

// entity reads an EI. One without an authority is the sender's.
func (w *walk) entity(r er7.Rep) ID {
	id := ID{Value: part(r, 1), Authority: Authority{Namespace: part(r, 2), Universal: part(r, 3), Kind: part(r, 4)}}
	if id.Value == "" {
		return ID{}
	}
	if id.Authority == (Authority{}) {
		id.Authority = w.result.Header.SendingFacility
	}
	return id
}

// amount is a number without needless zeros before its point.
func amount(s string) string {
	if strings.HasPrefix(s, ".") {
		return "0" + s
	}
	return strings.TrimSuffix(s, ".")
}

// OnlyMonth is what a repetition of RXA-9 says of a historical dose whose day is not known:
// RXA-3 has to be a whole date (TS_NZ), and the guide has no code for what is known of it.
const OnlyMonth = "Only the month is known."

// notes are the repetitions of RXA-9 that are words, without the one that says that only the
// month is known.
func notes(s *seg) (note string, onlyMonth bool) {
	var out []string
	for _, r := range s.reps(9) {
		code, system := part(r, 1), part(r, 3)
		if system == "IMM_ID" {
			continue
		}
		if _, ok := tables["NIP001"](nil, code); ok && (system == "" || strings.HasPrefix(system, "NIP")) {
			continue
		}
		t := orElse(whole(r, 2), whole(r, 1))
		if strings.EqualFold(strings.Trim(t, " ."), strings.Trim(OnlyMonth, ".")) {
			onlyMonth = true
			continue
		}
		if t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return strings.Join(out, "\n"), onlyMonth
}
