package influx

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// influxQL asks by InfluxQL over /query: 1.8 as it is, 2.x by the mapping that it
// has of its own for every bucket, 3 likewise. A raw SELECT comes in the order of
// time and is streamed, whatever its length.
type influxQL struct {
	http   *http.Client
	url    string // of /query
	db, rp string
	auth   string // Authorization header
}

// newInfluxQL takes a bucket as "database/retention-policy" or "database".
func newInfluxQL(c Config) *influxQL {
	// Its own client: that of the library bounds a whole answer to half a minute, which
	// three years may take longer than.
	q := &influxQL{http: &http.Client{}, url: strings.TrimRight(c.URL, "/") + "/query"}
	q.db, q.rp, _ = strings.Cut(c.Bucket, "/")
	if c.Token != "" {
		q.auth = "Token " + c.Token
	}
	return q
}

// rowsPerChunk is how many rows the server puts in one piece of its answer; it is
// the most that either side holds in memory.
const rowsPerChunk = 2_000

// silence is how long the server may take for the next piece of an answer.
const silence = 30 * time.Second

// answerLimit bounds one piece of an answer.
const answerLimit = 64 << 20

type qlAnswer struct {
	Error   string `json:"error"`
	Results []struct {
		Statement int    `json:"statement_id"`
		Error     string `json:"error"`
		Series    []struct {
			Columns []string        `json:"columns"`
			Values  json.RawMessage `json:"values"`
		} `json:"series"`
	} `json:"results"`
}

