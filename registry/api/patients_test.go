package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

const (
	recordsToken = "token-of-an-ehr-with-records"
	milaJSON     = `{"names":[{"family":"Brandt","given":"Mila","middle":"Rose"}],"birth":"2019-04-02","sex":"F","mothers_maiden_name":"Okafor",
	"contacts":[{"kind":"cell","value":"312 555 0142"}],"identifiers":[{"kind":"MA","assigner":"IL","value":"8812345"}],
	"guardians":[{"relation":"MTH","family":"Brandt","given":"Nora","contacts":[{"kind":"phone","value":"312 555 0143"}]}]}`
)

// A program enters a person, finds the record, changes it, and meets a lock.
func TestPatients(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = recordsToken
		post := func(path, key, body string) answer { return c.do(http.MethodPost, path, key, []byte(body)) }
		var added addedJSON
		a := post("/api/v1/patients", "a", milaJSON)
		a.ok(t, `"outcome":"new"`)
		if err := json.Unmarshal([]byte(a.body), &added); err != nil {
			t.Fatal(err)
		}
		post("/api/v1/patients", "b", milaJSON).ok(t, `{"id":"`+added.ID+`","outcome":"match"`)
		search := `{"family":"brandt","given":"mil","birth":"2019-04-02"}`
		found := post("/api/v1/patients/search", "", search)
		found.ok(t, `"name":{"family":"Brandt","given":"Mila","middle":"Rose"}`)
		post("/api/v1/patients/search", "", `{"family":"bra*","given":"mi","birth":"2019-04-02"}`).problem(t, 400, coldkeep.EINVALID, "Wildcards")
		post("/api/v1/patients/search", "", `{"family":"brandt"}`).problem(t, 400, coldkeep.EINVALID, "birth date is missing")
		post("/api/v1/patients", "c", strings.Replace(milaJSON, "2019-04-02", "2090-04-02", 1)).problem(t, 400, coldkeep.EINVALID, "Birth date")

		read := c.do(http.MethodGet, "/api/v1/patients/"+added.ID, "", nil)
		read.ok(t, `"mothers_maiden_name":"Okafor"`)
		var p patientJSON
		if err := json.Unmarshal([]byte(read.body), &p); err != nil {
			t.Fatal(err)
		}
		p.Language, p.Why = "spa", "asked at the visit"
		changed, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		post("/api/v1/patients/"+added.ID, "d", string(changed)).ok(t, `"revision":2`)
		post("/api/v1/patients/"+added.ID, "e", string(changed)).problem(t, 409, coldkeep.ECONFLICT, "")
		// An EHR neither locks nor merges.
		form := `{"signer":"Nora Brandt","relation":"MTH","signed":"2026-01-05"}`
		post("/api/v1/patients/"+added.ID+"/lock", "f", form).problem(t, 403, coldkeep.EFORBIDDEN, "")
		post("/api/v1/patients/"+added.ID+"/merge", "g", `{"into":"x","why":"the same"}`).problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.do(http.MethodGet, "/api/v1/duplicates", "", nil).problem(t, 403, coldkeep.EFORBIDDEN, "")
	})
}
