package templog

import (
	"context"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// defaultRepeat is after how many seconds an unanswered alert is told again when a
// site has not said.
const defaultRepeat = 900

// The first and last instants a record may carry. What lies outside is a broken
// clock, not a temperature log.
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// change runs one change of the mirrored truth with its audit entry. The revision
// comes first: its row is the lock under which one change sees what another did.
func (s *Service) change(ctx context.Context, by auth.Principal, e audit.Entry, do func(Tx) error) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.BumpMirror(ctx); err != nil {
			return err
		}
		if err := do(tx); err != nil {
			return err
		}
		e.At, e.WhoID, e.Who = s.clock.Now(), by.ID, by.Name
		return tx.Audit(ctx, e)
	})
}

// AddSite adds a clinic. EFORBIDDEN when by may not manage the programme, EINVALID
// for a wrong field, ECONFLICT when the id is taken.
func (s *Service) AddSite(ctx context.Context, by auth.Principal, site coldkeep.Site) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	site.Name, site.VFCPIN = strings.TrimSpace(site.Name), strings.TrimSpace(site.VFCPIN)
	if !validID(string(site.ID)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Site id: want letters a to z, digits and -, at most 64.")
	}
	if site.Name == "" || len(site.Name) > 120 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Name: want 1 to 120 characters.")
	}
	if len(site.VFCPIN) > 32 {
		return coldkeep.Errorf(coldkeep.EINVALID, "VFC PIN: want at most 32 characters.")
	}
	if _, err := time.LoadLocation(site.TimeZone); err != nil || site.TimeZone == "" || site.TimeZone == "Local" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Time zone %q is not known; want a name such as America/Chicago.", site.TimeZone)
	}
	return s.change(ctx, by, audit.Entry{What: "site.add", Subject: "site/" + string(site.ID), Site: site.ID, Detail: site.Name},
		func(tx Tx) error { return tx.InsertSite(ctx, site) })
}

// AddAppliance adds a unit. EFORBIDDEN when by may not manage units there,
// EINVALID for a wrong field, ENOTFOUND for an unknown site, ECONFLICT when the id
// is taken.
func (s *Service) AddAppliance(ctx context.Context, by auth.Principal, a coldkeep.Appliance) error {
	if err := by.Require(auth.ManageUnits, a.Site); err != nil {
		return err
	}
	a.Name, a.Limits = strings.TrimSpace(a.Name), nil // a range of its own is a step of its own
	if !validID(string(a.ID)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Unit id: want letters a to z, digits and -, at most 64.")
	}
	if a.Name == "" || len(a.Name) > 120 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Name: want 1 to 120 characters.")
	}
	p, err := coldkeep.FindProfile(a.Profile)
	if err != nil {
		return err
	}
	if _, err := p.Unit(a.Unit); err != nil {
		return err
	}
	return s.change(ctx, by, audit.Entry{What: "unit.add", Subject: "unit/" + string(a.ID), Site: a.Site, Detail: a.Name + ", " + string(a.Unit)},
		func(tx Tx) error {
			if _, err := tx.Site(ctx, a.Site); err != nil {
				return err
			}
			if err := tx.InsertAppliance(ctx, a); err != nil || a.InService {
				return err
			}
			return s.service(ctx, tx, by, a.ID, false, "")
		})
}

// SetInService takes a unit into or out of service from now on, with a note that may
// be empty. While it is out its readings are not judged, so no vaccine may stand in
// it. What is so already is no error and no change. EFORBIDDEN, ENOTFOUND, EINVALID
// for an overlong note, ECONFLICT when lots with doses stand in a unit that is to go
// out of service.
func (s *Service) SetInService(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID, in bool, note string) error {
	a, err := s.managed(ctx, by, id)
	if err != nil {
		return err
	}
	if note, err = checkNote(note); err != nil {
		return err
	}
	if a.InService == in {
		return nil
	}
	what := "unit.out-of-service"
	if in {
		what = "unit.in-service"
	}
	return s.change(ctx, by, audit.Entry{What: what, Subject: "unit/" + string(id), Site: a.Site, Why: note},
		func(tx Tx) error {
			if a, err = tx.LockAppliance(ctx, id); err != nil || a.InService == in {
				return err
			}
			if err := s.service(ctx, tx, by, id, in, note); err != nil {
				return err
			}
			return tx.SetInService(ctx, id, in)
		})
}

// service writes the span in which a unit is out of service. The unit is locked.
func (s *Service) service(ctx context.Context, tx Tx, by auth.Principal, id coldkeep.ApplianceID, in bool, note string) error {
	now := s.clock.Now()
	if !in {
		n, err := tx.StandingLots(ctx, id)
		if err != nil {
			return err
		}
		if n > 0 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "%s in the unit. Move the vaccine first: out of service, nobody is called when it gets warm.", lotsStand(n))
		}
		return tx.InsertContext(ctx, coldkeep.Context{ID: ulid.Make().String(), Appliance: id, Kind: coldkeep.ContextOutOfService, From: now, Note: note, By: by.Name}, now)
	}
	all, err := tx.ContextsOf(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Kind != coldkeep.ContextOutOfService || c.To != nil {
			continue
		}
		if err := tx.EndContext(ctx, c.ID, later(now, c.From)); err != nil {
			return err
		}
	}
	return nil
}

func lotsStand(n int) string {
	if n == 1 {
		return "1 lot stands"
	}
	return fmt.Sprintf("%d lots stand", n)
}

