package templog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var (
	noon      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	system    = auth.System("Test")
	collector = auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	nurse     = auth.Principal{ID: "n", Name: "Nurse", Role: auth.Nurse, Site: "lakeside"}
)

func open(t *testing.T, where string) *templog.Service {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	s := templog.New(st.Templog(), coldkeep.RealClock{})
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		if err := s.AddSite(t.Context(), system, coldkeep.Site{ID: id, Name: string(id), TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"-fridge", "-freezer"} {
			a := coldkeep.Appliance{ID: coldkeep.ApplianceID(string(id) + unit), Site: id, Name: unit[1:], Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}
			if err := s.AddAppliance(t.Context(), system, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// withProbe has the probe of interval stand in its unit.
func withProbe(t *testing.T, s *templog.Service) *templog.Service {
	t.Helper()
	a := coldkeep.Assignment{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "p"}, Appliance: "lakeside-fridge", From: noon.AddDate(0, 0, -1)}
	if err := s.Assign(t.Context(), system, a); err != nil {
		t.Fatal(err)
	}
	return s
}

func wants(t *testing.T, err error, code, text string) {
	t.Helper()
	if coldkeep.ErrorCode(err) != code || code != "" && !strings.Contains(coldkeep.ErrorMessage(err), text) {
		t.Errorf("%v, want %q with %q", err, code, text)
	}
}

func interval(from time.Time) coldkeep.Interval {
	return coldkeep.Interval{Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", From: from, To: from.Add(15 * time.Minute),
		Min: 3000, Max: 5000, Mean: 4000, Readings: 15, Revision: 1}
}

func TestIntervalsAreChecked(t *testing.T) {
	s := withProbe(t, open(t, databasetest.SQLite(t)))
	for name, row := range map[string]struct {
		change func(*coldkeep.Interval)
		code   string
		text   string
	}{
		"good":                 {func(*coldkeep.Interval) {}, "", ""},
		"off the quarter hour": {func(i *coldkeep.Interval) { i.From = i.From.Add(time.Minute); i.To = i.To.Add(time.Minute) }, coldkeep.EINVALID, "[1].from: "},
		"a second off":         {func(i *coldkeep.Interval) { i.From = i.From.Add(time.Second); i.To = i.To.Add(time.Second) }, coldkeep.EINVALID, "quarter hour"},
		"in another zone":      {func(i *coldkeep.Interval) { i.From = i.From.In(time.FixedZone("x", 3600)) }, "", ""},
		"too long":             {func(i *coldkeep.Interval) { i.To = i.To.Add(time.Minute) }, coldkeep.EINVALID, "[1].to: "},
		"no time":              {func(i *coldkeep.Interval) { i.From = time.Time{} }, coldkeep.EINVALID, "[1].from: is missing"},
		"absurd time":          {func(i *coldkeep.Interval) { i.From = i.From.AddDate(900, 0, 0) }, coldkeep.EINVALID, "[1].from"},
		"unknown appliance":    {func(i *coldkeep.Interval) { i.Appliance = "other" }, coldkeep.EINVALID, `[1].appliance: "other" is not known`},
		"no appliance":         {func(i *coldkeep.Interval) { i.Appliance = "" }, coldkeep.EINVALID, "[1].appliance: "},
		"another's probe":      {func(i *coldkeep.Interval) { i.Appliance = "lakeside-freezer" }, coldkeep.EINVALID, "[1].probe: "},
		"bad probe":            {func(i *coldkeep.Interval) { i.Probe = "pi-1/p" }, coldkeep.EINVALID, "[1].probe: "},
		"min above max":        {func(i *coldkeep.Interval) { i.Min = 6000 }, coldkeep.EINVALID, "[1].min: "},
		"min without readings": {func(i *coldkeep.Interval) { i.Readings = 0 }, coldkeep.EINVALID, "[1].min: "},
		"readings without max": {func(i *coldkeep.Interval) { i.Max = coldkeep.NoTemperature }, coldkeep.EINVALID, "[1].max: "},
		"min elsewhere":        {func(i *coldkeep.Interval) { t := noon.Add(-time.Hour); i.MinAt = &t }, coldkeep.EINVALID, "[1].min_at: "},
		"gap beyond it":        {func(i *coldkeep.Interval) { i.GapSec = 901 }, coldkeep.EINVALID, "[1].gap_s: "},
		"no revision":          {func(i *coldkeep.Interval) { i.Revision = 0 }, coldkeep.EINVALID, "[1].revision: "},
	} {
		t.Run(name, func(t *testing.T) {
			good, bad := interval(noon.Add(24*time.Hour)), interval(noon)
			row.change(&bad)
			_, err := s.PutIntervals(t.Context(), collector, []coldkeep.Interval{good, bad})
			wants(t, err, row.code, row.text)
		})
	}
	_, err := s.PutIntervals(t.Context(), collector, make([]coldkeep.Interval, templog.MaxIntervals+1))
	wants(t, err, coldkeep.EINVALID, "1001 intervals")
	_, err = s.PutIntervals(t.Context(), nurse, nil)
	wants(t, err, coldkeep.EFORBIDDEN, "")
}

func TestAllOrNone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := withProbe(t, open(t, where))
		bad := interval(noon.Add(15 * time.Minute))
		bad.Appliance = "other"
		_, err := s.PutIntervals(t.Context(), collector, []coldkeep.Interval{interval(noon), bad})
		wants(t, err, coldkeep.EINVALID, "[1].appliance")
		kept, err := s.Intervals(t.Context(), nurse, "lakeside-fridge", noon, noon.Add(time.Hour))
		if err != nil || len(kept) != 0 {
			t.Fatalf("kept %d, %v", len(kept), err)
		}
		n, err := s.PutIntervals(t.Context(), collector, []coldkeep.Interval{interval(noon), interval(noon)})
		if err != nil || n != 1 {
			t.Fatalf("stored %d, %v", n, err)
		}
	})
}

