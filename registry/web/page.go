package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/templog"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the templates by the name of their file, each with the layout.
type pages map[string]*template.Template

func parsePages(static *assets) (pages, error) {
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.parsePages", "templates")
	}
	out := pages{}
	for _, n := range names {
		name := strings.TrimSuffix(n.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := template.New("layout.html").Funcs(functions(static)).
			ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+n.Name())
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.parsePages", "template %s", name)
		}
		out[name] = t
	}
	return out, nil
}

// page is what every screen shows besides its own.
type page struct {
	Title  string
	Nav    string // the part of the menu that is lit
	Person auth.Principal
	// Open is that the person may use everything: nothing has to be done first.
	Open    bool
	Renew   *renewal          // what there is to say about the yearly enrolment
	MySites []auth.Membership // absent for who works at one site
	Flash   *flash
	Banner  *banner // absent on pages for nobody
	// Unheard are sites whose alarms nobody is told about, with the reason.
	Unheard []unheardSite
	Path    string // of this page, to come back to after a form
	Sites   map[coldkeep.SiteID]coldkeep.Site
	Zones   map[coldkeep.SiteID]*time.Location
	Now     time.Time
	Wall    time.Time // the machine's clock, which people's accounts and enrolments run by
	Data    any

	sent *sentForm // a form that was refused, to be shown as it was filled in
}

// Loc is the clinic's time zone.
func (p *page) Loc(site coldkeep.SiteID) *time.Location {
	if l := p.Zones[site]; l != nil {
		return l
	}
	return time.UTC
}

// OneZone is the time zone of the person's clinics when they share one, else "".
func (p *page) OneZone() string {
	zone := ""
	for _, s := range p.Sites {
		if zone != "" && zone != s.TimeZone {
			return ""
		}
		zone = s.TimeZone
	}
	return zone
}

// Common is the time zone of the person's clinics when they share one, else UTC: what is
// of several clinics is told in one time.
func (p *page) Common() *time.Location {
	l, err := time.LoadLocation(p.OneZone())
	if err != nil {
		return time.UTC
	}
	return l
}

// Site names a site.
func (p *page) Site(id coldkeep.SiteID) string {
	if s, ok := p.Sites[id]; ok {
		return s.Name
	}
	return string(id)
}

// May reports whether the person may do something at a site, to leave out what
// would be refused. The services decide.
func (p *page) May(perm string, site coldkeep.SiteID) bool {
	return p.Person.May(auth.Permission(perm), site)
}

// Anywhere reports whether the person may do something at some site.
func (p *page) Anywhere(perm string) bool { return p.Person.Anywhere(auth.Permission(perm)) }

// flash is a word about what a form has done, shown once.
type flash struct {
	Text  string
	Error bool
}

// banner is the open alerts at the top of every page: of a few units, so that it
// leaves room for the page, and a count of the rest.
type banner struct {
	Units []unitAlerts
	More  int // open alerts of units that are not shown
	Away  bool
}

// bannerUnits is how many units the banner shows.
const bannerUnits = 3

// render writes a page for the person who is signed in.
func (s *server) render(c *gin.Context, status int, name string, p *page) {
	ctx := c.Request.Context()
	p.Person, p.Now, p.Wall = principal(c), s.Clock.Now(), time.Now()
	if p.Path == "" {
		p.Path = c.Request.URL.RequestURI()
	}
	in := resumed(c)
	p.Open = in.Known() && in.Todo == ""
	if p.Open {
		p.Renew = renewalOf(in, time.Now())
		if err := s.furnish(ctx, p); err != nil {
			s.Log.Error("registry page", "page", name, "err", err)
			c.String(http.StatusInternalServerError, "An internal error has occurred. It has been logged.")
			return
		}
	}
	if p.Flash == nil && s.sessions.Exists(ctx, "flash") {
		kind, text, _ := strings.Cut(s.sessions.PopString(ctx, "flash"), ":")
		p.Flash = &flash{Text: text, Error: kind == "error"}
		p.sent = s.takeForm(c)
		if err := s.commit(c); err != nil {
			s.Log.Error("session", "err", err)
		}
	}
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, p); err != nil {
		s.Log.Error("registry page", "page", name, "err", err)
		c.String(http.StatusInternalServerError, "An internal error has occurred. It has been logged.")
		return
	}
	c.Data(status, "text/html; charset=utf-8", s.refilled(c, p, b.Bytes()))
}

