package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// deviceAnchor is where on the devices page a device stands; name is "site/agent".
func deviceAnchor(name string) string { return "device-" + strings.ReplaceAll(name, "/", "-") }

// deviceView is a device with what the collector has heard of it.
type deviceView struct {
	coldkeep.Device
	Health *coldkeep.DeviceHealth // absent: the collector has not said
	Loose  []looseProbe           // probes that stand in no unit
}

// Name is "site/agent".
func (d deviceView) Name() string { return string(d.Site) + "/" + string(d.Agent) }

// Anchor is where on the page the device stands.
func (d deviceView) Anchor() string { return deviceAnchor(d.Name()) }

// looseProbe is a probe that stands in no unit, with its last value.
type looseProbe struct {
	coldkeep.Series
	Reading *coldkeep.Reading
}

// Anchor tells the probe from the others of the page.
func (p looseProbe) Anchor() string { return strings.ReplaceAll(p.Series.String(), "/", "-") }

// At is when the last value was taken.
func (p looseProbe) At() time.Time { return time.UnixMilli(p.Reading.At).UTC() }

type siteDevices struct {
	Site    coldkeep.Site
	Devices []deviceView
	Units   []templog.Unit
	Away    bool // the collector does not answer
}

type devicesPage struct {
	Sites   []siteDevices
	May     bool         // take devices in
	Claim   *auth.Claim  // the one whose code was typed
	Waiting []auth.Claim // for who looks after the programme
	Code    string       // as typed
	Unknown string       // why there is no claim
}

func (s *server) devices(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	sites, err := s.Templog.Sites(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := devicesPage{May: who.Anywhere(auth.ManageUnits), Code: strings.TrimSpace(c.Query("code"))}
	for _, site := range sites {
		v, err := s.siteDevices(ctx, who, site)
		if err != nil {
			s.fail(c, err)
			return
		}
		v.Units = slices.DeleteFunc(slices.Clone(units), func(u templog.Unit) bool { return u.Site != site.ID })
		p.Sites = append(p.Sites, v)
	}
	if err := s.claims(ctx, who, &p); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "devices", &page{Title: "Devices", Nav: "devices", Data: p})
}

// claims looks up the claim whose code was typed, and those that wait.
func (s *server) claims(ctx context.Context, who auth.Principal, p *devicesPage) error {
	if !p.May {
		return nil
	}
	if p.Code != "" {
		claim, err := s.Auth.ClaimByCode(ctx, p.Code)
		switch coldkeep.ErrorCode(err) {
		case "":
			p.Claim = &claim
		case coldkeep.EINVALID, coldkeep.ENOTFOUND:
			p.Unknown = coldkeep.ErrorMessage(err)
		default:
			return err
		}
	}
	if !who.May(auth.ManageProgramme, "") {
		return nil
	}
	var err error
	p.Waiting, err = s.Auth.WaitingClaims(ctx, who)
	return err
}

// siteDevices joins the accounts that the registry keeps with what the collector hears.
func (s *server) siteDevices(ctx context.Context, who auth.Principal, site coldkeep.Site) (siteDevices, error) {
	v := siteDevices{Site: site}
	if who.May(auth.ManageUnits, site.ID) {
		accounts, err := s.Auth.Devices(ctx, who, site.ID)
		if err != nil {
			return v, err
		}
		for _, d := range accounts {
			v.Devices = append(v.Devices, deviceView{Device: d})
		}
	}
	if s.Devices == nil {
		v.Away = true
		return v, nil
	}
	health, err := ask(ctx, &s.lost, func(ctx context.Context) ([]coldkeep.DeviceHealth, error) { return s.Devices.Devices(ctx, site.ID) })
	if err != nil {
		v.Away = true
		return v, nil
	}
	for i := range health {
		h := &health[i]
		if h.Site != site.ID {
			continue
		}
		at := slices.IndexFunc(v.Devices, func(d deviceView) bool { return d.Agent == h.Agent })
		if at < 0 {
			v.Devices = append(v.Devices, deviceView{Device: coldkeep.Device{Site: h.Site, Agent: h.Agent}})
			at = len(v.Devices) - 1
		}
		v.Devices[at].Health = h
		v.Devices[at].Loose = s.loose(ctx, h)
	}
	slices.SortStableFunc(v.Devices, func(a, b deviceView) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	return v, nil
}

// loose lists a device's probes that stand nowhere, with the last that came of them.
func (s *server) loose(ctx context.Context, h *coldkeep.DeviceHealth) []looseProbe {
	out := make([]looseProbe, len(h.Unassigned))
	for i, probe := range h.Unassigned {
		out[i].Series = coldkeep.Series{Site: h.Site, Agent: h.Agent, Probe: probe}
		if s.Latest == nil {
			continue
		}
		r, err := ask(ctx, &s.lost, func(ctx context.Context) (coldkeep.Reading, error) { return s.Latest.Latest(ctx, out[i].Series) })
		if err == nil {
			out[i].Reading = &r
		}
	}
	return out
}

func (s *server) acceptClaim(c *gin.Context) {
	code, err := auth.ParseClaimCode(c.PostForm("code"))
	back := "/devices"
	if err == nil {
		back += "?code=" + code
		site, agent := coldkeep.SiteID(c.PostForm("site")), coldkeep.AgentID(strings.TrimSpace(c.PostForm("agent")))
		old := coldkeep.AgentID(c.PostForm("replaces"))
		if agent == "" {
			agent = old
		}
		if old != "" {
			err = s.Auth.AcceptInPlaceOf(c.Request.Context(), principal(c), code, site, agent, old)
		} else {
			err = s.Auth.AcceptClaim(c.Request.Context(), principal(c), code, site, agent, false)
		}
		if err == nil {
			back = "/devices#" + deviceAnchor(string(site)+"/"+string(agent))
		}
	}
	s.done(c, back, "The device has been let in. It connects within a minute; then assign its probes.", err)
}

func (s *server) refuseClaim(c *gin.Context) {
	code, err := auth.ParseClaimCode(c.PostForm("code"))
	if err == nil {
		err = s.Auth.RefuseClaim(c.Request.Context(), principal(c), code)
	}
	s.done(c, "/devices", "The device has been refused.", err)
}
