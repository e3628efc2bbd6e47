package foresight

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/coldkeep/coldkeep"
	"pgregory.net/rapid"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
	t0     = int64(1_772_409_600_000) // 2026-03-02 00:00 UTC
)

func config(u coldkeep.Unit) *Config {
	all := SetOf(Causes()...)
	c := &Config{Unit: u, Low: 2_000, High: 8_000, MaxGap: 30 * time.Minute, Tell: &all}
	switch u {
	case coldkeep.Freezer:
		c.Low, c.High = -50_000, -15_000
	case coldkeep.UltraCold:
		c.Low, c.High = -90_000, -60_000
	}
	return c
}

// trace builds a record minute by minute.
type trace struct {
	at      int64
	samples []Sample
	noise   *rand.Rand
}

func newTrace() *trace { return &trace{at: t0, noise: rand.New(rand.NewPCG(1, 2))} }

// add goes on for d ms with what f says, of ms since the beginning of this part.
func (tr *trace) add(d int64, f func(ms int64) float64) *trace {
	for ms := int64(0); ms < d; ms += minute {
		v := math.Round((f(ms)+0.04*(tr.noise.Float64()-0.5))*16) / 16
		tr.samples = append(tr.samples, Sample{At: tr.at + ms, Celsius: coldkeep.FromCelsius(v)})
	}
	tr.at += d
	return tr
}

func (tr *trace) event(e Event) *trace {
	tr.samples = append(tr.samples, Sample{At: tr.at, Celsius: coldkeep.NoTemperature, Event: e})
	return tr
}

func (tr *trace) last() float64 {
	for _, s := range slices.Backward(tr.samples) {
		if s.Celsius.Known() {
			return s.Celsius.Celsius()
		}
	}
	return 0
}

// cycling is a unit that switches every 20 minutes, a degree up and down.
func cycling(mid float64) func(int64) float64 {
	return func(ms int64) float64 {
		x := math.Mod(float64(ms)/float64(minute), 40)
		if x > 20 {
			x = 40 - x
		}
		return mid - 0.5 + x/20
	}
}

func rising(from, perHour float64) func(int64) float64 {
	return func(ms int64) float64 { return from + perHour*float64(ms)/float64(hour) }
}

func warnings(c *Config, samples []Sample) (State, []Warning) {
	var s State
	var out []Warning
	for _, in := range samples {
		if w, ok := s.Step(c, in); ok {
			out = append(out, w)
		}
	}
	return s, out
}

