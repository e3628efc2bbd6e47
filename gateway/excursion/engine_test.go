package excursion

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
)

const minute = int64(60_000)

func milli(v int64, scale coldkeep.Scale) coldkeep.Threshold {
	return coldkeep.Threshold{Milli: v, Scale: scale}
}

// drawUnit makes rules of every type, in both units, around a refrigerator's range.
func drawUnit(t *rapid.T) *coldkeep.UnitRules {
	u := &coldkeep.UnitRules{Low: milli(2000, 'C'), High: milli(8000, 'C'), RangeSource: "test"}
	if rapid.Bool().Draw(t, "fahrenheit") {
		u.Low, u.High = milli(36_000, 'F'), milli(46_000, 'F')
	}
	u.CloseAfter = rapid.IntRange(1, 20).Draw(t, "close")
	u.MaxGap = rapid.IntRange(5, 40).Draw(t, "gap")
	u.NoDataAlert = u.MaxGap + rapid.IntRange(0, 40).Draw(t, "alert")
	all := []coldkeep.Action{coldkeep.ActionLog, coldkeep.ActionWarn, coldkeep.ActionAlert, coldkeep.ActionHold}
	for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
		r := coldkeep.Rule{Source: "test", OrAt: rapid.Bool().Draw(t, fmt.Sprint("orat", i)),
			Kind: rapid.SampledFrom([]coldkeep.Kind{coldkeep.TooWarm, coldkeep.TooCold}).Draw(t, fmt.Sprint("kind", i)),
			Type: rapid.SampledFrom([]coldkeep.RuleType{coldkeep.Instant, coldkeep.Consecutive, coldkeep.Cumulative}).Draw(t, fmt.Sprint("type", i))}
		warm := []coldkeep.Threshold{u.High, milli(10_000, 'C'), milli(50_000, 'F'), milli(7000, 'C')}
		cold := []coldkeep.Threshold{u.Low, milli(0, 'C'), milli(33_000, 'F'), milli(3000, 'C')}
		if r.Kind == coldkeep.TooWarm {
			r.Beyond = rapid.SampledFrom(warm).Draw(t, fmt.Sprint("limit", i))
		} else {
			r.Beyond = rapid.SampledFrom(cold).Draw(t, fmt.Sprint("limit", i))
		}
		if r.Type != coldkeep.Instant {
			r.Minutes = rapid.IntRange(1, 60).Draw(t, fmt.Sprint("minutes", i))
		}
		if r.Type == coldkeep.Cumulative {
			r.Window = rapid.IntRange(1, 3).Draw(t, fmt.Sprint("window", i))
		}
		r.Actions = []coldkeep.Action{rapid.SampledFrom(all).Draw(t, fmt.Sprint("action", i))}
		u.Rules = append(u.Rules, r)
	}
	return u
}

const base = int64(1_767_225_600_000) // 2026-01-01T00:00:00Z

var steps = []int64{0, 1000, minute, minute, 5 * minute, 10 * minute, 20*minute + 1, 41 * minute, 200 * minute}

// drawSamples draws the records of so many probes, and the time at which somebody
// looks at them.
func drawSamples(t *rapid.T, probes int) ([]Sample, int64) {
	n := rapid.IntRange(0, 60).Draw(t, "n")
	at := base
	temps := []coldkeep.Temperature{5000, 6000, 8000, 8001, 7778, 7777, 2000, 1999, 2222, 2223, 9000, 10_001, 11_000, 0, -1, 1000, 7500, 2500}
	var out []Sample
	for i := range n {
		at += rapid.SampledFrom(steps).Draw(t, fmt.Sprint("dt", i))
		s := Sample{At: at, Seq: int64(i + 1)}
		if probes > 1 {
			s.Probe = rapid.IntRange(0, probes-1).Draw(t, fmt.Sprint("probe", i))
		}
		if rapid.IntRange(0, 9).Draw(t, fmt.Sprint("fault?", i)) == 0 {
			s.Celsius, s.Quality = coldkeep.NoTemperature, drawFault(t, fmt.Sprint("q", i))
		} else {
			s.Celsius = rapid.SampledFrom(temps).Draw(t, fmt.Sprint("c", i))
		}
		out = append(out, s)
	}
	return out, at + rapid.SampledFrom(steps).Draw(t, "now")
}

func drawFault(t *rapid.T, name string) coldkeep.Quality {
	return rapid.SampledFrom([]coldkeep.Quality{coldkeep.QualityRange, coldkeep.QualityCRC}).Draw(t, name)
}

