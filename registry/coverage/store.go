package coverage

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Head is where a walk over everybody stands: the birth date and the id of a standing record.
type Head struct {
	Birth coldkeep.Date
	ID    string
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Sites(ctx context.Context) ([]coldkeep.Site, error)
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	PatientGate(ctx context.Context, id, who string, at time.Time) (patient.Gate, error)
	Names(ctx context.Context, patients []string) (map[string]patient.Name, error)

	// CoverageHeads gives people who were born from the first day to the last, in the order
	// of birth and id, after one of them.
	CoverageHeads(ctx context.Context, first, last coldkeep.Date, after Head, limit int) ([]Head, error)
	CoverageHeadCount(ctx context.Context, first, last coldkeep.Date) (int64, error)
	// CoverageHeadsOf gives the people of whom a practice has ever had a standing
	// (ByOwnership), or has given a dose (ByService), in the order of ids.
	CoverageHeadsOf(ctx context.Context, site coldkeep.SiteID, basis Basis, first, last coldkeep.Date) ([]string, error)
	// CoveragePeople reads people, in the order of their ids.
	CoveragePeople(ctx context.Context, heads []string) ([]Person, error)

	CoverageRun(ctx context.Context, id string) (Run, error)
	// CoverageRuns lists the latest assessments of one practice, or with site "" those of the
	// programme and, with all, of every practice.
	CoverageRuns(ctx context.Context, site coldkeep.SiteID, all bool, limit int) ([]Run, error)
	CoverageUnfinished(ctx context.Context, site coldkeep.SiteID) (int, error)
	CoverageCounts(ctx context.Context, run string) ([]Count, error)
	CoverageMeasures(ctx context.Context) ([]Kept, error) // all versions, the latest of each first
	// CoverageSmallest is what was set; ENOTFOUND when nothing was.
	CoverageSmallest(ctx context.Context) (Smallest, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	InsertCoverageRun(ctx context.Context, r Run) error
	// ClaimCoverageRun takes the assessment that has waited longest, or one whose worker was
	// not heard of since stale, and begins it. ENOTFOUND when there is none.
	ClaimCoverageRun(ctx context.Context, worker string, now, stale time.Time, schedule string) (Run, error)
	// BeatCoverageRun says how far an assessment is. ECONFLICT when it is not the worker's.
	BeatCoverageRun(ctx context.Context, id, worker string, now time.Time, done, total int64) error
	// EndCoverageRun ends one that is the worker's, with its counts. ECONFLICT as above.
	EndCoverageRun(ctx context.Context, id, worker string, state State, now time.Time, trouble string, done int64, counts []Count) error
	// CancelCoverageRun ends one that goes on. ECONFLICT when it has ended.
	CancelCoverageRun(ctx context.Context, id, by string, now time.Time) error
	InsertCoverageMeasure(ctx context.Context, k Kept) error // ECONFLICT when the version is there
	RetireCoverageMeasure(ctx context.Context, id, by string, at time.Time) error
	PutCoverageSmallest(ctx context.Context, s Smallest) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}
