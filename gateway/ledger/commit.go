package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// Progress is what the book has of an epoch.
type Progress struct {
	Ranges Ranges // seqs dealt with
	Lost   Ranges // those of them that were given up
	Stamp  Stamp  // the one with the highest seqs; zero when there is none
}

// Entry is what the batches of one epoch that follow on each other add to the book.
// Its readings are in the readings store already.
type Entry struct {
	Epoch
	// Known is what the book has of the epoch, for a caller who is alone in writing it;
	// all entries of an epoch have the same. Without it Commit looks.
	Known    *Progress
	From, To int64 // seqs dealt with, both included; From after To for none
	Oldest   int64 // lowest seq the device still holds
	Clock    string
	Config   int64
	Events   []Event
	Bad      []wire.BadRecord
	Seals    []Seal
	// Touched gives, for each probe with readings that the judge must go back for, the
	// time of the earliest, ms.
	Touched map[coldkeep.ProbeID]int64
	// Quarters are the starts of the quarter hours, ms, whose log has changed, by probe.
	Quarters map[coldkeep.ProbeID]map[int64]struct{}
	// Unseen leaves the device's row alone: it was written moments ago.
	Unseen bool
}

// Refused is a payload that could not be read.
type Refused struct {
	Device
	Topic, Reason string
	Body          []byte
	// Skipped is how many payloads of the device were refused since the one before of
	// which nothing is kept.
	Skipped int64
}

// StatusOf is a device's birth or will.
type StatusOf struct {
	Device
	wire.Status
}

// Take is what one commit enters. In each list but Entries a device, a series or a
// quarter hour may come more than once, and the last counts, of Unjudged the earliest.
type Take struct {
	Entries  []Entry
	Unjudged map[coldkeep.Series]int64 // from when on the judge must look again, ms
	Unlogged []Quarter
	Refused  []Refused
	Statuses []StatusOf
}

// Fence is asked in the transaction of a commit whether it may still write; an error
// leaves everything as it was.
type Fence func(ctx context.Context, tx *sql.Tx) error

// Progress reads what the book has of an epoch.
func (l *Ledger) Progress(ctx context.Context, e Epoch) (Progress, error) {
	return progress(ctx, l.db.DB, e)
}

func progress(ctx context.Context, q querier, e Epoch) (p Progress, err error) {
	type row struct {
		what, from, to, cfg int64
		clock               string
	}
	rows, err := q.QueryContext(ctx, `SELECT 0, from_seq, to_seq, '', 0 FROM seq_range WHERE site = $1 AND agent = $2 AND epoch = $3
		UNION ALL SELECT 1, from_seq, to_seq, '', 0 FROM lost WHERE site = $1 AND agent = $2 AND epoch = $3
		UNION ALL SELECT 2, from_seq, to_seq, clock, cfg FROM stamp WHERE site = $1 AND agent = $2 AND epoch = $3
			AND from_seq = (SELECT MAX(from_seq) FROM stamp WHERE site = $1 AND agent = $2 AND epoch = $3)
		ORDER BY 1, 2`, e.Site, e.Agent, e.Epoch)
	got, err := scanRows(rows, err, "ledger.Progress", func(r *row) []any { return []any{&r.what, &r.from, &r.to, &r.clock, &r.cfg} })
	for _, r := range got {
		switch r.what {
		case 0:
			p.Ranges = append(p.Ranges, [2]int64{r.from, r.to})
		case 1:
			p.Lost = append(p.Lost, [2]int64{r.from, r.to})
		default:
			p.Stamp = Stamp{From: r.from, To: r.to, Clock: r.clock, Config: r.cfg}
		}
	}
	return p, err
}

// Commit enters batches in one transaction and returns, for each entry, what the
// book then has of its epoch. A nil error means that they may be acknowledged.
func (l *Ledger) Commit(ctx context.Context, now time.Time, entries []Entry, fences ...Fence) ([]Progress, error) {
	return l.Enter(ctx, now, &Take{Entries: entries}, fences...)
}

