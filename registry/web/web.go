// Package web is the registry's screens: server-made HTML that works without
// scripts, with a little script on top for live updates and the chart. What it
// needs of the collector it asks through three small interfaces; when the
// collector is away the pages say so and show what the registry itself knows.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/onboarding"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/quality"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/throttle"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// Readings gives an appliance's readings, downsampled into at most n buckets that
// never hide an extreme. EUNAVAILABLE when the collector is away.
type Readings interface {
	Buckets(ctx context.Context, appliance coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error)
}

// Inbox is the collector's alerts. EUNAVAILABLE when the collector is away.
type Inbox interface {
	// Alerts lists a site's alerts, or every site's when site is "", newest first.
	Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error)
	// Acknowledge answers an alert in a person's name. ENOTFOUND when there is none.
	Acknowledge(ctx context.Context, id, person, note string) error
}

// Live tells screens that something has changed.
type Live interface {
	// Subscribe returns a channel of events that is closed when ctx ends.
	Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent
}

// Config is what the screens stand on. What is asked of the collector may be absent.
type Config struct {
	Auth           *auth.Service
	Templog        *templog.Service
	Inventory      *inventory.Service
	Enrolment      *enrolment.Service
	Review         *review.Service
	Patients       *patient.Service
	Immunizations  *immunization.Service
	Schedules      *schedules.Service
	Onboarding     *onboarding.Service
	Exchange       *exchange.Service
	Quality        *quality.Service
	Coverage       *coverage.Service
	Recall         *recall.Service
	Forms          *forms.Service
	VIS            *vis.Service
	Searches       *throttle.Searches // shared with the API; absent: limits of the screens' own
	Trail          Trail
	Sessions       scs.CtxStore
	Readings       Readings
	Inbox          Inbox
	Live           Live
	Devices        Devices  // absent: the devices' accounts alone are shown
	Latest         Latest   // absent: probes that stand nowhere are shown without a value
	Verdicts       Verdicts // absent: other profiles are not asked
	Channels       Channels // absent: every channel is taken to be set up
	Clock          coldkeep.Clock
	Log            *slog.Logger
	SecureCookies  bool
	TrustedOrigins []string

	// Origin is where people come to, such as "https://coldkeep.example", which passkeys and
	// the identity provider need to know; "" takes it from the request.
	Origin string
	// Provider is a state's identity provider; absent: people sign in here.
	Provider *auth.Provider
	// TrustedProxies are the addresses, or ranges, of proxies whose word for where a request
	// comes from is taken. Without any, that is who has connected.
	TrustedProxies []string
}

// Trail is the audit trail: read by a page, and added to when an alert, which the
// collector keeps, is acknowledged here.
type Trail interface {
	audit.Reader
	Record(ctx context.Context, e audit.Entry) error
}

type server struct {
	Config
	sessions *scs.SessionManager
	guard    *http.CrossOriginProtection
	limits   limits
	pages    pages
	static   *assets
	lost     patience
}

// Screens are the screens as one handler.
type Screens struct {
	*server
	handler http.Handler
	routes  []string
}

// Routes lists what the screens answer, as "METHOD /path" with names for what varies.
func (s *Screens) Routes() []string { return slices.Clone(s.routes) }

