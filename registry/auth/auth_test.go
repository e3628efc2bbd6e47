package auth_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// clock stands until it is moved.
type clock struct {
	coldkeep.RealClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const password = "correct horse battery"

var system = auth.System("Test")

// open returns the service with sites lakeside and northgate.
func open(t *testing.T, where string) (*auth.Service, *store.Store, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	s, err := auth.New(st.Auth(), c, auth.Rules{Secrets: sealer(t, "0")})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		if err := templog.New(st.Templog(), c).AddSite(t.Context(), system, coldkeep.Site{ID: id, Name: string(id), TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}
	}
	return s, st, c
}

func add(t *testing.T, s *auth.Service, username string, role auth.Role, site coldkeep.SiteID) auth.Person {
	t.Helper()
	p, err := s.AddPerson(t.Context(), system, auth.NewPerson{Name: username, Username: username, Password: password, Role: role, Site: site})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSetupOnceOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, _, _ := open(t, where)
		if needed, err := s.NeedsSetup(t.Context()); err != nil || !needed {
			t.Fatalf("%v, %v", needed, err)
		}
		var made atomic.Int32
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				_, err := s.Setup(context.Background(), name, name, password)
				switch coldkeep.ErrorCode(err) {
				case "":
					made.Add(1)
				case coldkeep.ECONFLICT:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d first administrators", made.Load())
		}
	})
}

func TestSignInAndLock(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, c := open(t, where)
		ctx := t.Context()
		p := add(t, s, "dana", auth.Nurse, "lakeside")
		code := func(username, pw, want string) {
			t.Helper()
			_, err := s.SignIn(ctx, username, pw)
			if coldkeep.ErrorCode(err) != want {
				t.Fatalf("sign-in of %s: %v, want %q", username, err, want)
			}
		}
		code(" Dana ", password, "") // names are not told apart by case
		code("nobody", password, coldkeep.EUNAUTHORIZED)
		for range 5 {
			code("dana", "wrong", coldkeep.EUNAUTHORIZED)
		}
		code("dana", password, coldkeep.ETOOMANY) // locked even for the right password
		c.add(31 * time.Second)
		code("dana", "wrong", coldkeep.EUNAUTHORIZED)
		c.add(31 * time.Second)
		code("dana", password, coldkeep.ETOOMANY) // the second lock is longer
		c.add(30 * time.Second)
		code("dana", password, "")
		code("dana", "wrong", coldkeep.EUNAUTHORIZED) // and a good sign-in begins anew
		code("dana", password, "")
		if err := s.SetActive(ctx, system, p.ID, false); err != nil {
			t.Fatal(err)
		}
		code("dana", password, coldkeep.EUNAUTHORIZED)
		if _, err := s.Principal(ctx, p.ID); coldkeep.ErrorCode(err) != coldkeep.EUNAUTHORIZED {
			t.Fatalf("session of a closed account: %v", err)
		}
		kept, err := st.Person(ctx, p.ID)
		if err != nil || strings.Contains(kept.PasswordHash, password) || !strings.HasPrefix(kept.PasswordHash, "$argon2id$") {
			t.Fatalf("stored password %q, %v", kept.PasswordHash, err)
		}
	})
}

// Guesses at once count as many, so that a lock cannot be outrun.
func TestGuessesAtOnce(t *testing.T) {
	s, _, _ := open(t, databasetest.SQLite(t))
	add(t, s, "dana", auth.Nurse, "lakeside")
	var looked atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := s.SignIn(context.Background(), "dana", "wrong")
			if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
				looked.Add(1)
			}
		})
	}
	wg.Wait()
	if looked.Load() > 5 {
		t.Fatalf("%d guesses were looked at", looked.Load())
	}
}

func TestWhoMayMakeWhom(t *testing.T) {
	s, _, _ := open(t, databasetest.SQLite(t))
	manager := add(t, s, "manager", auth.PracticeManager, "lakeside").Principal()
	admin := add(t, s, "admin", auth.StateAdmin, "").Principal()
	nurse := add(t, s, "nurse", auth.Nurse, "lakeside").Principal()
	for i, row := range []struct {
		by   auth.Principal
		role auth.Role
		site coldkeep.SiteID
		pw   string
		want string
	}{
		{manager, auth.Nurse, "lakeside", password, ""},
		{manager, auth.Nurse, "northgate", password, coldkeep.EFORBIDDEN}, // another practice
		{manager, auth.StateAdmin, "", password, coldkeep.EFORBIDDEN},     // above oneself
		{manager, auth.StateAdmin, "lakeside", password, coldkeep.EFORBIDDEN},
		{nurse, auth.ViewOnly, "lakeside", password, coldkeep.EFORBIDDEN},
		{auth.Principal{}, auth.Nurse, "lakeside", password, coldkeep.EUNAUTHORIZED},
		{admin, auth.VFCCoordinator, "", password, ""},
		{admin, auth.Nurse, "", password, coldkeep.EINVALID},              // a nurse belongs to a site
		{admin, auth.StateAdmin, "lakeside", password, coldkeep.EINVALID}, // and an administrator to none
		{admin, auth.Nurse, "nowhere", password, coldkeep.ENOTFOUND},
		{admin, auth.Nurse, "lakeside", "short", coldkeep.EINVALID},
		{admin, "system", "", password, coldkeep.EINVALID},
		{admin, "emperor", "lakeside", password, coldkeep.EINVALID},
	} {
		_, err := s.AddPerson(t.Context(), row.by, auth.NewPerson{Name: "X", Username: "x" + string(rune('a'+i)), Password: row.pw, Role: row.role, Site: row.site})
		if coldkeep.ErrorCode(err) != row.want {
			t.Errorf("row %d: %v, want %q", i, err, row.want)
		}
	}
	if err := s.SetActive(t.Context(), manager, manager.ID, false); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
		t.Errorf("closing oneself: %v", err)
	}
	if err := s.SetActive(t.Context(), manager, admin.ID, false); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
		t.Errorf("closing an administrator: %v", err)
	}
}

