package hl7

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// dose gives what an order says of a dose in the registry's nouns.
func (m *Messages) dose(o *guide.Order) immunization.ToldDose {
	d := immunization.Dose{Date: o.Date, CVX: o.CVX, MVX: o.MVX, NDC: o.NDC, Lot: o.Lot, Expires: o.Expires, BodySite: o.BodySite, Route: o.Route, Eligibility: o.Eligibility, Funding: o.Funding,
		GivenBy: words(&o.GivenBy), OrderedBy: words(&o.OrderedBy), Note: o.Note}
	if u := strings.ToLower(o.Unit); u == "ml" || u == "" {
		d.Amount = o.Amount
	}
	if _, known := m.codes.CVX(d.CVX); !known && d.NDC != "" {
		if p, ok := m.codes.NDC(d.NDC); ok {
			d.CVX = p.CVX
		}
	}
	for _, v := range o.VIS {
		doc := v.Document
		edition := v.Edition
		if doc == "" {
			doc = "CVX " + v.CVX
		} else if len(doc) == 24 && !edition.Known() {
			edition = editionOf(doc)
		}
		d.VIS = append(d.VIS, immunization.VIS{Document: doc, Edition: edition, Given: v.Presented})
	}
	switch o.Kind {
	case guide.Given, guide.Partial:
		d.Kind = immunization.Administered
	case guide.Refused:
		d.Kind, d.Refusal = immunization.Refused, o.Refusal
		if o.Refusal == "02" || !refusalWords[strings.ToLower(o.RefusalWhy)] { // the code's own words say no more
			d.Note = o.RefusalWhy
		}
	case guide.Historical, guide.Nothing:
		d.Kind, d.Source, d.Elsewhere = immunization.Historical, o.Source, authority(o.Facility)
		d.DayUnknown = o.MonthOnly
	}
	return immunization.ToldDose{Dose: d, Partly: o.Completion == "PA"}
}

// refusalWords are the names of the codes of NIP002, as the guide and others write them.
var refusalWords = map[string]bool{"parental decision": true, "parental refusal": true, "religious exemption": true, "religious objection": true, "patient decision": true, "patient refusal": true}

// editionOf reads the day of an edition from the 24 digits on a statement: the last six are
// year, month and day.
func editionOf(code string) coldkeep.Date {
	t, err := time.Parse("060102", code[18:])
	if err != nil {
		return 0
	}
	return coldkeep.DateOf(t)
}

// words is somebody of a practice as a record names them.
func words(p *guide.Person) string {
	var parts []string
	for _, s := range []string{p.Prefix, p.Given, p.Middle, p.Family, p.Suffix} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	name := strings.Join(parts, " ")
	if p.Degree != "" && name != "" {
		name += ", " + p.Degree
	}
	if name == "" {
		return p.ID
	}
	return name
}

// order is an order of a message with what the registry knows of its number.
type order struct {
	*guide.Order
	key   exchange.Order
	plain bool // it came without a number
	known bool // the number has been heard of
}

// number finds what a site's order number stands for. A dose that comes without one is known
// by what it says: kind, day, vaccine, lot and, when it was refused, the reason.
func (m *Messages) number(ctx context.Context, tx exchange.Tx, r *exchange.Request, id string, o *guide.Order) (order, error) {
	out := order{Order: o}
	if o.Filler.Value == "" || o.Filler.Value == "9999" {
		out.plain = true
		d := m.dose(o)
		out.key = exchange.Order{Site: r.Site, Authority: exchange.ByContent, Number: strings.Join([]string{id, string(d.Kind), d.Date.String(), d.CVX, first(strings.ToUpper(d.Lot), 40) + d.Refusal}, " ")}
	} else {
		a := authority(o.Filler.Authority)
		if a == "" {
			a = r.Application
		}
		out.key = exchange.Order{Site: r.Site, Authority: strings.ToUpper(first(a, 200)), Number: first(o.Filler.Value, 200)}
	}
	if r.Test {
		return out, nil // whose doses there are is not for a test to tell
	}
	has, err := tx.OrderNumber(ctx, out.key.Site, out.key.Authority, out.key.Number)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return out, nil
	}
	out.key, out.known = has, err == nil
	return out, err
}

