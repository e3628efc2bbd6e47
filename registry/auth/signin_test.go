package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

func code(t *testing.T, err error, want, what string) {
	t.Helper()
	if coldkeep.ErrorCode(err) != want {
		t.Fatalf("%s: %v, want %q", what, err, want)
	}
}

// A sign-in ends by the rules, when it is ended, and when the account is closed.
func TestSignInsEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		_, st, c := open(t, where)
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.1", Agent: "Firefox"})
		s, err := auth.New(st.Auth(), c, auth.Rules{Idle: 30 * time.Minute, Longest: 8 * time.Hour})
		code(t, err, "", "rules")
		p := add(t, s, "dana", auth.Nurse, "lakeside")
		begin := func() string {
			t.Helper()
			in, err := s.Begin(ctx, p.ID, auth.ByPassword)
			code(t, err, "", "begin")
			return in.ID
		}
		alive := func(id string, idle bool, want string) auth.Resumed {
			t.Helper()
			r, err := s.Resume(ctx, id, idle)
			code(t, err, want, "resume")
			return r
		}
		first := begin()
		if r := alive(first, false, ""); r.Site != "lakeside" || r.Role != auth.Nurse || r.Todo != "" || r.SignIn.Address != "192.0.2.1" {
			t.Fatalf("%+v", r)
		}
		for range 20 { // in use, it lives past the idle limit, and what a screen asks itself does not count
			c.add(20 * time.Minute)
			alive(first, false, "")
		}
		for range 3 {
			c.add(10 * time.Minute)
			alive(first, true, "")
		}
		c.add(2 * time.Minute)
		alive(first, true, coldkeep.EUNAUTHORIZED)
		second := begin()
		for range 24 {
			c.add(20 * time.Minute)
			if _, err := s.Resume(ctx, second, false); err != nil {
				break
			}
		}
		alive(second, false, coldkeep.EUNAUTHORIZED) // eight hours have passed
		expired, err := st.Entries(ctx, audit.Query{What: "person.expired", Limit: 10})
		code(t, err, "", "trail")
		if len(expired) != 2 || expired[0].Session != second || expired[0].Detail != "used after its longest time" ||
			expired[1].Session != first || expired[1].Detail != "used after too long without use" || expired[1].Subject != "person/"+p.ID {
			t.Errorf("the trail of sign-ins that are over: %+v", expired)
		}
		third, fourth := begin(), begin()
		me := p.Principal()
		code(t, s.End(ctx, auth.Principal{ID: "somebody", Name: "x"}, third, ""), coldkeep.ENOTFOUND, "another's sign-in")
		code(t, s.End(ctx, me, "", fourth), "", "everywhere else")
		alive(third, false, coldkeep.EUNAUTHORIZED)
		alive(fourth, false, "")
		live, err := s.MySignIns(ctx, me)
		if err != nil || len(live) != 1 || live[0].ID != fourth {
			t.Fatalf("%+v, %v", live, err)
		}
		code(t, s.SetActive(ctx, system, p.ID, false), "", "close")
		alive(fourth, false, coldkeep.EUNAUTHORIZED)
		_, err = s.Begin(ctx, p.ID, auth.ByPassword)
		code(t, err, coldkeep.EUNAUTHORIZED, "a closed account")
		alive("nothing", false, coldkeep.EUNAUTHORIZED)
		_, err = auth.New(st.Auth(), c, auth.Rules{SecondFactor: []auth.Role{"emperor"}})
		code(t, err, coldkeep.EINVALID, "a rule about no role")
	})
}

