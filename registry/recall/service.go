package recall

import (
	"context"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Config is what the service stands on.
type Config struct {
	Store     Store
	Patients  *patient.Service
	Doses     *immunization.Service
	Schedule  immunization.Schedule
	Clock     coldkeep.Clock
	Notifiers []channel.Notifier // none: notices go on paper and by telephone
	// Origin is where families reach the page on which they end messages, such as
	// "https://coldkeep.example"; "": messages say to tell the clinic.
	Origin string
}

// Service is reminders and recalls.
type Service struct {
	Config
	store     Store
	clock     coldkeep.Clock
	notifiers map[Channel]channel.Notifier
	wake      chan struct{}

	mu       sync.Mutex
	answered time.Time // when answers to notices were last looked for
}

// New returns the service. Its work is done while Work runs.
func New(c Config) *Service {
	s := &Service{Config: c, store: c.Store, clock: c.Clock, notifiers: map[Channel]channel.Notifier{}, wake: make(chan struct{}, 1)}
	for _, n := range c.Notifiers {
		s.notifiers[Channel(n.Name())] = n
	}
	return s
}

// Carries reports whether notices can be made by a channel: the electronic ones need a
// server or a gateway.
func (s *Service) Carries(ch Channel) bool {
	_, ok := s.notifiers[ch]
	return ok || !ch.electronic()
}

func (s *Service) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Service) entry(by auth.Principal, what, subject string, site coldkeep.SiteID, why string, detail ...string) audit.Entry {
	e := audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: site, Why: why}
	for _, d := range detail {
		e.Detail += d
	}
	return e
}

// today is the calendar day at a site; of the programme, the day in UTC.
func (s *Service) today(ctx context.Context, r Reader, site coldkeep.SiteID) (coldkeep.Date, error) {
	zone, err := zoneOf(ctx, r, site)
	return coldkeep.DateOf(s.clock.Now().In(zone)), err
}

func zoneOf(ctx context.Context, r Reader, site coldkeep.SiteID) (*time.Location, error) {
	if site == "" {
		return time.UTC, nil
	}
	of, err := r.Site(ctx, site)
	if err != nil {
		return time.UTC, err
	}
	if l, err := time.LoadLocation(of.TimeZone); err == nil {
		return l, nil
	}
	return time.UTC, nil
}

// own reads a run that by's practice has, for who has one of the permissions there. For a
// run of another practice it is ENOTFOUND.
func own(ctx context.Context, r Reader, by auth.Principal, id string, perms ...auth.Permission) (Run, error) {
	if err := anyOf(by, by.Site, perms...); err != nil {
		return Run{}, err
	}
	run, err := r.RecallRun(ctx, id)
	if err == nil && run.Site != by.Site && by.Site != "" {
		err = errNoRun
	}
	if err != nil {
		return Run{}, err
	}
	return run, anyOf(by, run.Site, perms...)
}

var errNoRun = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such run.")

func anyOf(by auth.Principal, site coldkeep.SiteID, perms ...auth.Permission) (err error) {
	for _, p := range perms {
		if err = by.Require(p, site); err == nil {
			return nil
		}
	}
	return err
}

// pause is how long the work rests when there is nothing to do; it also finds what another
// process was given.
const pause = 15 * time.Second

// Work does what there is to do, until ctx ends: counting and making notices, sending them,
// and following cold-chain recalls. failed hears of what keeps it from working; it tries
// again.
func (s *Service) Work(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		more := false
		for _, step := range []func(context.Context) (bool, error){s.Step, s.Send, s.Follow} {
			m, err := step(ctx)
			if err != nil && ctx.Err() == nil {
				failed(err)
				m = false
			}
			more = more || m
		}
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}
