package patient

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// askMost is how often one program may ask in a slot of ten minutes: twice a second, which
// is a practice's whole day asked for in some minutes, and is years for trying out names.
const askMost = 1200

// ListMost is how many people a program is shown when nobody fits for certain.
const ListMost = maxHits

// Asked is whom a program's query asks for.
type Asked struct {
	Patient Patient // what the query tells; what is absent narrows nothing
	Ours    string  // the registry's own number; "" none
	Limit   int     // the most people the asker wants to choose from; ListMost bounds it
	// Strict gives no list to choose from: who is not found for certain is not found.
	Strict bool
	// Test asks for nobody: the query is looked at and counted, and the answer is the same
	// whoever is there.
	Test bool
}

// Reply says what a query has found.
type Reply string

// The replies.
const (
	ReplyOne     Reply = "one"      // a record, for certain
	ReplySome    Reply = "some"     // people to choose from
	ReplyTooMany Reply = "too-many" // more than were wanted
	ReplyNobody  Reply = "nobody"
)

// Answered is the answer to a query.
type Answered struct {
	Reply  Reply
	Person Patient // of ReplyOne: the whole record
	Faces  []Face  // of ReplySome
}

// AskTold finds the person that a program's query asks for, in the transaction of its
// answer. A query is by need to know: it takes family name, given name and birth date, or an
// identifier of three characters or more.
//
// The record is given when one person is found for certain. By name and birth date, that
// takes what merging two records without anybody looking takes (Weights.Upper, and the rules
// of Comparison.Certain): something besides the name and the birth date has to agree, such as
// an identifier, a telephone number, an address, the mother's maiden name or a guardian, and
// nothing may be against it. By an identifier alone it takes that one record carries it.
// Otherwise those who fit the name and the birth date, but for one slip, are given to choose
// from. Records that are locked to by are not there for it.
//
// What it gives opens to by for a shift. EINVALID with advice when the query tells too
// little; ETOOMANY when by has asked too often; EFORBIDDEN. Queries and what they have shown
// are in the trail, and so are locked records that they would have found, without the query's
// words. What is refused the caller has to write down (AskRefused).
func (s *Service) AskTold(ctx context.Context, tx Tx, by auth.Principal, in Asked) (Answered, error) {
	var out Answered
	for _, perm := range []auth.Permission{auth.SearchPatients, auth.ViewPatients} {
		if err := by.Require(perm, by.Site); err != nil {
			return out, err
		}
	}
	n, err := tx.CountSearch(ctx, by.ID, s.clock.Now().UnixMilli()/searchSlot.Milliseconds())
	if err != nil {
		return out, err
	}
	if n > askMost {
		return out, coldkeep.Errorf(coldkeep.ETOOMANY, "More than %d queries came in ten minutes. Wait some minutes and ask again.", askMost)
	}
	p := in.Patient
	if err := s.askable(by, &p, in.Ours); err != nil {
		return out, err
	}
	if in.Test {
		out.Reply = ReplyNobody
		e := s.entry(by, "patient.search", "", "", "query of a test: nobody was looked for")
		e.Subject = "patients"
		return out, tx.Audit(ctx, e)
	}
	ids, certain, err := s.asked(ctx, tx, &p, in.Ours)
	if err != nil {
		return out, err
	}
	var open []string
	var gates []Gate
	locked := 0
	for _, id := range ids {
		g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
		if err != nil {
			return out, err
		}
		g.Granted = true
		switch err := g.Require(by, auth.ViewPatients); {
		case err == nil:
			open, gates = append(open, g.Head), append(gates, g)
		case IsLocked(err):
			locked++
			if err := tx.Audit(ctx, s.entry(by, "patient.view.refused", g.Head, "", "the record is locked; by query")); err != nil {
				return out, err
			}
		default:
			return out, err
		}
	}
	out, err = s.reply(ctx, tx, by, in, open, gates, certain)
	if err != nil {
		return out, err
	}
	e := s.entry(by, "patient.search", "", "", fmt.Sprintf("query by %s; %s", askedBy(&p, in.Ours), out.Reply))
	if e.Subject = "patients"; locked > 0 {
		e.Detail += fmt.Sprintf("; %d locked", locked)
	}
	return out, tx.Audit(ctx, e)
}