// What each trouble is called, before the edge is met. The traces are drawn by
// hand; how it fares on less tidy ones is for bench/foresight to say.
func TestCauses(t *testing.T) {
	fridge := config(coldkeep.Refrigerator)
	for _, c := range []struct {
		name  string
		c     *Config
		trace *trace
		want  []Cause
		side  coldkeep.Kind
		say   string
	}{
		{"sound", fridge, newTrace().add(4*day, cycling(5)), nil, "", ""},
		{"no day of learning yet", fridge, newTrace().add(12*hour, cycling(5)).add(2*hour, rising(5.5, 2)), nil, "", ""},
		// 3 °C/h is what its own warming phases show: the cooling stands still.
		{"cooling stops", fridge, newTrace().add(2*day, cycling(5)).add(hour, rising(4.5, 3)), []Cause{CompressorStopped}, coldkeep.TooWarm, "8 °C is met in"},
		{"door ajar", fridge, newTrace().add(2*day, cycling(5)).add(20*minute, rising(4.5, 10)), []Cause{DoorAjar}, coldkeep.TooWarm, "ajar"},
		{"door ajar, device tells", fridge, newTrace().add(2*day, cycling(5)).event(DoorOpened).add(40*minute, rising(4.5, 4)), []Cause{DoorAjar}, coldkeep.TooWarm, "stands open"},
		{"mains away, device tells", fridge, newTrace().add(2*day, cycling(5)).event(PowerOut).add(hour, rising(4.5, 3)), []Cause{PowerLost}, coldkeep.TooWarm, "mains is away"},
		{"mains back soon", fridge, newTrace().add(2*day, cycling(5)).event(PowerOut).add(3*minute, rising(4.5, 3)).event(PowerBack).add(day, cycling(5)), nil, "", ""},
		{"door closed after a minute", fridge, newTrace().add(2*day, cycling(5)).add(2*minute, rising(4.5, 40)).add(20*minute, rising(5.8, -3)).add(day, cycling(5)), nil, "", ""},
		{"does not stop cooling", fridge, newTrace().add(2*day, cycling(5)).add(hour, rising(5.5, -3)), []Cause{ThermostatDrift}, coldkeep.TooCold, "2 °C is met in"},
		// 0.5 °C a day from 5.5 up: the tops reach 8 °C after four days and a half.
		{"drifts", fridge, newTrace().add(2*day, cycling(5)).add(4*day, func(ms int64) float64 { return cycling(5)(ms) + 0.5*float64(ms)/float64(day) }), []Cause{ThermostatDrift}, coldkeep.TooWarm, "a day"},
		// Its first swing looks as a door does.
		{"probe beside its buffer", fridge, newTrace().add(2*day, cycling(5)).add(5*hour, func(ms int64) float64 { return 5 + 3*(cycling(5)(ms)-5) }), []Cause{DoorAjar, ProbeMoved}, "", ""},
		// Its usual cycle meets the edge: there is nothing to foresee.
		{"always at the edge", fridge, newTrace().add(3*day, cycling(7.8)), nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := warnings(c.c, c.trace.samples)
			var causes []Cause
			for _, w := range got {
				causes = append(causes, w.Cause)
				if c.side != "" && w.Side != c.side || !strings.Contains(w.Words, c.say) {
					t.Errorf("%s, %q", w.Side, w.Words)
				}
				if w.Reaches != 0 && w.Reaches <= w.At {
					t.Errorf("told at %d, reaches at %d", w.At, w.Reaches)
				}
				for _, in := range c.trace.samples {
					if in.Celsius.Known() && in.At <= w.At && in.Celsius > c.c.High {
						t.Errorf("told %d min after the edge was met", (w.At-in.At)/minute)
						break
					}
				}
			}
			if !slices.Equal(causes, c.want) {
				t.Errorf("%v, want %v\n%v", causes, c.want, got)
			}
		})
	}
}

// A trace that goes up in a straight line meets the edge when it is said to.
func TestReaches(t *testing.T) {
	tr := newTrace().add(2*day, cycling(5))
	began := tr.at
	tr.add(hour, rising(4.5, 3))
	_, got := warnings(config(coldkeep.Refrigerator), tr.samples)
	if len(got) != 1 {
		t.Fatalf("%d warnings, want 1", len(got))
	}
	want := began + 70*minute // 3.5 °C at 3 °C/h
	if off := got[0].Reaches - want; off < -10*minute || off > 10*minute {
		t.Errorf("off by %d min", off/minute)
	}
	if got[0].Slope < 2.5 || got[0].Slope > 3.5 {
		t.Errorf("%v °C/h, want 3", got[0].Slope)
	}
}

// The first two defrosts of a freezer are not known as such; from the third on
// they are, and one that does not end in time is not.
func TestDefrostIsLearned(t *testing.T) {
	c := config(coldkeep.Freezer)
	c.High = -10_000
	peak := func(tr *trace) { tr.add(15*minute, rising(-20.5, 30)).add(30*minute, rising(-13, -15)) }
	tr := newTrace().add(2*day, cycling(-20))
	for range 4 {
		peak(tr)
		tr.add(12*hour, cycling(-20))
	}
	s, got := warnings(c, tr.samples)
	if s.peaks.n < 3 {
		t.Fatalf("%d peaks known", s.peaks.n)
	}
	for _, w := range got {
		if w.At > t0+2*day+26*hour && w.Cause != Defrost {
			t.Errorf("a known defrost is called %s: %s", w.Cause, w.Words)
		}
	}
	// Told by default it is not.
	c.Tell = nil
	if byDefault(coldkeep.Freezer, Defrost, false) {
		t.Error("a defrost is told by default")
	}
	_, quiet := warnings(c, tr.samples)
	for _, w := range quiet {
		if w.Cause == Defrost {
			t.Errorf("told: %s", w.Words)
		}
	}
}

