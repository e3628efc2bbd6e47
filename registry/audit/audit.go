// Package audit is the registry's trail: who did what to whom, when, why and from
// where. Entries are only ever added, in the same transaction as the change or the view
// they speak of, so neither exists without the other, and each is chained to the one
// before it in its lane (Chain).
package audit

import (
	"context"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Entry is one line of the trail. Address, Agent and Session are filled in from the
// Origin in the context of the call, and ID, Lane, Seq and Hash by the store.
type Entry struct {
	ID      string // ULID
	At      time.Time
	WhoID   string // of the person, interface account or part of the system
	Who     string // the name as it stood that day
	What    string // such as "hold.release"
	Subject string // what it was done to, such as "lot/01J…"
	Patient string // whose record it was, by id; taken from Subject when that is "patient/…"
	Site    coldkeep.SiteID
	Why     string // the person's reason, where one is asked for
	Detail  string // what changed, in words
	Address string // the network address it came from; "" for the registry's own work
	Agent   string // what it came by, such as "Firefox on Windows"
	Session string // the sign-in it was done in

	Lane int   // of the chain; -1 is from before there was one
	Seq  int64 // in its lane, from 1
	Hash string
}

// Origin is where a call comes from.
type Origin struct {
	Address string
	Agent   string
	Session string
}

type originKey struct{}

// WithOrigin returns a context whose entries carry where the call comes from.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns where a call comes from; the zero Origin is the registry itself.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// longest bounds a field of an entry, in bytes. What is longer is cut: an entry must
// never fail for what a caller has sent.
const longest = 2000

// Complete returns the entry as it is stored: with its origin and its patient, and every
// text such that both engines keep it (no NUL, valid UTF-8, at most 2000 bytes).
func (e Entry) Complete(ctx context.Context) Entry {
	o := OriginOf(ctx)
	for _, f := range []struct {
		into *string
		from string
	}{{&e.Address, o.Address}, {&e.Agent, o.Agent}, {&e.Session, o.Session}} {
		if *f.into == "" {
			*f.into = f.from
		}
	}
	if id, ok := strings.CutPrefix(e.Subject, "patient/"); ok && e.Patient == "" {
		e.Patient = id
	}
	for _, f := range e.texts() {
		*f = clean(*f)
	}
	e.At = e.At.Truncate(time.Millisecond).UTC()
	return e
}

func (e *Entry) texts() []*string {
	return []*string{&e.WhoID, &e.Who, &e.What, &e.Subject, &e.Patient, (*string)(&e.Site), &e.Why, &e.Detail, &e.Address, &e.Agent, &e.Session}
}

func clean(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

// Writer adds an entry inside the transaction of the change.
type Writer interface {
	Audit(ctx context.Context, e Entry) error
}

// Reader lists the latest entries, newest first; a site narrows them. Entries about a
// patient are not among them: those are for who may read the audit (package review).
type Reader interface {
	Trail(ctx context.Context, site coldkeep.SiteID, limit int) ([]Entry, error)
}

// Query says which entries are looked for. What is empty does not narrow.
type Query struct {
	From, To time.Time // [From, To)
	WhoID    string
	What     string // the whole word, or its beginning with "*" after it, such as "patient.*"
	Patient  string
	Subject  string
	Site     coldkeep.SiteID
	Before   Place // continue after the last entry of the page before
	Limit    int
}

// Place is where an entry stands in the order of time, which is that of lists.
type Place struct {
	At time.Time
	ID string
}

// AgentClass says what a program is by its User-Agent header: the kind of browser and of
// system, which is what an auditor needs, and no more, which would follow people about.
func AgentClass(header string) string {
	if header == "" {
		return ""
	}
	pick := func(fallback string, words ...string) string {
		for i := 0; i < len(words); i += 2 {
			if strings.Contains(header, words[i]) {
				return words[i+1]
			}
		}
		return fallback
	}
	browser := pick("", "Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Chromium/", "Chrome", "Safari/", "Safari")
	if browser == "" {
		name, _, _ := strings.Cut(header, "/")
		return "program " + clean(name[:min(len(name), 40)])
	}
	return browser + pick("", "iPhone", " on iOS", "iPad", " on iOS", "Android", " on Android", "Windows", " on Windows", "Macintosh", " on macOS", "CrOS", " on ChromeOS", "Linux", " on Linux")
}
