package enrolment

import (
	"context"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Approval is what the state adds to an application.
type Approval struct {
	SiteID   coldkeep.SiteID // of a new site
	VFCPIN   string          // "" none
	Username string          // of the first account; "" as was wished
}

// Admitted is what comes of an approval: the site, and for a new organization the first
// account. It has a password that opens once and cannot be shown again, when who approved
// may manage people. A VFC coordinator may not, and sees no patients: for them the account
// is closed and without a password, until a state administrator opens it.
type Admitted struct {
	Site     coldkeep.SiteID `json:"site"`
	Until    time.Time       `json:"until"`
	Username string          `json:"username,omitempty"`
	OneTime  string          `json:"one_time_password,omitempty"`
}

// Approve lets a site in for a year. Whoever applied to join also gets an account: a
// practice manager's, or a school's for those that give no vaccine (Admitted). EFORBIDDEN when by may
// not decide, ENOTFOUND, ECONFLICT when it is decided, or the site's id or the username is
// taken; EINVALID for a wrong id.
func (s *Service) Approve(ctx context.Context, by auth.Principal, id string, v Approval) (Admitted, error) {
	if err := by.Require(auth.ApproveSites, ""); err != nil {
		return Admitted{}, err
	}
	a, err := s.store.Application(ctx, id)
	if err != nil {
		return Admitted{}, err
	}
	if a.Purpose == Renew {
		return s.approveRenewal(ctx, by, a)
	}
	if v.SiteID = coldkeep.SiteID(strings.TrimSpace(string(v.SiteID))); !validID(string(v.SiteID)) {
		return Admitted{}, coldkeep.Errorf(coldkeep.EINVALID, "Site id: want letters a to z, digits and -, at most 64.")
	}
	if v.VFCPIN = strings.TrimSpace(v.VFCPIN); len(v.VFCPIN) > 32 {
		return Admitted{}, coldkeep.Errorf(coldkeep.EINVALID, "VFC PIN: want at most 32 characters.")
	}
	now := s.clock.Now()
	var first auth.Person
	if a.Purpose == Join {
		if v.Username == "" {
			v.Username = a.Form.Username
		}
		// It is hashed before the transaction: that takes long, on purpose.
		first, err = s.people.Prepare(ctx, by, auth.NewPerson{Name: a.Form.Contact, Username: v.Username, Email: a.Form.Email, Role: a.Form.Kind.first(), Site: v.SiteID})
		if err != nil {
			return Admitted{}, err
		}
		if !by.May(auth.ManagePeople, v.SiteID) {
			first.Active, first.OneTime = false, ""
		}
	}
	out := Admitted{Site: v.SiteID, Until: now.AddDate(1, 0, 0), Username: first.Username, OneTime: first.OneTime}
	return out, s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.BumpMirror(ctx); err != nil { // first: the row is the lock of what the collector mirrors
			return err
		}
		if a.Purpose == Join {
			a.Organization = ulid.Make().String()
			if err := tx.InsertOrganization(ctx, Organization{a.Organization, a.Form.Kind, a.Form.Organization, now}); err != nil {
				return err
			}
		}
		a.Site = v.SiteID
		e := a.enrolment(out.Until)
		e.VFCPIN = v.VFCPIN
		if err := tx.InsertSite(ctx, e.Site); err != nil {
			return err
		}
		if err := tx.PutEnrolment(ctx, e); err != nil {
			return err
		}
		if a.Purpose == Join {
			if err := tx.InsertPerson(ctx, first); err != nil {
				return err
			}
			if err := tx.PutMembership(ctx, auth.Membership{Person: first.ID, Site: first.Site, Role: first.Role}, now); err != nil {
				return err
			}
			if err := tx.Audit(ctx, s.entry(by, "person.add", "person/"+first.ID, first.Site, first.Username+" as "+string(first.Role)+map[bool]string{false: ", closed until it is opened"}[first.Active])); err != nil {
				return err
			}
		}
		return s.decide(ctx, tx, by, a, Approved, "")
	})
}

