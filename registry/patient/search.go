package patient

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// maxHits is how many people a search shows; one that finds more was too broad.
const maxHits = 10

// Query is what a person is searched by. A search is by need to know, and takes one of:
// names with the birth date, a number, a guardian's names with the birth date, a telephone
// number with the birth date. There is no search without one of them, and no wildcard.
type Query struct {
	Family         string // at least three letters from its beginning; the whole name when it is shorter
	Given          string // at least two letters
	Middle         string // narrows the names
	Birth          coldkeep.Date
	IDKind         string // HL7 table 0203
	IDAssigner     string // whose number; a practice's own record numbers need none
	IDValue        string
	GuardianFamily string
	GuardianGiven  string
	Phone          string
}

// Hit is a person a search found. Of a locked record only the id is told.
type Hit struct {
	Face
	Locked bool // it does not open to who searched
}

// Found is what a search gives.
type Found struct {
	Hits    []Hit
	Similar bool // nobody fits exactly; these are close: a typing error, exchanged names, a short form
}

// by names the kinds of fields of a query for the trail, which holds none of its words.
func (q *Query) by() string {
	var kinds []string
	for _, k := range []struct {
		used bool
		kind string
	}{{q.Family != "", "family name"}, {q.Given != "", "given name"}, {q.Middle != "", "middle name"}, {q.Birth.Known(), "birth date"}, {q.IDValue != "", "identifier " + q.IDKind},
		{q.GuardianFamily != "" || q.GuardianGiven != "", "guardian"}, {q.Phone != "", "telephone"}} {
		if k.used {
			kinds = append(kinds, k.kind)
		}
	}
	if len(kinds) == 0 {
		return "nothing"
	}
	return strings.Join(kinds, ", ")
}

const advice = "Search by the family name (three letters or more), the given name (two or more) and the birth date; by a number, such as a medical record number; " +
	"by a guardian's names and the birth date; or by a telephone number and the birth date."

// way is which of the accepted searches a query is.
type way int

const (
	byName way = iota + 1
	byNumber
	byGuardian
	byPhone
)

// check folds a query and says which search it is. EINVALID with advice when it is none.
func (q *Query) check(by auth.Principal) (way, error) {
	for _, s := range []string{q.Family, q.Given, q.Middle, q.IDValue, q.IDAssigner, q.GuardianFamily, q.GuardianGiven, q.Phone} {
		if strings.ContainsAny(s, "*%?_") {
			return 0, coldkeep.Errorf(coldkeep.EINVALID, "Wildcards (* %% ? _) are not accepted. %s", advice)
		}
		if len(s) > 120 {
			return 0, coldkeep.Errorf(coldkeep.EINVALID, "A search word is longer than 120 characters.")
		}
	}
	q.IDKind, q.IDAssigner, q.IDValue = strings.ToUpper(tidy(q.IDKind)), tidy(q.IDAssigner), squash(Fold(q.IDValue))
	q.Family, q.Given, q.Middle = Fold(q.Family), Fold(q.Given), Fold(q.Middle)
	q.GuardianFamily, q.GuardianGiven = Fold(q.GuardianFamily), Fold(q.GuardianGiven)
	switch {
	case q.IDValue != "":
		return byNumber, q.checkNumber(by)
	case q.Family != "" || q.Given != "":
		return byName, q.checkNames("", q.Family, q.Given)
	case q.GuardianFamily != "" || q.GuardianGiven != "":
		return byGuardian, q.checkNames("guardian's ", q.GuardianFamily, q.GuardianGiven)
	case strings.TrimSpace(q.Phone) != "":
		number, ok := NormalPhone(q.Phone)
		switch {
		case !ok:
			return 0, invalid("Telephone", "want ten digits, such as 312 555 0142.")
		case !q.Birth.Known():
			return 0, coldkeep.Errorf(coldkeep.EINVALID, "The birth date is missing beside the telephone number. %s", advice)
		}
		q.Phone = number
		return byPhone, nil
	}
	return 0, coldkeep.Errorf(coldkeep.EINVALID, "This is too broad. %s", advice)
}

func (q *Query) checkNames(of, family, given string) error {
	switch {
	case !q.Birth.Known():
		return coldkeep.Errorf(coldkeep.EINVALID, "This is too broad: the birth date is missing. %s", advice)
	case family == "" || given == "":
		return coldkeep.Errorf(coldkeep.EINVALID, "This is too broad: the %sfamily name and the given name are needed, both. %s", of, advice)
	case !hasLetter(family) || !hasLetter(given):
		return coldkeep.Errorf(coldkeep.EINVALID, "A name has letters. %s", advice)
	}
	return nil
}

