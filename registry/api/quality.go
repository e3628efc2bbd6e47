package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/quality"
)

func (s *server) qualityRoutes(v1 *gin.RouterGroup) {
	v1.GET("/quality", s.quality)
}

type qualityAnswer struct {
	CountedAt *time.Time      `json:"counted_at"` // null: nothing has been counted yet
	Site      coldkeep.SiteID `json:"site"`
	Total     quality.Counts  `json:"total"`
	Periods   []qualityRow    `json:"periods"`
	Practices []qualityRow    `json:"practices"`
}

type qualityRow struct {
	Site   coldkeep.SiteID `json:"site"`
	Period string          `json:"period,omitempty"`
	Counts quality.Counts  `json:"counts"`
}

func (s *server) quality(c *gin.Context) {
	r, err := s.Quality.Report(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")))
	if err != nil {
		s.problem(c, err)
		return
	}
	a := qualityAnswer{Site: r.Site, Total: r.Total, Periods: []qualityRow{}, Practices: []qualityRow{}}
	if r.Walk != nil {
		a.CountedAt = &r.Walk.Ended
	}
	for _, row := range r.ByPeriod {
		a.Periods = append(a.Periods, qualityRow{row.Site, row.Period, row.Counts})
	}
	for _, row := range r.BySite {
		a.Practices = append(a.Practices, qualityRow{Site: row.Site, Counts: row.Counts})
	}
	c.JSON(http.StatusOK, a)
}
