package web

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/enrolment"
)

// policyRoutes are the texts that people accept. Everybody who is signed in reads and
// accepts them; manage-programme changes them.
func (s *server) policyRoutes(in *gin.RouterGroup) {
	in.GET("/policies", s.policies)
	in.GET("/policies/accept", s.acceptForm)
	in.POST("/policies/accept", s.accept)
	in.GET("/admin/policies/:kind", s.editPolicy)
	in.POST("/admin/policies/:kind", s.publishPolicy)
}

func (s *server) policies(c *gin.Context) {
	var all []enrolment.Policy
	for _, kind := range enrolment.PolicyKinds() {
		p, err := s.Enrolment.Current(c.Request.Context(), kind)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			continue
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		all = append(all, p)
	}
	s.render(c, http.StatusOK, "policies", &page{Title: "Policies and agreements", Nav: "policies", Data: all})
}

func (s *server) acceptForm(c *gin.Context) {
	pending, err := s.Enrolment.Pending(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	if len(pending) == 0 {
		c.Redirect(http.StatusSeeOther, "/")
		return
	}
	s.render(c, http.StatusOK, "accept", &page{Title: "Before you begin", Data: pending})
}

func (s *server) accept(c *gin.Context) {
	versions := map[enrolment.PolicyKind]int64{}
	for _, kind := range enrolment.PolicyKinds() {
		if n, err := strconv.ParseInt(c.PostForm(string(kind)), 10, 64); err == nil {
			versions[kind] = n
		}
	}
	if err := s.Enrolment.Accept(c.Request.Context(), principal(c), versions); err != nil {
		s.done(c, "/policies/accept", "", err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/")
}

type policyPage struct {
	Kind     enrolment.PolicyKind
	Current  enrolment.Policy
	Versions []enrolment.Policy
	Accepted []enrolment.Acceptance
}

func (s *server) editPolicy(c *gin.Context) {
	ctx, who, kind := c.Request.Context(), principal(c), enrolment.PolicyKind(c.Param("kind"))
	p := policyPage{Kind: kind}
	var err error
	if p.Versions, err = s.Enrolment.Versions(ctx, who, kind); err != nil {
		s.fail(c, err)
		return
	}
	if len(p.Versions) > 0 {
		p.Current = p.Versions[0]
	}
	if p.Accepted, err = s.Enrolment.Acceptances(ctx, who, kind); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "policy", &page{Title: p.Current.Title, Nav: "policies", Data: p})
}

func (s *server) publishPolicy(c *gin.Context) {
	base, err := strconv.ParseInt(c.PostForm("base"), 10, 64)
	if err != nil {
		base = -1
	}
	_, err = s.Enrolment.Publish(c.Request.Context(), principal(c), enrolment.PolicyKind(c.Param("kind")), base, c.PostForm("title"), c.PostForm("body"))
	s.done(c, "/admin/policies/"+c.Param("kind"), "The new version is in force. Everybody is asked to accept it.", err)
}
