package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// applyRoutes are for organizations that have no account yet.
func (s *server) applyRoutes(open *gin.RouterGroup) {
	open.GET("/apply", s.applyForm)
	open.POST("/apply", s.fromAddress, s.apply)
	open.GET("/apply/status", s.applyStatusForm)
	open.POST("/apply/status", s.fromAddress, s.applyStatus)
}

// enrolmentRoutes are a practice's own enrolment (apply-for-site) and the state's decisions
// (approve-sites).
func (s *server) enrolmentRoutes(in *gin.RouterGroup) {
	in.GET("/enrolment", s.myEnrolment)
	in.POST("/enrolment/renew", s.renew)
	in.POST("/enrolment/sites", s.applyForSite)
	in.GET("/enrolments", s.enrolments)
	in.GET("/enrolments/:id", s.enrolment)
	in.POST("/enrolments/:id/approve", s.approve)
	in.POST("/enrolments/:id/refuse", s.refuse)
	in.POST("/enrolments/sites/:site/end", s.setEnrolmentEnd)
}

type applyPage struct {
	Form      enrolment.Form
	Kinds     []enrolment.Kind
	Agreement enrolment.Policy
	Purpose   enrolment.Purpose
	Action    string
	Error     string
	Code      string // by which one asks how it stands, shown once
	Sent      *enrolment.Application
	Asked     bool
}

func formOf(c *gin.Context) enrolment.Form {
	n, err := strconv.ParseInt(c.PostForm("agreement"), 10, 64)
	if err != nil {
		n = 0 // not ticked
	}
	return enrolment.Form{Kind: enrolment.Kind(c.PostForm("kind")), Organization: c.PostForm("organization"), Site: c.PostForm("site_name"),
		Street: c.PostForm("street"), City: c.PostForm("city"), State: c.PostForm("state"), ZIP: c.PostForm("zip"), Phone: c.PostForm("phone"), TimeZone: c.PostForm("time_zone"),
		Contact: c.PostForm("contact"), Email: c.PostForm("email"), Director: c.PostForm("director"), Licence: c.PostForm("licence"),
		VFC: c.PostForm("vfc") == "yes", VFCPIN: c.PostForm("vfc_pin"), Units: c.PostForm("units"), Username: c.PostForm("username"), Signer: c.PostForm("signer"), Agreement: n}
}

func (s *server) applyForm(c *gin.Context) {
	s.showApply(c, enrolment.Form{State: "IL", TimeZone: "America/Chicago"}, nil)
}

func (s *server) showApply(c *gin.Context, f enrolment.Form, err error) {
	p := applyPage{Form: f, Kinds: enrolment.Kinds(), Purpose: enrolment.Join, Action: "/apply"}
	status := http.StatusOK
	if err != nil {
		p.Error, status = coldkeep.ErrorMessage(err), coldkeep.Status(coldkeep.ErrorCode(err))
	}
	var missing error
	if p.Agreement, missing = s.Enrolment.Current(c.Request.Context(), enrolment.ProviderAgreement); missing != nil && coldkeep.ErrorCode(missing) != coldkeep.ENOTFOUND {
		s.fail(c, missing)
		return
	}
	s.render(c, status, "apply", &page{Title: "Apply to take part", Data: p})
}

func (s *server) apply(c *gin.Context) {
	if s.slow(c, s.limits.apply, throttle.Source(c.ClientIP())) {
		return
	}
	f := formOf(c)
	a, code, err := s.Enrolment.Apply(c.Request.Context(), f)
	if err != nil {
		s.showApply(c, f, err)
		return
	}
	s.render(c, http.StatusOK, "applied", &page{Title: "Your application has been sent", Data: applyPage{Sent: &a, Code: code}})
}

func (s *server) applyStatusForm(c *gin.Context) {
	s.render(c, http.StatusOK, "applied", &page{Title: "How an application stands", Data: applyPage{Asked: true}})
}

func (s *server) applyStatus(c *gin.Context) {
	a, err := s.Enrolment.Status(c.Request.Context(), c.PostForm("code"))
	p, status := applyPage{Asked: true}, http.StatusOK
	if err != nil {
		p.Error, status = coldkeep.ErrorMessage(err), coldkeep.Status(coldkeep.ErrorCode(err))
	} else {
		p.Sent = &a
	}
	s.render(c, status, "applied", &page{Title: "How an application stands", Data: p})
}

type enrolmentPage struct {
	Site      enrolment.SiteEnrolment
	Due       bool
	Ended     bool
	Sent      []enrolment.Application
	Waiting   bool // a renewal waits to be decided
	Renew     applyPage
	Another   applyPage
	MayDecide bool
}

