// Package enrolment is how an organization comes into the registry and stays in it: it
// applies, accepts the provider agreement, and the state approves it, whereupon its site
// and its first account exist; every year it enrols again. It also keeps the texts that
// people and organizations accept.
package enrolment

import (
	"context"
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Kind is what an organization is (77 Ill. Adm. Code 689, Appendix A).
type Kind string

// The kinds of organizations.
const (
	Provider         Kind = "provider"
	HealthDepartment Kind = "health-department"
	School           Kind = "school"
	ChildCare        Kind = "child-care"
	ChildPlacing     Kind = "child-placing"
	State            Kind = "state"
)

// Kinds lists them.
func Kinds() []Kind {
	return []Kind{Provider, HealthDepartment, School, ChildCare, ChildPlacing, State}
}

// Title is the kind in words.
func (k Kind) Title() string {
	switch k {
	case Provider:
		return "Health care provider"
	case HealthDepartment:
		return "Certified local health department"
	case School:
		return "School or college"
	case ChildCare:
		return "Child care"
	case ChildPlacing:
		return "Child-placing agency"
	case State:
		return "State agency"
	}
	return string(k)
}

// Gives reports whether it gives vaccine. Those that do not see a subset without contact
// data, and have one role only.
func (k Kind) Gives() bool { return k == Provider || k == HealthDepartment || k == State }

// first is the role of its first account.
func (k Kind) first() auth.Role {
	if k.Gives() {
		return auth.PracticeManager
	}
	return auth.School
}

// Purpose is what an application asks for.
type Purpose string

// What may be asked for.
const (
	Join    Purpose = "join"  // of an organization that is not in the registry yet
	AddSite Purpose = "site"  // of one that is
	Renew   Purpose = "renew" // a site's next year
)

// Title is the purpose in words.
func (p Purpose) Title() string {
	switch p {
	case Join:
		return "New organization"
	case AddSite:
		return "One more site"
	case Renew:
		return "Yearly renewal"
	}
	return string(p)
}

// Outcome is where an application stands.
type Outcome string

// The outcomes.
const (
	Waiting  Outcome = "waiting"
	Approved Outcome = "approved"
	Refused  Outcome = "refused"
)

// Form is what is written on an application.
type Form struct {
	Kind         Kind   `json:"kind"`
	Organization string `json:"organization"`
	Site         string `json:"site"` // its name
	Street       string `json:"street"`
	City         string `json:"city"`
	State        string `json:"state"` // two letters
	ZIP          string `json:"zip"`
	Phone        string `json:"phone"`
	TimeZone     string `json:"time_zone"`
	Contact      string `json:"contact"` // a person's name
	Email        string `json:"email"`
	Director     string `json:"director"` // the medical director
	Licence      string `json:"licence"`  // theirs
	VFC          bool   `json:"vfc"`      // wants to be a provider of Vaccines for Children
	VFCPIN       string `json:"vfc_pin"`  // the PIN that it has, or wishes for
	Units        string `json:"units"`    // its storage units, in words
	Username     string `json:"username"` // wished for by the contact
	Signer       string `json:"signer"`   // who signs the agreement
	Agreement    int64  `json:"agreement"`
}

// Application is a form that was sent in.
type Application struct {
	ID           string          `json:"id"`
	Purpose      Purpose         `json:"purpose"`
	Outcome      Outcome         `json:"outcome"`
	Organization string          `json:"organization"` // id; "" before there is one
	Site         coldkeep.SiteID `json:"site"`         // "" before there is one
	Form         Form            `json:"form"`
	Agreement    int64           `json:"agreement"` // the version of the provider agreement that was accepted
	AppliedBy    string          `json:"applied_by"`
	Address      string          `json:"address"` // it was sent from
	AppliedAt    time.Time       `json:"applied_at"`
	DecidedBy    string          `json:"decided_by"`
	DecidedAt    *time.Time      `json:"decided_at"`
	Reason       string          `json:"reason"`

	CodeSHA256 string `json:"-"` // of the code by which one without an account asks how it stands
}

// SiteEnrolment is a site with how it is enrolled.
type SiteEnrolment struct {
	coldkeep.Site
	Organization     string
	OrganizationName string // "" for a site from before organizations were kept
	Kind             Kind
	Until            *time.Time // absent: without an end
	Street, City     string
	State, ZIP       string
	Phone, Director  string
}

// Ended reports whether the enrolment has ended at a time.
func (e SiteEnrolment) Ended(now time.Time) bool { return e.Until != nil && !now.Before(*e.Until) }

// Due reports whether the enrolment may be renewed at a time: in its last renewalWindow.
func (e SiteEnrolment) Due(now time.Time) bool {
	return e.Until != nil && !now.Before(e.Until.Add(-renewalWindow))
}

// Organization is one that has enrolled.
type Organization struct {
	ID        string
	Kind      Kind
	Name      string
	CreatedAt time.Time
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Application(ctx context.Context, id string) (Application, error)
	ApplicationByCode(ctx context.Context, sha256 string) (Application, error)
	// Applications lists those of a site, or of all when site is "", with an outcome, or
	// any when it is "", the latest first.
	Applications(ctx context.Context, site coldkeep.SiteID, outcome Outcome, limit int) ([]Application, error)
	CountWaiting(ctx context.Context) (int, error)
	SiteEnrolment(ctx context.Context, site coldkeep.SiteID) (SiteEnrolment, error)
	SiteEnrolments(ctx context.Context) ([]SiteEnrolment, error)

	Policies(ctx context.Context, kind PolicyKind) ([]Policy, error) // the latest first
	Unaccepted(ctx context.Context, person string) ([]Policy, error)
	Acceptances(ctx context.Context, kind PolicyKind) ([]Acceptance, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	InsertApplication(ctx context.Context, a Application) error
	DecideApplication(ctx context.Context, a Application) error // ECONFLICT when it is decided
	InsertOrganization(ctx context.Context, o Organization) error
	InsertSite(ctx context.Context, s coldkeep.Site) error // ECONFLICT when the id is taken
	PutEnrolment(ctx context.Context, e SiteEnrolment) error
	InsertPerson(ctx context.Context, p auth.Person) error // ECONFLICT when the username is taken
	PutMembership(ctx context.Context, m auth.Membership, at time.Time) error
	BumpMirror(ctx context.Context) (int64, error)
	InsertPolicy(ctx context.Context, p Policy) error // ECONFLICT when there is this version
	InsertAcceptance(ctx context.Context, a Acceptance) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// People makes accounts; it is the auth.Service.
type People interface {
	Prepare(ctx context.Context, by auth.Principal, n auth.NewPerson) (auth.Person, error)
}

// Service is enrolment.
type Service struct {
	store  Store
	people People
	clock  coldkeep.Clock
}

// New returns the service.
func New(store Store, people People, clock coldkeep.Clock) *Service {
	return &Service{store, people, clock}
}

func (s *Service) entry(by auth.Principal, what, subject string, site coldkeep.SiteID, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: site, Detail: detail}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
