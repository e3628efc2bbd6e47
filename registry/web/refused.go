package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// refusedRequest enters a request that no service has seen in the trail.
func (s *server) refusedRequest(ctx context.Context, who auth.Principal, why string) {
	if err := s.Auth.RefusedRequest(context.WithoutCancel(ctx), who, why); err != nil {
		s.Log.Error("a refused request is not in the trail", "why", why, "err", err)
	}
}

// who is whose session a request carries, also where nobody need be signed in.
func (s *server) who(c *gin.Context) auth.Principal {
	if p := principal(c); p.Known() {
		return p
	}
	in, err := s.resume(c.Request.Context(), true)
	if err != nil {
		return auth.Principal{}
	}
	return in.Principal
}

// crossSite refuses what a page of another site has sent.
func (s *server) crossSite(c *gin.Context) {
	if s.guard.Check(c.Request) == nil {
		return
	}
	s.refusedRequest(c.Request.Context(), s.who(c), "sent by a page of another site: "+route(c))
	c.Abort()
	c.String(http.StatusForbidden, "This form was sent from another site and has been refused.")
}

// route is what was asked for, without what an address may hold.
func route(c *gin.Context) string {
	if c.FullPath() == "" {
		return c.Request.Method + " of no page"
	}
	return c.Request.Method + " " + c.FullPath()
}

// bounded is a body that notes when it was larger than it may be.
type bounded struct {
	io.ReadCloser
	over bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	b.over = b.over || errors.As(err, &tooLarge)
	return n, err
}

// mostForm is how large a form without files may be.
const mostForm = 64 << 10

// atMost bounds what a request may send. A form without files is read here, so that no
// handler takes one that is too large, or is none, for one that is empty. A file is read by
// its handler; one that is larger is refused there, and is in the trail.
func (s *server) atMost(bytes int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		media, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type")) // what is none is no form
		most := bytes
		if media == "application/x-www-form-urlencoded" {
			most = min(bytes, mostForm)
		}
		b := &bounded{ReadCloser: http.MaxBytesReader(c.Writer, c.Request.Body, most)}
		c.Request.Body = b
		var err error
		switch {
		case media == "application/x-www-form-urlencoded":
			err = c.Request.ParseForm()
		case media == "multipart/form-data" && bytes <= mostForm:
			err = c.Request.ParseMultipartForm(most)
		}
		switch {
		case b.over:
			s.tooLarge(c)
		case err != nil:
			s.turnAway(c, http.StatusBadRequest, "no form that can be read", "This form could not be read and has been refused.")
		case illFormed(c.Request.PostForm):
			s.turnAway(c, http.StatusBadRequest, "signs that no text has", "This form holds signs that cannot be kept and has been refused.")
		default:
			c.Next()
			if b.over {
				s.refusedRequest(c.Request.Context(), s.who(c), "larger than any form: "+route(c))
			}
		}
	}
}

// turnAway refuses a request before its handler.
func (s *server) turnAway(c *gin.Context, status int, why, word string) {
	s.refusedRequest(c.Request.Context(), s.who(c), why+": "+route(c))
	c.Abort()
	c.String(status, word)
}

func (s *server) tooLarge(c *gin.Context) {
	c.Header("Connection", "close")
	s.turnAway(c, http.StatusRequestEntityTooLarge, "larger than any form", "This is larger than any form of Coldkeep and has been refused.")
}

// illFormed reports whether a form has in it what no database keeps as text, such as NUL.
func illFormed(form url.Values) bool {
	for name, values := range form {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return true
			}
		}
	}
	return false
}

// limited is atMost for a form without files: one that says itself that it is larger is
// refused unread.
func (s *server) limited(c *gin.Context) {
	if c.Request.ContentLength > mostForm {
		s.tooLarge(c)
		return
	}
	s.atMost(mostForm)(c)
}

// crossCall enters a call to the API that a page of another site has sent.
func (s *Screens) crossCall(r *http.Request) {
	ctx := r.Context()
	if audit.OriginOf(ctx).Address == "" {
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			address = r.RemoteAddr
		}
		ctx = audit.WithOrigin(ctx, audit.Origin{Address: address})
	}
	s.refusedRequest(ctx, auth.Principal{}, "sent by a page of another site: "+r.Method+" of a call")
}
