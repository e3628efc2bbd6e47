package forecast

import (
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// TestSchedule looks into the built-in schedule: its version, the observations
// of other code systems, and the seasons that end.
func TestSchedule(t *testing.T) {
	s := Builtin()
	if s.Version != "4.64" || s.Released != coldkeep.CivilDate(2025, 11, 10) {
		t.Errorf("the built-in schedule is %s of %s", s.Version, s.Released)
	}
	if got := s.Coded("SNOMED", "23719005"); !slices.Equal(got, []string{"004"}) {
		t.Errorf("a stem cell transplant in SNOMED is %v", got)
	}
	if got := s.Coded("SNOMED", "0"); got != nil {
		t.Errorf("a code that is not there is %v", got)
	}
	if ended := s.EndedSeasons(coldkeep.CivilDate(2025, 11, 10)); len(ended) != 0 {
		t.Errorf("seasons ended early: %+v", ended)
	}
	ended := s.EndedSeasons(coldkeep.CivilDate(2026, 7, 1))
	if !slices.ContainsFunc(ended, func(x schedule.Season) bool {
		return x.Group == "Influenza" && x.End == coldkeep.CivilDate(2026, 6, 30)
	}) {
		t.Errorf("the influenza season did not end: %+v", ended)
	}
}

// TestActivate holds that a new schedule takes over at once, and that what it
// would change can be seen before.
func TestActivate(t *testing.T) {
	live := NewLive(Builtin())
	other := *Builtin()
	other.Version = "next"
	if d := Compare(Builtin(), &other, []*Patient{child()}); len(d) != 0 {
		t.Errorf("the same schedule changes %+v", d)
	}
	live.Activate(&other)
	if got := live.Engine().Schedule().Version; got != "next" {
		t.Errorf("in force is %s", got)
	}
}
