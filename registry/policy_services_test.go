package registry_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// grantsOf reads who has which permission from the page.
func grantsOf(t *testing.T) map[auth.Permission][]string {
	t.Helper()
	b, err := os.ReadFile(policyPage)
	if err != nil {
		t.Fatal(err)
	}
	out := map[auth.Permission][]string{}
	_, section, _ := strings.Cut(string(b), "\n## Permissions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if name := strings.TrimSpace(cells[0]); len(cells) == 3 && strings.HasPrefix(name, "`") {
			out[auth.Permission(strings.Trim(name, "`"))] = strings.Split(strings.ReplaceAll(strings.TrimSpace(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(cells[2], "")), " ", ""), ",")
		}
	}
	return out
}

// principals are everybody, by the column of the table.
func principals() map[string]auth.Principal {
	out := map[string]auth.Principal{"nobody": {}}
	for _, r := range auth.Roles() {
		p := auth.Principal{ID: "p-" + string(r), Name: "The " + string(r), Role: r, Site: ownSite}
		if r.Programme() {
			p.Site = ""
		}
		out[string(r)] = p
	}
	for _, sc := range scopesOf {
		p := auth.Principal{ID: "i-" + sc, Name: "Program", Scopes: []string{sc}, Site: ownSite}
		if sc == auth.ScopeCollector {
			p.Site = ""
		}
		out[sc] = p
	}
	return out
}

// The permissions are those of the page, at one's own practice and nowhere else.
func TestPermissionsOfPage(t *testing.T) {
	grants := grantsOf(t)
	if len(grants) < 27 {
		t.Fatalf("%d permissions in %s", len(grants), policyPage)
	}
	for perm, who := range grants {
		for name, p := range principals() {
			has := slices.Contains(who, name)
			if p.May(perm, ownSite) != has || p.May(perm, otherSite) != (has && p.Site == "") {
				t.Errorf("%s: %s has it: %v at its own, %v at another practice, the page says %v", perm, name, p.May(perm, ownSite), p.May(perm, otherSite), has)
			}
			if p.Lapsed = true; p.Site != "" && p.May(perm, ownSite) != (has && !slices.Contains([]auth.Permission{auth.EditPatients, auth.RecordDoses, auth.RecordExemptions, auth.ImportPatients}, perm)) {
				t.Errorf("%s: %s of a site whose enrolment has ended: %v", perm, name, p.May(perm, ownSite))
			}
		}
	}
}

// method is one of a service, with what the page says of it.
type method struct {
	name   string
	perms  []auth.Permission // any of them opens it
	of     int               // situations: 1, 2, or 5 of a patient
	stock  bool              // a dose of a practice's stock is that practice's
	anyone bool              // does not ask what was searched for, or who has locked it
	not    []string          // who have the permission and no use for it here
	fresh  bool              // has a patient of its own
	call   func(s *services, by auth.Principal, o things) error
}

// says is what the page says of a method for somebody.
func (m *method) says(name string, p auth.Principal, grants map[auth.Permission][]string) []string {
	out := slices.Repeat([]string{refused}, m.of)
	if !slices.ContainsFunc(m.perms, func(perm auth.Permission) bool { return slices.Contains(grants[perm], name) }) || slices.Contains(m.not, name) {
		return out
	}
	state := p.Site == ""
	for i := range out {
		sit := situations[i]
		switch {
		case m.of < 5 && (i == 0 || state), m.anyone:
			out[i] = allowed
		case m.of < 5:
		case sit.locked && sit.site != p.Site && !state:
			out[i] = locked
		case !sit.found, m.stock && sit.site != p.Site && !state:
		default:
			out[i] = allowed
		}
	}
	return out
}

const why = "a good reason"

var form = patient.Form{Signer: "Nora", Relation: "MTH", Signed: coldkeep.DateOf(time.Now()) - 1}

