package fhir_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/fhir"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// written is a resource as it goes over the wire, read back without its types.
func written(t *testing.T, resource any) (map[string]any, string) {
	t.Helper()
	b, err := json.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out, string(b)
}

func TestPatient(t *testing.T) {
	married := time.Date(2020, 5, 1, 0, 0, 0, 0, time.UTC)
	yes := true
	out, text := written(t, fhir.FromPatient(patient.Patient{
		ID: "01ABC", Birth: coldkeep.NewDate(1990, 2, 28), Sex: patient.Female, Multiple: &yes, BirthOrder: 2,
		Names: []patient.Name{{Family: "Novak", Given: "Eva", Middle: "Marie", Kind: patient.Legal}, {Family: "Kral", Given: "Eva", Kind: patient.Maiden, Span: patient.Span{Until: &married}}},
		Races: []string{"2106-3"}, Ethnicity: "2186-5", Language: "ces", Mother: "Svoboda",
		Addresses:   []patient.Address{{Street: "1 Lake St", City: "Peoria", State: "IL", ZIP: "61602", Kind: "H"}},
		Contacts:    []patient.Contact{{Kind: patient.Cell, Value: "3095550100"}, {Kind: patient.Email, Value: "eva@example.org"}},
		Identifiers: []patient.Identifier{{Kind: "MR", Assigner: "lakeside", Value: "77"}},
		Guardians:   []patient.Guardian{{Family: "Novak", Given: "Jan", Relation: "FTH"}},
	}))
	for _, want := range []string{
		`"resourceType":"Patient"`, `"birthDate":"1990-02-28"`, `"gender":"female"`, `"multipleBirthInteger":2`, `"given":["Eva","Marie"]`,
		`"use":"old","family":"Kral"`, `"period":{"end":"2020-05-01"}`, `"use":"mobile"`, `"system":"email"`, `"code":"2106-3"`, `"code":"FTH"`, `"postalCode":"61602"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if _, both := out["multipleBirthBoolean"]; both {
		t.Error("multipleBirth[x] has two values")
	}
}

// A service masks a field by leaving it out; then FHIR leaves it out.
func TestMaskedPatient(t *testing.T) {
	out, text := written(t, fhir.FromPatient(patient.Patient{ID: "01ABC", Birth: coldkeep.NewDate(2015, 1, 1), Sex: patient.Male,
		Names: []patient.Name{{Family: "Novak", Given: "Jan", Kind: patient.Legal}}}))
	for _, absent := range []string{"telecom", "address", "contact", "identifier", "extension", "deceasedBoolean", "link"} {
		if _, there := out[absent]; there {
			t.Errorf("%s is in %s", absent, text)
		}
	}
}

func TestMergedPatient(t *testing.T) {
	_, text := written(t, fhir.FromPatient(patient.Patient{ID: "01ABC", MergedInto: "01XYZ"}))
	if !strings.Contains(text, `"active":false`) || !strings.Contains(text, `"other":{"reference":"Patient/01XYZ"},"type":"replaced-by"`) {
		t.Error(text)
	}
}

func TestDoses(t *testing.T) {
	given := immunization.Dose{ID: "d1", Patient: "p1", Kind: immunization.Administered, Date: coldkeep.NewDate(2026, 3, 1), CVX: "107", MVX: "SKB", Lot: "X7",
		NDC: "58160-0810-11", Expires: coldkeep.NewDate(2027, 1, 31), BodySite: "LT", Route: "IM", Amount: "0.50", Site: "lakeside", Eligibility: "V02", Funding: "VXC51", GivenBy: "M. Bell, RN",
		VIS: []immunization.VIS{{Document: "DTaP", Edition: coldkeep.NewDate(2021, 8, 6), Given: coldkeep.NewDate(2026, 3, 1)}}}
	spoilt, mistaken, refused, told := given, given, given, given
	spoilt.NonViable = "01HOLD"
	mistaken.Deleted = &immunization.Deletion{Reason: "wrong child"}
	refused.Kind = immunization.Refused
	told.Site = ""
	told.Kind, told.Source, told.Elsewhere = immunization.Historical, "01", "Clinic in Gary"
	for _, c := range []struct {
		name string
		dose immunization.Dose
		want []string
	}{
		{"given", given, []string{`"status":"completed"`, `"primarySource":true`, `"value":0.50`, `"publicationDate":"2021-08-06"`, `"code":"V02"`, `"expirationDate":"2027-01-31"`,
			`"contained":[{"resourceType":"Location","id":"practice","identifier":[{"system":"urn:coldkeep:site","value":"lakeside"}],"name":"Lakeside Pediatrics"}]`,
			`"location":{"reference":"#practice","display":"Lakeside Pediatrics"}`, `"manufacturer":{"identifier":{"system":"http://hl7.org/fhir/sid/mvx","value":"SKB"}`}},
		{"spoilt", spoilt, []string{`"isSubpotent":true`, `"code":"coldchainbreak"`}},
		{"mistaken", mistaken, []string{`"status":"entered-in-error"`}},
		{"refused", refused, []string{`"status":"not-done"`, `"statusReason"`}},
		{"told", told, []string{`"primarySource":false`, `"reportOrigin"`, `"display":"Clinic in Gary"`}},
	} {
		_, text := written(t, fhir.FromDose(c.dose, "DTaP", map[bool]string{true: "Lakeside Pediatrics"}[c.dose.Site != ""]))
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s is not in %s", c.name, want, text)
			}
		}
	}
}

func TestRecommendation(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	_, text := written(t, fhir.FromForecast("p1", at, []fhir.Group{
		{Name: "DTaP/Tdap/Td", Series: "standard", Status: forecast.NotComplete, Number: 3, Earliest: coldkeep.NewDate(2026, 1, 1), PastDue: coldkeep.NewDate(2026, 2, 1), CVX: []string{"107"}},
		{Name: "Polio", Status: forecast.NotComplete, Recommended: coldkeep.NewDate(2026, 5, 1)},
		{Name: "HepA", Status: forecast.Immune},
	}))
	for _, want := range []string{`"code":"overdue"`, `"code":"due"`, `"code":"immune"`, `"doseNumberPositiveInt":3`, `"30981-5"`, `"value":"2026-05-01"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestFailure(t *testing.T) {
	for code, want := range map[string]string{coldkeep.EFORBIDDEN: "forbidden", coldkeep.EINTERNAL: "exception"} {
		if got := fhir.Failure(coldkeep.Errorf(code, "no")).Issue[0].Code; got != want {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
}
