package recall

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// together is how many people a step looks at: some tenths of a second of one core.
const together = 200

// workers is how many cores forecasts of a step take.
const workers = 2

// Step does some of the run that has waited longest: it looks at people, or makes notices.
// Where it is stands in the run, so that a process that dies leaves nothing half done and
// another goes on. more says that there was something to do.
func (s *Service) Step(ctx context.Context) (more bool, err error) {
	r, err := s.store.BusyRun(ctx)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.State == Counting {
		err = s.count(ctx, r)
	} else {
		err = s.issue(ctx, r)
	}
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return true, nil // another process has done it
	}
	return true, err
}

// count looks at the next people of a run.
func (s *Service) count(ctx context.Context, r Run) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		heads, err := s.cohort(ctx, tx, &r)
		if err != nil {
			return err
		}
		next := r
		if len(heads) < together {
			next.State, next.Last = Ready, ""
		} else {
			next.Last = heads[len(heads)-1]
		}
		next.Looked += len(heads)
		// First, so that only one process goes on with it.
		if err := tx.AdvanceRun(ctx, next, Counting, r.Last); err != nil {
			return err
		}
		all, err := s.look(ctx, tx, &r, heads)
		if err != nil {
			return err
		}
		found := make([]Person, len(all))
		for i := range all {
			found[i] = all[i].Person
		}
		return tx.InsertRecallPeople(ctx, found)
	})
}

func (s *Service) cohort(ctx context.Context, tx Tx, r *Run) ([]string, error) {
	if r.Cold != "" {
		return tx.ColdOpen(ctx, r.Cold, r.Last, together)
	}
	return tx.Cohort(ctx, r.Site, r.Params.BornFrom, r.Params.BornTo, r.Last, together)
}

// looked is a person of a run with how to reach them.
type looked struct {
	Person
	contact contact
}

// look judges people as their records stand now. Those who are not of the cohort are left
// away.
func (s *Service) look(ctx context.Context, tx Tx, r *Run, heads []string) ([]looked, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	members, err := tx.Members(ctx, r.Site, heads)
	if err != nil {
		return nil, err
	}
	today, err := s.today(ctx, tx, r.Site)
	if err != nil {
		return nil, err
	}
	var judged []looked
	if r.Cold != "" {
		judged, err = s.lookCold(ctx, tx, r, members)
	} else {
		judged, err = s.lookDue(ctx, tx, r, members, today)
	}
	if err != nil {
		return nil, err
	}
	for i := range judged {
		p := &judged[i]
		if p.Verdict != Told {
			continue
		}
		at := slices.IndexFunc(members, func(m Member) bool { return m.ID == p.Patient })
		if p.contact, err = s.contactOf(ctx, tx, &members[at], today); err != nil {
			return nil, err
		}
		if p.Channels = p.contact.channels(); len(p.Channels) == 0 {
			p.Verdict, p.Groups = Unreachable, nil
		}
	}
	return judged, nil
}

// lookDue judges by what is due.
func (s *Service) lookDue(ctx context.Context, tx Tx, r *Run, members []Member, today coldkeep.Date) ([]looked, error) {
	of := map[string]int{} // whose a record is
	var every, heads []string
	for i := range members {
		heads = append(heads, members[i].ID)
		for _, id := range members[i].Family {
			of[id] = i
			every = append(every, id)
		}
	}
	doses, err := tx.Doses(ctx, every)
	if err != nil {
		return nil, err
	}
	facts, err := tx.Facts(ctx, every)
	if err != nil {
		return nil, err
	}
	exemptions, err := tx.Exemptions(ctx, every)
	if err != nil {
		return nil, err
	}
	last, err := tx.LastNotices(ctx, r.Site, heads, r.ID)
	if err != nil {
		return nil, err
	}
	dosesOf, factsOf, exemptOf := make([][]immunization.Dose, len(members)), make([][]immunization.Fact, len(members)), make([][]immunization.Exemption, len(members))
	for _, d := range doses {
		dosesOf[of[d.Patient]] = append(dosesOf[of[d.Patient]], d)
	}
	for _, f := range facts {
		factsOf[of[f.Patient]] = append(factsOf[of[f.Patient]], f)
	}
	for _, e := range exemptions {
		exemptOf[of[e.Patient]] = append(exemptOf[of[e.Patient]], e)
	}
	var asked []*forecast.Patient
	for i := range members {
		p, _ := immunization.Question(members[i].Subject, dosesOf[i], factsOf[i], today)
		asked = append(asked, p)
	}
	var out []looked
	i := 0
	for _, res := range s.Schedule.Engine().All(ctx, slices.Values(asked), workers) {
		m := &members[i]
		c := candidate{patient: m.ID, birth: m.Birth, standing: m.Standing, deceased: m.Deceased, locked: m.Locked && (m.LockSite != r.Site || r.Site == ""),
			publicity: m.Publicity, zip: m.ZIP, last: last[m.ID], refused: s.Doses.RefusedGroups(dosesOf[i]), forecasts: res.Forecasts}
		exempt := exemptOf[i]
		c.exempt = func(group string) bool { return immunization.Exempted(exempt, group, today) }
		i++
		if !r.Params.inCohort(&c) {
			continue
		}
		v, groups := r.Params.judge(&c, today)
		out = append(out, looked{Person: Person{Run: r.ID, Patient: m.ID, Verdict: v, Groups: groups}})
	}
	if i < len(members) {
		return nil, ctx.Err()
	}
	return out, nil
}