// drawHistory draws stays and times out of service around the samples, many of them
// at the very time of a sample.
func drawHistory(t *rapid.T, samples []Sample, now int64) (h *History, probes int) {
	probes = rapid.IntRange(1, 3).Draw(t, "probes")
	if probes == 1 && rapid.Bool().Draw(t, "alone") {
		return Alone(), 1
	}
	when := func(name string) int64 {
		at := base
		if len(samples) > 0 && rapid.Bool().Draw(t, name+" at a sample") {
			at = samples[rapid.IntRange(0, len(samples)-1).Draw(t, name+" which")].At
		} else if now > base {
			at = rapid.Int64Range(base, now).Draw(t, name+" when")
		}
		return at + rapid.SampledFrom([]int64{0, 0, 1, -1, 10 * minute, -25 * minute, -300 * minute}).Draw(t, name+" off")
	}
	span := func(name string, open bool) (from, to int64) {
		from, to = when(name), when(name+" end")
		if to < from {
			from, to = to, from
		}
		if open {
			switch rapid.IntRange(0, 3).Draw(t, name+" open") {
			case 0:
				from = always
			case 1:
				to = never
			case 2:
				from, to = always, never
			}
		}
		return from, to
	}
	h = &History{}
	for p := range probes {
		for i := range rapid.IntRange(0, 3).Draw(t, fmt.Sprint("stays", p)) {
			st := Stay{Probe: p, Role: rapid.SampledFrom([]coldkeep.Role{"", coldkeep.RoleVaccine, coldkeep.RoleVaccine, coldkeep.RoleAir}).Draw(t, fmt.Sprint("role", p, i))}
			st.From, st.To = span(fmt.Sprint("stay", p, i), true)
			if n := len(h.Stays); n > 0 && rapid.IntRange(0, 3).Draw(t, fmt.Sprint("touch", p, i)) == 0 {
				st.From = h.Stays[n-1].To
				st.To = max(st.From, st.To)
			}
			h.Stays = append(h.Stays, st)
		}
	}
	for i := range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "out of service") {
		from, to := span(fmt.Sprint("out", i), false)
		h.OutOfService = append(h.OutOfService, [2]int64{from, to})
	}
	return h, probes
}

// drawCase draws rules and a record.
func drawCase(t *rapid.T) (u *coldkeep.UnitRules, r *Rules, h *History, samples []Sample, now int64) {
	u = drawUnit(t)
	p := &coldkeep.Profile{Name: "test", Version: 1, RetentionYear: 3, Units: map[coldkeep.Unit]*coldkeep.UnitRules{coldkeep.Refrigerator: u}}
	r, err := Compile(p, coldkeep.Refrigerator, nil)
	if err != nil {
		t.Fatal(err)
	}
	samples, now = drawSamples(t, 3)
	h, probes := drawHistory(t, samples, now)
	for i := range samples {
		samples[i].Probe %= probes
	}
	return u, r, h, samples, now
}

// The engine and the naive reading of the rules agree, at any time that somebody
// looks; so do any order of arrival and any interruption between two samples.
func TestEngineAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, r, h, samples, now := drawCase(t)
		want := judgeByOracle(u, h, samples, now)
		same(t, "engine", Judge(r, h, slices.Clone(samples), now), want)
		same(t, "shuffled", Judge(r, h, rapid.Permutation(samples).Draw(t, "order"), now), want)

		// Online: samples one by one, stopped and resumed from the marshalled state at
		// some of them, looked at now and then.
		slices.SortFunc(samples, Compare)
		s, got := &State{}, []Finding(nil)
		for i, in := range samples {
			if !s.Before(in) {
				t.Fatalf("sample %d is not taken for a new one", i)
			}
			switch rapid.IntRange(0, 5).Draw(t, fmt.Sprint("then", i)) {
			case 0:
				var err error
				if s, err = UnmarshalState(s.Marshal(), r); err != nil {
					t.Fatal(err)
				}
			case 1:
				s = s.Clone()
			case 3: // whoever looks into the future with a copy does not change it
				was, c := s.Marshal(), s.Clone()
				for j := range 3 {
					c.Step(r, h, Sample{At: in.At + int64(j)*10*minute, Probe: in.Probe, Celsius: coldkeep.Temperature(12_000 - 12_000*(j%2))}, func(Finding) {})
				}
				c.Open(r, h, in.At+300*minute)
				if !bytes.Equal(s.Marshal(), was) {
					t.Fatalf("a copy changed\n%s\nto\n%s", was, s.Marshal())
				}
			case 2:
				look := max(s.At, rapid.Int64Range(0, in.At-base).Draw(t, fmt.Sprint("look", i))+base)
				if s.At != 0 {
					same(t, "on the way", sorted(append(slices.Clone(got), s.Open(r, h, look)...)), judgeByOracle(u, h, samples[:i], look))
				}
			}
			s.Step(r, h, in, func(f Finding) { got = append(got, f) })
			if s.Before(in) {
				t.Fatalf("sample %d is not known again", i)
			}
		}
		same(t, "resumed", sorted(append(got, s.Open(r, h, now)...)), want)
	})
}