// late is what is told of a message of which nothing counts, since one that was made later
// has come already.
func late(at er7.Location) []guide.Finding {
	return []guide.Finding{{Severity: guide.Information, Location: at, Code: guide.Accepted, Rule: "late",
		Text: "A message that was made later has spoken of this order already: this one changes nothing."}}
}

// tellDose does what an order asks about a dose. The dose is nil when none stands for it
// afterwards, or when what is said of it was taken back.
func (m *Messages) tellDose(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, id string, at *order) (exchange.DoseDone, *immunization.Dose, []guide.Finding, error) {
	o := at.Order
	done := exchange.DoseDone{Order: first(o.Filler.Value, 60)}
	sent := moment(r)
	if at.known && sent.Before(at.key.Since) {
		done.Did = "late"
		return done, nil, late(o.At), nil
	}
	if o.Action == guide.Delete {
		return m.deleteDose(ctx, tx, by, r, id, at, done)
	}
	told := m.dose(o)
	told.Patient, told.Sent, told.Heard = id, sent, at.key.Heard
	if at.known {
		told.Was = at.key.Dose
	}
	told.Apart = slices.ContainsFunc(o.Observations, func(x guide.Observation) bool { return x.Code == loincReaction })
	told.Shared = func(doses []string) (map[string]immunization.Sharing, error) { return sharing(ctx, tx, &at.key, doses) }
	var why *undeducted
	asked := false
	if o.Kind == guide.Given || o.Kind == guide.Partial {
		told.Stock = func(d *immunization.Dose, others []immunization.Dose) (lot string, err error) {
			if !r.Sender.Deducts {
				return "", nil
			}
			asked = true
			if f := authority(o.Facility); !m.ours(r, f) {
				why = &undeducted{exchange.NoFacility, "RXA-11.4 names no facility that the sender speaks for at this site."}
				return "", nil
			}
			lot, why, err = m.choose(ctx, tx, d, others)
			return lot, err
		}
	}
	took, err := m.doses.TakeTold(ctx, tx, by, told)
	if err != nil {
		wrong, ok := refusal(err, o.At)
		if !ok {
			return done, nil, nil, err
		}
		if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT { // it stands for a dose of somebody else
			wrong.Code, wrong.AppCode, wrong.Rule = guide.DuplicateKey, "", "order-number"
		}
		done.Did, done.Why = "refused", wrong.Text
		return done, nil, []guide.Finding{wrong}, nil
	}
	done.Dose, done.Did = took.Dose.ID, took.Did
	if done.Dose == "" {
		return done, nil, nil, nil
	}
	var found []guide.Finding
	if sent.Before(at.key.Sent) && took.Did == "same" {
		done.Did, found = "late", late(o.At)
	}
	for _, f := range took.Left {
		found = append(found, guide.Finding{Severity: guide.Warning, Location: o.At, Code: guide.ApplicationError, AppCode: guide.InvalidValue, Rule: "left-out", Text: f + " is not one that is kept, and was left out."})
	}
	at.key.Dose, at.key.Deleted, at.key.Heard = took.Dose.ID, false, took.Heard
	if !sent.Before(at.key.Sent) {
		at.key.Sent = sent
	}
	if err := tx.PutOrderNumber(ctx, at.key); err != nil {
		return done, nil, nil, err
	}
	if asked {
		more, err := m.listed(ctx, tx, by, r, o, &took, why, &done)
		if err != nil {
			return done, nil, nil, err
		}
		found = append(found, more...)
	}
	return done, &took.Dose, found, nil
}

