package patient_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

func TestEnteredFoundAndOpened(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(desk, mila("Brandt", "Mila"))
		// The practice that entered the child sees the record; another must search first.
		r, err := w.Open(w.ctx, viewer, id, "")
		w.must(err)
		if n := r.Name(); n.Family != "Brandt" || r.Standing("lakeside") != patient.Active || r.Races[0] != "2106-3" || r.Contacts[0].Value != "3125550142" || r.Home().ZIP != "60614-0000" {
			t := w.t
			t.Errorf("%+v", r.Patient)
		}
		for _, by := range []auth.Principal{other, school, state} {
			_, err = w.Open(w.ctx, by, id, "")
			w.want(coldkeep.EFORBIDDEN, err)
		}
		for _, by := range []auth.Principal{epi, vfc, auditor} {
			_, err = w.Search(w.ctx, by, byName("Brandt", "Mila"))
			w.want(coldkeep.EFORBIDDEN, err)
			_, err = w.Open(w.ctx, by, id, "")
			w.want(coldkeep.EFORBIDDEN, err)
		}
		for _, by := range []auth.Principal{other, school, state} {
			f, err := w.Search(w.ctx, by, byName("bra", "mi"))
			w.must(err)
			if len(f.Hits) != 1 || f.Similar || f.Hits[0].ID != id {
				w.t.Fatalf("%s: %+v", by.Name, f)
			}
			r, err := w.Open(w.ctx, by, id, "visit")
			w.must(err)
			if by.Role == auth.School {
				want := patient.Patient{ID: id, Head: id, Revision: 1, Birth: coldkeep.NewDate(2019, 4, 2), Names: []patient.Name{{Family: "Brandt", Given: "Mila", Middle: "Rose", Kind: patient.Legal}}}
				if !reflect.DeepEqual(r.Patient, want) || !r.Subset || r.History != nil || f.Hits[0].City != "" || f.Hits[0].Sex != "" {
					w.t.Errorf("a school sees %+v", r)
				}
			}
		}
		w.clock.now = w.clock.now.Add(13 * time.Hour)
		_, err = w.Open(w.ctx, other, id, "")
		w.want(coldkeep.EFORBIDDEN, err) // the search was a shift ago
		trail := w.trail()
		for _, want := range []string{"Ines patient.view patient/" + id, "Ines patient.view.refused patient/" + id, "Epi patient.search patients (by family name, given name, birth date; refused)",
			"Ines patient.search patients (by family name, given name, birth date; found 1)", "School patient.view patient/" + id + " (subset)"} {
			if !strings.Contains(trail, want) {
				w.t.Errorf("trail has no %q", want)
			}
		}
		if strings.Contains(strings.ToLower(trail), "brandt") || strings.Contains(strings.ToLower(trail), "bra ") {
			w.t.Error("the trail holds a patient's name")
		}
	})
}

