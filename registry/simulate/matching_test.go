package simulate_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
)

var (
	matchingPatients = flag.Int("matching", 15_000, "records over which matching is measured")
	matchingSeed     = flag.Uint64("matching-seed", 20_260_901, "of the population over which matching is measured; weights.json comes from others")
)

// measured is how matching did on a labelled population, each record coming in after the
// other as they would from practices.
type measured struct {
	records, seconds       int
	merged, mergedWrong    int // without a person
	queued, queuedRight    int // second records whose own first one is in the queue, and all records in it
	missed                 int
	byError, missedByError map[string]int
	wrong                  []string
}

func (m *measured) precision() float64 { return 1 - float64(m.mergedWrong)/float64(max(1, m.merged)) }
func (m *measured) recall() float64 {
	return 1 - float64(m.missed)/float64(max(1, m.seconds))
}

func (m *measured) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records, %d of them second ones with errors\n", m.records, m.seconds)
	fmt.Fprintf(&b, "merged without a person: %d, wrongly %d: precision %.5f\n", m.merged, m.mergedWrong, m.precision())
	fmt.Fprintf(&b, "put before a person: %d records, %d of them rightly\n", m.queued, m.queuedRight)
	fmt.Fprintf(&b, "missed: %d: recall of merges and queue %.4f, of merges alone %.4f\n", m.missed, m.recall(), float64(m.merged-m.mergedWrong)/float64(max(1, m.seconds)))
	kinds := simulate.MistakeNames()
	slices.SortStableFunc(kinds, func(x, y string) int { return m.missedByError[y] - m.missedByError[x] })
	for _, k := range kinds {
		if m.byError[k] > 0 {
			fmt.Fprintf(&b, "  %-24s in %6d second records, %4d of them missed\n", k, m.byError[k], m.missedByError[k])
		}
	}
	return b.String()
}

func measure(t *testing.T, c simulate.Config, w *patient.Weights) *measured {
	t.Helper()
	p, err := simulate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m := &measured{byError: map[string]int{}, missedByError: map[string]int{}}
	var all []patient.Candidate
	index := map[int64][]int32{}
	truth := map[string]string{} // by id of the record
	if err := p.Each(t.Context(), 0, func(r *simulate.Record) error {
		profile := patient.ProfileOf(&r.Patient)
		seen := map[int32]bool{}
		var near []patient.Candidate
		keys := profile.Keys()
		for _, k := range keys {
			for _, i := range index[k] {
				if !seen[i] {
					seen[i] = true
					near = append(near, all[i])
				}
			}
		}
		d := patient.Decide(w, &profile, near)
		m.records++
		right := slices.ContainsFunc(d.Possible, func(s patient.Scored) bool { return truth[s.ID] == r.Truth })
		switch d.Outcome {
		case patient.Matched:
			m.merged++
			if truth[d.ID] != r.Truth {
				m.mergedWrong++
				m.wrong = append(m.wrong, fmt.Sprintf("%+v", d.Possible[0].Parts()))
			}
		case patient.Possible:
			m.queued++
			if right {
				m.queuedRight++
			}
		case patient.Unmatched:
		}
		if r.Second {
			m.seconds++
			for _, e := range r.Errors {
				m.byError[e]++
			}
			if !right {
				m.missed++
				for _, e := range r.Errors {
					m.missedByError[e]++
				}
			}
		}
		truth[r.Patient.ID] = r.Truth
		at := int32(len(all)) //nolint:gosec // there are not so many
		all = append(all, patient.Candidate{ID: r.Patient.ID, Head: r.Patient.ID, Profile: profile})
		for _, k := range keys {
			index[k] = append(index[k], at)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// The registry may merge two records without a person only when it is as good as never
// wrong, and must merge or show nearly all that are one person's. A larger population:
//
//	go test ./registry/simulate -run Matching -v -matching 200000
func TestMatchingOnLabelledDuplicates(t *testing.T) {
	m := measure(t, simulate.Config{Seed: *matchingSeed, Patients: *matchingPatients, Duplicates: 0.1, Today: today}, patient.DefaultWeights)
	t.Logf("\n%s", m)
	if m.precision() < 0.999 {
		t.Errorf("precision of merges without a person is %.5f, want at least 0.999; wrong ones:\n%s", m.precision(), strings.Join(m.wrong[:min(10, len(m.wrong))], "\n"))
	}
	if m.recall() < 0.95 {
		t.Errorf("recall of merges and queue is %.4f, want at least 0.95", m.recall())
	}
}