// furnish adds what every page of a person shows.
func (s *server) furnish(ctx context.Context, p *page) error {
	sites, err := s.Auth.Sites(ctx, p.Person)
	if err != nil {
		return err
	}
	p.Sites, p.Zones = map[coldkeep.SiteID]coldkeep.Site{}, map[coldkeep.SiteID]*time.Location{}
	for _, site := range sites {
		p.Sites[site.ID], p.Zones[site.ID] = site, zone(site)
	}
	if p.Person.Site != "" {
		if p.MySites, err = s.Auth.MySites(ctx, p.Person); err != nil {
			return err
		}
	}
	if !p.Person.Anywhere(auth.View) {
		return nil // alerts are of units, and those are not this person's
	}
	units, err := s.Templog.Units(ctx, p.Person)
	if err != nil {
		return err
	}
	if p.Unheard, err = s.unheardSites(ctx, p.Person, sites, units); err != nil {
		return err
	}
	alerts, err := s.alertList(ctx, p.Person, true)
	if err != nil {
		p.Banner = &banner{Away: true}
		return nil
	}
	p.Banner = &banner{Units: byUnit(alertViews(alerts, units), units)}
	if len(p.Banner.Units) > bannerUnits {
		for _, u := range p.Banner.Units[bannerUnits:] {
			p.Banner.More += len(u.Alerts)
		}
		p.Banner.Units = p.Banner.Units[:bannerUnits]
	}
	return nil
}

// renewal is what every page says about a practice's yearly enrolment.
type renewal struct {
	Ended bool
	Days  int // left
	On    time.Time
	May   bool // the person may renew it
}

// remindBefore is how long before its end people are reminded of an enrolment.
const remindBefore = 60 * 24 * time.Hour

func renewalOf(in auth.Resumed, now time.Time) *renewal {
	if in.EndsAt == nil || in.Site == "" || now.Before(in.EndsAt.Add(-remindBefore)) {
		return nil
	}
	return &renewal{Ended: in.Lapsed, Days: int(in.EndsAt.Sub(now).Hours() / 24), On: *in.EndsAt, May: in.May(auth.ApplyForSite, in.Site)}
}

// zone is the clinic's time zone; a name that this machine does not know is UTC.
func zone(s coldkeep.Site) *time.Location {
	l, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return time.UTC
	}
	return l
}

func unitNames(units []templog.Unit) map[coldkeep.ApplianceID]templog.Unit {
	out := make(map[coldkeep.ApplianceID]templog.Unit, len(units))
	for _, u := range units {
		out[u.ID] = u
	}
	return out
}

// fail shows an error as a page.
func (s *server) fail(c *gin.Context, err error) {
	c.Abort()
	code := coldkeep.ErrorCode(err)
	if errors.Is(err, context.Canceled) {
		return // nobody is waiting for the answer
	}
	if patient.IsLocked(err) && strings.HasPrefix(c.FullPath(), "/patients/:id") {
		s.lockedPage(c, c.Param("id"))
		return
	}
	if code == coldkeep.EINTERNAL {
		s.Log.Error("registry screen", "method", c.Request.Method, "route", c.FullPath(), "err", err)
	}
	title := "That did not work"
	switch code {
	case coldkeep.ENOTFOUND:
		title = "Not found"
	case coldkeep.EFORBIDDEN:
		title = "Not allowed"
	}
	s.render(c, coldkeep.Status(code), "error", &page{Title: title, Data: coldkeep.ErrorMessage(err)})
}

// done answers a form: back to where it was sent from, with a word. An error of the
// person's making is the word, beside the form as it was filled in; any other is a page
// of its own.
func (s *server) done(c *gin.Context, back, word string, err error) {
	switch coldkeep.ErrorCode(err) {
	case "":
		s.flash(c, "ok:"+word)
	case coldkeep.EINVALID, coldkeep.ECONFLICT, coldkeep.EUNAVAILABLE, coldkeep.ETOOMANY:
		s.keepForm(c)
		s.flash(c, "error:"+coldkeep.ErrorMessage(err))
	default:
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, written(back))
}

// written is a path as it is written in an answer's head, where ids that a form's address
// named stand as they came.
func written(path string) string {
	if u, err := url.Parse(path); err == nil {
		return u.String()
	}
	return (&url.URL{Path: path}).String()
}

func (s *server) flash(c *gin.Context, word string) {
	s.sessions.Put(c.Request.Context(), "flash", word)
	if err := s.commit(c); err != nil {
		s.Log.Error("session", "err", err)
	}
}

// local is a path of our own to go to, or fallback: never another site.
func local(target, fallback string) string {
	u, err := url.Parse(target)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.Contains(target, `\`) {
		return fallback
	}
	return target
}