func TestSearches(t *testing.T) {
	each(t, func(w *world) {
		p := mila("Garcia-López", "Elizabeth")
		p.Guardians = append(p.Guardians, patient.Guardian{Family: "Whitfield", Given: "Dana", Relation: "GRD"})
		p.Identifiers = append(p.Identifiers, patient.Identifier{Kind: "MA", Assigner: "IL", Value: "88-123-45"})
		id := w.add(nurse, p)
		born := coldkeep.NewDate(2019, 4, 2)
		for _, s := range []struct {
			name    string
			q       patient.Query
			by      auth.Principal
			found   bool
			similar bool
		}{
			{"beginnings", byName("garc", "el"), nurse, true, false},
			{"second half, accents", byName("LÓPEZ", "elizabeth"), nurse, true, false},
			{"short form", byName("Garcia Lopez", "Liz"), nurse, true, true},
			{"typing error", byName("Garcai Lopez", "Elizabeth"), nurse, true, true},
			{"typing error in one half", byName("Garzia", "Elizabeth"), nurse, true, true},
			{"exchanged", byName("Elizabeth", "Garcia Lopez"), nurse, true, true},
			{"month and day exchanged", patient.Query{Family: "Garcia Lopez", Given: "Elizabeth", Birth: coldkeep.NewDate(2019, 2, 4)}, nurse, true, true},
			{"wrong year", patient.Query{Family: "Garcia Lopez", Given: "Elizabeth", Birth: coldkeep.NewDate(2018, 4, 2)}, nurse, true, true},
			{"another child", byName("Garcia", "Paul"), nurse, false, false},
			{"another day", patient.Query{Family: "Garcia Lopez", Given: "Elizabeth", Birth: coldkeep.NewDate(2014, 9, 21)}, nurse, false, false},
			{"record number", patient.Query{IDValue: "4711-elizabeth"}, nurse, true, false},
			{"record number of another practice", patient.Query{IDValue: "4711-elizabeth"}, other, false, false},
			{"Medicaid number", patient.Query{IDKind: "MA", IDAssigner: "il", IDValue: "8812345"}, other, true, false},
			{"guardian", patient.Query{GuardianFamily: "Whit", GuardianGiven: "Da", Birth: born}, other, true, false},
			{"telephone", patient.Query{Phone: "312.555.0142", Birth: born}, other, true, false},
			{"telephone, another day", patient.Query{Phone: "312.555.0142", Birth: born + 1}, other, false, false},
		} {
			f, err := w.Search(w.ctx, s.by, s.q)
			w.must(err)
			if (len(f.Hits) == 1 && f.Hits[0].ID == id) != s.found || f.Similar != s.similar {
				w.t.Errorf("%s: %+v", s.name, f)
			}
		}
		for name, q := range map[string]patient.Query{
			"nothing": {}, "family name alone": {Family: "Garcia"}, "no birth date": {Family: "Garcia", Given: "Elizabeth"}, "birth date alone": {Birth: born},
			"one name": {Family: "Garcia", Birth: born}, "wildcard": byName("Gar*", "El"), "percent": byName("Gar%", "El"), "digits": byName("123", "45"),
			"telephone alone": {Phone: "3125550142"}, "guardian without a birth date": {GuardianFamily: "Whitfield", GuardianGiven: "Dana"}, "short number": {IDValue: "47"},
			"another practice's number": {IDValue: "4711", IDAssigner: "northgate"}, "blanks": byName("   ", "..")} {
			_, err := w.Search(w.ctx, nurse, q)
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				w.t.Errorf("%s: %v", name, err)
			}
		}
		// Two letters of a family name are the whole name or nothing.
		if f, err := w.Search(w.ctx, nurse, byName("Ga", "El")); err != nil || len(f.Hits) != 0 {
			w.t.Errorf("two letters: %+v, %v", f, err)
		}
	})
}

func TestTooManySearches(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for range 120 {
		_, err := w.Search(w.ctx, nurse, byName("Brandt", "Mila"))
		w.must(err)
	}
	_, err := w.Search(w.ctx, nurse, byName("Brandt", "Mila"))
	w.want(coldkeep.ETOOMANY, err)
	_, err = w.Search(w.ctx, desk, byName("Brandt", "Mila"))
	w.must(err)
	w.clock.now = w.clock.now.Add(10 * time.Minute)
	_, err = w.Search(w.ctx, nurse, byName("Brandt", "Mila"))
	w.must(err)
}

func TestTooBroadIsRefused(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for _, given := range []string{"Mia", "Mila", "Milan", "Miko", "Mike", "Mira", "Misha", "Mimi", "Milo", "Mina", "Mitra"} {
		p := mila("Brandt", given)
		p.Contacts, p.Addresses = nil, nil
		w.add(nurse, p)
	}
	_, err := w.Search(w.ctx, nurse, byName("Brandt", "Mi"))
	w.want(coldkeep.EINVALID, err)
	f, err := w.Search(w.ctx, nurse, byName("Brandt", "Misha"))
	if err != nil || len(f.Hits) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
