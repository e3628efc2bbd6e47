package excursion

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// at makes samples of one probe, a minute apart from minute from on.
func at(probe int, from int64, temps ...coldkeep.Temperature) (out []Sample) {
	for i, c := range temps {
		s := Sample{At: base + (from+int64(i))*minute, Probe: probe, Celsius: c}
		if !c.Known() {
			s.Quality = coldkeep.QualityCRC
		}
		out = append(out, s)
	}
	return out
}

func hold(n int, c coldkeep.Temperature) []coldkeep.Temperature {
	out := make([]coldkeep.Temperature, n)
	for i := range out {
		out[i] = c
	}
	return out
}

func m(n int64) int64 { return base + n*minute }

// What several probes, moves and times out of service make of a record, by the
// rules of CDC for a refrigerator. base is midnight, so times are minutes of the day.
func TestSeveralProbes(t *testing.T) {
	const none = coldkeep.NoTemperature
	two := several(vac, vac)
	for _, c := range []struct {
		name string
		h    *History
		in   [][]Sample
		now  int64 // minutes
		want []string
	}{
		{"the worst of two probes", two, [][]Sample{at(0, 0, hold(60, 5000)...), at(1, 0, 5000, 9000, 9000, 5000), at(1, 4, hold(56, 5000)...)}, 0, []string{
			// Probe 1 says 9 from 00:01 until 00:03; probe 0's 5 in between does not hide it.
			"too-warm 1 00:01:00-00:03:00 instant 9@00:01:00 2m0s log",
		}},
		{"warm and cold at once", two, [][]Sample{at(0, 0, hold(5, 9000)...), at(1, 0, hold(5, 1000)...), at(0, 5, hold(11, 5000)...), at(1, 5, hold(11, 5000)...)}, 0, []string{
			"too-cold 1 00:00:00-00:05:00 instant 1@00:00:00 5m0s log from-start",
			"too-warm 0 00:00:00-00:05:00 instant 9@00:00:00 5m0s log from-start",
		}},
		{"a probe that fell silent out of range speaks for max_gap", two, [][]Sample{at(0, 0, 9000), at(1, 0, hold(60, 5000)...)}, 0, []string{
			// Its 9 holds through 00:30; at 00:31 the appliance is back in range. That makes 30
			// minutes in a row, which hold. At 00:31 its silence is a finding too.
			"no-data 0 00:00:00-open log",
			"too-warm 0 00:00:00-00:31:00 consecutive 9@00:00:00 31m0s log+alert+hold from-start",
		}},
		{"a probe alone is silent, and comes back", two, [][]Sample{at(0, 0, 5000), at(0, 90, 5000), at(1, 0, hold(91, 5000)...)}, 0, []string{
			"no-data 0 00:00:00-01:30:00 log+warn",
		}},
		{"both are silent: once, and for the appliance", two, [][]Sample{at(0, 0, 5000), at(1, 0, 5000), at(0, 90, 5000), at(1, 91, 5000)}, 0, []string{
			"no-data -1 00:00:00-01:30:00 log+alert",
		}},
		{"one of them stays away longer", two, [][]Sample{at(0, 0, 5000), at(1, 0, 5000), at(0, 90, hold(70, 5000)...)}, 160, []string{
			"no-data -1 00:00:00-01:30:00 log+alert",
			// From then on it is silent alone: 70 minutes by now.
			"no-data 1 01:30:00-open log+warn",
		}},
		{"air warns and never holds", several(vac, air), [][]Sample{at(0, 0, hold(60, 5000)...), at(1, 0, hold(45, -1000)...), at(1, 45, hold(15, 5000)...)}, 0, []string{
			"too-cold 1 00:00:00-00:45:00 instant -1@00:00:00 45m0s log+warn from-start",
		}},
		{"a fault of the air probe warns", several(vac, air), [][]Sample{at(0, 0, hold(70, 5000)...), at(1, 0, hold(70, none)...)}, 0, []string{
			"sensor-fault 1 00:00:00-open crc log+warn",
		}},
		{"a faulty probe beside a silent one: nobody knows how it is", two, [][]Sample{at(0, 0, hold(120, none)...), at(1, 0, 5000, 5000)}, 0, []string{
			// Probe 1 speaks last at 00:01, so from 00:31 on there is no word; at 01:00 the fault
			// has lasted its hour.
			"sensor-fault 0 00:00:00-open crc log+alert",
			"no-data 1 00:01:00-open log+warn",
		}},
		{"the probe leaves in the middle of it", &History{Stays: []Stay{{0, vac, m(0), m(20)}}}, [][]Sample{at(0, 0, hold(40, 9000)...)}, 0, []string{
			// 20 minutes until it left; what it says elsewhere is not of this appliance.
			"too-warm 0 00:00:00-00:20:00 instant 9@00:00:00 20m0s log from-start left",
		}},
		{"another probe takes its place", &History{Stays: []Stay{{0, vac, m(0), m(20)}, {1, vac, m(20), never}}}, [][]Sample{at(0, 0, hold(20, 9000)...), at(1, 20, hold(30, 9500)...)}, 0, []string{
			"too-warm 1 00:00:00-open consecutive 9.5@00:20:00 49m0s log+alert+hold from-start",
		}},
		{"out of service in the middle of it", &History{Stays: Alone().Stays, OutOfService: [][2]int64{{m(20), m(100)}}}, [][]Sample{at(0, 0, 5000), at(0, 1, hold(119, 9000)...)}, 0, []string{
			"too-warm 0 00:01:00-00:20:00 instant 9@00:01:00 19m0s log out-of-service",
			// Back in service at 01:40, still warm: 19 minutes again, and 38 within the day.
			"too-warm 0 01:40:00-open instant 9@01:40:00 19m0s log from-start",
		}},
		{"what was counted before stays in the window", &History{Stays: Alone().Stays, OutOfService: [][2]int64{{m(25), m(60)}, {m(85), m(120)}}}, [][]Sample{at(0, 0, hold(140, 9000)...)}, 0, []string{
			"too-warm 0 00:00:00-00:25:00 instant 9@00:00:00 25m0s log from-start out-of-service",
			"too-warm 0 01:00:00-01:25:00 instant 9@01:00:00 25m0s log from-start out-of-service",
			// 25 + 25 + 10 minutes are the hour of the cumulative rule, though no stretch had 30.
			"too-warm 0 02:00:00-open cumulative 9@02:00:00 19m0s log+alert+hold from-start",
		}},
		{"silence while out of service is none", &History{Stays: Alone().Stays, OutOfService: [][2]int64{{m(10), m(200)}}}, [][]Sample{at(0, 0, 5000), at(0, 200, 5000)}, 0, nil},
		{"a probe that was assigned and never spoke", &History{Stays: []Stay{{0, vac, m(0), never}}}, nil, 61, []string{
			"no-data 0 00:00:00-open log+alert",
		}},
		{"the silent probe is taken away", &History{Stays: []Stay{{0, vac, m(0), m(50)}}}, [][]Sample{at(0, 0, 5000)}, 61, []string{
			"no-data 0 00:00:00-00:50:00 log left",
		}},
		{"a second probe, warm from the room", &History{Stays: []Stay{{0, vac, m(0), never}, {1, vac, m(10), never}}}, [][]Sample{at(0, 0, hold(60, 5000)...), at(1, 10, 22_000, 15_000, 9000), at(1, 13, hold(47, 5000)...)}, 0, []string{
			"too-warm 1 00:10:00-00:13:00 instant 22@00:10:00 3m0s log from-start",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var now int64
			if c.now != 0 {
				now = m(c.now)
			}
			var got []string
			for _, f := range Judge(mustCompile(t, "cdc", coldkeep.Refrigerator), c.h, slices.Concat(c.in...), now) {
				s := line(f)
				if f.Ended != EndedBack {
					s += " " + string(f.Ended)
				}
				got = append(got, s)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The figures of one excursion, by hand: 9 °C for 10 minutes, 12 for 5, back at 5 for
// 5, 10 for 5, then back for good.
func TestFigures(t *testing.T) {
	in := slices.Concat(at(0, 0, 5000), at(0, 1, hold(10, 9000)...), at(0, 11, hold(5, 12_000)...), at(0, 16, hold(5, 5000)...), at(0, 21, hold(5, 10_000)...), at(0, 26, hold(11, 4000)...),
		at(1, 0, hold(37, 8500)...), at(2, 0, hold(3, none)...))
	fs := Judge(mustCompile(t, "cdc", coldkeep.Refrigerator), several(vac, air, air), in, 0)
	var f Finding
	for _, g := range fs {
		if g.Kind == coldkeep.TooWarm && g.Role == vac {
			f = g
		}
	}
	// Out for 10 + 5 + 5 minutes; the area above 8 °C is 10·1 + 5·4 + 5·2 °C·min.
	if f.Start != m(1) || f.End != m(26) || f.Minutes() != 20 || f.DegreeMinutes() != 40 {
		t.Errorf("got %+v", f)
	}
	// (10·k(9) + 5·k(12) + 5·k(5) + 5·k(10)) / 25 with k(t) = exp(-10000/(t + 273.15)); what
	// follows its end is not in it.
	if f.MKT != 9291 {
		t.Errorf("mean kinetic temperature %v", f.MKT)
	}
	want := []Witness{{0, vac, true, 12_000}, {1, air, true, 8500}, {2, air, false, none}}
	if !slices.Equal(f.Witnesses, want) {
		t.Errorf("witnesses %+v", f.Witnesses)
	}
}

const none = coldkeep.NoTemperature

// Mean kinetic temperatures by the formula of USP <1160>.
func TestKinetic(t *testing.T) {
	for _, c := range []struct {
		parts [][2]int64 // thousandths of °C, minutes
		want  coldkeep.Temperature
	}{
		{nil, none},
		{[][2]int64{{25_000, 1}}, 25_000}, // of one temperature, that one
		{[][2]int64{{10_000, 10}, {20_000, 10}}, 16_343}, // nearer to the warmer half
		{[][2]int64{{9000, 20}, {12_000, 5}, {10_000, 5}}, 9743},
		{[][2]int64{{-273_150, 10}}, -273_150}, // where nothing moves
		{[][2]int64{{-300_000, 10}}, -273_150},
	} {
		var k kinetic
		for _, p := range c.parts {
			k.add(rate(coldkeep.Temperature(p[0])), p[1]*minute)
		}
		if got := k.mean(); got != c.want {
			t.Errorf("%v: %v, want %v", c.parts, got, c.want)
		}
	}
}

// An area in °F is counted from the thousandth of °C below the edge.
func TestAreaInFahrenheit(t *testing.T) {
	// 46 °F is 7.777… °C, counted as 7.777: 10 minutes of 8.777 are 10 °C·min. 36 °F is
	// 2.222… °C, counted as 2.222: 10 minutes of 1.222 are 10 too.
	for _, c := range []struct {
		t    coldkeep.Temperature
		kind coldkeep.Kind
	}{{8777, coldkeep.TooWarm}, {1222, coldkeep.TooCold}} {
		fs := Judge(mustCompile(t, "maryland", coldkeep.Refrigerator), Alone(), slices.Concat(at(0, 0, hold(10, c.t)...), at(0, 10, 5000)), 0)
		if len(fs) != 1 || fs[0].Kind != c.kind || fs[0].DegreeMinutes() != 10 || fs[0].MKT.Known() != (c.kind == coldkeep.TooWarm) {
			t.Errorf("got %+v", fs)
		}
	}
	// An area beyond all measure stays there.
	r := mustCompile(t, "cdc", coldkeep.Refrigerator)
	var s State
	for i := range int64(100_000) {
		s.Step(r, Alone(), Sample{At: m(30 * i), Celsius: 2_147_483_647}, func(Finding) { t.Fatal("closed") })
	}
	if fs := s.Open(r, Alone(), s.At); len(fs) != 1 || fs[0].AreaMS != never {
		t.Errorf("got %+v", fs)
	}
}

// A site's own range: tighter without more, looser with a reason, and the rules that
// begin at its edges go with it; the freezing line stays.
func TestSiteRange(t *testing.T) {
	p, err := coldkeep.FindProfile("cdc")
	if err != nil {
		t.Fatal(err)
	}
	limits := func(low, high, reason string) *coldkeep.Limits {
		l := &coldkeep.Limits{Reason: reason}
		for _, e := range []error{l.Low.UnmarshalText([]byte(low)), l.High.UnmarshalText([]byte(high))} {
			if e != nil {
				t.Fatal(e)
			}
		}
		return l
	}
	for _, c := range []struct {
		low, high, reason string
		err               string
		in, out           []coldkeep.Temperature // for 31 minutes
		act               []coldkeep.Temperature // of out, those that hold
	}{
		{"3C", "7C", "", "", []coldkeep.Temperature{3000, 7000}, []coldkeep.Temperature{2999, 7001, 0}, []coldkeep.Temperature{2999, 7001, 0}},
		{"2C", "8C", "", "", []coldkeep.Temperature{2000, 8000}, []coldkeep.Temperature{1999, 8001}, nil},
		{"36F", "46F", "", "", []coldkeep.Temperature{2223, 7777}, []coldkeep.Temperature{2222, 7778}, []coldkeep.Temperature{2222, 7778}}, // inside 2 to 8
		{"2C", "9C", "", "reason", nil, nil, nil},
		{"1C", "8C", " ", "reason", nil, nil, nil},
		{"35F", "46F", "", "reason", nil, nil, nil}, // 1.666… °C
		{"2C", "9C", "stock of stable vaccine only", "", []coldkeep.Temperature{9000}, []coldkeep.Temperature{9001}, []coldkeep.Temperature{9001}},
		{"-1C", "8C", "stock of frozen vaccine", "", []coldkeep.Temperature{1}, []coldkeep.Temperature{0}, []coldkeep.Temperature{0}}, // 0 °C freezes wherever the range ends
		{"8C", "2C", "x", "low below high", nil, nil, nil},
		{"2C", "46F", "x", "one unit", nil, nil, nil},
	} {
		r, err := Compile(p, coldkeep.Refrigerator, limits(c.low, c.high, c.reason))
		if c.err != "" {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(fmt.Sprint(err), c.err) || !strings.Contains(fmt.Sprint(err), "cdc@1, refrigerator") {
				t.Errorf("%s to %s: %v", c.low, c.high, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s to %s: %v", c.low, c.high, err)
			continue
		}
		if r.Profile() != "cdc@1+site" {
			t.Errorf("judged by %s", r.Profile())
		}
		for _, v := range c.in {
			if fs := Judge(r, Alone(), at(0, 0, hold(61, v)...), 0); len(fs) != 0 {
				t.Errorf("%s to %s, %v: %+v", c.low, c.high, v, fs)
			}
		}
		for _, v := range c.out {
			fs := Judge(r, Alone(), at(0, 0, hold(31, v)...), 0)
			if len(fs) != 1 || !fs[0].Excursion() || slices.Contains(c.act, v) && !slices.Contains(fs[0].Actions, coldkeep.ActionHold) {
				t.Errorf("%s to %s, %v: %+v", c.low, c.high, v, fs)
			}
		}
	}
	if _, err := Compile(p, coldkeep.Refrigerator, &coldkeep.Limits{}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("no limits at all: %v", err)
	}
	// Rules with other numbers have another key, and refuse each other's states.
	a, _ := Compile(p, coldkeep.Refrigerator, limits("3C", "7C", ""))
	b, _ := Compile(p, coldkeep.Refrigerator, limits("3C", "7.5C", ""))
	if a.Key() == b.Key() || a.MaxGap() != b.MaxGap() || a.CloseAfter().Minutes() != 10 || a.NoDataAlert().Minutes() != 60 {
		t.Errorf("%s and %s", a.Key(), b.Key())
	}
	var s State
	s.Step(a, Alone(), Sample{At: base, Celsius: 5000}, func(Finding) {})
	if _, err := UnmarshalState(s.Marshal(), b); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("the state of other rules: %v", err)
	}
	if _, err := UnmarshalState(s.Marshal(), a); err != nil {
		t.Error(err)
	}
}

// What each profile would have said of the same hour at 7.9 °C: nothing but in
// Maryland, whose 46 °F are 7.777… °C.
func TestUnderAll(t *testing.T) {
	vs, err := UnderAll(Alone(), coldkeep.Refrigerator, at(0, 0, hold(62, 7900)...), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range vs {
		got = append(got, fmt.Sprint(v.Profile, " ", len(v.Findings)))
	}
	if want := "[alabama@1 0 california@1 0 cdc@1 0 illinois@1 0 maryland@1 1 texas@1 0 who-pqs@1 0]"; fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
	if vs, err := UnderAll(Alone(), coldkeep.Freezer, nil, 0); err != nil || len(vs) != 6 {
		t.Errorf("freezers are judged by %v, %v", vs, err)
	}
	if _, err := UnderAll(Alone(), "cupboard", nil, 0); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("a cupboard: %v", err)
	}
}
