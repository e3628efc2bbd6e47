package patient

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Added is what became of a person that was entered.
type Added struct {
	ID       string
	Outcome  Outcome // Matched: nothing was entered, ID is the record that was there
	Possible int     // records that may be the same person, put in the queue
}

// Add enters a person of by's practice. When the person is there already, nothing is
// entered: the outcome is Matched with the record's id, which opens by this. EFORBIDDEN
// when by may not edit patients, or when the person's record is locked (IsLocked);
// EINVALID names a wrong field.
func (s *Service) Add(ctx context.Context, by auth.Principal, p Patient) (Added, error) {
	var out Added
	if err := s.may(ctx, by, auth.EditPatients, "patient.add", ""); err != nil {
		return out, err
	}
	if err := s.ready(by, &p); err != nil {
		return out, err
	}
	err := s.guarded(ctx, by, "patient.add", "", func(tx Tx) error {
		d, err := s.match(ctx, tx, &p)
		if err != nil {
			return err
		}
		out = Added{ID: d.ID, Outcome: d.Outcome}
		if d.Outcome == Matched {
			return s.found(ctx, tx, by, d.ID)
		}
		out.ID, out.Possible, err = s.insert(ctx, tx, by, p, d)
		return err
	})
	return out, err
}

// found lets by open a record that what was entered names, unless it is locked. The
// refusal to enter somebody again is in the trail.
func (s *Service) found(ctx context.Context, tx Tx, by auth.Principal, id string) error {
	g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
	if err != nil {
		return err
	}
	g.Granted = true
	if err := g.Require(by, auth.EditPatients); err != nil {
		return err
	}
	if err := tx.Grant(ctx, by.ID, g.Head, s.clock.Now().Add(grantLife)); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, "patient.found", g.Head, "", "on entry: the person has a record"))
}

// ready brings a record that is to be entered into its form.
func (s *Service) ready(by auth.Principal, p *Patient) error {
	for i := range p.Identifiers {
		d := &p.Identifiers[i]
		if by.Site != "" && (d.Kind == "MR" || d.Kind == "PI") && d.Assigner == "" {
			d.Assigner = string(by.Site)
		}
	}
	return p.Normalise(s.today())
}

// insert enters a person with a status at the practice and puts possible duplicates in the queue.
func (s *Service) insert(ctx context.Context, tx Tx, by auth.Principal, p Patient, d Decision) (id string, possible int, err error) {
	now := s.clock.Now().UTC().Truncate(time.Millisecond)
	fresh := Patient{ID: ulid.Make().String(), Revision: 1, CreatedBy: by.Site, CreatedAt: now, UpdatedAt: now, Consent: p.Consent}
	fresh.Head = fresh.ID
	fresh.replace(&p, now, by.Name)
	for _, st := range p.Statuses {
		if st.By == "" {
			st.By = by.Name
		}
		if st.Since.IsZero() {
			st.Since = now
		}
		fresh.stand(st, now)
	}
	if by.Site != "" && fresh.Standing(string(by.Site)) == "" {
		fresh.stand(Status{Site: by.Site, Standing: Active, Since: now, By: by.Name}, now)
	}
	if err := tx.InsertPatient(ctx, fresh); err != nil {
		return "", 0, err
	}
	first := fieldsOf(&fresh)
	first = slices.DeleteFunc(first, func(f FieldChange) bool { return f.After == "" })
	if err := tx.InsertChange(ctx, Change{ID: ulid.Make().String(), Patient: fresh.ID, Revision: 1, At: now, WhoID: by.ID, Who: by.Name, Site: by.Site,
		What: "patient.add", Fields: first}); err != nil {
		return "", 0, err
	}
	if err := tx.Audit(ctx, s.entry(by, "patient.add", fresh.ID, "", "")); err != nil {
		return "", 0, err
	}
	if err := tx.Grant(ctx, by.ID, fresh.ID, now.Add(grantLife)); err != nil {
		return "", 0, err
	}
	for _, c := range d.Possible {
		if _, err := s.pair(ctx, tx, by.Name, fresh.ID, c.ID, &c.Comparison); err != nil {
			return "", 0, err
		}
	}
	return fresh.ID, len(d.Possible), tx.SetSwept(ctx, fresh.ID, 1)
}

