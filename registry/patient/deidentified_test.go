package patient_test

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
)

func TestDeidentified(t *testing.T) {
	each(t, func(w *world) {
		givens := []string{"Mila", "Jonas", "Greta", "Theo", "Ruth", "Peter", "Dana", "Wendell", "Chidi", "Olga", "Quentin", "Yusuf"}
		for i, given := range givens {
			p := mila("Brandt", given)
			p.Contacts, p.Guardians = nil, nil
			p.Addresses[0].Street = given + " Way"
			if i == 0 {
				p.Addresses[0].ZIP, p.Addresses[0].County = "62701", "=Sangamon"
			}
			w.add(nurse, p)
		}
		_, err := w.CountDeidentified(w.ctx, nurse)
		w.want(coldkeep.EFORBIDDEN, err)
		table, err := w.CountDeidentified(w.ctx, epi)
		w.must(err)
		if !reflect.DeepEqual(table.Areas, []string{"606", "627"}) || table.Cells[0][3] != 11 || table.Cells[1][3] != -1 || table.Total != 10 {
			w.t.Errorf("%+v", table)
		}
		w.want(coldkeep.EFORBIDDEN, w.WriteDeidentified(w.ctx, nurse, &bytes.Buffer{}, nil))
		var one, two bytes.Buffer
		w.must(w.WriteDeidentified(w.ctx, epi, &one, nil))
		w.must(w.WriteDeidentified(w.ctx, epi, &two, nil))
		if one.String() != two.String() {
			w.t.Error("two exports differ")
		}
		rows, err := csv.NewReader(&one).ReadAll()
		w.must(err)
		if len(rows) != 13 {
			w.t.Fatalf("%d rows", len(rows))
		}
		seen := map[string]bool{}
		for _, r := range rows[1:] {
			seen[r[0]] = true
			if len(r[0]) != 24 || r[1] != "2019" || r[2] != "7" || r[3] != "606" && r[3] != "" || strings.Contains(strings.Join(r, ","), "Brandt") || r[7] != "Cook" && r[7] != "" {
				w.t.Errorf("%v", r)
			}
		}
		if len(seen) != 12 {
			w.t.Errorf("%d pseudonyms", len(seen))
		}
	})
}
