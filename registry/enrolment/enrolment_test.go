package enrolment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/store"
)

var (
	state  = auth.Principal{ID: "s", Name: "State", Role: auth.StateAdmin}
	system = auth.System("Test")
)

type clock struct {
	coldkeep.RealClock
	now time.Time
}

func (c *clock) Now() time.Time { return c.now }

func code(t *testing.T, err error, want, what string) {
	t.Helper()
	if coldkeep.ErrorCode(err) != want {
		t.Fatalf("%s: %v, want %q", what, err, want)
	}
}

func form() enrolment.Form {
	return enrolment.Form{Kind: enrolment.Provider, Organization: "Harbor", Site: "Harbor Clinic", Street: "1 Harbor Way", City: "Cairo", State: "il", ZIP: "62914-0001", Phone: "1", TimeZone: "America/Chicago",
		Contact: "Ada", Email: "ada@harbor.example", Director: "Dr. Kim", Username: "ada", Signer: "Ada", Agreement: 1}
}

func TestYears(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		st, err := store.Open(ctx, databasetest.Open(t, where))
		code(t, err, "", "store")
		c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		people, err := auth.New(st.Auth(), c)
		code(t, err, "", "auth")
		s := enrolment.New(st.Enrolment(), people, c)
		code(t, s.EnsureTexts(ctx), "", "texts")
		for name, change := range map[string]func(*enrolment.Form){
			"kind": func(f *enrolment.Form) { f.Kind = "bank" }, "name": func(f *enrolment.Form) { f.Organization = " " }, "state": func(f *enrolment.Form) { f.State = "1L" },
			"zip": func(f *enrolment.Form) { f.ZIP = "abc" }, "email": func(f *enrolment.Form) { f.Email = "Ada <ada@harbor.example>" }, "zone": func(f *enrolment.Form) { f.TimeZone = "Local" },
			"units": func(f *enrolment.Form) { f.VFC = true }, "school with VFC": func(f *enrolment.Form) { f.Kind, f.VFC, f.Units = enrolment.School, true, "x" },
			"director": func(f *enrolment.Form) { f.Director = "" },
		} {
			f := form()
			change(&f)
			_, _, err := s.Apply(ctx, f)
			code(t, err, coldkeep.EINVALID, name)
		}
		old := form()
		old.Agreement = 0
		_, _, err = s.Apply(ctx, old)
		code(t, err, coldkeep.ECONFLICT, "without the agreement")
		a, secret, err := s.Apply(ctx, form())
		code(t, err, "", "apply")
		if found, err := s.Status(ctx, secret); err != nil || found.ID != a.ID || found.Form.State != "IL" || found.Agreement != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		manager := auth.Principal{ID: "m", Name: "M", Role: auth.PracticeManager, Site: "elsewhere"}
		_, err = s.Application(ctx, manager, a.ID)
		code(t, err, coldkeep.ENOTFOUND, "another's application")
		_, err = s.Approve(ctx, manager, a.ID, enrolment.Approval{SiteID: "harbor"})
		code(t, err, coldkeep.EFORBIDDEN, "approved by a practice")
		_, err = s.Approve(ctx, state, a.ID, enrolment.Approval{SiteID: "Har bor"})
		code(t, err, coldkeep.EINVALID, "a wrong id")
		// A VFC coordinator lets the practice in, and gets no way to its patients: the account
		// is closed until somebody who may manage people opens it.
		theirs, _, err := s.Apply(ctx, form())
		code(t, err, "", "apply")
		vfc := auth.Principal{ID: "v", Name: "V", Role: auth.VFCCoordinator}
		let, err := s.Approve(ctx, vfc, theirs.ID, enrolment.Approval{SiteID: "bay", Username: "bay"})
		if err != nil || let.OneTime != "" || let.Username != "bay" {
			t.Fatalf("%+v, %v", let, err)
		}
		accounts, err := people.People(ctx, state)
		code(t, err, "", "people")
		i := slices.IndexFunc(accounts, func(p auth.Person) bool { return p.Username == "bay" })
		if i < 0 || accounts[i].Active {
			t.Fatalf("%+v", accounts)
		}
		code(t, people.SetActive(ctx, vfc, accounts[i].ID, true), coldkeep.EFORBIDDEN, "opened by the coordinator")
		_, err = people.ResetPassword(ctx, vfc, accounts[i].ID)
		code(t, err, coldkeep.EFORBIDDEN, "a password by the coordinator")
		code(t, people.SetActive(ctx, state, accounts[i].ID, true), "", "opened")
		once, err := people.ResetPassword(ctx, state, accounts[i].ID)
		code(t, err, "", "a password")
		if p, err := people.SignIn(ctx, "bay", once); err != nil || !p.MustChange || p.Role != auth.PracticeManager {
			t.Fatalf("%+v, %v", p, err)
		}
		in, err := s.Approve(ctx, state, a.ID, enrolment.Approval{SiteID: "harbor", VFCPIN: "9"})
		code(t, err, "", "approve")
		_, err = s.Approve(ctx, state, a.ID, enrolment.Approval{SiteID: "harbor2", Username: "other"})
		code(t, err, coldkeep.ECONFLICT, "approved twice")
		p, err := people.SignIn(ctx, in.Username, in.OneTime)
		if err != nil || p.Role != auth.PracticeManager || p.Site != "harbor" || !p.MustChange {
			t.Fatalf("%+v, %v", p, err)
		}
		by := p.Principal()
		_, err = s.Renew(ctx, by, "harbor", form())
		code(t, err, coldkeep.ECONFLICT, "not due")
		_, err = s.Renew(ctx, by, "elsewhere", form())
		code(t, err, coldkeep.EFORBIDDEN, "another's")
		c.now = in.Until.Add(-24 * time.Hour)
		r, err := s.Renew(ctx, by, "harbor", form())
		code(t, err, "", "renew")
		_, err = s.Renew(ctx, by, "harbor", form())
		code(t, err, coldkeep.ECONFLICT, "twice")
		again, err := s.Approve(ctx, state, r.ID, enrolment.Approval{})
		if err != nil || !again.Until.Equal(in.Until.AddDate(1, 0, 0)) {
			t.Fatalf("who renews in time loses a day: %+v, %v", again, err)
		}
		more, err := s.ApplyForSite(ctx, by, form())
		code(t, err, "", "one more site")
		code(t, s.Refuse(ctx, state, more.ID, " "), coldkeep.EINVALID, "no reason")
		code(t, s.Refuse(ctx, state, more.ID, "Too far away"), "", "refuse")
		more, err = s.ApplyForSite(ctx, by, form())
		code(t, err, "", "one more site again")
		second, err := s.Approve(ctx, state, more.ID, enrolment.Approval{SiteID: "harbor-south"})
		if err != nil || second.OneTime != "" {
			t.Fatalf("%+v, %v", second, err)
		}
		all, err := s.Enrolments(ctx, state)
		all = slices.DeleteFunc(all, func(e enrolment.SiteEnrolment) bool { return e.ID == "bay" })
		if err != nil || len(all) != 2 || all[0].Organization != all[1].Organization || all[0].OrganizationName != "Harbor" {
			t.Fatalf("%+v, %v", all, err)
		}
	})
}