func TestExcursionsAreChecked(t *testing.T) {
	s := open(t, databasetest.SQLite(t))
	end := noon.Add(time.Hour)
	for name, row := range map[string]struct {
		change func(*coldkeep.Excursion)
		code   string
		text   string
	}{
		"good":              {func(*coldkeep.Excursion) {}, "", ""},
		"closed":            {func(x *coldkeep.Excursion) { x.State, x.End = coldkeep.ExcursionClosed, &end }, "", ""},
		"withdrawn":         {func(x *coldkeep.Excursion) { x.State = coldkeep.ExcursionWithdrawn }, "", ""},
		"no id":             {func(x *coldkeep.Excursion) { x.ID = "" }, coldkeep.EINVALID, "id: "},
		"unknown appliance": {func(x *coldkeep.Excursion) { x.Appliance = "other" }, coldkeep.EINVALID, "appliance: "},
		"another site":      {func(x *coldkeep.Excursion) { x.Site = "northgate" }, coldkeep.EINVALID, "site: "},
		"of a device":       {func(x *coldkeep.Excursion) { x.Kind = coldkeep.DeviceFault }, coldkeep.EINVALID, "kind: "},
		"silence":           {func(x *coldkeep.Excursion) { x.Kind, x.Rule, x.Extreme = coldkeep.NoData, "", coldkeep.NoTemperature }, "", ""},
		"fault by a rule":   {func(x *coldkeep.Excursion) { x.Kind, x.Extreme = coldkeep.SensorFault, coldkeep.NoTemperature }, coldkeep.EINVALID, "rule: "},
		"fault and extreme": {func(x *coldkeep.Excursion) { x.Kind, x.Rule = coldkeep.SensorFault, "" }, coldkeep.EINVALID, "extreme_c: "},
		"a role of its own": {func(x *coldkeep.Excursion) { x.Role = "wall" }, coldkeep.EINVALID, "role: "},
		"no rule":           {func(x *coldkeep.Excursion) { x.Rule = "" }, coldkeep.EINVALID, "rule: "},
		"no extreme":        {func(x *coldkeep.Excursion) { x.Extreme = coldkeep.NoTemperature }, coldkeep.EINVALID, "extreme_c: "},
		"open with an end":  {func(x *coldkeep.Excursion) { x.End = &end }, coldkeep.EINVALID, "end: "},
		"closed without":    {func(x *coldkeep.Excursion) { x.State = coldkeep.ExcursionClosed }, coldkeep.EINVALID, "end: "},
		"ends before it":    {func(x *coldkeep.Excursion) { e := noon.Add(-time.Hour); x.State, x.End = coldkeep.ExcursionClosed, &e }, coldkeep.EINVALID, "end: "},
		"peak before it":    {func(x *coldkeep.Excursion) { x.PeakAt = noon.Add(-time.Second) }, coldkeep.EINVALID, "peak_at: "},
		"negative minutes":  {func(x *coldkeep.Excursion) { x.MinutesOut = -1 }, coldkeep.EINVALID, "minutes_out: "},
		"unknown action":    {func(x *coldkeep.Excursion) { x.Actions = []coldkeep.Action{"log", "panic"} }, coldkeep.EINVALID, "actions[1]: "},
		"unknown state":     {func(x *coldkeep.Excursion) { x.State = "over" }, coldkeep.EINVALID, "state: "},
	} {
		t.Run(name, func(t *testing.T) {
			x := coldkeep.Excursion{ID: name, Revision: 1, Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Instant,
				Profile: "cdc@1", Start: noon, PeakAt: noon, Extreme: 9000, State: coldkeep.ExcursionOpen}
			row.change(&x)
			_, err := s.PutExcursion(t.Context(), collector, x)
			wants(t, err, row.code, row.text)
		})
	}
	x := coldkeep.Excursion{ID: "good", Revision: 2, Appliance: "lakeside-freezer", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Instant,
		Profile: "cdc@1", Start: noon, PeakAt: noon, Extreme: 9000, State: coldkeep.ExcursionOpen}
	_, err := s.PutExcursion(t.Context(), collector, x)
	wants(t, err, coldkeep.ECONFLICT, "appliance: ")
}

