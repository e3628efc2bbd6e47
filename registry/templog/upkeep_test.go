package templog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var (
	manager     = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	coordinator = auth.Principal{ID: "v", Name: "Ruth", Role: auth.VFCCoordinator}
	stranger    = auth.Principal{ID: "o", Name: "Ines", Role: auth.PracticeManager, Site: "northgate"}
)

func limits(t *testing.T, low, high, reason string) *coldkeep.Limits {
	t.Helper()
	l := &coldkeep.Limits{Reason: reason}
	for v, s := range map[*coldkeep.Threshold]string{&l.Low: low, &l.High: high} {
		if err := v.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// A clinic may tighten; only the programme may loosen, and says why. The refrigerator's
// range is 2 to 8 °C, which is 35.6 to 46.4 °F.
func TestLimits(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		for _, row := range []struct {
			by        auth.Principal
			low, high string
			reason    string
			code      string
			text      string
		}{
			{manager, "3C", "7C", "", "", ""},
			{manager, "36F", "46F", "", "", ""}, // both inside, exactly
			{manager, "2C", "8C", "", "", ""},
			{manager, "35F", "46F", "lower", coldkeep.EFORBIDDEN, "less strict"},
			{manager, "2C", "8.001C", "a little", coldkeep.EFORBIDDEN, "less strict"},
			{coordinator, "2C", "9C", " ", coldkeep.EINVALID, "Reason: "},
			{coordinator, "2C", "9C", "Maker's letter of May 3", "", ""},
			{coordinator, "3C", "7C", "", "", ""},
			{coordinator, "8C", "2C", "x", coldkeep.EINVALID, "low below high"},
			{coordinator, "36F", "8C", "x", coldkeep.EINVALID, "one unit"},
			{coordinator, "20C", "25C", "x", coldkeep.EINVALID, "nothing of it"},
			{nurse, "3C", "7C", "", coldkeep.EFORBIDDEN, ""},
			{stranger, "3C", "7C", "", coldkeep.ENOTFOUND, ""},
			{auth.Principal{}, "3C", "7C", "", coldkeep.EUNAUTHORIZED, ""},
		} {
			before, err := s.Mirror(ctx, collector, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			l := limits(t, row.low, row.high, row.reason)
			wants(t, s.SetLimits(ctx, row.by, "lakeside-fridge", l), row.code, row.text)
			after, err := s.Mirror(ctx, collector, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := after.Appliance("lakeside-fridge")
			kept := a.Limits != nil && a.Limits.Low == l.Low && a.Limits.High == l.High && a.Limits.Reason == strings.TrimSpace(row.reason)
			if ok := row.code == ""; ok != (after.Revision == before.Revision+1) || ok && !kept {
				t.Errorf("%s %s: revision %d after %d, %+v", row.low, row.high, after.Revision, before.Revision, a.Limits)
			}
		}
		rules, err := templog.Rules(unit(t, s, "lakeside-fridge").Appliance)
		if err != nil || rules.High.String() != "7 °C" {
			t.Fatalf("%+v, %v", rules, err)
		}
		wants(t, s.SetLimits(ctx, manager, "lakeside-fridge", nil), "", "")
		if u := unit(t, s, "lakeside-fridge"); u.Limits != nil {
			t.Errorf("%+v", u.Limits)
		}
	})
}

func unit(t *testing.T, s *templog.Service, id coldkeep.ApplianceID) templog.Unit {
	t.Helper()
	u, _, err := s.Unit(t.Context(), manager, id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestProfile(t *testing.T) {
	s := open(t, databasetest.SQLite(t))
	ctx := t.Context()
	wants(t, s.SetProfile(ctx, manager, "lakeside-fridge", "nothing", "x"), coldkeep.EINVALID, "not known")
	wants(t, s.SetProfile(ctx, manager, "lakeside-fridge", "cdc", ""), coldkeep.EINVALID, "Reason")
	wants(t, s.SetProfile(ctx, nurse, "lakeside-fridge", "cdc", "x"), coldkeep.EFORBIDDEN, "")
	wants(t, s.SetProfile(ctx, stranger, "lakeside-fridge", "cdc", "x"), coldkeep.ENOTFOUND, "")
	// CDC's profile calls after half an hour too warm and a quarter too cold: WHO after ten
	// hours, Alabama after an hour too warm, Maryland after an hour too cold.
	looser := map[string]bool{"who-pqs": true, "alabama": true, "maryland": true}
	for _, name := range templog.ProfilesFor(coldkeep.Refrigerator) {
		code := ""
		if looser[name] {
			code = coldkeep.EFORBIDDEN
		}
		wants(t, s.SetProfile(ctx, manager, "lakeside-fridge", name, "the state asks for it"), code, "")
		wants(t, s.SetProfile(ctx, coordinator, "lakeside-fridge", name, "the state asks for it"), "", "")
		if u := unit(t, s, "lakeside-fridge"); u.Profile != name {
			t.Errorf("%s: is %s", name, u.Profile)
		}
		wants(t, s.SetProfile(ctx, coordinator, "lakeside-fridge", "cdc", "back"), "", "")
	}
}

func TestCalibrations(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		series := coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "p"}
		good := coldkeep.Calibration{Series: series, Offset: -120, Certificate: "K 17", Expires: "2027-03-01"}
		for name, row := range map[string]struct {
			change func(*coldkeep.Calibration)
			text   string
		}{
			"no offset":    {func(c *coldkeep.Calibration) { c.Offset = coldkeep.NoTemperature }, "Offset"},
			"large offset": {func(c *coldkeep.Calibration) { c.Offset = 10_001 }, "Offset"},
			"one point":    {func(c *coldkeep.Calibration) { c.Table = [][2]coldkeep.Temperature{{0, 0}} }, "2 to 50"},
			"falling":      {func(c *coldkeep.Calibration) { c.Table = [][2]coldkeep.Temperature{{0, 0}, {0, 1}} }, "point 2"},
			"no correction": {func(c *coldkeep.Calibration) {
				c.Table = [][2]coldkeep.Temperature{{0, 0}, {5, coldkeep.NoTemperature}}
			}, "point 2"},
			"no day":      {func(c *coldkeep.Calibration) { c.Expires = "2027-02-30" }, "Expires"},
			"long number": {func(c *coldkeep.Calibration) { c.Certificate = strings.Repeat("x", 121) }, "Certificate"},
			"no probe":    {func(c *coldkeep.Calibration) { c.Probe = "a b" }, "Probe"},
			"no device":   {func(c *coldkeep.Calibration) { c.Agent = "" }, "Device"},
		} {
			c := good
			row.change(&c)
			err := s.Calibrate(ctx, manager, c)
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), row.text) {
				t.Errorf("%s: %v", name, err)
			}
		}
		wants(t, s.Calibrate(ctx, nurse, good), coldkeep.EFORBIDDEN, "")
		wants(t, s.Calibrate(ctx, stranger, good), coldkeep.EFORBIDDEN, "")
		wants(t, s.Calibrate(ctx, manager, good), "", "")
		table := good
		table.Table, table.Certificate, table.Expires = [][2]coldkeep.Temperature{{-20_000, 150}, {5000, -90}}, "K 18", ""
		wants(t, s.Calibrate(ctx, manager, table), "", "")
		all, err := s.Certificates(ctx, nurse, "lakeside")
		if err != nil || len(all) != 2 || all[0].Certificate != "K 18" || all[0].N != 2 || all[0].By != "Dana" || all[0].Offset != 0 || all[1].Certificate != "K 17" {
			t.Fatalf("%+v, %v", all, err)
		}
		m, err := s.Mirror(ctx, collector, 0, 0)
		if err != nil || len(m.Calibrations) != 1 || m.Calibrations[0].Certificate != "K 18" || !slices.Equal(m.Calibrations[0].Table, table.Table) {
			t.Fatalf("%+v, %v", m.Calibrations, err)
		}
	})
}

