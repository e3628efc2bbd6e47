package store

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
)

// MoveProbes ends the open assignments of one device at a time and opens them under
// another, which gets the certificates of the probes too.
func (t *tx) MoveProbes(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.AgentID, at time.Time) (int, error) {
	all, err := t.Assignments(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, a := range all {
		if a.Site != site || a.Agent != from || a.To != nil {
			continue
		}
		when := at
		if !when.After(a.From) { // it was to stand there from later on
			when = a.From.Add(time.Millisecond)
		}
		if err := t.EndAssignment(ctx, a, when); err != nil {
			return 0, err
		}
		a.Agent, a.From = to, when
		if err := t.InsertAssignment(ctx, a); err != nil {
			return 0, err
		}
		n++
	}
	_, err = t.q.ExecContext(ctx, `INSERT INTO calibrations (`+calibrationColumns+`)
		SELECT site, $3, probe, n, offset_mc, points, certificate, expires, by_name, created_at FROM calibrations WHERE site = $1 AND agent = $2
		ON CONFLICT (site, agent, probe, n) DO NOTHING`, string(site), string(from), string(to))
	return n, failed(err)
}