func TestPermissionsStopAtTheSite(t *testing.T) {
	manager := auth.Principal{ID: "1", Role: auth.PracticeManager, Site: "lakeside"}
	coordinator := auth.Principal{ID: "2", Role: auth.VFCCoordinator}
	collector := auth.Principal{ID: "3", Scopes: []string{auth.ScopeCollector}}
	for _, row := range []struct {
		who  auth.Principal
		perm auth.Permission
		site coldkeep.SiteID
		want bool
	}{
		{manager, auth.DecideHolds, "lakeside", true},
		{manager, auth.DecideHolds, "northgate", false},
		{manager, auth.View, "", false},
		{coordinator, auth.View, "northgate", true},
		{coordinator, auth.ManageStock, "northgate", false},
		{collector, auth.Collect, "", true},
		{collector, auth.View, "lakeside", false},
		{auth.Principal{}, auth.View, "lakeside", false},
	} {
		if got := row.who.May(row.perm, row.site); got != row.want {
			t.Errorf("%s %s at %q: %v", row.who.ID, row.perm, row.site, got)
		}
	}
}

func TestAccounts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, _, _ := open(t, where)
		ctx := t.Context()
		for _, token := range []string{"first-token-of-the-collector", "second-token-of-the-collector"} {
			for range 2 { // at every start the same again
				if err := s.EnsureAccount(ctx, "collector", token, auth.ScopeCollector); err != nil {
					t.Fatal(err)
				}
			}
			p, err := s.Account(ctx, token)
			if err != nil || !p.May(auth.Collect, "") || p.Name != "collector" {
				t.Fatalf("%+v, %v", p, err)
			}
		}
		for _, token := range []string{"", "first-token-of-the-collector", strings.Repeat("x", 600)} {
			if _, err := s.Account(ctx, token); coldkeep.ErrorCode(err) != coldkeep.EUNAUTHORIZED {
				t.Errorf("token %.20q: %v", token, err)
			}
		}
		if err := s.EnsureAccount(ctx, "x", "short", auth.ScopeCollector); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("short token: %v", err)
		}
	})
}

func TestDevices(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, _ := open(t, where)
		ctx := t.Context()
		manager := add(t, s, "manager", auth.PracticeManager, "lakeside").Principal()
		revision, err := st.MirrorRevision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := s.AddDevice(ctx, manager, "lakeside", "pi-1")
		if err != nil || len(secret) != 32 {
			t.Fatalf("secret %q, %v", secret, err)
		}
		if after, err := st.MirrorRevision(ctx); err != nil || after <= revision {
			t.Fatalf("the mirror does not tell of it: %d, %v", after, err)
		}
		if _, err := s.AddDevice(ctx, manager, "lakeside", "pi-1"); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Fatalf("twice: %v", err)
		}
		if _, err := s.AddDevice(ctx, manager, "northgate", "pi-1"); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Fatalf("another site: %v", err)
		}
		if _, err := s.AddDevice(ctx, manager, "lakeside", "Pi 1"); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Fatalf("bad name: %v", err)
		}
		check := func(username, password string, want bool) {
			t.Helper()
			if site, agent, ok := s.CheckDevice(ctx, username, password); ok != want || ok && (site != "lakeside" || agent != "pi-1") {
				t.Fatalf("%s: %s/%s %v", username, site, agent, ok)
			}
		}
		check("lakeside/pi-1", secret, true)
		check("lakeside/pi-1", "wrong", false)
		check("lakeside/pi-2", secret, false)
		check("lakeside", secret, false)
		if err := s.RevokeDevice(ctx, manager, "lakeside", "pi-1"); err != nil {
			t.Fatal(err)
		}
		check("lakeside/pi-1", secret, false)
		again, err := s.AddDevice(ctx, manager, "lakeside", "pi-1")
		if err != nil || again == secret {
			t.Fatalf("after revoking: %v", err)
		}
		check("lakeside/pi-1", again, true)
		all, err := st.AllDevices(ctx)
		if err != nil || len(all) != 1 || all[0].SecretSHA256 != auth.SHA256(again) {
			t.Fatalf("%+v, %v", all, err)
		}
	})
}