// Enter is Commit for all that a take holds.
func (l *Ledger) Enter(ctx context.Context, now time.Time, t *Take, fences ...Fence) ([]Progress, error) {
	var out []Progress
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, may := range fences {
			if may == nil {
				continue
			}
			if err := may(ctx, tx); err != nil {
				return err
			}
		}
		c := commit{ctx: ctx, db: l.db, tx: tx, now: now, at: database.Millis(now), index: make(map[Epoch]int, len(t.Entries))}
		if err := c.entries(t.Entries); err != nil {
			return err
		}
		if err := c.rest(t); err != nil {
			return err
		}
		out = make([]Progress, len(t.Entries))
		for i := range t.Entries {
			out[i] = c.epochs[c.index[t.Entries[i].Epoch]].next
		}
		return nil
	})
	return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Enter", "%d batches could not be entered", len(t.Entries))
}

// commit is one transaction at work.
type commit struct {
	ctx context.Context
	db  *database.DB
	tx  *sql.Tx
	now time.Time
	at  int64

	index  map[Epoch]int
	epochs []change
	args   []any
}

// change is what becomes of an epoch.
type change struct {
	Epoch
	was, next Progress
	stamps    []Stamp // new or longer
}

func (c *commit) entries(entries []Entry) error {
	for i := range entries {
		if err := c.enter(&entries[i]); err != nil {
			return err
		}
	}
	for i := range c.epochs {
		if err := c.shrink(&c.epochs[i]); err != nil {
			return err
		}
	}
	if err := c.ranges(); err != nil {
		return err
	}
	if err := c.stamps(); err != nil {
		return err
	}
	for i := range entries {
		if err := saveSeals(c.ctx, c.tx, c.now, &entries[i]); err != nil {
			return err
		}
	}
	return c.records(entries)
}

// enter works out what an entry changes.
func (c *commit) enter(e *Entry) error {
	i, ok := c.index[e.Epoch]
	if !ok {
		i = len(c.epochs)
		c.index[e.Epoch] = i
		x := change{Epoch: e.Epoch}
		if e.Known != nil {
			x.was = *e.Known
		} else {
			var err error
			if x.was, err = progress(c.ctx, c.tx, e.Epoch); err != nil {
				return err
			}
		}
		x.next = x.was
		c.epochs = append(c.epochs, x)
	}
	x := &c.epochs[i]
	p := &x.next
	// A record is stored as it came first, under the clock and the cfg of then.
	for _, r := range p.fresh(e.From, e.To) {
		x.stamp(Stamp{From: r[0], To: r[1], Clock: e.Clock, Config: e.Config})
	}
	p.Ranges = p.Ranges.Add(e.From, e.To)
	if p.Lost.Overlaps(e.From, e.To) {
		p.Lost = p.Lost.Without(Ranges{{e.From, e.To}}) // it was found after all
	}
	// Below oldest nothing can come any more. What is not there is lost, said so,
	// and the watermark moves on.
	if p.Ranges.Contiguous() < e.Oldest-1 {
		for _, gap := range p.Ranges.Missing(1, e.Oldest-1) {
			p.Lost, p.Ranges = p.Lost.Add(gap[0], gap[1]), p.Ranges.Add(gap[0], gap[1])
		}
	}
	return nil
}

// fresh is what of [from, to] is not stored.
func (p *Progress) fresh(from, to int64) Ranges {
	if from > to {
		return nil
	}
	if n := len(p.Ranges); n == 0 || p.Ranges[n-1][1] < from {
		return Ranges{{from, to}}
	}
	return p.Ranges.Without(p.Lost).Missing(from, to)
}

