package enrolment

import (
	"context"
	"crypto/rand"
	"net/mail"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

const (
	// maxWaiting is how many applications may wait at once. Anybody can send one.
	maxWaiting = 500
	// renewalWindow is how long before its end an enrolment may be renewed. Screens remind
	// people of it for as long.
	renewalWindow = 60 * 24 * time.Hour
)

// check returns the form as it is kept. What is wrong is EINVALID and names the field.
func (f Form) check(purpose Purpose) (Form, error) {
	for _, x := range []struct {
		name   string
		value  *string
		needed bool
		most   int
	}{
		{"Organization", &f.Organization, true, 120}, {"Name of the site", &f.Site, true, 120}, {"Street", &f.Street, true, 120},
		{"City", &f.City, true, 80}, {"State", &f.State, true, 2}, {"ZIP", &f.ZIP, true, 10}, {"Telephone", &f.Phone, true, 40},
		{"Contact", &f.Contact, true, 120}, {"E-mail", &f.Email, true, 200}, {"Medical director", &f.Director, f.Kind.Gives(), 120},
		{"Licence", &f.Licence, false, 40}, {"VFC PIN", &f.VFCPIN, false, 32}, {"Storage units", &f.Units, f.VFC, 2000},
		{"Username", &f.Username, purpose == Join, 64}, {"Signed by", &f.Signer, true, 120}, {"Time zone", &f.TimeZone, true, 60},
	} {
		*x.value = strings.TrimSpace(*x.value)
		if *x.value == "" && x.needed {
			return f, coldkeep.Errorf(coldkeep.EINVALID, "%s: is needed.", x.name)
		}
		if len(*x.value) > x.most {
			return f, coldkeep.Errorf(coldkeep.EINVALID, "%s: want at most %d characters.", x.name, x.most)
		}
	}
	if f.Kind.Title() == string(f.Kind) {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "Kind of organization: choose one.")
	}
	if f.State = strings.ToUpper(f.State); len(f.State) != 2 || strings.Trim(f.State, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "State: want two letters, such as IL.")
	}
	if digits := strings.ReplaceAll(f.ZIP, "-", ""); len(digits) != 5 && len(digits) != 9 || strings.Trim(digits, "0123456789") != "" {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "ZIP: want five digits, such as 60601.")
	}
	if a, err := mail.ParseAddress(f.Email); err != nil || a.Address != f.Email {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "E-mail: this is not an address.")
	}
	if _, err := time.LoadLocation(f.TimeZone); err != nil || f.TimeZone == "Local" {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "Time zone: want a name such as America/Chicago.")
	}
	if f.VFC && !f.Kind.Gives() {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "Vaccines for Children: is for organizations that give vaccine.")
	}
	return f, nil
}

// Apply takes the application of an organization that has no account yet, and returns a
// code by which it asks how the application stands; it cannot be shown again. EINVALID for
// a wrong field, ECONFLICT when the provider agreement has another version by now,
// ETOOMANY when as many wait as may.
func (s *Service) Apply(ctx context.Context, f Form) (Application, string, error) {
	code := rand.Text()
	a, err := s.apply(ctx, auth.Principal{ID: "applicant", Name: strings.TrimSpace(f.Contact)}, Application{Purpose: Join, Form: f, CodeSHA256: auth.SHA256(code)})
	return a, code, err
}

// ApplyForSite asks for one more site of the organization of by's site. EFORBIDDEN when by
// may not; else as Apply.
func (s *Service) ApplyForSite(ctx context.Context, by auth.Principal, f Form) (Application, error) {
	if err := s.mayApply(by, by.Site); err != nil {
		return Application{}, err
	}
	e, err := s.store.SiteEnrolment(ctx, by.Site)
	if err != nil {
		return Application{}, err
	}
	f.Kind = e.Kind
	if e.OrganizationName != "" {
		f.Organization = e.OrganizationName
	}
	return s.apply(ctx, by, Application{Purpose: AddSite, Organization: e.Organization, Form: f})
}

