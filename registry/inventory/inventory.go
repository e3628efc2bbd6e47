// Package inventory is the registry's stock: lots, where they stood when, and the
// holds on them. A hold is on a lot in a place, lot × site × appliance, never on a
// lot number everywhere; the collector makes and extends it, and only a person
// ends it.
package inventory

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Funding says whose money bought a lot; a VFC dose may not go to a child that is
// not eligible.
type Funding string

// The funding sources.
const (
	Public  Funding = "public"  // VFC, 317 or state funds
	Private Funding = "private" // the practice's own
)

// Lot is a stock line of a site: doses of one lot number, product and funding that
// stand together. The same lot number in two units is two lines.
type Lot struct {
	ID          string
	Site        coldkeep.SiteID
	Number      string // the manufacturer's lot number
	Product     string // trade name
	CVX         string // vaccine code
	NDC         string // 5-4-2 with dashes
	MVX         string // manufacturer code
	Expires     string // YYYY-MM-DD; good through that day
	Funding     Funding
	DosesOnHand int
	CreatedAt   time.Time
	Budget      Budget
}

// Budget is how long a lot may be out of range in its life by its maker's word, such
// as 120 h up to 25 °C in all. It is for information: it decides nothing.
type Budget struct {
	Warm   *int   // minutes above its range; absent: not recorded
	Cold   *int   // minutes below
	Source string // who says so
}

// Placement is a span in which a lot stood in an appliance.
type Placement struct {
	ID        string
	Lot       string
	Appliance coldkeep.ApplianceID
	From      time.Time
	To        *time.Time // absent: it stands there
}

// touches reports whether the placement overlaps [since, until).
func (p *Placement) touches(since time.Time, until *time.Time) bool {
	return (p.To == nil || p.To.After(since)) && (until == nil || p.From.Before(*until))
}

// Hold is a hold on what stood in an appliance.
type Hold struct {
	ID        string
	Excursion string
	Site      coldkeep.SiteID
	Appliance coldkeep.ApplianceID
	Since     time.Time
	Until     *time.Time // end of the excursion; absent while it is open or not known
	Reason    string
	CreatedAt time.Time
}

// HoldState is where a lot stands in a hold.
type HoldState string

// The states of a held lot. The last two are a person's decision.
const (
	Held     HoldState = "held"
	Released HoldState = "released"
	Wasted   HoldState = "wasted"
)

// How a lot came to be in a hold.
const (
	JoinedResolved = "stood-in-unit"
	JoinedPlaced   = "placed-during-open-excursion"
)

// HoldLot is one lot in one hold.
type HoldLot struct {
	Hold      string
	Lot       string
	State     HoldState
	JoinedAs  string
	JoinedAt  time.Time
	DecidedBy string // the person's name
	DecidedAt *time.Time
	Reason    string // the person's
}

// Proposal is the collector's word on a hold, for a person to decide.
type Proposal struct {
	ID        string
	Hold      string
	Action    string // "extend" or "release"
	Since     *time.Time
	Reason    string
	State     string // "open", "accepted" or "dismissed"
	CreatedAt time.Time
	DecidedBy string
	DecidedAt *time.Time
	Decision  string // the person's reason
}

// Open reports whether nobody has decided yet.
func (p *Proposal) Open() bool { return p.State == proposalOpen }

const (
	proposalOpen      = "open"
	proposalAccepted  = "accepted"
	proposalDismissed = "dismissed"

	actionExtend  = "extend"
	actionRelease = "release"
)

// StockEntry is one change of the doses of a lot.
type StockEntry struct {
	ID     string
	Lot    string
	At     time.Time
	Kind   StockKind
	Doses  int    // what was added; less than nothing was taken
	OnHand int    // afterwards
	Dose   string // of a draw or a return: the immunization
	By     string
	Why    string
}

// StockKind says why the doses of a lot changed.
type StockKind string