func methods() []method {
	subset := []auth.Permission{auth.ViewPatients, auth.ViewSubset}
	one := func(p auth.Permission) []auth.Permission { return []auth.Permission{p} }
	ctx := func(s *services) context.Context { return s.t.Context() }
	calls := []auth.Permission{auth.RecallPatients, auth.CallPatients}
	future := coldkeep.NewDate(2999, 1, 1)
	approve := []auth.Permission{auth.ApproveSites, auth.ApplyForSite}
	return []method{
		{name: "patient.Open", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			r, err := s.people.Open(ctx(s), by, o["patient"], "")
			if err == nil && by.Role == auth.School && (len(r.Contacts)+len(r.Addresses)+len(r.Guardians)+len(r.Identifiers)+len(r.Statuses)+len(r.History) > 0 || r.Sex != "") {
				s.t.Errorf("a school sees %+v", r)
			}
			return err
		}},
		{name: "patient.History", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.History(ctx(s), by, o["patient"])
			return err
		}},
		{name: "patient.Standing", perms: one(auth.EditPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.Standing(ctx(s), by, o["patient"])
			return err
		}},
		{name: "patient.Edit", perms: one(auth.EditPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.Edit(ctx(s), by, patient.Patient{ID: o["patient"], Revision: 99, Birth: coldkeep.NewDate(2020, 1, 1), Sex: patient.Female, Names: []patient.Name{{Family: "Brandt", Given: "Mila", Kind: patient.Legal}}}, why)
			return err
		}},
		{name: "patient.SetStatus", perms: one(auth.EditPatients), of: 5, fresh: true, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.SetStatus(ctx(s), by, o["patient"], by.Site, patient.Active, why)
			return err
		}},
		{name: "patient.SetDeceased", perms: one(auth.EditPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.SetDeceased(ctx(s), by, o["patient"], false, 0, why)
			return err
		}},
		{name: "patient.OfferOptOut", perms: one(auth.EditPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.OfferOptOut(ctx(s), by, o["patient"])
			return err
		}},
		{name: "patient.Lock", perms: one(auth.LockPatients), of: 5, fresh: true, call: func(s *services, by auth.Principal, o things) error {
			return s.people.Lock(ctx(s), by, o["patient"], form)
		}},
		{name: "patient.Unlock", perms: one(auth.LockPatients), of: 5, fresh: true, call: func(s *services, by auth.Principal, o things) error {
			return s.people.Unlock(ctx(s), by, o["patient"], form)
		}},
		{name: "patient.Search", perms: one(auth.SearchPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.Search(ctx(s), by, patient.Query{Family: "Nobody", Given: "Here", Birth: coldkeep.NewDate(2020, 1, 1)})
			return err
		}},
		{name: "patient.Add", perms: one(auth.EditPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.Add(ctx(s), by, patient.Patient{})
			return err
		}},
		{name: "patient.Duplicates", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.Duplicates(ctx(s), by, patient.PairOpen)
			return err
		}},
		{name: "patient.ComparePair", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, _, err := s.people.ComparePair(ctx(s), by, o["a"], o["b"])
			return err
		}},
		{name: "patient.NotDuplicate", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			return s.people.NotDuplicate(ctx(s), by, o["a"], o["none"], why)
		}},
		{name: "patient.MergePatients", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.MergePatients(ctx(s), by, o["a"], o["a"], why)
			return err
		}},
		{name: "patient.UnmergePatients", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.UnmergePatients(ctx(s), by, o["none"], why)
			return err
		}},
		{name: "patient.Unmerging", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.Unmerging(ctx(s), by, o["none"])
			return err
		}},
		{name: "patient.MergesOf", perms: one(auth.ResolveDuplicates), of: 1, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.MergesOf(ctx(s), by, o["a"])
			return err
		}},
		{name: "patient.Emergencies", perms: one(auth.ReadAudit), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.Emergencies(ctx(s), by, true)
			return err
		}},
		{name: "patient.ReviewEmergency", perms: one(auth.ReadAudit), of: 1, call: func(s *services, by auth.Principal, o things) error {
			return s.people.ReviewEmergency(ctx(s), by, o["none"], why)
		}},
		{name: "patient.CountDeidentified", perms: one(auth.ReadDeidentified), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.people.CountDeidentified(ctx(s), by)
			return err
		}},
		{name: "patient.WriteDeidentified", perms: one(auth.ReadDeidentified), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			var b bytes.Buffer
			err := s.people.WriteDeidentified(ctx(s), by, &b, nil)
			for _, not := range append([]string{familyName, s.things[0]["patient"]}, recordSecrets...) {
				if strings.Contains(b.String(), not) {
					s.t.Errorf("de-identified records have %q", not)
				}
			}
			return err
		}},
		{name: "immunization.View", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.View(ctx(s), by, o["patient"])
			return err
		}},
		{name: "immunization.Explain", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.Explain(ctx(s), by, o["patient"])
			return err
		}},
		{name: "immunization.ForecastOf", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.ForecastOf(ctx(s), by, o["patient"], false)
			return err
		}},
		{name: "immunization.School", perms: subset, of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.School(ctx(s), by, o["patient"])
			return err
		}},
		{name: "immunization.Record", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.Record(ctx(s), by, immunization.Dose{Patient: o["patient"], Kind: immunization.Historical, CVX: "21", Date: future, Source: "02"}, immunization.Confirm{})
			return err
		}},
		{name: "immunization.Edit, of the stock", perms: one(auth.RecordDoses), of: 5, stock: true, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.Edit(ctx(s), by, immunization.Dose{ID: o["dose"], Revision: 99}, why, immunization.Confirm{})
			return err
		}},
		{name: "immunization.Edit, told of", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.Edit(ctx(s), by, immunization.Dose{ID: o["told"], Revision: 99}, why, immunization.Confirm{})
			return err
		}},
		{name: "immunization.Delete, of the stock", perms: one(auth.RecordDoses), of: 5, stock: true, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.Delete(ctx(s), by, o["dose"], 99, why)
		}},
		{name: "immunization.Delete, told of", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.Delete(ctx(s), by, o["told"], 99, why)
		}},
		{name: "immunization.TellApart", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.TellApart(ctx(s), by, o["told"], 99, o["dose"], why)
		}},
		{name: "immunization.Trust, spoilt", perms: one(auth.RecordDoses), of: 5, stock: true, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.Trust(ctx(s), by, o["dose"], 99, "warm", why)
		}},
		{name: "immunization.Trust, counts", perms: one(auth.RecordDoses), not: []string{string(auth.Nurse), auth.ScopeRecords}, of: 5, stock: true, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.Trust(ctx(s), by, o["dose"], 99, "", why)
		}},
		{name: "immunization.History", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.History(ctx(s), by, o["dose"])
			return err
		}},
		{name: "immunization.AddFact", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.AddFact(ctx(s), by, immunization.Fact{Patient: o["patient"], Kind: "immunity", Code: o["immunity"], Basis: "titre"})
			return err
		}},
		{name: "immunization.AddExemption", perms: one(auth.RecordExemptions), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.AddExemption(ctx(s), by, immunization.Exemption{Patient: o["patient"], Kind: immunization.Medical, Groups: []string{"Polio"}, From: coldkeep.DateOf(time.Now()) - 1, Signer: "Dr. Lund", Source: "Form"})
			return err
		}},
		{name: "immunization.Exemptions", perms: one(auth.RecordExemptions), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.Exemptions(ctx(s), by, o["patient"])
			return err
		}},
		{name: "immunization.AddReaction", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.AddReaction(ctx(s), by, immunization.Reaction{Patient: o["patient"], Doses: []string{o["none"]}, Event: "Fever"})
			return err
		}},
		{name: "immunization.VAERS", perms: one(auth.ViewPatients), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.VAERS(ctx(s), by, o["reaction"])
			return err
		}},
		{name: "immunization.EndFact", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.EndFact(ctx(s), by, o["fact"], why)
		}},
		{name: "immunization.EndExemption", perms: one(auth.RecordExemptions), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.EndExemption(ctx(s), by, o["exemption"], why)
		}},
		{name: "immunization.EndReaction", perms: one(auth.RecordDoses), of: 5, call: func(s *services, by auth.Principal, o things) error {
			return s.doses.EndReaction(ctx(s), by, o["reaction"], why)
		}},
		{name: "immunization.GivenUnderHold", perms: one(auth.ViewPatients), of: 2, not: []string{auth.ScopeRecords}, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.doses.GivenUnderHold(ctx(s), by, o["hold"], o["held"])
			return err
		}},
		{name: "immunization.GivenFrom", perms: one(auth.ViewPatients), of: 2, not: []string{auth.ScopeRecords}, call: func(s *services, by auth.Principal, o things) error {
			all, err := s.doses.GivenFrom(ctx(s), by, o["lot"])
			for _, a := range all {
				if a.Locked && (a.Name.Family != "" || a.Dose.Patient != "" || a.Birth.Known()) {
					s.t.Errorf("of a locked record %s sees %+v", by.Name, a)
				}
			}
			return err
		}},
		{name: "immunization.Forecast", perms: one(auth.ViewPatients), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.doses.Forecast(by, []byte(`{}`), false)
			return err
		}},
		{name: "immunization.Sample", perms: one(auth.ManageProgramme), of: 1, call: func(s *services, by auth.Principal, _ things) error {
			_, err := s.doses.Sample(ctx(s), by, 1)
			return err
		}},
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
		// The last: an emergency opens locked records to who has called it.
		{name: "patient.BreakGlass", perms: one(auth.BreakGlass), of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.BreakGlass(ctx(s), by, o["patient"], why)
			return err
		}},
	}
}

