package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// probeCertificate is a probe with the certificate in force and those before it.
type probeCertificate struct {
	coldkeep.Series
	templog.Certificate
	Expiry *templog.Expiry // absent: it has no end
	Unit   string          // where the probe stands; "" nowhere
	Past   []templog.Certificate
}

// Name is the probe as the screens show it.
func (p probeCertificate) Name() string { return string(p.Agent) + "/" + string(p.Probe) }

// soon is how close to its end a certificate is told of on the first page, in days.
const soon = 30

// certificates lists the probes of a site that have a certificate or stand in a unit.
func (s *server) certificates(ctx context.Context, who auth.Principal, site coldkeep.Site) ([]probeCertificate, error) {
	all, err := s.Templog.Certificates(ctx, who, site.ID)
	if err != nil {
		return nil, err
	}
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		return nil, err
	}
	standing := map[coldkeep.Series]string{}
	for _, u := range units {
		if u.Site != site.ID {
			continue
		}
		as, err := s.Templog.Assignments(ctx, who, u.ID)
		if err != nil {
			return nil, err
		}
		for _, a := range as {
			if a.To == nil {
				standing[a.Series] = u.Name
			}
		}
	}
	local := s.Clock.Now().In(zone(site))
	var out []probeCertificate
	for _, c := range all {
		if n := len(out); n > 0 && out[n-1].Series == c.Series {
			out[n-1].Past = append(out[n-1].Past, c)
			continue
		}
		out = append(out, probeCertificate{Series: c.Series, Certificate: c, Expiry: c.Expiry(local), Unit: standing[c.Series]})
	}
	return out, nil
}

// expiring lists the certificates of probes in use that end within some days, or have
// ended.
func (s *server) expiring(ctx context.Context, who auth.Principal, site coldkeep.Site, days int) ([]probeCertificate, error) {
	all, err := s.certificates(ctx, who, site)
	return slices.DeleteFunc(all, func(p probeCertificate) bool { return p.Expiry == nil || p.Expiry.Days > days || p.Unit == "" }), err
}

func (s *server) calibrate(c *gin.Context) {
	err := func() error {
		k := coldkeep.Calibration{Series: coldkeep.Series{Site: coldkeep.SiteID(c.Param("site")), Agent: coldkeep.AgentID(c.PostForm("agent")), Probe: coldkeep.ProbeID(strings.TrimSpace(c.PostForm("probe")))},
			Certificate: c.PostForm("certificate"), Expires: c.PostForm("expires")}
		var err error
		if k.Offset, k.Table, err = formCorrection(c.PostForm("correction")); err != nil {
			return err
		}
		return s.Templog.Calibrate(c.Request.Context(), principal(c), k)
	}()
	s.done(c, siteBack(c), "The certificate has been kept and is in force.", err)
}

// formCorrection reads one offset, or a table with a temperature and its offset a line.
func formCorrection(text string) (offset coldkeep.Temperature, table [][2]coldkeep.Temperature, err error) {
	number := func(s string) (coldkeep.Temperature, error) {
		t, err := coldkeep.ParseTemperature(strings.NewReplacer("−", "-", ",", ".").Replace(s))
		if err != nil {
			return t, coldkeep.Errorf(coldkeep.EINVALID, "Correction: %.40q is not a number of °C.", s)
		}
		return t, nil
	}
	var lines [][]string
	for line := range strings.Lines(text) {
		if words := strings.Fields(strings.NewReplacer(";", " ", "\t", " ", "→", " ").Replace(line)); len(words) > 0 {
			lines = append(lines, words)
		}
	}
	switch {
	case len(lines) == 0:
		return 0, nil, coldkeep.Errorf(coldkeep.EINVALID, "Correction: want an offset such as -0.12, or lines of a temperature and its offset.")
	case len(lines) == 1 && len(lines[0]) == 1:
		offset, err = number(lines[0][0])
		return offset, nil, err
	}
	for i, words := range lines {
		if len(words) != 2 {
			return 0, nil, coldkeep.Errorf(coldkeep.EINVALID, "Correction, line %d: want a temperature and its offset, such as \"5 -0.09\".", i+1)
		}
		at, err := number(words[0])
		if err != nil {
			return 0, nil, err
		}
		off, err := number(words[1])
		if err != nil {
			return 0, nil, err
		}
		table = append(table, [2]coldkeep.Temperature{at, off})
	}
	return 0, table, nil
}

