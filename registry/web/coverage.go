package web

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
)

// coverageRoutes are the assessment of coverage; all ask for read-coverage, the list of who
// lacks what for view-patients as well, and own measures for manage-programme.
func (s *server) coverageRoutes(in *gin.RouterGroup) {
	in.GET("/coverage", s.coverage)
	in.POST("/coverage", s.beginCoverage)
	in.GET("/coverage/runs/:id", s.coverageRun)
	in.GET("/coverage/runs/:id/coverage.csv", s.coverageCSV)
	in.GET("/coverage/runs/:id/missing", s.coverageMissing)
	in.POST("/coverage/runs/:id/cancel", s.cancelCoverage)
	s.measureRoutes(in)
}

type coveragePage struct {
	Runs     []coverage.Run
	Measures []coverage.Kept
	Smallest coverage.Smallest
	Sites    []coldkeep.Site // to choose from; empty for who belongs to one
	Today    string
}

func (s *server) coverage(c *gin.Context) {
	ctx, by := c.Request.Context(), principal(c)
	var p coveragePage
	var err error
	if p.Runs, err = s.Coverage.List(ctx, by); err != nil {
		s.fail(c, err)
		return
	}
	if p.Measures, err = s.Coverage.Measures(ctx, by); err != nil {
		s.fail(c, err)
		return
	}
	if p.Smallest, err = s.Coverage.Smallest(ctx, by); err != nil {
		s.fail(c, err)
		return
	}
	sites, err := s.Auth.Sites(ctx, by)
	if err != nil {
		s.fail(c, err)
		return
	}
	now := s.Clock.Now().UTC()
	if by.Site == "" {
		p.Sites = sites
	} else if len(sites) == 1 {
		now = now.In(zone(sites[0]))
	}
	p.Today = coldkeep.DateOf(now).String()
	s.render(c, http.StatusOK, "coverage", &page{Title: "Coverage", Nav: "coverage", Path: "/coverage", Data: p})
}

func (s *server) beginCoverage(c *gin.Context) {
	a := coverage.Ask{Site: coldkeep.SiteID(c.PostForm("site")), Measures: c.PostFormArray("measure"), Basis: coverage.Basis(c.PostForm("basis")),
		Ages: coverage.Ages{From: strings.TrimSpace(c.PostForm("from")), Until: strings.TrimSpace(c.PostForm("until"))}}
	var err error
	for _, f := range []struct {
		name, label string
		into        *coldkeep.Date
	}{{"day", "Day", &a.Day}, {"born", "Born from", &a.Born}, {"born_to", "Born to", &a.BornTo}} {
		if e := f.into.UnmarshalText([]byte(c.PostForm(f.name))); e != nil && err == nil {
			err = coldkeep.Errorf(coldkeep.EINVALID, "%s: want a day such as 2026-01-31.", f.label)
		}
	}
	if text := strings.TrimSpace(c.PostForm("months")); text != "" && err == nil {
		if a.Months, err = strconv.Atoi(text); err != nil {
			err = coldkeep.Errorf(coldkeep.EINVALID, "Months before: want a whole number.")
		}
	}
	back, word := "/coverage", ""
	if err == nil {
		var r coverage.Run
		if r, err = s.Coverage.Begin(c.Request.Context(), principal(c), a); err == nil {
			back, word = "/coverage/runs/"+r.ID, "The assessment has been asked for."
		}
	}
	s.done(c, back, word, err)
}

func (s *server) cancelCoverage(c *gin.Context) {
	err := s.Coverage.Cancel(c.Request.Context(), principal(c), c.Param("id"))
	s.done(c, "/coverage/runs/"+c.Param("id"), "The assessment has been cancelled.", err)
}

// coverageLine is one measure, or a part of one, as a row of a table.
type coverageLine struct {
	coverage.Count
	Title string
	Whole bool
	Bar   template.HTML
}

// Percent is a share of the people in words; Told whether a number is told.
func (l coverageLine) Percent(n int64) string  { return share(n, l.People) }
func (l coverageLine) Told(n int64) bool       { return n >= 0 }
func (l coverageLine) VisitsPercent() string   { return share(l.MissedVisits, l.Visits) }
func (l coverageLine) Differs() bool           { return l.ValidOnly != 0 || l.CountedOnly != 0 }
func (l coverageLine) Number(n int64) string   { return people(n) }
func (l coverageLine) Of(n int64) string       { return people(n) + " of " + people(l.People) }
func (l coverageLine) Both() (valid, n string) { return l.Percent(l.Valid), l.Percent(l.Counted) }

