// Package influx keeps readings in InfluxDB, 1.8 with Flux enabled or 2.x, by the
// same calls. It writes blocking, point by point identified as the wire contract
// says, so that writing a reading again replaces it by itself.
package influx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	apihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/query"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// Config says where InfluxDB is.
type Config struct {
	URL    string
	Token  string // 2.x: an API token; 1.8: "user:password", or empty without authentication
	Org    string // 2.x only
	Bucket string // "coldkeep" on 2.x, "coldkeep/autogen" on 1.8
	Gzip   bool   // worth it over a network; on loopback it cost a third of the speed
}

// measurement and fields, from the wire contract.
const measurement = "reading"

// linesPerWrite is how many points go in one request; between 1,000 and 5,000
// the server's speed hardly changes.
const linesPerWrite = 5000

// Store is a readings store in InfluxDB.
type Store struct {
	client influxdb2.Client
	write  api.WriteAPIBlocking
	query  api.QueryAPI
	bucket string
}

var _ readings.Store = (*Store)(nil)

// Open connects. It does not fail when the server is away: Append does, until it
// is back. A URL that is none is EINVALID.
func Open(c Config) (*Store, error) {
	if !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "InfluxDB URL %q: want http:// or https://", c.URL)
	}
	if c.Bucket == "" {
		c.Bucket = "coldkeep"
	}
	opts := influxdb2.DefaultOptions().SetUseGZip(c.Gzip).SetPrecision(time.Nanosecond).
		SetHTTPRequestTimeout(30).SetApplicationName("coldkeep").SetLogLevel(0)
	client := influxdb2.NewClientWithOptions(c.URL, c.Token, opts)
	return &Store{client: client, write: client.WriteAPIBlocking(c.Org, c.Bucket), query: client.QueryAPI(c.Org), bucket: c.Bucket}, nil
}

// Close lets go of the connections.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}

// Ping asks for the server's health.
func (s *Store) Ping(ctx context.Context) error {
	ok, err := s.client.Ping(ctx)
	if err != nil || !ok {
		return coldkeep.Wrap(fmt.Errorf("ping: %v, %w", ok, err), coldkeep.EUNAVAILABLE, "influx.Ping", "InfluxDB does not answer")
	}
	return nil
}

// Append writes readings as line protocol in requests of at most linesPerWrite.
func (s *Store) Append(ctx context.Context, rs []coldkeep.Reading) error {
	for len(rs) > 0 {
		n := min(len(rs), linesPerWrite)
		var b strings.Builder
		b.Grow(n * 160)
		for i := range rs[:n] {
			if i > 0 {
				b.WriteByte('\n')
			}
			appendLine(&b, &rs[i])
		}
		if err := s.write.WriteRecord(ctx, b.String()); err != nil {
			return coldkeep.Wrap(err, refusal(err), "influx.Append", "%d readings could not be stored", n)
		}
		rs = rs[n:]
	}
	return nil
}

// refusal is EINVALID when InfluxDB says that a point can never be taken: 400 for
// one beyond the retention or of another type, 422 likewise on 2.x. Any other
// failure may pass.
func refusal(err error) string {
	var answer *apihttp.Error
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusUnprocessableEntity) {
		return coldkeep.EINVALID
	}
	return coldkeep.EUNAVAILABLE
}

// stamp is the point's time in ns. The remainder of the seq keeps two records of
// one probe in one millisecond apart.
func stamp(r *coldkeep.Reading) int64 { return r.At*1_000_000 + r.Seq%1_000_000 }

// appendLine writes one point. The names of the contract need no escaping: sites
// and agents are [a-z0-9-], probes [A-Za-z0-9._:-], epochs ULIDs.
func appendLine(b *strings.Builder, r *coldkeep.Reading) {
	b.WriteString(measurement + ",site=")
	b.WriteString(string(r.Site))
	b.WriteString(",agent=")
	b.WriteString(string(r.Agent))
	b.WriteString(",probe=")
	b.WriteString(string(r.Probe))
	b.WriteString(" seq=")
	var num [24]byte
	b.Write(strconv.AppendInt(num[:0], r.Seq, 10))
	b.WriteString(`i,epoch="`)
	b.WriteString(r.Epoch)
	b.WriteByte('"')
	for _, f := range [...]struct {
		name string
		t    coldkeep.Temperature
	}{{",celsius=", r.Celsius}, {",raw=", r.Raw}, {",lo=", r.Lo}, {",hi=", r.Hi}} {
		if f.t.Known() {
			b.WriteString(f.name)
			b.Write(f.t.AppendText(num[:0]))
		}
	}
	if r.Quality != "" {
		b.WriteString(`,q="`)
		b.WriteString(string(r.Quality))
		b.WriteByte('"')
	}
	b.WriteByte(' ')
	b.Write(strconv.AppendInt(num[:0], stamp(r), 10))
}

