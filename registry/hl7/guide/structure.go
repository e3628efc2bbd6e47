package guide

import (
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// places are where segments stand in a VXU. Segments that are not here are ignored.
var places = map[string]int{
	"PID": 2, "PD1": 3, "NK1": 4, "PV1": 5, "PV2": 6, "GT1": 7, "IN1": 8, "IN2": 8, "IN3": 8,
	"ORC": orders, "RXA": orders, "RXR": orders, "OBX": orders,
}

const orders = 9

// order is a group of ORC, RXA, RXR and OBX.
type order struct {
	n             int // from 1
	orc, rxa, rxr *seg
	obxs          []*seg
	obx           *seg // the one that is being judged
	check         *walk
}

// at is where an order is spoken of.
func (o *order) at() er7.Location {
	if o.rxa != nil {
		return o.rxa.At(0)
	}
	return o.orc.At(0)
}

// parts are a VXU's segments sorted out.
type parts struct {
	pid, pd1, pv1 *seg
	kin           []*seg
	orders        []*order
	place         int // of the last segment
}

// update judges a VXU.
func (w *walk) update() {
	var p parts
	for _, s := range w.message.Segments[1:] {
		if _, known := places[s.Name]; known && !w.place(&p, &seg{Segment: s}) {
			return
		}
	}
	if p.pid == nil {
		w.reject(er7.Location{Segment: "PID"}, "rejected", "PID is required and missing: the message is rejected.")
		return
	}
	u := &Update{}
	if whole := w.apply(p.pid, nil); !w.born(p.pid) || !whole {
		w.reject(p.pid.At(0), "rejected", "A required field of PID is empty: the message is rejected.")
		return
	}
	if p.pd1 != nil {
		w.apply(p.pd1, nil)
	}
	u.Patient = w.demographics(p.pid, p.pd1)
	w.people(p.pid, &u.Patient)
	for _, s := range p.kin {
		if w.apply(s, nil) {
			u.Patient.Kin = append(u.Patient.Kin, w.kin(s))
		} else {
			w.say(Information, s.At(0), SegmentSequence, "", "left-out", "NK1 is left out, since a required field of it is empty.")
		}
	}
	for _, o := range p.orders {
		if got, ok := w.order(o, &p, u); ok {
			u.Orders = append(u.Orders, got)
		}
	}
	if len(p.orders) > 0 && len(u.Orders) == 0 {
		w.reject(p.orders[0].at(), "rejected", "None of the orders can be read: the message is rejected.")
		return
	}
	w.twice(u.Orders)
	w.result.Update = u
}

// place puts a segment where it belongs. false means that the message is rejected.
func (w *walk) place(p *parts, s *seg) bool {
	place := places[s.Name]
	if s.Name == "PID" && p.pid != nil {
		// Whose the doses after it are is not known.
		w.reject(s.At(0), "second-patient", "There is a second PID: a message tells of one patient and is rejected.")
		return false
	}
	if place < p.place && (s.Name == "PID" || w.result.Guide == Claimed) {
		w.say(Error, s.At(0), SegmentSequence, "", "sequence", "%s stands out of order and is left out.", s.Name)
		return true
	}
	if place < p.place {
		w.say(Warning, s.At(0), SegmentSequence, "", "sequence", "%s stands out of order; it is read all the same.", s.Name)
	}
	p.place = max(p.place, place)
	switch s.Name {
	case "PID":
		p.pid = s
	case "PD1":
		p.pd1 = s
	case "PV1":
		p.pv1 = s
	case "NK1":
		p.kin = append(p.kin, s)
	case "ORC", "RXA", "RXR", "OBX":
		w.placeOrder(p, s)
	}
	return true
}

// placeOrder puts a segment of an order into its group: ORC opens one, and so does RXA
// when the last one has an RXA already.
func (w *walk) placeOrder(p *parts, s *seg) {
	var last *order
	if n := len(p.orders); n > 0 {
		last = p.orders[n-1]
	}
	begin := func() *order {
		o := &order{n: len(p.orders) + 1, check: w}
		p.orders = append(p.orders, o)
		return o
	}
	switch s.Name {
	case "ORC":
		begin().orc = s
		return
	case "RXA":
		if last == nil || last.rxa != nil {
			last = begin()
		}
		last.rxa = s
		return
	}
	outside := last == nil || last.rxa == nil
	switch {
	case outside && (w.result.Guide == Claimed || s.Name == "RXR"):
		w.say(Error, s.At(0), SegmentSequence, "", "sequence", "%s stands in no order and is left out.", s.Name)
	case outside:
		w.say(Warning, s.At(0), SegmentSequence, "", "sequence", "OBX stands in no order and is left out.")
	case s.Name == "OBX":
		last.obxs = append(last.obxs, s)
	case last.rxr != nil:
		w.say(Warning, s.At(0), SegmentSequence, "", "sequence", "The order has a second RXR: it is left out.")
	case len(last.obxs) > 0 && w.result.Guide == Claimed:
		w.say(Error, s.At(0), SegmentSequence, "", "sequence", "RXR stands after OBX and is left out.")
	default:
		last.rxr = s
	}
}

// order judges a group and reads it. ok is false when it counts as empty.
func (w *walk) order(o *order, p *parts, u *Update) (out Order, ok bool) {
	whole := true
	switch {
	case o.rxa == nil:
		w.say(Error, er7.Location{Segment: "RXA"}, SegmentSequence, "", "left-out", "Order %d has no RXA and is left out.", o.n)
		return out, false
	case o.orc == nil && w.result.Guide == Claimed:
		w.say(Error, er7.Location{Segment: "ORC"}, SegmentSequence, "", "no-orc", "Order %d has no ORC.", o.n)
		whole = false
	case o.orc == nil && w.result.Guide == Near:
		w.say(Warning, er7.Location{Segment: "ORC"}, SegmentSequence, "", "form", "Order %d has no ORC; it is read without.", o.n)
	case o.orc != nil:
		whole = w.apply(o.orc, o)
	}
	whole = w.apply(o.rxa, o) && whole
	if o.rxa.blank(20) && !o.rxa.Field(20).Empty() {
		whole = false // whether the vaccine was given is not known
	}
	if whole {
		out = w.read(o)
		whole = w.judge(o, &out, u)
	}
	if !whole {
		w.say(Error, o.rxa.At(0), SegmentSequence, "", "left-out", "Order %d is left out, since a required part of it is empty.", o.n)
		return out, false
	}
	w.details(o, p, &out)
	w.complete(o, &out, u)
	return out, true
}

// details reads RXR and OBX.
func (w *walk) details(o *order, p *parts, out *Order) {
	if o.rxr != nil && !(out.Kind == Nothing && o.rxr.blank(1)) {
		if w.apply(o.rxr, o) {
			out.Route, _ = w.code("route", o.rxr.first(1))
			out.BodySite, _ = w.code("HL70163", o.rxr.first(2))
		} else {
			w.say(Information, o.rxr.At(0), SegmentSequence, "", "left-out", "RXR is left out, since a required field of it is empty.")
		}
	}
	for _, s := range o.obxs {
		o.obx = s
		if w.apply(s, o) {
			w.observe(s, out)
		}
	}
	out.VIS = sheets(out.Observations)
	if out.Eligibility == "" && out.Kind == Given && w.result.Guide != Claimed && p.pv1 != nil {
		// Before OBX had it, the financial class of the visit said it.
		for _, r := range p.pv1.reps(20) {
			if c, ok := tables["HL70064"](w, part(r, 1)); ok {
				out.Eligibility, out.Method = c, "VXC41"
				break
			}
		}
	}
}

// twice warns of orders that tell of one dose, and of doses that share one number.
func (w *walk) twice(all []Order) {
	w.sharedKeys(all)
	type seenOn struct {
		day   coldkeep.Date
		group string // or the CVX code of a vaccine without one
	}
	seen := map[seenOn]bool{}
	for i := range all {
		a := &all[i]
		if !a.dose() {
			continue
		}
		v, _ := w.codes.CVX(a.CVX)
		again := false
		for _, group := range append([]string{"CVX " + a.CVX}, v.Groups...) {
			k := seenOn{a.Date, group}
			again = again || seen[k]
			seen[k] = true
		}
		if again {
			at := a.At
			at.Field = 3
			w.say(Warning, at, ApplicationError, IllogicalValue, "same-day", "Another order tells of a dose of the same vaccine group on the same day.")
		}
	}
}

// dose reports whether an order tells of a dose that was given by somebody.
func (o *Order) dose() bool { return o.Kind != Nothing && o.Kind != Refused && o.Action != Delete }

// sharedKeys looks for an ORC-3 that several doses have. Where they are different doses,
// the number is the key of none: taken as one, each would replace the one before it.
func (w *walk) sharedKeys(all []Order) {
	by := map[ID][]*Order{}
	for i := range all {
		if a := &all[i]; a.Filler.Value != "" && a.dose() {
			by[a.Filler] = append(by[a.Filler], a)
		}
	}
	for i := range all {
		a := &all[i]
		group := by[a.Filler]
		if len(group) < 2 || a != group[0] {
			continue
		}
		differ := slices.ContainsFunc(group, func(b *Order) bool { return b.Date != a.Date || b.CVX != a.CVX })
		text := "ORC-3 is that of the same dose earlier in the message: this one is an update of it."
		if differ {
			text = "ORC-3 is the same for different doses of the message: it is not taken as the number of any."
		}
		for k, b := range group {
			if differ || k > 0 {
				at := b.OrderAt
				if at.Segment == "" {
					at = b.At
				} else {
					at.Field = 3
				}
				w.say(Warning, at, DuplicateKey, "", "same-key", "%s", text)
			}
			if differ {
				b.Filler = ID{}
			}
		}
	}
}
