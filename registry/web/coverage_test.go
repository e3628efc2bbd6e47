package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// toddler adds somebody of two years to lakeside.
func (s *site) toddler(n int) {
	s.t.Helper()
	now := time.Now().UTC()
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now.AddDate(0, -25, 0)), Sex: patient.Female, Revision: 1, CreatedAt: now.Add(-time.Hour), UpdatedAt: now,
		Names:    []patient.Name{{Family: "Xanthopoulos", Given: fmt.Sprintf("Child%d", n), Kind: patient.Legal, Span: patient.Span{Seq: 1}}},
		Statuses: []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: now.Add(-time.Hour), By: "Test", Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	s.must(s.store.Patients().Tx(s.t.Context(), func(tx patient.Tx) error { return tx.InsertPatient(s.t.Context(), p) }))
}

func TestCoverageScreens(t *testing.T) {
	s := serve(t)
	s.furnish()
	for i := range 3 {
		s.toddler(i)
	}
	manager, coordinator, admin, viewer := s.as(string(auth.PracticeManager)), s.as(string(auth.VFCCoordinator)), s.as(string(auth.StateAdmin)), s.as(string(auth.ViewOnly))
	if r := viewer.get("/coverage"); r.status != http.StatusForbidden {
		t.Errorf("view only: %d", r.status)
	}
	manager.page("/coverage", "Coverage", "4:3:1:3:3:1:4, children of 19 to 35 months", "None yet.")

	// A form that is refused comes back as it was filled in.
	r := manager.post("/coverage", url.Values{"measure": {"cis-3"}, "day": {"2999-01-01"}, "months": {"3"}})
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/coverage" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	manager.has("refused", manager.page("/coverage", "is to come"), `value="3"`)

	r = manager.post("/coverage", url.Values{"measure": {"cis-3", "4313314"}, "months": {"2"}})
	at := r.header.Get("Location")
	waits := manager.get(at)
	if waits.header.Get("Refresh") == "" {
		t.Error("the page does not show how far it is")
	}
	manager.has("waits", words(t, waits.body), "waits for its turn", "Cancel the assessment")
	_, err := s.cfg.Coverage.Step(t.Context())
	s.must(err)
	body := manager.page(at, "Coverage of Clinic lakeside", "CIS combination 3", "Of 3 people", "Pneumococcal conjugate", "nothing to compare with", "Over time", "Patients who lack a valid dose")
	manager.has("drawn", body, `class="cover-trend"`, `role="img"`)
	if strings.Contains(body, "<script") && strings.Contains(body, "style=") {
		t.Error("a page with styles of its own")
	}
	list := manager.page(at+"/missing?measure=cis-3", "Xanthopoulos, Child0", "4 DTaP", "noted in the trail")
	if strings.Count(list, "Xanthopoulos") != 3 {
		t.Errorf("%d people", strings.Count(list, "Xanthopoulos"))
	}

	// Who may not see patients sees neither them nor small numbers.
	seen := coordinator.page(at, "withheld")
	if strings.Contains(seen, "Of 3 people") || strings.Contains(seen, "/missing") {
		t.Error("a coordinator sees three people")
	}
	if r := coordinator.get(at + "/missing?measure=cis-3"); r.status != http.StatusForbidden || strings.Contains(r.body, "Xanthopoulos") {
		t.Errorf("%d", r.status)
	}
	for _, b := range []*browser{manager, coordinator} {
		r := b.get(at + "/coverage.csv")
		lines, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
		if err != nil || len(lines) != 1+3*(1+7)*2 || strings.Contains(r.body, "Xanthopoulos") {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		if want := map[bool]string{true: "3", false: ""}[b == manager]; lines[1][6] != want {
			t.Errorf("people %q, want %q", lines[1][6], want)
		}
	}

	// The programme's, with its breakdowns; then the practice has something to compare with.
	r = admin.post("/coverage", url.Values{"measure": {"cis-3"}, "basis": {"ownership"}})
	_, err = s.cfg.Coverage.Step(t.Context())
	s.must(err)
	admin.page(r.header.Get("Location"), "Coverage of the programme", "By practice", "Clinic lakeside")
	admin.page(r.header.Get("Location")+"?by=county", "By county", "not known")

	// Cancelled, it ends.
	r = admin.post("/coverage", url.Values{"measure": {"cis-3"}})
	at = r.header.Get("Location")
	if r := coordinator.post(at+"/cancel", nil); r.status != http.StatusForbidden {
		t.Errorf("a coordinator cancels the state's: %d", r.status)
	}
	admin.post(at+"/cancel", nil)
	admin.page(at, "Cancelled by The state-admin")
}

func TestMeasureScreens(t *testing.T) {
	s := serve(t)
	s.furnish()
	manager, admin := s.as(string(auth.PracticeManager)), s.as(string(auth.StateAdmin))
	if body := manager.page("/coverage/measures", "CIS combination 10", "no dose before day 42", "fewer than 11 people"); strings.Contains(body, "/coverage/measures/new") {
		t.Error("a practice is offered to add a measure")
	}
	if r := manager.get("/coverage/measures/new"); r.status != http.StatusForbidden {
		t.Errorf("%d", r.status)
	}
	admin.page("/coverage/measures/new", "A measure of our own", "DTaP or Tdap", "Yellow Fever")
	form := url.Values{"id": {"county-two"}, "title": {"Two-year-olds of the county"}, "about": {"MMR and polio."}, "source": {"County board"}, "from": {"24 months"}, "until": {"36 months"},
		"vaccine1": {"MMR"}, "doses1": {"1"}, "from1": {"12 months"}, "immune1": {"yes"}, "vaccine2": {"Polio"}, "doses2": {"three"}}
	if r := admin.post("/coverage/measures", form); r.header.Get("Location") != "/coverage/measures/new" {
		t.Errorf("%d %s", r.status, r.header.Get("Location"))
	}
	admin.has("refused", admin.page("/coverage/measures/new", "Vaccine 2, Polio: want the number of doses"), `value="county-two"`, `value="24 months"`)
	form.Set("doses2", "3")
	admin.post("/coverage/measures", form)
	admin.page("/coverage/measures", "Two-year-olds of the county", "version 1", "Added by The state-admin")
	manager.page("/coverage", "Two-year-olds of the county")
	admin.post("/coverage/measures/county-two/retire", nil)
	if strings.Contains(manager.get("/coverage").body, "Two-year-olds of the county") {
		t.Error("a retired measure is offered")
	}
	admin.post("/coverage/smallest", url.Values{"n": {"20"}, "why": {"A state of small counties"}})
	admin.page("/coverage/measures", "fewer than 20 people", "A state of small counties")
}
