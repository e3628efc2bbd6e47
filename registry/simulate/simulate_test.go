package simulate_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
)

var today = coldkeep.CivilDate(2026, 9, 1)

func records(t *testing.T, c simulate.Config, workers int) []simulate.Record {
	t.Helper()
	p, err := simulate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out []simulate.Record
	if err := p.Each(t.Context(), workers, func(r *simulate.Record) error { out = append(out, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheSameSeedGivesTheSamePeopleHoweverManyMakeThem(t *testing.T) {
	sum := func(seed uint64, workers int) string {
		h := sha256.New()
		if err := json.NewEncoder(h).Encode(records(t, simulate.Config{Seed: seed, Patients: 700, Duplicates: 0.1, Today: today}, workers)); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	one := sum(7, 1)
	for _, workers := range []int{2, 5} {
		if sum(7, workers) != one {
			t.Errorf("%d workers make others", workers)
		}
	}
	if sum(8, 2) == one {
		t.Error("another seed makes the same")
	}
}

func TestThePopulationIsOneOfAState(t *testing.T) {
	const n = 20_000
	all := records(t, simulate.Config{Seed: 1, Patients: n, Duplicates: 0.05, Today: today}, 0)
	if len(all) != n {
		t.Fatalf("%d records", len(all))
	}
	// The shares of the 2020 Census: under 18, 18 to 64, 65 and over.
	var bands [3]int
	var doses, second, late, moved, jr, hyphen, refused, married, twins, locked int
	for _, r := range all {
		if r.Second {
			second++
			continue
		}
		age := int(today-r.Patient.Birth) / 365
		switch {
		case age < 18:
			bands[0]++
		case age < 65:
			bands[1]++
		default:
			bands[2]++
		}
		doses += len(r.Doses)
		if len(r.Patient.Addresses) > 1 {
			moved++
		}
		if r.Patient.Names[0].Suffix != "" {
			jr++
		}
		if slices.ContainsFunc(r.Patient.Names, func(n patient.Name) bool { return n.Kind == patient.Maiden }) {
			married++
		}
		if slices.ContainsFunc([]byte(r.Patient.Names[0].Family), func(b byte) bool { return b == '-' }) {
			hyphen++
		}
		if r.Patient.Multiple != nil && *r.Patient.Multiple {
			twins++
		}
		if r.Patient.Lock != nil {
			locked++
		}
		for _, d := range r.Doses {
			if d.Kind == immunization.Refused {
				refused++
				break
			}
		}
		if slices.ContainsFunc(r.Doses, func(d immunization.Dose) bool { return d.CVX == "03" && int(d.Date-r.Patient.Birth) > 480 && age < 18 }) {
			late++
		}
	}
	first := n - second
	for i, want := range []float64{0.221, 0.611, 0.168} {
		if got := float64(bands[i]) / float64(first); got < want-0.03 || got > want+0.03 {
			t.Errorf("band %d: %.3f of the people, want about %.3f", i, got, want)
		}
	}
	if share := float64(second) / n; share < 0.04 || share > 0.06 {
		t.Errorf("%.3f are second records", share)
	}
	t.Logf("doses each %.1f; moved %d, Jr %d, hyphen %d, refused %d, married %d, twins %d, locked %d, late MMR %d", float64(doses)/float64(first), moved, jr, hyphen, refused, married, twins, locked, late)
	if mean := float64(doses) / float64(first); mean < 9 || mean > 16 {
		t.Errorf("%.1f doses a person", mean)
	}
	for what, count := range map[string]int{"movers": moved, "Jr": jr, "hyphens": hyphen, "refusers": refused, "married": married, "twins": twins, "locked": locked, "late": late} {
		if count < first/1000 {
			t.Errorf("%d of %d are %s", count, first, what)
		}
	}
}

func TestRecordsAreWhole(t *testing.T) {
	p, err := simulate.New(simulate.Config{Seed: 3, Patients: 5000, Duplicates: 0.2, Today: today})
	if err != nil {
		t.Fatal(err)
	}
	sites := map[coldkeep.SiteID]bool{"": true}
	for _, s := range p.Sites() {
		sites[s.ID] = true
	}
	ids, people := map[string]bool{}, map[string]bool{}
	known := simulate.MistakeNames()
	once := func(id string) {
		if len(id) != 26 || ids[id] {
			t.Errorf("id %q is none or taken", id)
		}
		ids[id] = true
	}
	err = p.Each(t.Context(), 0, func(r *simulate.Record) error {
		once(r.Patient.ID)
		pt := &r.Patient
		if pt.Names[0].Family == "" || pt.Names[0].Given == "" || !pt.Birth.Known() || pt.Birth > today || !sites[pt.CreatedBy] || len(pt.Statuses) == 0 {
			t.Errorf("%+v", pt)
		}
		if people[r.Truth] != r.Second || !r.Second && r.Errors != nil {
			t.Errorf("record %s: second %v, errors %v", r.Patient.ID, r.Second, r.Errors)
		}
		people[r.Truth] = true
		for _, e := range r.Errors {
			if !slices.Contains(known, e) {
				t.Errorf("error %q is not told of", e)
			}
		}
		last := coldkeep.Date(0)
		for _, d := range r.Doses {
			once(d.ID)
			if d.Patient != pt.ID || d.Date < last || d.Date > today || d.CVX == "" || !sites[d.Site] || coldkeep.DateOf(d.EnteredAt) < d.Date {
				t.Errorf("dose %+v", d)
			}
			if !r.Second && d.Date < pt.Birth {
				t.Errorf("a dose before birth: %+v", d)
			}
			if d.Kind == immunization.Administered && (d.Lot == "" || d.MVX == "" || d.Site == "" || d.Eligibility == "") {
				t.Errorf("a dose that was given lacks something: %+v", d)
			}
			last = d.Date
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(people) == 5000 {
		t.Error("there are no second records")
	}
}

func TestEachStops(t *testing.T) {
	p, err := simulate.New(simulate.Config{Patients: 100_000, Today: today})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	n := 0
	if err := p.Each(t.Context(), 2, func(*simulate.Record) error {
		if n++; n == 10 {
			return full
		}
		return nil
	}); !errors.Is(err, full) || n != 10 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = p.Each(ctx, 2, func(*simulate.Record) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, c := range []simulate.Config{
		{Patients: -1, Today: today}, {Patients: 1}, {Patients: 1, Today: today, Duplicates: 0.9}, {Patients: 1, Today: today, Practices: -2},
	} {
		if _, err := simulate.New(c); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func BenchmarkEach(b *testing.B) {
	p, err := simulate.New(simulate.Config{Patients: b.N, Duplicates: 0.03, Today: today})
	if err != nil {
		b.Fatal(err)
	}
	doses := 0
	if err := p.Each(b.Context(), 0, func(r *simulate.Record) error { doses += len(r.Doses); return nil }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(doses)/float64(b.N), "doses/patient")
}
