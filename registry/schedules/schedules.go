// Package schedules keeps the releases of CDC's immunization schedule that a
// programme has loaded, and says which of them forecasts are made by. An
// administrator loads a release from the files CDC publishes, sees what it would
// change for a sample of patients, and activates it; one that is malformed or
// partial is refused with its reasons, and the one in force stays.
package schedules

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// BuiltIn is the id of the release that comes with the program. It is in force
// until another is activated, and can be activated again.
const BuiltIn = "built-in"

// Release is one release of the schedule, without what is in it.
type Release struct {
	ID       string        // ULID, or BuiltIn
	Version  string        // CDC's, such as "4.64"
	Released coldkeep.Date // by CDC; the zero Date when it was not told
	Digest   string        // SHA-256 of the packed content, in hexadecimal
	Antigens int
	Series   int
	LoadedBy string // the person's name; "" of the built-in one
	LoadedAt time.Time

	Active bool // forecasts are made by it; filled by Service.List, not stored
}

// Activation is who put a release in force, and when.
type Activation struct {
	Release string
	By      string // the person's name
	At      time.Time
	Why     string // the person's reason
}

// Reader reads what is kept. A missing release is ENOTFOUND.
type Reader interface {
	// Releases lists those loaded, the latest loaded first. The built-in one is not
	// among them.
	Releases(ctx context.Context) ([]Release, error)
	Release(ctx context.Context, id string) (Release, error)
	// Content is what InsertRelease was given.
	Content(ctx context.Context, id string) ([]byte, error)
	// Active is the latest activation; the zero Activation when there was none.
	Active(ctx context.Context) (Activation, error)
}

// Tx is one transaction.
type Tx interface {
	Reader
	audit.Writer
	// InsertRelease keeps a release with its content, some 100 kB. ECONFLICT when one
	// of the same digest is there.
	InsertRelease(ctx context.Context, r Release, content []byte) error
	// Activate adds an activation: the latest is in force, the others are history.
	Activate(ctx context.Context, a Activation) error
}

// Store keeps releases.
type Store interface {
	Reader
	// Tx runs do in one transaction; an error of do undoes it.
	Tx(ctx context.Context, do func(Tx) error) error
}

// Report is what a release would change, for the person who decides.
type Report struct {
	Release, InForce Release
	Patients         int // of the sample
	Changed          int // of them, those with a forecast that differs
	Groups           []forecast.GroupChange
	// Ended are the seasons of the release that are over: it recommends nothing for
	// them until a newer one is loaded.
	Ended []schedule.Season
	// Gone are antigens, vaccine groups and vaccine types of the schedule in force
	// that the release does not have: a release of fewer files looks like this.
	Gone []string
}
