package excursion

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
)

// recording reads the given probes of a recorded log; probe i of the samples is the
// i-th name. The recordings lie beside the checkout.
func recording(t testing.TB, file string, probes ...string) []Sample {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "traces", file)
	f, err := os.Open(path)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the recorded log is not there: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	if _, err := r.Read(); err != nil {
		t.Fatal(err)
	}
	var out []Sample
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p := slices.Index(probes, row[2])
		if p < 0 {
			continue
		}
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		s := Sample{At: at.UnixMilli(), Probe: p}
		// The gate's work: nothing that keeps vaccine is below -100 °C.
		if s.Celsius, err = coldkeep.ParseTemperature(row[1]); err != nil || s.Celsius < -100_000 {
			s.Celsius, s.Quality = coldkeep.NoTemperature, coldkeep.QualityRange
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no readings of %v", path, probes)
	}
	return out
}

// line is a finding in one line: kind, probe, times of the day, rule, extreme and
// its time, time out, actions.
func line(f Finding) string {
	clock := func(ms int64) string {
		if ms == 0 {
			return "open"
		}
		return time.UnixMilli(ms).UTC().Format("15:04:05.999")
	}
	s := fmt.Sprintf("%s %d %s-%s", f.Kind, f.Probe, clock(f.Start), clock(f.End))
	if f.Excursion() {
		s += fmt.Sprintf(" %s %v@%s %v", f.Rule, f.Extreme, clock(f.PeakAt), time.Duration(f.OutMS)*time.Millisecond)
	} else if f.Reason != "" {
		s += " " + string(f.Reason)
	}
	var acts []string
	for _, a := range f.Actions {
		acts = append(acts, string(a))
	}
	s += " " + strings.Join(acts, "+")
	if f.FromStart {
		s += " from-start"
	}
	return s
}

// several is a history of so many probes of these roles, for ever.
func several(roles ...coldkeep.Role) *History {
	h := &History{}
	for i, role := range roles {
		h.Stays = append(h.Stays, Stay{Probe: i, Role: role, From: always, To: never})
	}
	return h
}

const (
	vac = coldkeep.RoleVaccine
	air = coldkeep.RoleAir
)