// later is now, or just after from on a clock that was set back meanwhile.
func later(now, from time.Time) time.Time {
	if now.After(from) {
		return now
	}
	return from.Add(time.Millisecond)
}

func (s *Service) managed(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID) (coldkeep.Appliance, error) {
	a, err := s.store.Appliance(ctx, id)
	if err != nil {
		return a, err
	}
	if by.Known() && !by.May(auth.View, a.Site) {
		return a, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no unit %q.", id)
	}
	return a, by.Require(auth.ManageUnits, a.Site)
}

// Assign says that a probe stands in a unit over a span. A span of the same probe
// that is still open ends where this one begins. EFORBIDDEN or ENOTFOUND for the
// unit, EINVALID for a wrong field, ECONFLICT when the probe is known to have
// stood elsewhere in that span.
func (s *Service) Assign(ctx context.Context, by auth.Principal, a coldkeep.Assignment) error {
	unit, err := s.managed(ctx, by, a.Appliance)
	if err != nil {
		return err
	}
	if !validID(string(a.Agent)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Device: want letters a to z, digits and -, at most 64.")
	}
	if !validProbe(string(a.Probe)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Probe: want 1 to 64 characters without spaces and /.")
	}
	if a.Site != unit.Site {
		return coldkeep.Errorf(coldkeep.EINVALID, "Probe %s is of another site than unit %s.", a.Series, a.Appliance)
	}
	if err := checkTime("From", a.From); err != nil {
		return err
	}
	if a.To != nil && !a.To.After(a.From) {
		return coldkeep.Errorf(coldkeep.EINVALID, "To: want a time after From.")
	}
	if a.Role == "" {
		a.Role = coldkeep.RoleVaccine
	}
	if !validRole(a.Role) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Role: %q: want vaccine or air.", a.Role)
	}
	return s.change(ctx, by, audit.Entry{What: "probe.assign", Subject: "unit/" + string(a.Appliance), Site: a.Site, Detail: a.Series.String() + ", " + string(a.Role)},
		func(tx Tx) error {
			all, err := tx.Assignments(ctx)
			if err != nil {
				return err
			}
			for _, b := range all {
				if b.Series != a.Series {
					continue
				}
				if b.To == nil && b.From.Before(a.From) {
					if err := tx.EndAssignment(ctx, b, a.From); err != nil {
						return err
					}
					continue
				}
				if (a.To == nil || b.From.Before(*a.To)) && (b.To == nil || a.From.Before(*b.To)) {
					return coldkeep.Errorf(coldkeep.ECONFLICT, "Probe %s stood in unit %s from %s; a probe is in one unit at a time.",
						a.Series, b.Appliance, b.From.Format(time.RFC3339))
				}
			}
			return tx.InsertAssignment(ctx, a)
		})
}

// EndAssignment says that a probe left a unit at to. EFORBIDDEN or ENOTFOUND;
// EINVALID when to is not after the span's begin.
func (s *Service) EndAssignment(ctx context.Context, by auth.Principal, a coldkeep.Assignment, to time.Time) error {
	unit, err := s.managed(ctx, by, a.Appliance)
	if err != nil {
		return err
	}
	if a.Site != unit.Site {
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "Probe %s is not of this site.", a.Series)
	}
	if !to.After(a.From) {
		return coldkeep.Errorf(coldkeep.EINVALID, "To: want a time after %s.", a.From.Format(time.RFC3339))
	}
	return s.change(ctx, by, audit.Entry{What: "probe.remove", Subject: "unit/" + string(a.Appliance), Site: a.Site, Detail: a.Series.String()},
		func(tx Tx) error { return tx.EndAssignment(ctx, a, to) })
}

// SetOnCall says who is called when a unit of the site alarms. EFORBIDDEN,
// ENOTFOUND for an unknown site, EINVALID for an address that is none.
func (s *Service) SetOnCall(ctx context.Context, by auth.Principal, o coldkeep.OnCall) error {
	if err := by.Require(auth.ManageUnits, o.Site); err != nil {
		return err
	}
	for _, w := range o.Webhooks {
		u, err := url.Parse(w)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "Webhook %q: want an http or https address.", w)
		}
	}
	for _, e := range o.Emails {
		a, err := mail.ParseAddress(e)
		if err != nil || a.Address != e {
			return coldkeep.Errorf(coldkeep.EINVALID, "E-mail %q: want an address such as name@clinic.example.", e)
		}
	}
	if len(o.Webhooks) > 10 || len(o.Emails) > 20 {
		return coldkeep.Errorf(coldkeep.EINVALID, "At most 10 webhooks and 20 e-mail addresses.")
	}
	if o.RepeatAfter < 60 || o.RepeatAfter > 86_400 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Repeat after: want 1 minute to 24 hours.")
	}
	return s.change(ctx, by, audit.Entry{What: "on-call.set", Subject: "site/" + string(o.Site), Site: o.Site},
		func(tx Tx) error {
			if _, err := tx.Site(ctx, o.Site); err != nil {
				return err
			}
			return tx.PutOnCall(ctx, o)
		})
}

func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') {
			return false
		}
	}
	return true
}

func validProbe(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsAny(s, "/ \t\r\n")
}

func checkTime(field string, t time.Time) error {
	if t.IsZero() {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: is missing", field)
	}
	if t.Before(firstTime) || !t.Before(lastTime) {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: %s is not between 2000 and 2100", field, t.Format(time.RFC3339))
	}
	return nil
}
