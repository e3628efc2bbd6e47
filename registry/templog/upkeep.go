package templog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Certificate is a calibration as it was entered. Every one is kept.
type Certificate struct {
	coldkeep.Calibration
	N  int64 // counts those of the probe, from 1; the highest is in force
	By string
	At time.Time
}

// Expiry says how long a certificate still holds.
type Expiry struct {
	Days int // left, counting today; below 1: it has expired
	Warn int // 90, 30 or 7: the step that has been reached; 0: none, or expired
}

// Expired reports whether the last good day is over.
func (e *Expiry) Expired() bool { return e.Days < 1 }

// expirySteps are the days before a certificate's end at which a person is told: time
// to order another, to send the probe in, to put another in its place.
var expirySteps = []int{7, 30, 90}

// Expiry says how long the certificate holds at a time of the clinic; nil when it has
// no end.
func (c *Certificate) Expiry(local time.Time) *Expiry {
	end, err := time.Parse(time.DateOnly, c.Expires)
	if err != nil {
		return nil
	}
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	e := &Expiry{Days: int(end.Sub(today)/(24*time.Hour)) + 1}
	for _, step := range expirySteps {
		if !e.Expired() && e.Days <= step {
			e.Warn = step
			break
		}
	}
	return e
}

// inForce picks the certificate of each probe that counts, from a list in which it
// comes first.
func inForce(all []Certificate) []coldkeep.Calibration {
	out := []coldkeep.Calibration{}
	for i, c := range all {
		if i == 0 || all[i-1].Series != c.Series {
			out = append(out, c.Calibration)
		}
	}
	return out
}

// maxOffset is the largest correction that a certificate may state: a probe that is off
// by more is broken.
const maxOffset coldkeep.Temperature = 10_000

// maxPoints is how many points a certificate's table may have.
const maxPoints = 50

// Calibrate enters a probe's certificate, which is in force from now on; earlier ones
// are kept. It has an offset or a table, whose points rise. EFORBIDDEN when by may not
// manage units at the site, EINVALID for a wrong field, ENOTFOUND for an unknown site.
func (s *Service) Calibrate(ctx context.Context, by auth.Principal, c coldkeep.Calibration) error {
	if err := by.Require(auth.ManageUnits, c.Site); err != nil {
		return err
	}
	if err := checkCalibration(&c); err != nil {
		return err
	}
	words := "offset " + c.Offset.String() + " °C"
	if len(c.Table) > 0 {
		words = fmt.Sprintf("a table of %d points", len(c.Table))
	}
	if c.Certificate != "" {
		words += ", certificate " + c.Certificate
	}
	if c.Expires != "" {
		words += ", until " + c.Expires
	}
	return s.change(ctx, by, audit.Entry{What: "probe.calibrate", Subject: "probe/" + c.Series.String(), Site: c.Site, Detail: words},
		func(tx Tx) error {
			if _, err := tx.Site(ctx, c.Site); err != nil {
				return err
			}
			return tx.InsertCertificate(ctx, Certificate{Calibration: c, By: by.Name, At: s.clock.Now()})
		})
}

func checkCalibration(c *coldkeep.Calibration) error {
	if !validID(string(c.Agent)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Device: want letters a to z, digits and -, at most 64.")
	}
	if !validProbe(string(c.Probe)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Probe: want 1 to 64 characters without spaces and /.")
	}
	beyond := func(t coldkeep.Temperature) bool { return !t.Known() || t > maxOffset || t < -maxOffset }
	if len(c.Table) == 0 && beyond(c.Offset) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Offset: want degrees Celsius from -10 to 10, with at most three decimals.")
	}
	if len(c.Table) > 0 {
		c.Offset = 0
	}
	if len(c.Table) == 1 || len(c.Table) > maxPoints {
		return coldkeep.Errorf(coldkeep.EINVALID, "Table: want 2 to %d points.", maxPoints)
	}
	for i, p := range c.Table {
		if !p[0].Known() || beyond(p[1]) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Table, point %d: want a temperature, and an offset from -10 to 10.", i+1)
		}
		if i > 0 && p[0] <= c.Table[i-1][0] {
			return coldkeep.Errorf(coldkeep.EINVALID, "Table, point %d: want a temperature above the one before.", i+1)
		}
	}
	if c.Certificate = strings.TrimSpace(c.Certificate); len(c.Certificate) > 120 || hasControl(c.Certificate) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Certificate number: want one line of at most 120 characters.")
	}
	if c.Expires == "" {
		return nil
	}
	if d, err := time.Parse(time.DateOnly, c.Expires); err != nil || d.Before(firstTime) || !d.Before(lastTime) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Expires: %q: want a date such as 2027-03-01.", c.Expires)
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Certificates lists the certificates of a site's probes, by probe and the one in
// force first. EFORBIDDEN when by may not see the site.
func (s *Service) Certificates(ctx context.Context, by auth.Principal, site coldkeep.SiteID) ([]Certificate, error) {
	if err := by.Require(auth.View, site); err != nil {
		return nil, err
	}
	return s.store.Certificates(ctx, site)
}

