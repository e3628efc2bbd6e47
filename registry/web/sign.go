package web

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/oauth2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// signRoutes are the ways in. They need no account.
func (s *server) signRoutes(open *gin.RouterGroup) {
	open.GET("/setup", s.setupForm)
	open.POST("/setup", s.fromAddress, s.setup)
	open.GET("/signin", s.signInForm)
	open.POST("/signin", s.fromAddress, s.signIn)
	open.GET("/signin/second", s.secondForm)
	open.POST("/signin/second", s.fromAddress, s.second)
	open.POST("/signin/passkey/begin", s.fromAddress, s.askPasskey)
	open.POST("/signin/passkey", s.fromAddress, s.byPasskey)
	open.GET("/signin/provider", s.fromAddress, s.toProvider) // a link: form-action would stop a form that leads away
	open.GET("/signin/provider/callback", s.fromAddress, s.fromProvider)
}

// signForm is what the sign-in and set-up pages are filled with again after a
// mistake. A password never is.
type signForm struct {
	Next     string
	Name     string
	Username string
	Error    string
	Passkeys bool   // this address can have them
	Provider string // the identity provider's name; "" none
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
		again(errNotSame)
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
	s.enter(c, p.ID, auth.ByPassword, "/admin")
}

var errNotSame = coldkeep.Errorf(coldkeep.EINVALID, "The two passwords are not the same.")

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
	s.showSignIn(c, nil, "")
}

func (s *server) showSignIn(c *gin.Context, err error, username string) {
	f := signForm{Next: local(c.Query("next"), "/"), Username: username, Passkeys: auth.PasskeysAt(s.origin(c))}
	if next := c.PostForm("next"); next != "" {
		f.Next = local(next, "/")
	}
	if s.Provider != nil {
		f.Provider = s.Provider.Name
	}
	status := http.StatusOK
	if err != nil {
		status = coldkeep.Status(coldkeep.ErrorCode(err))
		if coldkeep.ErrorCode(err) == coldkeep.EINTERNAL {
			s.Log.Error("sign-in", "err", err)
		}
		f.Error = coldkeep.ErrorMessage(err)
	}
	s.render(c, status, "signin", &page{Title: "Sign in", Data: f})
}

func (s *server) signIn(c *gin.Context) {
	username, ctx := c.PostForm("username"), c.Request.Context()
	if s.slow(c, s.limits.account, username[:min(len(username), 64)]) {
		return
	}
	p, second, err := s.Auth.Password(ctx, username, c.PostForm("password"))
	if err != nil {
		s.showSignIn(c, err, username)
		return
	}
	next := local(c.PostForm("next"), "/")
	if !second {
		s.enter(c, p.ID, auth.ByPassword, next)
		return
	}
	// A session that was planted before is not the one that the second step goes on in.
	if err := s.sessions.RenewToken(ctx); err != nil {
		s.fail(c, err)
		return
	}
	s.sessions.Put(ctx, halfKey, p.ID)
	s.sessions.Put(ctx, halfAtKey, time.Now().Unix())
	s.sessions.Put(ctx, "next", next)
	if err := s.commit(c); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/signin/second")
}

// halfLife is how long a password waits for the second step.
const halfLife = 10 * time.Minute

// half is who has given a password and owes a second factor; "" nobody.
func (s *server) half(c *gin.Context) string {
	ctx := c.Request.Context()
	if time.Since(time.Unix(s.sessions.GetInt64(ctx, halfAtKey), 0)) > halfLife {
		return ""
	}
	return s.sessions.GetString(ctx, halfKey)
}

func (s *server) secondForm(c *gin.Context) { s.showSecond(c, nil) }

func (s *server) showSecond(c *gin.Context, err error) {
	if s.half(c) == "" {
		c.Redirect(http.StatusSeeOther, "/signin")
		return
	}
	f, status := signForm{Passkeys: auth.PasskeysAt(s.origin(c))}, http.StatusOK
	if err != nil {
		f.Error, status = coldkeep.ErrorMessage(err), coldkeep.Status(coldkeep.ErrorCode(err))
	}
	s.render(c, status, "second", &page{Title: "Second step", Data: f})
}

func (s *server) second(c *gin.Context) {
	person := s.half(c)
	if person == "" {
		c.Redirect(http.StatusSeeOther, "/signin")
		return
	}
	if s.slow(c, s.limits.account, person) {
		return
	}
	method, err := s.Auth.Code(c.Request.Context(), person, c.PostForm("code"))
	if err != nil {
		s.showSecond(c, err)
		return
	}
	s.enter(c, person, method, local(s.sessions.GetString(c.Request.Context(), "next"), "/"))
}

// origin is where the person comes to.
func (s *server) origin(c *gin.Context) string {
	if s.Origin != "" {
		return s.Origin
	}
	scheme := "http://"
	if s.SecureCookies || c.Request.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.Request.Host
}

