package evidence

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Verifier derives the proof of the log anew from what is stored. It only reads,
// and may run beside a collector at work. Its memory does not grow with the years:
// what it has to sort beyond some weeks of a device goes to unnamed files.
type Verifier struct {
	Ledger   *ledger.Ledger
	Readings Source
	Temp     string // folder for what memory does not hold; "" is the system's

	// Progress hears how many records of about total were dealt with; nil hears nothing.
	Progress func(done, total int64)

	rowsInMemory int           // 0 is the constant
	settle       time.Duration // 0 is settleTime
	done, total  int64
}

// settleTime is how long a record that is stored and not in the book is given: a
// collector at work stores first and enters then.
const settleTime = 2 * time.Second

// Scope is what to verify. The zero Scope is everything.
type Scope struct {
	Site     coldkeep.SiteID  // "" is every site
	Agent    coldkeep.AgentID // "" is every device
	From, To time.Time        // widened to the seals around them; zero is no bound
}

// Verify looks at everything in scope and calls each with what it finds, in order
// of device, epoch and about of seq, notes among it. It stops at the first error
// of each and returns it; other errors are the stores'. A scope that ends before it
// begins is EINVALID, one in which no device is is ENOTFOUND.
func (v *Verifier) Verify(ctx context.Context, scope Scope, each func(Finding) error) (Summary, error) {
	sum := Summary{Whole: true, Findings: map[Kind]int64{}, Keys: []KeyInUse{}}
	if !scope.To.IsZero() && !scope.From.Before(scope.To) {
		return sum, coldkeep.Errorf(coldkeep.EINVALID, "the time to verify ends before it begins")
	}
	devices, err := v.devices(ctx, scope)
	if err != nil {
		return sum, err
	}
	if len(devices) == 0 && (scope.Site != "" || scope.Agent != "") {
		return sum, coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no device %s/%s", scope.Site, scope.Agent)
	}
	v.done = 0
	if v.total, err = v.Ledger.Records(ctx, scope.Site, scope.Agent); err != nil {
		return sum, err
	}
	v.total *= 2 // each reading is read and then followed
	r := &report{each: each, sum: &sum}
	for i, d := range devices {
		sum.Devices++
		if err := v.device(ctx, d, scope, r); err != nil {
			return sum, err
		}
		if i+1 == len(devices) || devices[i+1].Site != d.Site {
			if err := v.annotations(ctx, d.Site, scope, r); err != nil {
				return sum, err
			}
		}
	}
	return sum, r.flush()
}

