package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/onboarding"
)

// importRoutes are a practice's own patients and doses from a file; all ask for
// import-patients of somebody of that practice.
func (s *server) importRoutes(v1 *gin.RouterGroup) {
	v1.GET("/imports", s.get(s.imports))
	v1.POST("/imports", s.uploadImport)
	v1.GET("/imports/:id", s.get(s.oneImport))
	v1.POST("/imports/:id/take", s.post(4<<10, s.takeImport))
}

type importJSON struct {
	ID      string           `json:"id"`
	Site    coldkeep.SiteID  `json:"site"`
	SHA256  string           `json:"sha256"`
	State   onboarding.State `json:"state"`
	Rows    int              `json:"rows"`
	By      string           `json:"by"`
	At      time.Time        `json:"at"`
	Ended   *time.Time       `json:"ended,omitempty"`
	Cleared *time.Time       `json:"cleared,omitempty"` // since when the uploaded values are gone
}

func importOut(i *onboarding.Import) importJSON {
	return importJSON{ID: i.ID, Site: i.Site, SHA256: i.SHA256, State: i.State, Rows: i.Total, By: i.By, At: i.At, Ended: i.Ended, Cleared: i.Cleared}
}

func (s *server) imports(c *gin.Context) (any, error) {
	all, err := s.Onboarding.List(c.Request.Context(), principal(c))
	out := make([]importJSON, len(all))
	for i := range all {
		out[i] = importOut(&all[i])
	}
	return out, err
}

// file reads a body that is a file. When it cannot, it has answered.
func (s *server) file(c *gin.Context, limit int64, media string) ([]byte, bool) {
	if m, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";"); m != "" && !strings.EqualFold(strings.TrimSpace(m), media) {
		write(c, http.StatusUnsupportedMediaType, coldkeep.EINVALID, "Content-Type: want "+media)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	if err == nil {
		return body, true
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		s.tooLarge(c, limit)
	} else {
		s.problem(c, coldkeep.Wrap(err, coldkeep.EINVALID, "api.file", "body: could not be read"))
	}
	return nil, false
}

// uploadImport takes the file as the body. It needs no idempotency key: the same file
// again is the import that there is.
func (s *server) uploadImport(c *gin.Context) {
	// Of who may not, not even the file is read.
	if _, err := s.Onboarding.List(c.Request.Context(), principal(c)); err != nil {
		s.problem(c, err)
		return
	}
	body, ok := s.file(c, onboarding.MaxBytes, "text/csv")
	if !ok {
		return
	}
	i, err := s.Onboarding.Upload(c.Request.Context(), principal(c), bytes.NewReader(body))
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, importOut(&i))
}

type importProgressJSON struct {
	importJSON
	Looked   int                        `json:"looked"` // rows that were looked at
	Taken    int                        `json:"taken"`
	Verdicts map[onboarding.Verdict]int `json:"verdicts"`
	Findings []importRowJSON            `json:"findings"`
	Next     int                        `json:"next,omitempty"` // after, for the next rows with findings
}

type importRowJSON struct {
	Line     int                  `json:"line"` // of the file; its heading is line 1
	Verdict  onboarding.Verdict   `json:"verdict"`
	Findings []onboarding.Finding `json:"findings"`
}

// findingsPage is how many rows with findings one answer has.
const findingsPage = 100

func (s *server) oneImport(c *gin.Context) (any, error) {
	after, err := queryInt(c, "after", 0, 1<<31)
	if err != nil {
		return nil, err
	}
	p, err := s.Onboarding.Get(c.Request.Context(), principal(c), c.Param("id"), int(after), findingsPage)
	if err != nil {
		return nil, err
	}
	out := importProgressJSON{importJSON: importOut(&p.Import), Looked: p.Looked, Taken: p.Taken, Verdicts: p.Verdicts, Findings: []importRowJSON{}}
	for _, l := range p.Findings {
		out.Findings = append(out.Findings, importRowJSON{l.N, l.Verdict, l.Findings})
	}
	if len(p.Findings) == findingsPage {
		out.Next = p.Findings[findingsPage-1].Seq
	}
	return out, nil
}

func (s *server) takeImport(c *gin.Context, _ []byte) (any, error) {
	return did{c.Param("id")}, s.Onboarding.Take(c.Request.Context(), principal(c), c.Param("id"))
}