// Edit puts demographics in place of what stands: fields, names, addresses, contacts,
// identifiers and guardians in use. What it replaces is kept. p.ID and p.Revision say
// which record as of when. Statuses, lock and consent are not edited by it. EINVALID names
// a wrong field, ECONFLICT a change by somebody else, EFORBIDDEN a record that does not
// open.
func (s *Service) Edit(ctx context.Context, by auth.Principal, p Patient, why string) (Patient, error) {
	if err := s.may(ctx, by, auth.EditPatients, "patient.edit", p.ID); err != nil {
		return Patient{}, err
	}
	if p.Revision <= 0 {
		return Patient{}, coldkeep.Errorf(coldkeep.EINVALID, "Revision: say which version of the record you have changed.")
	}
	if err := s.ready(by, &p); err != nil {
		return Patient{}, err
	}
	why = tidy(why)
	return s.change(ctx, by, p.ID, "patient.edit", why, p.Revision, func(_ Tx, kept *Patient) (string, error) {
		return strings.Join(kept.replace(&p, s.clock.Now().UTC().Truncate(time.Millisecond), by.Name), ", "), nil
	})
}

// SetStatus says how a person stands with a practice, or with the jurisdiction when site
// is "", which the state alone may say. A practice speaks for itself. EINVALID, EFORBIDDEN,
// ENOTFOUND.
func (s *Service) SetStatus(ctx context.Context, by auth.Principal, id string, site coldkeep.SiteID, standing Standing, why string) (Patient, error) {
	if err := s.may(ctx, by, auth.EditPatients, "patient.status", id); err != nil {
		return Patient{}, err
	}
	if !known(Standings, string(standing)) {
		return Patient{}, coldkeep.Errorf(coldkeep.EINVALID, "Status: want active, inactive, moved or lost. A death is recorded with its day.")
	}
	if by.Site != "" && by.Site != site {
		return Patient{}, coldkeep.Errorf(coldkeep.EFORBIDDEN, "A practice says how a person stands with itself.")
	}
	return s.change(ctx, by, id, "patient.status", tidy(why), 0, func(_ Tx, p *Patient) (string, error) {
		now := s.clock.Now().UTC().Truncate(time.Millisecond)
		if !p.stand(Status{Site: site, Standing: standing, Since: now, By: by.Name}, now) {
			return "", nil
		}
		where := "jurisdiction"
		if site != "" {
			where = string(site)
		}
		return where + ": " + string(standing), nil
	})
}

// SetDeceased records a death, with its day when it is known, or takes back one that was
// recorded by mistake, on whichever of the person's records it stands.
func (s *Service) SetDeceased(ctx context.Context, by auth.Principal, id string, deceased bool, died coldkeep.Date, why string) (Patient, error) {
	return s.change(ctx, by, id, "patient.deceased", tidy(why), 0, func(tx Tx, p *Patient) (string, error) {
		if !deceased {
			if err := s.takeBackDeath(ctx, tx, by, p.ID, tidy(why)); err != nil {
				return "", err
			}
		}
		p.Deceased, p.Died = deceased, 0
		if deceased {
			p.Died = died
		}
		return "", p.checkBirth(s.today())
	})
}

// takeBackDeath takes back a death from the records that were merged into a standing one.
func (s *Service) takeBackDeath(ctx context.Context, tx Tx, by auth.Principal, head, why string) error {
	g, err := tx.PatientGate(ctx, head, by.ID, s.clock.Now())
	if err != nil {
		return err
	}
	for _, id := range g.Family {
		if id == head {
			continue
		}
		m, err := tx.Patient(ctx, id)
		if err != nil {
			return err
		}
		if err := s.keep(ctx, tx, by, &m, "patient.deceased", why, func(m *Patient) (string, error) {
			m.Deceased, m.Died = false, 0
			return "", nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// OfferOptOut records that the opt-out form was offered (77 Ill. Adm. Code 689.80).
func (s *Service) OfferOptOut(ctx context.Context, by auth.Principal, id string) (Patient, error) {
	return s.change(ctx, by, id, "patient.offer-opt-out", "", 0, func(_ Tx, p *Patient) (string, error) {
		now := s.clock.Now().UTC().Truncate(time.Millisecond)
		p.Consent = Consent{OfferedAt: &now, OfferedBy: by.Site}
		return "", nil
	})
}
