package schedules_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/schedules/schedulestest"
)

func TestMemory(t *testing.T) {
	schedulestest.TestStore(t, func(*testing.T) schedules.Store { return new(schedules.Memory) })
}

var admin = auth.Principal{ID: "1", Name: "Robin Vega", Role: auth.StateAdmin}

// published gives CDC's files beside the checkout, changed by edit, or skips.
func published(t *testing.T, edit func(name, text string) string) []cdsixml.File {
	t.Helper()
	dir := "../../../shared/data/cdsi/supporting-data-4.64"
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CDC's data is not beside the checkout, and in CI it must be: ", err)
		}
		t.Skip("CDC's data is not beside the checkout: ", err)
	}
	var out []cdsixml.File
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if edit != nil {
			text = edit(e.Name(), text)
		}
		if text != "" {
			out = append(out, cdsixml.File{Name: e.Name(), Data: []byte(text)})
		}
	}
	return out
}

// later is a release in which the second MMR dose is due half a year later, and a
// vaccine type is gone.
func later(name, text string) string {
	switch {
	case strings.Contains(name, "Measles"), strings.Contains(name, "Mumps"), strings.Contains(name, "Rubella"):
		return strings.ReplaceAll(text, "<earliestRecAge>4 years</earliestRecAge>", "<earliestRecAge>54 months</earliestRecAge>")
	}
	return text
}

func service(t *testing.T) (*schedules.Service, *schedules.Memory) {
	t.Helper()
	m := new(schedules.Memory)
	return schedules.New(m, forecast.NewLive(forecast.Builtin()), coldkeep.RealClock{}), m
}

func sample() []*forecast.Patient {
	var out []*forecast.Patient
	for months := range 40 {
		born := coldkeep.DateOf(time.Date(2025, 11, 10, 0, 0, 0, 0, time.UTC).AddDate(0, -months, 0))
		p := &forecast.Patient{ID: "never shown", Born: born, Gender: schedule.Female, Assessment: coldkeep.NewDate(2025, 11, 10)}
		if months > 13 {
			p.Doses = []forecast.Dose{{Date: born + 370, CVX: "03"}}
		}
		out = append(out, p)
	}
	return out
}

// TestNewRelease walks an administrator's way: load, compare, activate, and back.
func TestNewRelease(t *testing.T) {
	s, store := service(t)
	r, err := s.Load(t.Context(), admin, schedules.Upload{Name: "supporting-data-9.9-508.zip", Released: coldkeep.NewDate(2026, 8, 1), Archive: archive(t, published(t, later))})
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != "9.9" || r.Antigens != 30 || r.Series != 143 || r.LoadedBy != admin.Name || len(r.Digest) != 64 {
		t.Errorf("loaded %+v", r)
	}
	if got := s.Live().Engine().Schedule().Version; got != "4.64" {
		t.Fatalf("loading put %s in force", got)
	}

	rep, err := s.Compare(t.Context(), admin, r.ID, sample(), coldkeep.NewDate(2026, 7, 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Groups) != 1 || rep.Groups[0].Group != "MMR" || rep.Groups[0].Dates != rep.Changed || rep.Changed != 26 || rep.Patients != 40 {
		t.Errorf("%+v", rep)
	}
	if x := rep.Groups[0].Examples; len(x) != 3 || !strings.Contains(x[0].Before, "recommended at 4 years,") || !strings.Contains(x[0].After, "recommended at 4 years 6 months,") {
		t.Errorf("examples %+v", x)
	}
	if !slices.ContainsFunc(rep.Ended, func(x schedule.Season) bool { return x.Group == "Influenza" }) || len(rep.Gone) != 0 {
		t.Errorf("ended %+v, gone %v", rep.Ended, rep.Gone)
	}

	if err := s.Activate(t.Context(), admin, r.ID, "The committee's decision of 5 August"); err != nil {
		t.Fatal(err)
	}
	if got := s.Live().Engine().Schedule().Version; got != "9.9" {
		t.Errorf("in force is %s", got)
	}
	all, err := s.List(t.Context(), admin)
	if err != nil || len(all) != 2 || !all[0].Active || all[1].Active || all[1].ID != schedules.BuiltIn {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Activate(t.Context(), admin, r.ID, "again"); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		t.Errorf("activating it again: %v", err)
	}

	// Another process hears of it, and of the way back.
	other := schedules.New(store, forecast.NewLive(forecast.Builtin()), coldkeep.RealClock{})
	for _, want := range []bool{true, false} {
		if changed, err := other.Refresh(t.Context()); err != nil || changed != want {
			t.Errorf("refresh: %v, %v", changed, err)
		}
	}
	if err := s.Activate(t.Context(), admin, schedules.BuiltIn, "It was wrong"); err != nil {
		t.Fatal(err)
	}
	if changed, err := other.Refresh(t.Context()); err != nil || !changed || other.Live().Engine().Schedule().Version != "4.64" {
		t.Errorf("refresh back: %v, %v", changed, err)
	}
	var did []string
	for _, e := range store.Trail() {
		did = append(did, e.What+" "+e.Who)
	}
	if want := []string{"schedule.load Robin Vega", "schedule.activate Robin Vega", "schedule.activate Robin Vega"}; !slices.Equal(did, want) {
		t.Errorf("the trail is %v", did)
	}
	if _, err := s.Load(t.Context(), admin, schedules.Upload{Version: "9.9", Released: coldkeep.NewDate(2026, 8, 1), Files: published(t, later)}); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		t.Errorf("the same release again: %v", err)
	}
}

