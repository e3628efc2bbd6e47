package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// Lanes is how many chains run side by side. An entry is chained before its transaction
// commits, so that there is no moment at which one is kept and could be altered unseen;
// to do that its transaction has to wait for the one before it in the same chain, from
// its last statement to its commit. One chain would have every view of a patient in the
// state wait for every other's write to disk; of eight, chosen at random, few meet.
const Lanes = 8

// Before is the lane of entries from before there was a chain.
const Before = -1

// Head is the end of a lane.
type Head struct {
	Lane int    `json:"lane"`
	Seq  int64  `json:"seq"`  // of the last entry, 0 when there is none
	Hash string `json:"hash"` // of the last entry
}

// Link is the hash of an entry that follows prev in a lane: SHA-256, in hex, over its
// place and every field, each with its length before it so that nothing can be moved from
// one field into the next. e is as Complete returns it.
func Link(prev string, lane int, seq int64, e *Entry) string {
	h := sha256.New()
	put := func(s string) { _, _ = h.Write([]byte(strconv.Itoa(len(s)) + ":" + s)) } // a hash takes everything
	put("coldkeep/audit/1")
	put(prev)
	put(strconv.Itoa(lane))
	put(strconv.FormatInt(seq, 10))
	put(e.ID)
	put(strconv.FormatInt(e.At.UnixMilli(), 10))
	for _, f := range e.texts() {
		put(*f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Begins is what the first entry of lane 0 is called.
const Begins = "audit.begin"

const beginsWith = "%d earlier entries, covered from now on by %s"

// Beginning is the detail of the first entry: how many entries there were before, and the
// last hash of a chain over them by id.
func Beginning(earlier int64, hash string) string {
	if hash == "" {
		hash = "none"
	}
	return fmt.Sprintf(beginsWith, earlier, hash)
}

// Source is where a chain is kept.
type Source interface {
	Heads(ctx context.Context) ([]Head, error)
	// Lane hands over a lane's entries in the order of their numbers, those of Before in
	// that of their ids.
	Lane(ctx context.Context, lane int, each func(*Entry) error) error
	// Strays counts entries of lanes that do not exist.
	Strays(ctx context.Context) (int64, error)
}

// Finding is one thing that is wrong with the trail.
type Finding struct {
	Kind   string `json:"kind"` // "altered", "missing", "inserted", "truncated", "not-begun"
	Lane   int    `json:"lane"`
	Seq    int64  `json:"seq"`
	To     int64  `json:"to,omitempty"` // the last one, of several that are missing
	Entry  string `json:"entry,omitempty"`
	Detail string `json:"detail"`
}

// Summary is what a verification has seen.
type Summary struct {
	Entries  int64  `json:"entries"` // in the chain
	Earlier  int64  `json:"earlier"` // from before it
	Findings int64  `json:"findings"`
	Whole    bool   `json:"whole"`
	Heads    []Head `json:"heads"` // keep these elsewhere, and give them as anchor next time
}

// Verify derives the chain anew and tells of everything that does not fit. anchor are heads
// of an earlier summary that was kept elsewhere: without them, somebody who can write to
// every table may cut off the newest entries, or write them anew with other hashes, and set
// the heads to match. Entries may be added meanwhile.
func Verify(ctx context.Context, s Source, anchor []Head, tell func(Finding) error) (Summary, error) {
	v := verifier{tell: tell, anchor: map[int][]Head{}}
	for _, a := range anchor {
		v.anchor[a.Lane] = append(v.anchor[a.Lane], a)
	}
	heads, err := s.Heads(ctx)
	if err != nil {
		return v.sum, err
	}
	v.sum.Heads = heads
	if err := v.earlier(ctx, s); err != nil {
		return v.sum, err
	}
	at := map[int]Head{}
	for _, h := range heads {
		at[h.Lane] = h
	}
	last := make([]int64, Lanes)
	for lane := range Lanes {
		// The rows of ends are made with the tables, also that of a lane without entries.
		if _, ok := at[lane]; !ok {
			if err := v.found(Finding{Kind: "missing", Lane: lane, Detail: "the row that holds the lane's end has been deleted"}); err != nil {
				return v.sum, err
			}
		}
		if last[lane], err = v.lane(ctx, s, lane, at[lane]); err != nil {
			return v.sum, err
		}
	}
	if heads, err = s.Heads(ctx); err != nil {
		return v.sum, err
	}
	for _, h := range heads {
		if h.Lane >= 0 && h.Lane < Lanes && last[h.Lane] > h.Seq {
			if err := v.found(Finding{Kind: "inserted", Lane: h.Lane, Seq: h.Seq + 1, To: last[h.Lane], Detail: "entries beyond the end of the lane"}); err != nil {
				return v.sum, err
			}
		}
	}
	strays, err := s.Strays(ctx)
	if err == nil && strays > 0 {
		err = v.found(Finding{Kind: "inserted", Lane: Lanes, Detail: fmt.Sprintf("%d entries of lanes that do not exist", strays)})
	}
	v.sum.Whole = v.sum.Findings == 0
	return v.sum, err
}

type verifier struct {
	tell   func(Finding) error
	anchor map[int][]Head
	sum    Summary
	before string // the last hash over the earlier entries
}

func (v *verifier) found(f Finding) error {
	v.sum.Findings++
	return v.tell(f)
}

func (v *verifier) earlier(ctx context.Context, s Source) error {
	return s.Lane(ctx, Before, func(e *Entry) error {
		v.sum.Earlier++
		v.before = Link(v.before, Before, v.sum.Earlier, e)
		return nil
	})
}

// lane verifies one lane up to where it ended when the verification began, and what has
// come since as far as it goes. It returns the last number.
func (v *verifier) lane(ctx context.Context, s Source, lane int, head Head) (int64, error) {
	prev, seq := "", int64(0)
	hashes := map[int64][]string{} // of one number two anchors may say two
	for _, a := range append(v.anchor[lane], head) {
		if a.Seq > 0 {
			hashes[a.Seq] = append(hashes[a.Seq], a.Hash)
		}
	}
	err := s.Lane(ctx, lane, func(e *Entry) error {
		v.sum.Entries++
		if e.Seq != seq+1 {
			if err := v.found(Finding{Kind: "missing", Lane: lane, Seq: seq + 1, To: e.Seq - 1, Detail: "entries have been deleted"}); err != nil {
				return err
			}
		} else if want := Link(prev, lane, e.Seq, e); want != e.Hash {
			if err := v.found(Finding{Kind: "altered", Lane: lane, Seq: e.Seq, Entry: e.ID, Detail: "this entry or the one before it is not as it was written"}); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(hashes[e.Seq], func(want string) bool { return want != e.Hash }) {
			if err := v.found(Finding{Kind: "altered", Lane: lane, Seq: e.Seq, Entry: e.ID, Detail: "is not the entry that the lane's end, or the anchor, names"}); err != nil {
				return err
			}
		}
		if lane == 0 && e.Seq == 1 {
			if err := v.begun(e); err != nil {
				return err
			}
		}
		prev, seq = e.Hash, e.Seq
		return nil
	})
	if err != nil {
		return seq, err
	}
	if lane == 0 && seq == 0 {
		if err := v.found(Finding{Kind: "not-begun", Seq: 1, Detail: "the chain has no beginning"}); err != nil {
			return seq, err
		}
	}
	for _, a := range append(v.anchor[lane], head) {
		if a.Seq > seq {
			return seq, v.found(Finding{Kind: "truncated", Lane: lane, Seq: seq + 1, To: a.Seq, Detail: "the newest entries have been deleted"})
		}
	}
	return seq, nil
}

// begun checks the entries from before the chain against its first entry.
func (v *verifier) begun(e *Entry) error {
	if e.What != Begins || e.Detail != Beginning(v.sum.Earlier, v.before) {
		return v.found(Finding{Kind: "altered", Lane: Before, Detail: fmt.Sprintf("the entries from before the chain are not those that its first entry covers (%s)", e.Detail)})
	}
	return nil
}