// ours reports whether a facility is one that the sender speaks for at the message's site;
// one that was not named is.
func (m *Messages) ours(r *exchange.Request, facility string) bool {
	if facility == "" || strings.EqualFold(facility, r.Facility) || strings.EqualFold(facility, string(r.Site)) {
		return facility != ""
	}
	for _, f := range r.Sender.Facilities {
		if strings.EqualFold(f.Code, facility) {
			return f.Site == r.Site
		}
	}
	return false
}

// listed writes down that a dose was, or was not, taken off the stock.
func (m *Messages) listed(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, o *guide.Order, took *immunization.Took, why *undeducted, done *exchange.DoseDone) ([]guide.Finding, error) {
	if took.Drawn || took.Dose.StockID != "" {
		done.Deduction = exchange.Deducted
		err := tx.SettleUndeducted(ctx, took.Dose.ID, by.Name, "taken off the stock", r.At)
		if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
			err = nil // it was not on the list
		}
		return nil, err
	}
	if why == nil {
		return nil, nil
	}
	done.Deduction, done.Why = exchange.Undeduced, why.reason
	has, err := tx.UndeductedDose(ctx, took.Dose.ID)
	switch {
	case err == nil && has.Settled != nil && took.Did == "same":
		return nil, nil // a person has said that it is well so
	case err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
		return nil, err
	}
	err = tx.PutUndeducted(ctx, exchange.Undeducted{Dose: took.Dose.ID, Patient: took.Dose.Patient, Site: r.Site, Account: r.Sender.Account, Message: r.ID, At: r.At, Code: why.code, Reason: why.reason})
	return []guide.Finding{{Severity: guide.Warning, Location: o.At, Code: guide.ApplicationError, AppCode: guide.IllogicalValue, Rule: "not-deducted",
		Text: "The dose is on the record and was not taken off the stock: " + why.reason}}, err
}

// sharing says how the numbers of a site, other than one, stand for doses.
func sharing(ctx context.Context, tx exchange.Tx, but *exchange.Order, doses []string) (map[string]immunization.Sharing, error) {
	known, err := tx.OrderNumbersOf(ctx, but.Site, doses)
	out := map[string]immunization.Sharing{}
	for dose, orders := range known {
		for i := range orders {
			o := &orders[i]
			if o.Authority == but.Authority && o.Number == but.Number {
				continue
			}
			if out[dose] = immunization.Shared; len(o.Reactions) > 0 {
				out[dose] = immunization.Alone
				break
			}
		}
	}
	return out, err
}

