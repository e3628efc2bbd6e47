package registryclient_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/registryclient"
)

func TestMirrorIsFollowedAndCached(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		var mu sync.Mutex
		var seen []int64
		h.c.OnMirror(func(m coldkeep.Mirror) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, m.Revision)
			_ = h.c.Mirror() // may be asked meanwhile
		})
		for revision := int64(1); revision <= 3; revision++ {
			h.registry.SetMirror(coldkeep.Mirror{Revision: revision, Sites: []coldkeep.Site{{ID: "north"}},
				Assignments: []coldkeep.Assignment{{Appliance: "fridge-1", From: start}}})
			feedtest.Until(t, "the mirror is new", func() bool { return h.c.Mirror().Revision == revision })
		}
		h.stop()
		h.registry.Down()
		h.run() // the registry is away from boot
		if m := h.c.Mirror(); m.Revision != 3 || len(m.Sites) != 1 || len(m.Assignments) != 1 || !m.Assignments[0].From.Equal(start) {
			t.Fatalf("got %+v", m)
		}
		h.c.OnMirror(func(m coldkeep.Mirror) { seen = append(seen, 100+m.Revision) })
		if err := h.registry.Up(); err != nil {
			t.Fatal(err)
		}
		// A registry that was put back to an earlier state is the truth still.
		h.registry.SetMirror(coldkeep.Mirror{Revision: 2})
		feedtest.Until(t, "the mirror went back", func() bool { return h.c.Mirror().Revision == 2 })
		h.stop()
		if !slices.Equal(seen, []int64{1, 2, 3, 103, 102}) {
			t.Fatalf("seen %v", seen)
		}
	})
}

// What the registry says of a unit comes out of the cache as it went in, whatever
// part of it there is.
func TestMirrorIsKeptWhole(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		to := start.Add(time.Hour)
		low, high := coldkeep.Threshold{Milli: 36_000, Scale: coldkeep.ScaleFahrenheit}, coldkeep.Threshold{Milli: 46_000, Scale: coldkeep.ScaleFahrenheit}
		series := coldkeep.Series{Site: "north", Agent: "pi", Probe: "T0"}
		want := coldkeep.Mirror{
			Revision: 7, Sites: []coldkeep.Site{{ID: "north", Name: "North", TimeZone: "UTC"}},
			Appliances:   []coldkeep.Appliance{{ID: "fridge-1", Site: "north", Unit: coldkeep.Refrigerator, Profile: "cdc", Limits: &coldkeep.Limits{Low: low, High: high, Reason: "narrower"}}},
			Assignments:  []coldkeep.Assignment{{Series: series, Appliance: "fridge-1", Role: coldkeep.RoleAir, From: start, To: &to}},
			Devices:      []coldkeep.Device{{Site: "north", Agent: "pi", SecretSHA256: "00"}},
			OnCall:       []coldkeep.OnCall{{Site: "north", Emails: []string{"a@north.example"}, RepeatAfter: 60}},
			Contexts:     []coldkeep.Context{{ID: "c", Appliance: "fridge-1", Kind: coldkeep.ContextOutOfService, From: start, To: &to, Note: "sold", By: "Anna"}},
			Calibrations: []coldkeep.Calibration{{Series: series, Offset: -120, Table: [][2]coldkeep.Temperature{{0, -120}, {5000, -90}}, Certificate: "K 17", Expires: "2027-03-01"}},
		}
		h.registry.SetMirror(want)
		h.run()
		feedtest.Until(t, "the mirror is there", func() bool { return h.c.Mirror().Revision == 7 })
		if got := h.c.Mirror(); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v", got)
		}
		h.stop()
		h.registry.Down()
		h.run()
		if got := h.c.Mirror(); !reflect.DeepEqual(got, want) {
			t.Fatalf("after a restart %+v", got)
		}
	})
}

func TestStatusIsPostedOnceAMinute(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	clock := feedtest.NewClock(start)
	h.cfg.Clock = clock
	var mu sync.Mutex
	asked := 0
	h.cfg.Status = func(context.Context) ([]coldkeep.ApplianceStatus, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return []coldkeep.ApplianceStatus{{Appliance: "unknown"}, {Appliance: "fridge-1", Celsius: coldkeep.Temperature(asked)}, {Appliance: "fridge-2"}}, nil
	}
	h.registry.Refuse(func(_ string, body []byte) string {
		if strings.Contains(string(body), "unknown") {
			return "[0].appliance: it is not known"
		}
		return ""
	})
	h.run()
	posted := func(n int) func() bool {
		return func() bool { return len(h.registry.Statuses()) == n }
	}
	feedtest.Until(t, "the first is there", posted(1))
	clock.Advance(59 * time.Second)
	h.feed.Append(interval(1))
	h.sent()
	if n := len(h.registry.Statuses()); n != 1 {
		t.Fatalf("%d posts within a minute", n)
	}
	clock.Advance(time.Second)
	feedtest.Until(t, "the second is there", posted(2))
	if s := string(h.registry.Statuses()[1].Body); !strings.Contains(s, "fridge-1") || !strings.Contains(s, "fridge-2") {
		t.Fatalf("got %s", s)
	}
}

func TestAFailingFeedEndsNothing(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.feed.Fail(errors.New("ledger away"))
	h.feed.Append(interval(1))
	h.run()
	h.feed.Fail(nil)
	h.sent()
}

func TestOpenRefuses(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	for _, cfg := range []registryclient.Config{
		{BaseURL: "http://x", Token: "t"},
		{Feed: feedtest.New()},
		{Feed: feedtest.New(), BaseURL: "x", Token: "t"},
		{Feed: feedtest.New(), BaseURL: "http://x"},
	} {
		if _, err := registryclient.Open(t.Context(), db, cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("got %v", err)
		}
	}
}
