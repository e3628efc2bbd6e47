// Package influx keeps readings in InfluxDB, 1.8 with Flux enabled or 2.x, by the
// same calls. It writes blocking, point by point identified as the wire contract
// says, so that writing a reading again replaces it by itself.
package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	apihttp "github.com/influxdata/influxdb-client-go/v2/api/http"

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
	// Flux reads by Flux in place of InfluxQL: for a 2.x that has no database mapped to
	// the bucket.
	Flux bool
	// Years is how long readings must be kept by law, 0 is readings.LeastYears: Ping
	// refuses a bucket that forgets sooner.
	Years int
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
	config Config
	ql     *influxQL
	read   reader
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
	if c.Years == 0 {
		c.Years = readings.LeastYears
	}
	opts := influxdb2.DefaultOptions().SetUseGZip(c.Gzip).SetPrecision(time.Nanosecond).
		SetHTTPRequestTimeout(30).SetApplicationName("coldkeep").SetLogLevel(0)
	client := influxdb2.NewClientWithOptions(c.URL, c.Token, opts)
	s := &Store{client: client, write: client.WriteAPIBlocking(c.Org, c.Bucket), query: client.QueryAPI(c.Org), bucket: c.Bucket, config: c,
		ql: newInfluxQL(c)}
	s.read = s.ql
	if c.Flux {
		s.read = flux{s}
	}
	return s, nil
}

// Close lets go of the connections.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}

// Ping asks for the server's health, and whether the bucket keeps readings for as
// long as the law wants: ECONFLICT if not. Who may not ask for that is not told.
func (s *Store) Ping(ctx context.Context) error {
	ok, err := s.client.Ping(ctx)
	if err != nil || !ok {
		return coldkeep.Wrap(fmt.Errorf("ping: %v, %w", ok, err), coldkeep.EUNAVAILABLE, "influx.Ping", "InfluxDB does not answer")
	}
	return s.keepsLong(ctx)
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
