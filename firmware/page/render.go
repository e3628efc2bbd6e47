package page

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/watch"
)

// head begins the page. It comes anew every half minute, which needs no script.
const head = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="30">
<title>Coldkeep device</title><style>
body{font:16px/1.4 system-ui,sans-serif;margin:1rem auto;max-width:46rem;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.2rem}h2{font-size:1.1rem;margin:1.5rem 0 .2rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.1rem 1rem .1rem 0}
.now{font-size:2.4rem;font-variant-numeric:tabular-nums}.alarm{background:#a40000;color:#fff;padding:.3rem .6rem;font-weight:bold}
.fault{color:#a40000;font-weight:bold}svg{width:100%;height:auto;background:#f4f6f8}form{display:inline}
</style></head><body>
`

// page builds HTML; what is text goes through text, and so does every value.
type page struct{ bytes.Buffer }

// put writes HTML of this file.
func (b *page) put(format string, args ...any) { fmt.Fprintf(b, format, args...) }

// text escapes what may be anything.
func text(s any) string { return html.EscapeString(fmt.Sprint(s)) }

// clock shows a time of day as the device knows it, in UTC: it may not know where it
// stands.
func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 Jan 15:04 UTC")
}

// render makes the page of a snapshot.
func render(s watch.Snapshot) []byte {
	var b page
	b.WriteString(head)
	b.put("<h1>Coldkeep %s</h1>\n", text(s.Place))
	if s.Code != "" {
		b.put(`<p>This device waits to be added. Type this code in the registry, under “Add a device”:</p><p class="now">%s</p>`+"\n", text(s.Code))
	}
	if s.On {
		b.put(`<p class="alarm" role="alert">Local alarm: a probe is out of range.%s</p>`+"\n", map[bool]string{true: " The buzzer is silenced."}[s.Hushed])
		if !s.Hushed {
			b.put(`<form method="post" action="%s"><button>Silence the buzzer for %d minutes</button></form>`+"\n", pathHush, watch.HushFor/time.Minute)
		}
	}
	b.put("<p>%s, as of %s</p>\n", text(standing(s)), clock(s.At))
	for i := range s.Probes {
		b.probe(&s.Probes[i])
	}
	if len(s.Probes) == 0 && s.Code == "" {
		b.put("<p>No probe has been read yet.</p>\n")
	}
	b.holds(s)
	if s.Place != "" {
		b.put(`<h2>Records</h2><p><a href="%[1]s">Last day as CSV</a>, <a href="%[1]s?days=30">last 30 days</a></p>`+"\n", pathCSV)
		b.put(`<form method="post" action="%s"><button>Reset all minima and maxima</button></form>`+"\n", pathReset)
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

// standing tells of mains, battery and doors that belong to no probe.
func standing(s watch.Snapshot) string {
	var out []string
	if s.Mains != watch.Unknown {
		out = append(out, string(s.Mains))
	}
	if s.Battery.Known {
		out = append(out, fmt.Sprintf("battery %.0f %% (%.2f V)", s.Battery.Percent, s.Battery.Volts))
	}
	for p, state := range s.Doors {
		if p == "" {
			out = append(out, "door "+string(state))
		}
	}
	if len(out) == 0 {
		return "Values"
	}
	return strings.Join(out, ", ")
}

func (b *page) probe(p *watch.Probe) {
	title := text(p.Probe)
	if p.Appliance != "" {
		title = text(p.Appliance) + " <small>" + text(p.Probe) + "</small>"
	}
	b.put("<h2>%s</h2>\n", title)
	switch {
	case p.Value.Known() && p.Alarm:
		b.put(`<p class="now"><span class="alarm">%s °C</span></p>`+"\n", p.Value)
	case p.Value.Known():
		b.put(`<p class="now">%s °C</p>`+"\n", p.Value)
	case p.Quality != coldkeep.QualityGood:
		b.put(`<p class="fault">No value: %s</p>`+"\n", text(p.Quality))
	default:
		b.put("<p>Not read yet</p>\n")
	}
	b.put("<table><tr><th scope=\"row\">Read</th><td>%s</td></tr>\n", clock(p.At))
	if p.Quality.HasValue() {
		b.put(`<tr><th scope="row">Note</th><td>%s</td></tr>`+"\n", text(p.Quality))
	}
	if p.Lo.Known() {
		b.put(`<tr><th scope="row">Lowest</th><td>%s °C</td><td>%s</td></tr><tr><th scope="row">Highest</th><td>%s °C</td><td>%s</td></tr><tr><th scope="row">Since</th><td>%s</td></tr>`+"\n",
			p.Lo, clock(p.LoAt), p.Hi, clock(p.HiAt), clock(p.Since))
	}
	if l := p.Limits; l != nil {
		b.put(`<tr><th scope="row">Range</th><td>%s to %s °C</td></tr>`+"\n", coldkeep.Temperature(l.Low), coldkeep.Temperature(l.High))
	}
	if !p.Out.IsZero() {
		b.put(`<tr><th scope="row">Out of range</th><td>since %s</td></tr>`+"\n", clock(p.Out))
	}
	b.put("</table>\n")
	b.chart(p)
	b.put(`<form method="post" action="%s"><input type="hidden" name="probe" value="%s"><button>Reset minimum and maximum</button></form>`+"\n", pathReset, text(p.Probe))
}

// The chart's points: a slot of five minutes is two wide.
const (
	chartWide = 2 * watch.Slots
	chartHigh = 120
)

// chart draws the last day: the span of each five minutes, and the range behind it.
func (b *page) chart(p *watch.Probe) {
	lo, hi := math.Inf(1), math.Inf(-1)
	add := func(t coldkeep.Temperature) {
		if t.Known() {
			lo, hi = min(lo, t.Celsius()), max(hi, t.Celsius())
		}
	}
	for _, s := range p.History {
		add(s.Lo)
		add(s.Hi)
	}
	if math.IsInf(lo, 1) {
		return
	}
	coldest, warmest := lo, hi
	if p.Limits != nil {
		add(coldkeep.Temperature(p.Limits.Low))
		add(coldkeep.Temperature(p.Limits.High))
	}
	lo, hi = lo-0.5, hi+0.5
	y := func(c float64) float64 { return chartHigh * (hi - c) / (hi - lo) }
	b.put(`<svg viewBox="0 0 %d %d" role="img" aria-label="The last 24 hours: from %.1f to %.1f °C">`, chartWide, chartHigh, coldest, warmest)
	if l := p.Limits; l != nil {
		top, bottom := y(coldkeep.Temperature(l.High).Celsius()), y(coldkeep.Temperature(l.Low).Celsius())
		b.put(`<rect x="0" y="%.1f" width="%d" height="%.1f" fill="#d9ead3"/>`, top, chartWide, bottom-top)
	}
	b.put(`<path fill="none" stroke="#1f4e79" stroke-width="2" d="`)
	for i, s := range p.History {
		if s.Lo.Known() {
			top := y(s.Hi.Celsius())
			b.put("M%d %.1fV%.1f", 2*i+1, top, max(y(s.Lo.Celsius()), top+2))
		}
	}
	b.put(`"/></svg><p><small>The last 24 hours: from %.1f to %.1f °C</small></p>`+"\n", coldest, warmest)
}

func (b *page) holds(s watch.Snapshot) {
	if len(s.Holds) == 0 {
		return
	}
	b.put("<h2>Do not use: lots on hold, as last known</h2><table><tr><th>Lot</th><th>Vaccine</th><th>Stands in</th><th>Since</th></tr>\n")
	for _, h := range s.Holds {
		b.put("<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", text(h.Lot), text(h.Product), text(h.Appliance), text(h.Since))
	}
	b.put("</table>\n")
}