// ask runs statements and calls each with every row of the answers: the number of
// the statement, the columns, and the cells as JSON wrote them. The slices are valid
// during the call.
func (q *influxQL) ask(ctx context.Context, method, statements string, each func(statement int, columns []string, row [][]byte) error) error {
	form := url.Values{"db": {q.db}, "q": {statements}, "epoch": {"ns"}, "chunked": {"true"}, "chunk_size": {strconv.Itoa(rowsPerChunk)}}
	if q.rp != "" {
		form.Set("rp", q.rp)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A server that falls silent in the middle is given up; a reader may take its time.
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	req, err := http.NewRequestWithContext(ctx, method, q.url, nil)
	if err != nil {
		return err
	}
	// Form or query string: 1.8 reads a query from either, 2.x a GET's from its URL.
	if method == http.MethodGet {
		req.URL.RawQuery = form.Encode()
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		body := form.Encode()
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	req.Header.Set("Accept", "application/json") // its CSV leaves errors out
	if q.auth != "" {
		req.Header.Set("Authorization", q.auth)
	}
	resp, err := q.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // reading is over
	in := bufio.NewReaderSize(resp.Body, 1<<16)
	if resp.StatusCode != http.StatusOK {
		var a qlAnswer
		b, _ := io.ReadAll(io.LimitReader(in, 1<<16)) // a part will do for the message
		if json.Unmarshal(b, &a) != nil || a.Error == "" {
			a.Error = strings.TrimSpace(string(b))
		}
		return &qlError{resp.StatusCode, a.Error}
	}
	var chunk []byte
	for {
		chunk = chunk[:0]
		silent.Reset(silence)
		var err error
		for {
			var part []byte
			part, err = in.ReadSlice('\n')
			chunk = append(chunk, part...)
			if len(chunk) > answerLimit {
				return errors.New("a piece of InfluxDB's answer is too long")
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		silent.Stop()
		if len(bytes.TrimSpace(chunk)) > 0 {
			if err := eachRow(chunk, each); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// qlError is what InfluxDB answered in place of rows.
type qlError struct {
	status  int
	message string
}

func (e *qlError) Error() string {
	if e.status == 0 {
		return "InfluxDB: " + e.message
	}
	return "InfluxDB answers " + strconv.Itoa(e.status) + ": " + e.message
}

// eachRow takes a piece of an answer apart. Only the outer structure goes through
// encoding/json: the cells are numbers, strings and nulls.
func eachRow(chunk []byte, each func(statement int, columns []string, row [][]byte) error) error {
	var a qlAnswer
	if err := json.Unmarshal(chunk, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return &qlError{0, a.Error}
	}
	var row [][]byte
	for _, r := range a.Results {
		if r.Error != "" {
			return &qlError{0, r.Error}
		}
		for _, s := range r.Series {
			depth, start := 0, -1
			v := s.Values
			for i := 0; i < len(v); i++ {
				switch c := v[i]; {
				case c == '"': // to its end; the whole is known to be JSON
					if start < 0 {
						start = i
					}
					for i++; v[i] != '"'; i++ {
						if v[i] == '\\' {
							i++
						}
					}
				case c == '[':
					depth++
					if depth == 2 {
						row = row[:0]
					}
				case c == ',' || c == ']':
					if start >= 0 {
						row = append(row, bytes.TrimSpace(v[start:i]))
						start = -1
					}
					if c == ']' {
						depth--
						if depth == 1 {
							if len(row) != len(s.Columns) {
								return errors.New("a row of InfluxDB's answer does not fit its columns")
							}
							if err := each(r.Statement, s.Columns, row); err != nil {
								return err
							}
						}
					}
				case start < 0 && c != ' ' && c != '\n' && c != '\t' && c != '\r':
					start = i
				}
			}
		}
	}
	return nil
}

// where selects the points of a series in [from, to) ms.
func (q *influxQL) where(k coldkeep.Series, from, to int64) string {
	return " FROM " + measurement + " WHERE site = " + quoteQL(string(k.Site)) + " AND agent = " + quoteQL(string(k.Agent)) +
		" AND probe = " + quoteQL(string(k.Probe)) + " AND time >= " + strconv.FormatInt(from*1_000_000, 10) + " AND time < " + strconv.FormatInt(to*1_000_000, 10)
}

// quoteQL writes a string literal.
func quoteQL(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
}

// points reads a series in order. A point without a seq or an epoch is given
// without.
func (q *influxQL) points(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	epoch := "" // most points have the epoch of the one before
	return q.ask(ctx, http.MethodGet, "SELECT seq, epoch, celsius, raw, lo, hi, q"+q.where(k, from, to), func(_ int, columns []string, row [][]byte) error {
		if len(columns) != 8 || columns[0] != "time" {
			return errors.New("InfluxDB answers in columns that were not asked for")
		}
		r := coldkeep.Reading{Series: k}
		ns, err := strconv.ParseInt(string(row[0]), 10, 64)
		if err != nil {
			return err
		}
		r.At = floorMillis(ns)
		if r.Seq, err = cellInt(row[1]); err != nil {
			return err
		}
		if len(row[2]) == len(epoch)+2 && string(row[2][1:len(row[2])-1]) == epoch {
			r.Epoch = epoch
		} else if r.Epoch, err = cellString(row[2]); err != nil {
			return err
		} else if !strings.ContainsAny(r.Epoch, `"\`) {
			epoch = r.Epoch
		}
		for i, t := range [...]*coldkeep.Temperature{&r.Celsius, &r.Raw, &r.Lo, &r.Hi} {
			if *t, err = cellTemp(row[3+i]); err != nil {
				return err
			}
		}
		quality, err := cellString(row[7])
		if err != nil {
			return err
		}
		r.Quality = coldkeep.Quality(quality)
		return each(&r)
	})
}

// floorMillis takes a point's time down to the reading's, also before 1970.
func floorMillis(ns int64) int64 { return time.Unix(0, ns).UnixMilli() }

func isNull(c []byte) bool { return len(c) == 4 && c[0] == 'n' }

func cellInt(c []byte) (int64, error) {
	if isNull(c) {
		return 0, nil
	}
	return strconv.ParseInt(string(c), 10, 64)
}

func cellString(c []byte) (s string, err error) {
	if isNull(c) {
		return "", nil
	}
	if len(c) >= 2 && c[0] == '"' && bytes.IndexByte(c, '\\') < 0 {
		return string(c[1 : len(c)-1]), nil
	}
	err = json.Unmarshal(c, &s)
	return s, err
}

func cellFloat(c []byte) (float64, error) { return strconv.ParseFloat(string(c), 64) }

func cellTemp(c []byte) (coldkeep.Temperature, error) {
	if isNull(c) {
		return coldkeep.NoTemperature, nil
	}
	v, err := cellFloat(c)
	return coldkeep.FromCelsius(v), err
}

// last gives the time of the last point. The seq field is in every point.
func (q *influxQL) last(ctx context.Context, k coldkeep.Series) (at int64, ok bool, err error) {
	err = q.ask(ctx, http.MethodGet, "SELECT LAST(seq)"+q.where(k, clamp(math.MinInt64), clamp(math.MaxInt64)), func(_ int, _ []string, row [][]byte) error {
		ns, err := cellInt(row[0])
		at, ok = floorMillis(ns), true
		return err
	})
	return at, ok, err
}

func (q *influxQL) count(ctx context.Context, k coldkeep.Series, from, to int64) (n int64, err error) {
	err = q.ask(ctx, http.MethodGet, "SELECT COUNT(seq)"+q.where(k, from, to), func(_ int, _ []string, row [][]byte) error {
		n, err = cellInt(row[len(row)-1])
		return err
	})
	return n, err
}

// values lists a tag's values, which the server answers from its index.
func (q *influxQL) values(ctx context.Context, tag string, k coldkeep.Series) ([]string, error) {
	statement, and := "SHOW TAG VALUES FROM "+measurement+" WITH KEY = "+tag, " WHERE "
	for _, t := range [...][2]string{{"site", string(k.Site)}, {"agent", string(k.Agent)}} {
		if t[1] != "" {
			statement += and + t[0] + " = " + quoteQL(t[1])
			and = " AND "
		}
	}
	var out []string
	err := q.ask(ctx, http.MethodGet, statement, func(_ int, _ []string, row [][]byte) error {
		v, err := cellString(row[len(row)-1])
		if v != "" {
			out = append(out, v)
		}
		return err
	})
	slices.Sort(out)
	return out, err
}
