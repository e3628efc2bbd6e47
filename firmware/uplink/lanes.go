package uplink

import (
	"context"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep/firmware/outbox"
)

// lanes are how a backlog is delivered: the newest records and what is recorded
// meanwhile at once, so that people hear of what is now, and the rest after them from
// the oldest on, at a bounded rate. Without a backlog there is one lane.
type lanes struct {
	decided bool
	fresh   int64 // next seq of the newest, 0 while there is one lane
	first   int64 // where the newest began
	token   mqtt.Token

	budget float64 // records that the back-fill may send now
	filled time.Time
}

// newest divides a backlog into lanes when the connection begins, and publishes what
// is new. It returns how far the other lane goes.
func (s *session) newest(ctx context.Context, st *outbox.State) (until int64, err error) {
	l := &s.lanes
	if !l.decided {
		l.decided = true
		if n := int64(s.cfg.Newest); st.Last-s.next+1 > 2*n {
			l.first = st.Last - n + 1
			l.fresh = l.first
			s.cfg.Log.Info("delivering a backlog: the newest first, then from the oldest on", "records", st.Last-s.next+1, "newest", n)
		}
	}
	if l.fresh == 0 {
		return st.Last, nil
	}
	for l.fresh <= st.Last {
		select {
		case <-s.lost:
			return l.first - 1, nil
		default:
		}
		last, token, err := s.publish(ctx, span{l.fresh, st.Last})
		if err != nil {
			return 0, err
		}
		if token == nil {
			break
		}
		l.fresh, l.token = last+1, token
	}
	return l.first - 1, nil
}

// merge makes one lane of two when the back-fill has reached the newest. What was sent
// of them waits for its ack from now on: before, no ack could pass the gap.
func (s *session) merge() {
	l := &s.lanes
	if l.fresh == 0 || s.next < l.first {
		return
	}
	if l.token != nil && l.fresh > s.next {
		s.flying = append(s.flying, flight{last: l.fresh - 1, at: time.Now(), token: l.token})
	}
	s.next = max(s.next, l.fresh)
	*l = lanes{decided: true}
}

// rest is how long the back-fill has to wait, 0 when it may go on.
func (l *lanes) rest(now time.Time, rate int) time.Duration {
	if l.fresh == 0 {
		return 0
	}
	if !l.filled.IsZero() {
		l.budget += now.Sub(l.filled).Seconds() * float64(rate)
	}
	l.budget = min(l.budget, float64(rate))
	if l.filled.IsZero() {
		l.budget = 1
	}
	l.filled = now
	if l.budget > 0 {
		return 0
	}
	return time.Duration(-l.budget/float64(rate)*float64(time.Second)) + time.Millisecond
}

// spend notes records that were sent.
func (l *lanes) spend(n int64) { l.budget -= float64(n) }
