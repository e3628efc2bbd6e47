package lease

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// dealt gives what everybody in live takes and gives from one view of the leases.
func dealt(t *rapid.T, live []string, leases map[string]lease, members ...string) (moves int) {
	for _, me := range members {
		give, take := share(me, live, leases)
		for _, name := range give {
			if leases[name].holder != me {
				t.Fatalf("%s gives %s of %q", me, name, leases[name].holder)
			}
			leases[name] = lease{}
		}
		for _, name := range take {
			if leases[name].holder != "" {
				t.Fatalf("%s takes %s of %q", me, name, leases[name].holder)
			}
			leases[name] = lease{holder: me}
		}
		moves += len(give) + len(take)
	}
	return moves
}

// From any distribution, with any order of the members' rounds, two rounds make it
// even, with everything held; a third moves nothing, and whoever was within its
// share has moved nothing.
func TestShareEvens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 40).Draw(t, "leases"), rapid.IntRange(1, 6).Draw(t, "members")
		live := make([]string, m)
		for i := range live {
			live[i] = fmt.Sprintf("collector-%d", i)
		}
		leases := map[string]lease{}
		before := map[string]int{}
		for i := range n {
			holder := rapid.SampledFrom(append([]string{""}, live...)).Draw(t, "holder")
			leases[fmt.Sprintf("site-%d", i)] = lease{holder: holder}
			before[holder]++
		}
		was := map[string]string{}
		for name, l := range leases {
			was[name] = l.holder
		}
		for range 2 {
			dealt(t, live, leases, rapid.Permutation(live).Draw(t, "order")...)
		}
		held := map[string]int{}
		moved := 0
		for name, l := range leases {
			held[l.holder]++
			if was[name] != "" && was[name] != l.holder {
				moved++
			}
		}
		excess := 0
		for i, id := range live {
			if want := quota(n, m, i); held[id] != want {
				t.Fatalf("%s holds %d of %d among %d, want %d: %v", id, held[id], n, m, want, leases)
			}
			excess += max(0, before[id]-quota(n, m, i))
		}
		if moved != excess {
			t.Fatalf("%d leases moved where %d were too many", moved, excess)
		}
		if again := dealt(t, live, leases, live...); again != 0 {
			t.Fatalf("%d leases move although they are shared evenly", again)
		}
	})
}

// All that see the same agree at once who takes what is free, so that a dead
// member's leases need one round.
func TestShareDealsFreeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 40).Draw(t, "leases"), rapid.IntRange(1, 6).Draw(t, "members")
		var live []string
		for i := range m {
			live = append(live, fmt.Sprintf("c%d", i))
		}
		leases := map[string]lease{}
		for i := range n {
			leases[fmt.Sprint("s", i)] = lease{}
		}
		var taken []string
		for _, id := range live {
			give, take := share(id, live, leases)
			if len(give) > 0 {
				t.Fatal("gives what it has not")
			}
			taken = append(taken, take...)
		}
		slices.Sort(taken)
		if len(taken) != n || len(slices.Compact(taken)) != n {
			t.Fatalf("%d takes of %d leases", len(taken), n)
		}
	})
}
