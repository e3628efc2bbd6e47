// Package registry is the immunization registry as one value: its database, its
// screens and its API. Open makes it; what the screens need of the collector is
// handed in as small interfaces.
package registry

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/api"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/demo"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/onboarding"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/quality"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/throttle"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vis"
	"github.com/coldkeep/coldkeep/registry/web"
)

// CollectorAccount is the name of the interface account of Config.CollectorToken.
const CollectorAccount = "collector"

// Config is what a registry is made of. Database alone must be set.
type Config struct {
	Database string         // SQLite path or PostgreSQL URL
	Clock    coldkeep.Clock // RealClock when nil
	Log      *slog.Logger   // discarded when nil

	// What the screens ask of the collector. Without one, the screens say that the
	// collector does not answer and show what the registry itself knows.
	Readings web.Readings
	Inbox    web.Inbox
	Live     web.Live
	Devices  web.Devices  // how the devices stand
	Latest   web.Latest   // the last of a probe that stands in no unit
	Verdicts web.Verdicts // what other profiles say of an excursion
	Channels web.Channels // by what alerts can be told

	// Broker is the address that a new device is told to connect to once it has been let
	// in, such as "ssl://broker.example:8883"; "" tells it none.
	Broker string

	// Notifiers carry reminders to families: e-mail, text messages. Without any, notices go on
	// paper and by telephone.
	Notifiers []channel.Notifier
	// SMSSecret is what the gateway of text messages signs answers with; none: answers are refused.
	SMSSecret []byte

	// Codes are the vaccine code sets; nil takes those that come with the program.
	Codes *vaccine.Codes

	// CollectorToken, when set, is accepted as the bearer token of an interface
	// account with scope collector.
	CollectorToken string
	// SecureCookies marks cookies Secure. Set it where the screens are reached by
	// HTTPS; on plain HTTP nobody could sign in.
	SecureCookies bool
	// TrustedOrigins are further origins ("https://host") whose pages may post
	// forms, for a proxy that changes the Host header.
	TrustedOrigins []string
	// TrustedProxies are the addresses, or ranges, of proxies whose word for where a request
	// comes from is taken.
	TrustedProxies []string
	// Origin is where people come to, such as "https://coldkeep.example"; "" takes it from
	// each request.
	Origin string
	// Identity is how the registry names itself in HL7 messages; hl7.DefaultIdentity when it
	// has no application.
	Identity hl7.Identity
	// SignIn are the rules about sign-ins, Provider a state's identity provider.
	SignIn   auth.Rules
	Provider *auth.Provider
}

// Registry is an open registry.
type Registry struct {
	db      *database.DB
	clock   coldkeep.Clock
	log     *slog.Logger
	store   *store.Store
	auth    *auth.Service
	enrol   *enrolment.Service
	templog *templog.Service
	stock   *inventory.Service
	doses   *immunization.Service
	people  *patient.Service
	quality *quality.Service
	records *exchange.Service
	recall  *recall.Service
	handler http.Handler
	routes  []string

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open opens the registry and brings its tables up to date. EUNAVAILABLE when the
// database does not answer, EINVALID when the configuration is wrong.
func Open(ctx context.Context, c Config) (*Registry, error) {
	if c.Database == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "registry: no database is named")
	}
	if c.Clock == nil {
		c.Clock = coldkeep.RealClock{}
	}
	if c.Codes == nil {
		c.Codes = vaccine.Builtin()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db, err := database.Open(ctx, c.Database)
	if err != nil {
		return nil, err
	}
	r := &Registry{db: db, clock: c.Clock, log: c.Log}
	if err := r.open(ctx, c); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return r, nil
}

