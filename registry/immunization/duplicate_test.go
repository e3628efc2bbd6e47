package immunization_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// some knows a few vaccines.
type some struct{}

func (some) Groups(cvx string) []string {
	return map[string][]string{"20": {"DTaP"}, "107": {"DTaP"}, "08": {"HepB"}, "10": {"Polio"}, "110": {"DTaP", "HepB", "Polio"}, "03": {"MMR"}}[cvx]
}
func (some) Vague(cvx string) bool { return cvx == "107" }

func TestDuplicates(t *testing.T) {
	day := coldkeep.NewDate(2026, 1, 5)
	stock := immunization.Dose{ID: "stock", Kind: immunization.Administered, Date: day, CVX: "110", Lot: "L", StockID: "s", Site: "lakeside"}
	h := func(id, cvx string, on coldkeep.Date) immunization.Dose {
		return immunization.Dose{ID: id, Kind: immunization.Historical, Date: on, CVX: cvx, Source: "01"}
	}
	second := stock
	second.ID, second.StockID, second.CVX = "second", "t", "08"
	recalled := h("recalled", "20", day)
	recalled.Source = "04"
	refused := h("refused", "20", day)
	refused.Kind = immunization.Refused
	apart := h("apart", "20", day)
	apart.DistinctFrom = []string{"a"}
	gone := h("gone", "20", day)
	gone.Deleted = &immunization.Deletion{}
	for name, c := range map[string]struct {
		doses []immunization.Dose
		want  map[string]string
	}{
		"a part of a combination":      {[]immunization.Dose{h("a", "20", day), h("b", "10", day), stock}, map[string]string{"a": "stock", "b": "stock"}},
		"two from stock are two":       {[]immunization.Dose{stock, second}, map[string]string{}},
		"another day":                  {[]immunization.Dose{h("a", "20", day), h("b", "20", day+1)}, map[string]string{}},
		"another group":                {[]immunization.Dose{h("a", "20", day), h("b", "03", day)}, map[string]string{}},
		"a code that says less":        {[]immunization.Dose{h("a", "107", day), h("b", "20", day)}, map[string]string{"a": "b"}},
		"written down before recall":   {[]immunization.Dose{recalled, h("z", "20", day)}, map[string]string{"recalled": "z"}},
		"refused or deleted is none":   {[]immunization.Dose{h("a", "20", day), refused, gone}, map[string]string{}},
		"a person has told them apart": {[]immunization.Dose{h("a", "20", day), apart}, map[string]string{}},
		"three of one":                 {[]immunization.Dose{h("c", "20", day), h("b", "20", day), h("a", "20", day)}, map[string]string{"b": "a", "c": "a"}},
	} {
		if got := immunization.Duplicates(c.doses, some{}); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	near := immunization.NearDuplicates([]immunization.Dose{h("a", "20", day), h("b", "20", day+3), h("c", "20", day+30)}, some{})
	if len(near) != 1 || near[0] != [2]string{"a", "b"} {
		t.Errorf("%v", near)
	}
}

// Which records are of one dose does not depend on the order in which they came, and the
// record that stands for others stands for itself.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "n")
		doses := make([]immunization.Dose, n)
		for i := range doses {
			d := immunization.Dose{ID: fmt.Sprintf("%02d", i), Kind: immunization.Historical, Date: coldkeep.NewDate(2026, 1, rapid.IntRange(1, 2).Draw(t, "day")),
				CVX:    rapid.SampledFrom([]string{"20", "107", "08", "10", "110", "03", "999"}).Draw(t, "cvx"),
				Source: rapid.SampledFrom([]string{"01", "04"}).Draw(t, "source"), Lot: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "lot"),
				EnteredAt: time.Unix(rapid.Int64Range(0, 2).Draw(t, "entered"), 0)}
			if rapid.Bool().Draw(t, "given here") {
				d.Kind, d.Site = immunization.Administered, "lakeside"
				if rapid.Bool().Draw(t, "from stock") {
					d.StockID = "s"
				}
			}
			doses[i] = d
		}
		first := immunization.Duplicates(doses, some{})
		for i, other := range rapid.Permutation(doses).Draw(t, "order") {
			_ = i
			if best := first[other.ID]; best != "" && first[best] != "" {
				t.Fatalf("%s stands for %s, and %s for it", best, other.ID, first[best])
			}
		}
		if again := immunization.Duplicates(rapid.Permutation(doses).Draw(t, "again"), some{}); !maps.Equal(first, again) {
			t.Fatalf("%v and %v", first, again)
		}
		// IDs and times of entry tell the order of arrival: what counts is the same without them.
		later := slices.Clone(doses)
		perm := rapid.Permutation(doses).Draw(t, "arrival")
		for i := range later {
			later[i].ID, later[i].EnteredAt = perm[i].ID, perm[i].EnteredAt
		}
		if a, b := counted(doses, first), counted(later, immunization.Duplicates(later, some{})); !slices.Equal(a, b) {
			t.Fatalf("%v count, and as they came otherwise %v", a, b)
		}
	})
}

// counted is what the doses say that stand for themselves.
func counted(doses []immunization.Dose, of map[string]string) []string {
	var out []string
	for _, d := range doses {
		if of[d.ID] == "" {
			out = append(out, fmt.Sprint(d.Kind, d.Date, d.CVX, d.Source, d.Lot, d.Site, d.StockID))
		}
	}
	slices.Sort(out)
	return out
}

// Many who draw at once never take more than there is, and what is deleted comes back.
func TestStockIsNeverLessThanNone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		const doses, nurses = 5, 12
		lot := w.lot("A", doses)
		children := make([]string, nurses)
		for i := range children {
			children[i] = w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		}
		var mu sync.Mutex
		var drawn []immunization.Dose
		var wg sync.WaitGroup
		for _, p := range children {
			wg.Go(func() {
				d, err := w.Record(context.Background(), nurse, given(p, lot, today), immunization.Confirm{})
				mu.Lock()
				defer mu.Unlock()
				switch coldkeep.ErrorCode(err) {
				case "":
					drawn = append(drawn, d)
				case coldkeep.ECONFLICT:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(drawn) != doses || w.onHand(lot) != 0 {
			t.Fatalf("%d drawn of %d, %d on hand", len(drawn), doses, w.onHand(lot))
		}
		for _, d := range drawn {
			wg.Go(func() {
				if err := w.Delete(context.Background(), nurse, d.ID, d.Revision, "not given"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		entries, err := w.stock.Journal(w.ctx, manager, lot)
		w.must(err)
		sum := 0
		for _, e := range entries {
			sum += e.Doses
		}
		if w.onHand(lot) != doses || sum != doses {
			t.Errorf("%d on hand, the journal adds up to %d", w.onHand(lot), sum)
		}
	})
}

// A historical record of a dose that was given here is kept and not counted, until a
// person says that they are two.
func TestTellApart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside", "northgate")
		d := w.record(nurse, given(p, w.lot("A", 3), today-40))
		h := w.record(elsewhere, historical(p, "03", today-40))
		if h.DuplicateOf != d.ID {
			t.Fatalf("%+v", h)
		}
		w.must(w.TellApart(w.ctx, nurse, h.ID, h.Revision, d.ID, "Two doses by mistake"))
		v, err := w.View(w.ctx, nurse, p)
		w.must(err)
		if len(v.Groups[0].Doses) != 2 {
			t.Errorf("%+v", v.Groups)
		}
		w.wants(w.TellApart(w.ctx, nurse, h.ID, h.Revision+1, "nothing", "x"), coldkeep.EINVALID)
	})
}