func sorted(fs []Finding) []Finding {
	slices.SortStableFunc(fs, compareFindings)
	return fs
}

func same(t *rapid.T, what string, got, want []Finding) {
	t.Helper()
	for i := 0; i < len(got) || i < len(want); i++ {
		if i >= len(got) || i >= len(want) {
			t.Fatalf("%s: %d findings\n%+v\nwant %d\n%+v", what, len(got), got, len(want), want)
		}
		g, w := got[i], want[i]
		// The mean is taken in another order of the same terms.
		if d := g.MKT - w.MKT; g.MKT.Known() == w.MKT.Known() && d >= -1 && d <= 1 {
			g.MKT = w.MKT
		}
		if len(g.Witnesses) == 0 && len(w.Witnesses) == 0 {
			g.Witnesses = w.Witnesses
		}
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("%s, finding %d:\ngot  %+v\nwant %+v", what, i, g, w)
		}
	}
}

// A sensor fault never opens an excursion and never is an extreme: a record with
// faults strewn into it has the excursions that it had without.
func TestNoExcursionFromFaults(t *testing.T) {
	excursions := func(fs []Finding) (out []Finding) {
		for _, f := range fs {
			if f.Excursion() {
				out = append(out, f)
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		_, r, h, samples, now := drawCase(t)
		want := excursions(Judge(r, h, slices.Clone(samples), now))
		for i := range rapid.IntRange(1, 30).Draw(t, "faults") {
			samples = append(samples, Sample{At: rapid.Int64Range(base, now).Draw(t, fmt.Sprint("at", i)), Seq: int64(1000 + i), Probe: rapid.IntRange(0, 2).Draw(t, fmt.Sprint("of", i)),
				Celsius: coldkeep.NoTemperature, Quality: drawFault(t, fmt.Sprint("why", i))})
		}
		same(t, "with faults", excursions(Judge(r, h, slices.Clone(samples), now)), want)
		for i := range samples {
			samples[i].Celsius, samples[i].Quality = coldkeep.NoTemperature, coldkeep.QualityRange
		}
		if fs := excursions(Judge(r, h, samples, now)); len(fs) != 0 {
			t.Fatalf("excursions from faults: %+v", fs)
		}
	})
}

// However an excursion is closed, nothing of what was told of it while it was open
// is lost, and it was out for no longer than it lasted.
func TestClosingLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, r, h, samples, now := drawCase(t)
		slices.SortFunc(samples, Compare)
		type id struct {
			kind  coldkeep.Kind
			role  coldkeep.Role
			start int64
		}
		told := map[id]Finding{}
		check := func(f Finding) {
			if !f.Excursion() {
				return
			}
			key := id{f.Kind, f.Role, f.Start}
			was := told[key]
			if f.OutMS < was.OutMS || f.AreaMS < was.AreaMS || len(f.Actions) < len(was.Actions) || len(f.Witnesses) < len(was.Witnesses) {
				t.Fatalf("told\n%+v\nthen\n%+v", was, f)
			}
			if f.End != 0 && (f.OutMS > f.End-f.Start || f.PeakAt < f.Start || f.PeakAt > f.End) {
				t.Fatalf("out for longer than it lasted: %+v", f)
			}
			told[key] = f
		}
		var s State
		unsettled := always
		settled := func(f Finding) {
			if f.End != 0 && f.End < unsettled {
				t.Fatalf("what was settled by %d ended before: %+v", unsettled, f)
			}
			check(f)
		}
		for _, in := range samples {
			s.Step(r, h, in, settled)
			unsettled = max(unsettled, s.Unsettled())
			for _, f := range s.Open(r, h, s.At) {
				settled(f)
			}
		}
		for _, f := range s.Open(r, h, max(now, s.At)) {
			settled(f)
		}
	})
}

