package patient

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Topic is a part of a record of which a message speaks as a whole: its later word takes the
// place of the earlier one. Names, addresses and guardians are a topic a kind, which is
// behind a blank, such as "addresses H".
type Topic string

// The topics.
const (
	TopicName      Topic = "name"
	TopicBirth     Topic = "birth date"
	TopicSex       Topic = "sex"
	TopicBorn      Topic = "place of birth"
	TopicMultiple  Topic = "multiple birth"
	TopicRaces     Topic = "race"
	TopicEthnicity Topic = "ethnicity"
	TopicLanguage  Topic = "language"
	TopicMother    Topic = "mother's maiden name"
	TopicAddresses Topic = "addresses"
	TopicPhones    Topic = "telephones"
	TopicEmails    Topic = "e-mail addresses"
	TopicGuardians Topic = "guardians"
	TopicPublicity Topic = "reminder and recall"
	TopicStatus    Topic = "status" // at the site that speaks
)

// Weight is how much a message's word on a topic is worth.
type Weight int

// The weights. The zero Weight is the last word.
const (
	LastWord Weight = iota // takes the place of what stands
	Filling                // gives what is missing, since a person has changed the record meanwhile
	Late                   // a later message has spoken of it: it changes nothing
)

// of is a topic of one kind, and parts gives the two again.
func of(t Topic, kind string) Topic { return t + Topic(" "+kind) }

func (t Topic) parts() (Topic, string) {
	for _, of := range []Topic{TopicName, TopicAddresses, TopicGuardians} {
		if kind, ok := strings.CutPrefix(string(t), string(of)+" "); ok {
			return of, kind
		}
	}
	return t, ""
}

// Topics lists what p speaks of.
func (p *Patient) Topics() []Topic {
	var out []Topic
	add := func(said bool, t Topic) {
		if said {
			out = append(out, t)
		}
	}
	phone := func(c Contact) bool { return c.Kind != Email }
	for _, n := range p.Names {
		add(n.Kind != Alias && !slices.Contains(out, of(TopicName, string(n.Kind))), of(TopicName, string(n.Kind))) // what somebody is called besides is added, and stays
	}
	add(p.Birth.Known(), TopicBirth)
	add(p.Sex == Female || p.Sex == Male || p.Sex == OtherSex, TopicSex)
	add(p.BirthState != "" || p.BirthNation != "", TopicBorn)
	add(p.Multiple != nil, TopicMultiple)
	add(len(p.Races) > 0, TopicRaces)
	add(p.Ethnicity != "", TopicEthnicity)
	add(p.Language != "", TopicLanguage)
	add(p.Mother != "", TopicMother)
	for _, a := range p.Addresses {
		add(!slices.Contains(out, of(TopicAddresses, a.Kind)), of(TopicAddresses, a.Kind))
	}
	add(slices.ContainsFunc(p.Contacts, phone), TopicPhones)
	add(slices.ContainsFunc(p.Contacts, func(c Contact) bool { return !phone(c) }), TopicEmails)
	for _, g := range p.Guardians {
		add(!slices.Contains(out, of(TopicGuardians, g.Relation)), of(TopicGuardians, g.Relation))
	}
	add(p.Publicity != "", TopicPublicity)
	add(len(p.Statuses) > 0, TopicStatus)
	return out
}

// Told is what a message tells of a person.
type Told struct {
	Patient Patient // what is absent is not spoken of
	// Ours is the registry's own number for the person, when the message gives it: the id
	// of a record.
	Ours string
	// Weigh says how much the message's word on a topic is worth for a record that was
	// changed by a person at a time; the zero Time never.
	// Test takes the person for a new one without looking who is there, so that nothing of
	// them shows in what comes of it. The caller keeps nothing.
	Test  bool
	Weigh func(id string, changed time.Time) (func(Topic) Weight, error)
}

// Updated is what became of what a message tells of a person.
type Updated struct {
	ID       string // of the standing record
	Gate     Gate
	Outcome  Outcome
	Possible int     // records that may be the same person's, put in the queue
	Spoken   []Topic // of which the message's word stands
	Kept     []Topic // in which what the record says stands, and why is in Why
	Why      string
}

