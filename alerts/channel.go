package alerts

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Channel carries messages to people or programs by one means. Implementations
// live under alerts/channel, and each passes the suite in
// alerts/channel/channeltest.
type Channel interface {
	// Name is the name by which the routing knows it: "webhook", "email".
	Name() string
	// Send delivers m to m.To and returns nil once the other side has taken it. With
	// an error, retryable tells whether the same message may get through later (the
	// other side is away or busy) or never will (a bad address, a refusal). The
	// error holds no secret and neither does it hold the target, which may be one.
	// Send returns soon after ctx ends, may be called from many goroutines, and
	// hands on m.ID so that the receiver can tell a second arrival from a new one.
	Send(ctx context.Context, m Message) (retryable bool, err error)
}

// Event is what a message is about.
type Event string

// The events of an alert.
const (
	EventRaised       Event = "raised"       // told for the first time
	EventRepeated     Event = "repeated"     // nobody has answered yet
	EventResolved     Event = "resolved"     // the temperature is back in range, the readings are back, the fault is over
	EventReopened     Event = "reopened"     // a later revision says it is not
	EventWithdrawn    Event = "withdrawn"    // late readings showed that there was none
	EventAcknowledged Event = "acknowledged" // a person has answered
)

// Message is one telling of an alert to one target. It never holds anything about
// a patient.
type Message struct {
	ID        string             `json:"id"` // of the delivery; the same on every attempt
	To        string             `json:"-"`  // the target: a URL, an address
	Event     Event              `json:"event"`
	Telling   int                `json:"telling"` // 1 for the first telling of the alert
	At        time.Time          `json:"at"`      // when the telling was decided
	Repeat    int                `json:"repeat_s"`
	Site      coldkeep.Site      `json:"site"`
	Appliance coldkeep.Appliance `json:"appliance"`
	Alert     coldkeep.Alert     `json:"alert"`
	Also      []Also             `json:"also,omitempty"` // what else goes on in the same unit
	Link      string             `json:"link,omitempty"`
}

// Also is another alert's excursion that goes on in the same unit.
type Also struct {
	Alert string        `json:"alert"`
	Kind  coldkeep.Kind `json:"kind"`
	Start time.Time     `json:"start"`
}

// The names of the channels that OnCall's targets go through.
const (
	ChannelWebhook = "webhook"
	ChannelEmail   = "email"
)

// target is one place to tell.
type target struct{ channel, to string }

// targets lists the places that a policy names, each once.
func targets(p coldkeep.OnCall) []target {
	var out []target
	seen := make(map[target]bool)
	add := func(channel string, all []string) {
		for _, to := range all {
			if t := (target{channel, to}); to != "" && !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	add(ChannelWebhook, p.Webhooks)
	add(ChannelEmail, p.Emails)
	return out
}

// carries reports whether some target of a policy can be reached by a channel that is
// set up.
func (s *Service) carries(p coldkeep.OnCall) bool {
	for _, t := range targets(p) {
		if _, ok := s.channels[t.channel]; ok {
			return true
		}
	}
	return false
}

// Channels lists the names of the channels that are set up, in alphabetical order. It
// never fails; it has an error for those who ask it of another process.
func (s *Service) Channels(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.channels)), nil
}

// Unheard lists the sites among those given whose alarms nobody is told about: nobody
// is on call, or none of those by a channel that is set up.
func (s *Service) Unheard(sites []coldkeep.SiteID) []coldkeep.SiteID {
	var out []coldkeep.SiteID
	for _, id := range sites {
		if !s.carries(s.cfg.OnCall(id)) {
			out = append(out, id)
		}
	}
	return out
}

// Counts are numbers of alerts for a dashboard.
type Counts struct {
	Open    int64 // nobody has answered
	Unheard int64 // of them, those that the last telling reached nobody of
	Pending int64 // deliveries that have not arrived
}

// Counts counts alerts. A failing database is EUNAVAILABLE.
func (s *Service) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	err := s.db.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM alert WHERE state = 'open'),
		(SELECT COUNT(*) FROM alert WHERE state = 'open' AND targets = 0),
		(SELECT COUNT(*) FROM alert_delivery WHERE state = 'pending')`).Scan(&c.Open, &c.Unheard, &c.Pending)
	return c, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Counts", "alerts cannot be counted")
}

// repeatAfter is how long an unanswered alert rests under a policy.
func repeatAfter(p coldkeep.OnCall) time.Duration {
	if p.RepeatAfter <= 0 {
		return DefaultRepeat
	}
	return time.Duration(p.RepeatAfter) * time.Second
}
