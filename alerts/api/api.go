// Package api serves the alerts over HTTP and is the client of that service, so
// that the registry's screens list and answer alerts whether the collector runs in
// the same process or another.
//
//	GET  /api/v1/alerts?site=&open=true       → [alert, …]
//	GET  /api/v1/alerts/channels              → {"channels": ["webhook", …]}
//	POST /api/v1/alerts/{id}/acknowledge      {"person": "…", "note": "…"} → 204
//
// A bearer token signs both in. Errors are application/problem+json with a stable
// code.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// Alerts is what the API serves; alerts.Service is one, and so is Client.
type Alerts interface {
	// Alerts lists alerts of a site, or of all with "".
	Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error)
	// Acknowledge takes a person's answer.
	Acknowledge(ctx context.Context, id, person, note string) error
	// Channels names the channels that are set up.
	Channels(ctx context.Context) ([]string, error)
}

// maxBody bounds the body of an answer.
const maxBody = 64 << 10

// Mount adds the routes to r. Whoever calls must show token, which must not be
// empty: that is EINVALID.
func Mount(r gin.IRouter, alerts Alerts, token string, log *slog.Logger) error {
	if token == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "alerts: the API needs a token")
	}
	if log == nil {
		log = slog.Default()
	}
	h := &handler{alerts: alerts, token: sha256.Sum256([]byte(token)), log: log}
	r.GET("/api/v1/alerts", h.auth, h.list)
	r.GET("/api/v1/alerts/channels", h.auth, h.channels)
	r.POST("/api/v1/alerts/:id/acknowledge", h.auth, h.acknowledge)
	return nil
}

type handler struct {
	alerts Alerts
	token  [sha256.Size]byte
	log    *slog.Logger
}

// auth lets the token's bearer pass. Hashes are compared, so that neither the
// content nor the length of the token shows in the time it takes.
func (h *handler) auth(c *gin.Context) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(sum[:], h.token[:]) != 1 {
		c.Header("WWW-Authenticate", `Bearer realm="coldkeep"`)
		h.fail(c, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "a bearer token is needed, and this is not it"))
	}
}

func (h *handler) list(c *gin.Context) {
	open := false
	if v := c.Query("open"); v != "" {
		var err error
		if open, err = strconv.ParseBool(v); err != nil {
			h.fail(c, coldkeep.Errorf(coldkeep.EINVALID, "open=%q: want true or false", v))
			return
		}
	}
	list, err := h.alerts.Alerts(c.Request.Context(), coldkeep.SiteID(c.Query("site")), open)
	if err != nil {
		h.fail(c, err)
		return
	}
	if list == nil {
		list = []coldkeep.Alert{}
	}
	c.JSON(http.StatusOK, list)
}

// channels is the answer of that name.
type channels struct {
	Channels []string `json:"channels"`
}

func (h *handler) channels(c *gin.Context) {
	list, err := h.alerts.Channels(c.Request.Context())
	if err != nil {
		h.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, channels{append([]string{}, list...)})
}

// answer is the body of an acknowledgement.
type answer struct {
	Person string `json:"person"`
	Note   string `json:"note"`
}

func (h *handler) acknowledge(c *gin.Context) {
	var a answer
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		h.fail(c, coldkeep.Wrap(err, coldkeep.EINVALID, "alerts.api", "the body is not {\"person\", \"note\"}: %v", err))
		return
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		h.fail(c, coldkeep.Errorf(coldkeep.EINVALID, "there is more after the body's object"))
		return
	}
	if err := h.alerts.Acknowledge(c.Request.Context(), c.Param("id"), a.Person, a.Note); err != nil {
		h.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}

// problem is an error document (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func (h *handler) fail(c *gin.Context, err error) {
	code := coldkeep.ErrorCode(err)
	status := coldkeep.Status(code)
	if status >= 500 && c.Request.Context().Err() == nil {
		h.log.ErrorContext(c.Request.Context(), "alerts request failed", "path", c.FullPath(), "err", err)
	}
	body, merr := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: coldkeep.ErrorMessage(err), Code: code})
	if merr != nil {
		c.AbortWithStatus(status)
		return
	}
	c.Abort()
	c.Data(status, "application/problem+json", body)
}
