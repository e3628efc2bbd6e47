package hl7

import (
	"context"
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// errRefused is what the sender of an update is told when the record of the person is
// locked to it. It says neither that there is a record nor why it does not open: the person
// has asked not to be known of (77 Ill. Adm. Code 689.80), and nothing was saved.
var errRefused = guide.Finding{Severity: guide.Error, Location: er7.Location{Segment: "PID", Seq: 1}, Code: guide.ApplicationError, Rule: "not-saved",
	Text: "The registry cannot save data about this person for this sender. Nothing was kept. Ask the registry's staff."}

// told is what became of an update.
type told struct {
	exchange.Result
	found []guide.Finding
}

// update puts what a message tells on the record of the person, in one transaction.
func (m *Messages) update(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, u *guide.Update) (told, error) {
	out := told{Result: exchange.Result{Figures: m.figures(r, u)}}
	if err := by.Require(auth.ExchangeRecords, by.Site); err != nil && by.Role == "" {
		out.found = append(out.found, allowed(err))
		return out, nil
	}
	for _, perm := range []auth.Permission{auth.EditPatients, auth.RecordDoses} {
		if err := by.Require(perm, by.Site); err != nil {
			out.found = append(out.found, allowed(err))
			return out, nil
		}
	}
	p, ours, found := m.person(r, &u.Patient)
	out.found = append(out.found, found...)
	sent := moment(r)
	in := patient.Told{Patient: p, Ours: ours, Test: r.Test, Weigh: func(id string, changed time.Time) (func(patient.Topic) patient.Weight, error) {
		return weigh(ctx, tx, r.Site, id, sent, changed)
	}}
	who, err := m.people.TakeTold(ctx, tx, by, in, func(g patient.Gate) (coldkeep.Date, error) { return immunization.FirstDay(ctx, tx, g) })
	switch {
	case patient.IsLocked(err):
		out.found = append(out.found, errRefused)
		e, ok, err := m.people.RefusedTold(ctx, tx, by, in)
		if ok {
			out.Trail = []audit.Entry{e}
		}
		return out, err
	case coldkeep.ErrorCode(err) == coldkeep.EINVALID || coldkeep.ErrorCode(err) == coldkeep.EFORBIDDEN:
		wrong, _ := refusal(err, er7.Location{Segment: "PID", Seq: 1})
		wrong.Text += " Nothing was kept."
		out.found = append(out.found, wrong)
		return out, nil
	case err != nil:
		return out, err
	}
	out.Commit, out.Patient, out.Matched = true, who.ID, who.Outcome
	for _, t := range who.Spoken {
		if err := tx.PutMessageWord(ctx, who.ID, exchange.Word{Topic: topic(t, r.Site), Sent: sent}); err != nil {
			return out, err
		}
	}
	if len(who.Kept) > 0 {
		out.found = append(out.found, guide.Finding{Severity: guide.Warning, Location: er7.Location{Segment: "PID", Seq: 1, Field: 7}, Code: guide.ApplicationError, AppCode: guide.IllogicalDate, Rule: "birth-date-kept",
			Text: "The birth date was not changed, since " + who.Why + "."})
	}
	for i := range u.Orders {
		if err := m.tell(ctx, tx, by, r, who.ID, &u.Orders[i], &out); err != nil {
			return out, err
		}
	}
	more, err := m.protect(ctx, tx, by, r, who, &u.Patient)
	out.found = append(out.found, more...)
	count(&out, who)
	return out, err
}

// allowed tells of what the sender may not do.
func allowed(err error) guide.Finding {
	return guide.Finding{Severity: guide.Error, Code: guide.ApplicationError, Rule: "not-allowed", Text: first(coldkeep.ErrorMessage(err), 250)}
}

// topic names a topic as it is kept; how a person stands is a matter between the person and
// one site.
func topic(t patient.Topic, site coldkeep.SiteID) string {
	if t == patient.TopicStatus {
		return string(t) + " " + string(site)
	}
	return string(t)
}

// weigh says how much a message's word on a topic is worth for a record.
func weigh(ctx context.Context, tx exchange.Tx, site coldkeep.SiteID, id string, sent, changed time.Time) (func(patient.Topic) patient.Weight, error) {
	words, err := tx.MessageWords(ctx, id)
	last := map[string]time.Time{}
	for _, w := range words {
		last[w.Topic] = w.Sent
	}
	return func(t patient.Topic) patient.Weight {
		switch at, heard := last[topic(t, site)]; {
		case heard && sent.Before(at):
			return patient.Late
		case sent.Before(changed):
			return patient.Filling
		}
		return patient.LastWord
	}, err
}

// tell does one order. What it says of the person, and not of the dose, counts also when
// the dose has been spoken of later.
func (m *Messages) tell(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, id string, o *guide.Order, out *told) error {
	var dose *immunization.Dose
	var at order
	if o.Kind != guide.Nothing {
		var err error
		if at, err = m.number(ctx, tx, r, id, o); err != nil {
			return err
		}
		done, d, found, err := m.tellDose(ctx, tx, by, r, id, &at)
		if err != nil {
			return err
		}
		out.Doses, out.found, dose = append(out.Doses, done), append(out.found, found...), d
		if done.Did == "refused" || o.Action == guide.Delete {
			return nil
		}
	}
	if o.Kind == guide.Nothing || dose != nil {
		found, err := m.tellReactions(ctx, tx, by, moment(r), dose, &at, o)
		out.found = append(out.found, found...)
		if err != nil {
			return err
		}
	}
	found, err := m.tellFacts(ctx, tx, by, moment(r), id, o)
	out.found = append(out.found, found...)
	return err
}

// protect locks the record of a person who has opted out of sharing at the site that sends
// (PD1-12 Y). N is the rule in Illinois, which shares unless somebody opts out, and opens
// nothing: opting back in takes a form (77 Ill. Adm. Code 689.80), which a person files.
func (m *Messages) protect(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, who patient.Updated, p *guide.Patient) ([]guide.Finding, error) {
	if p.Protected == nil {
		return nil, nil
	}
	at := er7.Location{Segment: "PD1", Seq: 1, Field: 12}
	if !*p.Protected {
		if who.Gate.Locked {
			return []guide.Finding{{Severity: guide.Warning, Location: at, Code: guide.ApplicationError, Rule: "stays-locked",
				Text: "The record stays locked: to share it again, file the patient's opt-in form on the patient's page."}}, nil
		}
		return nil, nil
	}
	words := fmt.Sprintf("protection indicator Y in message %s", first(r.Control, 60))
	if p.ProtectedFrom.Known() {
		words += ", since " + p.ProtectedFrom.String()
	}
	locked, err := m.people.LockTold(ctx, tx, by, who.ID, words, moment(r))
	if err != nil || locked || who.Gate.Locked {
		return nil, err
	}
	return []guide.Finding{{Severity: guide.Warning, Location: at, Code: guide.ApplicationError, Rule: "stays-open",
		Text: "An opt-in form was filed after this message was made: the record stays open."}}, nil
}

// adult is the birthday from which on nobody is asked for a guardian.
const adult = 19

// figures counts what a message has and lacks.
func (m *Messages) figures(r *exchange.Request, u *guide.Update) map[string]int {
	n := map[string]int{exchange.FigPatients: 1}
	note := func(missing bool, measure string) {
		if missing {
			n[measure]++
		}
	}
	p := &u.Patient
	phone := false
	for _, c := range p.Contacts {
		phone = phone || c.Kind != guide.Email
	}
	note(!phone, exchange.FigNoPhone)
	note(len(p.Addresses) == 0, exchange.FigNoAddress)
	note(len(p.Races) == 0, exchange.FigNoRace)
	note(p.Ethnicity == "", exchange.FigNoEthnicity)
	note(p.Sex == "" || p.Sex == "U", exchange.FigUnknownSex)
	today := coldkeep.DateOf(r.At)
	if y, mo, d := today.Civil(); p.Birth.Known() && p.Birth > coldkeep.NewDate(y-adult, mo, min(d, 28)) {
		n[exchange.FigChildren] = 1
		note(len(p.Kin) == 0, exchange.FigNoGuardian)
		note(p.Maiden == "", exchange.FigNoMother)
	}
	for i := range u.Orders {
		o := &u.Orders[i]
		if o.Kind == guide.Nothing {
			continue
		}
		if o.Action == guide.Delete {
			n[exchange.FigDeleted]++
			continue
		}
		n[exchange.FigDoses]++
		switch o.Kind {
		case guide.Historical:
			n[exchange.FigHistorical]++
			continue
		case guide.Refused:
			n[exchange.FigRefused]++
			continue
		}
		n[exchange.FigGiven]++
		note(o.Lot == "", exchange.FigNoLot)
		note(o.MVX == "", exchange.FigNoMaker)
		note(!o.Expires.Known(), exchange.FigNoExpiry)
		note(words(&o.GivenBy) == "", exchange.FigNoGiver)
		note(o.Eligibility == "", exchange.FigNoEligible)
		note(len(o.VIS) == 0, exchange.FigNoVIS)
		note(o.Route == "" || o.BodySite == "", exchange.FigNoRoute)
		note(o.Filler.Value == "", exchange.FigNoOrder)
		if days := int(today - o.Date); o.Date.Known() && days >= 0 {
			n[exchange.FigDaysToReport] += days
			note(days <= 1, exchange.FigWithinDay)
			note(days <= 7, exchange.FigWithinWeek)
			note(days <= 30, exchange.FigWithinMonth)
		}
	}
	return n
}

// count adds what became of an update to its figures.
func count(out *told, who patient.Updated) {
	n := out.Figures
	switch who.Outcome {
	case patient.Matched:
		n[exchange.FigMatched] = 1
	case patient.Possible:
		n[exchange.FigNew], n[exchange.FigPossible] = 1, 1
	default:
		n[exchange.FigNew] = 1
	}
	for _, d := range out.Doses {
		switch {
		case d.Did == "refused":
			n[exchange.FigDosesErred]++
		case d.Deduction == exchange.Deducted:
			n[exchange.FigDeducted]++
		case d.Deduction == exchange.Undeduced:
			n[exchange.FigNotDeducted]++
		}
	}
}
