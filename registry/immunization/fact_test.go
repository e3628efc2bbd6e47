package immunization_test

import (
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

func due(v *immunization.View, group string) *immunization.Due {
	i := slices.IndexFunc(v.Due, func(d immunization.Due) bool { return d.Group == group && !d.Risk })
	if i < 0 {
		return nil
	}
	return &v.Due[i]
}

func TestFactsBearOnTheForecast(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		// Observation 017 is laboratory evidence or a history of varicella; the test takes it
		// from the schedule.
		code := ""
		sc := engine().Schedule()
		for _, a := range sc.Antigens {
			if a.Name == "Varicella" {
				code = sc.Observations[a.Immune[0]].Code
			}
		}
		_, err := w.AddFact(w.ctx, nurse, immunization.Fact{Patient: p, Kind: immunization.Immunity, Code: code})
		w.wants(err, coldkeep.EINVALID) // nothing says what it rests on
		_, err = w.AddFact(w.ctx, nurse, immunization.Fact{Patient: p, Kind: immunization.Immunity, Code: "99999", Basis: "titre"})
		w.wants(err, coldkeep.EINVALID)
		_, err = w.AddFact(w.ctx, viewer, immunization.Fact{Patient: p, Kind: immunization.Immunity, Code: code, Basis: "titre"})
		w.wants(err, coldkeep.EFORBIDDEN)
		f, err := w.AddFact(w.ctx, nurse, immunization.Fact{Patient: p, Kind: immunization.Immunity, Code: code, Basis: "Disease, verified by Dr. Lund", From: today - 30})
		w.must(err)
		_, err = w.AddFact(w.ctx, nurse, immunization.Fact{Patient: p, Kind: immunization.Immunity, Code: code, Basis: "again"})
		w.wants(err, coldkeep.ECONFLICT)
		v, err := w.View(w.ctx, nurse, p)
		w.must(err)
		if d := due(v, "Varicella"); d == nil || d.Status != forecast.Immune || d.Urgency != immunization.NotDue {
			t.Errorf("%+v", d)
		}
		w.must(w.EndFact(w.ctx, nurse, f.ID, "Another child's"))
		w.wants(w.EndFact(w.ctx, nurse, f.ID, "again"), coldkeep.ECONFLICT)
		v, err = w.View(w.ctx, nurse, p)
		w.must(err)
		if d := due(v, "Varicella"); d == nil || d.Status != forecast.NotComplete || len(v.Facts) != 1 || v.Facts[0].Ended.Reason != "Another child's" {
			t.Errorf("%+v", v.Facts)
		}
	})
}

func TestExemptions(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2020, 1, 15), "lakeside")
		e := immunization.Exemption{Patient: p, Kind: immunization.Medical, Groups: []string{"MMR"}, From: today - 10, Until: today + 100, Signer: "Dr. Lund", Source: "Form of 2 February"}
		wrong := e
		wrong.Groups = []string{"Everything"}
		_, err := w.AddExemption(w.ctx, school, wrong)
		w.wants(err, coldkeep.EINVALID)
		wrong = e
		wrong.Signer = ""
		_, err = w.AddExemption(w.ctx, school, wrong)
		w.wants(err, coldkeep.EINVALID)
		e, err = w.AddExemption(w.ctx, school, e) // as a school receives it
		w.must(err)
		st, err := w.School(w.ctx, school, p)
		w.must(err)
		i := slices.IndexFunc(st, func(s immunization.SchoolStatus) bool { return s.Group == "MMR" })
		if st[i].Status != "exempt" || st[i].Exempt != immunization.Medical {
			t.Errorf("%+v", st[i])
		}
		if !slices.ContainsFunc(st, func(s immunization.SchoolStatus) bool { return s.Group == "Polio" && s.Status == "overdue" }) {
			t.Errorf("%+v", st)
		}
		w.must(w.EndExemption(w.ctx, nurse, e.ID, "Withdrawn"))
		list, err := w.Exemptions(w.ctx, school, p)
		w.must(err)
		if len(list) != 1 || list[0].Ended == nil || list[0].Groups[0] != "MMR" || list[0].Until != today+100 {
			t.Errorf("%+v", list)
		}
	})
}

func TestAReactionIsReadyForVAERS(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		d := w.record(nurse, given(p, w.lot("A", 3), today-1))
		onset := noon.Add(-12 * time.Hour)
		r := immunization.Reaction{Patient: p, Doses: []string{d.ID}, Onset: &onset, Event: "Fever of 39.5 °C", Reporter: "Marcus Hale, RN", Results: []string{"office-visit"}}
		wrong := r
		wrong.Event = ""
		_, err := w.AddReaction(w.ctx, nurse, wrong)
		w.wants(err, coldkeep.EINVALID)
		wrong = r
		wrong.Doses = []string{"nothing"}
		_, err = w.AddReaction(w.ctx, nurse, wrong)
		w.wants(err, coldkeep.EINVALID)
		r, err = w.AddReaction(w.ctx, nurse, r)
		w.must(err)
		report, err := w.VAERS(w.ctx, nurse, r.ID)
		w.must(err)
		if len(report.Vaccines) != 1 || report.Vaccines[0].Lot != "A" || report.Vaccines[0].Brand == "" || report.Vaccines[0].Number != 1 ||
			report.Years != 1 || report.Months != 1 || len(report.Missing) != 0 || report.Given != today-1 || report.Recovered != "unknown" {
			t.Errorf("%+v", report)
		}
		_, err = w.VAERS(w.ctx, elsewhere, r.ID)
		w.wants(err, coldkeep.EFORBIDDEN)
		w.must(w.EndReaction(w.ctx, nurse, r.ID, "Another child's"))
	})
}
