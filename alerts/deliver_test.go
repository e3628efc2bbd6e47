package alerts_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
)

func TestOneTargetsTroubleIsNotAnothers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.onCall(coldkeep.OnCall{Webhooks: []string{"bad", "down", "hook", "hook"}, Emails: []string{"anna@north.example"}, RepeatAfter: 600})
		h.hook.failing(func(m alerts.Message) (bool, error) {
			switch m.To {
			case "bad":
				return false, errors.New("it refuses with 404\x00")
			case "down":
				return true, errors.New("connection refused")
			}
			return false, nil
		})
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.told("raised→hook")
		feedtest.Until(t, "the mail is there", func() bool { return slices.Equal(h.mail.heard(), []string{"raised→anna@north.example"}) })
		tries := func(target string) (state string, n int) {
			list, err := h.s.Deliveries(t.Context(), h.alerts()[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Target == target {
					state, n = d.State, n+len(d.Attempts)
				}
			}
			return state, n
		}
		feedtest.Until(t, "the one that is away was tried again", func() bool { _, n := tries("down"); return n >= 3 })
		feedtest.Until(t, "the one that refuses was not", func() bool { state, n := tries("bad"); return state == "refused" && n == 1 })
		// The next telling tries all again: what refused may have been mended.
		h.hook.failing(nil)
		feedtest.Until(t, "the one that was away has got it", func() bool { return slices.Contains(h.hook.heard(), "raised→down") })
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "the one that refused gets the next", func() bool { return slices.Contains(h.hook.heard(), "repeated→bad") })
		seen := map[string]bool{}
		for _, m := range h.hook.messages() {
			if seen[m.ID] {
				t.Errorf("delivery %s has come twice", m.ID)
			}
			seen[m.ID] = true
		}
	})
}

func TestDeliveryIDStaysTheSameOverAttemptsAndRestarts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var mu sync.Mutex
		ids := map[string]int{}
		h.hook.failing(func(m alerts.Message) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			ids[m.ID]++
			return true, errors.New("away")
		})
		tried := func(n int) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				for _, tries := range ids {
					if tries >= n {
						return true
					}
				}
				return false
			}
		}
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		feedtest.Until(t, "it was tried", tried(2))
		h.stop()
		h.run()
		feedtest.Until(t, "it was tried after the restart", tried(5))
		h.hook.failing(nil)
		h.told("raised→hook")
		if len(ids) != 1 || ids[h.hook.messages()[0].ID] == 0 {
			t.Fatalf("ids %v, delivered %s", ids, h.hook.messages()[0].ID)
		}
	})
}

func TestNewsSupersedeWhatHasNotArrived(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.hook.failing(func(alerts.Message) (bool, error) { return true, errors.New("away") })
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.feed.Append(excursion("x", 2, closed, alertToo))
		h.dealt()
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "it was to be repeated", func() bool { return count(t, h.db, "event = 'repeated'") == 1 })
		h.hook.failing(nil)
		h.told("repeated→hook") // the latest word only, and that says all
		if m := h.hook.messages()[0]; m.Alert.Excursion.State != closed || !strings.Contains(m.Text(), "back in range") {
			t.Fatalf("got %s", m.Text())
		}
		if n := count(t, h.db, "state = 'superseded'"); n != 2 {
			t.Fatalf("%d superseded", n)
		}
	})
}

func TestNobodyOnCallIsLookedForEveryMinute(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.onCall(coldkeep.OnCall{})
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.dealt()
		h.clock.Advance(time.Minute)
		h.clock.Advance(time.Minute)
		h.onCall(coldkeep.OnCall{Webhooks: []string{"hook"}})
		feedtest.Until(t, "the policy is seen", func() bool { h.clock.Advance(time.Minute); return len(h.hook.heard()) > 0 })
		h.settled()
		if got := h.hook.heard(); got[0] != "raised→hook" {
			t.Fatalf("heard %v", got)
		}
		n := 0
		decisions, err := h.s.Decisions(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if d.Decision == "nobody" {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d rows say that there is nobody", n)
		}
	})
}

func TestAChannelThatIsNotSetUp(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.onCall(coldkeep.OnCall{Emails: []string{"anna@north.example"}, Webhooks: []string{"hook"}})
	h.open(h.hook)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	h.feed.Append(excursion("x", 1, open, alertToo))
	h.told("raised→hook")
	list, err := h.s.Deliveries(t.Context(), h.alerts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[1].State != "refused" || list[1].Reason != "no channel email is set up" {
		t.Fatalf("got %+v", list)
	}
}

func TestOldNewsOfAnsweredAlertsAreGivenUp(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.hook.failing(func(m alerts.Message) (bool, error) {
		if m.Event == alerts.EventAcknowledged {
			return true, errors.New("away")
		}
		return false, nil
	})
	h.run()
	h.feed.Append(excursion("x", 1, open, alertToo))
	h.told("raised→hook")
	if err := h.s.Acknowledge(t.Context(), h.alerts()[0].ID, "Anna", ""); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(25 * time.Hour)
	feedtest.Until(t, "it is given up", func() bool { return count(t, h.db, "state = 'expired'") == 1 })
}
