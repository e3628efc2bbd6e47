package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// siteUnits are the units of one site.
type siteUnits struct {
	Site     coldkeep.Site
	Units    []templog.Unit
	Resting  []templog.Unit // out of service
	Expiring []probeCertificate
	// Undeducted is how many doses were given and not taken off the stock, for who keeps it there.
	Undeducted int
}

func (s *server) units(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	sites, err := s.Templog.Sites(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	var waiting map[coldkeep.SiteID]int
	if who.Site != "" { // the programme's people keep no stock of their own
		if waiting, err = s.undeductedAt(c); err != nil {
			s.fail(c, err)
			return
		}
	}
	groups := make([]siteUnits, len(sites))
	for i, site := range sites {
		groups[i].Site, groups[i].Undeducted = site, waiting[site.ID]
		for _, u := range units {
			switch {
			case u.Site != site.ID:
			case u.InService:
				groups[i].Units = append(groups[i].Units, u)
			default:
				groups[i].Resting = append(groups[i].Resting, u)
			}
		}
		if who.May(auth.ManageUnits, site.ID) {
			if groups[i].Expiring, err = s.expiring(ctx, who, site, soon); err != nil {
				s.fail(c, err)
				return
			}
		}
	}
	s.render(c, http.StatusOK, "units", &page{Title: "Units now", Nav: "units", Data: groups})
}

// span is the stretch of time that a unit's page shows.
type span struct {
	Key      string // "24h", "7d" or "30d"
	From, To time.Time
	At       time.Time // its middle, when it does not end now
	Now      bool      // it ends now
}

var spans = []struct {
	key    string
	length time.Duration
}{{"24h", 24 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}}

// parseSpan reads ?range= and ?at=. Without at, the span ends now; with it, at is
// its middle. A word that is none is EINVALID.
func parseSpan(rangeKey, at string, now time.Time) (span, error) {
	if rangeKey == "" {
		rangeKey = "24h"
	}
	for _, r := range spans {
		if r.key != rangeKey {
			continue
		}
		if at == "" {
			return span{Key: r.key, From: now.Add(-r.length), To: now, Now: true}, nil
		}
		t, err := time.Parse(time.RFC3339, at)
		if err != nil || t.Year() < 2000 || t.Year() >= 2100 {
			return span{}, coldkeep.Errorf(coldkeep.EINVALID, "at: %q: want a time such as 2026-01-31T08:15:00Z", at)
		}
		t = t.UTC()
		return span{Key: r.key, From: t.Add(-r.length / 2), To: t.Add(r.length / 2), At: t}, nil
	}
	return span{}, coldkeep.Errorf(coldkeep.EINVALID, "range: %q: want 24h, 7d or 30d", rangeKey)
}

// query is the span as a link has it. The colons of its time are escaped: html/template
// takes what stands before a colon for a scheme, and puts nothing in its place.
func (v span) query() string {
	if v.Now {
		return "?range=" + v.Key
	}
	return "?range=" + v.Key + "&at=" + url.QueryEscape(v.At.Format(time.RFC3339))
}

// Ranges are the links to the three lengths about the same time.
func (v span) Ranges() []link {
	out := make([]link, len(spans))
	for i, r := range spans {
		w := v
		w.Key = r.key
		out[i] = link{Text: map[string]string{"24h": "24 hours", "7d": "7 days", "30d": "30 days"}[r.key], Href: w.query(), On: r.key == v.Key}
	}
	return out
}

// Earlier is the link to the span before.
func (v span) Earlier() string {
	half := v.To.Sub(v.From) / 2
	return span{Key: v.Key, At: v.From.Add(-half).Truncate(time.Second)}.query()
}

// Later is the link to the span after, "" when that is now or beyond.
func (v span) Later(now time.Time) string {
	half := v.To.Sub(v.From) / 2
	if v.Now || !v.To.Add(half).Before(now) {
		return ""
	}
	return span{Key: v.Key, At: v.To.Add(half)}.query()
}

// about is the link that shows an excursion whole, with what was around it.
func about(x coldkeep.Excursion, now time.Time) string {
	end := now
	if x.End != nil {
		end = *x.End
	}
	length := end.Sub(x.Start)
	key := "30d"
	for _, r := range spans {
		if length < r.length*3/4 {
			key = r.key
			break
		}
	}
	return span{Key: key, At: x.Start.Add(length / 2).Truncate(time.Second)}.query()
}

type link struct {
	Text, Href string
	On         bool
}

type excursionRow struct {
	coldkeep.Excursion
	Alert *alertView
	Href  string
	Shown bool // in the chart
}

type unitPage struct {
	Unit        templog.Unit
	Site        coldkeep.Site
	Loc         *time.Location
	Rules       *coldkeep.UnitRules
	Span        span
	Earlier     string
	Later       string
	Wide        template.HTML
	Narrow      template.HTML
	FromLog     bool // the collector does not answer, the chart is the registry's own log
	DataURL     string
	Excursions  []excursionRow
	Many        []unitAlerts // the unit, when it has more than one open alert
	Intervals   []coldkeep.Interval
	LogFrom     time.Time
	Assignments []coldkeep.Assignment
	Contexts    []coldkeep.Context
	Kinds       []coldkeep.ContextKind // that a person may note
}

// chartBuckets is how many points a chart has at most: one every 5 minutes of a
// day, which is about what its width can show.
const chartBuckets = 288

// logRows is how much of the quarter-hour log one page lists.
const logRows = 24 * time.Hour

// drawn is what both the page and its chart's data need.
type drawn struct {
	unit       templog.Unit
	site       coldkeep.Site
	rules      *coldkeep.UnitRules
	span       span
	buckets    []coldkeep.Bucket
	fromLog    bool
	excursions []coldkeep.Excursion // of temperatures, in the span
	unknown    []coldkeep.Excursion // silences and probe faults, in the span
}

func (s *server) draw(c *gin.Context) (drawn, error) {
	ctx, who, id := c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id"))
	var d drawn
	var err error
	if d.unit, d.site, err = s.Templog.Unit(ctx, who, id); err != nil {
		return d, err
	}
	if d.span, err = parseSpan(c.Query("range"), c.Query("at"), s.Clock.Now()); err != nil {
		return d, err
	}
	if d.rules, err = templog.Rules(d.unit.Appliance); err != nil {
		return d, err
	}
	if d.excursions, err = s.Templog.Excursions(ctx, who, id, d.span.From, d.span.To, 200); err != nil {
		return d, err
	}
	for _, x := range slices.Clone(d.excursions) {
		if x.State != coldkeep.ExcursionWithdrawn && !measured(x.Kind) {
			d.unknown = append(d.unknown, x)
		}
	}
	d.excursions = slices.DeleteFunc(d.excursions, func(x coldkeep.Excursion) bool {
		return x.State == coldkeep.ExcursionWithdrawn || !measured(x.Kind)
	})
	d.buckets, err = ask(ctx, &s.lost, func(ctx context.Context) ([]coldkeep.Bucket, error) {
		return s.Readings.Buckets(ctx, id, d.span.From, d.span.To, chartBuckets)
	})
	if err == nil {
		return d, nil
	}
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		s.Log.Warn("readings for a chart", "appliance", id, "err", err)
	}
	log, err := s.Templog.Intervals(ctx, who, id, d.span.From, d.span.To)
	if err != nil {
		return d, err
	}
	d.fromLog, d.buckets = true, bucketsOf(log)
	return d, nil
}