// enrolment is the site of an application with what is written in it.
func (a *Application) enrolment(until time.Time) SiteEnrolment {
	f := a.Form
	return SiteEnrolment{Site: coldkeep.Site{ID: a.Site, Name: f.Site, VFCPIN: f.VFCPIN, TimeZone: f.TimeZone}, Organization: a.Organization, Kind: f.Kind, Until: &until,
		Street: f.Street, City: f.City, State: f.State, ZIP: f.ZIP, Phone: f.Phone, Director: f.Director}
}

func (s *Service) approveRenewal(ctx context.Context, by auth.Principal, a Application) (Admitted, error) {
	now := s.clock.Now()
	var until time.Time
	err := s.store.Tx(ctx, func(tx Tx) error {
		before, err := tx.SiteEnrolment(ctx, a.Site)
		if err != nil {
			return err
		}
		from := now
		if before.Until != nil && before.Until.After(now) {
			from = *before.Until // who renews in time loses no day
		}
		until = from.AddDate(1, 0, 0)
		e := a.enrolment(until)
		e.Organization = before.Organization
		if err := tx.PutEnrolment(ctx, e); err != nil {
			return err
		}
		return s.decide(ctx, tx, by, a, Approved, "")
	})
	return Admitted{Site: a.Site, Until: until}, err
}

// Refuse turns an application down. EINVALID without a reason, which is shown to who
// applied; else as Approve.
func (s *Service) Refuse(ctx context.Context, by auth.Principal, id, reason string) error {
	if err := by.Require(auth.ApproveSites, ""); err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > 1000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why, in at most 1000 characters. Who applied reads it.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		a, err := tx.Application(ctx, id)
		if err != nil {
			return err
		}
		return s.decide(ctx, tx, by, a, Refused, reason)
	})
}

func (s *Service) decide(ctx context.Context, tx Tx, by auth.Principal, a Application, outcome Outcome, reason string) error {
	now := s.clock.Now()
	a.Outcome, a.DecidedBy, a.DecidedAt, a.Reason = outcome, by.Name, &now, reason
	if err := tx.DecideApplication(ctx, a); err != nil {
		return err
	}
	e := s.entry(by, "enrolment."+string(outcome), "application/"+a.ID, a.Site, string(a.Purpose)+": "+a.Form.Site)
	e.Why = reason
	return tx.Audit(ctx, e)
}

// EnsureSite puts a site in that nobody has applied for, as for a demo, and leaves one that
// is there as it is. EFORBIDDEN when by may not manage the programme.
func (s *Service) EnsureSite(ctx context.Context, by auth.Principal, e SiteEnrolment) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	if _, err := s.store.SiteEnrolment(ctx, e.ID); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.BumpMirror(ctx); err != nil {
			return err
		}
		if err := tx.InsertSite(ctx, e.Site); err != nil {
			return err
		}
		if err := tx.PutEnrolment(ctx, e); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "site.add", "site/"+string(e.ID), e.ID, e.Name))
	})
}

// SetEnd says until when a site is enrolled, as for one from before enrolment was kept.
// EFORBIDDEN when by does not decide about sites, ENOTFOUND.
func (s *Service) SetEnd(ctx context.Context, by auth.Principal, site coldkeep.SiteID, until *time.Time) error {
	if err := by.Require(auth.ApproveSites, ""); err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		e, err := tx.SiteEnrolment(ctx, site)
		if err != nil {
			return err
		}
		word := "without an end"
		if e.Until = until; until != nil {
			word = "until " + until.UTC().Format(time.DateOnly)
		}
		if err := tx.PutEnrolment(ctx, e); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "enrolment.end", "site/"+string(site), site, word))
	})
}

// validID is the form of a SiteID.
func validID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