// deleteDose takes back the dose that an order number stands for. One that has not been
// heard of is remembered as deleted, so that a late message does not bring it back; and of a
// dose that later messages have told of anew, what was said before is taken off.
func (m *Messages) deleteDose(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, id string, at *order, done exchange.DoseDone) (exchange.DoseDone, *immunization.Dose, []guide.Finding, error) {
	place := at.At
	if at.OrderAt.Segment != "" {
		place = er7.Location{Segment: "ORC", Seq: at.OrderAt.Seq, Field: 3}
	}
	sent := moment(r)
	if at.known && sent.Before(at.key.Sent) {
		done.Did = "late"
		return done, nil, late(place), m.deleteLate(ctx, tx, by, id, at, sent)
	}
	dose := at.key.Dose
	if dose == "" && !at.key.Deleted { // by what it says, when that is one dose of this site
		told := m.dose(at.Order)
		told.Patient = id
		found, err := m.doses.FindTold(ctx, tx, by, told)
		if _, ok := refusal(err, place); err != nil && !ok {
			return done, nil, nil, err
		}
		if err == nil && found != "" {
			others, err := tx.OrderNumbersOf(ctx, r.Site, []string{found})
			if err != nil {
				return done, nil, nil, err
			}
			if _, other := others[found]; !other {
				dose = found
			}
		}
	}
	var warn []guide.Finding
	done.Did = "deleted"
	if dose == "" || at.key.Deleted {
		done.Did = "same"
		warn = append(warn, guide.Finding{Severity: guide.Warning, Location: place, Code: guide.UnknownKey, Rule: "delete-unknown", Text: "No dose is kept under this order number: there was nothing to delete."})
	} else if others, err := sharing(ctx, tx, &at.key, []string{dose}); err != nil {
		return done, nil, nil, err
	} else if len(others) == 0 { // what another number stands for as well was not only told by this one
		err := m.doses.TakeBack(ctx, tx, by, id, dose)
		if wrong, ok := refusal(err, place); err != nil && ok {
			if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				done.Did, done.Why = "refused", wrong.Text
				return done, nil, []guide.Finding{wrong}, nil
			}
			warn = append(warn, guide.Finding{Severity: guide.Warning, Location: place, Code: guide.UnknownKey, Rule: "delete-unknown", Text: wrong.Text})
			done.Did = "same"
		} else if err != nil {
			return done, nil, nil, err
		}
		done.Dose = dose
		if e := tx.SettleUndeducted(ctx, dose, by.Name, "the dose was deleted", r.At); e != nil && coldkeep.ErrorCode(e) != coldkeep.ECONFLICT {
			return done, nil, nil, e
		}
	}
	at.key.Dose, at.key.Sent, at.key.Deleted = "", sent, true
	at.key.Since, at.key.Heard, at.key.Reactions = sent, nil, nil
	return done, nil, warn, tx.PutOrderNumber(ctx, at.key)
}

// deleteLate does what is left to do of a deletion when a message that was made later has
// told of the dose already.
func (m *Messages) deleteLate(ctx context.Context, tx exchange.Tx, by auth.Principal, id string, at *order, since time.Time) error {
	at.key.Since = since
	if at.key.Dose != "" {
		var err error
		told := immunization.ToldDose{Was: at.key.Dose, Heard: at.key.Heard, Shared: func(doses []string) (map[string]immunization.Sharing, error) { return sharing(ctx, tx, &at.key, doses) }}
		told.Patient = id
		if at.key.Dose, at.key.Heard, err = m.doses.ForgetTold(ctx, tx, by, told, since); err != nil {
			return err
		}
		var left []exchange.SaidReaction
		for _, x := range at.key.Reactions {
			if !x.Sent.Before(since) {
				left = append(left, x)
			} else if err := m.doses.ForgetReaction(ctx, tx, by, id, at.key.Dose, x.Event); err != nil {
				return err
			}
		}
		at.key.Reactions = left
	}
	return tx.PutOrderNumber(ctx, at.key)
}

// moment is when a message was made, by which of two words about one thing the later is
// known. One that does not say it to the second, or says a time to come, is of the moment
// at which it came.
func moment(r *exchange.Request) time.Time {
	if r.Sent.IsZero() || r.Sent.After(r.At) {
		return r.At
	}
	return r.Sent
}

// refusal turns an error of the registry's services about a part of a message into what
// its sender is told. ok is false for one after which the transaction cannot go on.
func refusal(err error, at er7.Location) (guide.Finding, bool) {
	f := guide.Finding{Severity: guide.Error, Location: at, Code: guide.ApplicationError, AppCode: guide.InvalidValue, Rule: "refused", Text: first(coldkeep.ErrorMessage(err), 250)}
	switch coldkeep.ErrorCode(err) {
	case coldkeep.EINVALID:
		if strings.HasPrefix(f.Text, "Date:") {
			f.AppCode, f.Rule = guide.IllogicalDate, "date"
			f.Text = "The date is before birth, after death, in the future or no date: the dose was not kept."
		}
		return f, true
	case coldkeep.EFORBIDDEN, coldkeep.ECONFLICT, coldkeep.ENOTFOUND:
		return f, true
	}
	return f, false
}