// The kinds of changes of a lot's doses.
const (
	StockReceived StockKind = "received"
	StockDrawn    StockKind = "drawn"    // a dose was given
	StockReturned StockKind = "returned" // the record of a dose was deleted or moved to another lot
	StockCounted  StockKind = "counted"
	StockWasted   StockKind = "wasted"
)

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Appliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error)
	Excursion(ctx context.Context, id string) (coldkeep.Excursion, error)
	Lot(ctx context.Context, id string) (Lot, error)
	Lots(ctx context.Context, site coldkeep.SiteID) ([]Lot, error)
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	StockEntries(ctx context.Context, lot string, limit int) ([]StockEntry, error) // the latest first
	// GivenSince counts the doses that were given from a lot on a day or later.
	GivenSince(ctx context.Context, lot string, since coldkeep.Date) (int, error)
	Placements(ctx context.Context, site coldkeep.SiteID) ([]Placement, error)
	PlacementsOf(ctx context.Context, lot string) ([]Placement, error)
	PlacementsIn(ctx context.Context, id coldkeep.ApplianceID) ([]Placement, error)
	Hold(ctx context.Context, id string) (Hold, error)
	HoldByExcursion(ctx context.Context, excursion string) (Hold, error)
	Holds(ctx context.Context, site coldkeep.SiteID) ([]Hold, error)
	HoldsIn(ctx context.Context, id coldkeep.ApplianceID) ([]Hold, error)
	HoldLots(ctx context.Context, site coldkeep.SiteID) ([]HoldLot, error)
	HoldLotsOf(ctx context.Context, hold string) ([]HoldLot, error)
	HoldsOn(ctx context.Context, lot string) ([]HoldLot, error)
	Proposal(ctx context.Context, id string) (Proposal, error)
	Proposals(ctx context.Context, site coldkeep.SiteID) ([]Proposal, error)
	ProposalsOf(ctx context.Context, hold string) ([]Proposal, error)
	// OutOfRange lists the excursions of a site, or of all with "", in which a unit
	// stood too warm or too cold, but for the withdrawn ones and those that only air
	// probes saw.
	OutOfRange(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.Excursion, error)
}

// Spoilt is a dose that no longer counts, with whose it is.
type Spoilt struct{ Dose, Patient string }

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	// LockAppliance makes other transactions that lock the appliance wait for this
	// one, and returns it. Which lots stood in a unit is only decided under its lock.
	LockAppliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error)
	InsertLot(ctx context.Context, l Lot) error
	SetDoses(ctx context.Context, lot string, doses int) error
	// AddDoses changes the doses on hand and returns what there is afterwards. ECONFLICT,
	// and no change, when that would be less than none.
	AddDoses(ctx context.Context, lot string, n int) (int, error)
	InsertStockEntry(ctx context.Context, e StockEntry) error
	// SpoilDoses marks the doses that were given from a lot on a day or later, in the
	// words of the disposition, and returns them.
	SpoilDoses(ctx context.Context, lot string, since coldkeep.Date, words, by, why string, at time.Time) ([]Spoilt, error)
	SetBudget(ctx context.Context, lot string, b Budget) error
	InsertPlacement(ctx context.Context, p Placement) error
	EndPlacement(ctx context.Context, id string, to time.Time) error
	InsertHold(ctx context.Context, h Hold) error
	UpdateHold(ctx context.Context, h Hold) error
	InsertHoldLot(ctx context.Context, h HoldLot) error
	UpdateHoldLot(ctx context.Context, h HoldLot) error
	InsertProposal(ctx context.Context, p Proposal) error
	UpdateProposal(ctx context.Context, p Proposal) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Service is the stock and its holds.
type Service struct {
	store Store
	clock coldkeep.Clock
}

// New returns the service.
func New(store Store, clock coldkeep.Clock) *Service { return &Service{store: store, clock: clock} }

// entry begins an audit entry of by's.
func (s *Service) entry(by auth.Principal, what, subject string, site coldkeep.SiteID, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: site, Why: why, Detail: detail}
}
