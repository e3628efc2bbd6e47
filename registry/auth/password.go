package auth

import (
	"context"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// ChangePassword changes a person's own password and ends their other sign-ins.
// EUNAUTHORIZED when the old one is wrong, ETOOMANY after too many wrong ones, EINVALID
// when the new one is too short, too long or the old one.
func (s *Service) ChangePassword(ctx context.Context, by Principal, signIn, old, new string) error {
	if err := checkPassword(new); err != nil {
		return err
	}
	if old == new {
		return coldkeep.Errorf(coldkeep.EINVALID, "The new password is the old one. Choose another.")
	}
	p, err := s.attempt(ctx, by.Username)
	if err != nil {
		return err
	}
	ok, err := s.matches(ctx, old, p.PasswordHash)
	if err != nil {
		return err
	}
	if !ok {
		return s.refused(ctx, p, "password when changing it", coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The old password is wrong."))
	}
	hash, err := s.hash(ctx, new)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Person(ctx, by.ID)
		if err != nil {
			return err
		}
		p.PasswordHash, p.MustChange, p.OneTimeUntil, p.Failed, p.LockedUntil = hash, false, nil, 0, nil
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		if _, err := tx.EndSignIns(ctx, p.ID, "", signIn, s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "person.password", "person/"+p.ID, by.Site, "changed by themselves"))
	})
}

// ResetPassword gives a person a password that opens once, ends their sign-ins and lifts
// a lock. It is not kept and cannot be shown again. EFORBIDDEN when by may not manage the
// person, or is that person; ENOTFOUND when there is none.
func (s *Service) ResetPassword(ctx context.Context, by Principal, id string) (string, error) {
	oneTime := newSecret()[:20]
	hash, err := s.hash(ctx, oneTime)
	if err != nil {
		return "", err
	}
	err = s.onOther(ctx, by, id, "person.reset", "one-time password", func(tx Tx, p *Person) error {
		until := s.clock.Now().Add(oneTimeLife)
		p.PasswordHash, p.MustChange, p.OneTimeUntil, p.Failed, p.LockedUntil = hash, true, &until, 0, nil
		return nil
	})
	if err != nil {
		return "", err
	}
	return oneTime, nil
}

// ResetSecondFactor takes a person's second factors away, for one who has lost them, and
// ends their sign-ins. Errors as ResetPassword.
func (s *Service) ResetSecondFactor(ctx context.Context, by Principal, id string) error {
	return s.onOther(ctx, by, id, "person.reset-second-factor", "", func(tx Tx, p *Person) error {
		p.TOTPSecret, p.TOTPStep = "", 0
		if err := tx.PutRecoveryCodes(ctx, p.ID, nil); err != nil {
			return err
		}
		keys, err := tx.Passkeys(ctx, p.ID)
		for _, k := range keys {
			if err := tx.DeletePasskey(ctx, p.ID, k.ID); err != nil {
				return err
			}
		}
		return err
	})
}

// onOther changes somebody else's account, and ends their sign-ins.
func (s *Service) onOther(ctx context.Context, by Principal, id, what, detail string, do func(Tx, *Person) error) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := s.managed(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if p.ID == by.ID {
			return coldkeep.Errorf(coldkeep.EFORBIDDEN, "This is your own account: another administrator does that.")
		}
		if err := do(tx, &p); err != nil {
			return err
		}
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		if _, err := tx.EndSignIns(ctx, p.ID, "", "", s.clock.Now()); err != nil {
			return err
		}
		if detail != "" {
			detail = ", " + detail
		}
		return tx.Audit(ctx, s.entry(by, what, "person/"+p.ID, p.Site, p.Username+detail))
	})
}

// PersonWithSites returns a person whom by may manage somewhere, and the sites that they
// work in. ENOTFOUND when there is none: whether another site has one is not told.
func (s *Service) PersonWithSites(ctx context.Context, by Principal, id string) (Person, []Membership, error) {
	p, err := s.store.Person(ctx, id)
	if err != nil {
		return Person{}, nil, err
	}
	all, err := s.store.Memberships(ctx, id)
	if err != nil {
		return Person{}, nil, err
	}
	if p.Role.Programme() && by.May(ManageProgramme, "") || slices.ContainsFunc(all, func(m Membership) bool { return by.May(ManagePeople, m.Site) }) {
		return p, all, nil
	}
	return Person{}, nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such person.")
}

// SetRole changes what a person is at a site, or in the programme when site is "", and
// adds the site when they do not work there yet. To add a site takes who may manage the
// person at all sites that they work in: a manager alone does not reach into another
// practice. EFORBIDDEN when by may not, or is that person; EINVALID for a role that does
// not fit; ENOTFOUND.
func (s *Service) SetRole(ctx context.Context, by Principal, id string, site coldkeep.SiteID, role Role) error {
	perm := ManagePeople
	if role.Programme() {
		perm = ManageProgramme
	}
	if err := by.Require(perm, site); err != nil {
		return err
	}
	if !role.known() || role.Programme() != (site == "") {
		return coldkeep.Errorf(coldkeep.EINVALID, "Role: %q is not one that can be had there.", role)
	}
	return s.onOther(ctx, by, id, "person.role", string(role)+" at "+siteWord(site), func(tx Tx, p *Person) error {
		if p.Role.Programme() != role.Programme() {
			return coldkeep.Errorf(coldkeep.EINVALID, "Role: an account of the programme and one of a practice are kept apart. Make another account.")
		}
		if site == "" || site == p.Site {
			p.Role = role
		}
		if site == "" {
			return nil
		}
		if _, err := tx.Site(ctx, site); err != nil {
			return err
		}
		if err := fits(ctx, tx, role, site); err != nil {
			return err
		}
		return tx.PutMembership(ctx, Membership{p.ID, site, role}, s.clock.Now())
	})
}

func siteWord(site coldkeep.SiteID) string {
	if site == "" {
		return "the programme"
	}
	return string(site)
}

// LeaveSite ends a person's work at a site, and their sign-ins. EFORBIDDEN when by may not
// manage people there, or is that person; ECONFLICT when it is the only site: then the
// account is to be closed; ENOTFOUND.
func (s *Service) LeaveSite(ctx context.Context, by Principal, id string, site coldkeep.SiteID) error {
	if err := by.Require(ManagePeople, site); err != nil {
		return err
	}
	if id == by.ID {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "This is your own account: another administrator does that.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Person(ctx, id)
		if err != nil {
			return err
		}
		all, err := tx.Memberships(ctx, id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(m Membership) bool { return m.Site == site })
		if i < 0 {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such person at this site.")
		}
		if len(all) == 1 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This is the only site of %s. Close the account instead.", p.Name)
		}
		all = slices.Delete(all, i, i+1)
		if p.Site == site {
			p.Site, p.Role = all[0].Site, all[0].Role
			if err := tx.UpdatePerson(ctx, p); err != nil {
				return err
			}
		}
		if err := tx.DeleteMembership(ctx, id, site); err != nil {
			return err
		}
		if _, err := tx.EndSignIns(ctx, id, "", "", s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "person.leave-site", "person/"+id, site, p.Username))
	})
}
