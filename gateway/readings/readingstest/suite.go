// Package readingstest is the contract suite of readings.Store: every store
// passes it.
package readingstest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// Run runs the suite over a store that open gives. The store may be shared by all
// subtests and may hold other readings: each uses an agent of its own.
func Run(t *testing.T, open func(t *testing.T) readings.Store) {
	s := open(t)
	for name, test := range map[string]func(*testing.T, readings.Store){
		"RoundTrip":          testRoundTrip,
		"SameAgain":          testSameAgain,
		"LateAndUnordered":   testLateAndUnordered,
		"EqualMillisecond":   testEqualMillisecond,
		"WithoutValues":      testWithoutValues,
		"WhileAppending":     testWhileAppending,
		"Streamed":           testStreamed,
		"FoldedAlike":        testFoldedAlike,
		"Prune":              testPrune,
		"RangeIsHalfOpen":    testRangeIsHalfOpen,
		"RangeStopsOnError":  testRangeStopsOnError,
		"NothingThere":       testNothingThere,
		"SeriesDoNotMix":     testSeriesDoNotMix,
		"ThreeYears":         testThreeYears,
		"Downsample":         testDownsample,
		"ConcurrentAppends":  testConcurrentAppends,
		"AnyOrderAnyRepeats": testAnyOrderAnyRepeats,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
	t.Run("Ping", func(t *testing.T) {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

const (
	none = coldkeep.NoTemperature
	base = int64(1_767_225_600_000) // 2026-01-01T00:00:00Z
	end  = int64(1) << 60
)

func series() coldkeep.Series {
	return coldkeep.Series{Site: "site", Agent: coldkeep.AgentID("a-" + lower(ulid.Make().String())), Probe: "28-000005e2fdc3"}
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

var epoch = "01JD3K8W2M5N6P7Q8R9S0T1V2W"

func good(k coldkeep.Series, seq, at int64, c coldkeep.Temperature) coldkeep.Reading {
	return coldkeep.Reading{Series: k, Epoch: epoch, Seq: seq, At: at, Celsius: c, Raw: none, Lo: none, Hi: none}
}

func all(t testing.TB, s readings.Store, k coldkeep.Series, from, to int64) []coldkeep.Reading {
	t.Helper()
	var out []coldkeep.Reading
	if err := s.Range(t.Context(), k, from, to, func(r *coldkeep.Reading) error { out = append(out, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func add(t testing.TB, s readings.Store, rs ...coldkeep.Reading) {
	t.Helper()
	if err := s.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, got, want []coldkeep.Reading) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d readings\n%+v\nwant %d\n%+v", len(got), head(got), len(want), head(want))
	}
}

func head(rs []coldkeep.Reading) []coldkeep.Reading { return rs[:min(len(rs), 6)] }

// Every field comes back as it went in, to the thousandth, also below zero and
// also when absent.
func testRoundTrip(t *testing.T, s readings.Store) {
	k := series()
	rs := []coldkeep.Reading{
		{Series: k, Epoch: epoch, Seq: 1, At: base + 123, Celsius: 4312, Raw: 4437, Lo: 4250, Hi: 4375},
		{Series: k, Epoch: epoch, Seq: 2, At: base + 60_123, Celsius: none, Raw: none, Lo: none, Hi: none, Quality: coldkeep.QualityCRC},
		{Series: k, Epoch: epoch, Seq: 3, At: base + 120_123, Celsius: -1, Raw: none, Lo: -80_001, Hi: 0, Quality: coldkeep.QualityUncalibrated},
		{Series: k, Epoch: epoch, Seq: 4, At: base + 180_123, Celsius: 0, Raw: 0, Lo: none, Hi: none},
		{Series: k, Epoch: epoch, Seq: 1_000_004, At: base + 240_123, Celsius: -15_000, Raw: none, Lo: none, Hi: none},
	}
	add(t, s, rs...)
	equal(t, all(t, s, k, 0, end), rs)
	last, err := s.Latest(t.Context(), k)
	if err != nil || last != rs[4] {
		t.Fatalf("latest %+v, %v", last, err)
	}
}

func testSameAgain(t *testing.T, s readings.Store) {
	k := series()
	r := good(k, 7, base, 5000)
	for range 3 {
		add(t, s, r, r)
	}
	equal(t, all(t, s, k, 0, end), []coldkeep.Reading{r})
	if n, err := s.Count(t.Context(), k, 0, end); err != nil || n != 1 {
		t.Fatalf("count %d, %v", n, err)
	}
}

// A Pi that was offline brings rows from before what is stored.
func testLateAndUnordered(t *testing.T, s readings.Store) {
	k := series()
	now := good(k, 100, base+48*3_600_000, 5000)
	late := good(k, 1, base, 4000)
	middle := good(k, 50, base+3_600_000, 4500)
	add(t, s, now)
	add(t, s, middle, late)
	equal(t, all(t, s, k, 0, end), []coldkeep.Reading{late, middle, now})
	if last, err := s.Latest(t.Context(), k); err != nil || last != now {
		t.Fatalf("latest %+v, %v", last, err)
	}
}

// Two records of one probe in one millisecond are two readings.
func testEqualMillisecond(t *testing.T, s readings.Store) {
	k := series()
	a, b := good(k, 1, base, 4000), good(k, 2, base, 9000)
	add(t, s, b)
	add(t, s, a)
	equal(t, all(t, s, k, base, base+1), []coldkeep.Reading{a, b})
	if last, err := s.Latest(t.Context(), k); err != nil || last != b {
		t.Fatalf("latest %+v, %v", last, err)
	}
	// InfluxDB tells them apart by seq modulo a million, whose order is another.
	k = series()
	a, b = good(k, 999_999, base, 4000), good(k, 1_000_000, base, 9000)
	add(t, s, a, b)
	equal(t, all(t, s, k, base, base+1), []coldkeep.Reading{a, b})
	if last, err := s.Latest(t.Context(), k); err != nil || last != b {
		t.Fatalf("latest over the million: %+v, %v", last, err)
	}
}

// A probe that has never given a value has a log all the same.
func testWithoutValues(t *testing.T, s readings.Store) {
	k := series()
	var rs []coldkeep.Reading
	for i := range int64(10) {
		r := good(k, i+1, base+i*60_000, none)
		r.Quality = coldkeep.QualityMissing
		rs = append(rs, r)
	}
	add(t, s, rs...)
	equal(t, all(t, s, k, 0, end), rs)
	if last, err := s.Latest(t.Context(), k); err != nil || last != rs[9] {
		t.Fatalf("latest %+v, %v", last, err)
	}
	if n, err := s.Count(t.Context(), k, 0, end); err != nil || n != 10 {
		t.Fatalf("count %d, %v", n, err)
	}
	from, to := time.UnixMilli(base).UTC(), time.UnixMilli(base+600_000).UTC()
	bs, err := readings.Downsample(t.Context(), s, k, from, to, from, to, 1, time.Hour)
	want := []coldkeep.Bucket{{From: from, To: to, Min: none, Max: none, Mean: none, Faults: 10}}
	if err != nil || !slices.Equal(bs, want) {
		t.Fatalf("downsampled %+v, %v", bs, err)
	}
}

// What is read while more comes is what was there, each once and in order, and
// perhaps some of what came.
func testWhileAppending(t *testing.T, s readings.Store) {
	k := series()
	var rs []coldkeep.Reading
	for i := range int64(3000) {
		rs = append(rs, good(k, 2*i+1, base+i*60_000, 5000))
	}
	add(t, s, rs...)
	stop, appended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				appended <- nil
				return
			default:
			}
			// Between those that are there, from late to early.
			j := 2999 - i*37%3000
			if err := s.Append(context.Background(), []coldkeep.Reading{good(k, 2*j+2, base+j*60_000+30_000, 6000)}); err != nil {
				appended <- err
				return
			}
		}
	}()
	for range 3 {
		var before coldkeep.Reading
		next := 0
		err := s.Range(t.Context(), k, base, base+3000*60_000, func(r *coldkeep.Reading) error {
			if r.At < before.At || r.At == before.At && r.Seq <= before.Seq {
				return fmt.Errorf("%+v after %+v", *r, before)
			}
			before = *r
			if next < len(rs) && *r == rs[next] {
				next++
			} else if r.Celsius != 6000 {
				return fmt.Errorf("%+v where %+v is next", *r, rs[min(next, len(rs)-1)])
			}
			return nil
		})
		if err != nil || next != len(rs) {
			t.Errorf("%d of %d readings: %v", next, len(rs), err)
		}
	}
	close(stop)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
}

// Three years of a reading each half hour are read without being held.
func testStreamed(t *testing.T, s readings.Store) {
	k := series()
	const n, step = 3 * 365 * 48, int64(1_800_000)
	from := base - n*step
	for i := int64(0); i < n; {
		part := make([]coldkeep.Reading, 0, 5000)
		for ; i < n && len(part) < cap(part); i++ {
			r := good(k, i+1, from+i*step, coldkeep.Temperature(i%9000))
			r.Raw, r.Lo, r.Hi = r.Celsius+1, r.Celsius-1, r.Celsius+2
			part = append(part, r)
		}
		add(t, s, part...)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, i := heap(), uint64(0), int64(0)
	if err := s.Range(t.Context(), k, from, base, func(r *coldkeep.Reading) error {
		if r.Seq != i+1 || r.At != from+i*step || r.Celsius != coldkeep.Temperature(i%9000) || r.Hi != r.Celsius+2 {
			return fmt.Errorf("%+v as number %d", *r, i+1)
		}
		if i++; i%10_000 == 0 {
			most = max(most, heap())
		}
		return nil
	}); err != nil || i != n {
		t.Fatalf("%d of %d readings: %v", i, n, err)
	}
	// All of them would be some 7 MB.
	if held := int64(most) - int64(before); held > 3<<20 {
		t.Errorf("%d bytes are held while reading", held)
	}
	if count, err := s.Count(t.Context(), k, from, base); err != nil || count != n {
		t.Fatalf("count %d, %v", count, err)
	}
	if last, err := s.Latest(t.Context(), k); err != nil || last.Seq != n {
		t.Fatalf("latest %+v, %v", last, err)
	}
	// Every extreme of three years is in a chart of them.
	w := readings.Window{From: from, To: base, Width: (base - from + 299) / 300, Since: from, Until: base}
	folds(t, s, k, w, time.Hour)
}

// folds compares what the store folds with what is folded reading by reading.
func folds(t rapid.TB, s readings.Store, k coldkeep.Series, w readings.Window, maxGap time.Duration) {
	t.Helper()
	want, err := readings.Fold(context.Background(), s, k, w, maxGap)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := s.(readings.Folder)
	if !ok {
		return
	}
	got, err := f.Fold(context.Background(), k, w, maxGap)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("bucket %d of %+v\nis %+v\nand %+v when folded reading by reading", i, w, got[i], want[i])
		}
	}
}

// Whatever the readings and the window, the engine's fold is the naive one.
func testFoldedAlike(t *testing.T, s readings.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		k := series()
		at := base
		var rs []coldkeep.Reading
		for i := range rapid.IntRange(0, 60).Draw(rt, "n") {
			at += rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(900, 1100), rapid.Int64Range(0, 20_000)).Draw(rt, "dt")
			r := good(k, int64(i+1), at, coldkeep.Temperature(rapid.Int32Range(-90_000, 60_000).Draw(rt, "c")))
			if rapid.IntRange(0, 4).Draw(rt, "fault") == 0 {
				r.Celsius, r.Quality = none, coldkeep.QualityCRC
			}
			rs = append(rs, r)
		}
		add(t, s, rs...)
		w := readings.Window{From: base + rapid.Int64Range(-5000, 5000).Draw(rt, "from")}
		w.To = w.From + rapid.Int64Range(1, max(1, at-base+10_000)).Draw(rt, "length")
		w.Width = rapid.Int64Range(max(1, (w.To-w.From)/500), w.To-w.From).Draw(rt, "width")
		w.Since = rapid.Int64Range(w.From, w.To-1).Draw(rt, "since")
		w.Until = rapid.Int64Range(w.Since+1, w.To).Draw(rt, "until")
		folds(rt, s, k, w, time.Duration(rapid.SampledFrom([]int64{0, 1, 999, 1000, 1001, 15_000}).Draw(rt, "gap"))*time.Millisecond)
	})
}

