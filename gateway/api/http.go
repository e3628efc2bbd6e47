package api

import (
	"context"
	"crypto/subtle"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// API serves the read API.
type API struct {
	Reader *Reader
	Hub    *Hub
	Token  string // bearer token that callers must bring; an empty one lets nobody in
	Log    *slog.Logger

	// Devices tells how a site's devices stand, Verdicts what each profile says of an
	// excursion.
	Devices  func(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error)
	Verdicts func(ctx context.Context, excursion string) ([]coldkeep.Verdict, error)
	// Command sends a device a command, "identify" or "sample-now".
	Command func(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, cmd string) error
}

// Routes adds the API's routes.
func (a *API) Routes(r gin.IRouter) {
	g := r.Group("/api/v1", a.authenticate)
	g.GET("/readings", a.readings)
	g.GET("/readings.csv", a.readingsCSV)
	g.GET("/live", a.live)
	g.GET("/watch/devices", a.devices)
	g.GET("/watch/latest", a.latest)
	g.GET("/watch/verdicts", a.verdicts)
	g.POST("/watch/commands", a.command)
}

func (a *API) authenticate(c *gin.Context) {
	token, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if !ok || a.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(a.Token)) != 1 {
		c.Header("WWW-Authenticate", "Bearer")
		a.problem(c, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "a valid bearer token is needed"))
		c.Abort()
	}
}

// problem answers with a problem document (RFC 9457) with a stable code.
func (a *API) problem(c *gin.Context, err error) {
	code := coldkeep.ErrorCode(err)
	status := coldkeep.Status(code)
	if status >= 500 {
		a.Log.Error("request failed", "path", c.FullPath(), "error", err)
	}
	body, _ := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": coldkeep.ErrorMessage(err)}) // strings and a number always marshal
	c.Data(status, "application/problem+json", body)
}

// window reads appliance, from and to. Without from it is the last 24 hours.
func window(c *gin.Context) (ap coldkeep.ApplianceID, from, to time.Time, err error) {
	if ap = coldkeep.ApplianceID(c.Query("appliance")); ap == "" {
		return ap, from, to, coldkeep.Errorf(coldkeep.EINVALID, "appliance: which one is missing")
	}
	to = time.Now().UTC()
	if v := c.Query("to"); v != "" {
		if to, err = time.Parse(time.RFC3339, v); err != nil {
			return ap, from, to, coldkeep.Errorf(coldkeep.EINVALID, "to: %q is not an RFC 3339 time", v)
		}
	}
	from = to.Add(-24 * time.Hour)
	if v := c.Query("from"); v != "" {
		if from, err = time.Parse(time.RFC3339, v); err != nil {
			return ap, from, to, coldkeep.Errorf(coldkeep.EINVALID, "from: %q is not an RFC 3339 time", v)
		}
	}
	if !from.Before(to) {
		return ap, from, to, coldkeep.Errorf(coldkeep.EINVALID, "from %s is not before to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return ap, from.UTC(), to.UTC(), nil
}

func (a *API) readings(c *gin.Context) {
	ap, from, to, err := window(c)
	if err != nil {
		a.problem(c, err)
		return
	}
	n := 300
	if v := c.Query("buckets"); v != "" {
		if n, err = strconv.Atoi(v); err != nil {
			a.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "buckets: %q is not a number", v))
			return
		}
	}
	bs, err := a.Reader.Buckets(c.Request.Context(), ap, from, to, n)
	if err != nil {
		a.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"appliance": ap, "from": from, "to": to, "buckets": bs})
}

// readingsCSV streams every reading; nothing is held in memory. A failure after
// the first byte cuts the connection, so that a part is not taken for the whole.
func (a *API) readingsCSV(c *gin.Context) {
	ap, from, to, err := window(c)
	if err != nil {
		a.problem(c, err)
		return
	}
	if _, _, err := a.Reader.stays(ap, from, to); err != nil {
		a.problem(c, err)
		return
	}
	c.Header("Content-Type", "text/csv; charset=utf-8")
	c.Header("Content-Disposition", fmt.Sprintf("attachment; filename=%q", string(ap)+".csv"))
	w := csv.NewWriter(c.Writer)
	err = w.Write([]string{"time", "celsius", "probe", "quality", "epoch", "seq"})
	if err == nil {
		err = a.Reader.Each(c.Request.Context(), ap, from, to, func(r *coldkeep.Reading) error {
			return w.Write([]string{r.Time().Format("2006-01-02T15:04:05.000Z"), r.Celsius.String(), string(r.Probe), string(r.Quality), r.Epoch, strconv.FormatInt(r.Seq, 10)})
		})
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	if err != nil {
		a.Log.Warn("export broke off", "appliance", ap, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// live streams server-sent events until the caller goes away.
func (a *API) live(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-store")
	events := a.Hub.Subscribe(c.Request.Context())
	// A comment now and then keeps proxies from closing a quiet stream.
	beat := time.NewTicker(20 * time.Second)
	defer beat.Stop()
	_, _ = io.WriteString(c.Writer, ": coldkeep\n\n") // a broken stream ends the context
	c.Writer.Flush()
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return
			}
			body, _ := json.Marshal(ev) // strings always marshal
			if _, err := fmt.Fprintf(c.Writer, "event: %s\ndata: %s\n\n", ev.Type, body); err != nil {
				return
			}
		case <-beat.C:
			if _, err := io.WriteString(c.Writer, ": still here\n\n"); err != nil {
				return
			}
		}
		c.Writer.Flush()
	}
}