// share is a percentage with one decimal: "–" when there is nobody, and when it is withheld.
func share(n, of int64) string {
	p, ok := coverage.Rate(n, of)
	if !ok {
		return "–"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

func people(n int64) string {
	if n == coverage.Withheld {
		return "withheld"
	}
	return strconv.FormatInt(n, 10)
}

type coverageMeasure struct {
	coverage.Measure
	Whole     coverageLine
	Parts     []coverageLine
	Benchmark *coverage.Benchmark
	Trend     []coverageLine // the earliest first
	Drawn     template.HTML  // of the trend
}

type coverageRunPage struct {
	coverage.Result
	Percent  int
	Measures []coverageMeasure
	By       coverage.Dim // the breakdown that is shown; "" of a practice's
	Of       string       // the measure it is of
	Rows     []coverageLine
}

// breakdowns are those that a page may show.
var breakdowns = []coverage.Dim{coverage.ByPractice, coverage.ByCounty, coverage.ByZIP3}

// Dims lists the breakdowns with their names, for links.
func (coverageRunPage) Dims() []coverage.Dim { return breakdowns }

// DimName is a breakdown in words.
func (coverageRunPage) DimName(d coverage.Dim) string {
	return map[coverage.Dim]string{coverage.ByPractice: "practice", coverage.ByCounty: "county", coverage.ByZIP3: "ZIP code area"}[d]
}

// Title names a measure of the assessment.
func (p coverageRunPage) Title(id string) string {
	if m := p.Asked.Measure(id); m != nil {
		return m.Title
	}
	return id
}

func (s *server) coverageRun(c *gin.Context) {
	ctx, by, id := c.Request.Context(), principal(c), c.Param("id")
	r, err := s.Coverage.Get(ctx, by, id)
	if err == nil && r.State == coverage.Done {
		s.coverageResult(c)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	p := coverageRunPage{Result: coverage.Result{Run: r}, Percent: int(100 * r.Done / max(r.Total, 1))}
	if r.Busy() {
		c.Header("Refresh", "2")
	}
	s.render(c, http.StatusOK, "coveragerun", &page{Title: "Coverage", Nav: "coverage", Data: &p})
}

func (s *server) coverageResult(c *gin.Context) {
	r, err := s.Coverage.Result(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := coverageRunPage{Result: r, Of: r.Asked.Measures[0].ID}
	if r.Asked.Measure(c.Query("measure")) != nil {
		p.Of = c.Query("measure")
	}
	if r.Site == "" {
		if p.By = coverage.ByPractice; slices.Contains(breakdowns, coverage.Dim(c.Query("by"))) {
			p.By = coverage.Dim(c.Query("by"))
		}
	}
	for i := range r.Asked.Measures {
		p.Measures = append(p.Measures, measureView(&r, &r.Asked.Measures[i]))
	}
	for _, n := range r.Counts {
		if p.By != "" && n.Dim == p.By && n.Measure == p.Of && n.Part == "" {
			p.Rows = append(p.Rows, coverageLine{Count: n, Title: n.Value, Bar: drawBar(n, nil)})
		}
	}
	s.render(c, http.StatusOK, "coveragerun", &page{Title: "Coverage", Nav: "coverage", Data: &p})
}

func measureView(r *coverage.Result, m *coverage.Measure) coverageMeasure {
	v := coverageMeasure{Measure: *m}
	if b, ok := r.Benchmarks[m.ID]; ok {
		v.Benchmark = &b
	}
	for _, n := range r.Counts {
		if n.Dim != coverage.All || n.Measure != m.ID {
			continue
		}
		l := coverageLine{Count: n, Title: m.Title}
		switch {
		case n.Part == "" && n.Day == r.Day:
			l.Title, l.Whole, l.Bar = "All of them", true, drawBar(n, v.Benchmark)
			v.Whole = l
			v.Trend = append(v.Trend, l)
		case n.Part == "":
			v.Trend = append(v.Trend, l)
		case n.Day == r.Day:
			if i := slices.IndexFunc(m.Parts, func(p coverage.Part) bool { return p.ID == n.Part }); i >= 0 {
				l.Title = m.Parts[i].Title
			}
			l.Bar = drawBar(n, nil)
			v.Parts = append(v.Parts, l)
		}
	}
	slices.SortStableFunc(v.Trend, func(a, b coverageLine) int { return cmp.Compare(a.Day, b.Day) })
	if len(v.Trend) > 1 {
		v.Drawn = drawTrend(v.Trend, m.Title)
	}
	return v
}

func (s *server) coverageCSV(c *gin.Context) {
	r, err := s.Coverage.Result(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Type", "text/csv; charset=utf-8")
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="coverage-%s.csv"`, r.Day))
	w := csv.NewWriter(c.Writer)
	_ = w.Write([]string{"day", "by", "of", "measure", "version", "vaccine", "people", "valid", "valid_percent", "by_count", "by_count_percent", "valid_only", "by_count_only",
		"lack_one_valid", "lack_one_by_count", "missed_people", "visits", "missed_visits", "basis", "schedule", "programme_valid_percent"}) // Flush tells
	for _, n := range r.Counts {
		m := r.Asked.Measure(n.Measure)
		bench := ""
		if b, ok := r.Benchmarks[n.Measure]; ok && n.Part == "" && n.Day == r.Day {
			bench = strconv.FormatFloat(b.Valid, 'f', 1, 64)
		}
		_ = w.Write([]string{n.Day.String(), string(n.Dim), cell(n.Value), n.Measure, strconv.Itoa(m.Version), n.Part, figure(n.People), figure(n.Valid), bare(n.Valid, n.People), figure(n.Counted), bare(n.Counted, n.People),
			figure(n.ValidOnly), figure(n.CountedOnly), figure(n.Near), figure(n.NearCounted), figure(n.Missed), figure(n.Visits), figure(n.MissedVisits), string(r.Asked.Basis), r.Schedule, bench})
	}
	w.Flush() // an error is of a reader who has gone
}

// figure is a number in a CSV file, empty when it is withheld; bare is a percentage without a sign.
func figure(n int64) string {
	if n == coverage.Withheld {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func bare(n, of int64) string { return strings.Trim(share(n, of), " %–") }

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (s *server) coverageMissing(c *gin.Context) {
	m, err := s.Coverage.Missing(c.Request.Context(), principal(c), c.Param("id"), c.Query("measure"), coverage.Counting(c.Query("counting")), c.Query("after"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "coveragemissing", &page{Title: "Not covered", Nav: "coverage", Data: m})
}

// mayCancel reports whether the page offers to cancel; the service decides.
func (p coverageRunPage) MayCancel(by auth.Principal) bool {
	return p.Busy() && (by.Site != "" || p.ByID == by.ID || by.May(auth.ManageProgramme, ""))
}
