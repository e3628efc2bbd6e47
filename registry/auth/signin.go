package auth

import (
	"context"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Method is how somebody has signed in.
type Method string

// The methods. A passkey checks the person by its PIN or finger, so it is two factors; an
// identity provider is trusted to ask for as many as it wants.
const (
	ByPassword Method = "password"
	ByCode     Method = "password and code"
	ByRecovery Method = "password and recovery code"
	ByPasskey  Method = "passkey"
	ByProvider Method = "identity provider"
)

func (m Method) strong() bool { return m != ByPassword }

// SignIn is a person's stay, from one browser.
type SignIn struct {
	ID      string
	Person  string
	Site    coldkeep.SiteID // the one that is acted for
	Method  Method
	Strong  bool // by more than a password
	Address string
	Agent   string
	At      time.Time
	SeenAt  time.Time // to the minute
	EndedAt *time.Time
}

// Standing is a sign-in with what says what it opens.
type Standing struct {
	SignIn
	Account       Person
	MemberAs      Role       // at the sign-in's site; "" when the person works there no more
	EnrolledUntil *time.Time // of that site
	SecondFactors int        // passkeys, and codes as one
	Unaccepted    int        // texts in force that the person has not accepted
}

// Todo is what a person has to do before anything else opens.
type Todo string

// What there may be to do first, in this order.
const (
	TodoPassword     Todo = "password"      // change a password that another has chosen
	TodoSecondFactor Todo = "second-factor" // set one up
	TodoPolicies     Todo = "policies"      // accept the texts in force
)

// Resumed is a sign-in that goes on.
type Resumed struct {
	Principal
	SignIn  SignIn
	Todo    Todo       // "" nothing: all is open
	EndsAt  *time.Time // when the site's yearly enrolment ends; absent: never
	Factors int
}

// Password checks a username and password. EUNAUTHORIZED when either is wrong, without
// saying which, and when a one-time password has run out; ETOOMANY while the account is
// locked. When the person has a second factor nothing is open yet: secondFactor says so.
func (s *Service) Password(ctx context.Context, username, password string) (p Person, secondFactor bool, err error) {
	wrong := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Username or password is wrong.")
	username = strings.ToLower(strings.TrimSpace(username))
	if len(username) > 64 || len(password) > 4*maxPassword {
		return Person{}, false, wrong
	}
	// The attempt is counted before the password is looked at, so that many guesses
	// at once count as many.
	p, err = s.attempt(ctx, username)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return Person{}, false, s.stranger(ctx, username, password, wrong)
	}
	if err != nil {
		return Person{}, false, err
	}
	ok, err := s.matches(ctx, password, p.PasswordHash)
	if err != nil {
		return Person{}, false, err
	}
	if !ok || !p.Active {
		return Person{}, false, s.refused(ctx, p, "password", wrong)
	}
	if p.MustChange && p.OneTimeUntil != nil && !s.clock.Now().Before(*p.OneTimeUntil) {
		return Person{}, false, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This one-time password has run out. Ask your administrator for another.")
	}
	keys, err := s.store.Passkeys(ctx, p.ID)
	if err != nil {
		return Person{}, false, err
	}
	if p.TOTPSecret != "" || len(keys) > 0 {
		return p, true, nil // its tries go on counting until the second factor is right
	}
	return p, false, s.store.Tx(ctx, func(tx Tx) error { return tx.ResetAttempts(ctx, p.ID) })
}

// stranger refuses a username that nobody has as a wrong password is refused: after as long,
// with an entry in the trail, and with the same lock. The trail does not hold the username,
// in whose place a password may have been typed.
func (s *Service) stranger(ctx context.Context, username, password string, wrong error) error {
	now := s.clock.Now()
	if wait := s.strangers.Wait(username, now); wait > 0 {
		if err := s.RefusedRequest(ctx, Principal{}, "sign-in by a username that is nobody's: locked"); err != nil {
			return err
		}
		return tooManyTries(wait)
	}
	s.strangers.Failed(username, now)
	if _, err := s.matches(ctx, password, s.decoy); err != nil {
		return err
	}
	if err := s.RefusedRequest(ctx, Principal{}, "sign-in by a username that is nobody's: wrong"); err != nil {
		return err
	}
	return wrong
}