// Renew asks for a site's next year. EFORBIDDEN when by may not, ECONFLICT when it is not
// due yet or has been asked for; else as Apply.
func (s *Service) Renew(ctx context.Context, by auth.Principal, site coldkeep.SiteID, f Form) (Application, error) {
	if err := s.mayApply(by, site); err != nil {
		return Application{}, err
	}
	e, err := s.store.SiteEnrolment(ctx, site)
	if err != nil {
		return Application{}, err
	}
	if !e.Due(s.clock.Now()) {
		return Application{}, coldkeep.Errorf(coldkeep.ECONFLICT, "This enrolment is not due yet: it can be renewed in its last %d days.", int(renewalWindow.Hours()/24))
	}
	waiting, err := s.store.Applications(ctx, site, Waiting, 1)
	if err != nil {
		return Application{}, err
	}
	if len(waiting) > 0 {
		return Application{}, coldkeep.Errorf(coldkeep.ECONFLICT, "The renewal has been asked for already and waits for the state.")
	}
	f.Kind = e.Kind
	if e.OrganizationName != "" {
		f.Organization = e.OrganizationName
	}
	return s.apply(ctx, by, Application{Purpose: Renew, Organization: e.Organization, Site: site, Form: f})
}

func (*Service) mayApply(by auth.Principal, site coldkeep.SiteID) error {
	if by.Known() && site == "" {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "This is asked for by a practice, for itself.")
	}
	return by.Require(auth.ApplyForSite, site)
}

func (s *Service) apply(ctx context.Context, by auth.Principal, a Application) (Application, error) {
	var err error
	if a.Form, err = a.Form.check(a.Purpose); err != nil {
		return a, err
	}
	if a.CodeSHA256 == "" {
		a.CodeSHA256 = auth.SHA256(rand.Text()) // of nobody: it is asked for by account
	}
	a.ID, a.Outcome, a.AppliedBy, a.Agreement = ulid.Make().String(), Waiting, by.Name, a.Form.Agreement
	a.Address, a.AppliedAt = audit.OriginOf(ctx).Address, s.clock.Now()
	return a, s.store.Tx(ctx, func(tx Tx) error {
		n, err := tx.CountWaiting(ctx)
		if err != nil {
			return err
		}
		if n >= maxWaiting {
			return coldkeep.Errorf(coldkeep.ETOOMANY, "Too many applications wait to be decided. Try again tomorrow, or call the state's immunization programme.")
		}
		inForce, err := tx.Policies(ctx, ProviderAgreement)
		if err != nil {
			return err
		}
		if len(inForce) > 0 && inForce[0].Version != a.Agreement {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "The provider agreement has to be read and accepted in the version that is in force.")
		}
		if err := tx.InsertApplication(ctx, a); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "enrolment.apply", "application/"+a.ID, a.Site, string(a.Purpose)+": "+a.Form.Site+"; agreement version "+itoa(a.Agreement)+" signed by "+a.Form.Signer))
	})
}

// Status returns the application of a code. ENOTFOUND when there is none.
func (s *Service) Status(ctx context.Context, code string) (Application, error) {
	return s.store.ApplicationByCode(ctx, auth.SHA256(strings.ToUpper(strings.TrimSpace(code))))
}

// Applications lists applications with an outcome, or any when it is "", the latest first:
// all of them for who decides, those of their site for who applies. EFORBIDDEN for others.
func (s *Service) Applications(ctx context.Context, by auth.Principal, outcome Outcome) ([]Application, error) {
	if by.May(auth.ApproveSites, "") {
		return s.store.Applications(ctx, "", outcome, 200)
	}
	if err := s.mayApply(by, by.Site); err != nil {
		return nil, err
	}
	return s.store.Applications(ctx, by.Site, outcome, 200)
}

// Application returns one that by may see. ENOTFOUND when there is none: whether another
// site has one is not told.
func (s *Service) Application(ctx context.Context, by auth.Principal, id string) (Application, error) {
	if !by.Known() {
		return Application{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	a, err := s.store.Application(ctx, id)
	if err == nil && !by.May(auth.ApproveSites, "") && (a.Site == "" || !by.May(auth.ApplyForSite, a.Site)) {
		return Application{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such application.")
	}
	return a, err
}

// Enrolment returns how a site is enrolled. EFORBIDDEN when by may neither apply for it nor
// decide.
func (s *Service) Enrolment(ctx context.Context, by auth.Principal, site coldkeep.SiteID) (SiteEnrolment, error) {
	if !by.May(auth.ApproveSites, site) {
		if err := by.Require(auth.ApplyForSite, site); err != nil {
			return SiteEnrolment{}, err
		}
	}
	return s.store.SiteEnrolment(ctx, site)
}

// Enrolments lists the sites with how they are enrolled, those that end first first.
// EFORBIDDEN when by does not decide about them.
func (s *Service) Enrolments(ctx context.Context, by auth.Principal) ([]SiteEnrolment, error) {
	if err := by.Require(auth.ApproveSites, ""); err != nil {
		return nil, err
	}
	return s.store.SiteEnrolments(ctx)
}