// TakeTold finds or makes the record of a person that a message speaks of, in the
// transaction of what else it says. A new person is entered; one that may be somebody who is
// there is entered as well, with the pair in the queue; of a certain match the record is
// brought up to date by the message's word on each topic. Nothing that is replaced is lost.
// A birth date is not moved past a dose, or the death, that is on the record: bornBy is the
// day of the earliest one; the zero Date none.
//
// EINVALID names a wrong field. A locked record is EFORBIDDEN (IsLocked) and saves nothing;
// EFORBIDDEN when by may not edit patients.
func (s *Service) TakeTold(ctx context.Context, tx Tx, by auth.Principal, in Told, bornBy func(g Gate) (coldkeep.Date, error)) (Updated, error) {
	var out Updated
	if err := by.Require(auth.EditPatients, by.Site); err != nil {
		return out, err
	}
	incoming := in.Patient
	if err := s.ready(by, &incoming); err != nil {
		return out, err
	}
	var d Decision
	if d.Outcome = Unmatched; !in.Test {
		var err error
		if d, err = s.named(ctx, tx, &incoming, in.Ours); err != nil {
			return out, err
		}
	}
	out.Outcome = d.Outcome
	if d.Outcome != Matched {
		var err error
		if out.ID, out.Possible, err = s.insert(ctx, tx, by, incoming, d); err != nil {
			return out, err
		}
		out.Spoken = incoming.Topics()
		out.Gate, err = tx.PatientGate(ctx, out.ID, by.ID, s.clock.Now())
		return out, err
	}
	g, err := tx.PatientGate(ctx, d.ID, by.ID, s.clock.Now())
	if err != nil {
		return out, err
	}
	g.Granted = true // the message names the person
	if err := g.Require(by, auth.EditPatients); err != nil {
		return out, err
	}
	out.ID, out.Gate = g.Head, g
	now := s.clock.Now().UTC().Truncate(time.Millisecond)
	if err := tx.Grant(ctx, by.ID, g.Head, now.Add(grantLife)); err != nil {
		return out, err
	}
	p, err := tx.Patient(ctx, g.Head)
	if err != nil {
		return out, err
	}
	changed, err := changedByPerson(ctx, tx, g.Head)
	if err != nil {
		return out, err
	}
	weigh, err := in.Weigh(g.Head, changed)
	if err != nil {
		return out, err
	}
	weights := map[Topic]Weight{}
	for _, t := range incoming.Topics() {
		weights[t] = weigh(t)
	}
	if incoming.Birth != p.Birth && weights[TopicBirth] == LastWord {
		first, err := bornBy(g)
		if err != nil {
			return out, err
		}
		if first.Known() && incoming.Birth > first || p.Died.Known() && incoming.Birth > p.Died {
			weights[TopicBirth] = Filling
			out.Kept, out.Why = append(out.Kept, TopicBirth), "the record has a dose, or a death, before that day"
		}
	}
	err = s.keep(ctx, tx, by, &p, "patient.take-in", "", func(p *Patient) (string, error) {
		words := p.hear(&incoming, weights, now, by.Name)
		if by.Site != "" && p.Standing(string(by.Site)) == "" {
			p.stand(Status{Site: by.Site, Standing: Active, Since: now, By: by.Name}, now)
			words = append(words, "statuses")
		}
		return strings.Join(words, ", "), nil
	})
	for _, t := range incoming.Topics() {
		if weights[t] == LastWord {
			out.Spoken = append(out.Spoken, t)
		}
	}
	return out, err
}

// named finds whom a message speaks of: by the registry's own number, when nothing else it
// says is against it, or by matching.
func (s *Service) named(ctx context.Context, tx Reader, incoming *Patient, ours string) (Decision, error) {
	if ours != "" {
		c, err := tx.Profile(ctx, ours)
		switch coldkeep.ErrorCode(err) {
		case "":
			profile := ProfileOf(incoming)
			if cmp := s.weights.Compare(&profile, &c.Profile); cmp.Possible() && !cmp.contradicted() {
				return Decision{Outcome: Matched, ID: c.Head, Possible: []Scored{{ID: c.Head, Locked: c.Locked, Comparison: cmp}}}, nil
			}
		case coldkeep.ENOTFOUND:
		default:
			return Decision{}, err
		}
	}
	return s.match(ctx, tx, incoming)
}

