package recall

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Cold is a recall of those who were given doses that a break of the cold chain has spoilt.
// It opens by itself with the decision that the doses do not count, so that nobody who was
// given one is forgotten, and each person in it is followed to an end.
type Cold struct {
	ID     string
	Site   coldkeep.SiteID // the practice that gave the doses
	Cause  string          // "hold/…", or "lot/…" or "dose/…" of a dose that no hold spoilt
	Hold   string          // "" for none
	By     string          // who has decided
	Why    string
	Opened time.Time
	Counts map[ColdState]int // of people
	Total  int
}

// Done is how many people have come to an end.
func (c Cold) Done() int { return c.Total - c.Counts[ColdOpenState] - c.Counts[ColdReached] }

// ColdState is how a person stands in a cold-chain recall.
type ColdState string

// The states. The first two wait for something; the others are ends. Revaccinated,
// ColdDeceased and Withdrawn close by themselves, the rest by a person's word.
const (
	ColdOpenState ColdState = "open"         // nobody has told the family yet
	ColdReached   ColdState = "reached"      // the family knows; a dose is to come
	Revaccinated  ColdState = "revaccinated" // a valid dose has come since, of each group
	ColdUnneeded  ColdState = "not-needed"   // the family knows, and nothing has to be repeated
	ColdRefused   ColdState = "refused"      // the family does not want it repeated
	ColdLost      ColdState = "lost"         // could not be reached
	ColdDeceased  ColdState = "deceased"
	ColdCounts    ColdState = "counts-again" // by a later word the dose counts after all
)

// ColdStates lists them.
func ColdStates() []ColdState {
	return []ColdState{ColdOpenState, ColdReached, Revaccinated, ColdUnneeded, ColdRefused, ColdLost, ColdDeceased, ColdCounts}
}

// Open reports whether the person has not come to an end.
func (s ColdState) Open() bool { return s == ColdOpenState || s == ColdReached }

// Title is the state in words.
func (s ColdState) Title() string {
	switch s {
	case ColdOpenState:
		return "To be told"
	case ColdReached:
		return "Told; a dose is to come"
	case Revaccinated:
		return "Revaccinated"
	case ColdUnneeded:
		return "Told; nothing to repeat"
	case ColdRefused:
		return "Does not want it repeated"
	case ColdLost:
		return "Could not be reached"
	case ColdDeceased:
		return "Deceased"
	case ColdCounts:
		return "The dose counts after all"
	}
	return string(s)
}

// ColdPerson is somebody in a cold-chain recall.
type ColdPerson struct {
	Recall   string
	Patient  string
	State    ColdState
	Since    time.Time
	By       string
	Note     string
	Revision int64
	Seen     string // the doses as they were when the program last looked
}

// ColdStep is one change of it.
type ColdStep struct {
	ID, Recall, Patient string
	State               ColdState
	By, Note            string
	At                  time.Time
}

// Advice says of a vaccine group what the schedule asks for now that the dose does not
// count.
type Advice struct {
	Group    string
	Repeat   bool          // a dose is to be given
	Earliest coldkeep.Date // not before; the zero Date: not known
	Due      coldkeep.Date
	Number   int // of the dose in the series
	Products []string
	Words    string // in one sentence
}

// ColdEntry is somebody in a recall with what is needed to see them again.
type ColdEntry struct {
	ColdPerson
	Of     Cold // of a person's page
	Locked bool // the record is locked by another site: who it is, is not told
	Name   patient.Name
	Birth  coldkeep.Date
	Phones []string
	To     string // who answers for the person
	Doses  []immunization.Dose
	Advice []Advice
	Steps  []ColdStep // the latest first
}