// stamp keeps the clock and the cfg of records, joined to the latest stamp when that
// is the same and ends just there.
func (x *change) stamp(s Stamp) {
	last := &x.next.Stamp
	if last.To > 0 && last.Clock == s.Clock && last.Config == s.Config && last.From <= s.From && s.From <= last.To+1 {
		if s.To <= last.To {
			return
		}
		s.From = last.From
	}
	if s.From >= last.From {
		*last = s
	}
	for i := range x.stamps {
		if old := &x.stamps[i]; old.From == s.From {
			if s.To > old.To {
				*old = s
			}
			return
		}
	}
	x.stamps = append(x.stamps, s)
}

// shrink takes away rows of ranges that have melted into others, and writes what is
// lost. It has nothing to do while records come in order.
func (c *commit) shrink(x *change) error {
	gone, _ := x.was.Ranges.became(x.next.Ranges)
	for _, r := range gone {
		if err := c.exec(`DELETE FROM seq_range WHERE site = $1 AND agent = $2 AND epoch = $3 AND from_seq = $4`, x.Site, x.Agent, x.Epoch.Epoch, r[0]); err != nil {
			return err
		}
	}
	if slices.Equal(x.was.Lost, x.next.Lost) {
		return nil
	}
	gone, changed := x.was.Lost.became(x.next.Lost)
	for _, r := range gone {
		if err := c.exec(`DELETE FROM lost WHERE site = $1 AND agent = $2 AND epoch = $3 AND from_seq = $4`, x.Site, x.Agent, x.Epoch.Epoch, r[0]); err != nil {
			return err
		}
	}
	for _, r := range changed {
		if err := c.exec(`INSERT INTO lost (site, agent, epoch, from_seq, to_seq, received_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (site, agent, epoch, from_seq) DO UPDATE SET to_seq = excluded.to_seq`, x.Site, x.Agent, x.Epoch.Epoch, r[0], r[1], c.at); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) exec(text string, args ...any) error {
	return c.db.ExecPrepared(c.ctx, c.tx, text, args...)
}

func (c *commit) flush(b *database.Bulk) error {
	err := b.Exec(c.ctx, c.db, c.tx, c.args)
	c.args = c.args[:0]
	return err
}

var (
	bulkRange = database.NewBulk(`INSERT INTO seq_range (site, agent, epoch, from_seq, to_seq)`, 5,
		`ON CONFLICT (site, agent, epoch, from_seq) DO UPDATE SET to_seq = excluded.to_seq`)
	bulkStamp = database.NewBulk(`INSERT INTO stamp (site, agent, epoch, from_seq, to_seq, clock, cfg)`, 7,
		`ON CONFLICT (site, agent, epoch, from_seq) DO UPDATE SET to_seq = CASE WHEN excluded.to_seq > stamp.to_seq THEN excluded.to_seq ELSE stamp.to_seq END`)
	bulkEvent      = database.NewBulk(`INSERT INTO event (site, agent, epoch, seq, at, probe, event, detail, received_at)`, 9, `ON CONFLICT DO NOTHING`)
	bulkQuarantine = database.NewBulk(`INSERT INTO quarantine (site, agent, epoch, seq, reason, body, received_at)`, 7, `ON CONFLICT DO NOTHING`)
	bulkUnjudged   = database.NewBulk(`INSERT INTO unjudged (site, agent, probe, from_at, gen)`, 5,
		`ON CONFLICT (site, agent, probe) DO UPDATE SET gen = unjudged.gen + 1,
			from_at = CASE WHEN excluded.from_at < unjudged.from_at THEN excluded.from_at ELSE unjudged.from_at END`)
	bulkUnlogged = database.NewBulk(`INSERT INTO unlogged (site, agent, probe, from_at, gen)`, 5,
		`ON CONFLICT (site, agent, probe, from_at) DO UPDATE SET gen = unlogged.gen + 1`)
	bulkHeard = database.NewBulk(`INSERT INTO agent (site, agent, epoch, online, received_at, status)`, 6,
		`ON CONFLICT (site, agent) DO UPDATE SET epoch = excluded.epoch, received_at = excluded.received_at`)
	bulkStatus = database.NewBulk(`INSERT INTO agent (site, agent, epoch, online, received_at, status)`, 6,
		`ON CONFLICT (site, agent) DO UPDATE SET online = excluded.online, received_at = excluded.received_at, status = excluded.status,
			epoch = CASE WHEN excluded.epoch = '' THEN agent.epoch ELSE excluded.epoch END`)
)

func (c *commit) ranges() error {
	for i := range c.epochs {
		x := &c.epochs[i]
		_, changed := x.was.Ranges.became(x.next.Ranges)
		for _, r := range changed {
			c.args = append(c.args, x.Site, x.Agent, x.Epoch.Epoch, r[0], r[1])
		}
	}
	return c.flush(bulkRange)
}

func (c *commit) stamps() error {
	for i := range c.epochs {
		x := &c.epochs[i]
		for _, s := range x.stamps {
			c.args = append(c.args, x.Site, x.Agent, x.Epoch.Epoch, s.From, s.To, s.Clock, s.Config)
		}
	}
	return c.flush(bulkStamp)
}

// records enters events and quarantined records, and which devices were heard.
func (c *commit) records(entries []Entry) error {
	for i := range entries {
		e := &entries[i]
		for k := range e.Events {
			r := &e.Events[k].Record
			c.args = append(c.args, e.Site, e.Agent, e.Epoch.Epoch, e.Events[k].Seq, r.At, r.Probe, r.Event, r.Detail, c.at)
		}
	}
	if err := c.flush(bulkEvent); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		for _, b := range e.Bad {
			c.args = append(c.args, e.Site, e.Agent, e.Epoch.Epoch, b.Seq, b.Reason, b.Raw, c.at)
		}
	}
	if err := c.flush(bulkQuarantine); err != nil {
		return err
	}
	var heard map[Device]string
	for i := range entries {
		if e := &entries[i]; !e.Unseen {
			if heard == nil {
				heard = map[Device]string{}
			}
			heard[Device{e.Site, e.Agent}] = e.Epoch.Epoch
		}
	}
	for _, d := range sorted(heard) {
		c.args = append(c.args, d.Site, d.Agent, heard[d], 1, c.at, "")
	}
	return c.flush(bulkHeard)
}

