package simulate

import (
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
)

// dice are the random choices of one household. Each household has dice of its own, so
// that it comes out the same whoever makes it.
type dice struct{ *rand.Rand }

func newDice(seed, stream uint64) dice {
	return dice{rand.New(rand.NewPCG(seed, stream*0x9e3779b97f4a7c15+1))} //nolint:gosec // nothing here is secret
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is a whole number from lo to hi, both included.
func (d dice) between(lo, hi int) int {
	if hi <= lo {
		return lo
	}
	return lo + d.IntN(hi-lo+1)
}

// normal is a whole number around mean.
func (d dice) normal(mean, sd float64) int {
	return int(math.Round(mean + sd*d.NormFloat64()))
}

// days is a waiting time with a long tail.
func (d dice) days(mean float64) int { return int(d.ExpFloat64() * mean) }

func (d dice) day(from, to coldkeep.Date) coldkeep.Date {
	return coldkeep.Date(d.between(int(from), int(to)))
}

func choose[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

func (d dice) digits(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + d.IntN(10)))
	}
	return b.String()
}

// id is a ULID of that moment.
func (d dice) id(at time.Time) string {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // it fails in the year 10889
	for i := 6; i < len(id); i++ {
		id[i] = byte(d.Uint32())
	}
	return id.String()
}

// table is a choice by weight.
type table struct {
	words []string
	sums  []float64
}

// ranked makes a table of words in the order of their frequency, which among names
// falls about as one through the rank; flat keeps the first from being too common.
func ranked(flat float64, lists ...string) table {
	var t table
	sum := 0.0
	for _, w := range strings.Fields(strings.Join(lists, " ")) {
		sum += 1 / (float64(len(t.words)) + flat)
		t.words = append(t.words, strings.ReplaceAll(w, "_", " "))
		t.sums = append(t.sums, sum)
	}
	return t
}

func (t *table) pick(d dice) string { return t.words[pickSum(d, t.sums)] }

// pickSum chooses an index by sums of weights.
func pickSum(d dice, sums []float64) int {
	x := d.Float64() * sums[len(sums)-1]
	lo, hi := 0, len(sums)-1
	for lo < hi {
		m := (lo + hi) / 2
		if sums[m] <= x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// workingHour is a moment in the working hours of that day.
func (d dice) workingHour(day coldkeep.Date) time.Time {
	return day.Midnight(time.UTC).Add(14*time.Hour + time.Duration(d.IntN(9*3600))*time.Second)
}

// yearsAfter is the same day some years later, or the day before one that does not exist.
func yearsAfter(d coldkeep.Date, years int) coldkeep.Date {
	y, m, day := d.Civil()
	return coldkeep.CivilDate(y+years, m, min(day, coldkeep.DaysIn(y+years, m)))
}

// ageAt is the age in whole years.
func ageAt(birth, at coldkeep.Date) int {
	by, bm, bd := birth.Civil()
	y, m, d := at.Civil()
	age := y - by
	if m < bm || m == bm && d < bd {
		age--
	}
	return age
}