// ColdReader reads what is kept of cold-chain recalls.
type ColdReader interface {
	Hold(ctx context.Context, id string) (inventory.Hold, error)
	HoldsOn(ctx context.Context, lot string) ([]inventory.HoldLot, error)
	Lot(ctx context.Context, id string) (inventory.Lot, error)
	// Spoilt lists doses that do not count and are in no recall.
	Spoilt(ctx context.Context, limit int) ([]immunization.Dose, error)
	Cold(ctx context.Context, id string) (Cold, error) // with counts
	ColdByCause(ctx context.Context, cause string) (Cold, error)
	Colds(ctx context.Context, site coldkeep.SiteID) ([]Cold, error) // with counts, the latest first; "" all
	ColdPerson(ctx context.Context, recall, patient string) (ColdPerson, error)
	ColdPeople(ctx context.Context, recall string) ([]ColdPerson, error)
	ColdPeopleOf(ctx context.Context, patients []string) ([]ColdPerson, error) // the latest recall first
	ColdDoses(ctx context.Context, recall, patient string) ([]immunization.Dose, error)
	ColdSteps(ctx context.Context, recall, patient string) ([]ColdStep, error)
	ColdOpen(ctx context.Context, recall, after string, limit int) ([]string, error) // who has not come to an end
	// ColdChanged lists people who have not come to an end and whose doses are others than
	// were seen last, with what is to be seen now.
	ColdChanged(ctx context.Context, limit int) ([]ColdPerson, error)
}

// ColdTx changes them.
type ColdTx interface {
	PutCold(ctx context.Context, c Cold) error // one of that cause stays
	PutColdPerson(ctx context.Context, p ColdPerson) error
	PutColdDose(ctx context.Context, recall, patient, dose string) error
	// SetCold changes a person who stands at revision p.Revision-1, and keeps the step.
	// ECONFLICT when somebody has changed it since.
	SetCold(ctx context.Context, p ColdPerson, step ColdStep) error
	SetColdSeen(ctx context.Context, p ColdPerson) error
}

// system is the program at work on a recall.
var system = func() auth.Principal { return auth.System("Cold-chain recall") }

// Open puts every dose that does not count into a recall: that of the hold that spoilt it,
// or one of the lot's. It is called after a decision about a hold and, against one that
// got lost, by Follow. n is how many doses were put in.
func (s *Service) Open(ctx context.Context) (n int, err error) {
	for {
		doses, err := s.store.Spoilt(ctx, together)
		if err != nil || len(doses) == 0 {
			return n, err
		}
		for _, d := range doses {
			if err := s.store.Tx(ctx, func(tx Tx) error { return s.enter(ctx, tx, d) }); err != nil {
				return n, err
			}
			n++
		}
	}
}

// enter puts a dose into its recall.
func (s *Service) enter(ctx context.Context, tx Tx, d immunization.Dose) error {
	now := s.clock.Now()
	g, err := tx.PatientGate(ctx, d.Patient, "", now)
	if err != nil {
		return err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return err
	}
	c, err := s.cause(ctx, tx, &d)
	if err != nil {
		return err
	}
	if err := tx.PutCold(ctx, c); err != nil {
		return err
	}
	if c, err = tx.ColdByCause(ctx, c.Cause); err != nil {
		return err
	}
	p, err := tx.ColdPerson(ctx, c.ID, g.Head)
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND:
		p = ColdPerson{Recall: c.ID, Patient: g.Head, State: ColdOpenState, Since: now, By: c.By, Revision: 1}
		if err := tx.PutColdPerson(ctx, p); err != nil {
			return err
		}
	case err != nil:
		return err
	case !p.State.Open(): // another dose of theirs was spoilt: it begins anew
		if err := s.step(ctx, tx, system(), c, p, ColdOpenState, "Another dose does not count."); err != nil {
			return err
		}
	}
	if err := tx.PutColdDose(ctx, c.ID, g.Head, d.ID); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(system(), "coldrecall.enter", "patient/"+g.Head, c.Site, "", "recall "+c.ID+", dose "+d.ID))
}

// cause finds what spoilt a dose: the earliest hold in which its lot was wasted.
func (s *Service) cause(ctx context.Context, tx Tx, d *immunization.Dose) (Cold, error) {
	c := Cold{ID: ulid.Make().String(), Site: d.Site, Cause: "dose/" + d.ID, Why: d.NonViable, Opened: s.clock.Now()}
	if c.Site == "" {
		c.Site = d.EnteredSite
	}
	if d.StockID == "" {
		return c, nil
	}
	lot, err := tx.Lot(ctx, d.StockID)
	if err != nil {
		return c, err
	}
	c.Site, c.Cause = lot.Site, "lot/"+lot.ID
	on, err := tx.HoldsOn(ctx, lot.ID)
	if err != nil {
		return c, err
	}
	var first *inventory.Hold
	for _, hl := range on {
		if hl.State != inventory.Wasted {
			continue
		}
		h, err := tx.Hold(ctx, hl.Hold)
		if err != nil {
			return c, err
		}
		if first == nil || h.Since.Before(first.Since) {
			first = &h
			c.Hold, c.Cause, c.By, c.Why = h.ID, "hold/"+h.ID, hl.DecidedBy, hl.Reason
		}
	}
	return c, nil
}

