package registry_test

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// recordMethods are those of what a record holds: who somebody is, doses and what goes with them.
func recordMethods() []method {
	subset := []auth.Permission{auth.ViewPatients, auth.ViewSubset}
	one := func(p auth.Permission) []auth.Permission { return []auth.Permission{p} }
	ctx := func(s *services) context.Context { return s.t.Context() }
	future := coldkeep.NewDate(2999, 1, 1)
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
	}
}