// noted are the contexts that a person may note; out of service is written by taking
// a unit out of service.
var noted = []coldkeep.ContextKind{coldkeep.ContextWarmUp, coldkeep.ContextDefrost, coldkeep.ContextDoorOpen, coldkeep.ContextTransport, coldkeep.ContextPowerLost}

// ContextKinds lists the contexts that a person may note.
func ContextKinds() []coldkeep.ContextKind { return slices.Clone(noted) }

// maxNote is how long a note may be, in bytes.
const maxNote = 500

func checkNote(note string) (string, error) {
	note = strings.TrimSpace(note)
	if len(note) > maxNote {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Note: want at most %d characters.", maxNote)
	}
	return note, nil
}

// AddContext notes what a person knows about a stretch of a unit's time and returns
// its id. It stands beside what the readings say and changes no judgement. It may lie
// in the past, and a defrost or a transport in the days to come. EFORBIDDEN, ENOTFOUND,
// EINVALID for a wrong field.
func (s *Service) AddContext(ctx context.Context, by auth.Principal, c coldkeep.Context) (string, error) {
	a, err := s.seen(ctx, by, c.Appliance)
	if err != nil {
		return "", err
	}
	if err := by.Require(auth.NoteContext, a.Site); err != nil {
		return "", err
	}
	if c.Kind == coldkeep.ContextOutOfService {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Kind: take the unit out of service instead.")
	}
	if !slices.Contains(noted, c.Kind) {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Kind: %q: want warm-up, defrost, door-open, transport or power-lost.", c.Kind)
	}
	if c.Note, err = checkNote(c.Note); err != nil {
		return "", err
	}
	if err := checkTime("From", c.From); err != nil {
		return "", err
	}
	// A note for next year is a slip of the hand.
	if c.From.After(s.clock.Now().Add(31 * 24 * time.Hour)) {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "From: want a time within the next month.")
	}
	if c.To != nil {
		if err := checkTime("To", *c.To); err != nil {
			return "", err
		}
		if !c.To.After(c.From) {
			return "", coldkeep.Errorf(coldkeep.EINVALID, "To: want a time after From.")
		}
	}
	c.ID, c.By = ulid.Make().String(), by.Name
	return c.ID, s.change(ctx, by, audit.Entry{What: "context.add", Subject: "unit/" + string(a.ID), Site: a.Site, Why: c.Note, Detail: string(c.Kind) + " from " + c.From.UTC().Format(time.RFC3339)},
		func(tx Tx) error { return tx.InsertContext(ctx, c, s.clock.Now()) })
}

// EndContext says when something that a person noted was over. EFORBIDDEN, ENOTFOUND,
// EINVALID when to is not after its begin or it is a time out of service, ECONFLICT
// when it has ended.
func (s *Service) EndContext(ctx context.Context, by auth.Principal, id string, to time.Time) error {
	c, err := s.store.Context(ctx, id)
	if err != nil {
		return err
	}
	a, err := s.seen(ctx, by, c.Appliance)
	if err != nil {
		return err
	}
	if err := by.Require(auth.NoteContext, a.Site); err != nil {
		return err
	}
	if c.Kind == coldkeep.ContextOutOfService {
		return coldkeep.Errorf(coldkeep.EINVALID, "Put the unit into service instead.")
	}
	if err := checkTime("To", to); err != nil {
		return err
	}
	if !to.After(c.From) {
		return coldkeep.Errorf(coldkeep.EINVALID, "To: want a time after %s.", c.From.Format(time.RFC3339))
	}
	return s.change(ctx, by, audit.Entry{What: "context.end", Subject: "unit/" + string(a.ID), Site: a.Site, Detail: string(c.Kind) + " until " + to.UTC().Format(time.RFC3339)},
		func(tx Tx) error { return tx.EndContext(ctx, id, to) })
}