func (q *Query) checkNumber(by auth.Principal) error {
	if q.IDKind == "" {
		q.IDKind = "MR"
	}
	if !known(IdentifierKinds, q.IDKind) {
		return invalid("Kind of identifier", "want one of MR, MA, SR, BR, PI, WC, PT.")
	}
	if len(q.IDValue) < 3 {
		return coldkeep.Errorf(coldkeep.EINVALID, "The number is too short to be one person's. %s", advice)
	}
	if (q.IDKind == "MR" || q.IDKind == "PI") && by.Site != "" {
		if q.IDAssigner != "" && q.IDAssigner != string(by.Site) {
			return coldkeep.Errorf(coldkeep.EINVALID, "A practice searches by its own record numbers.")
		}
		q.IDAssigner = string(by.Site)
	}
	if (q.IDKind == "MR" || q.IDKind == "PI") && q.IDAssigner == "" {
		return invalid("Authority of the identifier", "say which site's record number it is.")
	}
	return nil
}

// Refused enters into the trail that by asked for another search, of people or, with an
// audit path, of the trail, before the last ones allow it, and was not answered.
func (s *Service) Refused(ctx context.Context, by auth.Principal, path string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		e := s.entry(by, "patient.search", "", "", "too often; refused")
		e.Subject = "patients"
		if strings.Contains(path, "/audit") {
			e.What, e.Subject = "audit.search", "audit"
		}
		return tx.Audit(ctx, e)
	})
}