func TestCodesOfEngines(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, _, c := open(t, where)
		ctx := t.Context()
		p := add(t, s, "dana", auth.Nurse, "lakeside")
		me := p.Principal()
		pending, err := s.NewTOTP(me)
		code(t, err, "", "new secret")
		secret, url, err := s.ShowTOTP(me, pending)
		if err != nil || !strings.HasPrefix(url, "otpauth://totp/Coldkeep:dana?") || strings.Contains(pending, secret) {
			t.Fatalf("%s, %s, %v", url, pending, err)
		}
		_, _, err = s.ShowTOTP(add(t, s, "eve", auth.Nurse, "lakeside").Principal(), pending)
		code(t, err, coldkeep.EINVALID, "another's secret")
		at := func() string {
			t.Helper()
			v, err := totp.GenerateCode(secret, c.Now())
			code(t, err, "", "code")
			return v
		}
		_, err = s.ConfirmTOTP(ctx, me, pending, "12345")
		code(t, err, coldkeep.EINVALID, "a short code")
		recovery, err := s.ConfirmTOTP(ctx, me, pending, at())
		code(t, err, "", "confirm")
		_, second, err := s.Password(ctx, "dana", password)
		if err != nil || !second {
			t.Fatalf("%v, %v", second, err)
		}
		_, err = s.SignIn(ctx, "dana", password)
		code(t, err, coldkeep.EUNAUTHORIZED, "a password alone")
		_, err = s.Code(ctx, p.ID, at())
		code(t, err, coldkeep.EUNAUTHORIZED, "the code that set it up")
		c.add(time.Minute)
		if m, err := s.Code(ctx, p.ID, at()); err != nil || m != auth.ByCode {
			t.Fatalf("%s, %v", m, err)
		}
		if m, err := s.Code(ctx, p.ID, " "+recovery[0]+" "); err != nil || m != auth.ByRecovery {
			t.Fatalf("%s, %v", m, err)
		}
		_, err = s.Begin(ctx, p.ID, auth.ByRecovery)
		code(t, err, "", "begin")
		if n, err := s.RecoveryCodesLeft(ctx, me); err != nil || n != 9 {
			t.Fatalf("%d, %v", n, err)
		}
		anew, err := s.NewRecoveryCodes(ctx, me)
		code(t, err, "", "anew")
		_, err = s.Code(ctx, p.ID, recovery[1])
		code(t, err, coldkeep.EUNAUTHORIZED, "a code of the old list")
		if m, err := s.Code(ctx, p.ID, anew[1]); err != nil || m != auth.ByRecovery {
			t.Fatalf("%s, %v", m, err)
		}
		code(t, s.RemoveTOTP(ctx, me, "wrong"), coldkeep.EUNAUTHORIZED, "by who does not know the password")
		code(t, s.ResetSecondFactor(ctx, me, p.ID), coldkeep.EFORBIDDEN, "one's own")
		code(t, s.ResetSecondFactor(ctx, system, p.ID), "", "reset")
		_, err = s.SignIn(ctx, "dana", password)
		code(t, err, "", "after the reset")
	})
}

func TestAccountsOfPractices(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, c := open(t, where)
		ctx := t.Context()
		manager := add(t, s, "manager", auth.PracticeManager, "lakeside").Principal()
		for i, row := range []struct {
			by    auth.Principal
			site  coldkeep.SiteID
			scope string
			want  string
		}{
			{manager, "lakeside", auth.ScopeRecords, ""},
			{manager, "northgate", auth.ScopeRecords, coldkeep.EFORBIDDEN},
			{manager, "", auth.ScopeRecords, coldkeep.EFORBIDDEN},
			{manager, "lakeside", auth.ScopeUnits, coldkeep.EFORBIDDEN},
			{system, "", auth.ScopeRecords, coldkeep.EINVALID},
			{system, "lakeside", auth.ScopeCollector, coldkeep.EINVALID},
			{system, "lakeside", "everything", coldkeep.EINVALID},
			{system, "nowhere", auth.ScopeRecords, coldkeep.ENOTFOUND},
			{auth.Principal{}, "lakeside", auth.ScopeRecords, coldkeep.EUNAUTHORIZED},
		} {
			_, _, err := s.AddAccount(ctx, row.by, "EHR "+string(rune('a'+i)), row.site, []string{row.scope})
			code(t, err, row.want, "row "+string(rune('a'+i)))
		}
		_, _, err := s.AddAccount(ctx, manager, "EHR a", "lakeside", []string{auth.ScopeRecords})
		code(t, err, coldkeep.ECONFLICT, "the name again")
		all, _, err := s.Accounts(ctx, manager)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		token, err := s.RenewAccount(ctx, manager, all[0].ID)
		code(t, err, "", "renew")
		p, err := s.Account(ctx, token)
		if err != nil || p.Site != "lakeside" || !p.May(auth.RecordDoses, "lakeside") || p.May(auth.RecordDoses, "northgate") || p.May(auth.RecordDoses, "") {
			t.Fatalf("%+v, %v", p, err)
		}
		c.add(2 * time.Hour)
		if _, err := s.Account(ctx, token); err != nil {
			t.Fatal(err)
		}
		if a, err := st.AccountByID(ctx, p.ID); err != nil || a.UsedAt == nil || !a.UsedAt.Equal(c.Now()) {
			t.Fatalf("%+v, %v", a, err)
		}
		const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ehr@lakeside"
		code(t, s.AddAccountKey(ctx, manager, p.ID, "no key"), coldkeep.EINVALID, "no key")
		code(t, s.AddAccountKey(ctx, manager, p.ID, `command="sh" `+key), coldkeep.EINVALID, "a key with options")
		code(t, s.AddAccountKey(ctx, manager, p.ID, key), "", "a key")
		code(t, s.AddAccountKey(ctx, manager, p.ID, key), coldkeep.ECONFLICT, "the key again")
		_, keys, err := s.Accounts(ctx, manager)
		if err != nil || len(keys[p.ID]) != 1 || strings.Contains(keys[p.ID][0].PublicKey, "ehr@") {
			t.Fatalf("%+v, %v", keys, err)
		}
		code(t, s.RemoveAccountKey(ctx, manager, p.ID, keys[p.ID][0].Fingerprint), "", "take the key away")
		code(t, s.RevokeAccount(ctx, manager, p.ID), "", "revoke")
		_, err = s.Account(ctx, token)
		code(t, err, coldkeep.EUNAUTHORIZED, "a revoked account")
	})
}