// devices lists what either store knows of.
func (v *Verifier) devices(ctx context.Context, scope Scope) ([]ledger.Device, error) {
	out, err := v.Ledger.Devices(ctx)
	if err != nil {
		return nil, err
	}
	series, err := v.Readings.Series(ctx, scope.Site, scope.Agent)
	if err != nil {
		return nil, err
	}
	for _, s := range series {
		out = append(out, ledger.Device{Site: s.Site, Agent: s.Agent})
	}
	out = slices.DeleteFunc(out, func(d ledger.Device) bool {
		return scope.Site != "" && d.Site != scope.Site || scope.Agent != "" && d.Agent != scope.Agent
	})
	slices.SortFunc(out, func(a, b ledger.Device) int {
		switch {
		case a.Site != b.Site && a.Site < b.Site, a.Site == b.Site && a.Agent < b.Agent:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	return slices.Compact(out), nil
}

func (v *Verifier) step(n int64) {
	v.done += n
	if v.Progress != nil && v.done%1024 < n {
		v.Progress(min(v.done, v.total), v.total)
	}
}

// device verifies one device.
func (v *Verifier) device(ctx context.Context, d ledger.Device, scope Scope, r *report) error {
	keys, err := v.Ledger.Keys(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	// The book is read before the readings: what it says is stored must be there.
	epochs, err := v.Ledger.Epochs(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	gone, err := v.Ledger.LetGo(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	ring, uses := newKeyring(time.Time{}, keys), map[string]int64{}
	plans := make([]plan, len(epochs))
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for i, e := range epochs {
		var lo, hi int64
		if plans[i], lo, hi, err = v.plan(ctx, e, scope, gone.Epochs[e.Epoch], ring); err != nil {
			return err
		}
		from, to = min(from, lo), max(to, hi)
	}
	if len(epochs) == 0 {
		from, to = math.MinInt64, math.MaxInt64
	}
	srt, err := v.read(ctx, d, plans, from, to)
	if err != nil {
		return err
	}
	defer srt.close()
	unknowns, err := v.walks(ctx, d, plans, srt, r, ring, uses)
	if err != nil {
		return err
	}
	if err := v.again(ctx, d, unknowns, r); err != nil {
		return err
	}
	if err := v.letGo(ctx, gone, scope, ring, r); err != nil {
		return err
	}
	if err := v.faults(ctx, d, scope, r); err != nil {
		return err
	}
	for _, k := range keys {
		r.sum.Keys = append(r.sum.Keys, KeyInUse{Site: d.Site, Agent: d.Agent, Key: k.Key, Trusted: k.Trusted, TrustedBy: k.TrustedBy, Seals: uses[k.Key]})
	}
	return nil
}

// plan finds what of an epoch is to be proven, after the records up to gone that were
// let go, and the times between which its readings are.
func (v *Verifier) plan(ctx context.Context, e ledger.Epoch, scope Scope, gone int64, ring keyring) (p plan, from, to int64, err error) {
	p = plan{Epoch: e}
	if p.ranges, err = v.Ledger.Ranges(ctx, e); err != nil {
		return p, 0, 0, err
	}
	if p.anchor, err = v.anchorAt(ctx, e, gone, ring); err != nil {
		return p, 0, 0, err
	}
	if p.anchor.seq < gone {
		p.anchor = anchor{seq: gone, open: true}
	}
	if scope.From.IsZero() && scope.To.IsZero() {
		return p, math.MinInt64, math.MaxInt64, nil
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !scope.From.IsZero() {
		since = scope.From.UnixMilli()
	}
	if !scope.To.IsZero() {
		until = scope.To.UnixMilli()
	}
	below, above, err := v.Ledger.SealSpan(ctx, e, since, until)
	if err != nil {
		return p, 0, 0, err
	}
	p.to = above
	if below > gone {
		if p.anchor, err = v.anchorAt(ctx, e, below, ring); err != nil {
			return p, 0, 0, err
		}
	}
	from, to, err = v.window(ctx, &p)
	return p, from, to, err
}

// AnchorAt finds the highest seal of an epoch up to a seq that a trusted key made, and
// the time (ms) of its record; 0 when there is none.
func (v *Verifier) AnchorAt(ctx context.Context, e ledger.Epoch, seq int64) (sealed, at int64, err error) {
	keys, err := v.Ledger.Keys(ctx, e.Site, e.Agent)
	if err != nil {
		return 0, 0, err
	}
	a, err := v.anchorAt(ctx, e, seq, newKeyring(time.Time{}, keys))
	return a.seq, a.at, err
}

// anchorAt finds the highest good seal up to seq; without one, the beginning.
func (v *Verifier) anchorAt(ctx context.Context, e ledger.Epoch, seq int64, ring keyring) (anchor, error) {
	for seq > 0 {
		seals, err := v.Ledger.SealsBefore(ctx, e, seq+1, 16)
		if err != nil {
			return anchor{}, err
		}
		if len(seals) == 0 {
			break
		}
		for _, s := range seals {
			h, ok := s.Head()
			if signed, refused := ring.check(e, &s.Seal); ok && refused == "" && signed == ledger.KeyTrusted && s.At != 0 {
				return anchor{seq: s.Seq, at: s.At, hash: h}, nil
			}
			seq = s.Seq - 1
		}
	}
	return anchor{hash: wire.FirstHash(e.Site, e.Agent, e.Epoch)}, nil
}

// window gives the times between which the records of a plan are, by the rule of
// sealing: each has the time of the seal after it, or one less than SealEvery from
// that of the seal before it.
func (v *Verifier) window(ctx context.Context, p *plan) (from, to int64, err error) {
	from, to = math.MinInt64, math.MaxInt64
	if p.anchor.seq == 0 && p.to == 0 {
		return from, to, nil
	}
	earliest, latest, known, err := v.Ledger.SealTimes(ctx, p.Epoch, max(p.anchor.seq, 1), p.to)
	if err != nil || !known {
		return from, to, err
	}
	// A seal that was taken away leaves a longer stretch: a little more costs nothing.
	const slack = int64(2 * wire.SealEvery / time.Millisecond)
	if p.anchor.seq > 0 {
		from = earliest - slack
	}
	if p.to > 0 {
		to = latest + slack
	}
	return from, to, nil
}

// read brings a device's readings of [from, to) into the order of the chain.
func (v *Verifier) read(ctx context.Context, d ledger.Device, plans []plan, from, to int64) (*sorter, error) {
	s := &sorter{dir: v.Temp, limit: rowsInMemory}
	if v.rowsInMemory > 0 {
		s.limit = v.rowsInMemory
	}
	for i := range plans {
		s.epochs.id(plans[i].Epoch.Epoch)
	}
	series, err := v.Readings.Series(ctx, d.Site, d.Agent)
	for _, k := range series {
		if err != nil {
			break
		}
		err = v.Readings.Scan(ctx, k, from, to, func(r *coldkeep.Reading) error {
			v.step(1)
			return s.add(r)
		})
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// unknowns is what an epoch's walk could not place.
type unknowns struct {
	plan
	records []unknown
	beyond  int64
}

func (v *Verifier) walks(ctx context.Context, d ledger.Device, plans []plan, srt *sorter, r *report, ring keyring, uses map[string]int64) ([]unknowns, error) {
	rows, err := srt.sorted()
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "evidence.sort", "sorted readings cannot be read back")
	}
	next := func() (row, bool, error) {
		v.step(1)
		return rows()
	}
	cur, has, err := next()
	if err != nil {
		return nil, err
	}
	// Readings of epochs that the book has never heard of come after all others.
	for i := len(plans); i < len(srt.epochs.list) && !srt.only; i++ {
		plans = append(plans, plan{Epoch: ledger.Epoch{Site: d.Site, Agent: d.Agent, Epoch: srt.epochs.list[i]}})
	}
	var out []unknowns
	for i := range plans {
		p := &plans[i]
		r.sum.Epochs++
		w := &walk{plan: *p, report: r, ring: ring, uses: uses}
		if w.lost, err = v.Ledger.Lost(ctx, p.Epoch); err != nil {
			return nil, err
		}
		stamps, err := v.Ledger.Stamps(ctx, p.Epoch)
		if err != nil {
			return nil, err
		}
		w.seals.fetch = func(last *ledger.Seal) ([]ledger.Seal, error) {
			if last == nil {
				return v.Ledger.Seals(ctx, p.Epoch, p.anchor.seq, "~", page) // after every signature of the anchor
			}
			return v.Ledger.Seals(ctx, p.Epoch, last.Seq, last.Sig, page)
		}
		recs := newRecords(ctx, v.Ledger, p.Epoch, p.anchor.seq, stamps, r.sum)
		recs.rows, recs.row, recs.has, recs.epoch, recs.names = next, cur, has, int32(i), srt //nolint:gosec // as names.id
		if err := w.run(ctx, recs); err != nil {
			return nil, err
		}
		cur, has = recs.row, recs.has
		if len(w.unknown) > 0 || w.beyond > 0 {
			out = append(out, unknowns{w.plan, w.unknown, w.beyond})
		}
	}
	return out, nil
}

// again looks a second time at what was stored and not in the book, after the time
// that a collector at work needs to enter it.
func (v *Verifier) again(ctx context.Context, d ledger.Device, all []unknowns, r *report) error {
	if len(all) == 0 {
		return nil
	}
	wait := settleTime
	if v.settle > 0 {
		wait = v.settle
	}
	if err := (coldkeep.RealClock{}).Sleep(ctx, wait); err != nil {
		return err
	}
	for _, u := range all {
		ranges, err := v.Ledger.Ranges(ctx, u.Epoch)
		if err != nil {
			return err
		}
		for _, x := range u.records {
			for _, m := range ranges.Missing(x.from, x.to) {
				f := Finding{Kind: KindInserted, Site: d.Site, Agent: d.Agent, Epoch: u.Epoch.Epoch, Probe: x.probe, FromSeq: m[0], ToSeq: m[1],
					Detail: "is stored, and the collector has not entered it"}
				f.From, f.To = between(x.since, x.till)
				if err := r.add(f); err != nil {
					return err
				}
			}
		}
		if top := u.top(); u.beyond > top && !ranges.Has(u.beyond) {
			if err := r.add(Finding{Kind: KindMissing, Site: d.Site, Agent: d.Agent, Epoch: u.Epoch.Epoch, FromSeq: top + 1, ToSeq: u.beyond,
				Detail: "a seal covers it, and neither the book nor the readings know of it"}); err != nil {
				return err
			}
		}
	}
	return nil
}
