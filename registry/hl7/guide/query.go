package guide

import (
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// query judges a QBP: Z34 asks for a history, Z44 for an evaluated one with a forecast.
func (w *walk) query() {
	qpd, asked := w.message.First("QPD")
	if !asked {
		w.reject(er7.Location{Segment: "QPD"}, "rejected", "QPD is required and missing: the query is rejected.")
		return
	}
	w.result.Echo = []er7.Segment{qpd}
	s := &seg{Segment: qpd}
	q := &Query{Echo: w.result.Echo, Tag: s.text(2)}
	profile, ok := w.asksFor(s)
	q.Forecast = profile == "Z44"
	whole := w.apply(s, nil) && ok
	if whole {
		q.Person = w.person(s, inQPD)
		whole = w.findable(s, &q.Person)
	}
	if !w.priority(q) {
		return
	}
	if !whole {
		w.reject(s.At(0), "rejected", "A required part of QPD is empty: the query is rejected.")
		return
	}
	w.result.Query = q
}

// asksFor reads QPD-1, or MSH-21 where it does not say.
func (w *walk) asksFor(s *seg) (profile string, ok bool) {
	profile = strings.ToUpper(s.text(1))
	claimed := w.result.Header.Profile
	switch {
	case profile == "Z34" || profile == "Z44":
		if claimed != "" && claimed != profile {
			w.say(Warning, s.At(1), ApplicationError, IllogicalValue, "query-name", "QPD-1 names another query than MSH-21: it is read as QPD-1 says.")
		} else if part(s.first(1), 3) != "CDCPHINVS" {
			w.say(Warning, s.At(1), TableValueNotFound, NotInTable, "form", "QPD-1: want the coding system CDCPHINVS.")
		}
		return profile, true
	case claimed == "Z34" || claimed == "Z44":
		w.say(Warning, s.At(1), TableValueNotFound, NotInTable, "query-name", "QPD-1 is neither Z34 nor Z44: the query is read as MSH-21 says.")
		return claimed, true
	}
	w.say(Error, s.At(1), TableValueNotFound, NotInTable, "query-name", "QPD-1 is neither Z34 nor Z44.")
	return "", false
}

// findable reports whether a person is told of well enough to be looked for.
func (w *walk) findable(s *seg, p *Patient) bool {
	switch {
	case len(p.Identifiers) > 0:
		return true
	case len(p.Names) == 0:
		w.say(Error, s.At(4), RequiredFieldMissing, RequiredMissing, "required", "Without an identifier, the name is required.")
		return false
	case !p.Birth.Known():
		w.say(Error, s.At(6), RequiredFieldMissing, RequiredMissing, "required", "Without an identifier, the date of birth is required.")
		return false
	}
	return true
}

// priority reads RCP.
func (w *walk) priority(q *Query) bool {
	rcp, ok := w.message.First("RCP")
	if !ok {
		if w.result.Guide == Claimed {
			w.reject(er7.Location{Segment: "RCP"}, "rejected", "RCP is required and missing: the query is rejected.")
			return false
		}
		w.say(Warning, er7.Location{Segment: "RCP"}, SegmentSequence, "", "form", "RCP is missing; the query is read without it.")
		return true
	}
	s := &seg{Segment: rcp}
	if !w.apply(s, nil) {
		w.reject(s.At(0), "rejected", "A required part of RCP is empty: the query is rejected.")
		return false
	}
	q.Limit, _ = strconv.Atoi(s.text(2))
	return true
}

// oldQuery judges a VXQ of 2.3.1: QRD says who, QRF what else is known of the person.
func (w *walk) oldQuery() {
	qrd, ok := w.message.First("QRD")
	if !ok {
		w.reject(er7.Location{Segment: "QRD"}, "rejected", "QRD is required and missing: the query is rejected.")
		return
	}
	w.result.Echo = []er7.Segment{qrd}
	q := &Query{Tag: strings.TrimSpace(qrd.Field(4).Text())}
	p := &q.Person
	for i := 1; i <= qrd.Field(8).Reps() && i <= maxReps; i++ { // XCN: id, family, given …
		r := qrd.Field(8).Rep(i)
		if n := (Name{Family: part(r, 2), Given: part(r, 3), Middle: part(r, 4), Suffix: part(r, 5), Kind: "L"}); n.Family != "" && n.Given != "" {
			p.Names = append(p.Names, n)
		}
		if id := part(r, 1); id != "" && part(r, 13) != "SS" {
			p.Identifiers = append(p.Identifiers, w.own(Identifier{Value: id, Authority: authority(r.Comp(9)), Kind: part(r, 13)}))
		}
	}
	q.Limit, _ = strconv.Atoi(strings.TrimSpace(qrd.Field(7).Text()))
	at := qrd.At(8)
	if qrf, ok := w.message.First("QRF"); ok {
		w.result.Echo = append(w.result.Echo, qrf)
		w.filter(qrf, p)
	}
	q.Echo = w.result.Echo
	if len(p.Identifiers) == 0 && (len(p.Names) == 0 || !p.Birth.Known()) {
		w.say(Error, at, RequiredFieldMissing, RequiredMissing, "required", "The query names neither an identifier nor a name with a date of birth (QRF-5).")
		w.reject(qrd.At(0), "rejected", "A required part of QRD is empty: the query is rejected.")
		return
	}
	w.result.Query = q
}

// own fills in the sender's authority where an identifier has none.
func (w *walk) own(id Identifier) Identifier {
	if id.Authority == (Authority{}) {
		id.Authority = w.result.Header.SendingFacility
	}
	return id
}

// filter reads QRF-5, whose repetitions are, in turn: social security number (not kept),
// date of birth, state of birth, birth registration number, Medicaid number, mother's
// name, mother's maiden name, and the parents' numbers and names.
func (w *walk) filter(qrf er7.Segment, p *Patient) {
	f := qrf.Field(5)
	birth := strings.TrimSpace(f.Rep(2).Text())
	if d, precision := date(birth); d.Known() && precision == 8 {
		p.Birth = d
	} else if birth != "" {
		at := qrf.At(5)
		at.Rep = 2
		w.say(Error, at, DataTypeError, InvalidDate, "type", "QRF-5 (date of birth): want a day that exists, as YYYYMMDD: it is left out.")
	}
	if state := part(f.Rep(3), 1); state != "" {
		p.Addresses = append(p.Addresses, Address{State: state, Kind: "BDL"})
	}
	for i, kind := range []string{"BR", "MA"} {
		if id := part(f.Rep(4+i), 1); id != "" {
			p.Identifiers = append(p.Identifiers, w.own(Identifier{Value: id, Kind: kind}))
		}
	}
	if n := name(f.Rep(6)); n.Family != "" && n.Given != "" {
		p.Kin = append(p.Kin, Kin{Name: n, Relation: "MTH"})
	}
	p.Maiden = part(f.Rep(7), 1)
}