// sorted gives the keys in one order, so that two transactions that write the same
// rows never wait for each other.
func sorted[V any](m map[Device]V) []Device {
	out := make([]Device, 0, len(m))
	for d := range m {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Device) int {
		if n := strings.Compare(string(a.Site), string(b.Site)); n != 0 {
			return n
		}
		return strings.Compare(string(a.Agent), string(b.Agent))
	})
	return out
}

func compareSeries(a, b coldkeep.Series) int {
	if n := strings.Compare(string(a.Site), string(b.Site)); n != 0 {
		return n
	}
	if n := strings.Compare(string(a.Agent), string(b.Agent)); n != 0 {
		return n
	}
	return strings.Compare(string(a.Probe), string(b.Probe))
}

// rest enters what a take holds beside its records.
func (c *commit) rest(t *Take) error {
	if err := c.unjudged(t); err != nil {
		return err
	}
	if err := c.unlogged(t); err != nil {
		return err
	}
	if err := c.statuses(t.Statuses); err != nil {
		return err
	}
	return c.refused(t.Refused)
}

func (c *commit) unjudged(t *Take) error {
	from := make(map[coldkeep.Series]int64, len(t.Unjudged))
	maps.Copy(from, t.Unjudged)
	for i := range t.Entries {
		e := &t.Entries[i]
		for probe, at := range e.Touched {
			s := coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: probe}
			if was, ok := from[s]; !ok || at < was {
				from[s] = at
			}
		}
	}
	series := make([]coldkeep.Series, 0, len(from))
	for s := range from {
		series = append(series, s)
	}
	slices.SortFunc(series, compareSeries)
	for _, s := range series {
		c.args = append(c.args, s.Site, s.Agent, s.Probe, from[s], 1)
	}
	return c.flush(bulkUnjudged)
}

