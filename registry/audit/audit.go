// Package audit is the registry's trail: who did what, when and why. Entries are
// only ever added, in the same transaction as the change they speak of, so neither
// exists without the other.
package audit

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Entry is one line of the trail.
type Entry struct {
	ID      string // ULID, given by the store
	At      time.Time
	WhoID   string // of the person, interface account or part of the system
	Who     string // the name as it stood that day
	What    string // such as "hold.release"
	Subject string // what it was done to, such as "lot/01J…"
	Site    coldkeep.SiteID
	Why     string // the person's reason, where one is asked for
	Detail  string // what changed, in words
}

// Writer adds an entry inside the transaction of the change.
type Writer interface {
	Audit(ctx context.Context, e Entry) error
}

// Reader lists the latest entries, newest first; a site narrows them.
type Reader interface {
	Trail(ctx context.Context, site coldkeep.SiteID, limit int) ([]Entry, error)
}
