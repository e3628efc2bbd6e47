package patient_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var (
	desk    = auth.Principal{ID: "d", Name: "Ana Desk", Role: auth.FrontDesk, Site: "lakeside"}
	nurse   = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	viewer  = auth.Principal{ID: "v", Name: "Peter", Role: auth.ViewOnly, Site: "lakeside"}
	other   = auth.Principal{ID: "o", Name: "Ines", Role: auth.Nurse, Site: "northgate"}
	school  = auth.Principal{ID: "s", Name: "School", Role: auth.School, Site: "northgate"}
	state   = auth.Principal{ID: "a", Name: "Sam", Role: auth.StateAdmin}
	epi     = auth.Principal{ID: "e", Name: "Epi", Role: auth.StateEpi}
	auditor = auth.Principal{ID: "u", Name: "Auditor", Role: auth.Auditor}
	vfc     = auth.Principal{ID: "c", Name: "Ruth", Role: auth.VFCCoordinator}
	ehr     = auth.Principal{ID: "h", Name: "EHR", Scopes: []string{auth.ScopeRecords}, Site: "northgate"}
)

// clock stands until it is moved.
type clock struct {
	coldkeep.RealClock
	now time.Time
}

func (c *clock) Now() time.Time { return c.now }

type world struct {
	t     testing.TB
	ctx   context.Context
	store *store.Store
	clock *clock
	*patient.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 11, 2, 15, 0, 0, 0, time.UTC)}
	w := &world{t: t, ctx: t.Context(), store: st, clock: c, Service: patient.New(st.Patients(), c)}
	log := templog.New(st.Templog(), c)
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		if err := log.AddSite(w.ctx, auth.System("Test"), coldkeep.Site{ID: id, Name: string(id), TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func each(t *testing.T, test func(w *world)) {
	databasetest.Each(t, func(t *testing.T, where string) { test(open(t, where)) })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(code string, err error) {
	w.t.Helper()
	if coldkeep.ErrorCode(err) != code {
		w.t.Fatalf("%v, want %q", err, code)
	}
}

// mila is a child with everything; each name makes another child.
func mila(family, given string) patient.Patient {
	return patient.Patient{
		Names: []patient.Name{{Family: family, Given: given, Middle: "Rose"}}, Birth: coldkeep.NewDate(2019, 4, 2), Sex: patient.Female, Mother: "Okafor",
		Races: []string{"w"}, Ethnicity: "NH", Language: "ENG",
		Addresses:   []patient.Address{{Street: "12 Elm St", City: "Chicago", State: "il", ZIP: "606140000", County: "Cook"}},
		Contacts:    []patient.Contact{{Kind: patient.Cell, Value: "(312) 555-0142"}},
		Identifiers: []patient.Identifier{{Kind: "MR", Value: "4711-" + given}},
		Guardians:   []patient.Guardian{{Family: "Brandt", Given: "Nora", Relation: "MTH"}},
	}
}

func (w *world) add(by auth.Principal, p patient.Patient) string {
	w.t.Helper()
	got, err := w.Add(w.ctx, by, p)
	w.must(err)
	return got.ID
}

func (w *world) trail() string {
	w.t.Helper()
	all, err := w.store.Entries(w.ctx, audit.Query{Limit: 500})
	w.must(err)
	var b strings.Builder
	for _, e := range all {
		b.WriteString(e.Who + " " + e.What + " " + e.Subject + " (" + e.Detail + ") " + e.Why + "\n")
	}
	return b.String()
}

func byName(family, given string) patient.Query {
	return patient.Query{Family: family, Given: given, Birth: coldkeep.NewDate(2019, 4, 2)}
}

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

var form = patient.Form{Signer: "Nora Brandt", Relation: "MTH", Signed: coldkeep.NewDate(2026, 11, 1), Kept: "chart"}

func TestOptOutLocks(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		f, err := w.Search(w.ctx, other, byName("Brandt", "Mila"))
		if err != nil || len(f.Hits) != 1 {
			w.t.Fatal(f, err)
		}
		w.want(coldkeep.EINVALID, w.Lock(w.ctx, nurse, id, patient.Form{Signer: "x", Relation: "MTH"}))
		w.must(w.Lock(w.ctx, desk, id, form))
		w.want(coldkeep.ECONFLICT, w.Lock(w.ctx, nurse, id, form))

		// The other practice is told that there is a locked record, and nothing of it.
		_, err = w.Open(w.ctx, other, id, "")
		if !patient.IsLocked(err) {
			w.t.Fatalf("%v", err)
		}
		f, err = w.Search(w.ctx, other, byName("Brandt", "Mila"))
		w.must(err)
		if want := (patient.Found{Hits: []patient.Hit{{Face: patient.Face{ID: id}, Locked: true}}}); !reflect.DeepEqual(f, want) {
			w.t.Errorf("%+v", f)
		}
		f, err = w.Search(w.ctx, other, byName("Brant", "Mila")) // a guess tells nothing
		if err != nil || len(f.Hits) != 0 || f.Similar {
			w.t.Errorf("%+v, %v", f, err)
		}
		// It cannot save either: not an edit, not a status, not the person again, not by a message.
		p := mila("Brandt", "Mila")
		p.Identifiers = nil
		_, err = w.Add(w.ctx, other, p)
		if !patient.IsLocked(err) {
			w.t.Errorf("add: %v", err)
		}
		_, _, err = w.ResolveAlone(w.ctx, ehr, p)
		if !patient.IsLocked(err) {
			w.t.Errorf("message: %v", err)
		}
		p.ID, p.Revision = id, 1
		_, err = w.Edit(w.ctx, other, p, "")
		w.want(coldkeep.EFORBIDDEN, err)
		_, err = w.SetStatus(w.ctx, other, id, "northgate", patient.Active, "")
		w.want(coldkeep.EFORBIDDEN, err)
		w.want(coldkeep.EFORBIDDEN, w.Unlock(w.ctx, other, id, form))

		// The site that locked it and the state see it.
		_, err = w.Open(w.ctx, viewer, id, "")
		w.must(err)
		f, err = w.Search(w.ctx, state, byName("Brandt", "Mila"))
		if err != nil || len(f.Hits) != 1 || f.Hits[0].Locked {
			w.t.Errorf("%+v, %v", f, err)
		}
		_, err = w.Open(w.ctx, state, id, "")
		w.must(err)
		var out bytes.Buffer
		w.must(w.WriteDeidentified(w.ctx, epi, &out, nil))
		if n := strings.Count(out.String(), "\n"); n != 1 {
			w.t.Errorf("export: %s", out.String())
		}
		w.must(w.Unlock(w.ctx, nurse, id, form))
		w.want(coldkeep.ECONFLICT, w.Unlock(w.ctx, nurse, id, form))
		_, err = w.Open(w.ctx, other, id, "")
		w.must(err)
		r, err := w.Open(w.ctx, nurse, id, "")
		w.must(err)
		if len(r.Locks) != 1 || r.Locks[0].EndedAt == nil || !strings.Contains(r.Locks[0].Form, "Nora Brandt (Mother), kept in chart") {
			w.t.Errorf("%+v", r.Locks)
		}
		if r.Lock != nil || r.Gate.Locked {
			w.t.Error("still locked")
		}
	})
}

func TestBreakGlass(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		w.must(w.Lock(w.ctx, nurse, id, form))
		_, err := w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.want(coldkeep.EFORBIDDEN, err) // nobody opens what nobody searched for
		_, err = w.Search(w.ctx, other, byName("Brandt", "Mila"))
		w.must(err)
		_, err = w.BreakGlass(w.ctx, other, id, " x ")
		w.want(coldkeep.EINVALID, err)
		_, err = w.BreakGlass(w.ctx, desk, id, "unconscious in the emergency room")
		w.want(coldkeep.EFORBIDDEN, err) // not a front desk's
		until, err := w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.must(err)
		if until.Sub(w.clock.now) != time.Hour {
			w.t.Errorf("until %v", until)
		}
		_, err = w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.want(coldkeep.ECONFLICT, err)
		r, err := w.Open(w.ctx, other, id, "")
		w.must(err)
		p := r.Patient
		_, err = w.Edit(w.ctx, other, p, "")
		w.want(coldkeep.EFORBIDDEN, err) // for viewing alone
		all, err := w.Emergencies(w.ctx, auditor, true)
		w.must(err)
		if len(all) != 1 || all[0].Who != "Ines" || all[0].Why != "unconscious in the emergency room" || all[0].Site != "northgate" {
			w.t.Fatalf("%+v", all)
		}
		_, err = w.Emergencies(w.ctx, other, true)
		w.want(coldkeep.EFORBIDDEN, err)
		w.must(w.ReviewEmergency(w.ctx, state, all[0].ID, "confirmed by the hospital"))
		w.want(coldkeep.ECONFLICT, w.ReviewEmergency(w.ctx, auditor, all[0].ID, "confirmed by the hospital"))
		if all, err = w.Emergencies(w.ctx, auditor, true); err != nil || len(all) != 0 {
			w.t.Errorf("%+v, %v", all, err)
		}
		if all, err = w.Emergencies(w.ctx, auditor, false); err != nil || len(all) != 1 || all[0].ReviewedBy != "Sam" {
			w.t.Errorf("%+v, %v", all, err)
		}
		w.clock.now = w.clock.now.Add(time.Hour)
		_, err = w.Open(w.ctx, other, id, "")
		if !patient.IsLocked(err) {
			w.t.Errorf("an hour later: %v", err)
		}
	})
}

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