// lookCold judges those of a cold-chain recall.
func (s *Service) lookCold(ctx context.Context, tx Tx, r *Run, members []Member) ([]looked, error) {
	var out []looked
	for i := range members {
		m := &members[i]
		p := Person{Run: r.ID, Patient: m.ID}
		c := candidate{standing: patient.Active, deceased: m.Deceased, locked: m.Locked && (m.LockSite != r.Site || r.Site == "")}
		if p.Verdict = who(&c); p.Verdict == Told {
			entry, err := coldPerson(ctx, tx, r.Cold, m.Family)
			if err != nil {
				return nil, err
			}
			if !entry.State.Open() {
				p.Verdict = HasEnded
			}
			doses, err := tx.ColdDoses(ctx, r.Cold, entry.Patient)
			if err != nil {
				return nil, err
			}
			for _, d := range doses {
				for _, g := range s.Doses.GroupsOf(d.CVX) {
					if !slices.ContainsFunc(p.Groups, func(has Group) bool { return has.Name == g }) {
						p.Groups = append(p.Groups, Group{Name: g})
					}
				}
			}
		}
		out = append(out, looked{Person: p})
	}
	return out, nil
}

// contactOf reads how a person can be reached.
func (s *Service) contactOf(ctx context.Context, r Reader, m *Member, today coldkeep.Date) (contact, error) {
	p, err := patient.Person(ctx, r, patient.Gate{Head: m.ID, Family: m.Family, Locked: m.Locked, LockSite: m.LockSite})
	if err != nil {
		return contact{}, err
	}
	consents, err := r.Consents(ctx, m.Family)
	if err != nil {
		return contact{}, err
	}
	attempts, err := r.Attempts(ctx, m.Family)
	if err != nil {
		return contact{}, err
	}
	var bad []string
	for _, a := range attempts {
		if a.Address != "" {
			bad = append(bad, a.Address)
		}
	}
	return reach(&p, consents, bad, today), nil
}

// issue makes the notices of the next people of a run.
func (s *Service) issue(ctx context.Context, r Run) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		people, err := tx.RecallPeople(ctx, r.ID, r.Last, together)
		if err != nil {
			return err
		}
		next := r
		if len(people) < together {
			next.State, next.Last = Issued, ""
		} else {
			next.Last = people[len(people)-1].Patient
		}
		if err := tx.AdvanceRun(ctx, next, Issuing, r.Last); err != nil {
			return err
		}
		var heads []string
		was := map[string]Person{}
		for _, p := range people {
			if p.Outcome == "" {
				heads = append(heads, p.Patient)
				was[p.Patient] = p
			}
		}
		now, err := s.look(ctx, tx, &r, heads)
		if err != nil {
			return err
		}
		told, err := tx.ToldIn(ctx, r.ID, heads)
		if err != nil {
			return err
		}
		by := auth.System(r.By)
		by.ID = r.ByID
		stood := map[string]bool{}
		for i := range now {
			p := &now[i]
			stood[p.Patient] = true
			if p.Verdict != Told {
				// Of who was told already the verdict stays: it is why they were told.
				if len(told[p.Patient]) == 0 {
					if err := tx.SetVerdict(ctx, p.Person); err != nil {
						return err
					}
				}
				continue
			}
			if err := s.tell(ctx, tx, by, &r, p, told[p.Patient]); err != nil {
				return err
			}
		}
		for id, p := range was {
			if !stood[id] { // no longer of the cohort, such as by another address
				p.Verdict, p.Groups, p.Channels = Unreachable, nil, nil
				if len(told[id]) > 0 {
					continue
				}
				if err := tx.SetVerdict(ctx, p); err != nil {
					return err
				}
			}
		}
		if next.State == Issued {
			if err := tx.ReleaseNotices(ctx, r.ID, r.Round, s.clock.Now()); err != nil {
				return err
			}
			return tx.Audit(ctx, s.entry(by, "recall.issued", "recall/"+r.ID, r.Site, ""))
		}
		return nil
	})
}

// tell makes a person's notice, or adds the person to the household's.
func (s *Service) tell(ctx context.Context, tx Tx, by auth.Principal, r *Run, p *looked, told []Channel) error {
	at := slices.IndexFunc(r.Channels, func(ch Channel) bool { return slices.Contains(p.Channels, ch) && !slices.Contains(told, ch) })
	if at < 0 {
		return nil
	}
	ch := r.Channels[at]
	n := Notice{ID: ulid.Make().String(), Run: r.ID, Site: r.Site, Round: r.Round, Channel: ch, Language: p.contact.language, State: Making, MadeAt: s.clock.Now(), Due: s.clock.Now()}
	n.Target, n.Household = p.contact.target(ch)
	if ch == Email {
		n.Stop = secret()
	}
	var err error
	if n.ID, err = tx.InsertNotice(ctx, n); err != nil {
		return err
	}
	isNew, err := tx.AddToNotice(ctx, n, p.Patient)
	if err != nil || !isNew {
		return err
	}
	today, err := s.today(ctx, tx, r.Site)
	if err != nil {
		return err
	}
	if err := tx.SetNoticed(ctx, r.ID, p.Patient, today); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, "recall.notice", "patient/"+p.Patient, r.Site, "", "run "+r.ID+", "+string(ch)))
}
