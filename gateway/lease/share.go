package lease

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// lease is one row.
type lease struct {
	holder     string // "" is nobody
	generation Generation
}

// view is what the database says.
type view struct {
	live    []string         // ids of members that are alive, in order
	expires map[string]int64 // of all members, ms by the database's clock
	now     int64            // ms by the database's clock
	leases  map[string]lease
}

func (v view) alive(id string) bool {
	_, ok := slices.BinarySearch(v.live, id)
	return ok
}

// silent is how long nothing was heard of a member.
func (v view) silent(id string, ttl time.Duration) time.Duration {
	at, ok := v.expires[id]
	if !ok {
		return 0
	}
	return time.Duration(v.now-at)*time.Millisecond + ttl
}

// quota is how many of n leases the i-th of m members should hold: the first get
// one more when they cannot be shared evenly. All quotas add up to n.
func quota(n, m, i int) int {
	q := n / m
	if i < n%m {
		q++
	}
	return q
}

// share says which of its leases a member gives up, and which free ones it takes.
// Who has more than its quota gives the excess; who has less takes of what is free.
// The free ones are dealt in one order that all members with the same view agree
// on, so that nobody waits for a round because of another.
func share(me string, live []string, leases map[string]lease) (give, take []string) {
	rank, ok := slices.BinarySearch(live, me)
	if !ok {
		return nil, nil
	}
	room := make(map[string]int, len(live))
	for i, id := range live {
		room[id] = quota(len(leases), len(live), i)
	}
	var mine, free []string
	for name, l := range leases {
		switch l.holder {
		case me:
			mine = append(mine, name)
		case "":
			free = append(free, name)
		}
		room[l.holder]--
	}
	if excess := len(mine) - quota(len(leases), len(live), rank); excess > 0 {
		// Those go that others would rather have: the choice does not depend on when.
		slices.SortFunc(mine, func(a, b string) int {
			return cmp.Or(cmp.Compare(score(a, me), score(b, me)), cmp.Compare(a, b))
		})
		return mine[:excess], nil
	}
	slices.Sort(free)
	for _, name := range free {
		best, most := "", uint64(0)
		for _, id := range live {
			if s := score(name, id); room[id] > 0 && (best == "" || s > most) {
				best, most = id, s
			}
		}
		if best != "" {
			room[best]--
		}
		if best == me {
			take = append(take, name)
		}
	}
	return nil, take
}

// score ranks members for a lease, each lease in an order of its own.
func score(name, member string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member)) // a hash does not fail
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(name))
	// FNV's high bits hardly depend on the last bytes.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0x9e3779b97f4a7c15 // 2^64 / golden ratio (Knuth, TAOCP 3, 6.4)
	return x ^ x>>29
}
