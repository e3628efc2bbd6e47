package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// search posts a form.
func (c *client) search(path string, form url.Values) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		c.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// fhir checks a resource: its status, its type and texts in it.
func (a answer) fhir(t testing.TB, status int, kind string, texts ...string) {
	t.Helper()
	var v struct{ ResourceType string }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != status || v.ResourceType != kind || !strings.HasPrefix(a.header.Get("Content-Type"), "application/fhir+json") {
		t.Fatalf("%d %s %s, want %d %s", a.status, a.header.Get("Content-Type"), a.body, status, kind)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%q is not in %s", text, a.body)
		}
	}
}

func (a answer) without(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%q is in %s", text, a.body)
		}
	}
}

func TestFHIR(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		const failure = "OperationOutcome"
		byName := url.Values{"family": {"Brandt"}, "given": {"Mila"}, "birthdate": {"2019-04-02"}}

		// Who is nobody, or may nothing, is told so as FHIR tells it.
		c.token = ""
		c.get("/fhir/metadata").fhir(t, 200, "CapabilityStatement", `"fhirVersion":"4.0.1"`)
		for _, path := range []string{"/fhir/Patient", "/fhir/Patient/x", "/fhir/Immunization", "/fhir/Immunization/x", "/fhir/ImmunizationRecommendation/x"} {
			c.get(path).fhir(t, 401, failure, `"code":"login"`)
		}
		for _, kind := range []string{"Patient", "Immunization", "ImmunizationRecommendation"} {
			c.search("/fhir/"+kind+"/_search", byName).fhir(t, 401, failure)
		}
		c.get("/fhir/Observation/x").fhir(t, 404, failure)
		c.do(http.MethodDelete, "/fhir/Patient/x", "", nil).fhir(t, 405, failure)

		c.token = recordsToken
		id := c.post("/api/v1/patients", milaJSON).id(t)
		on := coldkeep.NewDate(2020, 5, 4)
		dose := c.post("/api/v1/patients/"+id+"/doses", `{"kind":"historical","date":"`+on.String()+`","cvx":"03","source":"01"}`).id(t)
		again := c.post("/api/v1/patients/"+id+"/doses", `{"kind":"historical","date":"`+(on+400).String()+`","cvx":"03","source":"01"}`).id(t)
		c.post("/api/v1/doses/"+again+"/delete", `{"revision":1,"why":"Another child"}`).ok(t, again)

		c.search("/fhir/Patient/_search", byName).fhir(t, 200, "Bundle", `"total":1`, `"id":"`+id+`"`, `"family":"Brandt"`)
		c.search("/fhir/Patient/_search", url.Values{"identifier": {"MA^IL|8812345"}}).fhir(t, 200, "Bundle", `"total":1`)
		c.search("/fhir/Patient/_search", url.Values{"identifier:of-type": {identifierKinds + "MA^IL|8812345"}}).fhir(t, 200, "Bundle", `"total":1`)
		c.get("/fhir/Patient/"+id).fhir(t, 200, "Patient", `"birthDate":"2019-04-02"`, `"value":"3125550142"`)
		c.get("/fhir/Immunization/"+dose).fhir(t, 200, "Immunization", `"status":"completed"`, `"reference":"Patient/`+id+`"`)
		c.get("/fhir/Immunization/"+again).fhir(t, 200, "Immunization", `"status":"entered-in-error"`)
		all := c.search("/fhir/Immunization/_search", url.Values{"patient": {"Patient/" + id}})
		all.fhir(t, 200, "Bundle", `"total":1`, dose)
		all.without(t, again)
		c.get("/fhir/ImmunizationRecommendation/"+id).fhir(t, 200, "ImmunizationRecommendation", `"text":"MMR"`)
		c.search("/fhir/ImmunizationRecommendation/_search", url.Values{"patient": {id}}).fhir(t, 200, "Bundle", `"total":1`, `"series":"standard"`)

		// To the dead nothing is recommended.
		c.post("/api/v1/patients/"+id+"/deceased", `{"deceased":true,"why":"told by the family"}`).ok(t, "")
		c.get("/fhir/ImmunizationRecommendation/"+id).fhir(t, 404, failure)
		c.search("/fhir/ImmunizationRecommendation/_search", url.Values{"patient": {id}}).fhir(t, 200, "Bundle", `"total":0`)
		c.post("/api/v1/patients/"+id+"/deceased", `{"deceased":false,"why":"another child"}`).ok(t, "")

		// Nothing of a patient in an address, and nothing passed over in silence.
		for _, path := range []string{"/fhir/Patient?family=Brandt", "/fhir/Patient/_search?family=Brandt", "/fhir/Immunization?patient=" + id} {
			c.get(path).fhir(t, 400, failure, "patient data is never part of an address", "_search")
		}
		c.search("/fhir/Patient/_search?family=Brandt", byName).fhir(t, 400, failure, "never into the address")
		for name, form := range map[string]url.Values{
			"not a parameter":    {"family": {"Brandt"}, "given": {"Mila"}, "birthdate": {"2019-04-02"}, "address": {"Chicago"}},
			"whole date":         {"family": {"Brandt"}, "given": {"Mila"}, "birthdate": {"ge2019"}},
			"more than once":     {"family": {"Brandt", "Brand"}},
			"birth date is miss": {"family": {"Brandt"}},
			"Wildcards":          {"family": {"Bra*"}, "given": {"Mila"}, "birthdate": {"2019-04-02"}},
		} {
			a := c.search("/fhir/Patient/_search", form)
			a.fhir(t, 400, failure, name)
			a.without(t, "Chicago", "Mila")
		}
		c.search("/fhir/Immunization/_search", url.Values{}).fhir(t, 400, failure, "patient: is needed")
		c.get("/fhir/Patient/nobody").fhir(t, 404, failure)
		c.get("/fhir/Immunization/none").fhir(t, 404, failure)

		// A school sees who the child is, and nothing else of the record.
		c.person(auth.School, "oakschool")
		c.get("/fhir/Patient/"+id).fhir(t, 403, failure)
		c.search("/fhir/Patient/_search", byName).fhir(t, 200, "Bundle", id)
		seen := c.get("/fhir/Patient/" + id)
		seen.fhir(t, 200, "Patient", `"family":"Brandt"`, `"birthDate":"2019-04-02"`)
		seen.without(t, "telecom", "contact", "identifier", "address", "Okafor", "Nora")
		c.get("/fhir/Immunization/"+dose).fhir(t, 403, failure)
		c.search("/fhir/Immunization/_search", url.Values{"patient": {id}}).fhir(t, 403, failure)
		c.get("/fhir/ImmunizationRecommendation/"+id).fhir(t, 403, failure)

		// A locked record: others learn that it is locked, and no name.
		c.person(auth.PracticeManager, "lakeside")
		c.search("/fhir/Patient/_search", byName).fhir(t, 200, "Bundle", id)
		c.post("/api/v1/patients/"+id+"/lock", `{"signer":"Nora Brandt","relation":"MTH","signed":"2026-01-05"}`).ok(t, `"locked":true`)
		c.person(auth.Nurse, "northgate")
		found := c.search("/fhir/Patient/_search", byName)
		found.fhir(t, 200, "Bundle", `"total":0`, "is locked")
		found.without(t, "Brandt", "Mila", "2019")
		for _, path := range []string{"/fhir/Patient/" + id, "/fhir/Immunization/" + dose, "/fhir/ImmunizationRecommendation/" + id} {
			a := c.get(path)
			a.fhir(t, 403, failure, `"code":"forbidden"`)
			a.without(t, "Brandt", "Mila", "2019")
		}
		c.search("/fhir/Immunization/_search", url.Values{"patient": {id}}).fhir(t, 403, failure)

		// Every view, and every refused one, is in the trail.
		c.person(auth.Auditor, "")
		trail := c.get("/api/v1/audit/patients/" + id)
		for _, what := range []string{"patient.view", "patient.view.refused", "doses.view", "doses.refused", "patient.found"} {
			if !strings.Contains(trail.body, `"`+what+`"`) {
				t.Errorf("%s is not in the trail: %s", what, trail.body)
			}
		}
	})
}