// changedByPerson is when a person has edited a record the last time.
func changedByPerson(ctx context.Context, r Reader, id string) (time.Time, error) {
	changes, err := r.History(ctx, []string{id})
	for _, c := range changes {
		if c.What == "patient.edit" {
			return c.At, err
		}
	}
	return time.Time{}, err
}

// hear puts a message's word in place of what stands, topic by topic, and gives the lists
// that changed.
func (p *Patient) hear(in *Patient, w map[Topic]Weight, at time.Time, by string) []string {
	now, fill := *p, Patient{Sex: UnknownSex}
	for _, t := range in.Topics() {
		switch w[t] {
		case LastWord:
			now.put(in, t)
		case Filling:
			if !slices.Contains(p.standing().Topics(), t) {
				fill.put(in, t)
			}
		case Late:
		}
	}
	for _, d := range in.Identifiers { // a number that was given once stays
		if !slices.ContainsFunc(now.Identifiers, func(have Identifier) bool { return equalIdentifier(&have, &d) }) {
			now.Identifiers = append(slices.Clip(now.Identifiers), d)
		}
	}
	now.Identifiers = newest(now.Identifiers)
	for _, n := range in.Names {
		if n.Kind == Alias && len(now.Names) < maxList && !slices.ContainsFunc(now.Names, func(have Name) bool { return equalName(&have, &n) }) {
			now.Names = append(slices.Clip(now.Names), n)
		}
	}
	if in.Deceased && !p.Deceased {
		now.Deceased, now.Died = true, in.Died
	}
	words := p.replace(&now, at, by)
	for _, st := range in.Statuses {
		if w[TopicStatus] != Late && p.stand(Status{Site: st.Site, Standing: st.Standing, Since: at, By: by}, at) {
			words = append(words, "statuses")
		}
	}
	fill.Statuses = nil
	if len(fill.Names) == 0 {
		fill.Names = []Name{p.Name()}
	}
	return append(words, p.takeIn(&fill)...)
}

// standing is a record without the entries that ended.
func (p *Patient) standing() *Patient {
	out := *p
	inUse(&out)
	return &out
}

// mostNumbers is how many numbers of one kind from one authority a record has in use; a
// system that gives a new one with each visit would fill it otherwise.
const mostNumbers = 5

func newest(all []Identifier) []Identifier {
	count := map[[2]string]int{}
	var out []Identifier
	for _, d := range slices.Backward(all) {
		if d.Until == nil {
			k := [2]string{d.Kind, d.Assigner}
			if count[k]++; count[k] > mostNumbers {
				continue
			}
		}
		out = append(out, d)
	}
	slices.Reverse(out)
	return out
}

// put copies what another speaks of in a topic. Of lists it takes the place of the entries
// of the same kinds.
func (p *Patient) put(in *Patient, topic Topic) {
	t, kind := topic.parts()
	switch t {
	case TopicName:
		p.Names = instead(p.Names, in.Names, func(n Name) bool { return string(n.Kind) == kind })
	case TopicBirth:
		p.Birth = in.Birth
	case TopicSex:
		p.Sex = in.Sex
	case TopicBorn:
		if in.BirthState != "" {
			p.BirthState = in.BirthState
		}
		if in.BirthNation != "" {
			p.BirthNation = in.BirthNation
		}
	case TopicMultiple:
		if p.Multiple = in.Multiple; *in.Multiple {
			if in.BirthOrder > 0 {
				p.BirthOrder = in.BirthOrder
			}
		} else {
			p.BirthOrder = 0
		}
	case TopicRaces:
		p.Races = in.Races
	case TopicEthnicity:
		p.Ethnicity = in.Ethnicity
	case TopicLanguage:
		p.Language = in.Language
	case TopicMother:
		p.Mother = in.Mother
	case TopicAddresses:
		p.Addresses = instead(p.Addresses, in.Addresses, func(a Address) bool { return a.Kind == kind })
	case TopicPhones, TopicEmails:
		p.Contacts = instead(p.Contacts, in.Contacts, func(c Contact) bool { return (c.Kind == Email) == (t == TopicEmails) })
	case TopicGuardians:
		p.Guardians = instead(p.Guardians, in.Guardians, func(g Guardian) bool { return g.Relation == kind })
	case TopicPublicity:
		p.Publicity = in.Publicity
	case TopicStatus: // hear does it
	}
}