func TestCurrent(t *testing.T) {
	c := config(coldkeep.Refrigerator)
	tr := newTrace().add(2*day, cycling(5)).add(50*minute, rising(4.5, 3))
	s, got := warnings(c, tr.samples)
	now, ok := s.Current(c)
	if !ok || len(got) != 1 || now.Cause != got[0].Cause || now.At != got[0].At {
		t.Fatalf("%v %v, want what was told: %v", ok, now, got)
	}
	over := s
	for _, in := range (&trace{at: tr.at, noise: tr.noise}).add(30*minute, rising(7, 3)).samples {
		if w, ok := over.Step(c, in); ok {
			t.Errorf("told again: %s", w.Words)
		}
	}
	if w, ok := over.Current(c); ok {
		t.Errorf("beyond the edge it is still foreseen: %s", w.Words)
	}
	back := s
	for _, in := range (&trace{at: tr.at, noise: tr.noise}).add(20*minute, rising(7, -6)).add(2*hour, cycling(5)).samples {
		back.Step(c, in)
	}
	if w, ok := back.Current(c); ok {
		t.Errorf("it has come back, and is still told: %s", w.Words)
	}
}

func TestUsual(t *testing.T) {
	tr := newTrace().add(15*hour, cycling(5))
	s, _ := warnings(config(coldkeep.Refrigerator), tr.samples)
	if _, _, ok := s.Usual(); ok {
		t.Error("known after 15 hours")
	}
	s, _ = warnings(config(coldkeep.Refrigerator), tr.add(2*day, cycling(5)).samples)
	low, high, ok := s.Usual()
	if !ok || low < 4_400 || low > 4_600 || high < 5_400 || high > 5_600 {
		t.Errorf("%v to %v, %v; want 4.5 to 5.5", low, high, ok)
	}
}

// A cause that is not asked for is not told, and not under another name either.
func TestTell(t *testing.T) {
	c := config(coldkeep.Refrigerator)
	some := SetOf(DoorAjar, PowerLost)
	c.Tell = &some
	_, got := warnings(c, newTrace().add(2*day, cycling(5)).add(hour, rising(4.5, 3)).samples)
	if len(got) != 0 {
		t.Errorf("told: %v", got)
	}
}

// samplesOf draws a record that is worse than any real one: two days of a cycle,
// then steps, slopes, faults, gaps, events and doubled times.
func samplesOf(t *rapid.T) []Sample {
	tr := newTrace().add(2*day, cycling(5))
	events := []Event{"", DoorOpened, DoorClosed, PowerOut, PowerBack, "lid"}
	for range rapid.IntRange(1, 12).Draw(t, "parts") {
		from := tr.last()
		d := rapid.Int64Range(1, 180).Draw(t, "minutes") * minute
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			tr.add(d, rising(from, rapid.Float64Range(-20, 20).Draw(t, "slope")))
		case 1:
			tr.add(d, cycling(rapid.Float64Range(-5, 12).Draw(t, "mid")))
		case 2:
			tr.at += d
		case 3:
			tr.event(rapid.SampledFrom(events).Draw(t, "event"))
		case 4:
			for i := range d / minute {
				tr.samples = append(tr.samples, Sample{At: tr.at + i*minute, Celsius: coldkeep.NoTemperature})
			}
			tr.at += d
		case 5:
			for range 20 { // every few seconds, or at once
				tr.samples = append(tr.samples, Sample{At: tr.at, Celsius: coldkeep.FromCelsius(from)})
				tr.at += rapid.Int64Range(0, 20_000).Draw(t, "ms")
			}
		}
	}
	return tr.samples
}

// A state that was kept and read again goes on as if nothing had happened.
func TestResumed(t *testing.T) {
	c := config(coldkeep.Refrigerator)
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		whole, want := warnings(c, samples)
		var s State
		var got []Warning
		cut := map[int]bool{}
		for range 3 {
			cut[rapid.IntRange(0, len(samples)-1).Draw(t, "cut")] = true
		}
		for i, in := range samples {
			if cut[i] {
				read, err := Unmarshal(s.Marshal())
				if err != nil || read != s {
					t.Fatalf("%v, or not the same", err)
				}
				s = read
			}
			if w, ok := s.Step(c, in); ok {
				got = append(got, w)
			}
		}
		if !reflect.DeepEqual(got, want) || s != whole {
			t.Fatalf("%v\nwithout the cuts %v", got, want)
		}
	})
}

