package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
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

// atMost bounds what a form may send. One that is larger is refused by whoever reads it,
// and is in the trail.
func (s *server) atMost(bytes int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		b := &bounded{ReadCloser: http.MaxBytesReader(c.Writer, c.Request.Body, bytes)}
		c.Request.Body = b
		if s.illFormed(c) {
			return
		}
		c.Next()
		if b.over {
			s.refusedRequest(c.Request.Context(), s.who(c), "larger than any form: "+route(c))
		}
	}
}

// illFormed refuses a form with what no database keeps as text, such as NUL. Forms with files
// are read by their handlers.
func (s *server) illFormed(c *gin.Context) bool {
	if media, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type")); media != "application/x-www-form-urlencoded" {
		return false
	}
	_ = c.Request.ParseForm() // what is too large is noted by bounded, and read as no form
	for name, values := range c.Request.PostForm {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				s.refusedRequest(c.Request.Context(), s.who(c), "signs that no text has: "+route(c))
				c.Abort()
				c.String(http.StatusBadRequest, "This form holds signs that cannot be kept and has been refused.")
				return true
			}
		}
	}
	return false
}

// limited is atMost for a form without files: one that says itself that it is larger is
// refused unread.
func (s *server) limited(c *gin.Context) {
	const most = 64 << 10
	if c.Request.ContentLength > most {
		s.refusedRequest(c.Request.Context(), s.who(c), "larger than any form: "+route(c))
		c.Header("Connection", "close")
		c.Abort()
		c.String(http.StatusRequestEntityTooLarge, "This is larger than any form of Coldkeep and has been refused.")
		return
	}
	s.atMost(most)(c)
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