func TestIdentitiesAndSites(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, _ := open(t, where)
		ctx := t.Context()
		p := add(t, s, "dana", auth.Nurse, "lakeside")
		for _, row := range []struct {
			c    auth.Claimed
			want string
		}{
			{auth.Claimed{Issuer: "i", Subject: "1", Username: "dana"}, ""},
			{auth.Claimed{Issuer: "i", Subject: "1", Username: "anything"}, ""},
			{auth.Claimed{Issuer: "i", Subject: "2", Username: "dana"}, coldkeep.EUNAUTHORIZED},
			{auth.Claimed{Issuer: "j", Subject: "1", Username: "dana"}, ""},
			{auth.Claimed{Issuer: "i", Subject: "3", Username: "nobody"}, coldkeep.EUNAUTHORIZED},
		} {
			got, err := s.ByClaim(ctx, row.c)
			code(t, err, row.want, row.c.Subject+" "+row.c.Username)
			if err == nil && got.ID != p.ID {
				t.Errorf("%+v", got)
			}
		}
		manager := add(t, s, "manager", auth.PracticeManager, "northgate").Principal()
		code(t, s.SetRole(ctx, manager, p.ID, "northgate", auth.Nurse), coldkeep.EFORBIDDEN, "a manager reaches into another practice")
		code(t, s.SetRole(ctx, system, p.ID, "", auth.StateAdmin), coldkeep.EINVALID, "out of a practice into the programme")
		code(t, s.SetRole(ctx, system, p.ID, "northgate", auth.FrontDesk), "", "one more site")
		_, sites, err := s.PersonWithSites(ctx, manager, p.ID)
		if err != nil || len(sites) != 2 || sites[1] != (auth.Membership{Person: p.ID, Site: "northgate", Role: auth.FrontDesk}) {
			t.Fatalf("%+v, %v", sites, err)
		}
		people, err := s.People(ctx, manager)
		if err != nil || len(people) != 2 {
			t.Fatalf("%+v, %v", people, err)
		}
		code(t, s.LeaveSite(ctx, manager, p.ID, "lakeside"), coldkeep.EFORBIDDEN, "out of another practice")
		code(t, s.LeaveSite(ctx, system, p.ID, "lakeside"), "", "leave")
		if moved, err := st.Person(ctx, p.ID); err != nil || moved.Site != "northgate" || moved.Role != auth.FrontDesk {
			t.Fatalf("%+v, %v", moved, err)
		}
		code(t, s.LeaveSite(ctx, manager, p.ID, "northgate"), coldkeep.ECONFLICT, "the last site")
	})
}
