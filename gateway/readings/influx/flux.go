package influx

import (
	"context"
	"github.com/influxdata/influxdb-client-go/v2/api"
	"math"
	"slices"
	"strconv"

	"github.com/influxdata/influxdb-client-go/v2/api/query"

	"github.com/coldkeep/coldkeep"
)

// flux asks by Flux over /api/v2/query: 1.8 with Flux enabled, and 2.x.
type flux struct{ *Store }

// flux is the start of every query: the points of a series in [from, to) ms.
func (s *Store) flux(k coldkeep.Series, from, to int64) string {
	q := strconv.Quote
	before := ""
	if to == 0 { // a stop of 0 ns is none to it
		to, before = 1, " |> filter(fn: (r) => r._time < time(v: 0))"
	}
	return "from(bucket: " + q(s.bucket) + ")" +
		" |> range(start: " + nano(from) + ", stop: " + nano(to) + ")" +
		" |> filter(fn: (r) => r._measurement == " + q(measurement) +
		" and r.site == " + q(string(k.Site)) + " and r.agent == " + q(string(k.Agent)) + " and r.probe == " + q(string(k.Probe)) + ")" + before
}

func nano(ms int64) string { return "time(v: " + strconv.FormatInt(ms*1_000_000, 10) + ")" }

// pivot makes one row of the fields of a point.
const pivot = ` |> drop(columns: ["_start", "_stop"])` +
	` |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()`

// The server holds what it joins into points in memory. pivotPoints is how many
// field values that may be; a day of one probe, at six values a second, is let
// through without counting.
const (
	pivotPoints = 250_000
	pivotSpan   = 86_400_000
)

// points reads a series in order, in pieces that the server can join in memory.
func (f flux) points(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	if to-from > pivotSpan {
		n, err := f.sum(ctx, f.flux(k, from, to)+` |> count()`)
		if err != nil || n == 0 {
			return err
		}
		if n > pivotPoints {
			// Almost all of the time there is holds nothing: 1970 and the far future go first.
			middle := from + (to-from)/2
			if err := f.points(ctx, k, from, middle, each); err != nil {
				return err
			}
			return f.points(ctx, k, middle, to, each)
		}
	}
	res, err := f.query.Query(ctx, f.flux(k, from, to)+pivot+` |> sort(columns: ["_time"])`)
	if err != nil {
		return err
	}
	defer func() { _ = res.Close() }() // reading is over
	for next(res) {
		rec := res.Record()
		r := coldkeep.Reading{Series: k, At: rec.Time().UnixMilli(),
			Celsius: temp(rec, "celsius"), Raw: temp(rec, "raw"), Lo: temp(rec, "lo"), Hi: temp(rec, "hi")}
		r.Seq, _ = rec.ValueByKey("seq").(int64)
		r.Epoch, _ = rec.ValueByKey("epoch").(string)
		if q, ok := rec.ValueByKey("q").(string); ok {
			r.Quality = coldkeep.Quality(q)
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	return res.Err()
}

func temp(rec *query.FluxRecord, key string) coldkeep.Temperature {
	if v, ok := rec.ValueByKey(key).(float64); ok {
		return coldkeep.FromCelsius(v)
	}
	return coldkeep.NoTemperature
}

// last gives the time of the last point. The seq field is in every point.
func (f flux) last(ctx context.Context, k coldkeep.Series) (at int64, ok bool, err error) {
	res, err := f.query.Query(ctx, f.flux(k, clamp(math.MinInt64), clamp(math.MaxInt64))+` |> filter(fn: (r) => r._field == "seq") |> group() |> last()`)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = res.Close() }() // reading is over
	for next(res) {
		at, ok = res.Record().Time().UnixMilli(), true
	}
	return at, ok, res.Err()
}

func (f flux) count(ctx context.Context, k coldkeep.Series, from, to int64) (int64, error) {
	return f.sum(ctx, f.flux(k, from, to)+` |> filter(fn: (r) => r._field == "seq") |> group() |> count()`)
}

// sum adds up the values of a query.
func (f flux) sum(ctx context.Context, q string) (n int64, err error) {
	res, err := f.query.Query(ctx, q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Close() }() // reading is over
	for next(res) {
		if v, ok := res.Record().Value().(int64); ok {
			n += v
		}
	}
	return n, res.Err()
}

// values lists a tag's values in the series that k names.
func (f flux) values(ctx context.Context, tag string, k coldkeep.Series) ([]string, error) {
	where := "r._measurement == " + strconv.Quote(measurement)
	for _, t := range [...][2]string{{"site", string(k.Site)}, {"agent", string(k.Agent)}} {
		if t[1] != "" {
			where += " and r." + t[0] + " == " + strconv.Quote(t[1])
		}
	}
	res, err := f.query.Query(ctx, "from(bucket: "+strconv.Quote(f.bucket)+")"+
		" |> range(start: "+nano(clamp(math.MinInt64))+", stop: "+nano(clamp(math.MaxInt64))+")"+
		" |> filter(fn: (r) => "+where+") |> keep(columns: ["+strconv.Quote(tag)+"]) |> group() |> distinct(column: "+strconv.Quote(tag)+") |> sort()")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Close() }() // reading is over
	var out []string
	for next(res) {
		if v, ok := res.Record().Value().(string); ok && v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out, res.Err()
}

// next goes to the next record of an answer. A row before any table has none.
func next(res *api.QueryTableResult) bool {
	for res.Next() {
		if res.Record() != nil {
			return true
		}
	}
	return false
}