// instead gives a list in which the entries of one kind are those of now; it never has more
// than maxList.
func instead[T any](all, now []T, kind func(T) bool) []T {
	var out []T
	for _, v := range now {
		if kind(v) {
			out = append(out, v)
		}
	}
	for _, v := range all {
		if !kind(v) && len(out) < maxList {
			out = append(out, v)
		}
	}
	return out
}

// Tidied is a field of a message that was left out, or cut, for its form.
type Tidied struct {
	Topic Topic // "" identifiers
	N     int   // which of its kind, from 1
	Why   string
}

// TidyTold brings what a message tells of a person into a form that is kept. Entries that
// cannot be are left out one by one, not the person with them. What it left out is told;
// values are not. Names and birth date are looked at when the person is taken in.
func (p *Patient) TidyTold() []Tidied {
	var out []Tidied
	p.Names = tidyList(p.Names, TopicName, &out, func(n *Name) error {
		q := Patient{Names: []Name{*n}, Birth: 1}
		legal := *n
		legal.Kind = Legal
		if n.Kind != Legal {
			q.Names = append(q.Names, Name{Family: "X", Given: "X", Kind: Legal})
		}
		err := q.checkNames()
		*n = q.Names[0]
		return err
	})
	p.Contacts = tidyContacts(p.Contacts, TopicPhones, &out)
	p.Addresses = tidyAddresses(p.Addresses, TopicAddresses, &out)
	p.Guardians = tidyList(p.Guardians, TopicGuardians, &out, func(g *Guardian) error {
		g.Contacts = tidyContacts(g.Contacts, TopicGuardians, &out)
		if g.Address != (Address{}) {
			if kept := tidyAddresses([]Address{g.Address}, TopicGuardians, &out); len(kept) > 0 {
				g.Address = kept[0]
			} else {
				g.Address = Address{}
			}
		}
		q := Patient{Guardians: []Guardian{*g}}
		err := q.checkGuardians()
		*g = q.Guardians[0]
		return err
	})
	p.Identifiers = tidyList(p.Identifiers, "", &out, func(d *Identifier) error {
		q := Patient{Identifiers: []Identifier{*d}}
		err := q.checkIdentifiers()
		*d = q.Identifiers[0]
		return err
	})
	for _, c := range []struct {
		topic Topic
		value *string
		only  Patient
	}{{TopicBorn, &p.BirthState, Patient{BirthState: p.BirthState}}, {TopicBorn, &p.BirthNation, Patient{BirthNation: p.BirthNation}},
		{TopicEthnicity, &p.Ethnicity, Patient{Ethnicity: p.Ethnicity}}, {TopicLanguage, &p.Language, Patient{Language: p.Language}}, {TopicPublicity, &p.Publicity, Patient{Publicity: p.Publicity}}} {
		if err := c.only.checkCodes(); err != nil {
			out = append(out, Tidied{c.topic, 1, coldkeep.ErrorMessage(err)})
			*c.value = ""
		}
	}
	races := p.Races
	p.Races = nil
	for i, r := range races {
		if code, ok := NormalRace(r); ok {
			p.Races = appendNew(p.Races, code)
		} else {
			out = append(out, Tidied{TopicRaces, i + 1, "Race: want codes of CDC's list, such as 2106-3."})
		}
	}
	if !known(Sexes, string(p.Sex)) {
		if p.Sex != "" {
			out = append(out, Tidied{TopicSex, 1, "Sex: want F, M, X or U."})
		}
		p.Sex = UnknownSex
	}
	if p.BirthOrder < 0 || p.BirthOrder > 12 || p.Multiple == nil || !*p.Multiple {
		p.BirthOrder = 0
	}
	if err := text("Mother's maiden name", &p.Mother, 80); err != nil {
		out, p.Mother = append(out, Tidied{TopicMother, 1, coldkeep.ErrorMessage(err)}), ""
	}
	return out
}