// The certificate's last day still counts, in the clinic's days.
func TestExpiry(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	today := time.Date(2026, 11, 22, 23, 30, 0, 0, chicago) // the 23rd in UTC
	for expires, want := range map[string]templog.Expiry{
		"2026-11-21": {Days: 0}, "2026-11-22": {Days: 1, Warn: 7}, "2026-11-28": {Days: 7, Warn: 7}, "2026-11-29": {Days: 8, Warn: 30},
		"2026-12-21": {Days: 30, Warn: 30}, "2026-12-22": {Days: 31, Warn: 90}, "2027-02-19": {Days: 90, Warn: 90}, "2027-02-20": {Days: 91},
	} {
		c := templog.Certificate{Calibration: coldkeep.Calibration{Expires: expires}}
		if got := c.Expiry(today); *got != want || got.Expired() != (want.Days < 1) {
			t.Errorf("%s: %+v, want %+v", expires, *got, want)
		}
	}
	if (&templog.Certificate{}).Expiry(today) != nil {
		t.Error("a certificate without an end has one")
	}
}

func TestContexts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		end := noon.Add(time.Hour)
		add := func(by auth.Principal, c coldkeep.Context, code string) string {
			t.Helper()
			c.Appliance = "lakeside-fridge"
			id, err := s.AddContext(ctx, by, c)
			wants(t, err, code, "")
			return id
		}
		id := add(nurse, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: noon, Note: " planned "}, "")
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextDoorOpen, From: noon, To: &end}, "")
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextOutOfService, From: noon}, coldkeep.EINVALID)
		add(nurse, coldkeep.Context{Kind: "party", From: noon}, coldkeep.EINVALID)
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextDefrost}, coldkeep.EINVALID)
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: time.Now().AddDate(0, 2, 0)}, coldkeep.EINVALID)
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: end, To: &noon}, coldkeep.EINVALID)
		add(nurse, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: noon, Note: strings.Repeat("x", 501)}, coldkeep.EINVALID)
		add(coordinator, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: noon}, coldkeep.EFORBIDDEN)
		add(stranger, coldkeep.Context{Kind: coldkeep.ContextDefrost, From: noon}, coldkeep.ENOTFOUND)
		wants(t, s.EndContext(ctx, stranger, id, end), coldkeep.ENOTFOUND, "")
		wants(t, s.EndContext(ctx, nurse, id, noon), coldkeep.EINVALID, "")
		wants(t, s.EndContext(ctx, nurse, "nothing", end), coldkeep.ENOTFOUND, "")
		wants(t, s.EndContext(ctx, nurse, id, end), "", "")
		wants(t, s.EndContext(ctx, nurse, id, end), coldkeep.ECONFLICT, "")
		m, err := s.Mirror(ctx, collector, 0, 0)
		if err != nil || len(m.Contexts) != 2 {
			t.Fatalf("%+v, %v", m.Contexts, err)
		}
		if c := m.Contexts[0]; c.ID != id || c.To == nil || !c.To.Equal(end) || c.Note != "planned" || c.By != "Nurse" {
			t.Errorf("%+v", c)
		}
	})
}

// The spans in which a unit is out of service are in the mirror, and are as many as
// there were; the same word twice is one.
func TestServiceSpans(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		ctx := t.Context()
		for _, in := range []bool{true, false, false, true, true, false} {
			wants(t, s.SetInService(ctx, manager, "lakeside-fridge", in, "cleaning"), "", "")
		}
		m, err := s.Mirror(ctx, collector, 0, 0)
		if err != nil || len(m.Contexts) != 2 {
			t.Fatalf("%+v, %v", m.Contexts, err)
		}
		first, second := m.Contexts[0], m.Contexts[1]
		if first.Kind != coldkeep.ContextOutOfService || first.To == nil || first.To.Before(first.From) || second.To != nil || second.From.Before(*first.To) || first.Note != "cleaning" || first.By != "Dana" {
			t.Errorf("%+v", m.Contexts)
		}
		if a, _ := m.Appliance("lakeside-fridge"); a.InService {
			t.Error("it is in service")
		}
		wants(t, s.EndContext(ctx, manager, second.ID, time.Now().Add(time.Hour)), coldkeep.EINVALID, "into service")
	})
}