// What has expired goes, of one series, and nothing else can.
func testPrune(t *testing.T, s readings.Store) {
	p, ok := s.(readings.Pruner)
	if !ok {
		t.Skip("it cannot forget")
	}
	k, other := series(), series()
	now := time.UnixMilli(base).UTC()
	cut := now.AddDate(-3, 0, 0)
	old := good(k, 1, cut.UnixMilli()-1, 1)
	kept := []coldkeep.Reading{good(k, 2, cut.UnixMilli(), 2), good(k, 3, base, 3)}
	same := good(other, 1, old.At, 1)
	add(t, s, append(kept, old, same)...)
	if n, err := p.Prune(t.Context(), k, readings.Expired{}); err != nil || n != 0 {
		t.Fatalf("nothing has expired: %d, %v", n, err)
	}
	e, err := readings.Expire(now, cut, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Prune(t.Context(), k, e.Since(old.At+1)); err != nil || n != 0 {
		t.Fatalf("what was measured before is left out: %d, %v", n, err)
	}
	for _, want := range []int64{1, 0} {
		if n, err := p.Prune(t.Context(), k, e.Since(old.At)); err != nil || n != want {
			t.Fatalf("%d gone, want %d: %v", n, want, err)
		}
		equal(t, all(t, s, k, 0, end), kept)
		equal(t, all(t, s, other, 0, end), []coldkeep.Reading{same})
	}
	if n, err := p.Prune(t.Context(), series(), e); err != nil || n != 0 {
		t.Fatalf("of a series that is not there: %d, %v", n, err)
	}
}

func testRangeIsHalfOpen(t *testing.T, s readings.Store) {
	k := series()
	a, b, c := good(k, 1, base, 1), good(k, 2, base+1000, 2), good(k, 3, base+2000, 3)
	add(t, s, a, b, c)
	equal(t, all(t, s, k, base, base+2000), []coldkeep.Reading{a, b})
	equal(t, all(t, s, k, base+1, base+2001), []coldkeep.Reading{b, c})
	equal(t, all(t, s, k, base+5000, base), nil)
	if n, err := s.Count(t.Context(), k, base, base+2000); err != nil || n != 2 {
		t.Fatalf("count %d, %v", n, err)
	}
}

func testRangeStopsOnError(t *testing.T, s readings.Store) {
	k := series()
	add(t, s, good(k, 1, base, 1), good(k, 2, base+1, 2))
	boom := errors.New("boom")
	calls := 0
	err := s.Range(t.Context(), k, 0, end, func(*coldkeep.Reading) error { calls++; return boom })
	if !errors.Is(err, boom) || calls != 1 {
		t.Fatalf("%v after %d calls", err, calls)
	}
}

func testNothingThere(t *testing.T, s readings.Store) {
	k := series()
	equal(t, all(t, s, k, 0, end), nil)
	if _, err := s.Latest(t.Context(), k); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Fatalf("latest of nothing: %v", err)
	}
	if n, err := s.Count(t.Context(), k, 0, end); err != nil || n != 0 {
		t.Fatalf("count %d, %v", n, err)
	}
	add(t, s) // nothing to store is no error
}

