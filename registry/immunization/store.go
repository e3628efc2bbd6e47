package immunization

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Reader reads what is kept. A missing row is ENOTFOUND. Lists that take patients are
// of all records of a family of merged ones.
type Reader interface {
	// PatientGate is what decides whether a record opens to who at a time.
	PatientGate(ctx context.Context, id, who string, at time.Time) (patient.Gate, error)
	Subject(ctx context.Context, patient string) (Subject, error)
	// OpenFamilies gives those of standing records that are not locked, by any site.
	OpenFamilies(ctx context.Context, heads []string) ([]OpenFamily, error)
	Dose(ctx context.Context, id string) (Dose, error)
	Doses(ctx context.Context, patients []string) ([]Dose, error) // all of them, by date and id
	DoseForm(ctx context.Context, form string) (SentForm, error)
	DoseHistory(ctx context.Context, dose string) ([]Change, error)
	// DosesFrom lists the doses that were given from a lot on a day or later, by date and
	// id, and not deleted.
	DosesFrom(ctx context.Context, lot string, since coldkeep.Date) ([]Dose, error)
	Facts(ctx context.Context, patients []string) ([]Fact, error)
	Fact(ctx context.Context, id string) (Fact, error)
	Reactions(ctx context.Context, patients []string) ([]Reaction, error)
	Reaction(ctx context.Context, id string) (Reaction, error)
	Exemptions(ctx context.Context, patients []string) ([]Exemption, error)
	Exemption(ctx context.Context, id string) (Exemption, error)
	SampleOf(ctx context.Context, n int) ([]string, error) // records of people who stand for themselves
	// Names gives the legal name of each record, for lists of who is to be seen again.
	Names(ctx context.Context, patients []string) (map[string]patient.Name, error)
}

// OpenFamily is a person with all records that are theirs.
type OpenFamily struct {
	Subject
	Records []string // the standing one among them
}

// Tx is a transaction on it, and on the stock that doses are drawn from.
type Tx interface {
	Reader
	inventory.Tx
	audit.Writer
	// LockPatient makes other transactions that lock the person's record wait: which of
	// several doses are one is only decided under its lock.
	LockPatient(ctx context.Context, head string) error
	InsertDose(ctx context.Context, d Dose) error
	InsertDoseForm(ctx context.Context, f SentForm, at time.Time) error // ECONFLICT when it has recorded a dose
	// UpdateDose changes a dose that stands at revision d.Revision-1 and keeps what was
	// there. ECONFLICT when somebody has changed it since.
	UpdateDose(ctx context.Context, d Dose, by, why string, at time.Time) error
	// LinkDose says which dose stands for another; "" that it stands for itself.
	LinkDose(ctx context.Context, id, duplicateOf string) error
	InsertFact(ctx context.Context, f Fact) error
	EndFact(ctx context.Context, id string, d Deletion) error // ECONFLICT when it has ended
	InsertReaction(ctx context.Context, r Reaction) error
	EndReaction(ctx context.Context, id string, d Deletion) error
	InsertExemption(ctx context.Context, e Exemption) error
	EndExemption(ctx context.Context, id string, d Deletion) error
	// The moves put an entry under another record, when a merge is taken apart.
	MoveFact(ctx context.Context, id, to string) error
	MoveReaction(ctx context.Context, id, to string) error
	MoveExemption(ctx context.Context, id, to string) error
	// InsertMove keeps which record an entry was under before a merge was undone.
	InsertMove(ctx context.Context, merge string, e patient.Entered, to string) error
	// MergedInto is the record that one was folded into; "" for none.
	MergedInto(ctx context.Context, record string) (string, error)
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}
