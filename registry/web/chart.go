package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// size is a chart's drawing area and how many labels fit along it. A phone gets a
// drawing of its own, since a wide one made small cannot be read.
type size struct {
	name                     string
	width, height            float64
	left, right, top, bottom float64 // margins for the labels
	font                     float64
	hours, days              int // between labels of a day's, a week's chart
	weeks                    int // days between labels of a month's
}

var (
	wideChart   = size{name: "wide", width: 960, height: 330, left: 52, right: 52, top: 14, bottom: 30, font: 12, hours: 3, days: 1, weeks: 3}
	narrowChart = size{name: "narrow", width: 380, height: 260, left: 42, right: 8, top: 12, bottom: 28, font: 12, hours: 6, days: 2, weeks: 7}
)

// drawChart makes the picture of a unit's temperature: the range as a band, the
// limits as lines, excursions shaded, the lowest and highest of each bucket as a
// band and the mean as a line that breaks where nothing was recorded.
func drawChart(d drawn, loc *time.Location, sz size) template.HTML {
	c := newChart(d, loc, sz)
	c.printf(`<svg class="chart chart-%s" viewBox="0 0 %g %g" role="img" aria-label="%s" font-size="%g">`,
		sz.name, sz.width, sz.height, template.HTMLEscapeString(c.summary()), sz.font)
	c.rangeBand()
	c.unknownShades()
	c.excursionShades()
	c.temperatureAxis()
	c.timeAxis()
	c.limits()
	c.readings()
	c.extremes()
	c.printf(`</svg>`)
	return template.HTML(c.b.String()) // every text in it is made here or escaped
}

type chart struct {
	drawn
	size
	loc       *time.Location
	b         strings.Builder
	low, high float64 // °C at the bottom and the top
	step      float64 // °C between grid lines
}

func newChart(d drawn, loc *time.Location, sz size) *chart {
	c := &chart{drawn: d, size: sz, loc: loc}
	c.low, c.high = d.rules.Low.Celsius(), d.rules.High.Celsius()
	if c.high-c.low > 20 { // a freezer's range goes far below where it ever is
		c.low = c.high - 10
	}
	for _, b := range d.buckets {
		if b.Count > 0 {
			c.low, c.high = math.Min(c.low, b.Min.Celsius()), math.Max(c.high, b.Max.Celsius())
		}
	}
	for _, x := range d.excursions {
		if !x.PeakAt.Before(d.span.From) && !x.PeakAt.After(d.span.To) {
			c.low, c.high = math.Min(c.low, x.Extreme.Celsius()), math.Max(c.high, x.Extreme.Celsius())
		}
	}
	c.step = gridStep((c.high - c.low) / (sz.height / 55))
	c.low = math.Floor(c.low/c.step-0.25) * c.step
	c.high = math.Ceil(c.high/c.step+0.25) * c.step
	return c
}

// gridStep is the least of 1, 2, 5 × 10ⁿ that is not below v.
func gridStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}

func (c *chart) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *chart) x(t time.Time) float64 {
	f := float64(t.Sub(c.span.From)) / float64(c.span.To.Sub(c.span.From))
	return c.left + math.Min(math.Max(f, 0), 1)*(c.width-c.left-c.right)
}

func (c *chart) y(celsius float64) float64 {
	f := (celsius - c.low) / (c.high - c.low)
	return c.height - c.bottom - math.Min(math.Max(f, 0), 1)*(c.height-c.top-c.bottom)
}

func (c *chart) rangeBand() {
	top, bottom := c.y(c.rules.High.Celsius()), c.y(c.rules.Low.Celsius())
	c.printf(`<rect class="c-range" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, c.left, top, c.width-c.left-c.right, bottom-top)
}

func (c *chart) excursionShades() { c.shade("c-out", c.excursions) }

// unknownShades mark the times of which nobody knows how the unit stood.
func (c *chart) unknownShades() { c.shade("c-unknown", c.unknown) }

func (c *chart) shade(class string, all []coldkeep.Excursion) {
	for _, x := range all {
		end := c.span.To
		if x.End != nil {
			end = *x.End
		}
		from, to := c.x(x.Start), c.x(end)
		c.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, from, c.top, math.Max(to-from, 1.5), c.height-c.top-c.bottom)
	}
}

func (c *chart) temperatureAxis() {
	for v := c.low; v <= c.high+c.step/1000; v += c.step {
		y := c.y(v)
		c.printf(`<line class="c-grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, c.left, c.width-c.right, y, y)
		c.printf(`<text class="c-label" x="%.1f" y="%.1f" text-anchor="end">%s°C</text>`, c.left-6, y+c.font/3, axisNumber(v))
		if c.right > 40 {
			c.printf(`<text class="c-label c-second" x="%.1f" y="%.1f">%s°F</text>`, c.width-c.right+6, y+c.font/3, axisNumber(math.Round(v*9/5+32)))
		}
	}
}

func axisNumber(v float64) string {
	return strings.Replace(fmt.Sprintf("%g", math.Round(v*100)/100+0), "-", "−", 1)
}