// Contexts lists what is noted of a unit, the latest first. Errors as Unit.
func (s *Service) Contexts(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID) ([]coldkeep.Context, error) {
	if _, _, err := s.Unit(ctx, by, id); err != nil {
		return nil, err
	}
	return s.store.ContextsOf(ctx, id)
}

// seen returns a unit that by may see; another is ENOTFOUND.
func (s *Service) seen(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID) (coldkeep.Appliance, error) {
	a, err := s.store.Appliance(ctx, id)
	if err == nil && by.Known() && !by.May(auth.View, a.Site) {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no unit %q.", id)
	}
	return a, err
}

// SetLimits gives a unit a range of its own, or with nil the profile's again. A
// narrower range than the profile's is the clinic's to choose; one that reaches beyond
// it is for the programme (auth.LoosenRules) and needs a reason. EFORBIDDEN, ENOTFOUND,
// EINVALID for a range that is none, that has nothing of the profile's in it, or that
// lacks its reason.
func (s *Service) SetLimits(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID, l *coldkeep.Limits) error {
	a, err := s.seen(ctx, by, id)
	if err != nil {
		return err
	}
	e := audit.Entry{What: "unit.limits", Subject: "unit/" + string(id), Site: a.Site, Detail: "the profile's range"}
	loose := false
	if l != nil {
		set := *l
		set.Reason = strings.TrimSpace(set.Reason)
		if len(set.Reason) > maxNote {
			return coldkeep.Errorf(coldkeep.EINVALID, "Reason: want at most %d characters.", maxNote)
		}
		if loose, err = loosens(a, set); err != nil {
			return err
		}
		l, e.Why, e.Detail = &set, set.Reason, fmt.Sprintf("%v to %v", set.Low, set.High)
		if loose {
			e.Detail += ", beyond the profile's range"
		}
	}
	if err := mayChangeRules(by, a.Site, loose); err != nil {
		return err
	}
	if loose && l.Reason == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: this range reaches beyond the profile's. Please say why.")
	}
	return s.change(ctx, by, e, func(tx Tx) error { return tx.SetLimits(ctx, id, l) })
}

// mayChangeRules is nil for whoever may change what a unit is judged by: the clinic
// to the strict side, the programme to either.
func mayChangeRules(by auth.Principal, site coldkeep.SiteID, loose bool) error {
	if by.May(auth.LoosenRules, site) {
		return nil
	}
	if err := by.Require(auth.ManageUnits, site); err != nil || !loose {
		return err
	}
	return coldkeep.Errorf(coldkeep.EFORBIDDEN, "This is less strict than the programme's rules. A state administrator or VFC coordinator may set it, with a reason.")
}

// loosens reports whether a range reaches beyond the profile's of a unit. One that is
// none, or lies wholly outside of it, is EINVALID.
func loosens(a coldkeep.Appliance, l coldkeep.Limits) (bool, error) {
	p, err := coldkeep.FindProfile(a.Profile)
	if err != nil {
		return false, err
	}
	rules, err := p.Unit(a.Unit)
	if err != nil {
		return false, err
	}
	asked := l
	asked.Reason = "asked"
	if _, err := rules.Within(&asked); err != nil {
		return false, err
	}
	if l.Low.Celsius() >= rules.High.Celsius() || l.High.Celsius() <= rules.Low.Celsius() {
		return false, coldkeep.Errorf(coldkeep.EINVALID, "Range %v to %v: nothing of it lies within the profile's, %v to %v.", l.Low, l.High, rules.Low, rules.High)
	}
	asked.Reason = ""
	_, err = rules.Within(&asked)
	return err != nil, nil
}