// Late samples change nothing; the caller folds anew from a state before them.
func TestLateSamplesChangeNothing(t *testing.T) {
	c := config(coldkeep.Refrigerator)
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		_, want := warnings(c, samples)
		var late []Sample
		for i, in := range samples {
			late = append(late, in)
			if i > 0 && rapid.IntRange(0, 99).Draw(t, "late") == 0 {
				before := samples[rapid.IntRange(0, i-1).Draw(t, "which")]
				if before.At < in.At {
					late = append(late, before)
				}
			}
		}
		if _, got := warnings(c, late); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// Sensor faults, told as such or as the number that a broken probe gives, neither
// make nor unmake a warning.
func TestFaultsAreNotTemperatures(t *testing.T) {
	c := config(coldkeep.Refrigerator)
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		_, want := warnings(c, samples)
		var faulty []Sample
		for i, in := range samples {
			faulty = append(faulty, in)
			if i+1 < len(samples) && rapid.IntRange(0, 9).Draw(t, "fault") == 0 {
				v := rapid.SampledFrom([]coldkeep.Temperature{coldkeep.NoTemperature, -273_150, -273_200, 85_000, 127_940, -127_000}).Draw(t, "v")
				faulty = append(faulty, Sample{At: in.At + (samples[i+1].At-in.At)/2, Celsius: v})
			}
		}
		if _, got := warnings(c, faulty); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestFaultsAloneGiveNothing(t *testing.T) {
	tr := newTrace().add(2*day, cycling(5))
	for i := range 4 * 60 {
		tr.samples = append(tr.samples, Sample{At: tr.at + int64(i)*minute, Celsius: coldkeep.NoTemperature})
	}
	s, got := warnings(config(coldkeep.Refrigerator), tr.samples)
	if _, ok := s.Current(config(coldkeep.Refrigerator)); ok || len(got) > 0 {
		t.Errorf("told: %v", got)
	}
}

// fill sets every field of a struct to something, so that one left out of the kept
// form shows.
func fill(v reflect.Value, n *int64) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			fill(reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32:
		*n++
		v.SetFloat(float64(*n))
	case reflect.Int8, reflect.Uint8:
		if v.CanInt() {
			v.SetInt(1)
		} else {
			v.SetUint(1)
		}
	default:
		*n++
		if v.CanInt() {
			v.SetInt(*n)
		} else {
			v.SetUint(uint64(*n))
		}
	}
}

func TestMarshalKeepsEveryField(t *testing.T) {
	var s State
	var n int64
	fill(reflect.ValueOf(&s).Elem(), &n)
	b := s.Marshal()
	read, err := Unmarshal(b)
	if err != nil || read != s {
		t.Fatalf("%v, or not the same:\n%+v\n%+v", err, read, s)
	}
	if len(b) > 1024 || unsafe.Sizeof(s) > 1024 {
		t.Errorf("a state is %d bytes, kept %d: more than 1 KiB", unsafe.Sizeof(s), len(b))
	}
	for name, bad := range map[string][]byte{"nothing": nil, "another version": append([]byte{9}, b[1:]...), "short": b[:len(b)-1], "long": append(slices.Clone(b), 0)} {
		if _, err := Unmarshal(bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v, want EINVALID", name, err)
		}
	}
}

// The defaults rest on a measurement of every cause on every type of unit.
func TestMeasurements(t *testing.T) {
	for _, u := range []coldkeep.Unit{coldkeep.Refrigerator, coldkeep.Freezer, coldkeep.UltraCold} {
		for _, c := range Causes() {
			m := lookUp(u, c, c == PowerLost)
			if m == nil {
				t.Errorf("%s, %s: not measured", u, c)
				continue
			}
			if m.On() && (m.Precision < 0.8 || m.FalsePerMonth > 1 || c == Defrost) {
				t.Errorf("%s, %s is on: %+v", u, c, m)
			}
		}
	}
	good := Measured{Cause: DoorAjar, Faults: 10, Foretold: 0.5, Precision: 0.8, FalsePerMonth: 1, RealDays: 30, RealFalse: 1}
	if !good.On() {
		t.Errorf("at the bar it is off: %+v", good)
	}
	for name, spoil := range map[string]func(*Measured){
		"precision":   func(m *Measured) { m.Precision = 0.79 },
		"false":       func(m *Measured) { m.FalsePerMonth = 1.01 },
		"foretold":    func(m *Measured) { m.Foretold = 0.49 },
		"few faults":  func(m *Measured) { m.Faults = 9 },
		"real ones":   func(m *Measured) { m.RealFalse = 2 },
		"defrost":     func(m *Measured) { m.Cause = Defrost },
		"no days, 1 ": func(m *Measured) { m.RealDays = 0 },
	} {
		m := good
		if spoil(&m); m.On() {
			t.Errorf("%s: on: %+v", name, m)
		}
	}
	if byDefault("oven", DoorAjar, true) {
		t.Error("a unit that was never measured is warned of")
	}
}

// FuzzStep takes bytes for samples, eight each.
func FuzzStep(f *testing.F) {
	f.Add([]byte("coldkeepforesightcoldkeepforesight"), int32(2_000), int32(8_000))
	f.Add([]byte{}, int32(math.MinInt32), int32(math.MaxInt32))
	tr := newTrace().add(12*hour, cycling(5))
	var seed []byte
	for _, s := range tr.samples {
		seed = append(seed, 60, 0, 0, byte(s.Celsius), byte(s.Celsius>>8), byte(s.Celsius>>16), byte(s.Celsius>>24), 0)
	}
	f.Add(seed, int32(2_000), int32(8_000))
	events := []Event{"", DoorOpened, DoorClosed, PowerOut, PowerBack}
	f.Fuzz(func(t *testing.T, b []byte, low, high int32) {
		c := config(coldkeep.Refrigerator)
		c.Low, c.High = coldkeep.Temperature(low), coldkeep.Temperature(high)
		var s State
		at := t0
		for ; len(b) >= 8; b = b[8:] {
			at += int64(int8(b[2]))*hour + int64(b[1])*minute + int64(b[0])*1000
			v := coldkeep.Temperature(uint32(b[3]) | uint32(b[4])<<8 | uint32(b[5])<<16 | uint32(b[6])<<24)
			if w, ok := s.Step(c, Sample{At: at, Celsius: v, Event: events[int(b[7])%len(events)]}); ok {
				if w.Words == "" || math.IsNaN(w.Slope) || w.Cause == "" || w.Side == "" {
					t.Fatalf("%+v", w)
				}
			}
		}
		if read, err := Unmarshal(s.Marshal()); err != nil || !reflect.DeepEqual(read.Marshal(), s.Marshal()) {
			t.Fatal(err)
		}
	})
}

// FuzzUnmarshal takes bytes for a state, and what is read must bear a sample.
func FuzzUnmarshal(f *testing.F) {
	s, _ := warnings(config(coldkeep.Refrigerator), newTrace().add(2*day, cycling(5)).samples)
	f.Add(s.Marshal())
	f.Add([]byte{stateVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Unmarshal(b)
		if err != nil {
			return
		}
		c := config(coldkeep.Freezer)
		for i := range 40 {
			s.Step(c, Sample{At: s.at + int64(i)*minute, Celsius: coldkeep.Temperature(5_000 + 300*i)})
			s.Current(c)
		}
	})
}

// A sample a minute, and one in eight seconds.
func BenchmarkStep(b *testing.B) {
	c := config(coldkeep.Refrigerator)
	for name, step := range map[string]int64{"minute": minute, "8s": 8_000} {
		samples := make([]Sample, 200_000)
		for i := range samples {
			at := int64(i) * step
			samples[i] = Sample{At: t0 + at, Celsius: coldkeep.FromCelsius(math.Round(cycling(5)(at)*16) / 16)}
		}
		b.Run(name, func(b *testing.B) {
			var s State
			i := 0
			for b.Loop() {
				if i == len(samples) {
					i, s = 0, State{}
				}
				s.Step(c, samples[i])
				i++
			}
			b.ReportMetric(float64(unsafe.Sizeof(s)), "B/state")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