// refused enters a sign-in that was refused in the trail and returns why it was.
func (s *Service) refused(ctx context.Context, p Person, by string, why error) error {
	err := s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: p.ID, Who: p.Name, What: "person.refused", Subject: "person/" + p.ID, Site: p.Site, Detail: "wrong " + by})
	})
	if err != nil {
		return err
	}
	return why
}

// SignIn checks a password where no second step can follow, as for a program or a test.
// Errors as Password; EUNAUTHORIZED also when the person has a second factor.
func (s *Service) SignIn(ctx context.Context, username, password string) (Person, error) {
	p, second, err := s.Password(ctx, username, password)
	if err == nil && second {
		return Person{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This account has a second factor. Sign in on the screen.")
	}
	return p, err
}

// Begin begins a sign-in of somebody who has shown who they are. EUNAUTHORIZED when the
// account is closed, EFORBIDDEN when the person works at no site any more.
func (s *Service) Begin(ctx context.Context, person string, method Method) (SignIn, error) {
	now := s.clock.Now()
	o := audit.OriginOf(ctx)
	in := SignIn{ID: ulid.Make().String(), Person: person, Method: method, Strong: method.strong(), Address: o.Address, Agent: o.Agent, At: now, SeenAt: now}
	err := s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Person(ctx, person)
		if err != nil {
			return err
		}
		if !p.Active {
			return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This account is closed.")
		}
		if in.Site, err = startSite(ctx, tx, p); err != nil {
			return err
		}
		if err := tx.ResetAttempts(ctx, p.ID); err != nil {
			return err
		}
		if err := tx.InsertSignIn(ctx, in); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: p.ID, Who: p.Name, What: "person.sign-in", Subject: "person/" + p.ID, Site: in.Site, Detail: "by " + string(method), Session: in.ID})
	})
	return in, err
}

// startSite is the site that a person acts for at first.
func startSite(ctx context.Context, r Reader, p Person) (coldkeep.SiteID, error) {
	if p.Role.Programme() {
		return "", nil
	}
	all, err := r.Memberships(ctx, p.ID)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.Site == p.Site {
			return m.Site, nil
		}
	}
	if len(all) == 0 {
		return "", coldkeep.Errorf(coldkeep.EFORBIDDEN, "You work at no site any more. Ask your administrator.")
	}
	return all[0].Site, nil
}

// Resume returns who a sign-in is of, and notes that it was used, unless idle: what a
// screen asks by itself is no use. EUNAUTHORIZED when it has ended, was not used for too
// long, or the account is closed.
func (s *Service) Resume(ctx context.Context, id string, idle bool) (Resumed, error) {
	over := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	st, err := s.store.Standing(ctx, id)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return Resumed{}, over
	}
	if err != nil {
		return Resumed{}, err
	}
	now := s.clock.Now()
	switch {
	case st.EndedAt != nil, !st.Account.Active:
		return Resumed{}, over
	case now.Sub(st.At) >= s.rules.Longest:
		if err := s.expire(ctx, st, "used after its longest time"); err != nil {
			return Resumed{}, err
		}
		return Resumed{}, over
	case s.rules.Idle > 0 && now.Sub(st.SeenAt) >= s.rules.Idle+touchEvery:
		if err := s.expire(ctx, st, "used after too long without use"); err != nil {
			return Resumed{}, err
		}
		return Resumed{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "You were signed out after %s without use.", s.rules.Idle)
	}
	r := Resumed{Principal: st.Account.Principal(), SignIn: st.SignIn, EndsAt: st.EnrolledUntil, Factors: st.SecondFactors}
	if !st.Account.Role.Programme() {
		if st.MemberAs == "" {
			return Resumed{}, over // not at that site any more: the next sign-in is at another
		}
		r.Site, r.Role = st.Site, st.MemberAs
		r.Lapsed = st.EnrolledUntil != nil && !now.Before(*st.EnrolledUntil)
	}
	switch {
	case st.Account.MustChange && st.Method == ByPassword:
		r.Todo = TodoPassword
	case s.NeedsSecondFactor(r.Role) && !st.Strong && st.SecondFactors == 0:
		r.Todo = TodoSecondFactor
	case st.Unaccepted > 0:
		r.Todo = TodoPolicies
	}
	if !idle && now.Sub(st.SeenAt) >= touchEvery {
		err = s.store.Tx(ctx, func(tx Tx) error { return tx.TouchSignIn(ctx, id, now) })
	}
	return r, err
}