// timeAxis puts a label at round hours or midnights of the clinic.
func (c *chart) timeAxis() {
	from := c.span.From.In(c.loc)
	length := c.span.To.Sub(c.span.From)
	midnight := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, c.loc)
	for i := 0; ; i++ {
		var t time.Time
		switch {
		case length <= 48*time.Hour: // by the clock, so that a change of summer time does not shift the labels
			t = time.Date(from.Year(), from.Month(), from.Day(), i*c.hours, 0, 0, 0, c.loc)
		case length <= 8*24*time.Hour:
			t = midnight.AddDate(0, 0, i*c.days)
		default:
			t = midnight.AddDate(0, 0, i*c.weeks)
		}
		if t.After(c.span.To) {
			return
		}
		x := c.x(t)
		if t.Before(c.span.From) || x < c.left+14 || x > c.width-c.right-14 {
			continue
		}
		label := t.Format("Jan 2")
		if length <= 48*time.Hour && t.Hour() != 0 {
			label = t.Format("3 PM")
		}
		c.printf(`<line class="c-grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, c.top, c.height-c.bottom)
		c.printf(`<text class="c-label" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x, c.height-c.bottom+c.font+5, label)
	}
}

func (c *chart) limits() {
	for _, th := range []coldkeep.Threshold{c.rules.Low, c.rules.High} {
		v := th.Celsius()
		if v < c.low || v > c.high {
			continue
		}
		c.printf(`<line class="c-limit" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, c.left, c.width-c.right, c.y(v), c.y(v))
	}
}

// readings draws each run of buckets without a hole.
func (c *chart) readings() {
	run := func(bs []coldkeep.Bucket) {
		var upper, lower, mean strings.Builder
		for i, b := range bs {
			x := c.x(b.From.Add(b.To.Sub(b.From) / 2))
			fmt.Fprintf(&upper, "%.1f,%.1f ", x, c.y(b.Max.Celsius()))
			fmt.Fprintf(&mean, "%.1f,%.1f ", x, c.y(b.Mean.Celsius()))
			last := bs[len(bs)-1-i]
			fmt.Fprintf(&lower, "%.1f,%.1f ", c.x(last.From.Add(last.To.Sub(last.From)/2)), c.y(last.Min.Celsius()))
		}
		if len(bs) == 1 {
			x := c.x(bs[0].From.Add(bs[0].To.Sub(bs[0].From) / 2))
			c.printf(`<circle class="c-dot" cx="%.1f" cy="%.1f" r="1.8"/>`, x, c.y(bs[0].Mean.Celsius()))
			return
		}
		c.printf(`<polygon class="c-minmax" points="%s%s"/><polyline class="c-mean" points="%s"/>`, upper.String(), lower.String(), mean.String())
	}
	start := -1
	for i, b := range c.buckets {
		if b.Count > 0 && start < 0 {
			start = i
		}
		if start >= 0 && (b.Count == 0 || b.Gaps > 0) {
			run(c.buckets[start:i])
			start = -1
			if b.Count > 0 {
				start = i
			}
		}
	}
	if start >= 0 {
		run(c.buckets[start:])
	}
}

// extremes marks the farthest reading of each excursion that the chart shows.
func (c *chart) extremes() {
	for _, x := range c.excursions {
		if x.PeakAt.Before(c.span.From) || x.PeakAt.After(c.span.To) {
			continue
		}
		cx, cy := c.x(x.PeakAt), c.y(x.Extreme.Celsius())
		anchor, dx := "start", 7.0
		if cx > c.width*0.75 {
			anchor, dx = "end", -7
		}
		c.printf(`<circle class="c-peak" cx="%.1f" cy="%.1f" r="3.5"/><text class="c-peak-label" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`,
			cx, cy, cx+dx, math.Max(cy+c.font/3, c.top+c.font), anchor, celsius(x.Extreme))
	}
}

// summary is the chart in words.
func (c *chart) summary() string {
	lo, hi := coldkeep.NoTemperature, coldkeep.NoTemperature
	for _, b := range c.buckets {
		if b.Count == 0 {
			continue
		}
		if !lo.Known() || b.Min < lo {
			lo = b.Min
		}
		if !hi.Known() || b.Max > hi {
			hi = b.Max
		}
	}
	text := fmt.Sprintf("Temperature of %s from %s to %s. ", c.unit.Name, c.span.From.In(c.loc).Format("Jan 2, 3:04 PM"), c.span.To.In(c.loc).Format("Jan 2, 3:04 PM"))
	if !lo.Known() {
		return text + "No readings."
	}
	text += fmt.Sprintf("Lowest %s, highest %s; the range is %s to %s. ", both(lo), both(hi), limit(c.rules.Low), limit(c.rules.High))
	switch len(c.excursions) {
	case 0:
		return text + "No excursion."
	case 1:
		return text + "One excursion, in the table below."
	}
	return text + fmt.Sprintf("%d excursions, in the table below.", len(c.excursions))
}
