package forecast

import "testing"

func BenchmarkForecast(b *testing.B) {
	e := New(publishedXML(b))
	var ps []*Patient
	for _, c := range publishedCases(b) {
		ps = append(ps, c.patient(b))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.Forecast(ps[i%len(ps)])
		i++
	}
}

func BenchmarkLine(b *testing.B) {
	e := New(publishedXML(b))
	var ls [][]byte
	for _, c := range publishedCases(b) {
		ls = append(ls, c.line(b))
	}
	b.ReportAllocs()
	i := 0
	var out []byte
	for b.Loop() {
		out = e.AppendLine(out[:0], ls[i%len(ls)], false)
		i++
	}
}