func TestTextsOfEngines(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		st, err := store.Open(ctx, databasetest.Open(t, where))
		code(t, err, "", "store")
		people, err := auth.New(st.Auth(), coldkeep.RealClock{})
		code(t, err, "", "auth")
		s := enrolment.New(st.Enrolment(), people, coldkeep.RealClock{})
		code(t, s.EnsureTexts(ctx), "", "texts")
		p, err := people.AddPerson(ctx, system, auth.NewPerson{Name: "A", Username: "a", Password: "correct horse battery", Role: auth.Auditor})
		code(t, err, "", "person")
		in, err := people.Begin(ctx, p.ID, auth.ByPassword)
		code(t, err, "", "begin")
		todo := func(want auth.Todo) {
			t.Helper()
			if r, err := people.Resume(ctx, in.ID, false); err != nil || r.Todo != want {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		todo(auth.TodoPolicies)
		code(t, s.Accept(ctx, p.Principal(), nil), coldkeep.ECONFLICT, "nothing accepted")
		code(t, s.Accept(ctx, p.Principal(), map[enrolment.PolicyKind]int64{enrolment.Confidentiality: 1, enrolment.UserAgreement: 1}), "", "accept")
		todo("")
		_, err = s.Publish(ctx, p.Principal(), enrolment.Confidentiality, 1, "T", "B")
		code(t, err, coldkeep.EFORBIDDEN, "by an auditor")
		_, err = s.Publish(ctx, state, enrolment.Confidentiality, 0, "T", "B")
		code(t, err, coldkeep.ECONFLICT, "from an old version")
		v, err := s.Publish(ctx, state, enrolment.Confidentiality, 1, "T", "One\r\n\r\nTwo")
		if err != nil || v.Version != 2 || len(v.Paragraphs()) != 2 {
			t.Fatalf("%+v, %v", v, err)
		}
		_, err = s.Publish(ctx, state, enrolment.Confidentiality, 2, "T", "One\n\nTwo")
		code(t, err, coldkeep.ECONFLICT, "nothing changed")
		todo(auth.TodoPolicies)
		accepted, err := s.Acceptances(ctx, state, enrolment.Confidentiality)
		if err != nil || len(accepted) != 1 || accepted[0].Name != "A" {
			t.Fatalf("%+v, %v", accepted, err)
		}
	})
}