// addContext notes what a person knows about a unit's time.
func (s *server) addContext(c *gin.Context) {
	id := coldkeep.ApplianceID(c.Param("id"))
	err := func() error {
		site, err := s.siteOf(c, id)
		if err != nil {
			return err
		}
		k := coldkeep.Context{Appliance: id, Kind: coldkeep.ContextKind(c.PostForm("kind")), Note: c.PostForm("note")}
		if k.From, err = s.formTime(c, "from", site, s.Clock.Now()); err != nil {
			return err
		}
		if c.PostForm("to") != "" {
			to, err := s.formTime(c, "to", site, time.Time{})
			if err != nil {
				return err
			}
			k.To = &to
		}
		_, err = s.Templog.AddContext(c.Request.Context(), principal(c), k)
		return err
	}()
	s.done(c, "/units/"+string(id)+"#h-contexts", "It has been noted.", err)
}

func (s *server) endContext(c *gin.Context) {
	err := s.Templog.EndContext(c.Request.Context(), principal(c), c.Param("context"), s.Clock.Now())
	s.done(c, "/units/"+c.Param("id")+"#h-contexts", "It has been noted that it is over.", err)
}

type adminUnitPage struct {
	Unit     templog.Unit
	Site     coldkeep.Site
	Profile  *coldkeep.UnitRules // without the site's own range
	Profiles []profileChoice
	Loosen   bool // the person may go beyond the profile's range
	Manage   bool
	Spans    []coldkeep.Context // out of service
}

// profileChoice is a profile that covers the unit.
type profileChoice struct {
	Name, Title string
	Range       string
	On          bool
}

func (s *server) adminUnit(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	u, site, err := s.Templog.Unit(ctx, who, coldkeep.ApplianceID(c.Param("id")))
	if err == nil && string(site.ID) != c.Param("site") {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such unit at this site.")
	}
	if err == nil && !who.May(auth.LoosenRules, site.ID) {
		err = who.Require(auth.ManageUnits, site.ID)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	p := adminUnitPage{Unit: u, Site: site, Loosen: who.May(auth.LoosenRules, site.ID), Manage: who.May(auth.ManageUnits, site.ID)}
	bare := u.Appliance
	bare.Limits = nil
	if p.Profile, err = templog.Rules(bare); err != nil {
		s.fail(c, err)
		return
	}
	for _, name := range templog.ProfilesFor(u.Appliance.Unit) {
		bare.Profile = name
		profile, err := coldkeep.FindProfile(name)
		if err != nil {
			s.fail(c, err)
			return
		}
		rules, err := templog.Rules(bare)
		if err != nil {
			s.fail(c, err)
			return
		}
		p.Profiles = append(p.Profiles, profileChoice{name, profile.Title, limit(rules.Low) + " to " + limit(rules.High), name == u.Profile})
	}
	all, err := s.Templog.Contexts(ctx, who, u.ID)
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Spans = slices.DeleteFunc(all, func(k coldkeep.Context) bool { return k.Kind != coldkeep.ContextOutOfService })
	s.render(c, http.StatusOK, "adminunit", &page{Title: u.Name, Nav: "admin", Data: p})
}

func unitBack(c *gin.Context) string {
	return "/admin/sites/" + c.Param("site") + "/units/" + c.Param("id")
}

func (s *server) setService(c *gin.Context) {
	in := c.PostForm("in_service") == "yes"
	word := "The unit is out of service. Its readings are not judged."
	if in {
		word = "The unit is in service."
	}
	s.done(c, unitBack(c), word, s.Templog.SetInService(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), in, c.PostForm("note")))
}

func (s *server) setProfile(c *gin.Context) {
	err := s.Templog.SetProfile(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), c.PostForm("profile"), c.PostForm("reason"))
	s.done(c, unitBack(c), "The unit is judged by profile "+c.PostForm("profile")+" from now on.", err)
}

func (s *server) setLimits(c *gin.Context) {
	word := "The unit has a range of its own."
	err := func() error {
		if c.PostForm("whose") == "profile" {
			word = "The unit has the profile's range."
			return s.Templog.SetLimits(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), nil)
		}
		l := coldkeep.Limits{Reason: c.PostForm("reason")}
		for field, into := range map[string]*coldkeep.Threshold{"low": &l.Low, "high": &l.High} {
			text := fmt.Sprintf("%s%s", strings.NewReplacer("−", "-", ",", ".").Replace(strings.TrimSpace(c.PostForm(field))), c.PostForm("scale"))
			if err := into.UnmarshalText([]byte(text)); err != nil {
				return coldkeep.Errorf(coldkeep.EINVALID, "%s: %.20q is not a temperature.", map[string]string{"low": "Lowest", "high": "Highest"}[field], c.PostForm(field))
			}
		}
		return s.Templog.SetLimits(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), &l)
	}()
	s.done(c, unitBack(c), word, err)
}