// bucketsOf makes a chart's buckets of the quarter-hour log, oldest first. Where
// several probes stood in the unit, a bucket holds them all.
func bucketsOf(log []coldkeep.Interval) []coldkeep.Bucket {
	var out []coldkeep.Bucket
	for _, i := range slices.Backward(log) {
		b := coldkeep.Bucket{From: i.From, To: i.To, Min: i.Min, Max: i.Max, Mean: i.Mean, Count: i.Readings}
		if last := len(out) - 1; last >= 0 && out[last].From.Equal(b.From) {
			out[last] = merge(out[last], b)
			continue
		}
		out = append(out, b)
	}
	return out
}

func merge(a, b coldkeep.Bucket) coldkeep.Bucket {
	switch {
	case b.Count == 0:
		return a
	case a.Count == 0:
		return b
	}
	a.Mean = coldkeep.Temperature((int64(a.Mean)*int64(a.Count) + int64(b.Mean)*int64(b.Count)) / int64(a.Count+b.Count))
	a.Min, a.Max, a.Count = min(a.Min, b.Min), max(a.Max, b.Max), a.Count+b.Count
	return a
}

func (s *server) unit(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	d, err := s.draw(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	now := s.Clock.Now()
	p := unitPage{
		Unit: d.unit, Site: d.site, Loc: zone(d.site), Rules: d.rules, Span: d.span, Earlier: d.span.Earlier(), Later: d.span.Later(now),
		FromLog: d.fromLog, DataURL: "/units/" + string(d.unit.ID) + "/data.json" + d.span.query(), LogFrom: d.span.From,
	}
	p.Wide = drawChart(d, p.Loc, wideChart)
	p.Narrow = drawChart(d, p.Loc, narrowChart)
	if p.Excursions, p.Many, err = s.excursionRows(ctx, c, d, now); err != nil {
		s.fail(c, err)
		return
	}
	if d.span.To.Sub(p.LogFrom) > logRows {
		p.LogFrom = d.span.To.Add(-logRows)
	}
	if p.Intervals, err = s.Templog.Intervals(ctx, who, d.unit.ID, p.LogFrom, d.span.To); err != nil {
		s.fail(c, err)
		return
	}
	if p.Assignments, err = s.Templog.Assignments(ctx, who, d.unit.ID); err != nil {
		s.fail(c, err)
		return
	}
	p.Kinds = templog.ContextKinds()
	if p.Contexts, err = s.Templog.Contexts(ctx, who, d.unit.ID); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "unit", &page{Title: d.unit.Name, Nav: "units", Data: p})
}