// step changes how a person stands.
func (s *Service) step(ctx context.Context, tx Tx, by auth.Principal, c Cold, p ColdPerson, to ColdState, note string) error {
	p.State, p.Since, p.By, p.Note = to, s.clock.Now(), by.Name, note
	p.Revision++
	if err := tx.SetCold(ctx, p, ColdStep{ID: ulid.Make().String(), Recall: p.Recall, Patient: p.Patient, State: to, By: by.Name, Note: note, At: p.Since}); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, "coldrecall."+string(to), "patient/"+p.Patient, c.Site, note, "recall "+c.ID))
}

// ownCold reads a recall of by's practice, with any of the permissions there.
func (s *Service) ownCold(ctx context.Context, r Reader, by auth.Principal, id string, perms ...auth.Permission) (Cold, error) {
	if err := anyOf(by, by.Site, perms...); err != nil {
		return Cold{}, err
	}
	c, err := r.Cold(ctx, id)
	if err == nil && by.Site != "" && c.Site != by.Site {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such recall.")
	}
	if err != nil {
		return Cold{}, err
	}
	return c, anyOf(by, c.Site, perms...)
}

// Colds lists the recalls of by's practice, or for the state those of all, with counts and
// no names. EFORBIDDEN.
func (s *Service) Colds(ctx context.Context, by auth.Principal) ([]Cold, error) {
	if err := anyOf(by, by.Site, auth.RecallPatients, auth.CallPatients); err != nil {
		return nil, err
	}
	return s.store.Colds(ctx, by.Site)
}

// ColdOfHold gives the recall of a hold; absent when no dose of it was spoilt. EFORBIDDEN.
func (s *Service) ColdOfHold(ctx context.Context, by auth.Principal, hold string) (*Cold, error) {
	if err := anyOf(by, by.Site, auth.RecallPatients, auth.CallPatients); err != nil {
		return nil, err
	}
	c, err := s.store.ColdByCause(ctx, "hold/"+hold)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && by.Site != "" && c.Site != by.Site {
		return nil, nil
	}
	return &c, err
}

// ColdView is a recall with its people.
type ColdView struct {
	Cold
	// People are those that by may be told of: for the practice all whose record is not locked
	// by another site, of whom only the dose is told; for the state those alone whom the practice cannot
	// reach for such a lock.
	People []ColdEntry
	Locked int // people whose record is locked by another site
}

// GetCold gives it, those who wait first. Everybody who is shown is in the trail. EFORBIDDEN,
// ENOTFOUND.
func (s *Service) GetCold(ctx context.Context, by auth.Principal, id string) (ColdView, error) {
	var v ColdView
	c, err := s.ownCold(ctx, s.store, by, id, auth.RecallPatients, auth.CallPatients)
	if err != nil {
		return v, err
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		v = ColdView{Cold: c}
		people, err := tx.ColdPeople(ctx, id)
		if err != nil {
			return err
		}
		for _, p := range people {
			g, err := tx.PatientGate(ctx, p.Patient, by.ID, s.clock.Now())
			if err != nil {
				return err
			}
			elsewhere := g.Locked && g.LockSite != c.Site
			if elsewhere {
				v.Locked++
			}
			switch {
			case by.Site == "" && !elsewhere: // the practice's own to reach
				continue
			case by.Site != "" && elsewhere:
				e := ColdEntry{ColdPerson: p, Locked: true}
				e.Patient, e.Note = "", ""
				v.People = append(v.People, e)
				if err := tx.Audit(ctx, s.entry(by, "recall.refused", "patient/"+g.Head, c.Site, "", "recall "+id)); err != nil {
					return err
				}
				continue
			}
			e, err := s.coldEntry(ctx, tx, c, p, g)
			if err != nil {
				return err
			}
			v.People = append(v.People, e)
			if err := tx.Audit(ctx, s.entry(by, "coldrecall.view", "patient/"+g.Head, c.Site, "", "recall "+id)); err != nil {
				return err
			}
		}
		slices.SortStableFunc(v.People, func(a, b ColdEntry) int {
			return cmp.Or(cmp.Compare(slices.Index(ColdStates(), a.State), slices.Index(ColdStates(), b.State)), cmp.Compare(a.Name.Family, b.Name.Family), cmp.Compare(a.Name.Given, b.Name.Given))
		})
		return nil
	})
	return v, err
}

