package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
)

// auditRoutes are the review of the trail: read-audit.
func (s *server) auditRoutes(v1 *gin.RouterGroup) {
	v1.GET("/audit", s.searching, s.get(s.auditEntries))
	v1.GET("/audit/export", s.searching, s.auditExport)
	v1.GET("/audit/patients/:id", s.searching, s.get(s.auditPatient))
}

func auditSearch(c *gin.Context) (q review.Search, err error) {
	q.Who, q.What, q.Patient, q.Site = c.Query("who"), c.Query("what"), c.Query("patient"), coldkeep.SiteID(c.Query("site"))
	q.Before.ID = c.Query("before_id")
	for _, f := range []struct {
		name string
		into *time.Time
	}{{"from", &q.From}, {"to", &q.To}, {"before", &q.Before.At}} {
		v := c.Query(f.name)
		if v == "" {
			continue
		}
		if *f.into, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return q, coldkeep.Errorf(coldkeep.EINVALID, "%s: %.40q: want a time such as \"2026-01-31T08:15:00Z\"", f.name, v)
		}
	}
	limit, err := queryInt(c, "limit", 1, review.MaxPage)
	if err == nil && c.Query("limit") != "" {
		q.Limit = int(limit)
	}
	return q, err
}

func lines(entries []audit.Entry) []audit.Line {
	out := make([]audit.Line, len(entries))
	for i, e := range entries {
		out[i] = e.Line()
	}
	return out
}

func (s *server) auditEntries(c *gin.Context) (any, error) {
	q, err := auditSearch(c)
	if err != nil {
		return nil, err
	}
	entries, err := s.Review.Search(c.Request.Context(), principal(c), q)
	return lines(entries), err
}

func (s *server) auditPatient(c *gin.Context) (any, error) {
	q, err := auditSearch(c)
	if err != nil {
		return nil, err
	}
	entries, err := s.Review.Looked(c.Request.Context(), principal(c), c.Param("id"), q.Before, q.Limit)
	return lines(entries), err
}

// auditExport streams entries as JSON Lines. What goes wrong after the first line breaks
// the answer off.
func (s *server) auditExport(c *gin.Context) {
	q, err := auditSearch(c)
	if err != nil {
		s.problem(c, err)
		return
	}
	if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}); err != nil {
		s.Log.Debug("audit export: write deadline", "err", err) // a server without one needs none
	}
	enc := json.NewEncoder(c.Writer)
	begun := false
	err = s.Review.Export(c.Request.Context(), principal(c), q, func(e audit.Entry) error {
		if !begun {
			begun = true
			c.Header("Content-Type", "application/jsonl")
		}
		return enc.Encode(e.Line())
	})
	switch {
	case err == nil && !begun:
		c.Data(http.StatusOK, "application/jsonl", nil)
	case err == nil:
	case begun:
		s.Log.Error("audit export", "err", err)
		panic(http.ErrAbortHandler)
	default:
		s.problem(c, err)
	}
}