// ServeHTTP implements http.Handler.
func (s *Screens) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// New returns the screens. EINVALID when an origin or a proxy is none.
func New(c Config) (*Screens, error) {
	if c.Readings == nil {
		c.Readings = away{}
	}
	if c.Inbox == nil {
		c.Inbox = away{}
	}
	if c.Searches == nil {
		c.Searches = throttle.NewSearches()
	}
	s := &server{Config: c, sessions: scs.New(), limits: newLimits()}
	s.sessions.Store = c.Sessions
	s.sessions.HashTokenInStore = true
	// How long one lasts without use is the sign-in's to say (auth.Rules): what a page asks
	// by itself is no use, and scs cannot tell it apart.
	s.sessions.Lifetime = c.Auth.Rules().Longest
	s.sessions.Cookie.Name = "coldkeep_session"
	s.sessions.Cookie.HttpOnly = true
	s.sessions.Cookie.SameSite = http.SameSiteLaxMode
	s.sessions.Cookie.Secure = c.SecureCookies
	var err error
	if s.static, err = newAssets(); err != nil {
		return nil, err
	}
	if s.pages, err = parsePages(s.static); err != nil {
		return nil, err
	}
	guard := http.NewCrossOriginProtection()
	for _, o := range c.TrustedOrigins {
		if err := guard.AddTrustedOrigin(o); err != nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "trusted origin %q: want scheme://host", o)
		}
	}
	if u, err := url.Parse(c.Origin); c.Origin != "" && (err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "origin %q: want scheme://host", c.Origin)
	}
	s.guard = guard
	e := s.engine()
	if err := e.SetTrustedProxies(c.TrustedProxies); err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "trusted proxy: want addresses or ranges such as 10.0.0.0/8")
	}
	var routes []string
	for _, r := range e.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return &Screens{server: s, handler: e, routes: routes}, nil
}

// away stands for a collector that is not there.
type away struct{}

var errAway = coldkeep.Errorf(coldkeep.EUNAVAILABLE, "The collector does not answer.")

func (away) Buckets(context.Context, coldkeep.ApplianceID, time.Time, time.Time, int) ([]coldkeep.Bucket, error) {
	return nil, errAway
}
func (away) Alerts(context.Context, coldkeep.SiteID, bool) ([]coldkeep.Alert, error) {
	return nil, errAway
}
func (away) Acknowledge(context.Context, string, string, string) error { return errAway }

func (s *server) engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.Use(s.recovered, secured, s.session, s.crossSite)
	e.NoRoute(s.signedIn, func(c *gin.Context) {
		s.fail(c, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no page %s.", c.Request.URL.Path))
	})
	e.NoMethod(func(c *gin.Context) { c.String(http.StatusMethodNotAllowed, "Method not allowed.") })

	e.GET("/static/*path", s.static.serve)
	s.signRoutes(e.Group("/", s.limited))
	s.applyRoutes(e.Group("/", s.limited))

	in := e.Group("/", s.signedIn, s.limited)
	in.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, landing(principal(c))) })
	in.GET("/banner", func(c *gin.Context) { s.render(c, http.StatusOK, "banner", &page{Title: "Alerts"}) })
	in.POST("/signout", s.signOut)
	s.accountRoutes(in)
	s.peopleRoutes(in)
	s.policyRoutes(in)
	s.enrolmentRoutes(in)
	s.interfaceRoutes(in)
	s.auditRoutes(in)
	in.GET("/units", s.units)
	in.GET("/units/:id", s.unit)
	in.GET("/units/:id/data.json", s.unitData)
	in.GET("/units/:id/excursions/:excursion", s.excursion)
	in.POST("/units/:id/contexts", s.addContext)
	in.POST("/units/:id/contexts/:context/end", s.endContext)
	in.POST("/units/:id/acknowledge", s.acknowledgeUnit)
	in.GET("/alerts", s.alerts)
	in.POST("/alerts/:id/acknowledge", s.acknowledge)
	in.GET("/lots", s.lots)
	in.POST("/lots", s.receiveLot)
	s.undeductedRoutes(in)
	in.GET("/lots/:id", s.lot)
	in.POST("/lots/:id/budget", s.setBudget)
	in.POST("/lots/:id/move", s.moveLot)
	in.POST("/lots/:id/doses", s.countLot)
	in.POST("/holds/:id/lots/:lot", s.decideHold)
	in.POST("/proposals/:id", s.decideProposal)
	in.GET("/devices", s.devices)
	in.POST("/devices/claims/accept", s.acceptClaim)
	in.POST("/devices/claims/refuse", s.refuseClaim)
	in.GET("/admin", s.admin)
	in.POST("/admin/sites", s.addSite)
	in.GET("/admin/sites/:site", s.adminSite)
	in.POST("/admin/sites/:site/units", s.addUnit)
	in.GET("/admin/sites/:site/units/:id", s.adminUnit)
	in.POST("/admin/sites/:site/units/:id/service", s.setService)
	in.POST("/admin/sites/:site/units/:id/profile", s.setProfile)
	in.POST("/admin/sites/:site/units/:id/limits", s.setLimits)
	in.POST("/admin/sites/:site/calibrations", s.calibrate)
	in.POST("/admin/sites/:site/devices", s.addDevice)
	in.POST("/admin/sites/:site/devices/:agent/revoke", s.revokeDevice)
	in.POST("/admin/sites/:site/probes", s.assignProbe)
	in.POST("/admin/sites/:site/probes/end", s.endProbe)
	in.POST("/admin/sites/:site/on-call", s.setOnCall)
	in.GET("/trail", s.trail)
	s.qualityRoutes(in)
	s.coverageRoutes(in)
	in.GET("/live", s.live)
	s.patientRoutes(in)
	s.doseRoutes(in)
	s.scheduleRoutes(in)
	s.importRoutes(in)
	s.exchangeRoutes(in)
	e.POST("/exchange/files", s.signedIn, s.atMost(exchange.MaxFile+(1<<20)), s.sendExchangeFile)
	s.recallRoutes(in)
	s.stopRoutes(e.Group("/", s.limited))
	e.POST("/import", s.signedIn, s.atMost(onboarding.MaxBytes+(1<<20)), s.uploadImport)
	e.POST("/admin/schedules", s.signedIn, s.atMost(maxRelease), s.loadSchedule)
	s.formRoutes(in)
	s.statementRoutes(in)
	s.verifyRoutes(e)
	e.POST("/vis/editions/:code/texts", s.signedIn, s.atMost(vis.MaxText+(1<<20)), s.addStatementText)
	return e
}

