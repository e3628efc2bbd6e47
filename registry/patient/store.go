package patient

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	// PatientGate is what decides whether a record opens to who, the ID of a Principal,
	// at a time.
	PatientGate(ctx context.Context, id, who string, at time.Time) (Gate, error)
	// Patient is one record with all its entries, those that stand first. Those of
	// records that were merged into it are not among them.
	Patient(ctx context.Context, id string) (Patient, error)
	// ProfilesByKey gives what matching compares of the records that have any of the
	// keys and stand for themselves or were merged, but for one id; at most limit.
	ProfilesByKey(ctx context.Context, keys []int64, but string, limit int) ([]Candidate, error)
	Profile(ctx context.Context, id string) (Candidate, error)
	// Faces gives what a list of search results shows of standing records.
	Faces(ctx context.Context, ids []string) ([]Face, error)
	History(ctx context.Context, ids []string) ([]Change, error) // the latest first
	Locks(ctx context.Context, ids []string) ([]LockRecord, error)
	Emergencies(ctx context.Context, open bool, limit int) ([]Emergency, error) // the latest first
	Pair(ctx context.Context, a, b string) (Pair, error)
	Pairs(ctx context.Context, state PairState, limit int) ([]Pair, error) // the highest score first
	PairsOf(ctx context.Context, ids []string) ([]Pair, error)
	Merge(ctx context.Context, id string) (Merge, error)
	Merges(ctx context.Context, ids []string) ([]Merge, error) // that touch any of the records, the latest first
	Unswept(ctx context.Context, limit int) ([]Candidate, error)
	// Deidentified calls each with every person's row after an id, in the order of ids,
	// until limit or an error.
	Deidentified(ctx context.Context, after string, limit int) ([]DeidentifiedRow, error)
	// AreaCounts counts people by the first three digits of the ZIP code and the year of birth.
	AreaCounts(ctx context.Context) ([]AreaCount, error)
	CountyCounts(ctx context.Context) (map[string]int, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	// InsertPatient adds a record with its entries.
	InsertPatient(ctx context.Context, p Patient) error
	// UpdatePatient changes a record that stands at revision from: its fields, the new
	// entries, and the ends of earlier ones. ECONFLICT when somebody has changed it since.
	UpdatePatient(ctx context.Context, p Patient, from int64) error
	InsertChange(ctx context.Context, c Change) error
	Grant(ctx context.Context, who, id string, until time.Time) error
	InsertEmergency(ctx context.Context, e Emergency) error
	ReviewEmergency(ctx context.Context, id, by, review string, at time.Time) error // ECONFLICT when it was reviewed
	// CountSearch adds one to the searches of who in a slot of time and gives their number.
	CountSearch(ctx context.Context, who string, slot int64) (int, error)
	InsertLock(ctx context.Context, l LockRecord) error
	EndLocks(ctx context.Context, ids []string, by, form string, at time.Time) error
	PutPair(ctx context.Context, p Pair) (isNew bool, err error) // an open pair gets the new score; a decided one stays
	DecidePair(ctx context.Context, p Pair) error                // ECONFLICT when it is not open
	ReopenPair(ctx context.Context, a, b string) error
	InsertMerge(ctx context.Context, m Merge) error
	EndMerge(ctx context.Context, m Merge) error // ECONFLICT when it was undone
	// SetHead makes head stand for the records ids.
	SetHead(ctx context.Context, ids []string, head string) error
	SetMergedInto(ctx context.Context, id, survivor string) error
	// Children lists the records that were merged straight into one.
	Children(ctx context.Context, id string) ([]string, error)
	SetSwept(ctx context.Context, id string, revision int64) error
	PseudonymKey(ctx context.Context, fresh []byte) ([]byte, error) // the one that is kept; fresh when there is none
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Change is one line of a record's history: the single fields that were changed.
// Names, addresses and the other lists keep their own earlier entries.
type Change struct {
	ID       string
	Patient  string
	Revision int64 // that it made
	At       time.Time
	WhoID    string
	Who      string
	Site     coldkeep.SiteID
	What     string // such as "patient.edit"
	Why      string
	Fields   []FieldChange
}

// FieldChange is a field's value before and after.
type FieldChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// LockRecord is an opt-out, with the form by which it ended.
type LockRecord struct {
	ID      string
	Patient string
	Lock
	EndedAt   *time.Time // absent: it stands
	EndedBy   string
	EndedForm string
}

// Emergency is a record that somebody opened without need-to-know's usual ground.
type Emergency struct {
	ID         string
	Patient    string
	WhoID      string
	Who        string
	Site       coldkeep.SiteID
	At         time.Time
	Until      time.Time
	Why        string
	ReviewedAt *time.Time // absent: the state has not looked at it yet
	ReviewedBy string
	Review     string
}

// PairState is where a possible duplicate stands.
type PairState string

// The states of a pair.
const (
	PairOpen      PairState = "open"
	PairDifferent PairState = "not-a-duplicate"
	PairMerged    PairState = "merged"
)

// Pair is two records that may be one person; A < B.
type Pair struct {
	A, B      string
	State     PairState
	Score     float64
	Parts     []Part
	FoundBy   string // who entered or imported the record, or the sweep
	FoundAt   time.Time
	DecidedBy string
	DecidedAt *time.Time
	Why       string
}

// Merge is one record folded into another, until it is undone.
type Merge struct {
	ID        string
	Loser     string // folded into Survivor
	Survivor  string
	At        time.Time
	WhoID     string
	Who       string
	Why       string
	UndoneAt  *time.Time // absent: it stands
	UndoneBy  string
	UndoneWhy string
}

// Face is what a search result shows of a person.
type Face struct {
	ID       string
	Name     Name
	Birth    coldkeep.Date
	Sex      Sex
	City     string
	Deceased bool
}

// Candidate is a record as matching reads it.
type Candidate struct {
	ID       string
	Head     string
	Locked   bool // any record of the person
	LockSite coldkeep.SiteID
	Revision int64
	Profile  Profile
}