func TestWhoComesInTwiceIsKnown(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		again, err := w.Add(w.ctx, other, mila("Brandt", "Mila"))
		if err != nil || again.Outcome != patient.Matched || again.ID != id {
			w.t.Fatalf("%+v, %v", again, err)
		}
		p := mila("Brandt", "Mila")
		p.Contacts = append(p.Contacts, patient.Contact{Kind: patient.Email, Value: "Nora@Example.org"})
		got, outcome, err := w.ResolveAlone(w.ctx, ehr, p)
		if err != nil || outcome != patient.Matched || got != id {
			w.t.Fatalf("%s %s %v", got, outcome, err)
		}
		r, err := w.Open(w.ctx, nurse, id, "")
		w.must(err)
		if r.Standing("northgate") != patient.Active || len(r.Contacts) != 2 || len(r.Identifiers) != 2 || r.Revision != 2 || len(r.Names) != 1 {
			w.t.Errorf("%+v", r.Patient)
		}
		// The same word again changes nothing.
		_, _, err = w.ResolveAlone(w.ctx, ehr, p)
		w.must(err)
		if r, err = w.Open(w.ctx, nurse, id, ""); err != nil || r.Revision != 2 {
			w.t.Errorf("revision %d, %v", r.Revision, err)
		}
		// One slip makes a pair for the state.
		p = mila("Bandt", "Mila")
		p.Identifiers = nil
		second, err := w.Add(w.ctx, other, p)
		if err != nil || second.Outcome != patient.Possible || second.Possible != 1 || second.ID == id {
			w.t.Fatalf("%+v, %v", second, err)
		}
		_, err = w.Duplicates(w.ctx, nurse, patient.PairOpen)
		w.want(coldkeep.EFORBIDDEN, err)
		pairs, err := w.Duplicates(w.ctx, state, patient.PairOpen)
		if err != nil || len(pairs) != 1 || pairs[0].FoundBy != "Ines" || len(pairs[0].Parts) == 0 {
			w.t.Fatalf("%+v, %v", pairs, err)
		}
		pair, sides, err := w.ComparePair(w.ctx, state, pairs[0].B, pairs[0].A)
		if err != nil || pair.A != id || sides[0].ID != id || sides[1].ID != second.ID {
			w.t.Fatalf("%+v, %v", pair, err)
		}
		m, err := w.MergePatients(w.ctx, state, second.ID, id, "the same child: seen together")
		w.must(err)
		if pairs, err = w.Duplicates(w.ctx, state, patient.PairOpen); err != nil || len(pairs) != 0 {
			w.t.Errorf("%+v, %v", pairs, err)
		}
		r, err = w.Open(w.ctx, other, second.ID, "")
		w.must(err)
		if r.ID != id || r.Asked != second.ID || len(r.Names) != 2 || r.Names[1].Family != "Bandt" || len(r.Merges) != 1 {
			w.t.Errorf("%+v", r)
		}
		_, err = w.MergePatients(w.ctx, state, id, second.ID, "the same child: seen together")
		w.want(coldkeep.ECONFLICT, err)
		_, err = w.UnmergePatients(w.ctx, nurse, m.ID, "two children after all")
		w.want(coldkeep.EFORBIDDEN, err)
		_, err = w.UnmergePatients(w.ctx, state, m.ID, "two children after all")
		w.must(err)
		_, err = w.UnmergePatients(w.ctx, state, m.ID, "two children after all")
		w.want(coldkeep.ECONFLICT, err)
		w.must(w.NotDuplicate(w.ctx, state, id, second.ID, "two children after all"))
		w.want(coldkeep.ECONFLICT, w.NotDuplicate(w.ctx, state, id, second.ID, "two children after all"))
		// The sweep does not bring up what was decided.
		if _, _, err := w.Sweep(w.ctx, 100); err != nil {
			w.t.Fatal(err)
		}
		if pairs, err = w.Duplicates(w.ctx, state, patient.PairOpen); err != nil || len(pairs) != 0 {
			w.t.Errorf("%+v, %v", pairs, err)
		}
	})
}