// SetProfile has a unit judged by another profile from now on, for a reason. A profile
// that is not as strict as the one before is for the programme (auth.LoosenRules) to
// choose. EFORBIDDEN, ENOTFOUND, EINVALID for an unknown profile,
// one that does not cover the unit, or no reason, ECONFLICT when the unit's own range
// does not go with it.
func (s *Service) SetProfile(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID, name, reason string) error {
	a, err := s.seen(ctx, by, id)
	if err != nil {
		return err
	}
	p, err := coldkeep.FindProfile(name)
	if err != nil {
		return err
	}
	rules, err := p.Unit(a.Unit)
	if err != nil {
		return err
	}
	before := a
	before.Limits = nil
	strict, err := Rules(before)
	if err != nil {
		return err
	}
	if err := mayChangeRules(by, a.Site, !asStrict(rules, strict)); err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxNote {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: please say why, in at most %d characters.", maxNote)
	}
	if a.Limits != nil {
		if _, err := rules.Within(a.Limits); err != nil {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "The unit has a range of its own that does not go with profile %s: %s", name, coldkeep.ErrorMessage(err))
		}
	}
	if name == a.Profile {
		return nil
	}
	return s.change(ctx, by, audit.Entry{What: "unit.profile", Subject: "unit/" + string(id), Site: a.Site, Why: reason, Detail: name + ", was " + a.Profile},
		func(tx Tx) error { return tx.SetProfile(ctx, id, name) })
}

// asStrict reports whether rules leave out nothing that others ask for: the range is no
// wider, silence calls no later, and for each rule that calls a person or holds there is
// one of the same kind that is met no later and asks for as much.
func asStrict(rules, others *coldkeep.UnitRules) bool {
	if rules.Low.Celsius() < others.Low.Celsius()-equal || rules.High.Celsius() > others.High.Celsius()+equal || rules.NoDataAlert > others.NoDataAlert {
		return false
	}
	for i := range others.Rules {
		o := &others.Rules[i]
		if !slices.Contains(o.Actions, coldkeep.ActionAlert) && !slices.Contains(o.Actions, coldkeep.ActionHold) {
			continue
		}
		if !slices.ContainsFunc(rules.Rules, func(r coldkeep.Rule) bool { return metNoLater(&r, o) }) {
			return false
		}
	}
	return true
}

// equal is by how much two limits in °C may differ and be the same: they come of whole
// thousandths of a degree of either scale.
const equal = 1e-6

// metNoLater reports whether r is met whenever o is, and asks for as much.
func metNoLater(r, o *coldkeep.Rule) bool {
	if r.Kind != o.Kind {
		return false
	}
	wider := r.Beyond.Celsius() - o.Beyond.Celsius()
	if r.Kind == coldkeep.TooCold {
		wider = -wider
	}
	switch {
	case wider > equal, wider > -equal && o.OrAt && !r.OrAt:
		return false
	case r.Type == coldkeep.Instant:
	case r.Type != o.Type, r.Minutes > o.Minutes, r.Window < o.Window:
		return false
	}
	for _, a := range o.Actions {
		if a.Rank() >= coldkeep.ActionAlert.Rank() && !slices.Contains(r.Actions, a) {
			return false
		}
	}
	return true
}

// Rules are what a unit is judged by: its profile's rules for its type, with the
// site's own range if it has one. EINVALID when the profile is not known or does not
// cover it.
func Rules(a coldkeep.Appliance) (*coldkeep.UnitRules, error) {
	p, err := coldkeep.FindProfile(a.Profile)
	if err != nil {
		return nil, err
	}
	rules, err := p.Unit(a.Unit)
	if err != nil || a.Limits == nil {
		return rules, err
	}
	return rules.Within(a.Limits)
}

// ProfilesFor lists the built-in profiles that cover a type of unit, in alphabetical
// order.
func ProfilesFor(u coldkeep.Unit) []string {
	return slices.DeleteFunc(coldkeep.ProfileNames(), func(name string) bool {
		p, err := coldkeep.FindProfile(name)
		if err != nil {
			return true
		}
		_, err = p.Unit(u)
		return err != nil
	})
}
