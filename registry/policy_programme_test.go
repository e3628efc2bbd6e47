package registry_test

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// programmeMethods are those of what stands around records: stock, audit, files, enrolments,
// figures, prints, statements, schedules and recalls.
func programmeMethods() []method {
	subset := []auth.Permission{auth.ViewPatients, auth.ViewSubset}
	one := func(p auth.Permission) []auth.Permission { return []auth.Permission{p} }
	ctx := func(s *services) context.Context { return s.t.Context() }
	calls := []auth.Permission{auth.RecallPatients, auth.CallPatients}
	future := coldkeep.NewDate(2999, 1, 1)
	approve := []auth.Permission{auth.ApproveSites, auth.ApplyForSite}
	return []method{
		{name: "inventory.HoldOf", perms: one(auth.View), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.HoldOf(ctx(s), by, o["excursion"])
			return err
		}},
		{name: "inventory.Decide", perms: one(auth.DecideHolds), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.stock.Decide(ctx(s), by, o["hold"], o["held"], inventory.Released, why)
		}},
		{name: "inventory.DecideProposal", perms: one(auth.DecideHolds), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.stock.DecideProposal(ctx(s), by, o["proposal"], false, why)
		}},
		{name: "inventory.SetDoses", perms: one(auth.ManageStock), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.stock.SetDoses(ctx(s), by, o["lot"], 100, why)
		}},
		{name: "inventory.GivenUnderHold", perms: one(auth.View), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.stock.GivenUnderHold(ctx(s), by, o["hold"], o["held"])
			return err
		}},
		{name: "review.Search", perms: one(auth.ReadAudit), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := review.New(s.store, coldkeep.RealClock{}).Search(ctx(s), by, review.Search{Query: audit.Query{What: "patient.view", Limit: 1}})
			return err
		}},
		{name: "review.Names", perms: []auth.Permission{auth.ReadTrail, auth.ReadAudit}, of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := review.New(s.store, coldkeep.RealClock{}).Names(ctx(s), by, []string{"unit/none"})
			return err
		}},
		{name: "review.Looked", perms: one(auth.ReadAudit), of: 5, anyone: true, call: func(s *services, by auth.Principal, o things) error {
			_, err := review.New(s.store, coldkeep.RealClock{}).Looked(ctx(s), by, o["patient"], audit.Place{}, 1)
			return err
		}},
		{name: "review.Export", perms: one(auth.ReadAudit), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return review.New(s.store, coldkeep.RealClock{}).Export(ctx(s), by, review.Search{}, func(audit.Entry) error { return io.EOF })
		}},
		{name: "onboarding.Upload", perms: one(auth.ImportPatients), of: 1, not: []string{string(auth.StateAdmin)}, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.imports.Upload(ctx(s), by, strings.NewReader(""))
			return err
		}},
		{name: "onboarding.List", perms: one(auth.ImportPatients), of: 1, not: []string{string(auth.StateAdmin)}, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.imports.List(ctx(s), by)
			return err
		}},
		{name: "onboarding.Get", perms: one(auth.ImportPatients), of: 2, not: []string{string(auth.StateAdmin)}, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.imports.Get(ctx(s), by, o["import"], 0, 1)
			return err
		}},
		{name: "onboarding.Take", perms: one(auth.ImportPatients), of: 2, not: []string{string(auth.StateAdmin)}, call: func(s *services, by auth.Principal, o things) error { return s.imports.Take(ctx(s), by, o["import"]) }},
		{name: "enrolment.Application", perms: approve, of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.enrol.Application(ctx(s), by, o["application"])
			return err
		}},
		{name: "enrolment.Enrolment", perms: approve, of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.enrol.Enrolment(ctx(s), by, coldkeep.SiteID(o["site"]))
			return err
		}},
		{name: "enrolment.Renew", perms: one(auth.ApplyForSite), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.enrol.Renew(ctx(s), by, coldkeep.SiteID(o["site"]), enrolment.Form{})
			return err
		}},
		{name: "enrolment.ApplyForSite", perms: one(auth.ApplyForSite), of: 1, not: []string{string(auth.StateAdmin)}, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.enrol.ApplyForSite(ctx(s), by, enrolment.Form{})
			return err
		}},
		{name: "enrolment.Enrolments", perms: one(auth.ApproveSites), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.enrol.Enrolments(ctx(s), by)
			return err
		}},
		{name: "enrolment.Refuse", perms: one(auth.ApproveSites), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.enrol.Refuse(ctx(s), by, o["application"], "")
		}},
		{name: "enrolment.SetEnd", perms: one(auth.ApproveSites), of: 2, call: func(s *services, by auth.Principal, o things) error {
			soon := time.Now().Add(20 * 24 * time.Hour)
			return s.enrol.SetEnd(ctx(s), by, coldkeep.SiteID(o["site"]), &soon)
		}},
		{name: "enrolment.Approve", perms: one(auth.ApproveSites), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.enrol.Approve(ctx(s), by, o["application"], enrolment.Approval{})
			return err
		}},
		{name: "enrolment.Publish", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.enrol.Publish(ctx(s), by, enrolment.Confidentiality, -1, "", "")
			return err
		}},
		{name: "enrolment.Acceptances", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.enrol.Acceptances(ctx(s), by, enrolment.Confidentiality)
			return err
		}},
		{name: "quality.Report", perms: one(auth.ReadQuality), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.quality.Report(ctx(s), by, coldkeep.SiteID(o["site"]))
			return err
		}},
		{name: "coverage.Begin", perms: one(auth.ReadCoverage), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.cover.Begin(ctx(s), by, coverage.Ask{Site: coldkeep.SiteID(o["site"]), Measures: []string{"cis-3"}, Day: future})
			return err
		}},
		{name: "coverage.Get", perms: one(auth.ReadCoverage), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.cover.Get(ctx(s), by, o["assessment"])
			return err
		}},
		{name: "coverage.Result", perms: one(auth.ReadCoverage), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.cover.Result(ctx(s), by, o["assessment"])
			return err
		}},
		{name: "coverage.Missing", perms: one(auth.ReadCoverage), of: 2, not: []string{string(auth.StateEpi), string(auth.VFCCoordinator)}, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.cover.Missing(ctx(s), by, o["assessment"], "cis-3", coverage.Valid, "")
			return err
		}},
		{name: "coverage.List", perms: one(auth.ReadCoverage), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			all, err := s.cover.List(ctx(s), by)
			for _, r := range all {
				if by.Site != "" && r.Site != by.Site {
					s.t.Errorf("%s sees an assessment of %s", by.Name, r.Site)
				}
			}
			return err
		}},
		{name: "coverage.Cancel", perms: one(auth.ReadCoverage), of: 2, not: []string{string(auth.StateEpi), string(auth.VFCCoordinator)}, call: func(s *services, by auth.Principal, o things) error {
			return s.cover.Cancel(ctx(s), by, o["assessment"])
		}},
		{name: "coverage.Measures", perms: one(auth.ReadCoverage), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.cover.Measures(ctx(s), by)
			return err
		}},
		{name: "coverage.Smallest", perms: one(auth.ReadCoverage), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.cover.Smallest(ctx(s), by)
			return err
		}},
		{name: "coverage.SetSmallest", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return s.cover.SetSmallest(ctx(s), by, 0, "")
		}},
		{name: "coverage.Antigens", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.cover.Antigens(by)
			return err
		}},
		{name: "coverage.AddMeasure", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.cover.AddMeasure(ctx(s), by, coverage.Measure{})
			return err
		}},
		{name: "coverage.RetireMeasure", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return s.cover.RetireMeasure(ctx(s), by, "none")
		}},
		{name: "forms.Certificate", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			p, err := s.forms.Certificate(ctx(s), by, o["patient"], "")
			if err == nil && by.Role == auth.School && (len(p.Person.Contacts)+len(p.Person.Addresses)+len(p.Person.Guardians) > 0 || p.Person.Sex != "" || p.View.Doses[0].Lot != "" || len(p.View.Reactions) > 0) {
				s.t.Errorf("a school's certificate has %+v", p)
			}
			return err
		}},
		{name: "forms.CertificatePDF", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.CertificatePDF(ctx(s), by, o["patient"], "K")
			return err
		}},
		{name: "forms.SchoolStatus", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.SchoolStatus(ctx(s), by, o["patient"], "")
			return err
		}},
		{name: "forms.PrintsOf", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			all, err := s.forms.PrintsOf(ctx(s), by, o["patient"])
			if by.Role == auth.School && len(all) > 0 {
				s.t.Errorf("a school sees who printed: %+v", all)
			}
			return err
		}},
		{name: "forms.HistoryReport", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.HistoryReport(ctx(s), by, o["patient"])
			return err
		}},
		{name: "forms.HistoryPDF", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.HistoryPDF(ctx(s), by, o["patient"])
			return err
		}},
		{name: "forms.VisitPDF", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.VisitPDF(ctx(s), by, o["patient"], coldkeep.DateOf(time.Now()))
			return err
		}},
		{name: "forms.OptOutPDF", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.OptOutPDF(ctx(s), by, o["patient"])
			return err
		}},
		{name: "forms.NewPatientPDF", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.NewPatientPDF(ctx(s), by, o["patient"])
			return err
		}},
		{name: "forms.Vaers", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.Vaers(ctx(s), by, o["reaction"])
			return err
		}},
		{name: "forms.VaersPDF", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.forms.VaersPDF(ctx(s), by, o["reaction"])
			return err
		}},
		{name: "forms.Blank", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.forms.Blank(by, forms.OptOut)
			return err
		}},
		{name: "vis.HandedOver", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, _, err := s.vis.HandedOver(ctx(s), by, o["patient"])
			return err
		}},
		{name: "vis.List", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.vis.List(ctx(s), by)
			return err
		}},
		{name: "vis.Get", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.vis.Get(ctx(s), by, o["none"])
			return err
		}},
		{name: "vis.For", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.vis.For(ctx(s), by, "03")
			return err
		}},
		{name: "vis.Open", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.vis.Open(ctx(s), by, o["none"], "eng")
			return err
		}},
		{name: "vis.AddEdition", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.vis.AddEdition(ctx(s), by, vis.Edition{})
			return err
		}},
		{name: "vis.SetCurrent", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, o things) error {
			return s.vis.SetCurrent(ctx(s), by, o["none"], true, why)
		}},
		{name: "vis.AddText", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return s.vis.AddText(ctx(s), by, vis.Text{})
		}},
		{name: "vis.WithdrawText", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, o things) error {
			return s.vis.WithdrawText(ctx(s), by, o["none"], "eng", why)
		}},
		{name: "vis.TextsOf", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.vis.TextsOf(ctx(s), by, o["none"])
			return err
		}},
		{name: "vis.Report", perms: one(auth.ReadQuality), of: 2, call: func(s *services, by auth.Principal, o things) error {
			today := coldkeep.DateOf(time.Now())
			_, err := s.vis.Report(ctx(s), by, coldkeep.SiteID(o["site"]), today-30, today)
			return err
		}},
		{name: "schedules.List", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.sched.List(ctx(s), by)
			return err
		}},
		{name: "schedules.Load", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.sched.Load(ctx(s), by, "", 0, nil)
			return err
		}},
		{name: "schedules.Compare", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.sched.Compare(ctx(s), by, o["none"], s.doses)
			return err
		}},
		{name: "schedules.Activate", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, o things) error {
			return s.sched.Activate(ctx(s), by, o["none"], why)
		}},
		{name: "recall.Settings", perms: one(auth.RecallPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.recall.Settings(ctx(s), by)
			return err
		}},
		{name: "recall.SetSettings", perms: one(auth.RecallPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return s.recall.SetSettings(ctx(s), by, recall.Settings{})
		}},
		{name: "recall.Texts", perms: one(auth.RecallPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.recall.Texts(ctx(s), by)
			return err
		}},
		{name: "recall.SetText", perms: one(auth.RecallPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			return s.recall.SetText(ctx(s), by, recall.Text{})
		}},
		{name: "recall.Start", perms: one(auth.RecallPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.recall.Start(ctx(s), by, recall.Params{Mode: "none"})
			return err
		}},
		{name: "recall.StartCold", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.StartCold(ctx(s), by, o["cold"])
			return err
		}},
		{name: "recall.Get", perms: calls, of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.Get(ctx(s), by, o["run"])
			return err
		}},
		{name: "recall.List", perms: calls, of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.recall.List(ctx(s), by)
			return err
		}},
		{name: "recall.Issue", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.Issue(ctx(s), by, o["run"], 99, []recall.Channel{recall.Letter})
		}},
		{name: "recall.Print", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.Print(ctx(s), by, o["run"], recall.Letter, 0, "letters")
			return err
		}},
		{name: "recall.Print, calls", perms: calls, of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.Print(ctx(s), by, o["run"], recall.Phone, 0, "calls")
			return err
		}},
		{name: "recall.AgainAll", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.AgainAll(ctx(s), by, o["run"])
			return err
		}},
		{name: "recall.Drop", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.Drop(ctx(s), by, o["run"])
		}},
		{name: "recall.Colds", perms: calls, of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.recall.Colds(ctx(s), by)
			return err
		}},
		{name: "recall.ColdOfHold", perms: calls, of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.ColdOfHold(ctx(s), by, o["hold"])
			return err
		}},
		{name: "recall.GetCold", perms: calls, of: 2, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.GetCold(ctx(s), by, o["cold"])
			return err
		}},
		{name: "recall.SetCold, reached", perms: calls, of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.SetCold(ctx(s), by, o["cold"], o["patient"], recall.ColdReached, "", 99)
		}},
		{name: "recall.SetCold, refused", perms: one(auth.RecallPatients), of: 2, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.SetCold(ctx(s), by, o["cold"], o["patient"], recall.ColdRefused, why, 99)
		}},
		{name: "recall.Of", perms: one(auth.CallPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.recall.Of(ctx(s), by, o["patient"])
			return err
		}},
		{name: "recall.Agree", perms: one(auth.CallPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.Agree(ctx(s), by, o["patient"], recall.Email, "", "")
		}},
		{name: "recall.Disagree", perms: one(auth.CallPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.Disagree(ctx(s), by, o["patient"], o["none"])
		}},
		{name: "recall.Try", perms: one(auth.CallPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.Try(ctx(s), by, o["patient"], recall.Attempt{Channel: recall.Phone, Result: recall.NoAnswer})
		}},
		{name: "recall.CallLost", perms: one(auth.RecallPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.recall.CallLost(ctx(s), by, o["patient"], why)
		}},
	}
}
