package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// signForm is what the sign-in and set-up pages are filled with again after a
// mistake. A password never is.
type signForm struct {
	Next     string
	Name     string
	Username string
	Error    string
}

func (s *server) setupForm(c *gin.Context) {
	needed, err := s.Auth.NeedsSetup(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	if !needed {
		c.Redirect(http.StatusSeeOther, "/signin")
		return
	}
	s.render(c, http.StatusOK, "setup", &page{Title: "Set up Coldkeep", Data: signForm{}})
}

func (s *server) setup(c *gin.Context) {
	f := signForm{Name: c.PostForm("name"), Username: c.PostForm("username")}
	again := func(err error) {
		f.Error = coldkeep.ErrorMessage(err)
		s.render(c, coldkeep.Status(coldkeep.ErrorCode(err)), "setup", &page{Title: "Set up Coldkeep", Data: f})
	}
	if c.PostForm("password") != c.PostForm("again") {
		again(coldkeep.Errorf(coldkeep.EINVALID, "The two passwords are not the same."))
		return
	}
	p, err := s.Auth.Setup(c.Request.Context(), f.Name, f.Username, c.PostForm("password"))
	switch coldkeep.ErrorCode(err) {
	case "":
	case coldkeep.ECONFLICT:
		c.Redirect(http.StatusSeeOther, "/signin")
		return
	default:
		again(err)
		return
	}
	s.enter(c, p.ID, "/admin")
}

func (s *server) signInForm(c *gin.Context) {
	needed, err := s.Auth.NeedsSetup(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	if needed {
		c.Redirect(http.StatusSeeOther, "/setup")
		return
	}
	s.render(c, http.StatusOK, "signin", &page{Title: "Sign in", Data: signForm{Next: local(c.Query("next"), "/units")}})
}

func (s *server) signIn(c *gin.Context) {
	f := signForm{Next: local(c.PostForm("next"), "/units"), Username: c.PostForm("username")}
	p, err := s.Auth.SignIn(c.Request.Context(), f.Username, c.PostForm("password"))
	if err != nil {
		if coldkeep.ErrorCode(err) == coldkeep.EINTERNAL {
			s.Log.Error("sign-in", "err", err)
		}
		f.Error = coldkeep.ErrorMessage(err)
		s.render(c, coldkeep.Status(coldkeep.ErrorCode(err)), "signin", &page{Title: "Sign in", Data: f})
		return
	}
	s.enter(c, p.ID, f.Next)
}

// enter begins a person's session under a new token, so that one that was planted
// before is worth nothing.
func (s *server) enter(c *gin.Context, person, next string) {
	ctx := c.Request.Context()
	if err := s.sessions.RenewToken(ctx); err != nil {
		s.fail(c, err)
		return
	}
	s.sessions.Put(ctx, personKey, person)
	if err := s.commit(c); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, next)
}

func (s *server) signOut(c *gin.Context) {
	if err := s.sessions.Destroy(c.Request.Context()); err != nil {
		s.fail(c, err)
		return
	}
	if err := s.commit(c); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/signin")
}
