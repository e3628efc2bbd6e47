package web

import (
	"io"
	"net/http"
	"strings"

	"github.com/boombuler/barcode/qr"
	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// accountRoutes are a person's own account. Everybody who is signed in may use them, for
// themselves.
func (s *server) accountRoutes(in *gin.RouterGroup) {
	in.GET("/account", s.account)
	in.GET("/account/password", s.passwordForm)
	in.POST("/account/password", s.changePassword)
	in.GET("/account/second-factor", s.secondFactor)
	in.POST("/account/second-factor/code", s.confirmTOTP)
	in.POST("/account/second-factor/code/remove", s.removeTOTP)
	in.POST("/account/second-factor/recovery", s.newRecovery)
	in.POST("/account/passkeys/begin", s.newPasskey)
	in.POST("/account/passkeys/add", s.addPasskey)
	in.POST("/account/passkeys/:id/remove", s.removePasskey)
	in.POST("/account/sign-ins/end", s.endSignIns)
	in.POST("/account/site", s.switchSite)
}

type accountPage struct {
	Here     string // the sign-in that the page is shown in
	SignIns  []auth.SignIn
	TOTP     bool
	Passkeys []auth.Passkey
	Recovery int
	Needed   bool // the role has to have a second factor
	Can      bool // passkeys can be had at this address
}

func (s *server) account(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	p := accountPage{Here: resumed(c).SignIn.ID, Needed: s.Auth.NeedsSecondFactor(who.Role), Can: auth.PasskeysAt(s.origin(c))}
	var err error
	for _, step := range []func() error{
		func() error { p.SignIns, err = s.Auth.MySignIns(ctx, who); return err },
		func() error { p.TOTP, err = s.Auth.HasTOTP(ctx, who); return err },
		func() error { p.Passkeys, err = s.Auth.Passkeys(ctx, who); return err },
		func() error { p.Recovery, err = s.Auth.RecoveryCodesLeft(ctx, who); return err },
	} {
		if err := step(); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "account", &page{Title: "My account", Nav: "account", Data: p})
}

func (s *server) passwordForm(c *gin.Context) {
	s.render(c, http.StatusOK, "password", &page{Title: "Change your password", Nav: "account", Data: resumed(c).Todo == auth.TodoPassword})
}

func (s *server) changePassword(c *gin.Context) {
	ctx := c.Request.Context()
	var err error
	if c.PostForm("new") != c.PostForm("again") {
		err = errNotSame
	} else {
		err = s.Auth.ChangePassword(ctx, principal(c), resumed(c).SignIn.ID, c.PostForm("old"), c.PostForm("new"))
	}
	if err != nil {
		s.askAgain(c, "/account/password", err)
		return
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		s.fail(c, err)
		return
	}
	s.done(c, "/account", "Your password has been changed, and you are signed out everywhere else.", nil)
}

// askAgain answers a form with a wrong password or code: back to it, with a word.
func (s *server) askAgain(c *gin.Context, back string, err error) {
	if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
		err = coldkeep.Errorf(coldkeep.EINVALID, "%s", coldkeep.ErrorMessage(err))
	}
	s.done(c, back, "", err)
}

type secondFactorPage struct {
	Forced  bool   // nothing else opens until it is set up
	NoApp   string // why codes from an app cannot be had; "" they can
	Secret  string
	QR      qrCode
	Codes   []string // to recover by, shown once
	Can     bool     // passkeys can be had at this address
	Replace bool     // codes are set up already
}

// secondFactor shows a new secret. It stays in the session, sealed, until the person has
// shown that their app has it. Where there is no key to seal it by, passkeys are left.
func (s *server) secondFactor(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	has, err := s.Auth.HasTOTP(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	d := secondFactorPage{Forced: resumed(c).Todo == auth.TodoSecondFactor, Can: auth.PasskeysAt(s.origin(c)), Replace: has}
	secret, url, err := s.pendingTOTP(c)
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.EINVALID:
		d.NoApp = coldkeep.ErrorMessage(err)
	case err == nil:
		d.Secret = spaced(secret)
		d.QR, err = newQR(url)
	}
	if err != nil && d.NoApp == "" {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "secondfactor", &page{Title: "Set up a second factor", Nav: "account", Data: d})
}