// The services refuse by themselves, on both engines, what the page refuses: no handler is
// needed for it.
func TestPolicyOfServices(t *testing.T) {
	grants := grantsOf(t)
	databasetest.Each(t, func(t *testing.T, where string) {
		s := serviceOn(t, where)
		s.furnish()
		all, checks := principals(), 0
		for _, p := range all {
			for i, sit := range situations {
				if sit.found && p.Known() {
					s.find(p.ID, s.things[i]["patient"])
				}
			}
		}
		// Those about units first: the last of the others opens locked records.
		for _, m := range append(methodsOfUnits(), methods()...) {
			for name, by := range all {
				want := m.says(name, by, grants)
				for i := range m.of {
					o := s.things[i]
					if m.fresh {
						o = with(o, s.patientOf(i, false))
						if situations[i].found && by.Known() {
							s.find(by.ID, o["patient"])
						}
					}
					if m.name == "patient.BreakGlass" && want[i] == locked {
						want[i] = allowed // that is what it is for
					}
					before := s.entries(by.ID, o["patient"])
					err := m.call(s, by, o)
					checks++
					got := allowed
					switch code := coldkeep.ErrorCode(err); {
					case patient.IsLocked(err):
						got = locked
					case code == coldkeep.EFORBIDDEN, code == coldkeep.EUNAUTHORIZED, code == coldkeep.ENOTFOUND && m.of == 2:
						got = refused
					case code == coldkeep.EINTERNAL && err != io.EOF: //nolint:errorlint // Export's own
						t.Errorf("%s for %s: %v", m.name, name, err)
					}
					if m.of == 5 && by.Known() && (got == refused || got == locked) && !m.anyone && s.entries(by.ID, o["patient"]) == before {
						t.Errorf("%s for %s, %s: %s, and the trail does not say so", m.name, name, situations[i].name, got)
					}
					if got != want[i] {
						t.Errorf("%s for %s, %s: %s (%v), want %s", m.name, name, situations[i].name, got, err, want[i])
					}
				}
			}
		}
		t.Logf("%d methods, %d checks", len(methodsOfUnits())+len(methods()), checks)
	})
}

// entries counts those of the trail by somebody about a patient.
func (s *services) entries(who, id string) (n int) {
	s.t.Helper()
	s.must(s.db.QueryRowContext(s.t.Context(), "SELECT count(*) FROM audit WHERE who_id = $1 AND subject = $2", who, "patient/"+id).Scan(&n))
	return n
}