func (r *Registry) open(ctx context.Context, c Config) error {
	st, err := store.Open(ctx, r.db)
	if err != nil {
		return err
	}
	r.store = st
	// People sign in by the machine's clock, however fast a demo's runs, and so do
	// enrolments end and entries of the audit stand.
	wall := coldkeep.RealClock{}
	if r.auth, err = auth.New(st.Auth(), wall, c.SignIn); err != nil {
		return err
	}
	sealed, err := r.auth.SealSecrets(ctx)
	if err != nil {
		return err
	}
	if sealed > 0 {
		c.Log.Info("registry: secrets of authenticator apps, kept in clear until now, are encrypted", "people", sealed)
	}
	r.enrol = enrolment.New(st.Enrolment(), r.auth, wall)
	if err := r.enrol.EnsureTexts(ctx); err != nil {
		return err
	}
	look := review.New(st, wall)
	r.templog = templog.New(st.Templog(), c.Clock)
	r.stock = inventory.New(st.Inventory(), c.Clock)
	r.quality = quality.New(st.Quality(), c.Codes, coldkeep.RealClock{})
	r.people = patient.New(st.Patients(), c.Clock)
	inForce, err := schedules.New(ctx, st.Schedules(), c.Clock)
	if err != nil {
		return err
	}
	r.doses = immunization.New(st.Immunizations(), inForce, c.Codes, c.Clock)
	r.people.Follow(r.doses)
	covered := coverage.New(st.Coverage(), inForce, c.Clock)
	statements := vis.New(st.VIS(), c.Codes, c.Clock)
	r.doses.CheckStatements(statements)
	printed := forms.New(st.Forms(), r.doses, c.Clock, "")
	imports := onboarding.New(st.Onboarding(), r.people, r.doses, c.Clock)
	if c.Identity.Application == "" {
		c.Identity = hl7.DefaultIdentity
	}
	r.records = exchange.New(st.Exchange(), hl7.New(r.people, r.doses, c.Clock, c.Identity), c.Clock, c.SignIn.Secrets)
	r.recall = recall.New(recall.Config{Store: st.Recall(), Patients: r.people, Doses: r.doses, Schedule: inForce, Clock: c.Clock, Notifiers: c.Notifiers, Origin: c.Origin})
	if c.CollectorToken != "" {
		if err := r.auth.EnsureAccount(ctx, CollectorAccount, c.CollectorToken, auth.ScopeCollector); err != nil {
			return err
		}
	}
	searches := throttle.NewSearches()
	screens, err := web.New(web.Config{
		Searches: searches,
		Auth:     r.auth, Templog: r.templog, Inventory: r.stock, Patients: r.people, Immunizations: r.doses, Schedules: inForce, Onboarding: imports, Exchange: r.records, Quality: r.quality, Coverage: covered, Recall: r.recall, Forms: printed, VIS: statements,
		Enrolment: r.enrol, Review: look, Trail: st, Sessions: st.Sessions(),
		Readings: c.Readings, Inbox: c.Inbox, Live: c.Live, Devices: c.Devices, Latest: c.Latest, Verdicts: c.Verdicts, Channels: c.Channels,
		Clock: c.Clock, Log: c.Log, SecureCookies: c.SecureCookies, TrustedOrigins: c.TrustedOrigins,
		TrustedProxies: c.TrustedProxies, Origin: c.Origin, Provider: c.Provider,
	})
	if err != nil {
		return err
	}
	calls := api.New(api.Config{Searches: searches, Auth: r.auth, Templog: r.templog, Inventory: r.stock, Patients: r.people, Immunizations: r.doses, Quality: r.quality, Coverage: covered, Schedules: inForce, Onboarding: imports, Exchange: r.records, Recall: r.recall, SMSSecret: c.SMSSecret, Answers: st, Log: c.Log, Broker: c.Broker, Clock: c.Clock,
		Forms: printed, VIS: statements,
		Enrolment: r.enrol, Review: look, People: screens, Origin: c.Origin, Proxies: c.TrustedProxies})
	mux := http.NewServeMux()
	mux.Handle("/api/", calls)
	mux.Handle("/fhir/", calls)
	mux.Handle("/hl7", calls)
	mux.Handle("/soap/iis", calls)
	mux.Handle("/", screens)
	r.handler, r.routes = bare(pace(r.wellFormed(mux))), append(screens.Routes(), calls.Routes()...)

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.done.Go(func() { r.tidy(background, st, imports) })
	r.done.Go(func() {
		r.quality.Work(background, func(err error) { c.Log.Error("registry: counting for the data-quality report", "err", err) })
	})
	r.done.Go(func() { r.sweep(background) })
	r.done.Go(func() { r.enterRefused(background) })
	r.done.Go(func() {
		covered.Work(background, func(err error) { c.Log.Error("registry: assessing coverage", "err", err) })
	})
	r.done.Go(func() {
		imports.Work(background, func(err error) { c.Log.Error("registry: taking over a file", "err", err) })
	})
	r.done.Go(func() {
		r.records.Work(background, func(err error) { c.Log.Error("registry: messages of a file", "err", err) })
	})
	r.done.Go(func() {
		r.recall.Work(background, func(err error) { c.Log.Error("registry: reminders and recalls", "err", err) })
	})
	r.done.Go(func() {
		inForce.Watch(background, scheduleEvery, func(err error) { c.Log.Error("registry: immunization schedule", "err", err) })
	})
	return nil
}

