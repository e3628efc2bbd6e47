package web

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// peopleRoutes are the accounts of people: manage-people at every site of the person, and
// manage-programme for people of the programme.
func (s *server) peopleRoutes(in *gin.RouterGroup) {
	in.GET("/admin/people", s.people)
	in.POST("/admin/people", s.addPerson)
	in.GET("/admin/people/:id", s.person)
	in.POST("/admin/people/:id", s.setPerson)
	in.POST("/admin/people/:id/role", s.setRole)
	in.POST("/admin/people/:id/leave", s.leaveSite)
	in.POST("/admin/people/:id/reset", s.resetPassword)
	in.POST("/admin/people/:id/second-factor", s.resetSecondFactor)
}

type peoplePage struct {
	People []auth.Person
	Roles  []auth.Role // that the person may give
	Sites  []coldkeep.Site
}

// givable are the roles that who may give, that with the least rights first: more is given
// on purpose.
func givable(who auth.Principal) []auth.Role {
	roles := slices.DeleteFunc(auth.Roles(), func(r auth.Role) bool { return r.Programme() && !who.May(auth.ManageProgramme, "") })
	slices.Reverse(roles)
	return roles
}

func (s *server) people(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	p := peoplePage{Roles: givable(who)}
	var err error
	if p.People, err = s.Auth.People(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	if p.Sites, err = s.Auth.Sites(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "people", &page{Title: "People", Nav: "people", Data: p})
}

// addPerson answers with the person's page when a password was made: it is in it once and
// nowhere else.
func (s *server) addPerson(c *gin.Context) {
	who := principal(c)
	site, err := formSite(c)
	if err != nil && who.Anywhere(auth.ManagePeople) {
		s.done(c, "/admin/people", "", err)
		return
	}
	p, err := s.Auth.AddPerson(c.Request.Context(), who, auth.NewPerson{
		Name: c.PostForm("name"), Username: c.PostForm("username"), Email: c.PostForm("email"), Password: c.PostForm("password"),
		Role: auth.Role(c.PostForm("role")), Site: site,
	})
	if err == nil && p.OneTime != "" {
		s.showPerson(c, p.ID, p.OneTime)
		return
	}
	s.done(c, "/admin/people", "The account has been made. Hand the password over in person.", err)
}

type personPage struct {
	Person  auth.Person
	Sites   []auth.Membership
	Roles   []auth.Role
	All     []coldkeep.Site // that the one who looks may give
	OneTime string          // a new password, shown once
	Self    bool
}

func (s *server) person(c *gin.Context) { s.showPerson(c, c.Param("id"), "") }

func (s *server) showPerson(c *gin.Context, id, oneTime string) {
	ctx, who := c.Request.Context(), principal(c)
	person, sites, err := s.Auth.PersonWithSites(ctx, who, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := personPage{Person: person, Sites: sites, OneTime: oneTime, Self: person.ID == who.ID}
	p.Roles = slices.DeleteFunc(givable(who), func(r auth.Role) bool { return r.Programme() != person.Role.Programme() })
	if p.All, err = s.Auth.Sites(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "person", &page{Title: person.Name, Nav: "people", Path: personBack(id), Data: p})
}

func personBack(id string) string { return "/admin/people/" + id }

func (s *server) setPerson(c *gin.Context) {
	open := c.PostForm("active") == "yes"
	word := "The account has been closed, and the person is signed out."
	if open {
		word = "The account has been opened."
	}
	s.done(c, personBack(c.Param("id")), word, s.Auth.SetActive(c.Request.Context(), principal(c), c.Param("id"), open))
}

func (s *server) setRole(c *gin.Context) {
	err := s.Auth.SetRole(c.Request.Context(), principal(c), c.Param("id"), coldkeep.SiteID(c.PostForm("site")), auth.Role(c.PostForm("role")))
	s.done(c, personBack(c.Param("id")), "The role has been changed. The person signs in again.", err)
}

func (s *server) leaveSite(c *gin.Context) {
	err := s.Auth.LeaveSite(c.Request.Context(), principal(c), c.Param("id"), coldkeep.SiteID(c.PostForm("site")))
	s.done(c, "/admin/people", "The person does not work at the site any more.", err)
}

func (s *server) resetPassword(c *gin.Context) {
	oneTime, err := s.Auth.ResetPassword(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.done(c, personBack(c.Param("id")), "", err)
		return
	}
	s.showPerson(c, c.Param("id"), oneTime)
}

func (s *server) resetSecondFactor(c *gin.Context) {
	err := s.Auth.ResetSecondFactor(c.Request.Context(), principal(c), c.Param("id"))
	s.done(c, personBack(c.Param("id")), "The second factor has been taken away. The person sets up another one.", err)
}
