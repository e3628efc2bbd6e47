package evidence

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// Checker follows, from what is stored, the chains that could not be followed when
// their seals came: records were missing then, the key was not known, or the
// collector had just started. It works through them while nothing else waits for it.
type Checker struct {
	Ledger   *ledger.Ledger
	Readings Source
	Clock    coldkeep.Clock
	Log      *slog.Logger

	next map[string]retry // of seals that could not be told last time
}

type retry struct {
	at   time.Time
	wait time.Duration
}

const (
	checkEvery = time.Minute
	// A seal whose records do not come is tried less and less often.
	retryFirst = time.Minute
	retryMost  = 24 * time.Hour
)

// Run checks until ctx ends. A store that is away is told once, and tried again.
func (c *Checker) Run(ctx context.Context) error {
	told := false
	for {
		n, err := c.Pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !told:
			c.Log.Error("seals cannot be checked at present", "error", err)
		case err == nil && n > 0:
			c.Log.Debug("seals checked", "seals", n)
		}
		told = err != nil
		// Of the machine's time: stores are no faster in a demo.
		if err := (coldkeep.RealClock{}).Sleep(ctx, checkEvery); err != nil {
			return nil
		}
	}
}

// Pass checks every seal that is open and can be told now, and returns how many it
// has told.
func (c *Checker) Pass(ctx context.Context) (told int, err error) {
	now := time.Now()
	if c.next == nil {
		c.next = map[string]retry{}
	}
	var last ledger.OpenSeal
	for {
		open, err := c.Ledger.OpenSeals(ctx, last, page)
		if err != nil {
			return told, err
		}
		for i := range open {
			s := &open[i]
			id := fmt.Sprintf("%s/%s/%s/%d/%s", s.Site, s.Agent, s.Epoch.Epoch, s.Seq, s.Sig)
			if r, ok := c.next[id]; ok && now.Before(r.at) {
				continue
			}
			before := s.Seal
			if err := c.check(ctx, s); err != nil {
				return told, err
			}
			if s.Signed == before.Signed && s.Chain == before.Chain {
				wait := min(max(2*c.next[id].wait, retryFirst), retryMost)
				c.next[id] = retry{now.Add(wait), wait}
				continue
			}
			told++
			if s.Chain != ledger.ChainUnchecked && s.Signed != ledger.KeyUnknown {
				delete(c.next, id)
			}
			if err := c.Ledger.SetSealChecked(ctx, s.Epoch, &s.Seal); err != nil {
				return told, err
			}
		}
		if len(open) < page {
			return told, nil
		}
		last = open[len(open)-1]
	}
}

// check looks at one seal: its signature first, then the records up to it from the
// good seal before.
func (c *Checker) check(ctx context.Context, s *ledger.OpenSeal) error {
	keys, err := c.Ledger.Keys(ctx, s.Site, s.Agent)
	if err != nil {
		return err
	}
	ring := newKeyring(time.Time{}, keys)
	signed, refused := ring.check(s.Epoch, &s.Seal.Seal)
	switch {
	case refused != "":
		s.Signed, s.Chain = ledger.KeyWrong, ledger.ChainBroken
		return c.raise(ctx, s, ledger.FaultSealWrong, refused)
	case signed == ledger.KeyUnknown:
		return nil
	}
	s.Signed = signed
	if s.Chain != ledger.ChainUnchecked || s.At == 0 {
		return nil
	}
	v := Verifier{Ledger: c.Ledger, Readings: c.Readings}
	p := plan{Epoch: s.Epoch, to: s.Seq}
	if p.anchor, err = v.anchorAt(ctx, s.Epoch, s.Seq-1, ring); err != nil {
		return err
	}
	if p.ranges, err = c.Ledger.Ranges(ctx, s.Epoch); err != nil {
		return err
	}
	if p.ranges.Missing(p.anchor.seq+1, s.Seq) != nil {
		return nil // not all of it has come yet
	}
	lost, err := c.Ledger.Lost(ctx, s.Epoch)
	if err != nil {
		return err
	}
	if miss := lost.Missing(p.anchor.seq+1, s.Seq); len(miss) != 1 || miss[0] != [2]int64{p.anchor.seq + 1, s.Seq} {
		s.Chain = ledger.ChainLost
		return nil
	}
	s.Chain, err = v.interval(ctx, p, ring)
	if s.Chain == ledger.ChainBroken && err == nil {
		return c.raise(ctx, s, ledger.FaultChainBroken, "the seal is good and does not fit the records that are stored")
	}
	return err
}

func (c *Checker) raise(ctx context.Context, s *ledger.OpenSeal, kind, detail string) error {
	c.Log.Error("seal does not prove its records", "site", s.Site, "agent", s.Agent, "epoch", s.Epoch.Epoch, "seq", s.Seq, "reason", detail)
	return c.Ledger.Raise(ctx, c.Clock.Now(), s.Epoch, kind, fmt.Sprint(s.Seq), detail)
}

// interval follows the chain over the records of one plan that ends at a seal.
func (v *Verifier) interval(ctx context.Context, p plan, ring keyring) (int64, error) {
	sum := Summary{Findings: map[Kind]int64{}}
	from, to, err := v.window(ctx, &p)
	if err != nil {
		return ledger.ChainUnchecked, err
	}
	device := ledger.Device{Site: p.Site, Agent: p.Agent}
	srt, err := v.read(ctx, device, []plan{p}, from, to)
	if err != nil {
		return ledger.ChainUnchecked, err
	}
	defer srt.close()
	r := &report{each: func(Finding) error { return nil }, sum: &sum}
	srt.only = true
	if _, err = v.walks(ctx, device, []plan{p}, srt, r, ring, map[string]int64{}); err == nil {
		err = r.flush()
	}
	switch {
	case err != nil || sum.Findings[KindUnproven]+sum.Findings[KindMissing] > 0:
		return ledger.ChainUnchecked, err // the readings may be on their way from a replica; Verify tells
	case sum.Findings[KindAltered] > 0:
		return ledger.ChainBroken, nil
	case sum.Proven > 0:
		return ledger.ChainWhole, nil
	}
	return ledger.ChainUnchecked, nil
}
