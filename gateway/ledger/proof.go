package ledger

import (
	"context"
	"database/sql"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// This file reads what a proof is made from. What grows with the years is read in
// pages, so that neither memory nor a long transaction is held.

// Device names a device.
type Device struct {
	Site  coldkeep.SiteID
	Agent coldkeep.AgentID
}

// Devices lists every device that the book knows anything of.
func (l *Ledger) Devices(ctx context.Context) ([]Device, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent FROM agent UNION SELECT site, agent FROM seq_range
		UNION SELECT site, agent FROM seal UNION SELECT site, agent FROM device_key ORDER BY site, agent`)
	return scanRows(rows, err, "ledger.Devices", func(d *Device) []any { return []any{&d.Site, &d.Agent} })
}

// Epochs lists a device's epochs in the order of their names, which are ULIDs.
func (l *Ledger) Epochs(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]Epoch, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT epoch FROM seq_range WHERE site = $1 AND agent = $2
		UNION SELECT epoch FROM seal WHERE site = $1 AND agent = $2 UNION SELECT epoch FROM event WHERE site = $1 AND agent = $2
		UNION SELECT epoch FROM quarantine WHERE site = $1 AND agent = $2 ORDER BY epoch`, site, agent)
	return scanRows(rows, err, "ledger.Epochs", func(e *Epoch) []any {
		e.Site, e.Agent = site, agent
		return []any{&e.Epoch}
	})
}

// Stamp is the clock and the configuration under which records were written.
type Stamp struct {
	From, To int64 // seqs, both included
	Clock    string
	Config   int64
}

// Stamps returns an epoch's stamps by their first seq.
func (l *Ledger) Stamps(ctx context.Context, e Epoch) ([]Stamp, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT from_seq, to_seq, clock, cfg FROM stamp WHERE site = $1 AND agent = $2 AND epoch = $3 ORDER BY from_seq`, e.Site, e.Agent, e.Epoch)
	return scanRows(rows, err, "ledger.Stamps", func(s *Stamp) []any { return []any{&s.From, &s.To, &s.Clock, &s.Config} })
}

// Events returns up to limit events of an epoch after a seq, by seq.
func (l *Ledger) Events(ctx context.Context, e Epoch, after int64, limit int) ([]Event, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT seq, at, probe, event, detail FROM event
		WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq > $4 ORDER BY seq LIMIT $5`, e.Site, e.Agent, e.Epoch, after, limit)
	const none = coldkeep.NoTemperature
	return scanRows(rows, err, "ledger.Events", func(v *Event) []any {
		v.Record = wire.Record{Celsius: none, Raw: none, Lo: none, Hi: none}
		return []any{&v.Seq, &v.Record.At, &v.Record.Probe, &v.Record.Event, &v.Record.Detail}
	})
}

// QuarantinedAfter returns up to limit quarantined records of an epoch after a
// seq, by seq.
func (l *Ledger) QuarantinedAfter(ctx context.Context, e Epoch, after int64, limit int) ([]Refusal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT seq, reason, body FROM quarantine
		WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq > $4 ORDER BY seq LIMIT $5`, e.Site, e.Agent, e.Epoch, after, limit)
	return scanRows(rows, err, "ledger.QuarantinedAfter", func(r *Refusal) []any { return []any{&r.Seq, &r.Reason, &r.Body} })
}

const sealColumns = `seq, oldest, hash, key, sig, at, signed, chain`

func sealFields(s *Seal) []any {
	return []any{&s.Seq, &s.Oldest, &s.Hash, &s.Key, &s.Sig, &s.At, &s.Signed, &s.Chain}
}

// Seals returns up to limit seals of an epoch after (seq, sig), in that order.
func (l *Ledger) Seals(ctx context.Context, e Epoch, after int64, sig string, limit int) ([]Seal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+sealColumns+` FROM seal
		WHERE site = $1 AND agent = $2 AND epoch = $3 AND (seq > $4 OR seq = $4 AND sig > $5) ORDER BY seq, sig LIMIT $6`,
		e.Site, e.Agent, e.Epoch, after, sig, limit)
	return scanRows(rows, err, "ledger.Seals", sealFields)
}

// SealsBefore returns up to limit seals of an epoch below a seq, the highest first.
func (l *Ledger) SealsBefore(ctx context.Context, e Epoch, seq int64, limit int) ([]Seal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+sealColumns+` FROM seal
		WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq < $4 ORDER BY seq DESC, sig LIMIT $5`, e.Site, e.Agent, e.Epoch, seq, limit)
	return scanRows(rows, err, "ledger.SealsBefore", sealFields)
}

// SealSpan finds the seals around the times [from, to), ms: every record of those
// times lies after the seal with seq below and up to the seal with seq above. 0 for
// below is the beginning of the epoch; for above, its end.
func (l *Ledger) SealSpan(ctx context.Context, e Epoch, from, to int64) (below, above int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT
		COALESCE((SELECT MAX(seq) FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq <
			COALESCE((SELECT MIN(seq) FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND at >= $4), 9223372036854775807)), 0),
		COALESCE((SELECT MIN(seq) FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq >
			COALESCE((SELECT MAX(seq) FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND at < $5), 0)), 0)`,
		e.Site, e.Agent, e.Epoch, from, to).Scan(&below, &above)
	return below, above, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SealSpan", "seals of %s/%s", e.Site, e.Agent)
}

