package evidence

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// Kind is what was found.
type Kind string

// The kinds of findings. All but the notes mean that the log is not whole.
const (
	KindGap        Kind = "gap"        // has not come, and the device may still hold it
	KindLost       Kind = "lost"       // the device no longer had it; it never comes
	KindMissing    Kind = "missing"    // was stored, and is not there
	KindInserted   Kind = "inserted"   // is stored, and the device never sent it, or something else under that number
	KindAltered    Kind = "altered"    // what is stored between two good seals is not what was sealed
	KindUnproven   Kind = "unproven"   // cannot be told from the chain, because something beside it is missing
	KindSeal       Kind = "seal"       // a seal that is not what its device made
	KindUnsealed   Kind = "unsealed"   // a seal that the device must have made is not there
	KindKey        Kind = "key"        // sealed by a key that nobody has trusted
	KindVoid       Kind = "void"       // the seal of the range was refused three times
	KindFault      Kind = "fault"      // was raised about the device's evidence when it came
	KindNote       Kind = "note"       // a person's annotation was altered or taken away
	KindAnnotation Kind = "annotation" // a note: what a person has annotated
	KindUnreadable Kind = "unreadable" // a note: a quarantined record that the chain cannot be followed over
	KindLetGo      Kind = "let-go"     // a note: went when its time was over; no note when that was too early
	KindPayload    Kind = "payload"    // a note: payloads came that could not be read; see faults
	KindLateSeal   Kind = "late-seal"  // a note: the epoch's first seal came late; it proves what was before it all the same
)

// Finding is one stretch of records of a device, and what was found of it. It is
// the narrowest that can be proven: an altered record lies somewhere between two
// seals, a missing one has its own number.
type Finding struct {
	Kind    Kind             `json:"kind"`
	Note    bool             `json:"note,omitempty"` // does not make the log less whole
	Site    coldkeep.SiteID  `json:"site"`
	Agent   coldkeep.AgentID `json:"agent,omitempty"`
	Epoch   string           `json:"epoch,omitempty"`
	Probe   coldkeep.ProbeID `json:"probe,omitempty"`
	FromSeq int64            `json:"from_seq,omitempty"`
	ToSeq   int64            `json:"to_seq,omitempty"`
	From    *time.Time       `json:"from,omitempty"` // the minutes it lies in, as far as they are known
	To      *time.Time       `json:"to,omitempty"`
	Detail  string           `json:"detail"`

	Annotation *ledger.Annotation `json:"annotation,omitempty"`
}

// Summary is what a verification has seen in all.
type Summary struct {
	Whole       bool           `json:"whole"`
	Devices     int64          `json:"devices"`
	Epochs      int64          `json:"epochs"`
	Readings    int64          `json:"readings"`
	Events      int64          `json:"events"`
	Quarantined int64          `json:"quarantined"`
	Seals       int64          `json:"seals"`
	Proven      int64          `json:"proven"`   // records under a seal that they fit
	Unsealed    int64          `json:"unsealed"` // the latest records, whose seal is not due yet
	Findings    map[Kind]int64 `json:"findings"` // stretches, notes among them
	Keys        []KeyInUse     `json:"keys"`
}

// KeyInUse is a key that the proof of a device rests on.
type KeyInUse struct {
	Site      coldkeep.SiteID  `json:"site"`
	Agent     coldkeep.AgentID `json:"agent"`
	Key       string           `json:"key"`
	Trusted   bool             `json:"trusted"`
	TrustedBy string           `json:"trusted_by,omitempty"`
	Seals     int64            `json:"seals"`
}

// Source is what is read of a readings store; both stores are one.
type Source interface {
	// Series lists the series of a site and an agent; "" is any.
	Series(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]coldkeep.Series, error)
	// Scan calls each with the readings of a series whose time is in [from, to), in
	// ms, in any order.
	Scan(ctx context.Context, s coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error
}

// report takes findings, joins those that touch, and hands them on.
type report struct {
	each func(Finding) error
	last *Finding
	sum  *Summary
}

func (r *report) add(f Finding) error {
	if l := r.last; l != nil && l.Kind == f.Kind && l.Site == f.Site && l.Agent == f.Agent && l.Epoch == f.Epoch && l.Probe == f.Probe && l.Detail == f.Detail &&
		f.FromSeq != 0 && f.FromSeq == l.ToSeq+1 {
		l.ToSeq = f.ToSeq
		l.From, l.To = earlier(l.From, f.From), later(l.To, f.To)
		return nil
	}
	err := r.flush()
	r.last = &f
	return err
}

func (r *report) flush() error {
	if r.last == nil {
		return nil
	}
	f := *r.last
	r.last = nil
	r.sum.Findings[f.Kind]++
	r.sum.Whole = r.sum.Whole && f.Note
	return r.each(f)
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

func later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// between gives the two times in order, nil for those not known.
func between(a, b int64) (from, to *time.Time) {
	if a != 0 && b != 0 && b < a {
		a, b = b, a
	}
	return moment(a), moment(b)
}

func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