func TestSweepFindsWhatWasLoaded(t *testing.T) {
	each(t, func(w *world) {
		w.must(w.store.Patients().Tx(w.ctx, func(tx patient.Tx) error {
			for id, family := range map[string]string{"A": "Brandt", "B": "Bandt", "C": "Lund"} {
				p := mila(family, "Mila")
				p.ID, p.Head, p.Revision = id, id, 1
				p.Identifiers = nil
				if err := p.Normalise(coldkeep.NewDate(2026, 11, 1)); err != nil {
					return err
				}
				p.Names[0].Seq = 1
				if family == "Lund" {
					p.Contacts, p.Addresses, p.Mother, p.Guardians = nil, nil, "", nil
					p.Names[0].Given = "Peter"
				}
				for i := range p.Addresses {
					p.Addresses[i].Seq = 1
				}
				if err := tx.InsertPatient(w.ctx, p); err != nil {
					return err
				}
			}
			return nil
		}))
		seen, found, err := w.Sweep(w.ctx, 2)
		w.must(err)
		more, foundMore, err := w.Sweep(w.ctx, 2)
		if err != nil || seen+more != 3 || found+foundMore != 1 {
			w.t.Errorf("%d and %d records, %d and %d pairs, %v", seen, more, found, foundMore, err)
		}
		if seen, _, err = w.Sweep(w.ctx, 2); err != nil || seen != 0 {
			w.t.Errorf("%d left, %v", seen, err)
		}
	})
}

