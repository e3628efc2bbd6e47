package api

import (
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
)

// accountRoutes are people, interface accounts, enrolments and policies, with the
// permissions of the screens. What is a person's own, such as a password, is changed on the
// screens alone.
//
// Two things stay with the screens. A practice applies there before anybody of it has an
// account, with its texts read and agreed to by a person; and one-time passwords, passkeys
// and second factors are set up there, since they prove that a person is at hand, which a
// program's call cannot.
func (s *server) accountRoutes(v1 *gin.RouterGroup) {
	v1.GET("/me", s.get(s.me))
	v1.GET("/people", s.get(s.people))
	v1.POST("/people", s.post(64<<10, s.addPerson))
	v1.POST("/people/:id/role", s.post(64<<10, s.setRole))
	v1.POST("/people/:id/active", s.post(64<<10, s.setActive))
	v1.GET("/interface-accounts", s.get(s.interfaces))
	v1.POST("/interface-accounts/:id/revoke", s.post(64<<10, s.revokeInterface))
	v1.GET("/enrolments", s.get(s.enrolments))
	v1.GET("/applications", s.get(s.applications))
	v1.POST("/applications/:id/refuse", s.post(64<<10, s.refuseApplication))
	v1.GET("/policies", s.get(s.policies))
}

// get wraps a call that changes nothing.
func (s *server) get(call func(*gin.Context) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		v, err := call(c)
		if err != nil {
			s.problem(c, err)
			return
		}
		c.JSON(200, v)
	}
}

type me struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	Role   auth.Role       `json:"role,omitempty"`
	Site   coldkeep.SiteID `json:"site,omitempty"`
	Scopes []string        `json:"scopes,omitempty"`
	Lapsed bool            `json:"enrolment_ended"`
}

func (*server) me(c *gin.Context) (any, error) {
	p := principal(c)
	return me{p.ID, p.Name, p.Role, p.Site, p.Scopes, p.Lapsed}, nil
}

// person is an account without anything that opens it.
type person struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Username  string          `json:"username"`
	Email     string          `json:"email,omitempty"`
	Role      auth.Role       `json:"role"`
	Site      coldkeep.SiteID `json:"site,omitempty"`
	Active    bool            `json:"active"`
	CreatedAt time.Time       `json:"created_at"`
}

func personOf(p auth.Person) person {
	return person{p.ID, p.Name, p.Username, p.Email, p.Role, p.Site, p.Active, p.CreatedAt}
}

func (s *server) people(c *gin.Context) (any, error) {
	all, err := s.Auth.People(c.Request.Context(), principal(c))
	out := make([]person, len(all))
	for i, p := range all {
		out[i] = personOf(p)
	}
	return out, err
}

type newPerson struct {
	Name     string          `json:"name"`
	Username string          `json:"username"`
	Email    string          `json:"email"`
	Password string          `json:"password"` // opens once, and has to be changed
	Role     auth.Role       `json:"role"`
	Site     coldkeep.SiteID `json:"site"`
}

// addPerson wants a password of the caller's: one that was made here would be kept with
// the answer for repeated calls.
func (s *server) addPerson(c *gin.Context, body []byte) (any, error) {
	n, err := decodeOne[newPerson](body)
	if err != nil {
		return nil, err
	}
	if n.Password == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "password: is needed; it opens once")
	}
	p, err := s.Auth.AddPerson(c.Request.Context(), principal(c), auth.NewPerson(n))
	return personOf(p), err
}

type newRole struct {
	Role auth.Role       `json:"role"`
	Site coldkeep.SiteID `json:"site"`
}

func (s *server) setRole(c *gin.Context, body []byte) (any, error) {
	n, err := decodeOne[newRole](body)
	if err != nil {
		return nil, err
	}
	return n, s.Auth.SetRole(c.Request.Context(), principal(c), c.Param("id"), n.Site, n.Role)
}

type activity struct {
	Active bool `json:"active"`
}

func (s *server) setActive(c *gin.Context, body []byte) (any, error) {
	n, err := decodeOne[activity](body)
	if err != nil {
		return nil, err
	}
	return n, s.Auth.SetActive(c.Request.Context(), principal(c), c.Param("id"), n.Active)
}

// interfaceAccount is an account of a program, without its token.
type interfaceAccount struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Site         coldkeep.SiteID `json:"site,omitempty"`
	Scopes       []string        `json:"scopes"`
	Revoked      bool            `json:"revoked"`
	CreatedAt    time.Time       `json:"created_at"`
	UsedAt       *time.Time      `json:"used_at"`
	Fingerprints []string        `json:"sftp_key_fingerprints"`
}

func (s *server) interfaces(c *gin.Context) (any, error) {
	all, keys, err := s.Auth.Accounts(c.Request.Context(), principal(c))
	out := make([]interfaceAccount, 0, len(all))
	for _, a := range all {
		prints := []string{}
		for _, k := range keys[a.ID] {
			prints = append(prints, k.Fingerprint)
		}
		out = append(out, interfaceAccount{a.ID, a.Name, a.Site, slices.Concat([]string{}, a.Scopes), a.Revoked, a.CreatedAt, a.UsedAt, prints})
	}
	return out, err
}

type revoked struct {
	ID      string `json:"id"`
	Revoked bool   `json:"revoked"`
}

func (s *server) revokeInterface(c *gin.Context, _ []byte) (any, error) {
	return revoked{c.Param("id"), true}, s.Auth.RevokeAccount(c.Request.Context(), principal(c), c.Param("id"))
}

type siteEnrolment struct {
	Site         coldkeep.SiteID `json:"site"`
	Name         string          `json:"name"`
	Organization string          `json:"organization,omitempty"`
	Kind         enrolment.Kind  `json:"kind"`
	VFCPIN       string          `json:"vfc_pin,omitempty"`
	Until        *time.Time      `json:"until"`
}

func (s *server) enrolments(c *gin.Context) (any, error) {
	all, err := s.Enrolment.Enrolments(c.Request.Context(), principal(c))
	out := make([]siteEnrolment, len(all))
	for i, e := range all {
		out[i] = siteEnrolment{e.ID, e.Name, e.OrganizationName, e.Kind, e.VFCPIN, e.Until}
	}
	return out, err
}

func (s *server) applications(c *gin.Context) (any, error) {
	return s.Enrolment.Applications(c.Request.Context(), principal(c), enrolment.Outcome(c.Query("outcome")))
}

type refusal struct {
	Reason string `json:"reason"`
}

func (s *server) refuseApplication(c *gin.Context, body []byte) (any, error) {
	r, err := decodeOne[refusal](body)
	if err != nil {
		return nil, err
	}
	return r, s.Enrolment.Refuse(c.Request.Context(), principal(c), c.Param("id"), r.Reason)
}

func (s *server) policies(c *gin.Context) (any, error) {
	out := []enrolment.Policy{}
	for _, kind := range enrolment.PolicyKinds() {
		p, err := s.Enrolment.Current(c.Request.Context(), kind)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