// reply gives what was found and lets by open it.
func (s *Service) reply(ctx context.Context, tx Tx, by auth.Principal, in Asked, open []string, gates []Gate, certain bool) (Answered, error) {
	out := Answered{Reply: ReplyNobody}
	limit := ListMost
	if in.Limit > 0 {
		limit = min(limit, in.Limit)
	}
	switch {
	case len(open) == 0:
		return out, nil
	case certain && len(open) == 1:
		out.Reply = ReplyOne
	case in.Strict:
		return out, nil
	case len(open) > limit:
		out.Reply = ReplyTooMany
		return out, nil
	default:
		out.Reply = ReplySome
	}
	what := "patient.found"
	if out.Reply == ReplyOne {
		what = "patient.view"
	}
	for _, id := range open {
		if err := tx.Grant(ctx, by.ID, id, s.clock.Now().Add(grantLife)); err != nil {
			return out, err
		}
		if err := tx.Audit(ctx, s.entry(by, what, id, "", "by query")); err != nil {
			return out, err
		}
	}
	var err error
	if out.Reply == ReplyOne {
		out.Person, err = Person(ctx, tx, gates[0])
		return out, err
	}
	if out.Faces, err = tx.Faces(ctx, open); err != nil {
		return out, err
	}
	slices.SortFunc(out.Faces, func(a, b Face) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// askable brings what a query tells into form and says whether it is enough.
func (s *Service) askable(by auth.Principal, p *Patient, ours string) error {
	for i := range p.Identifiers {
		d := &p.Identifiers[i]
		if by.Site != "" && (d.Kind == "MR" || d.Kind == "PI") && d.Assigner == "" {
			d.Assigner = string(by.Site)
		}
	}
	p.TidyTold()
	p.Identifiers = slices.DeleteFunc(p.Identifiers, func(d Identifier) bool { return len(squash(Fold(d.Value))) < 3 })
	name := p.Name()
	for _, word := range []string{name.Family, name.Given} {
		if strings.ContainsAny(word, "*%?_") {
			return coldkeep.Errorf(coldkeep.EINVALID, "Wildcards (* %% ? _) are not accepted. %s", askAdvice)
		}
	}
	if ours == "" && len(p.Identifiers) == 0 && (!p.Birth.Known() || !hasLetter(name.Family) || !hasLetter(name.Given)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "The query tells too little. %s", askAdvice)
	}
	if p.Birth.Known() && p.Birth > s.today() {
		return coldkeep.Errorf(coldkeep.EINVALID, "The birth date is in the future.")
	}
	return nil
}

const askAdvice = "Send the family name, the given name and the birth date; or an identifier of three characters or more."

// asked finds the standing records that a query may mean; certain says that the first, which
// is then alone, is the person.
func (s *Service) asked(ctx context.Context, tx Tx, p *Patient, ours string) (ids []string, certain bool, err error) {
	name := p.Name()
	whole := p.Birth.Known() && hasLetter(name.Family) && hasLetter(name.Given)
	if whole {
		d, err := s.named(ctx, tx, p, ours)
		if err != nil || d.Outcome == Matched {
			return []string{d.ID}, d.Outcome == Matched, err
		}
	}
	profile := ProfileOf(p)
	candidates, err := tx.ProfilesByKey(ctx, profile.Keys(), "", maxCandidates)
	if err != nil {
		return nil, false, err
	}
	if ours != "" {
		c, err := tx.Profile(ctx, ours)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return nil, false, err
		}
		if err == nil && !against(&profile, &c.Profile) {
			return []string{c.Head}, true, nil
		}
	}
	q := Query{Family: Fold(name.Family), Given: Fold(name.Given), Birth: p.Birth}
	for i := range candidates {
		c := &candidates[i]
		number := slices.ContainsFunc(c.Profile.IDs, func(k IDKey) bool { return slices.Contains(profile.IDs, k) })
		switch {
		case whole && (q.fits(&c.Profile) || near(&Profile{Birth: q.Birth, Names: []NameKey{nameKey(q.Family, q.Given, "", "")}}, &c.Profile)),
			!whole && number && !against(&profile, &c.Profile):
			ids = appendNew(ids, c.Head)
		}
	}
	return ids, !whole && len(ids) == 1, nil
}

// against reports whether what a query tells beside a number speaks against a record.
func against(asked, p *Profile) bool {
	if asked.Birth.Known() && asked.Birth != p.Birth || asked.Sex != UnknownSex && asked.Sex != "" && p.Sex != UnknownSex && asked.Sex != p.Sex {
		return true
	}
	for i := range asked.Names {
		fits := false
		for j := range p.Names {
			l := compareName(&asked.Names[i], &p.Names[j])
			fits = fits || l[fieldFamily] != familyDifferent && l[fieldGiven] != givenDifferent
		}
		if !fits {
			return true
		}
	}
	return false
}

// askedBy names the kinds of fields of a query for the trail.
func askedBy(p *Patient, ours string) string {
	name := p.Name()
	var kinds []string
	for _, k := range []struct {
		used bool
		kind string
	}{{name.Family != "", "family name"}, {name.Given != "", "given name"}, {p.Birth.Known(), "birth date"}, {ours != "", "registry number"}, {len(p.Identifiers) > 0, "identifiers"},
		{p.Mother != "", "mother's maiden name"}, {len(p.Contacts) > 0, "telephone or e-mail"}, {len(p.Addresses) > 0, "address"}} {
		if k.used {
			kinds = append(kinds, k.kind)
		}
	}
	return strings.Join(kinds, ", ")
}

// AskRefused enters into the trail that a query was not answered.
func (s *Service) AskRefused(by auth.Principal) audit.Entry {
	e := s.entry(by, "patient.search", "", "", "query; refused")
	e.Subject = "patients"
	return e
}