// secured sets the headers every answer carries. Scripts and styles come from
// files of our own only; no page may be framed.
func secured(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// session loads the session of the cookie. scs's own middleware wraps the response
// in a writer that cannot be flushed, so commit is called where a session changes.
func (s *server) session(c *gin.Context) {
	token := ""
	if k, err := c.Request.Cookie(s.sessions.Cookie.Name); err == nil {
		token = k.Value
	}
	ctx, err := s.sessions.Load(c.Request.Context(), token)
	if err != nil { // without a session there is no page to put it on
		s.Log.Error("session", "err", err)
		c.Abort()
		c.String(http.StatusServiceUnavailable, "The registry's database does not answer. Try again in a moment.")
		return
	}
	c.Request = c.Request.WithContext(ctx)
	c.Request = c.Request.WithContext(audit.WithOrigin(ctx, s.originOf(c)))
}

// commit keeps what has changed in the session, and must come before the answer.
func (s *server) commit(c *gin.Context) error {
	ctx := c.Request.Context()
	switch s.sessions.Status(ctx) {
	case scs.Modified:
		token, expiry, err := s.sessions.Commit(ctx)
		if err != nil {
			return err
		}
		s.sessions.WriteSessionCookie(ctx, c.Writer, token, expiry)
	case scs.Destroyed:
		s.sessions.WriteSessionCookie(ctx, c.Writer, "", time.Time{})
	}
	c.Header("Cache-Control", "no-store")
	return nil
}

func (s *server) recovered(c *gin.Context) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(r)
			}
			s.Log.Error("registry screen panic", "route", c.FullPath(), "panic", r)
			c.Abort()
			if !c.Writer.Written() {
				c.String(http.StatusInternalServerError, "An internal error has occurred. It has been logged.")
			}
		}
	}()
	c.Next()
}
