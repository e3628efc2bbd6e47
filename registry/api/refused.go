package api

import (
	"context"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// overKey is set by what has refused a body for its size under another status than 413.
const overKey = "body too large"

// watched says where a call comes from, and enters in the trail what was refused before any
// service saw it: credentials that are nobody's, bodies that are too large, and calls that
// come too often from who is not signed in. It goes around every call, so that none can be
// forgotten.
func (s *server) watched(c *gin.Context) {
	c.Request = c.Request.WithContext(audit.WithOrigin(c.Request.Context(), audit.Origin{Address: c.ClientIP(), Agent: audit.AgentClass(c.GetHeader("User-Agent"))}))
	c.Next()
	by, _ := c.Value(principalKey).(auth.Principal)
	status := c.Writer.Status()
	switch _, over := c.Get(overKey); {
	case over, status == http.StatusRequestEntityTooLarge:
		s.refusedCall(c, by, "larger than any call")
	// The doors of messages have entered a sign-in that was refused, and who shows nothing
	// has tried nothing.
	case status == http.StatusUnauthorized && !isDoor(c) && (c.GetHeader("Authorization") != "" || c.FullPath() == smsAnswers):
		s.refusedCall(c, by, "credentials that are nobody's")
	case status == http.StatusTooManyRequests && !by.Known():
		s.refusedCall(c, by, "too often")
	}
}

// refusedCall enters a call that was refused in the trail, without anything that it holds.
func (s *server) refusedCall(c *gin.Context, by auth.Principal, why string) {
	if err := s.Auth.RefusedRequest(context.WithoutCancel(c.Request.Context()), by, why+": "+c.Request.Method+" "+c.FullPath()); err != nil {
		s.Log.Error("a refused call is not in the trail", "why", why, "err", err)
	}
}

// counted counts what is read of a body.
type counted struct {
	io.ReadCloser
	n int64
}

func (b *counted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}
