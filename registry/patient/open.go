package patient

import (
	"context"
	"slices"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// Record is a person's record as one person may see it. A field that the role does not see
// is absent.
type Record struct {
	Patient      // the standing record, with the entries of those merged into it
	Gate    Gate // by which it opened
	Subset  bool // a school's view: name, birth date and immunizations, no more
	History []Change
	Locks   []LockRecord
	Merges  []Merge // that stand, of this person's records
	Asked   string  // the id that was asked for, when it was merged into this one; otherwise ""
}

// Open shows a record. why is a reason for the trail and may be empty. An id that was
// merged opens the record that stands for it, with Asked set. EFORBIDDEN when the role
// may not see patients, the record is locked (IsLocked) or was not found by a search;
// ENOTFOUND. Every view, and every refused one, is in the trail.
func (s *Service) Open(ctx context.Context, by auth.Principal, id, why string) (Record, error) {
	var r Record
	perm := auth.ViewPatients
	if !by.Anywhere(perm) && by.Anywhere(auth.ViewSubset) {
		perm = auth.ViewSubset
	}
	err := s.guarded(ctx, by, "patient.view", id, func(tx Tx) error {
		g, err := s.gate(ctx, tx, by, id, perm)
		if err != nil {
			return err
		}
		r = Record{Gate: g, Subset: perm == auth.ViewSubset}
		if g.MergedInto != "" {
			r.Asked = id
		}
		if r.Patient, err = Person(ctx, tx, g); err != nil {
			return err
		}
		detail := ""
		switch {
		case r.Subset:
			r.Patient = subset(r.Patient)
			detail = "subset"
		default:
			if r.History, err = tx.History(ctx, g.Family); err != nil {
				return err
			}
			if r.Locks, err = tx.Locks(ctx, g.Family); err != nil {
				return err
			}
			if len(g.Family) > 1 {
				if r.Merges, err = tx.Merges(ctx, g.Family); err != nil {
					return err
				}
				r.Merges = slices.DeleteFunc(r.Merges, func(m Merge) bool { return m.UndoneAt != nil })
			}
		}
		if g.Locked && g.Emergency {
			detail = "emergency"
		}
		return tx.Audit(ctx, s.entry(by, "patient.view", g.Head, tidy(why), detail))
	})
	return r, err
}

// PersonReader is what Person reads.
type PersonReader interface {
	Patient(ctx context.Context, id string) (Patient, error)
	Locks(ctx context.Context, ids []string) ([]LockRecord, error)
}

// Person reads the standing record of a person and adds the entries of the records that
// were merged into it: their names are other names, their numbers and statuses count. The
// records themselves stay as they are.
func Person(ctx context.Context, r PersonReader, g Gate) (Patient, error) {
	p, err := r.Patient(ctx, g.Head)
	if err != nil {
		return p, err
	}
	for _, id := range g.Family[1:] {
		m, err := r.Patient(ctx, id)
		if err != nil {
			return p, err
		}
		p.join(&m)
	}
	if g.Locked && p.Lock == nil { // a record that was merged into it is locked
		p.Lock = &Lock{Site: g.LockSite}
		locks, err := r.Locks(ctx, g.Family)
		if err != nil {
			return p, err
		}
		for _, l := range locks {
			if l.EndedAt == nil {
				*p.Lock = l.Lock
				p.Lock.Site = g.LockSite
			}
		}
	}
	return p, nil
}

// join adds what another record of the person has and this one does not.
func (p *Patient) join(m *Patient) {
	for _, n := range m.Names {
		if !slices.ContainsFunc(p.Names, func(have Name) bool {
			return have.Family == n.Family && have.Given == n.Given && have.Middle == n.Middle && have.Suffix == n.Suffix
		}) {
			if n.Kind == Legal {
				n.Kind = Alias
			}
			p.Names = append(p.Names, n)
		}
	}
	p.Addresses = joined(p.Addresses, m.Addresses, equalAddress)
	p.Contacts = joined(p.Contacts, m.Contacts, equalContact)
	p.Identifiers = joined(p.Identifiers, m.Identifiers, equalIdentifier)
	p.Guardians = joined(p.Guardians, m.Guardians, equalGuardian)
	for _, st := range m.Statuses {
		i := slices.IndexFunc(p.Statuses, func(have Status) bool { return have.Site == st.Site && have.Until == nil })
		switch {
		case st.Until != nil || i < 0:
			p.Statuses = append(p.Statuses, st)
		case st.Since.After(p.Statuses[i].Since):
			p.Statuses[i] = st
		}
	}
	if !p.Died.Known() {
		p.Died = m.Died
	}
	p.Deceased = p.Deceased || m.Deceased
	if p.Mother == "" {
		p.Mother = m.Mother
	}
	if p.Consent.OfferedAt == nil {
		p.Consent = m.Consent
	}
}

func joined[T any](all, more []T, equal func(a, b *T) bool) []T {
	for _, v := range more {
		if !slices.ContainsFunc(all, func(have T) bool { return equal(&have, &v) }) {
			all = append(all, v)
		}
	}
	return all
}

// Name is the legal name in use.
func (p *Patient) Name() Name {
	for _, n := range p.Names {
		if n.Kind == Legal && n.Until == nil {
			return n
		}
	}
	if len(p.Names) > 0 {
		return p.Names[0]
	}
	return Name{}
}

// subset is what a school or a child-care centre sees (77 Ill. Adm. Code 689, App. A):
// who the child is, nothing by which a family can be reached.
func subset(p Patient) Patient {
	n := p.Name()
	n.Span = Span{}
	return Patient{ID: p.ID, Head: p.Head, Revision: p.Revision, Birth: p.Birth, Names: []Name{n}, Deceased: p.Deceased}
}

// History gives the changes of a record, the latest first, to who may see it whole.
func (s *Service) History(ctx context.Context, by auth.Principal, id string) ([]Change, error) {
	if err := s.may(ctx, by, auth.ViewPatients, "patient.view", id); err != nil {
		return nil, err
	}
	r, err := s.Open(ctx, by, id, "")
	return r.History, err
}

// Standing reads the standing record alone, as it is edited. EFORBIDDEN, ENOTFOUND.
func (s *Service) Standing(ctx context.Context, by auth.Principal, id string) (Patient, error) {
	var p Patient
	err := s.guarded(ctx, by, "patient.view", id, func(tx Tx) error {
		g, err := s.gate(ctx, tx, by, id, auth.EditPatients)
		if err != nil {
			return err
		}
		if p, err = tx.Patient(ctx, g.Head); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.view", g.Head, "", "to edit"))
	})
	return p, err
}

// Subset is a record as a school or a child-care centre sees it: name and birth date.
func Subset(p Patient) Patient { return subset(p) }