func tidyList[T any](all []T, topic Topic, out *[]Tidied, check func(*T) error) []T {
	var kept []T
	for i := range all {
		v := all[i]
		switch err := check(&v); {
		case err != nil:
			*out = append(*out, Tidied{topic, i + 1, coldkeep.ErrorMessage(err)})
		case len(kept) == maxList:
			*out = append(*out, Tidied{topic, i + 1, fmt.Sprintf("At most %d are kept.", maxList)})
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

func tidyContacts(all []Contact, topic Topic, out *[]Tidied) []Contact {
	return tidyList(all, topic, out, func(c *Contact) error {
		one := []Contact{*c}
		err := checkContacts("Contacts", one)
		*c = one[0]
		return err
	})
}

// tidyAddresses leaves a wrong part of an address out before the whole.
func tidyAddresses(all []Address, topic Topic, out *[]Tidied) []Address {
	return tidyList(all, topic, out, func(a *Address) error {
		err := checkAddress("", a)
		for _, part := range []*string{&a.ZIP, &a.State, &a.Country, &a.County} {
			if err == nil {
				break
			}
			b := *a
			*part = ""
			if next := checkAddress("", a); next == nil || coldkeep.ErrorMessage(next) != coldkeep.ErrorMessage(err) {
				*out = append(*out, Tidied{topic, 1, coldkeep.ErrorMessage(err)})
				err = next
			} else {
				*a = b
			}
		}
		if err == nil && a.Street == "" && a.Street2 == "" && a.City == "" && a.ZIP == "" && a.County == "" && a.Kind != "BDL" {
			return invalid("Address", "has neither street nor place.")
		}
		return err
	})
}

// LockTold closes a record by a message of a practice that says that its patient has opted
// out of sharing (PD1-12 Y; 77 Ill. Adm. Code 689.80): the practice's form is on file there,
// and words say which message said so. locked is false when the record was locked already, and
// when it was opened again after the message was made: an opt-in form has the later word.
// EFORBIDDEN when by may not exchange records or the record does not open to it.
func (s *Service) LockTold(ctx context.Context, tx Tx, by auth.Principal, id, words string, sent time.Time) (locked bool, err error) {
	if err := by.Require(auth.EditPatients, by.Site); err != nil {
		return false, err
	}
	g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
	if err != nil {
		return false, err
	}
	if err := g.Require(by, auth.EditPatients); err != nil || g.Locked {
		return false, err
	}
	was, err := tx.Locks(ctx, g.Family)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(was, func(l LockRecord) bool { return l.EndedAt != nil && l.EndedAt.After(sent) }) {
		return false, nil
	}
	now := s.clock.Now()
	for _, member := range g.Family { // so that an un-merge opens none
		if err := tx.InsertLock(ctx, LockRecord{ID: ulid.Make().String(), Patient: member, Lock: Lock{Site: by.Site, By: by.Name, At: now, Form: words}}); err != nil {
			return false, err
		}
	}
	return true, tx.Audit(ctx, s.entry(by, "patient.lock", g.Head, "", "opted out by a message"))
}

// RefusedTold is the entry of the trail for a message that was refused for its record's
// lock. ok is false when there is none to be made.
func (s *Service) RefusedTold(ctx context.Context, tx Tx, by auth.Principal, in Told) (e audit.Entry, ok bool, err error) {
	incoming := in.Patient
	if err := s.ready(by, &incoming); err != nil {
		return e, false, nil //nolint:nilerr // such a person was not looked for
	}
	d, err := s.named(ctx, tx, &incoming, in.Ours)
	if err != nil || d.Outcome != Matched {
		return e, false, err
	}
	return s.entry(by, "patient.take-in.refused", d.ID, "", "the record is locked"), true, nil
}
