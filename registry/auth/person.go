package auth

import (
	"context"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// After freeTries failed sign-ins in a row an account is locked, at first for
// firstLock and twice as long each time after, up to maxLock.
const (
	freeTries = 5
	firstLock = 30 * time.Second
	maxLock   = 15 * time.Minute

	// MinPassword is the shortest password, in characters; NIST SP 800-63B asks for
	// length and no composition rules.
	MinPassword = 12
	maxPassword = 200
)

// oneTimeLife is how long a password that another has chosen opens: long enough to hand
// it over after a weekend.
const oneTimeLife = 3 * 24 * time.Hour

// NewPerson is what is asked for a new account. Without a password one is made that opens
// once.
type NewPerson struct {
	Name     string
	Username string
	Email    string
	Password string
	Role     Role
	Site     coldkeep.SiteID
}

func (n *NewPerson) check() error {
	n.Name = strings.TrimSpace(n.Name)
	n.Username = strings.ToLower(strings.TrimSpace(n.Username))
	if n.Name == "" || len(n.Name) > 120 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Name: want 1 to 120 characters.")
	}
	if !validName(n.Username, "._@") {
		return coldkeep.Errorf(coldkeep.EINVALID, "Username: want letters a to z, digits, and - . _ @, at most 64.")
	}
	if n.Email = strings.TrimSpace(n.Email); n.Email != "" {
		if a, err := mail.ParseAddress(n.Email); err != nil || a.Address != n.Email || len(n.Email) > 200 {
			return coldkeep.Errorf(coldkeep.EINVALID, "E-mail: %q is not an address.", n.Email)
		}
	}
	if err := checkPassword(n.Password); err != nil {
		return err
	}
	if !n.Role.known() {
		return coldkeep.Errorf(coldkeep.EINVALID, "Role %q is not known.", n.Role)
	}
	if n.Role.Programme() && n.Site != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Site: a %s belongs to the whole programme; leave the site empty.", n.Role.Title())
	}
	if !n.Role.Programme() && n.Site == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Site: a %s belongs to one site; choose it.", n.Role.Title())
	}
	return nil
}

func checkPassword(password string) error {
	if c := utf8.RuneCountInString(password); c < MinPassword || c > maxPassword {
		return coldkeep.Errorf(coldkeep.EINVALID, "Password: want at least %d characters and at most %d.", MinPassword, maxPassword)
	}
	return nil
}

// NeedsSetup reports whether nobody has an account yet.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	n, err := s.store.CountPeople(ctx)
	return n == 0, err
}

// Setup makes the first administrator. It is ECONFLICT once anybody has an
// account and EINVALID when a field is wrong.
func (s *Service) Setup(ctx context.Context, name, username, password string) (Person, error) {
	n := NewPerson{Name: name, Username: username, Password: password, Role: StateAdmin}
	return s.insert(ctx, System("First set-up"), n, func(tx Tx) error {
		// Writing the mirror's row makes a second set-up wait for this one.
		if _, err := tx.BumpMirror(ctx); err != nil {
			return err
		}
		count, err := tx.CountPeople(ctx)
		if err != nil {
			return err
		}
		if count > 0 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "The first administrator has been set up already. Sign in.")
		}
		return nil
	})
}

// AddPerson makes an account. A password that another person has chosen, or that was made
// (OneTime), opens once and has to be changed. EFORBIDDEN when by may not manage people there, or
// not people of that role; EINVALID when a field is wrong; ECONFLICT when the
// username is taken.
func (s *Service) AddPerson(ctx context.Context, by Principal, n NewPerson) (Person, error) {
	perm := ManagePeople
	if n.Role.Programme() {
		perm = ManageProgramme
	}
	if err := by.Require(perm, n.Site); err != nil {
		return Person{}, err
	}
	return s.insert(ctx, by, n, func(tx Tx) error {
		if n.Site == "" {
			return nil
		}
		if _, err := tx.Site(ctx, n.Site); err != nil {
			return err
		}
		return fits(ctx, tx, n.Role, n.Site)
	})
}

// Prepare checks a new account and hashes its password, for whoever inserts it together
// with something else. EINVALID when a field is wrong.
func (s *Service) Prepare(ctx context.Context, by Principal, n NewPerson) (Person, error) {
	oneTime := ""
	if n.Password == "" {
		oneTime = newSecret()[:20]
		n.Password = oneTime
	}
	if err := n.check(); err != nil {
		return Person{}, err
	}
	hash, err := s.hash(ctx, n.Password)
	if err != nil {
		return Person{}, err
	}
	p := Person{
		ID: ulid.Make().String(), Name: n.Name, Username: n.Username, Email: n.Email, Role: n.Role, Site: n.Site,
		PasswordHash: hash, Active: true, CreatedAt: s.clock.Now(), OneTime: oneTime,
	}
	if oneTime != "" || by.Role != system {
		until := p.CreatedAt.Add(oneTimeLife)
		p.MustChange, p.OneTimeUntil = true, &until
	}
	return p, nil
}