// What real appliances did, and what is to be said of it. The lines were written
// from the recordings, by listing the readings beyond each limit; every row says why.
func TestRecordings(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		probes  []string
		roles   []coldkeep.Role
		profile string
		unit    coldkeep.Unit
		only    coldkeep.Kind // of the findings, "" all
		want    []string
	}{
		{"both probes of a freezer go to +18", "slices/home_freezer_excursion_to_plus18.csv", []string{"T0", "T1"}, []coldkeep.Role{vac, vac}, "cdc", "freezer", "", []string{
			// T0 is above -15 from the first reading of the slice to the last, 539 minutes, so
			// the appliance is, whatever T1 does. Both rules that hold are met; 60 minutes is
			// the first of them. Both probes peak at 01:02:02, T0 at 18.2, T1 at 17.9.
			"too-warm 0 22:30:02-open consecutive 18.2@01:02:02 8h59m0s log+alert+hold from-start",
		}},
		{"the cooler probe of that freezer alone", "slices/home_freezer_excursion_to_plus18.csv", []string{"T1"}, []coldkeep.Role{vac}, "cdc", "freezer", "", []string{
			// 25 minutes above -15, then 12 in range: closed after ten of them, and too short
			// for more than the log.
			"too-warm 0 22:34:02-22:59:02 instant -14.1@22:51:02 25m0s log",
			// 19 minutes, three in range, which are too few to close, then out to the end:
			// 19 + 476.
			"too-warm 0 23:11:02-open consecutive 17.9@01:02:02 8h15m0s log+alert+hold",
		}},
		{"the refrigerator beside it holds", "slices/home_freezer_excursion_to_plus18.csv", []string{"T3"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", nil}, // 2 to 7 °C throughout

		{"a defrost, as both probes of the freezer tell it", "slices/home_defrost_cycle.csv", []string{"T0", "T1"}, []coldkeep.Role{vac, vac}, "cdc", "freezer", "", []string{
			// T0 leaves the range at 16:15:36 and is still out at the last reading, 18:59:36.
			// -1.0 is no thaw; it is the 60 minutes that hold.
			"too-warm 0 16:15:36-open consecutive -1@16:38:36 2h44m0s log+alert+hold",
		}},
		{"the same defrost, T0 in the air and T1 in the vaccine", "slices/home_defrost_cycle.csv", []string{"T0", "T1"}, []coldkeep.Role{air, vac}, "cdc", "freezer", "", []string{
			// The same air never does more than warn.
			"too-warm 0 16:15:36-open consecutive -1@16:38:36 2h44m0s log+warn",
			// T1 is out for 133 minutes without a break.
			"too-warm 1 16:19:36-18:32:36 consecutive -7.4@17:00:36 2h13m0s log+alert+hold",
		}},
		{"a refrigerator probe of whole degrees that touches 0 four times", "slices/home_defrost_cycle.csv", []string{"T2"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			// Each reading of 0 holds at once. The first two are 12 minutes apart: closed.
			"too-cold 0 15:30:36-15:44:36 instant 0@15:30:36 14m0s log+alert+hold from-start",
			// 15 readings, 14 minutes from the first to the last: not yet 15 in a row.
			"too-cold 0 15:56:36-16:11:36 instant 0@15:56:36 15m0s log+alert+hold",
			"too-cold 0 17:16:36-17:28:36 instant 0@17:22:36 12m0s log+alert+hold",
			"too-cold 0 18:12:36-18:19:36 instant 0@18:16:36 7m0s log+alert+hold",
		}},
		{"defrosts of another freezer, to +8.4 and +5.7", "slices/celsi_defrost_peaks_to_plus8.csv", []string{"freezer"}, []coldkeep.Role{vac}, "cdc", "freezer", "", []string{
			// Six minutes, but above 0 °C: thawed.
			"too-warm 0 05:01:00-05:07:00 instant 8.4@05:02:00 6m0s log+alert+hold",
			// 62 minutes; both rules that hold are met, the 60 minutes is the first.
			"too-warm 0 07:12:00-08:14:00 consecutive 5.7@07:43:00 1h2m0s log+alert+hold",
		}},

		{"a lost probe gives -273.2 for 1 and for 33 minutes", "slices/home_probe_fault_minus273_T1.csv", []string{"T1"}, []coldkeep.Role{vac}, "cdc", "freezer", "", []string{
			// The defrost before it; never an excursion to the cold side.
			"too-warm 0 05:07:46-05:16:46 instant -12.7@05:07:46 9m0s log",
			"sensor-fault 0 05:34:46-05:35:46 range log",
			// Shorter than the hour after which somebody is called.
			"sensor-fault 0 05:38:46-06:11:46 range log",
		}},
		{"beside a probe that goes on", "slices/home_probe_fault_minus273_T1.csv", []string{"T0", "T1"}, []coldkeep.Role{vac, vac}, "cdc", "freezer", "", []string{
			// T0 is out for 38, 71, 2 and 1 minutes with 3, 1 and 3 in range between.
			"too-warm 0 05:00:46-open consecutive -9.4@05:07:46 1h52m0s log+alert+hold from-start",
			"sensor-fault 1 05:34:46-05:35:46 range log",
			"sensor-fault 1 05:38:46-06:11:46 range log",
		}},
		{"-273.2 for 4 h 19 min", "slices/home_probe_fault_minus273_T2_4h.csv", []string{"T2"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			"too-cold 0 18:51:49-18:55:49 instant 1@18:51:49 4m0s log",
			// More than an hour, and there is no other probe: a person is called.
			"sensor-fault 0 19:08:49-23:27:49 range log+alert",
			// When it comes back it says 0 and 12 for a minute each, and a log has no traits
			// by which the gate could doubt that.
			"too-cold 0 23:27:49-23:28:49 instant 0@23:27:49 1m0s log+alert+hold",
			"too-warm 0 23:28:49-23:29:49 instant 12@23:28:49 1m0s log",
		}},
		{"the same fault beside a probe that speaks", "slices/home_probe_fault_minus273_T2_4h.csv", []string{"T2", "T3"}, []coldkeep.Role{vac, vac}, "cdc", "refrigerator", "", []string{
			"too-cold 0 18:51:49-18:55:49 instant 1@18:51:49 4m0s log",
			// T3 says how the refrigerator is: a warning will do.
			"sensor-fault 0 19:08:49-23:27:49 range log+warn",
			"too-cold 0 23:27:49-23:28:49 instant 0@23:27:49 1m0s log+alert+hold",
			// T3 says 10 at 23:27:49 and T2 says 12 a minute later: one excursion of two minutes.
			"too-warm 0 23:27:49-23:29:49 instant 12@23:28:49 2m0s log",
		}},

		{"four silences, the longest of 6 h 46 min", "slices/home_gap_6h46m.csv", []string{"T3"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			"no-data 0 02:21:55-09:07:58 log+alert",
			"no-data 0 09:27:58-13:58:04 log+alert",
			// One minute out, one in, one out.
			"too-cold 0 13:59:04-14:02:04 instant 1@13:59:04 2m0s log",
			"no-data 0 14:20:04-18:14:32 log+alert",
			// 4 + 3 minutes; four minutes in range before the last silence, and in range after
			// it: over at 18:30:32, and not one minute of the silence counts.
			"too-cold 0 18:22:32-18:30:32 instant 1@18:22:32 7m0s log",
			"no-data 0 18:34:32-20:42:43 log+alert",
		}},
		{"the same silences of two probes are the appliance's", "slices/home_gap_6h46m.csv", []string{"T2", "T3"}, []coldkeep.Role{vac, vac}, "cdc", "refrigerator", coldkeep.NoData, []string{
			"no-data -1 02:21:55-09:07:58 log+alert",
			"no-data -1 09:27:58-13:58:04 log+alert",
			"no-data -1 14:20:04-18:14:32 log+alert",
			"no-data -1 18:34:32-20:42:43 log+alert",
		}},
		{"20 min 48 s without a reading are no gap for CDC", "slices/kegerator_20min_gap.csv", []string{"kegerator"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			// Four readings of 8.062, and in range 29.955 s after the first of them.
			"too-warm 0 05:28:44.609-05:29:14.564 instant 8.062@05:28:44.609 29.955s log",
		}},
		{"but for Alabama, where readings come every 5 minutes", "slices/kegerator_20min_gap.csv", []string{"kegerator"}, []coldkeep.Role{vac}, "alabama", "refrigerator", "", []string{
			"no-data 0 05:07:56.109-05:28:44.609 log",
			"too-warm 0 05:28:44.609-05:29:14.564 instant 8.062@05:28:44.609 29.955s log",
		}},
		{"and in Maryland it is out until below 46 °F", "slices/kegerator_20min_gap.csv", []string{"kegerator"}, []coldkeep.Role{vac}, "maryland", "refrigerator", "", []string{
			// Below 7.777… °C 97.69 s after the first reading, and for the 9 min 34 s that are
			// left: not yet long enough to be over.
			"too-warm 0 05:28:44.609-open instant 8.062@05:28:44.609 1m37.69s log",
		}},

		{"a door open for 17 minutes", "slices/fridge_door_open_17min_1s.csv", []string{"fridge"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			// While it is open, from 07:31:59, the logger gets no further than 7.039. It is a
			// quarter of an hour later that it touches 8.006, for 14 seconds.
			"too-warm 0 08:18:51-08:19:05 instant 8.006@08:18:51 14s log",
		}},

		{"pull-down of a freezer, from the first reading", "slices/home_initial_pulldown_warm_start.csv", []string{"T0"}, []coldkeep.Role{vac}, "cdc", "freezer", "", []string{
			// 284 min 29 s, then 40 and 24 minutes with five and ten in range between; the ten
			// are one minute short, for the reading at ten minutes is out again.
			"too-warm 0 23:04:17-05:07:46 consecutive -0.5@23:04:17 5h48m29s log+alert+hold from-start",
			"too-warm 0 05:19:46-05:38:46 instant -14.4@05:31:46 19m0s log",
			"too-warm 0 05:50:46-open consecutive 1.6@06:12:46 2h9m0s log+alert+hold",
		}},
		{"pull-down of a refrigerator", "slices/home_initial_pulldown_warm_start.csv", []string{"T3"}, []coldkeep.Role{vac}, "cdc", "refrigerator", "", []string{
			// 31 min 29 s to the first reading in range, 30 min 29 s to the last one out.
			"too-warm 0 23:04:17-23:39:46 consecutive 12@23:04:17 34m29s log+alert+hold from-start",
			"too-cold 0 05:26:46-05:32:46 instant 1@05:26:46 6m0s log",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := recording(t, c.file, c.probes...)
			var got []string
			for _, f := range Judge(mustCompile(t, c.profile, c.unit), several(c.roles...), in, 0) {
				if c.only == "" || f.Kind == c.only {
					got = append(got, line(f))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The door of a real refrigerator, by its light, and the PQS rule of five minutes.
func TestRecordedDoor(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "traces", "slices", "fridge_light_door_events.csv")
	f, err := os.Open(path)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the recorded door is not there: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	for _, row := range rows[1:] {
		from, err1 := time.Parse(time.RFC3339, row[0])
		to, err2 := time.Parse(time.RFC3339, row[1])
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		events = append(events, Event{coldkeep.ContextDoorOpen, from.UnixMilli(), to.UnixMilli()})
	}
	var got []string
	for _, e := range Events(mustCompile(t, "who-pqs", coldkeep.Refrigerator), events, never-1) {
		got = append(got, fmt.Sprintf("%s %s %v %v", e.Kind, time.UnixMilli(e.Start).UTC().Format("15:04:05"), time.Duration(e.End-e.Start)*time.Millisecond, e.Actions))
	}
	// Of 37 openings two are longer than 5 minutes: the one of the morning, and the last,
	// when the logger was taken out.
	want := []string{"door-open 07:31:59 17m47s [log warn]", "door-open 11:36:01 1h1m14s [log warn]"}
	if len(events) != 37 || !slices.Equal(got, want) {
		t.Errorf("of %d openings, %v", len(events), got)
	}
}
