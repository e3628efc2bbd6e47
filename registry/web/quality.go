package web

import (
	"encoding/csv"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/quality"
)

func (s *server) qualityRoutes(in *gin.RouterGroup) {
	in.GET("/quality", s.quality)
	in.GET("/quality.csv", s.qualityCSV)
}

// qualityLine is a measure with its numbers.
type qualityLine struct {
	quality.Line
	N, Of   int64
	Percent float64
	Some    bool // there is something to take a share of
}

// qualityRow is one period or practice with the shares that a table of all has room for.
type qualityRow struct {
	quality.Row
	NoPhone, NoRace, WithinWeek, NoLot, Wrong string
	Days                                      string
}

type qualityPage struct {
	quality.Report
	Sections []qualitySection
	Periods  []qualityRow
	Sites    []qualityRow
	Days     string
	Patients int64
	Doses    int64
	Given    int64
}

type qualitySection struct {
	Title string
	Lines []qualityLine
}

func (s *server) quality(c *gin.Context) {
	r, err := s.Quality.Report(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := qualityPage{Report: r, Days: days(r.Total), Patients: r.Total[quality.Patients], Doses: r.Total[quality.Doses], Given: r.Total[quality.Given]}
	for _, l := range quality.Lines {
		if n := len(p.Sections); n == 0 || p.Sections[n-1].Title != l.Section {
			p.Sections = append(p.Sections, qualitySection{Title: l.Section})
		}
		percent, some := r.Total.Share(l)
		section := &p.Sections[len(p.Sections)-1]
		section.Lines = append(section.Lines, qualityLine{l, r.Total[l.Measure], r.Total[l.Of], percent, some})
	}
	for _, row := range r.ByPeriod {
		p.Periods = append(p.Periods, qualityRowOf(row))
	}
	for _, row := range r.BySite {
		p.Sites = append(p.Sites, qualityRowOf(row))
	}
	s.render(c, http.StatusOK, "quality", &page{Title: "Data quality", Nav: "quality", Data: p})
}

func qualityRowOf(r quality.Row) qualityRow {
	share := func(m, of quality.Measure) string { return percent(r.Counts, m, of) }
	wrong := r.Counts[quality.FutureDose] + r.Counts[quality.BeforeBirth] + r.Counts[quality.ImplausibleAge] + r.Counts[quality.UnknownVaccine]
	return qualityRow{Row: r, NoPhone: share(quality.NoPhone, quality.Patients), NoRace: share(quality.NoRace, quality.Patients),
		WithinWeek: share(quality.WithinWeek, quality.Given), NoLot: share(quality.NoLot, quality.Given), Wrong: strconv.FormatInt(wrong, 10), Days: days(r.Counts)}
}

func percent(c quality.Counts, m, of quality.Measure) string {
	p, ok := c.Share(quality.Line{Measure: m, Of: of})
	if !ok {
		return "–"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

func days(c quality.Counts) string {
	d, ok := c.MeanDays()
	if !ok {
		return "–"
	}
	return strconv.FormatFloat(d, 'f', 1, 64)
}

// Count gives a row's number, for the template.
func (r qualityRow) Count(m string) int64 { return r.Counts[quality.Measure(m)] }

func (s *server) qualityCSV(c *gin.Context) {
	r, err := s.Quality.Report(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Type", "text/csv; charset=utf-8")
	c.Header("Content-Disposition", `attachment; filename="data-quality.csv"`)
	w := csv.NewWriter(c.Writer)
	counted := ""
	if r.Walk != nil {
		counted = r.Walk.Ended.UTC().Format("2006-01-02T15:04:05Z")
	}
	_ = w.Write([]string{"rows", "practice", "period", "measure", "count", "of", "counted_at"}) // Flush tells
	write := func(kind string, row quality.Row) {
		for _, l := range quality.Lines {
			_ = w.Write([]string{kind, unformula(string(row.Site)), row.Period, string(l.Measure), strconv.FormatInt(row.Counts[l.Measure], 10), strconv.FormatInt(row.Counts[l.Of], 10), counted})
		}
	}
	write("total", quality.Row{Site: r.Site, Counts: r.Total})
	for _, row := range r.ByPeriod {
		write("period", row)
	}
	for _, row := range r.BySite {
		write("practice", row)
	}
	w.Flush() // an error is of a reader who has gone
}
