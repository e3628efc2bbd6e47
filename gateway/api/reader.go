// Package api is the collector's read API: what charts, exports and live screens
// ask for, in process (Reader, Hub) or over HTTP (Routes, Client).
package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// defaultGap is the silence that counts as a gap where no profile says otherwise:
// the widest logging interval that CDC allows.
const defaultGap = 30 * time.Minute

// Reader answers questions about appliances from the readings store.
type Reader struct {
	Store  readings.Store
	Mirror func() coldkeep.Mirror // which probe stood where
}

// stay is one probe's time in an appliance.
type stay struct {
	coldkeep.Series
	from, to time.Time
}

func (r *Reader) stays(a coldkeep.ApplianceID, from, to time.Time) (stays []stay, maxGap time.Duration, err error) {
	m := r.Mirror()
	ap, ok := m.Appliance(a)
	if !ok {
		return nil, 0, coldkeep.Errorf(coldkeep.ENOTFOUND, "appliance %q is not known", a)
	}
	maxGap = defaultGap
	if p, err := coldkeep.FindProfile(ap.Profile); err == nil {
		if u, err := p.Unit(ap.Unit); err == nil {
			maxGap = u.MaxGapDuration()
		}
	}
	for _, as := range m.Assignments {
		if as.Appliance != a {
			continue
		}
		s := stay{Series: as.Series, from: from, to: to}
		if as.From.After(s.from) {
			s.from = as.From
		}
		if as.To != nil && as.To.Before(s.to) {
			s.to = *as.To
		}
		if s.from.Before(s.to) {
			stays = append(stays, s)
		}
	}
	return stays, maxGap, nil
}

// Buckets returns an appliance's readings in [from, to) in n buckets. Of several
// probes every extreme is kept. ENOTFOUND for an unknown appliance, EINVALID for a
// range or n that makes no sense.
func (r *Reader) Buckets(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error) {
	stays, maxGap, err := r.stays(a, from, to)
	if err != nil {
		return nil, err
	}
	var out []coldkeep.Bucket
	for _, s := range stays {
		// A probe's readings from outside of its stay are not the appliance's.
		bs, err := readings.Downsample(ctx, r.Store, s.Series, from, to, s.from, s.to, n, maxGap)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = bs
			continue
		}
		for i := range out {
			merge(&out[i], &bs[i])
		}
	}
	if out == nil {
		out = []coldkeep.Bucket{}
	}
	return out, nil
}

func merge(a, b *coldkeep.Bucket) {
	a.Faults += b.Faults
	a.Gaps = max(a.Gaps, b.Gaps)
	switch {
	case b.Count == 0:
		return
	case a.Count == 0:
		a.Min, a.Max, a.Mean, a.Count = b.Min, b.Max, b.Mean, b.Count
		return
	}
	a.Mean = coldkeep.Temperature((int64(a.Mean)*int64(a.Count) + int64(b.Mean)*int64(b.Count)) / int64(a.Count+b.Count))
	a.Min, a.Max, a.Count = min(a.Min, b.Min), max(a.Max, b.Max), a.Count+b.Count
}

// Each calls each with every reading of an appliance in [from, to), probe by probe
// and in order of time.
func (r *Reader) Each(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time, each func(*coldkeep.Reading) error) error {
	stays, _, err := r.stays(a, from, to)
	if err != nil {
		return err
	}
	slices.SortFunc(stays, func(a, b stay) int { return a.from.Compare(b.from) })
	for _, s := range stays {
		if err := r.Store.Range(ctx, s.Series, s.from.UnixMilli(), s.to.UnixMilli(), each); err != nil {
			return err
		}
	}
	return nil
}

// Hub passes live events on to whoever listens. A listener that is slow misses
// events, never blocks the sender: an event only says "ask again".
type Hub struct {
	mu        sync.Mutex
	listeners map[chan coldkeep.LiveEvent]struct{}
}

// Publish tells all listeners.
func (h *Hub) Publish(ev coldkeep.LiveEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.listeners {
		select {
		case c <- ev:
		default:
		}
	}
}

// Subscribe listens until ctx ends; then the channel is closed.
func (h *Hub) Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent {
	c := make(chan coldkeep.LiveEvent, 64)
	h.mu.Lock()
	if h.listeners == nil {
		h.listeners = map[chan coldkeep.LiveEvent]struct{}{}
	}
	h.listeners[c] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		delete(h.listeners, c)
		close(c)
		h.mu.Unlock()
	})
	return c
}
