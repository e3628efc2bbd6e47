package patient

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// maxCandidates bounds how many records one is compared with. Keys are narrow: a million
// people give some dozens.
const maxCandidates = 2000

// Outcome is what matching says of a person who comes in.
type Outcome string

// The outcomes.
const (
	Matched   Outcome = "match"    // the person has a record
	Possible  Outcome = "possible" // a record may be the same person's: a human decides
	Unmatched Outcome = "new"
)

// Scored is a record beside the one that came in.
type Scored struct {
	ID     string // the standing record
	Locked bool
	Comparison
}

// Decision is what matching says.
type Decision struct {
	Outcome  Outcome
	ID       string   // of the record, when it is Matched
	Possible []Scored // records that may be the same person, the likeliest first; of a match, the match alone
}

// Match compares a person who comes in with the records that could be the same. The
// person need not be complete; fields are taken as normalised (Patient.Normalise). It
// shows nothing of a record but its id, and is for the registry's own use and
// measurement. EFORBIDDEN unless by may edit patients.
func (s *Service) Match(ctx context.Context, by auth.Principal, incoming *Patient) (Decision, error) {
	if err := by.Require(auth.EditPatients, by.Site); err != nil {
		return Decision{}, err
	}
	return s.match(ctx, s.store, incoming)
}

func (s *Service) match(ctx context.Context, r Reader, incoming *Patient) (Decision, error) {
	profile := ProfileOf(incoming)
	all, err := r.ProfilesByKey(ctx, profile.Keys(), incoming.ID, maxCandidates)
	if err != nil {
		return Decision{}, err
	}
	return Decide(s.weights, &profile, all), nil
}