func testSeriesDoNotMix(t *testing.T, s readings.Store) {
	k := series()
	other := k
	other.Probe = "T0"
	a, b := good(k, 1, base, 1), good(other, 2, base, 2)
	add(t, s, a, b)
	equal(t, all(t, s, k, 0, end), []coldkeep.Reading{a})
	equal(t, all(t, s, other, 0, end), []coldkeep.Reading{b})
}

// Three years, the shortest legal retention, are one range.
func testThreeYears(t *testing.T, s readings.Store) {
	k := series()
	const day = int64(86_400_000)
	var rs []coldkeep.Reading
	for i := range int64(3 * 365 * 4) {
		rs = append(rs, good(k, i+1, base-3*365*day+i*day/4, coldkeep.Temperature(i)))
	}
	add(t, s, rs...)
	equal(t, all(t, s, k, base-3*365*day, base), rs)
}

func testDownsample(t *testing.T, s readings.Store) {
	k := series()
	var rs []coldkeep.Reading
	for i := range int64(60) {
		rs = append(rs, good(k, i+1, base+i*60_000, 5000))
	}
	rs[17].Celsius = 18_200 // a spike of one reading must be seen
	rs[30].Celsius, rs[30].Quality = none, coldkeep.QualityCRC
	rs = slices.Delete(rs, 40, 50) // ten minutes of silence
	add(t, s, rs...)
	at := func(m int64) time.Time { return time.UnixMilli(base + m*60_000).UTC() }
	bs, err := readings.Downsample(t.Context(), s, k, at(0), at(60), at(0), at(60), 6, 5*time.Minute)
	if err != nil || len(bs) != 6 {
		t.Fatalf("%d buckets, %v", len(bs), err)
	}
	want := []coldkeep.Bucket{
		{From: at(0), To: at(10), Min: 5000, Max: 5000, Mean: 5000, Count: 10},
		{From: at(10), To: at(20), Min: 5000, Max: 18_200, Mean: 6320, Count: 10},
		{From: at(20), To: at(30), Min: 5000, Max: 5000, Mean: 5000, Count: 10},
		{From: at(30), To: at(40), Min: 5000, Max: 5000, Mean: 5000, Count: 9, Faults: 1, Gaps: 1},
		{From: at(40), To: at(50), Min: none, Max: none, Mean: none, Gaps: 1},
		{From: at(50), To: at(60), Min: 5000, Max: 5000, Mean: 5000, Count: 10, Gaps: 1},
	}
	if !slices.Equal(bs, want) {
		t.Fatalf("got  %+v\nwant %+v", bs, want)
	}
	// Of a stay from 00:20 until 00:30 the buckets around it know nothing.
	bs, err = readings.Downsample(t.Context(), s, k, at(0), at(60), at(20), at(30), 6, 5*time.Minute)
	if err != nil || bs[1].Count != 0 || bs[2].Count != 10 || bs[3].Count != 0 {
		t.Fatalf("a stay of ten minutes: %+v, %v", bs, err)
	}
	if _, err := readings.Downsample(t.Context(), s, k, at(1), at(0), at(0), at(1), 6, time.Minute); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Fatalf("backward range: %v", err)
	}
}