// keep puts something into the session that the next step needs.
func (s *server) keep(c *gin.Context, key string, value []byte) error {
	s.sessions.Put(c.Request.Context(), key, string(value))
	return s.commit(c)
}

// take takes something out of the session that is good once, whatever comes of it.
func (s *server) take(c *gin.Context, key string) string {
	v := s.sessions.PopString(c.Request.Context(), key)
	if v == "" {
		return ""
	}
	if err := s.commit(c); err != nil {
		s.Log.Error("session", "err", err)
		return "" // it may still be there: it is not used
	}
	return v
}

// jsonFail answers a script.
func (s *server) jsonFail(c *gin.Context, err error) {
	if coldkeep.ErrorCode(err) == coldkeep.EINTERNAL {
		s.Log.Error("registry screen", "route", c.FullPath(), "err", err)
	}
	c.JSON(coldkeep.Status(coldkeep.ErrorCode(err)), gin.H{"error": coldkeep.ErrorMessage(err)})
}

func (s *server) askPasskey(c *gin.Context) {
	options, session, err := s.Auth.AskPasskey(s.origin(c))
	if err == nil {
		err = s.keep(c, "ask-passkey", session)
	}
	if err != nil {
		s.jsonFail(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json", options)
}

func (s *server) byPasskey(c *gin.Context) {
	ctx := c.Request.Context()
	session := s.take(c, "ask-passkey")
	answer, err := io.ReadAll(c.Request.Body)
	if err != nil {
		s.jsonFail(c, coldkeep.Errorf(coldkeep.EINVALID, "The answer is too long."))
		return
	}
	p, err := s.Auth.ByPasskey(ctx, s.origin(c), []byte(session), answer)
	if err == nil {
		err = s.begin(c, p.ID, auth.ByPasskey)
	}
	if err != nil {
		s.jsonFail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"next": local(c.Query("next"), "/")})
}

// handshake is what a sign-in at the identity provider is recognised by when it comes
// back.
type handshake struct{ State, Nonce, Verifier, Next string }

func (s *server) callback(c *gin.Context) string { return s.origin(c) + "/signin/provider/callback" }

func (s *server) toProvider(c *gin.Context) {
	if s.Provider == nil {
		s.fail(c, coldkeep.Errorf(coldkeep.ENOTFOUND, "No identity provider is set up."))
		return
	}
	h := handshake{oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), local(c.Query("next"), "/")}
	to, err := s.Provider.Address(c.Request.Context(), s.callback(c), h.State, h.Nonce, h.Verifier)
	if err != nil {
		s.showSignIn(c, err, "")
		return
	}
	b, err := json.Marshal(h)
	if err == nil {
		err = s.keep(c, "provider", b)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, to)
}

func (s *server) fromProvider(c *gin.Context) {
	ctx := c.Request.Context()
	var h handshake
	kept := s.take(c, "provider")
	if s.Provider == nil || json.Unmarshal([]byte(kept), &h) != nil || h.State == "" || c.Query("state") != h.State {
		s.showSignIn(c, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This sign-in was not begun here, or took too long. Try again."), "")
		return
	}
	if c.Query("code") == "" {
		s.showSignIn(c, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "%s has not confirmed who you are.", s.Provider.Name), "")
		return
	}
	claimed, err := s.Provider.Redeem(ctx, s.callback(c), c.Query("code"), h.Nonce, h.Verifier)
	if err != nil {
		s.showSignIn(c, err, "")
		return
	}
	p, err := s.Auth.ByClaim(ctx, claimed)
	if err != nil {
		s.showSignIn(c, err, "")
		return
	}
	s.enter(c, p.ID, auth.ByProvider, local(h.Next, "/"))
}

// begin begins a person's session under a new token, so that one that was planted
// before is worth nothing.
func (s *server) begin(c *gin.Context, person string, method auth.Method) error {
	ctx := c.Request.Context()
	in, err := s.Auth.Begin(ctx, person, method)
	if err != nil {
		return err
	}
	if err := s.sessions.Clear(ctx); err != nil {
		return err
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		return err
	}
	s.sessions.Put(ctx, signInKey, in.ID)
	return s.commit(c)
}

func (s *server) enter(c *gin.Context, person string, method auth.Method, next string) {
	if err := s.begin(c, person, method); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, next)
}

func (s *server) signOut(c *gin.Context) {
	ctx := c.Request.Context()
	if err := s.Auth.End(ctx, principal(c), s.sessions.GetString(ctx, signInKey), ""); err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		s.fail(c, err)
		return
	}
	if err := s.sessions.Destroy(ctx); err != nil {
		s.fail(c, err)
		return
	}
	if err := s.commit(c); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/signin")
}
