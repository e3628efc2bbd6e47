package influx_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
)

// Whatever a server answers to a query, nothing falls over, an error's body is no
// readings, and each reading is of the series that was asked for and can be shown.
func FuzzAnswer(f *testing.F) {
	const head = "#datatype,string,long,dateTime:RFC3339,string,long,double,string\r\n#group,false,false,false,false,false,false,false\r\n#default,_result,,,,,,\r\n,result,table,_time,epoch,seq,celsius,q\r\n"
	f.Add(http.StatusOK, []byte(head+",,0,2026-03-01T00:00:00.000000001Z,01jd3k8w2m5n6p7q8r9s0t1v2w,1,4.312,\r\n\r\n"))
	f.Add(http.StatusOK, []byte(head+",,0,yesterday,x,one,warm,\r\n"))
	f.Add(http.StatusOK, []byte("#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,out of memory,1\r\n"))
	f.Add(http.StatusOK, []byte("#datatype,string,long,dateTime:RFC3339,long\r\n#group,false,false,false,false\r\n#default,_result,,,\r\n,result,table,_time,_value\r\n,,0,2026-03-01T00:00:00Z,7\r\n"))
	f.Add(http.StatusOK, []byte(`{"results":[{"statement_id":0,"series":[{"name":"reading","columns":["time","seq","epoch","celsius","raw","lo","hi","q"],"values":[[1767225600000000001,1,"01jd3k8w2m5n6p7q8r9s0t1v2w",4.312,null,null,null,null]]}]}]}`+"\n"))
	f.Add(http.StatusOK, []byte(`{"results":[{"statement_id":0,"error":"timeout"}]}`))
	f.Add(http.StatusOK, []byte(`{"results":[{"series":[{"columns":["time"],"values":[[]]}]}]}`))
	f.Add(http.StatusBadRequest, []byte(`{"code":"invalid","message":"no"}`))
	f.Add(http.StatusInternalServerError, []byte(`<html>`))
	type said struct {
		status int
		body   []byte
	}
	var now atomic.Pointer[said]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := now.Load()
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.WriteHeader(s.status)
		_, _ = w.Write(s.body)
	}))
	f.Cleanup(srv.Close)
	var stores []*influx.Store
	for _, flux := range []bool{false, true} {
		store, err := influx.Open(influx.Config{URL: srv.URL, Bucket: "coldkeep/autogen", Flux: flux})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = store.Close() })
		stores = append(stores, store)
	}
	k := coldkeep.Series{Site: "clinic", Agent: "pi-1", Probe: "p"}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		now.Store(&said{200 + int(uint(status)%400), body})
		// A point that comes in part is asked for again, for longer than a fuzzer has.
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		for _, store := range stores {
			seen := 0
			err := store.Range(ctx, k, 0, time.Now().UnixMilli(), func(r *coldkeep.Reading) error {
				seen++
				if r.Series != k {
					t.Fatalf("a reading of %s", r.Series)
				}
				if _, err := r.Celsius.MarshalJSON(); err != nil {
					t.Fatalf("%+v cannot be shown: %v", r, err)
				}
				return nil
			})
			if now.Load().status >= 300 && (err == nil || seen > 0) {
				t.Fatalf("status %d, %d readings, %v", now.Load().status, seen, err)
			}
			_, _ = store.Latest(ctx, k)
			_, _ = store.Count(ctx, k, 0, 1)
			_ = store.Ping(ctx)
			_ = store.Append(ctx, []coldkeep.Reading{{Series: k, Epoch: "01jd3k8w2m5n6p7q8r9s0t1v2w", Seq: 1, At: 1_767_225_600_000, Celsius: 4000}})
		}
	})
}