func TestStatusKeepsSince(t *testing.T) {
	s := open(t, databasetest.SQLite(t))
	post := func(at time.Time, state coldkeep.State) templog.Unit {
		t.Helper()
		err := s.PutStatuses(t.Context(), collector, []coldkeep.ApplianceStatus{{Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", At: &at, Celsius: 4000, State: state}})
		if err != nil {
			t.Fatal(err)
		}
		u, _, err := s.Unit(t.Context(), nurse, "lakeside-fridge")
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for i, row := range []struct {
		at    int // minutes after noon
		state coldkeep.State
		since int
	}{{0, coldkeep.StateOK, 0}, {1, coldkeep.StateOK, 0}, {2, coldkeep.StateExcursion, 2}, {3, coldkeep.StateExcursion, 2}, {3, coldkeep.StateNoData, 3}, {60, coldkeep.StateOK, 60}} {
		u := post(noon.Add(time.Duration(row.at)*time.Minute), row.state)
		if want := noon.Add(time.Duration(row.since) * time.Minute); !u.Since.Equal(want) || u.State() != row.state {
			t.Errorf("row %d: %s since %s, want %s", i, u.State(), u.Since, want)
		}
	}
	// Without data the latest record counts, also one that came late. An excursion
	// counts from its start, which its rule tells only later.
	post(noon.Add(time.Hour), coldkeep.StateNoData)
	if u := post(noon.Add(2*time.Hour), coldkeep.StateNoData); !u.Since.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("no data since %s", u.Since)
	}
	post(noon.Add(4*time.Hour), coldkeep.StateExcursion)
	x := coldkeep.Excursion{ID: "open", Revision: 1, Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive,
		Profile: "cdc@1", Start: noon.Add(3 * time.Hour), PeakAt: noon.Add(4 * time.Hour), Extreme: 9000, State: coldkeep.ExcursionOpen}
	if _, err := s.PutExcursion(t.Context(), collector, x); err != nil {
		t.Fatal(err)
	}
	if u := post(noon.Add(5*time.Hour), coldkeep.StateExcursion); !u.Since.Equal(x.Start) {
		t.Errorf("in an excursion since %s", u.Since)
	}
	err := s.PutStatuses(t.Context(), collector, []coldkeep.ApplianceStatus{{Appliance: "lakeside-fridge", State: coldkeep.StateOK}, {Appliance: "other", State: coldkeep.StateOK}})
	wants(t, err, coldkeep.EINVALID, "[1].appliance")
	err = s.PutStatuses(t.Context(), collector, []coldkeep.ApplianceStatus{{Appliance: "lakeside-fridge", State: "fine"}})
	wants(t, err, coldkeep.EINVALID, "[0].state")
}

func TestAssignments(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
		assign := func(unit coldkeep.ApplianceID, from, to int, code string) {
			t.Helper()
			a := coldkeep.Assignment{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "p"}, Appliance: unit, From: at(from)}
			if to != 0 {
				end := at(to)
				a.To = &end
			}
			wants(t, s.Assign(ctx, system, a), code, "")
		}
		assign("lakeside-fridge", 0, 0, "")
		assign("lakeside-freezer", 10, 0, "")               // ends the one before
		assign("lakeside-fridge", 5, 8, coldkeep.ECONFLICT) // it stood in the fridge
		assign("lakeside-fridge", 8, 12, coldkeep.ECONFLICT)
		assign("lakeside-fridge", -4, -1, "")                // before anything
		assign("lakeside-fridge", -1, -4, coldkeep.EINVALID) // backwards
		assign("northgate-fridge", 20, 0, coldkeep.EINVALID) // another site's unit
		assign("nowhere", 20, 0, coldkeep.ENOTFOUND)
		m, err := s.Mirror(ctx, collector, 0, 0)
		if err != nil || len(m.Assignments) != 3 {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, a := range m.Assignments {
			if a.Appliance == "lakeside-fridge" && a.From.Equal(at(0)) && (a.To == nil || !a.To.Equal(at(10))) {
				t.Errorf("%+v", a)
			}
		}
		list, err := s.Assignments(ctx, nurse, "lakeside-freezer")
		if err != nil || len(list) != 1 || list[0].To != nil {
			t.Fatalf("%+v, %v", list, err)
		}
		wants(t, s.EndAssignment(ctx, system, list[0], at(9)), coldkeep.EINVALID, "")
		wants(t, s.EndAssignment(ctx, system, list[0], at(11)), "", "")
		wants(t, s.EndAssignment(ctx, system, list[0], at(12)), coldkeep.ENOTFOUND, "")
	})
}

func TestSitesOfOthersAreNotSeen(t *testing.T) {
	s := open(t, databasetest.SQLite(t))
	ctx := t.Context()
	_, _, err := s.Unit(ctx, nurse, "northgate-fridge")
	wants(t, err, coldkeep.ENOTFOUND, "")
	units, err := s.Units(ctx, nurse)
	if err != nil || len(units) != 2 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	_, err = s.Units(ctx, auth.Principal{})
	wants(t, err, coldkeep.EUNAUTHORIZED, "")
	wants(t, s.SetInService(ctx, nurse, "lakeside-fridge", false, ""), coldkeep.EFORBIDDEN, "")
	wants(t, s.SetInService(ctx, nurse, "northgate-fridge", false, ""), coldkeep.ENOTFOUND, "")
	wants(t, s.AddSite(ctx, nurse, coldkeep.Site{ID: "x", Name: "x", TimeZone: "UTC"}), coldkeep.EFORBIDDEN, "")
	wants(t, s.AddSite(ctx, system, coldkeep.Site{ID: "x", Name: "x", TimeZone: "Mars/Base"}), coldkeep.EINVALID, "Time zone")
	wants(t, s.SetOnCall(ctx, system, coldkeep.OnCall{Site: "lakeside", Webhooks: []string{"ftp://x"}, RepeatAfter: 900}), coldkeep.EINVALID, "Webhook")
	wants(t, s.SetOnCall(ctx, system, coldkeep.OnCall{Site: "lakeside", Emails: []string{"nobody"}, RepeatAfter: 900}), coldkeep.EINVALID, "E-mail")
	wants(t, s.SetOnCall(ctx, system, coldkeep.OnCall{Site: "lakeside", Emails: []string{"a@b.example"}, RepeatAfter: 900}), "", "")
}

// A mirror call that waits is answered by the change, not by the end of its time.
func TestMirrorWaits(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		first, err := s.Mirror(ctx, collector, 0, time.Hour) // another revision: at once
		if err != nil {
			t.Fatal(err)
		}
		same, err := s.Mirror(ctx, collector, first.Revision, time.Millisecond)
		if err != nil || same.Revision != first.Revision {
			t.Fatalf("%+v, %v", same, err)
		}
		got := make(chan *coldkeep.Mirror)
		go func() {
			m, err := s.Mirror(ctx, collector, first.Revision, time.Hour)
			if err != nil {
				t.Error(err)
			}
			got <- m
		}()
		if err := s.SetInService(ctx, system, "lakeside-fridge", false, ""); err != nil {
			t.Fatal(err)
		}
		m := <-got
		if m.Revision != first.Revision+1 {
			t.Fatalf("revision %d after %d", m.Revision, first.Revision)
		}
		if a, ok := m.Appliance("lakeside-fridge"); !ok || a.InService {
			t.Fatalf("%+v", a)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := s.Mirror(gone, collector, m.Revision, time.Hour); err == nil {
			t.Fatal("a caller that is gone is waited for")
		}
		_, err = s.Mirror(ctx, nurse, 0, 0)
		wants(t, err, coldkeep.EFORBIDDEN, "")
	})
}
