package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// oversightRoutes are what the state looks at: locked records that were opened in an
// emergency, and everybody without a name.
func (s *server) oversightRoutes(v1 *gin.RouterGroup) {
	v1.GET("/emergencies", s.get(s.emergencies))                          // read-audit
	v1.POST("/emergencies/:id/review", s.post(16<<10, s.reviewEmergency)) // read-audit
	v1.GET("/deidentified/people.csv", s.deidentified)                    // read-de-identified
}

type emergencyJSON struct {
	ID         string          `json:"id"`
	WhoID      string          `json:"who_id"`
	Who        string          `json:"who"`
	Site       coldkeep.SiteID `json:"site,omitempty"`
	At         time.Time       `json:"at"`
	Until      time.Time       `json:"until"`
	Why        string          `json:"why"`
	ReviewedAt *time.Time      `json:"reviewed_at,omitempty"`
	ReviewedBy string          `json:"reviewed_by,omitempty"`
	Review     string          `json:"review,omitempty"`
}

func (s *server) emergencies(c *gin.Context) (any, error) {
	all, err := s.Patients.Emergencies(c.Request.Context(), principal(c), c.Query("reviewed") != "true")
	out := make([]emergencyJSON, len(all))
	for i, e := range all {
		out[i] = emergencyJSON{e.ID, e.WhoID, e.Who, e.Site, e.At, e.Until, e.Why, e.ReviewedAt, e.ReviewedBy, e.Review}
	}
	return out, err
}

func (s *server) reviewEmergency(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		Review string `json:"review"`
	}](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Patients.ReviewEmergency(c.Request.Context(), principal(c), c.Param("id"), v.Review)
}

// begun passes on a file and knows whether any of it has gone out.
type begun struct {
	c     *gin.Context
	begun bool
}

func (w *begun) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.c.Header("Content-Type", "text/csv; charset=utf-8")
	}
	return w.c.Writer.Write(b)
}

// deidentified streams everybody whose record is open. What goes wrong after the first
// line breaks the answer off.
func (s *server) deidentified(c *gin.Context) {
	if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}); err != nil {
		s.Log.Debug("de-identified export: write deadline", "err", err) // a server without one needs none
	}
	w := &begun{c: c}
	err := s.Patients.WriteDeidentified(c.Request.Context(), principal(c), w, s.Immunizations.Deidentified())
	switch {
	case err == nil:
	case w.begun:
		s.Log.Error("de-identified export", "err", err)
		panic(http.ErrAbortHandler)
	default:
		s.problem(c, err)
	}
}