func testConcurrentAppends(t *testing.T, s readings.Store) {
	k := series()
	var wg sync.WaitGroup
	for w := range int64(4) {
		wg.Go(func() {
			for b := range int64(10) {
				var rs []coldkeep.Reading
				for i := range int64(100) {
					n := w*1000 + b*100 + i
					rs = append(rs, good(k, n+1, base+n*1000, coldkeep.Temperature(n)))
				}
				if err := s.Append(t.Context(), rs); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := s.Count(t.Context(), k, 0, end); err != nil || n != 4000 {
		t.Fatalf("count %d, %v", n, err)
	}
}

// Whatever order and however often, what is stored is the set of what was given.
func testAnyOrderAnyRepeats(t *testing.T, s readings.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		k := series()
		n := rapid.IntRange(1, 20).Draw(rt, "n")
		var want []coldkeep.Reading
		at := base
		for i := range n {
			at += rapid.Int64Range(0, 2).Draw(rt, fmt.Sprint("dt", i))
			want = append(want, good(k, int64(i+1), at, coldkeep.Temperature(rapid.Int32Range(-90_000, 30_000).Draw(rt, fmt.Sprint("c", i)))))
		}
		given := slices.Concat(want, want[:rapid.IntRange(0, n).Draw(rt, "again")])
		given = rapid.Permutation(given).Draw(rt, "order")
		for len(given) > 0 {
			m := rapid.IntRange(1, len(given)).Draw(rt, "chunk")
			add(t, s, given[:m]...)
			given = given[m:]
		}
		equal(t, all(t, s, k, 0, end), want)
	})
}