func (c *commit) unlogged(t *Take) error {
	quarters := t.Unlogged
	for i := range t.Entries {
		e := &t.Entries[i]
		for probe, starts := range e.Quarters {
			for from := range starts {
				quarters = append(quarters[:len(quarters):len(quarters)], Quarter{Series: coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: probe}, From: from})
			}
		}
	}
	if len(quarters) == 0 {
		return nil
	}
	quarters = slices.Clone(quarters)
	slices.SortFunc(quarters, func(a, b Quarter) int {
		if n := compareSeries(a.Series, b.Series); n != 0 {
			return n
		}
		return int(min(1, max(-1, a.From-b.From)))
	})
	for i, q := range quarters {
		if i == 0 || q != quarters[i-1] {
			c.args = append(c.args, q.Site, q.Agent, q.Probe, q.From, 1)
		}
	}
	return c.flush(bulkUnlogged)
}

func (c *commit) statuses(all []StatusOf) error {
	last := map[Device]*StatusOf{}
	for i := range all {
		s, before := &all[i], last[all[i].Device]
		if before != nil && s.Epoch == "" && before.Epoch != "" {
			// A will names no epoch; that of the birth before it stays.
			merged := *s
			merged.Epoch = before.Epoch
			s = &merged
		}
		last[s.Device] = s
	}
	for _, d := range sorted(last) {
		s := last[d]
		body, err := json.Marshal(s.Status)
		if err != nil {
			return err
		}
		online := 0
		if s.Online {
			online = 1
		}
		c.args = append(c.args, d.Site, d.Agent, s.Epoch, online, c.at, string(body))
	}
	return c.flush(bulkStatus)
}

// badPayloadsKept bounds what one broken device can fill.
const badPayloadsKept = 100

// refused keeps payloads that could not be read, raises them once a day and device,
// and forgets each device's oldest beyond badPayloadsKept.
func (c *commit) refused(all []Refused) error {
	by := map[Device][]*Refused{}
	for i := range all {
		by[all[i].Device] = append(by[all[i].Device], &all[i])
	}
	for _, d := range sorted(by) {
		var n int64
		if err := c.tx.QueryRowContext(c.ctx, `SELECT COALESCE(MAX(n), 0) FROM bad_payload WHERE site = $1 AND agent = $2`, d.Site, d.Agent).Scan(&n); err != nil {
			return err
		}
		// n counts those of which nothing is kept too.
		for _, r := range by[d] {
			n += r.Skipped + 1
			if err := c.exec(`INSERT INTO bad_payload (site, agent, n, topic, reason, body, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				d.Site, d.Agent, n, r.Topic, r.Reason, r.Body, c.at); err != nil {
				return err
			}
		}
		if err := c.exec(`DELETE FROM bad_payload WHERE site = $1 AND agent = $2 AND n <
			(SELECT MIN(n) FROM (SELECT n FROM bad_payload WHERE site = $1 AND agent = $2 ORDER BY n DESC LIMIT $3) AS newest)`, d.Site, d.Agent, badPayloadsKept); err != nil {
			return err
		}
		last := by[d][len(by[d])-1]
		if err := raise(c.ctx, c.tx, c.now, Epoch{Site: d.Site, Agent: d.Agent}, FaultPayload, c.now.UTC().Format(time.DateOnly), last.Reason); err != nil {
			return err
		}
	}
	return nil
}

// RefusedTotal is how many payloads of a device could not be read, those of which
// nothing is kept included.
func (l *Ledger) RefusedTotal(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (n int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(n), 0) FROM bad_payload WHERE site = $1 AND agent = $2`, site, agent).Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.RefusedTotal", "the collector's book cannot be read")
}
