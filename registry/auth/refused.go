package auth

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// How many refused requests go in the trail one by one: of a source so many at once and then
// one every so often, and of all sources together. What is beyond is counted, and the counts
// go in the trail, so that a flood fills no disk and does not hide itself either.
const (
	refusedAtOnce   = 1000
	refusedEvery    = 10 * time.Second
	refusedOfAll    = 10_000
	refusedOfAllOne = time.Second
	// mostSources bounds the sources that are counted one by one; those beyond are one.
	mostSources = 1000
	// mostCounted is how many sources a count names; the others of it are one entry.
	mostCounted = 50
)

// refusals bounds what refused requests write.
type refusals struct {
	each, all *throttle.Limiter

	mu     sync.Mutex
	floods map[flooder]*flood
}

func newRefusals() *refusals {
	return &refusals{each: throttle.New(refusedEvery, refusedAtOnce), all: throttle.New(refusedOfAllOne, refusedOfAll), floods: map[flooder]*flood{}}
}

// flooder is whose requests are counted together.
type flooder struct{ who, source string }

// flood is what was counted since the last count was entered.
type flood struct {
	by          Principal
	source      string
	n           int
	first, last time.Time
	kinds       map[string]int
	sources     int // when it stands for several
}

// take reports whether an entry of its own is to be written; otherwise it is counted.
func (r *refusals) take(by Principal, address, why string, now time.Time) bool {
	source := throttle.Source(address)
	if r.each.Take(source, now) == 0 && r.all.Take("", now) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(why, ":")
	r.mu.Lock()
	defer r.mu.Unlock()
	key := flooder{by.ID, source}
	f := r.floods[key]
	if f == nil && len(r.floods) >= mostSources {
		key = flooder{}
		f = r.floods[key]
	}
	if f == nil {
		f = &flood{by: by, source: source, first: now, kinds: map[string]int{}, sources: 1}
		if key == (flooder{}) {
			f.by, f.source = Principal{}, ""
		}
		r.floods[key] = f
	}
	f.n, f.last = f.n+1, now
	f.kinds[kind]++
	return false
}

// drain takes what was counted, the most first, and joins what is beyond mostCounted.
func (r *refusals) drain() []*flood {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.floods))
	r.floods = map[flooder]*flood{}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b *flood) int { return cmp.Or(b.n-a.n, a.first.Compare(b.first)) })
	if len(all) <= mostCounted {
		return all
	}
	rest := &flood{first: all[mostCounted].first, kinds: map[string]int{}}
	for _, f := range all[mostCounted:] {
		rest.add(f)
	}
	return append(all[:mostCounted:mostCounted], rest)
}

func (f *flood) add(more *flood) {
	f.n, f.sources = f.n+more.n, f.sources+more.sources
	if more.first.Before(f.first) {
		f.first = more.first
	}
	if more.last.After(f.last) {
		f.last = more.last
	}
	for kind, n := range more.kinds {
		f.kinds[kind] += n
	}
}

// back puts a count back that could not be entered.
func (r *refusals) back(f *flood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := flooder{f.by.ID, f.source}
	if have := r.floods[key]; have != nil {
		have.add(f)
		return
	}
	r.floods[key] = f
}

func (f *flood) words() string {
	kinds := slices.Sorted(maps.Keys(f.kinds))
	for i, k := range kinds {
		kinds[i] = fmt.Sprintf("%s (%d)", k, f.kinds[k])
	}
	of := ""
	if f.sources > 1 {
		of = fmt.Sprintf(" from %d addresses", f.sources)
	}
	return fmt.Sprintf("%d more%s were refused from %s to %s: %s", f.n, of, f.first.UTC().Format(time.RFC3339), f.last.UTC().Format(time.RFC3339), strings.Join(kinds, ", "))
}

// RefusedRequest enters in the trail a request that was refused before any service saw it,
// such as a form that a page of another site has sent. by may be nobody. why is of the
// registry's own words, never of what was sent: its kind, and after a colon where. Of a flood
// the first are entered one by one and the others counted (EnterRefused).
func (s *Service) RefusedRequest(ctx context.Context, by Principal, why string) error {
	if !s.refusals.take(by, audit.OriginOf(ctx).Address, why, s.clock.Now()) {
		return nil
	}
	return s.enterRefused(ctx, by, why)
}

func (s *Service) enterRefused(ctx context.Context, by Principal, why string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		e := s.entry(by, "request.refused", "request", by.Site, why)
		if !by.Known() {
			e.Who = "Nobody"
		}
		return tx.Audit(ctx, e)
	})
}

// EnterRefused enters the counts of requests that were refused beyond what is entered one by
// one. It is called every so often and before the registry ends. What cannot be entered is
// kept for the next time.
func (s *Service) EnterRefused(ctx context.Context) error {
	var first error
	for _, f := range s.refusals.drain() {
		if first == nil {
			first = s.enterRefused(audit.WithOrigin(ctx, audit.Origin{Address: f.source}), f.by, f.words())
		}
		if first != nil {
			s.refusals.back(f)
		}
	}
	return first
}

// expire ends a sign-in whose time is over, and says so in the trail: once, since it has
// ended then.
func (s *Service) expire(ctx context.Context, st Standing, why string) error {
	now := s.clock.Now()
	return s.store.Tx(ctx, func(tx Tx) error {
		n, err := tx.EndSignIns(ctx, st.Person, st.ID, "", now)
		if err != nil || n == 0 {
			return err
		}
		p := st.Account
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: p.ID, Who: p.Name, What: "person.expired", Subject: "person/" + p.ID, Site: st.Site, Detail: why, Session: st.ID})
	})
}
