package exchange

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Filter chooses messages. Empty fields choose nothing away.
type Filter struct {
	Account string
	Site    coldkeep.SiteID
	File    string
	Outcome Outcome // AA, AE or AR
	Control string
	From    time.Time // only messages from then on
	To      time.Time // and until before then
	Before  string    // only messages before this id, for the next page
	Limit   int       // at most 200; 0 is 50
}

// Reader reads what is kept. A missing row is ENOTFOUND. Texts are as they were put.
type Reader interface {
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	EnrolledUntil(ctx context.Context, site coldkeep.SiteID) (*time.Time, error)
	AccountByID(ctx context.Context, id string) (auth.Account, error)
	ExchangeSender(ctx context.Context, account string) (Sender, error)
	// ExchangeSenders lists the accounts of scope records, of a site or of all with "", with what is
	// agreed on with each.
	ExchangeSenders(ctx context.Context, site coldkeep.SiteID) ([]Sender, error)
	// ExchangeMessageKept finds the message of an account with that text that was kept.
	ExchangeMessageKept(ctx context.Context, account, sha256 string) (Message, error)
	ExchangeMessage(ctx context.Context, id string) (Message, error)
	ExchangeMessages(ctx context.Context, f Filter) ([]Message, error) // the latest first, without texts
	ExchangeFile(ctx context.Context, id string) (File, error)
	// ExchangeFileByContent finds the file of an account with that content that was taken first.
	ExchangeFileByContent(ctx context.Context, account, sha256 string) (File, error)
	ExchangeFiles(ctx context.Context, account string, site coldkeep.SiteID, limit int) ([]File, error) // the latest first
	ExchangeFileCounts(ctx context.Context, file string) (map[Outcome]int, error)
	// ExchangeFileWork lists the files that wait: of each account the one that has waited longest.
	ExchangeFileWork(ctx context.Context) ([]File, error)
	// ExchangeFileNext lists messages of a file that wait, in their order, with their texts.
	ExchangeFileNext(ctx context.Context, file string, limit int) ([]Message, error)
	// ExchangeFileAnswers lists messages of a file after a place, with their answers.
	ExchangeFileAnswers(ctx context.Context, file string, after, limit int) ([]Message, error)
	// ExchangeUnreceived lists files that began to be received before a time and were not finished.
	ExchangeUnreceived(ctx context.Context, before time.Time) ([]File, error)
	OrderNumber(ctx context.Context, site coldkeep.SiteID, authority, number string) (Order, error)
	// OrderNumbersOf finds the order numbers of a site that stand for doses, by dose; the one
	// that was spoken of last comes last.
	OrderNumbersOf(ctx context.Context, site coldkeep.SiteID, doses []string) (map[string][]Order, error)
	// LotsNumbered lists the stock lines of a site with a lot number, whatever its case.
	LotsNumbered(ctx context.Context, site coldkeep.SiteID, number string) ([]inventory.Lot, error)
	MessageWords(ctx context.Context, patient string) ([]Word, error)
	// Undeducted lists those that wait, of a site or of all with "", the earliest first: not one
	// that was deleted from the record, or taken off the stock there.
	Undeducted(ctx context.Context, site coldkeep.SiteID, skip, limit int) ([]Undeducted, error)
	CountUndeducted(ctx context.Context, site coldkeep.SiteID) (map[coldkeep.SiteID]int, error)          // that wait, by site
	UndeductedDose(ctx context.Context, dose string) (Undeducted, error)                                 // settled or not
	ExchangeFigures(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date) ([]Figure, error) // summed over the days
	LastExchangeMessages(ctx context.Context, site coldkeep.SiteID) (map[string]time.Time, error)        // when each account sent the last, by account
}

// Tx is a transaction on it, on patients and on doses.
type Tx interface {
	Reader
	patient.Tx
	immunization.Tx
	audit.Writer
	// TakeTurn makes other transactions with the same key wait for this one.
	TakeTurn(ctx context.Context, key string) error
	PutExchangeSender(ctx context.Context, s Sender) error // ECONFLICT when it is not at the revision before
	InsertExchangeMessage(ctx context.Context, m Message) error
	// FinishExchangeMessage keeps what became of a message that waited. ECONFLICT when another
	// process has done it.
	FinishExchangeMessage(ctx context.Context, m Message) error
	InsertExchangeFile(ctx context.Context, f File) error
	UpdateExchangeFile(ctx context.Context, f File, from FileState) error // ECONFLICT when it is not in that state
	DeleteExchangeFile(ctx context.Context, id string) error              // one that was not received, with its messages
	PutOrderNumber(ctx context.Context, o Order) error
	PutMessageWord(ctx context.Context, patient string, w Word) error
	PutUndeducted(ctx context.Context, u Undeducted) error                          // another reason for a dose that waits is the latest
	SettleUndeducted(ctx context.Context, dose, by, why string, at time.Time) error // ECONFLICT when none waits
	AddExchangeFigures(ctx context.Context, account string, site coldkeep.SiteID, day coldkeep.Date, n map[string]int) error
	// ClearExchangeMessages takes away the texts of messages from before a time, at most limit, and
	// tells how many.
	ClearExchangeMessages(ctx context.Context, before, now time.Time, limit int) (int, error)
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}
