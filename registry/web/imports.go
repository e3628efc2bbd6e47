package web

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/onboarding"
)

// importRoutes are the screens on which a practice takes over its patients and doses; all
// ask for import-patients.
func (s *server) importRoutes(in *gin.RouterGroup) {
	in.GET("/import", s.imports)
	in.GET("/import/template.csv", s.importTemplate)
	in.GET("/import/:id", s.oneImport)
	in.POST("/import/:id/take", s.takeImport)
}

type importsPage struct {
	Imports []onboarding.Import
	Columns []onboarding.Column
}

func (s *server) imports(c *gin.Context) {
	all, err := s.Onboarding.List(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "imports", &page{Title: "Import patients", Nav: "import", Path: "/import", Data: importsPage{all, onboarding.Columns()}})
}

func (s *server) importTemplate(c *gin.Context) {
	if _, err := s.Onboarding.List(c.Request.Context(), principal(c)); err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="coldkeep-patients.csv"`)
	c.Data(http.StatusOK, "text/csv; charset=utf-8", onboarding.Template())
}

func (s *server) uploadImport(c *gin.Context) {
	// Of who may not, not even the file is read.
	if _, err := s.Onboarding.List(c.Request.Context(), principal(c)); err != nil {
		s.fail(c, err)
		return
	}
	h, err := c.FormFile("file")
	if err != nil {
		s.done(c, "/import", "", coldkeep.Errorf(coldkeep.EINVALID, "File: choose a CSV file of at most %d MB.", onboarding.MaxBytes>>20))
		return
	}
	f, err := h.Open()
	if err != nil {
		s.fail(c, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.uploadImport", "upload"))
		return
	}
	defer func() { _ = f.Close() }() // it was read only
	i, err := s.Onboarding.Upload(c.Request.Context(), principal(c), f)
	if err != nil {
		s.done(c, "/import", "", err)
		return
	}
	word := "The file has been read. Nothing is changed until you say so."
	if _, err := f.Seek(0, io.SeekStart); err == nil {
		if over := onboarding.PassedOver(f); len(over) > 0 {
			word += " Columns that are none of the template's are passed over: " + strings.ToValidUTF8(strings.Join(over, ", "), "") + "."
		}
	}
	s.done(c, "/import/"+i.ID, word, nil)
}

// findingsShown is how many rows with findings a page shows.
const findingsShown = 100

type importPage struct {
	onboarding.Progress
	Busy    bool
	Percent int
	Next    int // row after which the next page of findings begins; 0 for none
}

// Count is how many rows have a verdict.
func (p importPage) Count(verdict string) int { return p.Verdicts[onboarding.Verdict(verdict)] }

func (s *server) oneImport(c *gin.Context) {
	after, err := strconv.Atoi(c.DefaultQuery("after", "0"))
	if err != nil || after < 0 {
		after = 0
	}
	r, err := s.Onboarding.Get(c.Request.Context(), principal(c), c.Param("id"), after, findingsShown)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := importPage{Progress: r, Busy: r.State == onboarding.Checking || r.State == onboarding.Taking}
	n := r.Looked
	if r.State == onboarding.Taking {
		n = r.Taken + r.Verdicts[onboarding.Refused]
	}
	p.Percent = min(100*n/max(r.Total, 1), 100)
	if len(r.Findings) == findingsShown {
		p.Next = r.Findings[len(r.Findings)-1].Seq
	}
	if p.Busy {
		c.Header("Refresh", "2") // shows how far it is, also without scripts
	}
	s.render(c, http.StatusOK, "import", &page{Title: "Import patients", Nav: "import", Data: p})
}

func (s *server) takeImport(c *gin.Context) {
	err := s.Onboarding.Take(c.Request.Context(), principal(c), c.Param("id"))
	s.done(c, "/import/"+c.Param("id"), "The rows are being imported.", err)
}