// fits is nil when a role may be had at a site. A school, a child care and a child-placing
// agency see a subset without contact data (77 Ill. Adm. Code 689, App. A), so that is all
// that anybody there may have.
func fits(ctx context.Context, r Reader, role Role, site coldkeep.SiteID) error {
	kind, err := r.SiteKind(ctx, site)
	if err != nil {
		return err
	}
	switch kind {
	case "school", "child-care", "child-placing":
		if role != School {
			return coldkeep.Errorf(coldkeep.EINVALID, "Role: people of a school, child care or child-placing agency have the role “%s” only.", School.Title())
		}
	}
	return nil
}

func (s *Service) insert(ctx context.Context, by Principal, n NewPerson, guard func(Tx) error) (Person, error) {
	p, err := s.Prepare(ctx, by, n)
	if err != nil {
		return Person{}, err
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		if err := guard(tx); err != nil {
			return err
		}
		if err := tx.InsertPerson(ctx, p); err != nil {
			return err
		}
		if p.Site != "" {
			if err := tx.PutMembership(ctx, Membership{p.ID, p.Site, p.Role}, p.CreatedAt); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: "person.add",
			Subject: "person/" + p.ID, Site: p.Site, Detail: p.Username + " as " + string(p.Role)})
	})
	return p, err
}

// SetActive opens or closes an account. EFORBIDDEN when by may not manage the
// person, or is that person; ENOTFOUND when there is none.
func (s *Service) SetActive(ctx context.Context, by Principal, id string, active bool) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := s.managed(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if p.ID == by.ID {
			return coldkeep.Errorf(coldkeep.EFORBIDDEN, "You cannot close your own account.")
		}
		p.Active = active
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		if !active {
			if _, err := tx.EndSignIns(ctx, p.ID, "", "", s.clock.Now()); err != nil {
				return err
			}
		}
		what := "person.close"
		if active {
			what = "person.open"
		}
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what,
			Subject: "person/" + p.ID, Site: p.Site, Detail: p.Username})
	})
}

// managed returns a person whom by may manage: at every site that the person works in,
// since an account that was taken over would open them all.
func (s *Service) managed(ctx context.Context, tx Reader, by Principal, id string) (Person, error) {
	p, err := tx.Person(ctx, id)
	if err != nil {
		return Person{}, err
	}
	if p.Role.Programme() {
		return p, by.Require(ManageProgramme, "")
	}
	if err := by.Require(ManagePeople, p.Site); err != nil {
		return p, err
	}
	all, err := tx.Memberships(ctx, id)
	if err != nil {
		return p, err
	}
	for _, m := range all {
		if !by.May(ManagePeople, m.Site) {
			return p, coldkeep.Errorf(coldkeep.EFORBIDDEN, "%s works at another site too. A state administrator manages this account.", p.Name)
		}
	}
	return p, nil
}

// People lists the accounts that by may manage; EFORBIDDEN when by may manage none.
func (s *Service) People(ctx context.Context, by Principal) ([]Person, error) {
	if err := by.Require(ManagePeople, by.Site); err != nil {
		return nil, err
	}
	return s.store.People(ctx, by.Site)
}

// Principal returns the person of a session. EUNAUTHORIZED when the account is
// closed or gone.
func (s *Service) Principal(ctx context.Context, id string) (Principal, error) {
	p, err := s.store.Person(ctx, id)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && !p.Active {
		return Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	if err != nil {
		return Principal{}, err
	}
	return p.Principal(), nil
}

func (s *Service) attempt(ctx context.Context, username string) (Person, error) {
	var p Person
	now := s.clock.Now()
	locked := false
	err := s.store.Tx(ctx, func(tx Tx) error {
		var err error
		if p, err = tx.CountAttempt(ctx, username); err != nil {
			return err
		}
		if locked = p.LockedUntil != nil && now.Before(*p.LockedUntil); locked {
			p.Failed-- // refused unseen: it does not make the next lock longer
			return tx.UpdatePerson(ctx, p)
		}
		if p.Failed < freeTries {
			return nil
		}
		lock := maxLock
		if over := p.Failed - freeTries; over < 5 {
			lock = min(firstLock<<over, maxLock)
		}
		until := now.Add(lock)
		p.LockedUntil = &until
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: p.ID, Who: p.Name, What: "person.locked",
			Subject: "person/" + p.ID, Site: p.Site, Detail: "after failed sign-ins, for " + lock.String()})
	})
	if err != nil {
		return Person{}, err
	}
	if locked {
		who := Principal{ID: p.ID, Name: p.Name, Site: p.Site}
		if err := s.RefusedRequest(ctx, who, "sign-in to an account that is locked: refused unseen"); err != nil {
			return Person{}, err
		}
		return Person{}, tooManyTries(p.LockedUntil.Sub(now))
	}
	return p, nil
}

func tooManyTries(wait time.Duration) error {
	return coldkeep.Errorf(coldkeep.ETOOMANY, "Too many failed sign-ins. Try again in %s.", wait.Round(time.Second))
}