// flux is the start of every query: the points of a series in [from, to) ns.
func (s *Store) flux(k coldkeep.Series, from, to int64) string {
	q := strconv.Quote
	return "from(bucket: " + q(s.bucket) + ")" +
		" |> range(start: " + nano(from) + ", stop: " + nano(to) + ")" +
		" |> filter(fn: (r) => r._measurement == " + q(measurement) +
		" and r.site == " + q(string(k.Site)) + " and r.agent == " + q(string(k.Agent)) + " and r.probe == " + q(string(k.Probe)) + ")"
}

func nano(ms int64) string { return "time(v: " + strconv.FormatInt(ms*1_000_000, 10) + ")" }

// pivot makes one row of the fields of a point.
const pivot = ` |> drop(columns: ["_start", "_stop"])` +
	` |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()`

// Range reads a series in order.
func (s *Store) Range(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	from, to = clamp(from), clamp(to)
	if from >= to {
		return nil
	}
	res, err := s.query.Query(ctx, s.flux(k, from, to)+pivot+` |> sort(columns: ["_time"])`)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Range", "readings of %s", k)
	}
	defer func() { _ = res.Close() }() // reading is over
	for res.Next() {
		r, err := reading(res.Record(), k)
		if err != nil {
			return err
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	return coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Range", "readings of %s", k)
}

// clamp keeps ms within what fits in ns.
func clamp(ms int64) int64 {
	const most = math.MaxInt64/1_000_000 - 1
	return max(-most, min(ms, most))
}

// Latest reads the last of a series.
func (s *Store) Latest(ctx context.Context, k coldkeep.Series) (coldkeep.Reading, error) {
	// The seq field is in every point, so its last point is the series' last.
	res, err := s.query.Query(ctx, s.flux(k, 0, clamp(math.MaxInt64))+` |> filter(fn: (r) => r._field == "seq") |> group() |> last()`)
	if err != nil {
		return coldkeep.Reading{}, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Latest", "readings of %s", k)
	}
	defer func() { _ = res.Close() }() // reading is over
	at := int64(-1)
	for res.Next() {
		at = res.Record().Time().UnixMilli()
	}
	if res.Err() != nil {
		return coldkeep.Reading{}, coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Latest", "readings of %s", k)
	}
	var last coldkeep.Reading
	if at >= 0 {
		err = s.Range(ctx, k, at, at+1, func(r *coldkeep.Reading) error { last = *r; return nil })
		if err == nil && last.Epoch != "" {
			return last, nil
		}
	}
	if err != nil {
		return last, err
	}
	return last, coldkeep.Errorf(coldkeep.ENOTFOUND, "no readings of %s", k)
}

// Count counts a series.
func (s *Store) Count(ctx context.Context, k coldkeep.Series, from, to int64) (int64, error) {
	from, to = clamp(from), clamp(to)
	if from >= to {
		return 0, nil
	}
	res, err := s.query.Query(ctx, s.flux(k, from, to)+` |> filter(fn: (r) => r._field == "seq") |> group() |> count()`)
	if err != nil {
		return 0, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Count", "readings of %s", k)
	}
	defer func() { _ = res.Close() }() // reading is over
	var n int64
	for res.Next() {
		if v, ok := res.Record().Value().(int64); ok {
			n += v
		}
	}
	return n, coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Count", "readings of %s", k)
}

func reading(rec *query.FluxRecord, k coldkeep.Series) (coldkeep.Reading, error) {
	r := coldkeep.Reading{Series: k, At: rec.Time().UnixMilli(),
		Celsius: temp(rec, "celsius"), Raw: temp(rec, "raw"), Lo: temp(rec, "lo"), Hi: temp(rec, "hi")}
	seq, ok1 := rec.ValueByKey("seq").(int64)
	epoch, ok2 := rec.ValueByKey("epoch").(string)
	if !ok1 || !ok2 {
		return r, coldkeep.Errorf(coldkeep.EINTERNAL, "point of %s at %v has no seq or epoch", k, rec.Time())
	}
	r.Seq, r.Epoch = seq, epoch
	if q, ok := rec.ValueByKey("q").(string); ok {
		r.Quality = coldkeep.Quality(q)
	}
	return r, nil
}

func temp(rec *query.FluxRecord, key string) coldkeep.Temperature {
	if v, ok := rec.ValueByKey(key).(float64); ok {
		return coldkeep.FromCelsius(v)
	}
	return coldkeep.NoTemperature
}