// SealTimes returns the earliest and the latest time, ms, at which a seal of an
// epoch between two seqs, both included, was made; 0 above is no bound. All is
// false when the time of one of them is not known.
func (l *Ledger) SealTimes(ctx context.Context, e Epoch, below, above int64) (earliest, latest int64, all bool, err error) {
	var lo, hi sql.NullInt64
	if err := l.db.QueryRowContext(ctx, `SELECT MIN(at), MAX(at) FROM seal
		WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq >= $4 AND (seq <= $5 OR $5 = 0)`, e.Site, e.Agent, e.Epoch, below, above).Scan(&lo, &hi); err != nil {
		return 0, 0, false, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SealTimes", "seals of %s/%s", e.Site, e.Agent)
	}
	return lo.Int64, hi.Int64, lo.Valid && lo.Int64 > 0, nil
}

// OpenSeal is a seal that is not checked through.
type OpenSeal struct {
	Epoch
	Seal
}

// OpenSeals returns up to limit seals whose key or chain is not checked, after one
// of them, in order.
func (l *Ledger) OpenSeals(ctx context.Context, after OpenSeal, limit int) ([]OpenSeal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, epoch, `+sealColumns+` FROM seal
		WHERE (chain = 0 OR signed = 0) AND (site > $1 OR site = $1 AND (agent > $2 OR agent = $2 AND (epoch > $3 OR epoch = $3 AND seq > $4)))
		ORDER BY site, agent, epoch, seq LIMIT $5`, after.Site, after.Agent, after.Epoch.Epoch, after.Seq, limit)
	return scanRows(rows, err, "ledger.OpenSeals", func(s *OpenSeal) []any {
		return append([]any{&s.Site, &s.Agent, &s.Epoch.Epoch}, sealFields(&s.Seal)...)
	})
}

// SetSealChecked notes the outcome of a check of a seal.
func (l *Ledger) SetSealChecked(ctx context.Context, e Epoch, s *Seal) error {
	_, err := l.db.ExecContext(ctx, `UPDATE seal SET signed = $6, chain = $7 WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq = $4 AND sig = $5`,
		e.Site, e.Agent, e.Epoch, s.Seq, s.Sig, s.Signed, s.Chain)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SetSealChecked", "seal of %s/%s", e.Site, e.Agent)
}

// VoidRange is a range of records whose seal was refused three times.
type VoidRange struct {
	From, To   int64 // seqs, both included
	Reason     string
	ReceivedAt int64 // ms
}

// Voids returns an epoch's void ranges by seq.
func (l *Ledger) Voids(ctx context.Context, e Epoch) ([]VoidRange, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT from_seq, to_seq, reason, received_at FROM void_range WHERE site = $1 AND agent = $2 AND epoch = $3 ORDER BY from_seq`, e.Site, e.Agent, e.Epoch)
	return scanRows(rows, err, "ledger.Voids", func(v *VoidRange) []any { return []any{&v.From, &v.To, &v.Reason, &v.ReceivedAt} })
}

// RefusedSeals returns how often a seal of each record of an epoch was refused.
func (l *Ledger) RefusedSeals(ctx context.Context, e Epoch) (map[int64]int64, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT seq, tries FROM seal_refused WHERE site = $1 AND agent = $2 AND epoch = $3`, e.Site, e.Agent, e.Epoch)
	got, err := scanRows(rows, err, "ledger.RefusedSeals", func(r *[2]int64) []any { return []any{&r[0], &r[1]} })
	out := make(map[int64]int64, len(got))
	for _, r := range got {
		out[r[0]] = r[1]
	}
	return out, err
}

// Records counts the records that the book says are dealt with, of a site and an
// agent; "" is any.
func (l *Ledger) Records(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (n int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(to_seq - from_seq + 1), 0) AS BIGINT) FROM seq_range
		WHERE ($1 = '' OR site = $1) AND ($2 = '' OR agent = $2)`, site, agent).Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Records", "the collector's book cannot be read")
}