// Decide compares a profile with candidates. It is a match when one person's record alone
// is certain; when two are, which one it is is a question for a human.
func Decide(w *Weights, incoming *Profile, candidates []Candidate) Decision {
	var found []Scored
	for i := range candidates {
		c := &candidates[i]
		if cmp := w.Compare(incoming, &c.Profile); cmp.Possible() {
			j := slices.IndexFunc(found, func(have Scored) bool { return have.ID == c.Head })
			switch {
			case j < 0:
				found = append(found, Scored{ID: c.Head, Locked: c.Locked, Comparison: cmp})
			case cmp.Certain() && !found[j].Certain(), cmp.Certain() == found[j].Certain() && cmp.Score > found[j].Score:
				found[j].Comparison = cmp
				fallthrough
			default:
				found[j].Locked = found[j].Locked || c.Locked
			}
		}
	}
	slices.SortFunc(found, func(a, b Scored) int {
		if a.Score != b.Score {
			if a.Score > b.Score {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	var certain []Scored
	for _, f := range found {
		if f.Certain() {
			certain = append(certain, f)
		}
	}
	switch {
	case len(certain) == 1:
		return Decision{Outcome: Matched, ID: certain[0].ID, Possible: certain}
	case len(found) > 0:
		return Decision{Outcome: Possible, Possible: found}
	}
	return Decision{Outcome: Unmatched}
}

// Resolve finds or makes the record of a person that a message or a file speaks of, in the
// transaction of what else it says. A match takes in what the record lacks: it ends or
// replaces nothing. A possible match is entered as a record of its own, with the pair in
// the queue. It gives the id of the standing record. EINVALID names a wrong field; a
// locked record is EFORBIDDEN (IsLocked) and saves nothing. EFORBIDDEN when by may not
// edit patients.
func (s *Service) Resolve(ctx context.Context, tx Tx, by auth.Principal, incoming Patient) (id string, outcome Outcome, err error) {
	if err := by.Require(auth.EditPatients, by.Site); err != nil {
		return "", "", err
	}
	if err := s.ready(by, &incoming); err != nil {
		return "", "", err
	}
	d, err := s.match(ctx, tx, &incoming)
	if err != nil {
		return "", "", err
	}
	if d.Outcome != Matched {
		id, _, err := s.insert(ctx, tx, by, incoming, d)
		return id, d.Outcome, err
	}
	g, err := tx.PatientGate(ctx, d.ID, by.ID, s.clock.Now())
	if err != nil {
		return "", "", err
	}
	g.Granted = true // the message names the person
	if err := g.Require(by, auth.EditPatients); err != nil {
		return "", "", err
	}
	p, err := tx.Patient(ctx, g.Head)
	if err != nil {
		return "", "", err
	}
	now := s.clock.Now()
	if err := tx.Grant(ctx, by.ID, g.Head, now.Add(grantLife)); err != nil {
		return "", "", err
	}
	err = s.keep(ctx, tx, by, &p, "patient.take-in", "", func(p *Patient) (string, error) {
		words := p.takeIn(&incoming)
		if by.Site != "" && !g.Own(by.Site) {
			p.stand(Status{Site: by.Site, Standing: Active, Since: now, By: by.Name}, now)
			words = append(words, "statuses")
		}
		for _, st := range incoming.Statuses {
			st.By, st.Since = by.Name, now
			if p.stand(st, now) {
				words = append(words, "statuses")
			}
		}
		return strings.Join(words, ", "), nil
	})
	return g.Head, Matched, err
}

// ResolveAlone is Resolve in a transaction of its own.
func (s *Service) ResolveAlone(ctx context.Context, by auth.Principal, incoming Patient) (id string, outcome Outcome, err error) {
	err = s.guarded(ctx, by, "patient.take-in", "", func(tx Tx) (err error) {
		id, outcome, err = s.Resolve(ctx, tx, by, incoming)
		return err
	})
	return id, outcome, err
}

// takeIn adds to a record what another word about the person has and it does not.
func (p *Patient) takeIn(more *Patient) []string {
	var lists []string
	note := func(changed bool, word string) {
		if changed {
			lists = append(lists, word)
		}
	}
	said := false
	if !slices.ContainsFunc(more.Names, func(n Name) bool { return n.Kind == Legal && equalName(&n, ptr(p.Name())) }) {
		for i := range more.Names { // the record's legal name stands until a person changes it
			if more.Names[i].Kind == Legal {
				more.Names[i].Kind = Alias
			}
		}
	}
	p.Names, said = addedTo(p.Names, more.Names, func(v *Name) *Span { return &v.Span }, func(a, b *Name) bool {
		return a.Family == b.Family && a.Given == b.Given && a.Middle == b.Middle && a.Suffix == b.Suffix
	})
	note(said, "names")
	p.Addresses, said = addedTo(p.Addresses, more.Addresses, func(v *Address) *Span { return &v.Span }, equalAddress)
	note(said, "addresses")
	p.Contacts, said = addedTo(p.Contacts, more.Contacts, func(v *Contact) *Span { return &v.Span }, equalContact)
	note(said, "contacts")
	p.Identifiers, said = addedTo(p.Identifiers, more.Identifiers, func(v *Identifier) *Span { return &v.Span }, equalIdentifier)
	note(said, "identifiers")
	p.Guardians, said = addedTo(p.Guardians, more.Guardians, func(v *Guardian) *Span { return &v.Span }, equalGuardian)
	note(said, "guardians")
	for _, f := range []struct{ have, more *string }{{&p.BirthState, &more.BirthState}, {&p.BirthNation, &more.BirthNation}, {&p.Ethnicity, &more.Ethnicity},
		{&p.Language, &more.Language}, {&p.Mother, &more.Mother}, {&p.Publicity, &more.Publicity}} {
		if *f.have == "" {
			*f.have = *f.more
		}
	}
	if p.Sex == UnknownSex {
		p.Sex = more.Sex
	}
	if p.Multiple == nil {
		p.Multiple = more.Multiple
	}
	if p.BirthOrder == 0 {
		p.BirthOrder = more.BirthOrder
	}
	for _, r := range more.Races {
		p.Races = appendNew(slices.Clone(p.Races), r)
	}
	if more.Deceased && !p.Deceased {
		p.Deceased, p.Died = true, more.Died
	}
	return lists
}

func ptr[T any](v T) *T { return &v }

// addedTo adds entries that a list does not have, in use or ended.
func addedTo[T any](all, more []T, span func(*T) *Span, equal func(a, b *T) bool) ([]T, bool) {
	last, out, added := 0, slices.Clone(all), false
	for i := range all {
		last = max(last, span(&all[i]).Seq)
	}
	for i := range more {
		v := more[i]
		if span(&v).Until != nil || slices.ContainsFunc(out, func(have T) bool { return equal(&have, &v) }) {
			continue
		}
		last++
		*span(&v) = Span{Seq: last}
		// Those in use come before those that ended.
		at := slices.IndexFunc(out, func(have T) bool { return span(&have).Until != nil })
		if at < 0 {
			at = len(out)
		}
		out, added = slices.Insert(out, at, v), true
	}
	return out, added
}