// TestRefused holds that what cannot be used is refused with its reason, leaves
// nothing behind, and that the release in force stays.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		up   schedules.Upload
		says string
	}{
		{"nothing", schedules.Upload{Version: "9.9"}, "ScheduleSupportingData.xml is missing"},
		{"no version", schedules.Upload{Name: "new.zip", Files: published(t, nil)}, "Version"},
		{"no archive", schedules.Upload{Version: "9.9", Archive: []byte("<xml/>")}, "not a zip archive"},
		{"an antigen's file is missing", schedules.Upload{Version: "9.9", Files: published(t, func(name, text string) string {
			if strings.Contains(name, "Rabies") {
				return ""
			}
			return text
		})}, "no file for antigen Rabies"},
		{"an age nobody can read", schedules.Upload{Version: "9.9", Files: published(t, func(_, text string) string {
			return strings.Replace(text, "<minAge>12 months</minAge>", "<minAge>a year</minAge>", 1)
		})}, `"a year" is not an age`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, store := service(t)
			_, err := s.Load(t.Context(), admin, c.up)
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), c.says) {
				t.Fatalf("got %v", err)
			}
			var why *schedule.Refused
			if strings.Contains(c.name, "age") && !errors.As(err, &why) {
				t.Error("the reasons are not there")
			}
			if all, _ := store.Releases(t.Context()); len(all) != 0 || len(store.Trail()) != 0 || s.Live().Engine().Schedule() != forecast.Builtin() {
				t.Errorf("it left %+v", all)
			}
		})
	}
}

// TestStoredReleaseRefused holds that a release this program cannot use any more
// is not put in force, and the one in force stays.
func TestStoredReleaseRefused(t *testing.T) {
	s, store := service(t)
	err := store.Tx(t.Context(), func(tx schedules.Tx) error {
		return errors.Join(tx.InsertRelease(t.Context(), schedules.Release{ID: "x", Digest: "x"}, []byte("damaged")),
			tx.Activate(t.Context(), schedules.Activation{Release: "x"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context()); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("refresh: %v", err)
	}
	if err := s.Activate(t.Context(), admin, "x", "why not"); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("activate: %v", err)
	}
	if s.Live().Engine().Schedule() != forecast.Builtin() {
		t.Error("the one in force did not stay")
	}
}

// TestWhoMay holds that schedules are the state's.
func TestWhoMay(t *testing.T) {
	s, _ := service(t)
	for _, role := range auth.Roles() {
		by := auth.Principal{ID: "2", Role: role}
		if !role.Programme() {
			by.Site = "oak-park"
		}
		_, list := s.List(t.Context(), by)
		_, load := s.Load(t.Context(), by, schedules.Upload{})
		_, compare := s.Compare(t.Context(), by, schedules.BuiltIn, nil, 0)
		_, active := s.Activation(t.Context(), by)
		activate := s.Activate(t.Context(), by, "x", "why")
		for what, err := range map[string]error{"list": list, "load": load, "compare": compare, "activation": active, "activate": activate} {
			if refused := coldkeep.ErrorCode(err) == coldkeep.EFORBIDDEN; refused == by.May(auth.ManageProgramme, "") {
				t.Errorf("%s may %s: %v", role, what, err)
			}
		}
	}
}

func archive(t *testing.T, files []cdsixml.File) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, f := range files {
		w, err := z.Create("XML/" + f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
