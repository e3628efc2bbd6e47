package web

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/coldkeep/coldkeep/registry/coverage"
)

// drawBar makes a row's bar: how many are covered with valid doses, behind it how many by
// count, and the programme's rate as a line. The numbers stand beside it in the table, so it
// is no picture of its own to a screen reader.
func drawBar(n coverage.Count, b *coverage.Benchmark) template.HTML {
	valid, ok := coverage.Rate(n.Valid, n.People)
	if !ok {
		return ""
	}
	var s strings.Builder
	s.WriteString(`<svg class="cover" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="cover-ground" width="100" height="10"/>`)
	if counted, ok := coverage.Rate(n.Counted, n.People); ok {
		fmt.Fprintf(&s, `<rect class="cover-count" y="1" width="%.1f" height="8"/>`, counted)
	}
	fmt.Fprintf(&s, `<rect class="cover-valid" y="3" width="%.1f" height="4"/>`, valid)
	if b != nil {
		fmt.Fprintf(&s, `<line class="cover-bench" x1="%.1f" x2="%.1f" y1="0" y2="10"/>`, b.Valid, b.Valid)
	}
	s.WriteString(`</svg>`)
	return template.HTML(s.String()) // numbers alone
}

// drawTrend makes the picture of rates over days; a table with the same numbers stands below.
func drawTrend(points []coverageLine, title string) template.HTML {
	const width, height, left, right, top, bottom = 640.0, 220.0, 46.0, 12.0, 12.0, 28.0
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="cover-trend" viewBox="0 0 %g %g" role="img" aria-label="%s" font-size="12">`, width, height,
		template.HTMLEscapeString(fmt.Sprintf("%s: rates from %s to %s; the table below has the numbers", title, points[0].Day, points[len(points)-1].Day)))
	y := func(percent float64) float64 { return top + (height-top-bottom)*(100-percent)/100 }
	x := func(i int) float64 { return left + (width-left-right)*float64(i)/float64(max(len(points)-1, 1)) }
	for _, p := range []float64{0, 25, 50, 75, 100} {
		fmt.Fprintf(&s, `<line class="c-grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="c-label" x="%g" y="%.1f" text-anchor="end">%g %%</text>`, left, width-right, y(p), y(p), left-6, y(p)+4, p)
	}
	every := (len(points) + 5) / 6
	for i := range points {
		if (len(points)-1-i)%every == 0 {
			anchor := "middle"
			if i == len(points)-1 {
				anchor = "end"
			} else if i == 0 {
				anchor = "start"
			}
			fmt.Fprintf(&s, `<text class="c-label" x="%.1f" y="%g" text-anchor="%s">%s</text>`, x(i), height-8, anchor, points[i].Day.String()[:7])
		}
	}
	line := func(class string, of func(*coverage.Count) int64) {
		var path strings.Builder
		pen := "M"
		for i := range points {
			p, ok := coverage.Rate(of(&points[i].Count), points[i].People)
			if !ok {
				pen = "M" // what is not told leaves a gap
				continue
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", pen, x(i), y(p))
			pen = "L"
			fmt.Fprintf(&s, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"/>`, class, x(i), y(p))
		}
		fmt.Fprintf(&s, `<path class="%s" fill="none" d="%s"/>`, class, path.String())
	}
	line("cover-line-count", func(c *coverage.Count) int64 { return c.Counted })
	line("cover-line-valid", func(c *coverage.Count) int64 { return c.Valid })
	s.WriteString(`</svg>`)
	return template.HTML(s.String()) // every text in it is made here or escaped
}
