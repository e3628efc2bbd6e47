package immunization_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// A form that is sent twice, one after the other or many times at once, records one dose and
// gives it each time. What is another dose is not taken for it.
func TestAFormRecordsOneDose(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot := w.lot("A", 5)
		child, other := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside"), w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		form := immunization.Confirm{Yes: true, Form: "f1"}
		const times = 8
		ids := make([]string, times)
		var wg sync.WaitGroup
		for i := range times {
			wg.Go(func() {
				d, err := w.Record(context.Background(), nurse, given(child, lot, today), form)
				if err != nil {
					t.Error(err)
				}
				ids[i] = d.ID
			})
		}
		wg.Wait()
		again, err := w.Record(w.ctx, nurse, given(child, lot, today), immunization.Confirm{Form: "f1"})
		w.must(err)
		for _, id := range append(ids, again.ID) {
			if id == "" || id != ids[0] {
				t.Fatalf("one form has recorded %v", ids)
			}
		}
		if w.onHand(lot) != 4 {
			t.Errorf("%d on hand of 5 after one dose", w.onHand(lot))
		}
		// The way back in the browser, and something else in the form.
		changed := given(child, lot, today-1)
		var used *immunization.UsedForm
		if _, err := w.Record(w.ctx, nurse, changed, form); !errors.As(err, &used) || coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("another dose by the same form: %v", err)
		}
		if _, err := w.Record(w.ctx, nurse, given(other, lot, today), form); !errors.As(err, &used) {
			t.Errorf("another child's dose by the same form: %v", err)
		}
		form.Form = "f2"
		second, err := w.Record(w.ctx, nurse, changed, form)
		w.must(err)
		if second.ID == ids[0] || w.onHand(lot) != 3 {
			t.Errorf("a form of its own: %s, %d on hand", second.ID, w.onHand(lot))
		}
		// Another's form of the same key is another form.
		theirs := historical(child, "20", today-400)
		_, err = w.Record(w.ctx, manager, theirs, immunization.Confirm{Form: "f1"})
		w.must(err)
		// A form that was refused has recorded nothing, and is good once it is right.
		bad := historical(child, "10", today+1)
		_, err = w.Record(w.ctx, nurse, bad, immunization.Confirm{Form: "f3"})
		w.wants(err, coldkeep.EINVALID)
		bad.Date = today - 300
		_, err = w.Record(w.ctx, nurse, bad, immunization.Confirm{Form: "f3"})
		w.must(err)
		w.must(w.st.Tidy(w.ctx, noon.Add(time.Minute)))
		if _, err := w.Record(w.ctx, nurse, changed, immunization.Confirm{Yes: true, Form: "f2"}); err != nil {
			t.Errorf("a key that was let go of: %v", err)
		}
	})
}
