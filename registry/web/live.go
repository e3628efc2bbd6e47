package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// heartbeat is how often the stream says that it is there: a page that hears
// nothing for a few seconds tells its reader so. recheck is how often the session
// is looked at again.
const (
	heartbeat = 3 * time.Second
	recheck   = 20 * time.Second
)

// live streams word of changes at the sites that the person may see. It carries no
// data: the page asks for itself again.
func (s *server) live(c *gin.Context) {
	if s.Live == nil {
		c.Status(http.StatusNoContent) // tells EventSource not to come again
		return
	}
	who, ctx := principal(c), c.Request.Context()
	out := http.NewResponseController(c.Writer)
	if err := out.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.Log.Debug("live: write deadline", "err", err)
	}
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no")
	events := s.Live.Subscribe(ctx)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	check := time.NewTicker(recheck)
	defer check.Stop()
	send := func(text string) bool {
		if _, err := fmt.Fprint(c.Writer, text); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	for ok := send("retry: 3000\n\n"); ok; {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
			if r, err := s.resume(ctx, true); err != nil || !r.Known() || r.Site != who.Site {
				return // the sign-in has ended, or is for another site now
			}
		case <-beat.C:
			ok = send("event: here\ndata:\n\n")
		case e, more := <-events:
			if !more {
				return
			}
			if !who.May(auth.View, e.Site) {
				continue
			}
			b, err := json.Marshal(e)
			if err != nil {
				s.Log.Error("live", "err", err)
				return
			}
			ok = send("event: change\ndata: " + string(b) + "\n\n")
		}
	}
}
