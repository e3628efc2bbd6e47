package schedules_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/store"
)

var (
	state = auth.Principal{ID: "s", Name: "Grace", Role: auth.StateAdmin}
	nurse = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
)

// infants are a sample of a newborn and a child of two.
type infants struct{}

func (infants) Sample(context.Context, auth.Principal, int) ([]*forecast.Patient, error) {
	on := coldkeep.NewDate(2026, 3, 2)
	return []*forecast.Patient{
		{ID: "a", Born: on - 60, Gender: schedule.Female, Assessment: on},
		{ID: "b", Born: on - 800, Gender: schedule.Male, Assessment: on},
	}, nil
}

func published(t *testing.T) []schedules.Upload {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "data", "cdsi", "supporting-data-4.64")
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("CDC's files are not beside the checkout: %v", err)
	}
	var out []schedules.Upload
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, schedules.Upload{Name: e.Name(), Content: b})
	}
	return out
}

func TestLoadAndActivate(t *testing.T) {
	files := published(t)
	// A release in which MMR is due later: from 15 months.
	later := make([]schedules.Upload, len(files))
	for i, f := range files {
		later[i] = f
		if strings.Contains(f.Name, "Measles") || strings.Contains(f.Name, "Mumps") || strings.Contains(f.Name, "Rubella") {
			later[i].Content = []byte(strings.ReplaceAll(string(f.Content), "<earliestRecAge>12 months</earliestRecAge>", "<earliestRecAge>15 months</earliestRecAge>"))
		}
	}
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		st, err := store.Open(ctx, databasetest.Open(t, where))
		if err != nil {
			t.Fatal(err)
		}
		s, err := schedules.New(ctx, st.Schedules(), coldkeep.RealClock{})
		if err != nil {
			t.Fatal(err)
		}
		other, err := schedules.New(ctx, st.Schedules(), coldkeep.RealClock{})
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			by      auth.Principal
			version string
			files   []schedules.Upload
			code    string
		}{
			"a nurse":        {nurse, "4.65", later, coldkeep.EFORBIDDEN},
			"no version":     {state, "", later, coldkeep.EINVALID},
			"nothing":        {state, "4.65", nil, coldkeep.EINVALID},
			"not whole":      {state, "4.65", later[:3], coldkeep.EINVALID},
			"not an archive": {state, "4.65", []schedules.Upload{{Name: "a.zip", Content: []byte("hello")}}, coldkeep.EINVALID},
		} {
			if _, err := s.Load(ctx, c.by, c.version, 0, c.files); coldkeep.ErrorCode(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		r, err := s.Load(ctx, state, "4.65", coldkeep.NewDate(2026, 2, 1), later)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(ctx, state, "4.65", 0, later); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Error(err)
		}
		c, err := s.Compare(ctx, state, r.ID, infants{})
		if err != nil || c.People != 2 || c.Changed == 0 || len(c.Groups) == 0 || c.Groups[0].Group != "MMR" {
			t.Errorf("%+v, %v", c, err)
		}
		if s.Engine().Schedule().Version != forecast.Builtin().Version {
			t.Error("it is in force before it was activated")
		}
		if err := s.Activate(ctx, state, r.ID, " "); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Error(err)
		}
		if err := s.Activate(ctx, state, "nothing", "x"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Error(err)
		}
		if err := s.Activate(ctx, state, r.ID, "New recommendations"); err != nil {
			t.Fatal(err)
		}
		if err := other.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*schedules.Service{s, other} {
			if x.Engine().Schedule().Version != "4.65" {
				t.Errorf("version %s", x.Engine().Schedule().Version)
			}
		}
		list, err := s.List(ctx, state)
		if err != nil || len(list.Releases) != 2 || !list.Releases[0].Active || list.Releases[1].Active || list.Releases[0].Released != coldkeep.NewDate(2026, 2, 1) {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.Activate(ctx, state, "", "Back"); err != nil || s.Engine().Schedule().Version != forecast.Builtin().Version {
			t.Errorf("%s, %v", s.Engine().Schedule().Version, err)
		}
	})
}