// coldEntry reads what is needed to see somebody again.
func (s *Service) coldEntry(ctx context.Context, tx Tx, c Cold, p ColdPerson, g patient.Gate) (ColdEntry, error) {
	e := ColdEntry{ColdPerson: p, Of: c, Birth: g.Birth}
	members, err := tx.Members(ctx, c.Site, []string{g.Head})
	if err != nil || len(members) == 0 {
		return e, err
	}
	today, err := s.today(ctx, tx, c.Site)
	if err != nil {
		return e, err
	}
	k, err := s.contactOf(ctx, tx, &members[0], today)
	if err != nil {
		return e, err
	}
	e.Name, e.Phones, e.To = k.names, k.phones, k.to
	if e.Doses, err = tx.ColdDoses(ctx, c.ID, p.Patient); err != nil {
		return e, err
	}
	if e.Steps, err = tx.ColdSteps(ctx, c.ID, p.Patient); err != nil {
		return e, err
	}
	if p.State.Open() {
		e.Advice, _, err = s.advise(ctx, tx, &members[0], e.Doses, c.Opened, today)
	}
	return e, err
}

// coldOf are the recalls that a person is in.
func (s *Service) coldOf(ctx context.Context, tx Tx, g patient.Gate) ([]ColdEntry, error) {
	all, err := tx.ColdPeopleOf(ctx, g.Family)
	if err != nil {
		return nil, err
	}
	var out []ColdEntry
	for _, p := range all {
		c, err := tx.Cold(ctx, p.Recall)
		if err != nil {
			return nil, err
		}
		e, err := s.coldEntry(ctx, tx, c, p, g)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Waiting lists the recalls in which a person has not come to an end, for a word on the
// person's page. The caller has opened the record and is in the trail for it.
func (s *Service) Waiting(ctx context.Context, by auth.Principal, g patient.Gate) ([]ColdEntry, error) {
	if g.Require(by, auth.ViewPatients) != nil || !by.Anywhere(auth.CallPatients) {
		return nil, nil
	}
	// Hardly anybody is in one: that costs no transaction.
	in, err := s.store.ColdPeopleOf(ctx, g.Family)
	if err != nil || !slices.ContainsFunc(in, func(p ColdPerson) bool { return p.State.Open() }) {
		return nil, err
	}
	var out []ColdEntry
	err = s.store.Tx(ctx, func(tx Tx) error {
		all, err := s.coldOf(ctx, tx, g)
		out = slices.DeleteFunc(all, func(e ColdEntry) bool { return !e.State.Open() })
		return err
	})
	return out, err
}

// advise asks the schedule what is to be done now that doses do not count. done is that a
// valid dose of each of their groups has come since.
func (s *Service) advise(ctx context.Context, tx Tx, m *Member, spoilt []immunization.Dose, opened time.Time, today coldkeep.Date) (out []Advice, done bool, err error) {
	doses, err := tx.Doses(ctx, m.Family)
	if err != nil {
		return nil, false, err
	}
	facts, err := tx.Facts(ctx, m.Family)
	if err != nil {
		return nil, false, err
	}
	p, ids := immunization.Question(m.Subject, doses, facts, today)
	res := s.Schedule.Engine().Forecast(p)
	last := map[string]coldkeep.Date{} // of each group, the latest dose that does not count
	var groups []string
	for i := range spoilt {
		d := &spoilt[i]
		if d.NonViable == "" || d.Deleted != nil {
			continue
		}
		for _, g := range s.Doses.GroupsOf(d.CVX) {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
			last[g] = max(last[g], d.Date)
		}
	}
	done = len(groups) > 0
	for _, g := range groups {
		out = append(out, s.advice(res, g, today))
		done = done && slices.ContainsFunc(ids, func(id string) bool {
			i := slices.Index(ids, id)
			d := &doses[slices.IndexFunc(doses, func(d immunization.Dose) bool { return d.ID == id })]
			if d.NonViable != "" || d.Date <= last[g] || d.Date < coldkeep.DateOf(opened.Add(-14*time.Hour)) && d.EnteredAt.Before(opened) {
				return false
			}
			return slices.ContainsFunc(res.Doses[i].Verdicts(), func(v forecast.Verdict) bool { return v.Group == g && v.Status == forecast.Valid })
		})
	}
	return out, done, nil
}

// advice puts a group's forecast into words for who has to act on it.
func (s *Service) advice(res *forecast.Result, group string, today coldkeep.Date) Advice {
	a := Advice{Group: group, Words: "The schedule asks for no dose of it now."}
	for i := range res.Forecasts {
		f := &res.Forecasts[i]
		if f.Group != group || f.Begins != forecast.None {
			continue
		}
		switch f.Status {
		case forecast.NotComplete:
			a.Repeat, a.Number = true, f.Number
			if f.Earliest != forecast.None {
				a.Earliest = f.Earliest
			}
			if f.Recommended != forecast.None {
				a.Due = max(f.Recommended, a.Earliest)
			}
			a.Products = nil
			for _, cvx := range f.CVX {
				a.Products = append(a.Products, s.Doses.Codes().Name(cvx))
			}
			switch {
			case !a.Earliest.Known():
				a.Words = "A dose is to be given; talk its date over."
			case a.Earliest <= today && a.Due <= today:
				a.Words = "Give a dose now."
			case a.Earliest <= today:
				a.Words = "A dose may be given now; the schedule recommends it for " + Day(a.Due, "en") + "."
			default:
				a.Words = "A dose may be given from " + Day(a.Earliest, "en") + " on."
			}
			return a
		case forecast.Contraindicated:
			a.Words = "A dose is contraindicated: ask the physician."
		case forecast.Immune:
			a.Words = "Immune by what is on record: nothing has to be repeated."
		case forecast.Complete:
			a.Words = "Complete by the other doses: nothing has to be repeated."
		case forecast.AgedOut:
			a.Words = "Too old for the series: ask the physician."
		}
	}
	return a
}

// SetCold records by a person's word how somebody stands: reached, with nothing to repeat, not
// wanting it, or not to be found; or opens it again. That a dose has come is not said but
// recorded as a dose. The state speaks for those whose record is locked by another site. EINVALID for
// another state or without a note where one is due, ECONFLICT when somebody has changed it,
// EFORBIDDEN, ENOTFOUND.
func (s *Service) SetCold(ctx context.Context, by auth.Principal, recall, id string, to ColdState, note string, revision int64) error {
	perms := []auth.Permission{auth.RecallPatients}
	if to == ColdReached {
		perms = append(perms, auth.CallPatients)
	}
	c, err := s.ownCold(ctx, s.store, by, recall, perms...)
	if err != nil {
		return err
	}
	note = strings.TrimSpace(note)
	switch {
	case to != ColdReached && to != ColdUnneeded && to != ColdRefused && to != ColdLost && to != ColdOpenState:
		return coldkeep.Errorf(coldkeep.EINVALID, "State %q: say reached, not-needed, refused or lost. A dose that has been given is recorded as a dose, and closes it by itself.", to)
	case len(note) > 500:
		return coldkeep.Errorf(coldkeep.EINVALID, "Note: want at most 500 characters.")
	case note == "" && to != ColdReached:
		return coldkeep.Errorf(coldkeep.EINVALID, "Note: please say how it is known.")
	}
	perm := auth.CallPatients
	return s.guarded(ctx, by, id, perm, func(tx Tx, g patient.Gate) error {
		p, err := coldPerson(ctx, tx, recall, g.Family)
		if err != nil {
			return err
		}
		if p.Revision != revision {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this meanwhile. Look at it again, then make your change.")
		}
		return s.step(ctx, tx, by, c, p, to, note)
	})
}

// coldPerson finds a person in a recall by any of the person's records.
func coldPerson(ctx context.Context, tx Tx, recall string, family []string) (ColdPerson, error) {
	for _, id := range family {
		p, err := tx.ColdPerson(ctx, recall, id)
		if coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return p, err
		}
	}
	return ColdPerson{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "The person is not in this recall.")
}