// excursionRows lists the unit's excursions of all time, the latest first, with
// their alerts when the collector answers, and the unit's open alerts when there
// are several.
func (s *server) excursionRows(ctx context.Context, c *gin.Context, d drawn, now time.Time) ([]excursionRow, []unitAlerts, error) {
	who := principal(c)
	all, err := s.Templog.Excursions(ctx, who, d.unit.ID, time.UnixMilli(0), now.AddDate(1, 0, 0), 100)
	if err != nil {
		return nil, nil, err
	}
	var many []unitAlerts
	byExcursion := map[string]*alertView{}
	if alerts, err := s.alertList(ctx, who, false); err == nil {
		alerts = slices.DeleteFunc(alerts, func(a coldkeep.Alert) bool { return a.Appliance != d.unit.ID })
		views := alertViews(alerts, []templog.Unit{d.unit})
		for _, a := range views {
			byExcursion[a.Excursion.ID] = &a
		}
		many = several(byUnit(views, []templog.Unit{d.unit}))
	}
	out := make([]excursionRow, len(all))
	for i, x := range all {
		out[i] = excursionRow{
			Excursion: x, Alert: byExcursion[x.ID], Href: about(x, now),
			Shown: slices.ContainsFunc(slices.Concat(d.excursions, d.unknown), func(y coldkeep.Excursion) bool { return x.ID == y.ID }),
		}
	}
	return out, many, nil
}

// chartData is what the script draws a chart from; times are seconds since 1970.
type chartData struct {
	Zone string                 `json:"zone"`
	From int64                  `json:"from"`
	To   int64                  `json:"to"`
	Low  float64                `json:"low"`
	High float64                `json:"high"`
	T    []int64                `json:"t"`
	Min  []coldkeep.Temperature `json:"min"`
	Max  []coldkeep.Temperature `json:"max"`
	Mean []coldkeep.Temperature `json:"mean"`
	Out  [][2]int64             `json:"excursions"`
	Lost [][2]int64             `json:"unknown"` // silences and probe faults
}

func (s *server) unitData(c *gin.Context) {
	d, err := s.draw(c)
	if err != nil {
		c.JSON(coldkeep.Status(coldkeep.ErrorCode(err)), gin.H{"code": coldkeep.ErrorCode(err), "detail": coldkeep.ErrorMessage(err)})
		return
	}
	n := len(d.buckets)
	out := chartData{
		Zone: d.site.TimeZone, From: d.span.From.Unix(), To: d.span.To.Unix(), Low: d.rules.Low.Celsius(), High: d.rules.High.Celsius(),
		T: make([]int64, n), Min: make([]coldkeep.Temperature, n), Max: make([]coldkeep.Temperature, n), Mean: make([]coldkeep.Temperature, n),
		Out: spansOf(d.excursions, d.span.To), Lost: spansOf(d.unknown, d.span.To),
	}
	for i, b := range d.buckets {
		out.T[i] = b.From.Add(b.To.Sub(b.From) / 2).Unix()
		out.Min[i], out.Max[i], out.Mean[i] = b.Min, b.Max, b.Mean
		if b.Count == 0 {
			out.Min[i], out.Max[i], out.Mean[i] = coldkeep.NoTemperature, coldkeep.NoTemperature, coldkeep.NoTemperature
		}
	}
	c.JSON(http.StatusOK, out)
}

// spansOf gives when excursions began and ended; one that goes on ends with the chart.
func spansOf(all []coldkeep.Excursion, to time.Time) [][2]int64 {
	out := [][2]int64{}
	for _, x := range all {
		end := to
		if x.End != nil {
			end = *x.End
		}
		out = append(out, [2]int64{x.Start.Unix(), end.Unix()})
	}
	return out
}