// Merges and un-merges in any order: what is undone leaves every record as it was, and the
// family is that of the merges that stand.
func TestUnmergeRestores(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		var ids []string
		for _, given := range []string{"Mila", "Jonas", "Greta", "Theo", "Ruth"} {
			p := mila("Brandt", given)
			p.Contacts, p.Addresses, p.Guardians = nil, nil, nil
			ids = append(ids, w.add(nurse, p))
		}
		state0 := func(t *rapid.T) []patient.Patient {
			var out []patient.Patient
			for _, id := range ids {
				p, err := w.store.Patient(w.ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, p)
			}
			return out
		}
		rapid.Check(t, func(t *rapid.T) {
			before := state0(t)
			edges := map[string]patient.Merge{} // by loser
			head := func(id string) string {
				for edges[id].Loser != "" {
					id = edges[id].Survivor
				}
				return id
			}
			check := func() {
				for _, id := range ids {
					g, err := w.store.PatientGate(w.ctx, id, "x", w.clock.now)
					if err != nil {
						t.Fatal(err)
					}
					n := 0
					for _, other := range ids {
						if head(other) == head(id) {
							n++
						}
					}
					if g.Head != head(id) || len(g.Family) != n || g.Family[0] != g.Head {
						t.Fatalf("%s: head %s of %v, want %s of %d", id, g.Head, g.Family, head(id), n)
					}
				}
			}
			for range rapid.IntRange(0, 6).Draw(t, "steps") {
				if len(edges) > 0 && rapid.Bool().Draw(t, "undo") {
					var losers []string
					for _, id := range ids {
						if edges[id].Loser != "" {
							losers = append(losers, id)
						}
					}
					loser := rapid.SampledFrom(losers).Draw(t, "loser")
					if _, err := w.UnmergePatients(w.ctx, state, edges[loser].ID, "undone by the test"); err != nil {
						t.Fatal(err)
					}
					delete(edges, loser)
				} else {
					a, b := rapid.SampledFrom(ids).Draw(t, "a"), rapid.SampledFrom(ids).Draw(t, "b")
					m, err := w.MergePatients(w.ctx, state, a, b, "merged by the test")
					if (err == nil) != (head(a) != head(b)) {
						t.Fatalf("merge %s into %s: %v", a, b, err)
					}
					if err == nil {
						if m.Loser != head(a) || m.Survivor != head(b) {
							t.Fatalf("%+v", m)
						}
						edges[m.Loser] = m
					}
				}
				check()
			}
			for _, m := range edges {
				if _, err := w.UnmergePatients(w.ctx, state, m.ID, "undone by the test"); err != nil {
					t.Fatal(err)
				}
			}
			if after := state0(t); !reflect.DeepEqual(before, after) {
				t.Fatalf("before %+v\nafter %+v", before, after)
			}
		})
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

func TestDeidentified(t *testing.T) {
	each(t, func(w *world) {
		givens := []string{"Mila", "Jonas", "Greta", "Theo", "Ruth", "Peter", "Dana", "Wendell", "Chidi", "Olga", "Quentin", "Yusuf"}
		for i, given := range givens {
			p := mila("Brandt", given)
			p.Contacts, p.Guardians = nil, nil
			p.Addresses[0].Street = given + " Way"
			if i == 0 {
				p.Addresses[0].ZIP, p.Addresses[0].County = "62701", "=Sangamon"
			}
			w.add(nurse, p)
		}
		_, err := w.CountDeidentified(w.ctx, nurse)
		w.want(coldkeep.EFORBIDDEN, err)
		table, err := w.CountDeidentified(w.ctx, epi)
		w.must(err)
		if !reflect.DeepEqual(table.Areas, []string{"606", "627"}) || table.Cells[0][3] != 11 || table.Cells[1][3] != -1 || table.Total != 10 {
			w.t.Errorf("%+v", table)
		}
		w.want(coldkeep.EFORBIDDEN, w.WriteDeidentified(w.ctx, nurse, &bytes.Buffer{}, nil))
		var one, two bytes.Buffer
		w.must(w.WriteDeidentified(w.ctx, epi, &one, nil))
		w.must(w.WriteDeidentified(w.ctx, epi, &two, nil))
		if one.String() != two.String() {
			w.t.Error("two exports differ")
		}
		rows, err := csv.NewReader(&one).ReadAll()
		w.must(err)
		if len(rows) != 13 {
			w.t.Fatalf("%d rows", len(rows))
		}
		seen := map[string]bool{}
		for _, r := range rows[1:] {
			seen[r[0]] = true
			if len(r[0]) != 24 || r[1] != "2019" || r[2] != "7" || r[3] != "606" && r[3] != "" || strings.Contains(strings.Join(r, ","), "Brandt") || r[7] != "Cook" && r[7] != "" {
				w.t.Errorf("%v", r)
			}
		}
		if len(seen) != 12 {
			w.t.Errorf("%d pseudonyms", len(seen))
		}
	})
}
