package influx

import (
	"encoding/json"
	"testing"
)

// Rows taken apart by hand are what encoding/json makes of them, and nothing that a
// server may say breaks us.
func FuzzEachRow(f *testing.F) {
	for _, s := range []string{
		`{"results":[{"statement_id":0,"series":[{"name":"reading","columns":["time","seq","epoch"],"values":[[1,2,"E"],[3,null,"a\"b,]["]],"partial":true}],"partial":true}]}`,
		`{"results":[{"statement_id":3,"series":[{"columns":["a"],"values":[[ 1.5e3 ],["\\"]]}]}]}`,
		`{"results":[{"statement_id":0,"error":"query interrupted"}]}`,
		`{"error":"database not found"}`,
		`{"results":[{"series":[{"columns":["a"],"values":[[[1]],{"x":[2]},3,"]"]}]}]}`,
		`{"results":[{"series":[{"columns":["a","b"],"values":[[1]]}]}]}`,
		`not JSON`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		var got [][]string
		err := eachRow(chunk, func(_ int, columns []string, row [][]byte) error {
			if len(columns) != len(row) {
				t.Fatalf("%d cells in %d columns", len(row), len(columns))
			}
			cells := make([]string, len(row))
			for i, c := range row {
				cells[i] = string(c)
				_, _ = cellInt(c)
				_, _ = cellTemp(c)
				_, _ = cellString(c)
			}
			got = append(got, cells)
			return nil
		})
		if err != nil {
			return
		}
		var want struct {
			Results []struct {
				Series []struct{ Values [][]json.RawMessage }
			}
		}
		if json.Unmarshal(chunk, &want) != nil {
			return // rows of another shape
		}
		n := 0
		for _, r := range want.Results {
			for _, s := range r.Series {
				for _, row := range s.Values {
					for i, c := range row {
						var a, b any
						if n >= len(got) || i >= len(got[n]) || json.Unmarshal(c, &a) != nil || json.Unmarshal([]byte(got[n][i]), &b) != nil {
							return // nested cells, which no server sends
						}
						if x, _ := json.Marshal(a); string(x) != func() string { y, _ := json.Marshal(b); return string(y) }() {
							t.Fatalf("cell %d of row %d is %s, want %s", i, n, got[n][i], c)
						}
					}
					n++
				}
			}
		}
	})
}