// keepAnswers is for how long a repeated call gets its first answer. The
// collector's outbox re-sends for days, not for a month.
const keepAnswers = 35 * 24 * time.Hour

// scheduleEvery is how often a registry looks whether another process has put another
// immunization schedule in force.
const scheduleEvery = 15 * time.Second

// tidy deletes expired sessions, old answers and the values of old imports, and says in the
// log where the audit ends, at start and then hourly.
func (r *Registry) tidy(ctx context.Context, st *store.Store, imports *onboarding.Service) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := st.Tidy(ctx, time.Now().Add(-keepAnswers)); err != nil && ctx.Err() == nil {
			r.log.Error("registry: tidying", "err", err)
		}
		// Whoever may write to every table of the database does not write to the log.
		if heads, err := st.Heads(ctx); err == nil {
			r.log.Info("registry: the audit ends here", "anchor", audit.Anchor(heads))
		} else if ctx.Err() == nil {
			r.log.Error("registry: the audit's ends", "err", err)
		}
		if _, err := imports.Clear(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("registry: clearing imports", "err", err)
		}
		if _, err := r.records.Clear(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("registry: clearing messages", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refusedEvery is how long refused requests of a flood are counted before the trail has it.
const refusedEvery = time.Minute

// enterRefused enters the counts of floods of refused requests, at the end those that are
// left.
func (r *Registry) enterRefused(ctx context.Context) {
	tick := time.NewTicker(refusedEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		if err := r.auth.EnterRefused(context.WithoutCancel(ctx)); err != nil {
			r.log.Error("registry: counts of refused requests are not in the trail", "err", err)
		}
	}
}

// sweepEvery is how long the sweep for duplicates rests once it has seen every record, and
// sweepBatch how many it looks at before others may have their turn.
const (
	sweepEvery = 10 * time.Minute
	sweepBatch = 200
)

// sweep looks for records of one person among those that have changed.
func (r *Registry) sweep(ctx context.Context) {
	for {
		seen, _, err := r.people.Sweep(ctx, sweepBatch)
		if err != nil && ctx.Err() == nil {
			r.log.Error("registry: sweep for duplicates", "err", err)
		}
		pause := sweepEvery
		if seen == sweepBatch && err == nil {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// SFTP is the intake of HL7 files over SFTP, to be served by the caller. Uploads that have
// not ended are kept in folder. EINVALID without a host key.
func (r *Registry) SFTP(folder string, hostKeys []ssh.Signer) (*sftp.Server, error) {
	return sftp.New(sftp.Config{Folder: folder, HostKeys: hostKeys, Accounts: r.auth, Exchange: sftp.NewIntake(r.records, r.store.SFTP()), Log: r.log})
}

// Handler serves the screens at /, the API under /api/ and /fhir/, and HL7 at /hl7 and /soap/iis. Calls of the collector's
// read API that share the listener are to be registered as longer patterns of the
// same mux this handler is registered on with "/".
func (r *Registry) Handler() http.Handler { return r.handler }

// Routes lists what Handler answers, screens and calls, as "METHOD /path" with names for
// what varies. docs/permissions.md says of each who may use it.
func (r *Registry) Routes() []string { return slices.Clone(r.routes) }

// Close stops the registry's own work and closes its database. Servers of Handler
// are to be shut down first.
func (r *Registry) Close() error {
	r.stop()
	r.done.Wait()
	return coldkeep.Wrap(r.db.Close(), coldkeep.EUNAVAILABLE, "registry.Close", "database")
}

// Ready is nil when the database answers, and EUNAVAILABLE otherwise.
func (r *Registry) Ready(ctx context.Context) error {
	return coldkeep.Wrap(r.db.PingContext(ctx), coldkeep.EUNAVAILABLE, "registry.Ready", "the registry's database does not answer")
}

// CheckDevice checks a device's broker sign-in: username "site/agent" and its
// secret. ok is false for an unknown or revoked device and a wrong secret.
func (r *Registry) CheckDevice(ctx context.Context, username, password string) (site coldkeep.SiteID, agent coldkeep.AgentID, ok bool) {
	return r.auth.CheckDevice(ctx, username, password)
}

// AddDevice makes a device's account and returns its secret, which cannot be shown
// again. EINVALID for a wrong name, ENOTFOUND for an unknown site, ECONFLICT when
// the device has an account.
func (r *Registry) AddDevice(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (secret string, err error) {
	return r.auth.AddDevice(ctx, auth.System("Command line"), site, agent)
}

// EnsureAccount makes the interface account of that name with a token and scopes
// (auth.ScopeCollector, auth.ScopeUnits), or gives it these when it exists. A token
// shorter than 16 characters is EINVALID.
func (r *Registry) EnsureAccount(ctx context.Context, name, token string, scopes ...string) error {
	return r.auth.EnsureAccount(ctx, name, token, scopes...)
}

// DeviceKey returns the public key, in base64url, by which a device's seals are to be
// signed; "" when it was let in without one. ENOTFOUND for an unknown device.
func (r *Registry) DeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (string, error) {
	return r.auth.DeviceKey(ctx, site, agent)
}

// DemoPerson is somebody of the demo, with the password to be printed.
type DemoPerson = demo.Person

// FurnishDemo fills the registry with the demo's two clinics: sites, people, units,
// probes, device accounts and lots. Called again it adds only what is missing and
// gives the devices the secrets handed in. secrets holds one per device by
// "site/agent"; DemoDevices lists them, and one that is not handed in is EINVALID.
// phone is a webhook that alarms call, with the path DemoPhonePath; "" is none.
func (r *Registry) FurnishDemo(ctx context.Context, secrets map[string]string, phone string) ([]DemoPerson, error) {
	people, err := demo.Furnish(ctx, demo.Services{Auth: r.auth, Enrolment: r.enrol, Templog: r.templog, Inventory: r.stock, Patients: r.people, Immunizations: r.doses, Exchange: r.records, Recall: r.recall, Clock: r.clock}, secrets, phone)
	if err != nil {
		return nil, err
	}
	// The first count was made before there was anybody to count.
	_, err = r.quality.Count(ctx)
	return people, err
}

// DemoPhonePath is the path of FurnishDemo's phone.
const DemoPhonePath = demo.PhonePath

// DemoSender and DemoSenderToken are the demo's EHR, which may send HL7.
const (
	DemoSender      = demo.SenderName
	DemoSenderToken = demo.SenderToken
)

// DemoDevices lists the devices of the demo as "site/agent", for which FurnishDemo
// wants secrets.
func DemoDevices() []string { return demo.Devices() }
