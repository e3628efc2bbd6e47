package influx

import (
	"context"

	"github.com/coldkeep/coldkeep"
)

// Series lists the series of a site and an agent that InfluxDB knows; "" is any.
func (s *Store) Series(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]coldkeep.Series, error) {
	values := func(tag string, k coldkeep.Series) ([]string, error) {
		out, err := s.read.values(ctx, tag, k)
		return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Series", "series of InfluxDB")
	}
	sites, err := values("site", coldkeep.Series{Site: site})
	if err != nil {
		return nil, err
	}
	var out []coldkeep.Series
	for _, si := range sites {
		agents, err := values("agent", coldkeep.Series{Site: coldkeep.SiteID(si), Agent: agent})
		if err != nil {
			return nil, err
		}
		for _, ag := range agents {
			k := coldkeep.Series{Site: coldkeep.SiteID(si), Agent: coldkeep.AgentID(ag)}
			probes, err := values("probe", k)
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

// Scan calls each with the readings of a series whose time is in [from, to), in ms,
// in no certain order. A point that lacks a seq or an epoch, which no collector
// has written, is given without. It stops at the first error of each and returns it.
func (s *Store) Scan(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	return s.points(ctx, "influx.Scan", k, from, to, each)
}
