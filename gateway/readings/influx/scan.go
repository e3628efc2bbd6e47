package influx

import (
	"context"
	"math"
	"strconv"

	"github.com/influxdata/influxdb-client-go/v2/api/query"

	"github.com/coldkeep/coldkeep"
)

// Series lists the series of a site and an agent that InfluxDB knows; "" is any.
func (s *Store) Series(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]coldkeep.Series, error) {
	sites, err := s.tagValues(ctx, "site", coldkeep.Series{Site: site})
	if err != nil {
		return nil, err
	}
	var out []coldkeep.Series
	for _, si := range sites {
		agents, err := s.tagValues(ctx, "agent", coldkeep.Series{Site: coldkeep.SiteID(si), Agent: agent})
		if err != nil {
			return nil, err
		}
		for _, ag := range agents {
			k := coldkeep.Series{Site: coldkeep.SiteID(si), Agent: coldkeep.AgentID(ag)}
			probes, err := s.tagValues(ctx, "probe", k)
			if err != nil {
				return nil, err
			}
			for _, p := range probes {
				k.Probe = coldkeep.ProbeID(p)
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// tagValues lists the values of a tag in the series that k names. The server
// answers this form from its index.
func (s *Store) tagValues(ctx context.Context, tag string, k coldkeep.Series) ([]string, error) {
	where := "r._measurement == " + strconv.Quote(measurement)
	for _, f := range [...][2]string{{"site", string(k.Site)}, {"agent", string(k.Agent)}} {
		if f[1] != "" {
			where += " and r." + f[0] + " == " + strconv.Quote(f[1])
		}
	}
	res, err := s.query.Query(ctx, "from(bucket: "+strconv.Quote(s.bucket)+")"+
		" |> range(start: "+nano(clamp(math.MinInt64))+", stop: "+nano(clamp(math.MaxInt64))+")"+
		" |> filter(fn: (r) => "+where+") |> keep(columns: ["+strconv.Quote(tag)+"]) |> group() |> distinct(column: "+strconv.Quote(tag)+") |> sort()")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Series", "series of InfluxDB")
	}
	defer func() { _ = res.Close() }() // reading is over
	var out []string
	for res.Next() {
		if v, ok := res.Record().Value().(string); ok && v != "" {
			out = append(out, v)
		}
	}
	return out, coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Series", "series of InfluxDB")
}

// scanPoints is how many field values one query of Scan may cover: the server
// holds them in memory to join the fields of a point.
const scanPoints = 250_000

// Scan calls each with the readings of a series whose time is in [from, to), in ms,
// in no certain order. A point that lacks a seq or an epoch, which no collector
// has written, is given without. It stops at the first error of each and returns it.
func (s *Store) Scan(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	from, to = clamp(from), clamp(to)
	if from >= to {
		return nil
	}
	n, err := s.values(ctx, k, from, to)
	if err != nil || n == 0 {
		return err
	}
	if n > scanPoints && to-from > 1 {
		// Almost all of the time there is holds nothing: 1970 and the far future go first.
		middle := from + (to-from)/2
		if err := s.Scan(ctx, k, from, middle, each); err != nil {
			return err
		}
		return s.Scan(ctx, k, middle, to, each)
	}
	res, err := s.query.Query(ctx, s.flux(k, from, to)+pivot)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Scan", "readings of %s", k)
	}
	defer func() { _ = res.Close() }() // reading is over
	for res.Next() {
		r := loose(res.Record(), k)
		if err := each(&r); err != nil {
			return err
		}
	}
	return coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Scan", "readings of %s", k)
}

// values counts field values, at least one a point.
func (s *Store) values(ctx context.Context, k coldkeep.Series, from, to int64) (n int64, err error) {
	res, err := s.query.Query(ctx, s.flux(k, from, to)+` |> count()`)
	if err != nil {
		return 0, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Scan", "readings of %s", k)
	}
	defer func() { _ = res.Close() }() // reading is over
	for res.Next() {
		if v, ok := res.Record().Value().(int64); ok {
			n += v
		}
	}
	return n, coldkeep.Wrap(res.Err(), coldkeep.EUNAVAILABLE, "influx.Scan", "readings of %s", k)
}

// loose reads a point that anybody may have written.
func loose(rec *query.FluxRecord, k coldkeep.Series) coldkeep.Reading {
	r := coldkeep.Reading{Series: k, At: rec.Time().UnixMilli(),
		Celsius: temp(rec, "celsius"), Raw: temp(rec, "raw"), Lo: temp(rec, "lo"), Hi: temp(rec, "hi")}
	r.Seq, _ = rec.ValueByKey("seq").(int64)
	r.Epoch, _ = rec.ValueByKey("epoch").(string)
	if q, ok := rec.ValueByKey("q").(string); ok {
		r.Quality = coldkeep.Quality(q)
	}
	return r
}