// Search finds people by need to know. What it shows opens to by for a shift; a locked
// record is shown as locked, without its data, and only when it fits exactly. EINVALID with
// advice when the search is too broad or finds more than ten people; ETOOMANY when by has
// searched too often; EFORBIDDEN. Every search, and every refused one, is in the trail,
// without its words.
func (s *Service) Search(ctx context.Context, by auth.Principal, q Query) (Found, error) {
	var out Found
	if !by.Known() {
		return out, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	kinds := q.by()
	var refused error
	err := s.store.Tx(ctx, func(tx Tx) error {
		out, refused = Found{}, nil
		found, err := s.search(ctx, tx, by, q)
		detail := "by " + kinds
		switch coldkeep.ErrorCode(err) {
		case "":
			out = found
			open, locked := 0, 0
			for _, h := range out.Hits {
				if h.Locked {
					locked++
				} else {
					open++
				}
			}
			detail += fmt.Sprintf("; found %d", open)
			if out.Similar {
				detail += " similar"
			}
			if locked > 0 {
				detail += fmt.Sprintf(", %d locked", locked)
			}
		case coldkeep.EINVALID, coldkeep.EFORBIDDEN, coldkeep.ETOOMANY:
			refused, detail = err, detail+"; refused"
		default:
			return err
		}
		e := s.entry(by, "patient.search", "", "", detail)
		e.Subject = "patients"
		if err := tx.Audit(ctx, e); err != nil {
			return err
		}
		for _, h := range out.Hits { // who was shown is part of the trail of each
			if err := tx.Audit(ctx, s.entry(by, "patient.found", h.ID, "", "")); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return out, err
}

func (s *Service) search(ctx context.Context, tx Tx, by auth.Principal, q Query) (Found, error) {
	if err := by.Require(auth.SearchPatients, by.Site); err != nil {
		return Found{}, err
	}
	now := s.clock.Now()
	if by.Role != "" { // programs are bounded by their messages
		n, err := tx.CountSearch(ctx, by.ID, now.UnixMilli()/searchSlot.Milliseconds())
		if err != nil {
			return Found{}, err
		}
		if n > searchMost {
			return Found{}, coldkeep.Errorf(coldkeep.ETOOMANY, "You have searched %d times in a few minutes. Wait some minutes and search again.", searchMost)
		}
	}
	w, err := q.check(by)
	if err != nil {
		return Found{}, err
	}
	candidates, err := tx.ProfilesByKey(ctx, q.keys(w), "", maxCandidates)
	if err != nil {
		return Found{}, err
	}
	exact, similar := q.sort(w, candidates)
	ids, near := exact, false
	if len(exact) == 0 {
		ids, near = similar, true
	}
	if len(ids) > maxHits {
		if near {
			return Found{}, nil // many people are a little like somebody: that is nobody
		}
		return Found{}, coldkeep.Errorf(coldkeep.EINVALID, "More than %d people fit. Write the names in full, or search by a number.", maxHits)
	}
	return s.show(ctx, tx, by, ids, near)
}

// keys are what a query is looked up by. Whoever fits shares one with it, so nobody is read
// for being born on the same day.
func (q *Query) keys(w way) []int64 {
	birth := q.Birth.String()
	switch w {
	case byNumber:
		return []int64{key("id", q.IDKind, Fold(q.IDAssigner), q.IDValue)}
	case byPhone:
		return []int64{key("phone birth", q.Phone, birth)}
	case byGuardian:
		return []int64{key("guardian beginning", beginning(q.GuardianFamily), birth)}
	}
	p := q.profile()
	return p.Keys()
}

func (q *Query) profile() Profile {
	return Profile{Birth: q.Birth, Names: []NameKey{nameKey(q.Family, q.Given, q.Middle, "")}}
}

// sort parts candidates into those that fit a query and those that nearly do, by standing
// record.
func (q *Query) sort(w way, all []Candidate) (exact, similar []string) {
	p := q.profile()
	for i := range all {
		c := &all[i]
		switch w {
		case byNumber:
			if slices.ContainsFunc(c.Profile.IDs, func(d IDKey) bool {
				return d.Kind == q.IDKind && d.Value == q.IDValue && d.Assigner == Fold(q.IDAssigner)
			}) {
				exact = appendNew(exact, c.Head)
			}
		case byPhone:
			if c.Profile.Birth == q.Birth && slices.Contains(c.Profile.Phones, q.Phone) {
				exact = appendNew(exact, c.Head)
			}
		case byGuardian:
			if c.Profile.Birth == q.Birth && slices.ContainsFunc(c.Profile.Guardians, func(g NameKey) bool {
				return begins(g.Family, q.GuardianFamily, leastFamily) && begins(g.Given, q.GuardianGiven, 2)
			}) {
				exact = appendNew(exact, c.Head)
			}
		case byName:
			switch {
			case q.fits(&c.Profile):
				exact = appendNew(exact, c.Head)
			case near(&p, &c.Profile):
				similar = appendNew(similar, c.Head)
			}
		}
	}
	return exact, similar
}

// fits reports whether a record has the names and the birth date of a query.
func (q *Query) fits(p *Profile) bool {
	return p.Birth == q.Birth && slices.ContainsFunc(p.Names, func(n NameKey) bool {
		family := begins(n.Family, q.Family, leastFamily)
		for part := range strings.FieldsSeq(n.Family) {
			family = family || part == q.Family
		}
		return family && begins(n.Given, q.Given, 2) && (q.Middle == "" || n.Middle == "" || begins(n.Middle, q.Middle, 1))
	})
}

// begins reports whether a name is the one searched for, or begins with it when at least
// so many letters were given.
func begins(name, word string, least int) bool {
	if squash2(name, word) {
		return true
	}
	return len(squash(word)) >= least && strings.HasPrefix(squash(name), squash(word))
}

// near reports whether a search by name nearly means a person: one field of family name,
// given name and birth date may be off, as far as one slip goes, or the names exchanged.
func near(asked, p *Profile) bool {
	birth := compareBirth(asked.Birth, p.Birth)
	slip := birth == birthSwapped || birth == birthTypo || birth == birthParts
	if birth != same && !slip {
		return false
	}
	for i := range p.Names {
		l := compareName(&asked.Names[0], &p.Names[i])
		family, given := l[fieldFamily], l[fieldGiven]
		switch {
		case family == familySwapped:
			return birth == same
		case family == familyDifferent && birth == same && given == same && nearPart(asked.Names[0].Family, p.Names[i].Family):
			return true
		case family == 0 || family == familyDifferent || given == 0 || given == givenDifferent || given == givenInitial:
			continue
		case birth == same:
			return true
		case family == same && (given == same || given == givenShort || given == givenPart):
			return true
		}
	}
	return false
}

// nearPart reports whether a family name is one part of a compound one, but for a typing
// error: Garzia, of Garcia Lopez.
func nearPart(word, compound string) bool {
	if !strings.Contains(compound, " ") {
		return false
	}
	for part := range strings.FieldsSeq(compound) {
		if typo(part, word) {
			return true
		}
	}
	return false
}

// show lets by open what was found and gives its face.
func (s *Service) show(ctx context.Context, tx Tx, by auth.Principal, ids []string, similar bool) (Found, error) {
	out := Found{Similar: similar && len(ids) > 0}
	now := s.clock.Now()
	var open []string
	whole := by.Anywhere(auth.ViewPatients)
	for _, id := range ids {
		g, err := tx.PatientGate(ctx, id, by.ID, now)
		if err != nil {
			return out, err
		}
		g.Granted = true
		err = g.Require(by, auth.SearchPatients)
		switch {
		case err == nil:
			open = append(open, g.Head)
		case IsLocked(err) && similar: // nobody learns of a locked record by guessing
			continue
		case IsLocked(err):
			out.Hits = append(out.Hits, Hit{Face: Face{ID: g.Head}, Locked: true})
		default:
			return out, err
		}
		// Of a locked record this opens the way to an emergency alone.
		if err := tx.Grant(ctx, by.ID, g.Head, now.Add(grantLife)); err != nil {
			return out, err
		}
	}
	faces, err := tx.Faces(ctx, open)
	if err != nil {
		return out, err
	}
	for _, f := range faces {
		if !whole {
			f = Face{ID: f.ID, Name: f.Name, Birth: f.Birth}
		}
		out.Hits = append(out.Hits, Hit{Face: f})
	}
	out.Similar = out.Similar && len(out.Hits) > 0
	slices.SortFunc(out.Hits, func(a, b Hit) int {
		return strings.Compare(a.Name.Family+" "+a.Name.Given+a.ID, b.Name.Family+" "+b.Name.Given+b.ID)
	})
	return out, nil
}