func mustCompile(t interface{ Fatal(...any) }, profile string, unit coldkeep.Unit) *Rules {
	p, err := coldkeep.FindProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(p, unit, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// steady gives one reading a minute at each temperature in turn.
func steady(temps ...coldkeep.Temperature) []Sample {
	var out []Sample
	for i, c := range temps {
		out = append(out, Sample{At: int64(i+1) * minute, Seq: int64(i + 1), Celsius: c})
	}
	return out
}

// A Fahrenheit limit is compared exactly: 46 °F is 7.777… °C, so 7.777 is in range
// and 7.778 is not; 36 °F is 2.222… °C.
func TestFahrenheitIsExact(t *testing.T) {
	u := &coldkeep.UnitRules{Low: milli(36_000, 'F'), High: milli(46_000, 'F'), CloseAfter: 10, MaxGap: 30, NoDataAlert: 60}
	p := &coldkeep.Profile{Name: "f", Version: 1, Units: map[coldkeep.Unit]*coldkeep.UnitRules{coldkeep.Refrigerator: u}}
	r, err := Compile(p, coldkeep.Refrigerator, nil)
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range map[coldkeep.Temperature]coldkeep.Kind{7777: "", 7778: coldkeep.TooWarm, 2223: "", 2222: coldkeep.TooCold} {
		var got coldkeep.Kind
		for _, f := range Judge(r, Alone(), steady(c), 0) {
			got = f.Kind
		}
		if got != want {
			t.Errorf("%v: got %q, want %q", c, got, want)
		}
	}
}

func TestGapIsNeitherInNorOut(t *testing.T) {
	r := mustCompile(t, "cdc", coldkeep.Refrigerator)
	// Out for 10 minutes, silent for 6 hours, out for 10 more.
	var in []Sample
	for i := range int64(11) {
		in = append(in, Sample{At: (1 + i) * minute, Celsius: 9000}, Sample{At: (372 + i) * minute, Celsius: 9000})
	}
	fs := Judge(r, Alone(), in, 0)
	if len(fs) != 2 || fs[0].Kind != coldkeep.TooWarm || fs[0].OutMS != 20*minute || !slices.Equal(fs[0].Actions, []coldkeep.Action{"log"}) ||
		fs[1].Kind != coldkeep.NoData || fs[1].Start != 11*minute || fs[1].End != 372*minute {
		t.Fatalf("got %+v", fs)
	}
}

func TestStateOfAnotherVersionIsRefused(t *testing.T) {
	r := mustCompile(t, "cdc", coldkeep.Refrigerator)
	for _, b := range []string{"", "{}", `{"v":99}`, `{"v":1,"at":1}`, `{"v":2,"rules":"other@1"}`,
		`{"v":2,"vaccine":{"sides":[{"counters":[{}]},{}]}}`, `{"v":2,"vaccine":{"sides":[{"episode":{"rule":9}},{}]}}`,
		`{"v":2,"vaccine":{"sides":[{"episode":{"rule":-2}},{}]}}`, `{"v":2,"air":{"sides":[{},{"counters":[{}]}]}}`, `{"v":2,"probes":[{"probe":1,"air":true}]}`} {
		if _, err := UnmarshalState([]byte(b), r); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", b, err)
		}
	}
	if _, err := UnmarshalState([]byte(`{"v":2}`), r); err != nil {
		t.Error(err)
	}
}

// Whatever bytes come as a state, they are refused or can be judged on with.
func FuzzUnmarshalState(f *testing.F) {
	r, h := mustCompile(f, "cdc", coldkeep.Refrigerator), several(vac, vac, air)
	var s State
	f.Add(s.Marshal())
	for i := range int64(80) {
		in := Sample{At: m(i), Seq: i, Probe: int(i % 3), Celsius: 9000}
		if i%7 == 0 {
			in.Celsius, in.Quality = coldkeep.NoTemperature, coldkeep.QualityCRC
		}
		s.Step(r, h, in, func(Finding) {})
		if i%20 == 19 {
			f.Add(s.Marshal())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := UnmarshalState(b, r)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		for i, c := range []coldkeep.Temperature{9000, 0, coldkeep.NoTemperature, 5000, 5000} {
			s.Step(r, h, Sample{At: max(s.At, base) + 10*minute, Probe: i % 3, Celsius: c}, func(Finding) {})
		}
		s.Open(r, h, s.At+100*minute)
		if _, err := UnmarshalState(s.Marshal(), r); err != nil {
			t.Fatal(err)
		}
	})
}