// touchEvery is how exactly the last use of a sign-in is kept: to write at every page
// would be to no purpose.
const touchEvery = time.Minute

// NeedsSecondFactor reports whether a role must have a second factor.
func (s *Service) NeedsSecondFactor(r Role) bool {
	for _, x := range s.rules.SecondFactor {
		if x == r {
			return true
		}
	}
	return false
}

// Rules returns what the programme has decided about sign-ins.
func (s *Service) Rules() Rules { return s.rules }

// End ends one of a person's own sign-ins, or all of them but except when id is "".
// ENOTFOUND when there is none of that id.
func (s *Service) End(ctx context.Context, by Principal, id, except string) error {
	if !by.Known() {
		return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		n, err := tx.EndSignIns(ctx, by.ID, id, except, s.clock.Now())
		if err != nil {
			return err
		}
		if n == 0 && id != "" {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such sign-in.")
		}
		what := "person.sign-out"
		if id == "" {
			what = "person.sign-out-elsewhere"
		}
		return tx.Audit(ctx, s.entry(by, what, "person/"+by.ID, by.Site, ""))
	})
}

func (s *Service) entry(by Principal, what, subject string, site coldkeep.SiteID, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: site, Detail: detail}
}

// MySignIns lists a person's own sign-ins that have not ended, the latest first.
func (s *Service) MySignIns(ctx context.Context, by Principal) ([]SignIn, error) {
	if !by.Known() {
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	all, err := s.store.SignIns(ctx, by.ID)
	now, live := s.clock.Now(), []SignIn{}
	for _, in := range all {
		if now.Sub(in.At) < s.rules.Longest && (s.rules.Idle == 0 || now.Sub(in.SeenAt) < s.rules.Idle+touchEvery) {
			live = append(live, in)
		}
	}
	return live, err
}

// MySites lists the sites that a person may act for, and as what.
func (s *Service) MySites(ctx context.Context, by Principal) ([]Membership, error) {
	if !by.Known() {
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	return s.store.Memberships(ctx, by.ID)
}

// SwitchSite has a person act for another of their sites. EFORBIDDEN when they do not work
// there.
func (s *Service) SwitchSite(ctx context.Context, by Principal, signIn string, site coldkeep.SiteID) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		all, err := tx.Memberships(ctx, by.ID)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.Site != site {
				continue
			}
			if err := tx.MoveSignIn(ctx, signIn, site); err != nil {
				return err
			}
			return tx.Audit(ctx, s.entry(by, "person.switch-site", "person/"+by.ID, site, "from "+string(by.Site)))
		}
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "You do not work at this site.")
	})
}

// Sites lists the sites that by acts for, by name: all of them for a role of the programme.
func (s *Service) Sites(ctx context.Context, by Principal) ([]coldkeep.Site, error) {
	switch {
	case !by.Known():
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	case by.Site == "":
		return s.store.AllSites(ctx)
	}
	site, err := s.store.Site(ctx, by.Site)
	return []coldkeep.Site{site}, err
}