func (s *server) myEnrolment(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	if who.Site == "" && who.May(auth.ApproveSites, "") {
		c.Redirect(http.StatusSeeOther, "/enrolments")
		return
	}
	e, err := s.Enrolment.Enrolment(ctx, who, who.Site)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := enrolmentPage{Site: e, Due: e.Due(time.Now()), Ended: e.Ended(time.Now())}
	if p.Sent, err = s.Enrolment.Applications(ctx, who, ""); err != nil {
		s.fail(c, err)
		return
	}
	for _, a := range p.Sent {
		p.Waiting = p.Waiting || a.Purpose == enrolment.Renew && a.Outcome == enrolment.Waiting
	}
	agreement, err := s.Enrolment.Current(ctx, enrolment.ProviderAgreement)
	if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		s.fail(c, err)
		return
	}
	f := enrolment.Form{Kind: e.Kind, Organization: e.OrganizationName, Site: e.Name, Street: e.Street, City: e.City, State: e.State, ZIP: e.ZIP, Phone: e.Phone,
		TimeZone: e.TimeZone, Director: e.Director, VFCPIN: e.VFCPIN, VFC: e.VFCPIN != "", Contact: who.Name}
	p.Renew = applyPage{Form: f, Kinds: enrolment.Kinds(), Agreement: agreement, Purpose: enrolment.Renew, Action: "/enrolment/renew"}
	f.Site, f.Street, f.City, f.ZIP, f.Phone, f.VFCPIN = "", "", "", "", "", ""
	p.Another = applyPage{Form: f, Kinds: enrolment.Kinds(), Agreement: agreement, Purpose: enrolment.AddSite, Action: "/enrolment/sites"}
	s.render(c, http.StatusOK, "myenrolment", &page{Title: "Enrolment of " + e.Name, Nav: "enrolment", Data: p})
}

func (s *server) renew(c *gin.Context) {
	_, err := s.Enrolment.Renew(c.Request.Context(), principal(c), principal(c).Site, formOf(c))
	s.done(c, "/enrolment", "The renewal has been sent. The state decides about it.", err)
}

func (s *server) applyForSite(c *gin.Context) {
	_, err := s.Enrolment.ApplyForSite(c.Request.Context(), principal(c), formOf(c))
	s.done(c, "/enrolment", "The application for one more site has been sent. The state decides about it.", err)
}

type enrolmentsPage struct {
	Waiting, Decided []enrolment.Application
	Sites            []enrolment.SiteEnrolment
}

func (s *server) enrolments(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	var p enrolmentsPage
	all, err := s.Enrolment.Applications(ctx, who, "")
	if err != nil {
		s.fail(c, err)
		return
	}
	for _, a := range all {
		if a.Outcome == enrolment.Waiting {
			p.Waiting = append(p.Waiting, a)
		} else {
			p.Decided = append(p.Decided, a)
		}
	}
	if p.Sites, err = s.Enrolment.Enrolments(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "enrolments", &page{Title: "Enrolments", Nav: "enrolment", Data: p})
}

type applicationPage struct {
	enrolment.Application
	Admitted *enrolment.Admitted // with a one-time password, shown once
}

func (s *server) enrolment(c *gin.Context) { s.showEnrolment(c, nil) }

func (s *server) showEnrolment(c *gin.Context, in *enrolment.Admitted) {
	a, err := s.Enrolment.Application(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "enrolment", &page{Title: a.Form.Site, Nav: "enrolment", Path: "/enrolments/" + a.ID, Data: applicationPage{a, in}})
}

func (s *server) approve(c *gin.Context) {
	in, err := s.Enrolment.Approve(c.Request.Context(), principal(c), c.Param("id"), enrolment.Approval{
		SiteID: coldkeep.SiteID(c.PostForm("site")), VFCPIN: c.PostForm("vfc_pin"), Username: c.PostForm("username")})
	if err != nil || in.Username == "" {
		s.done(c, "/enrolments/"+c.Param("id"), "The application has been approved.", err)
		return
	}
	s.showEnrolment(c, &in)
}

func (s *server) refuse(c *gin.Context) {
	err := s.Enrolment.Refuse(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("reason"))
	s.done(c, "/enrolments/"+c.Param("id"), "The application has been refused.", err)
}

func (s *server) setEnrolmentEnd(c *gin.Context) {
	var until *time.Time
	if v := c.PostForm("until"); v != "" {
		t, err := time.Parse(time.DateOnly, v)
		if err != nil {
			s.done(c, "/enrolments", "", coldkeep.Errorf(coldkeep.EINVALID, "Until: want a date."))
			return
		}
		until = &t
	}
	err := s.Enrolment.SetEnd(c.Request.Context(), principal(c), coldkeep.SiteID(c.Param("site")), until)
	s.done(c, "/enrolments", "The end of the enrolment has been set.", err)
}
