package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

type adminPage struct {
	Sites  []coldkeep.Site
	People []auth.Person
	Roles  []auth.Role // that the person may give
}

func (s *server) admin(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	if err := who.Require(auth.ManageUnits, who.Site); err != nil {
		s.fail(c, err)
		return
	}
	p := adminPage{}
	var err error
	if p.Sites, err = s.Templog.Sites(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	if p.People, err = s.Auth.People(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	// The form starts with the role that may least: more is given on purpose.
	p.Roles = slices.DeleteFunc(auth.Roles(), func(r auth.Role) bool { return r.Programme() && !who.May(auth.ManageProgramme, "") })
	slices.Reverse(p.Roles)
	s.render(c, http.StatusOK, "admin", &page{Title: "Set-up", Nav: "admin", Data: p})
}

func (s *server) addSite(c *gin.Context) {
	err := s.Templog.AddSite(c.Request.Context(), principal(c), coldkeep.Site{
		ID: coldkeep.SiteID(c.PostForm("id")), Name: c.PostForm("name"), VFCPIN: c.PostForm("vfc_pin"), TimeZone: c.PostForm("time_zone"),
	})
	s.done(c, "/admin", "The site has been added.", err)
}

type adminSitePage struct {
	Site        coldkeep.Site
	Loc         *time.Location
	Units       []templog.Unit
	Names       map[coldkeep.ApplianceID]string
	Devices     []coldkeep.Device
	Assignments []coldkeep.Assignment
	Calibrated  []probeCertificate
	OnCall      coldkeep.OnCall
	Unheard     string // why nobody is told about this site's alarms
	Profiles    []string
	NewDevice   string // "site/agent", with its secret, shown once
	Secret      string
}

func (s *server) adminSite(c *gin.Context) { s.showSite(c, http.StatusOK, "", "") }

func (s *server) showSite(c *gin.Context, status int, device, secret string) {
	ctx, who, id := c.Request.Context(), principal(c), coldkeep.SiteID(c.Param("site"))
	if err := who.Require(auth.ManageUnits, id); err != nil {
		s.fail(c, err)
		return
	}
	p := adminSitePage{Profiles: coldkeep.ProfileNames(), Names: map[coldkeep.ApplianceID]string{}, NewDevice: device, Secret: secret}
	sites, err := s.Templog.Sites(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	i := slices.IndexFunc(sites, func(x coldkeep.Site) bool { return x.ID == id })
	if i < 0 {
		s.fail(c, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no site %q.", id))
		return
	}
	p.Site, p.Loc = sites[i], zone(sites[i])
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	for _, u := range units {
		if u.Site != id {
			continue
		}
		p.Units, p.Names[u.ID] = append(p.Units, u), u.Name
		as, err := s.Templog.Assignments(ctx, who, u.ID)
		if err != nil {
			s.fail(c, err)
			return
		}
		p.Assignments = append(p.Assignments, as...)
	}
	if p.Devices, err = s.Auth.Devices(ctx, who, id); err != nil {
		s.fail(c, err)
		return
	}
	if p.OnCall, err = s.Templog.OnCall(ctx, who, id); err != nil {
		s.fail(c, err)
		return
	}
	p.Unheard = unheard(p.OnCall, s.channels(ctx))
	if p.Calibrated, err = s.certificates(ctx, who, p.Site); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, status, "site", &page{Title: p.Site.Name, Nav: "admin", Data: p})
}

func siteBack(c *gin.Context) string { return "/admin/sites/" + c.Param("site") }

func (s *server) addUnit(c *gin.Context) {
	err := s.Templog.AddAppliance(c.Request.Context(), principal(c), coldkeep.Appliance{
		ID: coldkeep.ApplianceID(c.PostForm("id")), Site: coldkeep.SiteID(c.Param("site")), Name: c.PostForm("name"),
		Unit: coldkeep.Unit(c.PostForm("unit")), Profile: c.PostForm("profile"), InService: true,
	})
	s.done(c, siteBack(c), "The unit has been added.", err)
}

// addDevice answers with the page itself: the secret is in it once and nowhere else.
func (s *server) addDevice(c *gin.Context) {
	agent := coldkeep.AgentID(strings.TrimSpace(c.PostForm("agent")))
	secret, err := s.Auth.AddDevice(c.Request.Context(), principal(c), coldkeep.SiteID(c.Param("site")), agent)
	if err != nil {
		s.done(c, siteBack(c), "", err)
		return
	}
	s.showSite(c, http.StatusOK, c.Param("site")+"/"+string(agent), secret)
}

func (s *server) revokeDevice(c *gin.Context) {
	err := s.Auth.RevokeDevice(c.Request.Context(), principal(c), coldkeep.SiteID(c.Param("site")), coldkeep.AgentID(c.Param("agent")))
	s.done(c, siteBack(c), "The device's account has been revoked.", err)
}

func (s *server) assignProbe(c *gin.Context) {
	site := coldkeep.SiteID(c.Param("site"))
	err := func() error {
		from, err := s.formTime(c, "from", site, s.Clock.Now())
		if err != nil {
			return err
		}
		a := coldkeep.Assignment{
			Series:    coldkeep.Series{Site: site, Agent: coldkeep.AgentID(c.PostForm("agent")), Probe: coldkeep.ProbeID(strings.TrimSpace(c.PostForm("probe")))},
			Appliance: coldkeep.ApplianceID(c.PostForm("unit")), Role: coldkeep.Role(c.PostForm("role")), From: from,
		}
		if c.PostForm("to") != "" {
			to, err := s.formTime(c, "to", site, time.Time{})
			if err != nil {
				return err
			}
			a.To = &to
		}
		return s.Templog.Assign(c.Request.Context(), principal(c), a)
	}()
	s.done(c, local(c.PostForm("back"), siteBack(c)), "The probe has been assigned.", err)
}

func (s *server) endProbe(c *gin.Context) {
	site := coldkeep.SiteID(c.Param("site"))
	err := func() error {
		from, err := time.Parse(time.RFC3339Nano, c.PostForm("from"))
		if err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "from: %q is not a time.", c.PostForm("from"))
		}
		to, err := s.formTime(c, "to", site, s.Clock.Now())
		if err != nil {
			return err
		}
		return s.Templog.EndAssignment(c.Request.Context(), principal(c), coldkeep.Assignment{
			Series:    coldkeep.Series{Site: site, Agent: coldkeep.AgentID(c.PostForm("agent")), Probe: coldkeep.ProbeID(c.PostForm("probe"))},
			Appliance: coldkeep.ApplianceID(c.PostForm("unit")), From: from,
		}, to)
	}()
	s.done(c, siteBack(c), "The probe has been taken out.", err)
}

func (s *server) setOnCall(c *gin.Context) {
	err := func() error {
		n, err := formNumber(c, "repeat")
		if err != nil {
			return err
		}
		return s.Templog.SetOnCall(c.Request.Context(), principal(c), coldkeep.OnCall{
			Site: coldkeep.SiteID(c.Param("site")), Webhooks: strings.Fields(c.PostForm("webhooks")), Emails: strings.Fields(c.PostForm("emails")), RepeatAfter: n * 60,
		})
	}()
	s.done(c, siteBack(c), "Whom alarms call has been kept.", err)
}
