package judge

import (
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// The commit's answer is lost, a checkpoint passes, and the process dies before it is tried again.
func TestLostAnswer(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(600, 660, 5000))
	r := u.minutes(601, 659, 9000)
	for i := range r {
		r[i].At += 1000
		r[i].Seq += 5000
	}
	done := b.enter(t, j, r) // it is in the book
	done(false)              // and nobody knows
	b.round(t, j, u.minutes(661, 661+800, 5000))
	b.round(t, b.judge(b.store, u), nil)
	if len(warm(b.standing(t, u))) == 0 {
		t.Fatal("an hour at 9 °C was never judged")
	}
}

// A new unit's every round writes to the book.
func TestFreshWrites(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	work(j)
	b.round(t, j, u.minutes(0, 1, 5000))
	b.round(t, j, u.minutes(2, 2, 5000))
	for _, tr := range j.tracks {
		b.bring(t, j, u.minutes(3, 3, 5000))
		j.takeDue()
		o, err := j.fromMemory(t.Context(), tr)
		if err != nil || o == nil {
			t.Fatal(o, err)
		}
		if o.worth() {
			t.Fatalf("a row for a reading in order: %d quarters, %d checkpoints", len(o.Quarters), len(o.Checkpoints))
		}
	}
	_ = coldkeep.TooWarm
}
