package judge

import (
	"crypto/sha256"
	"encoding/base32"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// refresh is how much event time passes until an open excursion of which only the
// minutes and the extreme have grown is told again.
const refresh = 15 * time.Minute

// reconcile compares what the engine found with what the book has of the same
// stretch of a track and returns the new revisions. at is the event time up to
// which was judged, in ms. revived looks up a withdrawn excursion by its id.
//
// An excursion found keeps the identity of the earliest one in the book that it
// overlaps. Others that it overlaps have melted into it; one in the book that
// nothing found overlaps was none. Both are withdrawn, with the reason.
func reconcile(t ledger.Track, site coldkeep.SiteID, profile string, at int64, found []excursion.Finding, book []ledger.Judged, revived func(id string) (ledger.Judged, bool, error)) ([]ledger.Judged, error) {
	var out []ledger.Judged
	taken := make([]bool, len(book))
	given := map[string]bool{} // ids that stand, or have been given in this round
	for i := range book {
		given[book[i].ID] = true
	}
	for _, f := range found {
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold {
			continue
		}
		var was *ledger.Judged
		for i := range book {
			if taken[i] || book[i].Kind != f.Kind || !overlap(&book[i].Excursion, &f) {
				continue
			}
			taken[i] = true
			if was == nil {
				was = &book[i]
				continue
			}
			x := book[i]
			x.State, x.Revision, x.Reason, x.JudgedAt = coldkeep.ExcursionWithdrawn, x.Revision+1, "late readings joined it to excursion "+was.ID, at
			out = append(out, x)
		}
		x := describe(t, site, profile, &f)
		x.JudgedAt = at
		if was == nil {
			var err error
			if x.ID, was, err = freeIdentity(t, &f, given, revived); err != nil {
				return nil, err
			}
		} else {
			x.ID = was.ID
		}
		given[x.ID] = true
		if was == nil {
			x.Revision = 1
			x.Reason = "out of range"
			if x.End != nil {
				x.Reason = "out of range, seen when it was over"
			}
			out = append(out, x)
			continue
		}
		x.Revision = was.Revision + 1
		if x.Reason = revision(was, &x); x.Reason != "" {
			out = append(out, x)
		}
	}
	for i := range book {
		if !taken[i] {
			x := book[i]
			x.State, x.Revision, x.Reason, x.JudgedAt = coldkeep.ExcursionWithdrawn, x.Revision+1, "late readings show that it was none", at
			out = append(out, x)
		}
	}
	return out, nil
}

// freeIdentity gives an id to an excursion that overlaps none in the book: that of
// a withdrawn one which began at the same time, and which it then revives, or a
// new one. An excursion whose start was moved since keeps the id that its first
// start gave it, so that id may stand although nothing in the book begins there.
func freeIdentity(t ledger.Track, f *excursion.Finding, given map[string]bool, look func(id string) (ledger.Judged, bool, error)) (id string, was *ledger.Judged, err error) {
	for n := 0; ; n++ {
		id = identity(t, f.Kind, f.Start, n)
		if given[id] {
			continue
		}
		old, ok, err := look(id)
		switch {
		case err != nil:
			return "", nil, err
		case !ok:
			return id, nil, nil
		case old.State == coldkeep.ExcursionWithdrawn || old.Start.UnixMilli() == f.Start:
			return id, &old, nil
		}
	}
}

// identity is stable: the same track, direction and first start give the same id
// however often a crash makes the judge find it anew. n tells apart those that
// began at the same time in different tellings of the past.
func identity(t ledger.Track, kind coldkeep.Kind, start int64, n int) string {
	parts := []string{t.String(), string(t.Appliance), string(kind), time.UnixMilli(start).UTC().Format(time.RFC3339Nano)}
	if n > 0 {
		parts = append(parts, strconv.Itoa(n))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x1f")))
	return "x" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15]))
}

func overlap(x *coldkeep.Excursion, f *excursion.Finding) bool {
	end := int64(math.MaxInt64)
	if x.End != nil {
		end = x.End.UnixMilli()
	}
	fEnd := f.End
	if fEnd == 0 {
		fEnd = math.MaxInt64
	}
	return x.Start.UnixMilli() < fEnd && f.Start < end
}

func describe(t ledger.Track, site coldkeep.SiteID, profile string, f *excursion.Finding) ledger.Judged {
	x := coldkeep.Excursion{Site: site, Appliance: t.Appliance, Probe: t.String(), Kind: f.Kind, Rule: f.Rule, Profile: profile,
		Start: utc(f.Start), PeakAt: utc(f.PeakAt), Extreme: f.Extreme, MinutesOut: Minutes(f.OutMS), Actions: f.Actions, State: coldkeep.ExcursionOpen}
	if f.End != 0 {
		end := utc(f.End)
		x.End, x.State = &end, coldkeep.ExcursionClosed
	}
	return ledger.Judged{Excursion: x}
}

// Minutes gives ms as minutes with one decimal, as excursions are printed.
func Minutes(ms int64) float64 { return math.Round(float64(ms)/6000) / 10 }

func utc(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// revision gives the reason for which now is told after was, "" when it is not
// worth telling.
func revision(was, now *ledger.Judged) string {
	switch {
	case was.State == coldkeep.ExcursionWithdrawn:
		return "late readings brought it back"
	case was.State == coldkeep.ExcursionOpen && now.State == coldkeep.ExcursionClosed:
		return "back in range"
	case was.State == coldkeep.ExcursionClosed && now.State == coldkeep.ExcursionOpen:
		return "late readings opened it again"
	case !was.Start.Equal(now.Start):
		return "late readings moved its start"
	case !slices.Equal(was.Actions, now.Actions) || was.Rule != now.Rule:
		return "rule met: " + string(now.Rule)
	case now.State == coldkeep.ExcursionOpen:
		if now.JudgedAt-was.JudgedAt >= refresh.Milliseconds() && (was.MinutesOut != now.MinutesOut || was.Extreme != now.Extreme) {
			return "goes on"
		}
		return ""
	case !was.End.Equal(*now.End):
		return "late readings moved its end"
	case was.MinutesOut != now.MinutesOut || was.Extreme != now.Extreme || !was.PeakAt.Equal(now.PeakAt):
		return "late readings changed it"
	}
	return ""
}
