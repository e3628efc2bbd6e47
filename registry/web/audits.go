package web

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
)

// auditRoutes are the review of the trail: read-audit.
func (s *server) auditRoutes(in *gin.RouterGroup) {
	in.GET("/audit", s.auditForm)
	in.GET("/audit/entries", s.searching, s.auditEntries)
	in.GET("/audit/export", s.searching, s.auditExport)
	in.GET("/audit/patients/:id", s.searching, s.auditPatient)
}

// auditRows is how many entries one page shows.
const auditRows = 100

type auditPage struct {
	Query   url.Values // as it was asked
	Asked   bool
	Entries []trailRow
	More    string // the address of the next page; "" none
	Export  string // the query for the export
	Patient string // whose record it is about
}

// auditSearch reads what is asked for. A patient is named by id: no name is ever asked
// for here, or in an address.
func (s *server) auditSearch(c *gin.Context) (q review.Search, err error) {
	q.Who, q.What, q.Patient, q.Site = c.Query("who"), c.Query("what"), c.Query("patient"), coldkeep.SiteID(c.Query("site"))
	if q.From, err = onDay(c.Query("from"), 0); err != nil {
		return q, err
	}
	if q.To, err = onDay(c.Query("to"), 1); err != nil {
		return q, err
	}
	if at, id := c.Query("before"), c.Query("before_id"); at != "" {
		if q.Before.At, err = time.Parse(time.RFC3339Nano, at); err != nil || id == "" {
			return q, coldkeep.Errorf(coldkeep.EINVALID, "This address is not one of a page of the audit.")
		}
		q.Before.ID = id
	}
	return q, nil
}

// onDay reads a date as its beginning in UTC, some days on.
func onDay(text string, days int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, coldkeep.Errorf(coldkeep.EINVALID, "%.20q is not a date.", text)
	}
	return t.AddDate(0, 0, days), nil
}

func (s *server) auditForm(c *gin.Context) {
	// The form itself shows nothing, but is only for who may read the audit.
	if err := principal(c).Require("read-audit", ""); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "audit", &page{Title: "Audit", Nav: "audit", Data: auditPage{Query: url.Values{}}})
}

func (s *server) auditEntries(c *gin.Context) {
	q, err := s.auditSearch(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	q.Limit = auditRows
	s.showAudit(c, q, "audit", &page{Title: "Audit", Nav: "audit"})
}

func (s *server) auditPatient(c *gin.Context) {
	q, err := s.auditSearch(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	q = review.Search{Query: audit.Query{Patient: c.Param("id"), Before: q.Before, Limit: review.MaxPage}}
	s.showAudit(c, q, "auditpatient", &page{Title: "Who looked at this record", Nav: "audit"})
}

func (s *server) showAudit(c *gin.Context, q review.Search, template string, p *page) {
	ctx, who := c.Request.Context(), principal(c)
	entries, err := s.Review.Search(ctx, who, q)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		p.Flash, err = &flash{Text: coldkeep.ErrorMessage(err), Error: true}, nil
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	names, err := s.names(ctx, who, entries)
	if err != nil {
		s.fail(c, err)
		return
	}
	d := auditPage{Query: c.Request.URL.Query(), Asked: true, Patient: q.Patient}
	for _, e := range entries {
		d.Entries = append(d.Entries, names.row(e))
	}
	if len(entries) == q.Limit {
		last := entries[len(entries)-1]
		more := c.Request.URL.Query()
		more.Set("before", last.At.Format(time.RFC3339Nano))
		more.Set("before_id", last.ID)
		d.More = c.Request.URL.Path + "?" + more.Encode()
	}
	export := c.Request.URL.Query()
	export.Del("before")
	export.Del("before_id")
	if q.Patient != "" {
		export.Set("patient", q.Patient)
	}
	d.Export = export.Encode()
	p.Data = d
	s.render(c, http.StatusOK, template, p)
}

// auditExport streams entries as CSV, or as JSON Lines. What goes wrong after the first
// line breaks the answer off, so that a part is never taken for the whole.
func (s *server) auditExport(c *gin.Context) {
	q, err := s.auditSearch(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}); err != nil {
		s.Log.Debug("audit export: write deadline", "err", err) // a server without one needs none
	}
	name, kind := "audit.csv", "text/csv; charset=utf-8"
	if c.Query("format") == "jsonl" {
		name, kind = "audit.jsonl", "application/jsonl"
	}
	begun := false
	begin := func() {
		begun = true
		c.Header("Content-Type", kind)
		c.Header("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	write, flush := audit.NewCSV(csv.NewWriter(c.Writer)), func() error { return nil }
	if kind == "application/jsonl" {
		enc := json.NewEncoder(c.Writer)
		write = audit.Rows{Head: func() error { return nil }, Row: func(e audit.Entry) error { return enc.Encode(e.Line()) }, End: flush}
	}
	err = s.Review.Export(c.Request.Context(), principal(c), q, func(e audit.Entry) error {
		if !begun {
			begin()
			if err := write.Head(); err != nil {
				return err
			}
		}
		return write.Row(e)
	})
	if err == nil && !begun {
		begin()
		err = write.Head()
	}
	if err == nil {
		err = write.End()
	}
	switch {
	case err == nil:
	case begun:
		s.Log.Error("audit export", "err", err)
		panic(http.ErrAbortHandler)
	default:
		s.fail(c, err)
	}
}
