package registry_test

import (
	"context"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// come is the error of a call that has come past the permission: that what it names is not
// there, or was already as it should be, is none.
func come(err error, words ...string) error {
	for _, w := range words {
		if err != nil && strings.Contains(coldkeep.ErrorMessage(err), w) {
			return nil
		}
	}
	return err
}

// methodsOfUnits are those about accounts, units, logs and stock, with what the page says.
func methodsOfUnits() []method {
	ctx := func(s *services) context.Context { return s.t.Context() }
	one := func(p ...auth.Permission) []auth.Permission { return p }
	site := func(o things) coldkeep.SiteID { return coldkeep.SiteID(o["site"]) }
	unit := func(o things) coldkeep.ApplianceID { return coldkeep.ApplianceID(o["unit"]) }
	fresh := func(s *services, o things) string { return s.person(site(o), "Known") }
	type call = func(s *services, by auth.Principal, o things) error
	own := func(name string, perm auth.Permission, c call) method {
		return method{name: name, perms: one(perm), of: 2, call: c}
	}
	all := func(name string, perm auth.Permission, c call) method {
		return method{name: name, perms: one(perm), of: 1, call: c}
	}
	from := time.Now().Add(-3 * time.Hour)
	return []method{
		all("auth.People", auth.ManagePeople, func(s *services, by auth.Principal, _ things) error {
			list, err := s.auth.People(ctx(s), by)
			for _, p := range list {
				if by.Site != "" && p.Site != by.Site {
					s.t.Errorf("%s sees somebody of %s", by.Name, p.Site)
				}
			}
			return err
		}),
		own("auth.AddPerson", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			_, err := s.auth.AddPerson(ctx(s), by, auth.NewPerson{Role: auth.Nurse, Site: site(o)})
			return err
		}),
		own("auth.PersonWithSites", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			_, _, err := s.auth.PersonWithSites(ctx(s), by, fresh(s, o))
			return err
		}),
		own("auth.SetActive", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.SetActive(ctx(s), by, fresh(s, o), false)
		}),
		own("auth.SetRole", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.SetRole(ctx(s), by, fresh(s, o), site(o), auth.ViewOnly)
		}),
		own("auth.LeaveSite", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.LeaveSite(ctx(s), by, fresh(s, o), site(o))
		}),
		own("auth.ResetPassword", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			_, err := s.auth.ResetPassword(ctx(s), by, fresh(s, o))
			return err
		}),
		own("auth.ResetSecondFactor", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.ResetSecondFactor(ctx(s), by, fresh(s, o))
		}),
		all("auth.Accounts", auth.ManagePeople, func(s *services, by auth.Principal, _ things) error {
			list, _, err := s.auth.Accounts(ctx(s), by)
			for _, a := range list {
				if by.Site != "" && a.Site != by.Site {
					s.t.Errorf("%s sees an account of %s", by.Name, a.Site)
				}
			}
			return err
		}),
		own("auth.AddAccount", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			_, _, err := s.auth.AddAccount(ctx(s), by, "", site(o), []string{auth.ScopeRecords})
			return err
		}),
		own("auth.AddAccountKey", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.AddAccountKey(ctx(s), by, o["account"], "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4kY9XPmvI5d3cM4Y1G4VnE5p1b0gC5mYy9Jd3Xw2oN")
		}),
		own("auth.RemoveAccountKey", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return come(s.auth.RemoveAccountKey(ctx(s), by, o["account"], "none"), "no such key")
		}),
		own("auth.RenewAccount", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			_, err := s.auth.RenewAccount(ctx(s), by, o["account"])
			return err
		}),
		own("auth.RevokeAccount", auth.ManagePeople, func(s *services, by auth.Principal, o things) error {
			return s.auth.RevokeAccount(ctx(s), by, o["account"])
		}),
		own("auth.Devices", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			_, err := s.auth.Devices(ctx(s), by, site(o))
			return err
		}),
		own("auth.AddDevice", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			_, err := s.auth.AddDevice(ctx(s), by, site(o), "pi-1")
			return err
		}),
		own("auth.EnsureDevice", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.auth.EnsureDevice(ctx(s), by, site(o), "pi-1", "a secret of eight")
		}),
		own("auth.RevokeDevice", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.auth.RevokeDevice(ctx(s), by, site(o), "pi-1")
		}),
		all("auth.WaitingClaims", auth.ManageProgramme, func(s *services, by auth.Principal, _ things) error {
			_, err := s.auth.WaitingClaims(ctx(s), by)
			return err
		}),
		own("auth.AcceptClaim", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return come(s.auth.AcceptClaim(ctx(s), by, o["code"], site(o), "pi-9", false), "no device")
		}),
		own("auth.AcceptInPlaceOf", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return come(s.auth.AcceptInPlaceOf(ctx(s), by, o["code"], site(o), "pi-9", "pi-1"), "no device", "o such device")
		}),
		all("auth.RefuseClaim", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.auth.RefuseClaim(ctx(s), by, o["code"])
		}),
		{name: "enrolment.Applications", perms: one(auth.ApproveSites, auth.ApplyForSite), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			list, err := s.enrol.Applications(ctx(s), by, "")
			for _, a := range list {
				if by.Site != "" && a.Site != by.Site {
					s.t.Errorf("%s sees an application of %s", by.Name, a.Site)
				}
			}
			return err
		}},
		all("enrolment.Versions", auth.ManageProgramme, func(s *services, by auth.Principal, _ things) error {
			_, err := s.enrol.Versions(ctx(s), by, enrolment.Confidentiality)
			return err
		}),
		all("enrolment.EnsureSite", auth.ManageProgramme, func(s *services, by auth.Principal, o things) error {
			return s.enrol.EnsureSite(ctx(s), by, enrolment.SiteEnrolment{Site: coldkeep.Site{ID: site(o)}})
		}),
		all("inventory.Hold", auth.Collect, func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.Hold(ctx(s), by, coldkeep.HoldRequest{ID: o["hold"], Excursion: o["excursion"], Appliance: unit(o), Since: from, Reason: "above 8 °C"})
			return err
		}),
		all("inventory.Propose", auth.Collect, func(s *services, by auth.Principal, o things) error {
			return s.stock.Propose(ctx(s), by, o["hold"], coldkeep.HoldProposal{Action: "none"})
		}),
		all("inventory.ExcursionChanged", auth.Collect, func(s *services, by auth.Principal, o things) error {
			return s.stock.ExcursionChanged(ctx(s), by, coldkeep.Excursion{ID: o["none"]})
		}),
		own("inventory.Lot", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.Lot(ctx(s), by, o["lot"])
			return err
		}),
		own("inventory.Journal", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.Journal(ctx(s), by, o["lot"])
			return err
		}),
		all("inventory.Stock", auth.View, func(s *services, by auth.Principal, _ things) error {
			all, err := s.stock.Stock(ctx(s), by)
			for _, l := range all.Lots {
				if by.Site != "" && l.Lot.Site != by.Site {
					s.t.Errorf("%s sees a lot of %s", by.Name, l.Lot.Site)
				}
			}
			return err
		}),
		own("inventory.Receive", auth.ManageStock, func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.Receive(ctx(s), by, inventory.Lot{Site: site(o)}, unit(o), from)
			return err
		}),
		own("inventory.Move", auth.ManageStock, func(s *services, by auth.Principal, o things) error {
			return s.stock.Move(ctx(s), by, o["lot"], coldkeep.ApplianceID(o["spare"]), time.Now())
		}),
		own("inventory.SetBudget", auth.ManageStock, func(s *services, by auth.Principal, o things) error {
			return s.stock.SetBudget(ctx(s), by, o["lot"], inventory.Budget{})
		}),
		own("inventory.DecideLot", auth.DecideHolds, func(s *services, by auth.Principal, o things) error {
			return s.stock.DecideLot(ctx(s), by, inventory.Decision{Hold: o["hold"], Lot: o["held"], Outcome: inventory.Released, Why: why})
		}),
		all("templog.AddSite", auth.ManageProgramme, func(s *services, by auth.Principal, _ things) error {
			return s.log.AddSite(ctx(s), by, coldkeep.Site{})
		}),
		own("templog.AddAppliance", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.log.AddAppliance(ctx(s), by, coldkeep.Appliance{Site: site(o)})
		}),
		own("templog.Assign", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.log.Assign(ctx(s), by, coldkeep.Assignment{Series: coldkeep.Series{Site: site(o), Probe: "p"}, Appliance: unit(o)})
		}),
		own("templog.EndAssignment", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return come(s.log.EndAssignment(ctx(s), by, coldkeep.Assignment{Series: coldkeep.Series{Site: site(o), Agent: "pi-1", Probe: "p"}, Appliance: unit(o), From: from}, from.Add(-time.Hour)), "assign")
		}),
		own("templog.Calibrate", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.log.Calibrate(ctx(s), by, coldkeep.Calibration{Series: coldkeep.Series{Site: site(o)}})
		}),
		own("templog.SetInService", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.log.SetInService(ctx(s), by, unit(o), true, "")
		}),
		own("templog.SetOnCall", auth.ManageUnits, func(s *services, by auth.Principal, o things) error {
			return s.log.SetOnCall(ctx(s), by, coldkeep.OnCall{Site: site(o), RepeatAfter: -1})
		}),
		{name: "templog.SetProfile", perms: one(auth.ManageUnits, auth.LoosenRules), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.log.SetProfile(ctx(s), by, unit(o), "cdc", why)
		}},
		{name: "templog.SetLimits", perms: one(auth.ManageUnits, auth.LoosenRules), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.log.SetLimits(ctx(s), by, unit(o), nil)
		}},
		own("templog.AddContext", auth.NoteContext, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.AddContext(ctx(s), by, coldkeep.Context{Appliance: unit(o), Kind: "none"})
			return err
		}),
		own("templog.EndContext", auth.NoteContext, func(s *services, by auth.Principal, o things) error {
			return s.log.EndContext(ctx(s), by, o["context"], time.Now())
		}),
		own("templog.Assignments", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Assignments(ctx(s), by, unit(o))
			return err
		}),
		own("templog.Certificates", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Certificates(ctx(s), by, site(o))
			return err
		}),
		own("templog.Contexts", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Contexts(ctx(s), by, unit(o))
			return err
		}),
		own("templog.Excursion", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Excursion(ctx(s), by, o["excursion"])
			return err
		}),
		own("templog.Excursions", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Excursions(ctx(s), by, unit(o), from, time.Now(), 10)
			return err
		}),
		own("templog.Revisions", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Revisions(ctx(s), by, o["excursion"])
			return err
		}),
		own("templog.Intervals", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.Intervals(ctx(s), by, unit(o), from, time.Now())
			return err
		}),
		own("templog.Unit", auth.View, func(s *services, by auth.Principal, o things) error {
			_, _, err := s.log.Unit(ctx(s), by, unit(o))
			return err
		}),
		own("templog.OnCall", auth.View, func(s *services, by auth.Principal, o things) error {
			_, err := s.log.OnCall(ctx(s), by, site(o))
			return err
		}),
		all("templog.OnCalls", auth.View, func(s *services, by auth.Principal, _ things) error {
			list, err := s.log.OnCalls(ctx(s), by)
			for id := range list {
				if by.Site != "" && id != by.Site {
					s.t.Errorf("%s sees whom %s calls", by.Name, id)
				}
			}
			return err
		}),
		all("templog.Sites", auth.View, func(s *services, by auth.Principal, _ things) error {
			_, err := s.log.Sites(ctx(s), by)
			return err
		}),
		all("templog.Units", auth.View, func(s *services, by auth.Principal, _ things) error {
			list, err := s.log.Units(ctx(s), by)
			for _, u := range list {
				if by.Site != "" && u.Site != by.Site {
					s.t.Errorf("%s sees a unit of %s", by.Name, u.Site)
				}
			}
			return err
		}),
		all("templog.Mirror", auth.Collect, func(s *services, by auth.Principal, _ things) error {
			_, err := s.log.Mirror(ctx(s), by, 0, 0)
			return err
		}),
		all("templog.PutIntervals", auth.Collect, func(s *services, by auth.Principal, _ things) error {
			_, err := s.log.PutIntervals(ctx(s), by, nil)
			return err
		}),
		all("templog.PutExcursion", auth.Collect, func(s *services, by auth.Principal, _ things) error {
			_, err := s.log.PutExcursion(ctx(s), by, coldkeep.Excursion{})
			return err
		}),
		all("templog.PutStatuses", auth.Collect, func(s *services, by auth.Principal, _ things) error {
			return s.log.PutStatuses(ctx(s), by, nil)
		}),
		{name: "immunization.Look", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, _, err := s.doses.Look(ctx(s), by, o["told"])
			return err
		}},
		all("patient.Match", auth.EditPatients, func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.Match(ctx(s), by, &patient.Patient{Birth: coldkeep.NewDate(2020, 1, 1), Names: []patient.Name{{Family: "Nobody", Given: "Here", Kind: patient.Legal}}})
			return err
		}),
		all("patient.ResolveAlone", auth.EditPatients, func(s *services, by auth.Principal, _ things) error {
			_, _, err := s.people.ResolveAlone(ctx(s), by, patient.Patient{})
			return err
		}),
		all("immunization.RecordIn", auth.RecordDoses, func(s *services, by auth.Principal, _ things) error {
			return s.store.Immunizations().Tx(ctx(s), func(tx immunization.Tx) error {
				_, err := s.doses.RecordIn(ctx(s), tx, by, immunization.Dose{Patient: s.things[0]["patient"], Kind: immunization.Historical, CVX: "21", Date: coldkeep.NewDate(2999, 1, 1), Source: "02"})
				return err
			})
		}),
	}
}
