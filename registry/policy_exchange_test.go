package registry_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
)

// The exchange refuses by itself, on both engines, what the page refuses.
func TestPolicyOfExchange(t *testing.T) {
	grants := grantsOf(t)
	databasetest.Each(t, func(t *testing.T, where string) {
		s := serviceOn(t, where)
		s.furnish()
		ctx, clock := t.Context(), coldkeep.RealClock{}
		x := exchange.New(s.store.Exchange(), hl7.New(s.people, s.doses, clock, hl7.DefaultIdentity), clock, nil)
		admin := auth.Principal{ID: "a", Name: "Admin", Role: auth.StateAdmin}
		today := coldkeep.DateOf(time.Now())
		text := "MSH|^~\\&|EHR|CLINIC|||20260301100000-0600||VXU^V04^VXU_V04|1|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS\rPID|1||77^^^EHR^MR||Exchanged^Eve^^^^^L||20210511|F\r"
		// A message, a file and a sender of each practice.
		var account, message, file [2]string
		for i, site := range []coldkeep.SiteID{ownSite, otherSite} {
			a, _, err := s.auth.AddAccount(ctx, admin, "EHR "+string(site), site, []string{auth.ScopeRecords})
			s.must(err)
			by := auth.Principal{ID: a.ID, Name: a.Name, Site: site, Scopes: a.Scopes}
			_, err = x.Submit(ctx, by, exchange.Submission{Text: []byte(text)})
			s.must(err)
			all, err := x.Messages(ctx, by, exchange.Filter{})
			s.must(err)
			f, err := x.SubmitFile(ctx, by, exchange.FileSubmission{Name: "x"}, strings.NewReader(text))
			s.must(err)
			account[i], message[i], file[i] = a.ID, all[0].ID, f.ID
		}
		for {
			more, err := x.Step(ctx)
			s.must(err)
			if !more {
				break
			}
		}
		scoped := func(by auth.Principal, i int) auth.Principal { // a program sees its own
			if len(by.Scopes) > 0 && slices.Contains(by.Scopes, auth.ScopeRecords) {
				by.ID = account[0]
			}
			return by
		}
		checks, tried := 0, map[string]bool{}
		for _, m := range []struct {
			name  string
			needs []auth.Permission // all of them
			not   []string
			of    int
			call  func(ctx context.Context, by auth.Principal, i int) error
		}{
			{"Submit", []auth.Permission{auth.ExchangeRecords}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				_, err := x.Submit(ctx, by, exchange.Submission{Text: []byte(text)})
				return err
			}},
			{"SubmitFile by a person", []auth.Permission{auth.ImportPatients}, []string{"state-admin", "records"}, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				if by.Role == "" {
					return by.Require(auth.ImportPatients, by.Site) // a program's is Submit's
				}
				_, err := x.SubmitFile(ctx, by, exchange.FileSubmission{}, strings.NewReader(text))
				return err
			}},
			{"Files", []auth.Permission{auth.ReadExchange}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				_, err := x.Files(ctx, by, 5)
				return err
			}},
			{"Progress", []auth.Permission{auth.ReadExchange}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, err := x.Progress(ctx, by, file[i])
				return err
			}},
			{"WriteAnswers", []auth.Permission{auth.ReadExchange, auth.ViewPatients}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				return x.WriteAnswers(ctx, by, file[i], io.Discard)
			}},
			{"Messages", []auth.Permission{auth.ReadExchange}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				all, err := x.Messages(ctx, by, exchange.Filter{})
				if by.Site != "" && slices.ContainsFunc(all, func(m exchange.Message) bool { return m.Site != by.Site }) {
					t.Errorf("%s sees another practice's messages", by.Name)
				}
				return err
			}},
			{"Message", []auth.Permission{auth.ReadExchange, auth.ViewPatients}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, err := x.Message(ctx, by, message[i])
				return err
			}},
			{"Senders", []auth.Permission{auth.ReadExchange}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				_, err := x.Senders(ctx, by)
				return err
			}},
			{"Sender", []auth.Permission{auth.ReadExchange}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, err := x.Sender(ctx, by, account[i])
				return err
			}},
			{"PutSender", []auth.Permission{auth.ManagePeople}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, err := x.PutSender(ctx, by, exchange.Sender{Account: account[i], Revision: 99, Answers: exchange.Always})
				return err
			}},
			{"Reports", []auth.Permission{auth.ReadExchange}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				all, err := x.Reports(ctx, by, today-7, today)
				if by.Site != "" && slices.ContainsFunc(all, func(r exchange.Report) bool { return r.Site != by.Site }) {
					t.Errorf("%s sees another practice's figures", by.Name)
				}
				return err
			}},
			{"Undeducted", []auth.Permission{auth.ManageStock, auth.ViewPatients}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, _, err := x.Undeducted(ctx, by, []coldkeep.SiteID{ownSite, otherSite}[i], 0, 10)
				return err
			}},
			{"CountUndeducted", []auth.Permission{auth.ManageStock, auth.ViewPatients}, nil, 1, func(ctx context.Context, by auth.Principal, _ int) error {
				all, err := x.CountUndeducted(ctx, by)
				if by.Site != "" && len(all) > 0 && (len(all) > 1 || all[by.Site] == 0) {
					t.Errorf("%s sees what waits elsewhere: %v", by.Name, all)
				}
				return err
			}},
			{"Deduct", []auth.Permission{auth.ManageStock, auth.ViewPatients}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				_, err := x.Deduct(ctx, by, s.things[i]["waiting"])
				return err
			}},
			{"Settle", []auth.Permission{auth.ManageStock, auth.ViewPatients}, nil, 2, func(ctx context.Context, by auth.Principal, i int) error {
				return x.Settle(ctx, by, s.things[i]["waiting"], "no") // too short a reason, which is looked at last
			}},
		} {
			method, _, _ := strings.Cut(m.name, " ")
			tried[method] = true
			for name, by := range principals() {
				has := !slices.Contains(m.not, name)
				for _, perm := range m.needs {
					has = has && slices.Contains(grants[perm], name)
				}
				for i := range m.of {
					want := has && (i == 0 || by.Site == "")
					err := m.call(ctx, scoped(by, i), i)
					checks++
					code := coldkeep.ErrorCode(err)
					got := code != coldkeep.EFORBIDDEN && code != coldkeep.EUNAUTHORIZED && code != coldkeep.ENOTFOUND
					if got != want || code == coldkeep.EINTERNAL {
						t.Errorf("%s for %s, %d: %v, want allowed %v", m.name, name, i, err, want)
					}
				}
			}
		}
		for _, name := range exchangeMethods { // by which TestEveryMethodIsInPolicy goes
			if !tried[name] {
				t.Errorf("exchange.%s is not tried", name)
			}
		}
		t.Logf("%d checks", checks)
	})
}