// pendingTOTP is the secret that the person is setting up; a new one when the session has
// none that opens.
func (s *server) pendingTOTP(c *gin.Context) (secret, url string, err error) {
	who := principal(c)
	if secret, url, err = s.Auth.ShowTOTP(who, s.sessions.GetString(c.Request.Context(), "totp")); err == nil {
		return secret, url, nil
	}
	pending, err := s.Auth.NewTOTP(who)
	if err != nil {
		return "", "", err
	}
	if err := s.keep(c, "totp", []byte(pending)); err != nil {
		return "", "", err
	}
	return s.Auth.ShowTOTP(who, pending)
}

// spaced is a secret in groups of four, to be typed.
func spaced(secret string) string {
	var b strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// qrCode is a QR code as squares of a drawing; no picture is loaded, so the page's policy
// stays as it is.
type qrCode struct {
	Size    int
	Squares []struct{ X, Y int }
}

func newQR(text string) (qrCode, error) {
	b, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return qrCode{}, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.newQR", "QR code")
	}
	box := b.Bounds()
	out := qrCode{Size: box.Dx()}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			if r, _, _, _ := b.At(x, y).RGBA(); r == 0 {
				out.Squares = append(out.Squares, struct{ X, Y int }{x - box.Min.X, y - box.Min.Y})
			}
		}
	}
	return out, nil
}

func (s *server) confirmTOTP(c *gin.Context) {
	ctx := c.Request.Context()
	codes, err := s.Auth.ConfirmTOTP(ctx, principal(c), s.sessions.GetString(ctx, "totp"), strings.ReplaceAll(c.PostForm("code"), " ", ""))
	if err != nil {
		s.askAgain(c, "/account/second-factor", err)
		return
	}
	s.sessions.Remove(ctx, "totp")
	s.showCodes(c, codes)
}

// showCodes answers with the page itself: the codes are in it once and nowhere else.
func (s *server) showCodes(c *gin.Context, codes []string) {
	if err := s.sessions.RenewToken(c.Request.Context()); err == nil {
		err = s.commit(c)
		if err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "secondfactor", &page{Title: "Keep your recovery codes", Nav: "account", Path: "/account", Data: secondFactorPage{Codes: codes}})
}

func (s *server) removeTOTP(c *gin.Context) {
	if err := s.Auth.RemoveTOTP(c.Request.Context(), principal(c), c.PostForm("password")); err != nil {
		s.askAgain(c, "/account", err)
		return
	}
	s.done(c, "/account", "Codes are not asked for any more.", nil)
}

func (s *server) newRecovery(c *gin.Context) {
	codes, err := s.Auth.NewRecoveryCodes(c.Request.Context(), principal(c))
	if err != nil {
		s.done(c, "/account", "", err)
		return
	}
	s.showCodes(c, codes)
}

func (s *server) newPasskey(c *gin.Context) {
	options, session, err := s.Auth.NewPasskey(c.Request.Context(), principal(c), s.origin(c))
	if err == nil {
		err = s.keep(c, "new-passkey", session)
	}
	if err != nil {
		s.jsonFail(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json", options)
}

// addPasskey takes what the browser's authenticator has made; its name is in the address,
// since the body is the authenticator's.
func (s *server) addPasskey(c *gin.Context) {
	ctx := c.Request.Context()
	session := s.take(c, "new-passkey")
	answer, err := io.ReadAll(c.Request.Body)
	if err != nil {
		s.jsonFail(c, coldkeep.Errorf(coldkeep.EINVALID, "The answer is too long."))
		return
	}
	err = s.Auth.AddPasskey(ctx, principal(c), s.origin(c), c.Query("name"), []byte(session), answer)
	if err == nil {
		err = s.sessions.RenewToken(ctx)
	}
	if err == nil {
		s.flash(c, "ok:The passkey has been added.")
	}
	if err != nil {
		s.jsonFail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"next": "/account"})
}

func (s *server) removePasskey(c *gin.Context) {
	if err := s.Auth.RemovePasskey(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("password")); err != nil {
		s.askAgain(c, "/account", err)
		return
	}
	s.done(c, "/account", "The passkey has been taken away.", nil)
}

func (s *server) endSignIns(c *gin.Context) {
	err := s.Auth.End(c.Request.Context(), principal(c), c.PostForm("id"), resumed(c).SignIn.ID)
	s.done(c, "/account", "Signed out there.", err)
}

func (s *server) switchSite(c *gin.Context) {
	ctx := c.Request.Context()
	err := s.Auth.SwitchSite(ctx, principal(c), resumed(c).SignIn.ID, coldkeep.SiteID(c.PostForm("site")))
	if err == nil {
		err = s.sessions.RenewToken(ctx)
	}
	s.done(c, "/", "You act for another site now.", err)
}
