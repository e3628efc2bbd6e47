package recall

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Member is one of a cohort as it is read in bulk: the record that stands for the person.
type Member struct {
	immunization.Subject
	Publicity string
	ZIP       string
	Family    []string // all records of the person
	Locked    bool
	LockSite  coldkeep.SiteID  // who locked it; "" the state, or more than one
	Standing  patient.Standing // with the site that was asked for; "" when it does not know the person
}

// Tally is how many people of a run were told by a channel, and what came of it.
type Tally struct {
	Channel Channel
	Notices int
	People  int
	Came    int
	States  map[NoticeState]int // of the notices
}

// ToldOf is a notice with somebody it is about, as the person's page shows it.
type ToldOf struct {
	Notice
	Person
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Patient(ctx context.Context, id string) (patient.Patient, error)
	Locks(ctx context.Context, ids []string) ([]patient.LockRecord, error)
	Dose(ctx context.Context, id string) (immunization.Dose, error)
	PatientGate(ctx context.Context, id, who string, at time.Time) (patient.Gate, error)
	Doses(ctx context.Context, patients []string) ([]immunization.Dose, error)
	Facts(ctx context.Context, patients []string) ([]immunization.Fact, error)
	Exemptions(ctx context.Context, patients []string) ([]immunization.Exemption, error)
	Names(ctx context.Context, patients []string) (map[string]patient.Name, error)
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)

	RecallSettings(ctx context.Context, site coldkeep.SiteID) (Settings, error)
	RecallTexts(ctx context.Context, site coldkeep.SiteID) ([]Text, error) // the latest of each that a site has put in place

	RecallRun(ctx context.Context, id string) (Run, error)
	RecallRuns(ctx context.Context, site coldkeep.SiteID) ([]Run, error) // the latest first
	BusyRun(ctx context.Context) (Run, error)                            // one that the program is to work at
	// Cohort gives the ids of a site's people, or of everybody's with "", that are after
	// one, born in a span, in order; CohortSize their number.
	Cohort(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date, after string, limit int) ([]string, error)
	CohortSize(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date) (int, error)
	Members(ctx context.Context, site coldkeep.SiteID, heads []string) ([]Member, error)
	// LastNotices gives the day of the last notice of a site's, but for one run.
	LastNotices(ctx context.Context, site coldkeep.SiteID, heads []string, but string) (map[string]coldkeep.Date, error)
	RecallCounts(ctx context.Context, run string) (map[Reason]int, map[Channel]int, error) // people by verdict; of those to be told by channel
	RecallPeople(ctx context.Context, run, after string, limit int) ([]Person, error)      // that are to be told
	RecallPerson(ctx context.Context, run, patient string) (Person, error)
	RecallTallies(ctx context.Context, run string) ([]Tally, error)
	Awaited(ctx context.Context, run string) ([]Person, error) // told, nothing came of it yet, and there is a dose since
	RunsAwaiting(ctx context.Context, since time.Time) ([]Run, error)
	ToldIn(ctx context.Context, run string, patients []string) (map[string][]Channel, error)

	Notice(ctx context.Context, id string) (Notice, error)
	Notices(ctx context.Context, run string, channel Channel, round int) ([]Notice, error) // with whom each is about; round 0: all
	NoticeByStop(ctx context.Context, stop string) (Notice, error)
	NoticesOf(ctx context.Context, patients []string) ([]ToldOf, error) // the latest first
	PendingSites(ctx context.Context, at time.Time) ([]coldkeep.SiteID, error)
	NextPending(ctx context.Context, site coldkeep.SiteID, at time.Time) (Notice, error)
	ClaimedSince(ctx context.Context, site coldkeep.SiteID, since time.Time) (int, error)
	Stale(ctx context.Context, before time.Time) ([]Notice, error) // claimed before, and nothing heard of since

	Consents(ctx context.Context, patients []string) ([]Consent, error) // in force
	ConsentsAt(ctx context.Context, channel Channel, target string) ([]Consent, error)
	Consent(ctx context.Context, id string) (Consent, error)
	Attempts(ctx context.Context, patients []string) ([]Attempt, error) // the latest first

	ColdReader
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	LockPatient(ctx context.Context, head string) error
	UpdatePatient(ctx context.Context, p patient.Patient, from int64) error
	InsertChange(ctx context.Context, c patient.Change) error

	PutRecallSettings(ctx context.Context, v Settings, from int64) error // ECONFLICT when they are not at from
	InsertRecallText(ctx context.Context, t Text) error                  // ECONFLICT when there is one of that revision

	InsertRun(ctx context.Context, r Run) error
	// AdvanceRun says how far a run is. ECONFLICT when it is not in state from at last.
	AdvanceRun(ctx context.Context, r Run, from State, last string) error
	// IssueRun begins a round. ECONFLICT when the run is not at the round before it.
	IssueRun(ctx context.Context, r Run) error
	InsertRecallPeople(ctx context.Context, all []Person) error // who is in it already stays
	SetVerdict(ctx context.Context, p Person) error
	SetNoticed(ctx context.Context, run, patient string, on coldkeep.Date) error
	SetOutcome(ctx context.Context, p Person) error
	// InsertNotice adds a notice, or finds the household's of that round and channel.
	InsertNotice(ctx context.Context, n Notice) (id string, err error)
	// AddToNotice adds somebody; false when the person is in one of the run and channel.
	AddToNotice(ctx context.Context, n Notice, patient string) (bool, error)
	ReleaseNotices(ctx context.Context, run string, round int, at time.Time) error
	// MoveNotice changes a notice that is in state from. ECONFLICT when it is in another.
	MoveNotice(ctx context.Context, n Notice, from NoticeState) error
	InsertConsent(ctx context.Context, c Consent) error
	EndConsent(ctx context.Context, id, by string, at time.Time) error // ECONFLICT when it has ended
	InsertAttempt(ctx context.Context, a Attempt) error

	ColdTx
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}
