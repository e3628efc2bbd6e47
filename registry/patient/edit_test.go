package patient_test

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
)

func TestEditKeepsWhatItReplaces(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		r, err := w.Open(w.ctx, nurse, id, "")
		w.must(err)
		p := r.Patient
		p.Names = []patient.Name{{Family: "Whitfield", Given: "Mila", Kind: patient.Legal}}
		p.Addresses, p.Language = nil, "spa"
		p, err = w.Edit(w.ctx, nurse, p, "adopted")
		w.must(err)
		stale := p
		stale.Revision = 1
		_, err = w.Edit(w.ctx, desk, stale, "")
		w.want(coldkeep.ECONFLICT, err)
		_, err = w.SetDeceased(w.ctx, nurse, id, true, coldkeep.NewDate(2018, 1, 1), "")
		w.want(coldkeep.EINVALID, err)
		_, err = w.SetDeceased(w.ctx, nurse, id, true, coldkeep.NewDate(2026, 10, 1), "certificate")
		w.must(err)
		_, err = w.OfferOptOut(w.ctx, nurse, id)
		w.must(err)
		r, err = w.Open(w.ctx, nurse, id, "")
		w.must(err)
		if len(r.Names) != 2 || r.Names[1].Family != "Brandt" || r.Names[1].Until == nil || r.Names[1].EndedBy != "Marcus" || len(r.Addresses) != 1 || r.Addresses[0].Until == nil || r.Home() != nil {
			w.t.Errorf("%+v", r.Patient)
		}
		if len(r.History) != 4 || r.History[2].Why != "adopted" || !reflect.DeepEqual(r.History[2].Fields, []patient.FieldChange{{Field: "language", Before: "eng", After: "spa"}}) || r.Standing("lakeside") != patient.Deceased {
			w.t.Errorf("%+v", r.History)
		}
		// An earlier name is still a name to be found by.
		f, err := w.Search(w.ctx, other, byName("Brandt", "Mila"))
		if err != nil || len(f.Hits) != 1 || f.Hits[0].Name.Family != "Whitfield" {
			w.t.Errorf("%+v, %v", f, err)
		}
		for field, spoil := range map[string]func(p *patient.Patient){
			"Family name":       func(p *patient.Patient) { p.Names[0].Family = " - " },
			"Given name":        func(p *patient.Patient) { p.Names[0].Given = "" },
			"Birth date: is in": func(p *patient.Patient) { p.Birth = coldkeep.NewDate(2027, 1, 1) },
			"Birth date: is mo": func(p *patient.Patient) { p.Birth = coldkeep.NewDate(1900, 1, 1) },
			"Sex":               func(p *patient.Patient) { p.Sex = "Q" },
			"Race":              func(p *patient.Patient) { p.Races = []string{"9"} },
			"Ethnicity":         func(p *patient.Patient) { p.Ethnicity = "9" },
			"Language":          func(p *patient.Patient) { p.Language = "english" },
			"State":             func(p *patient.Patient) { p.Addresses = []patient.Address{{State: "ZZ"}} },
			"ZIP code":          func(p *patient.Patient) { p.Addresses = []patient.Address{{ZIP: "606"}} },
			"Telephone":         func(p *patient.Patient) { p.Contacts = []patient.Contact{{Kind: patient.Phone, Value: "12"}} },
			"E-mail":            func(p *patient.Patient) { p.Contacts = []patient.Contact{{Kind: patient.Email, Value: "x"}} },
			"Identifier":        func(p *patient.Patient) { p.Identifiers = []patient.Identifier{{Kind: "SS", Value: "x"}} },
			"Guardian's":        func(p *patient.Patient) { p.Guardians = []patient.Guardian{{Family: "X", Relation: "AUNT"}} },
		} {
			p := mila("Brandt", "Mila")
			p.ID, p.Revision = id, r.Revision
			spoil(&p)
			_, err := w.Edit(w.ctx, nurse, p, "")
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.HasPrefix(coldkeep.ErrorMessage(err), field) {
				w.t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// Whatever is edited, every value that ever stood is still in the record or its history.
func TestHistoryLosesNothing(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"Brandt", "Okafor", "Lund", "Bell", "Whitfield", "Abara"})
		p := mila(names.Draw(t, "family"), "Mila")
		p.Birth, p.Addresses, p.Contacts, p.Mother, p.Guardians, p.Identifiers = coldkeep.NewDate(rapid.IntRange(1950, 2025).Draw(t, "born"), 3, 9), nil, nil, "", nil, nil
		added, err := w.Add(w.ctx, nurse, p)
		if err != nil || added.Outcome == patient.Matched {
			return // it came up before
		}
		seen := map[string]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "edits") {
			r, err := w.Open(w.ctx, nurse, added.ID, "")
			if err != nil {
				t.Fatal(err)
			}
			q := r.Patient
			q.Names = []patient.Name{{Family: names.Draw(t, "family"), Given: names.Draw(t, "given"), Kind: patient.Legal}}
			q.Language, q.Mother = rapid.SampledFrom([]string{"", "eng", "spa", "pol"}).Draw(t, "language"), names.Draw(t, "mother")
			seen[q.Names[0].Family+" "+q.Names[0].Given], seen[q.Language], seen[q.Mother] = true, true, true
			if _, err := w.Edit(w.ctx, nurse, q, ""); err != nil {
				t.Fatal(err)
			}
		}
		r, err := w.Open(w.ctx, nurse, added.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]bool{r.Language: true, r.Mother: true, "": true}
		inUse := 0
		for _, n := range r.Names {
			kept[n.Family+" "+n.Given] = true
			if n.Until == nil {
				inUse++
			}
		}
		for _, c := range r.History {
			for _, f := range c.Fields {
				kept[f.Before], kept[f.After] = true, true
			}
		}
		for v := range seen {
			if !kept[v] {
				t.Fatalf("%q is gone: %+v, %+v", v, r.Names, r.History)
			}
		}
		if inUse != 1 {
			t.Fatalf("%d names in use: %+v", inUse, r.Names)
		}
	})
}
