package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// child adds a child of thirteen months.
func (c *client) child() string {
	c.t.Helper()
	now := time.Now()
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now) - 400, Sex: patient.Female, Revision: 1, CreatedAt: now, UpdatedAt: now,
		Names: []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	if err := c.store.Patients().Tx(c.t.Context(), func(tx patient.Tx) error { return tx.InsertPatient(c.t.Context(), p) }); err != nil {
		c.t.Fatal(err)
	}
	return p.ID
}

func TestDosesOverHTTP(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = recordsToken
		at := "/api/v1/patients/" + c.child()
		on := (coldkeep.DateOf(time.Now()) - 20).String()
		post := func(key, path, body string) answer { return c.do(http.MethodPost, path, key, []byte(body)) }
		// Knowing an id opens nothing: a program, too, searches.
		post("0", at+"/doses", `{"kind":"historical","date":"2999-01-01","cvx":"03"}`).problem(t, 403, coldkeep.EFORBIDDEN, "Search for the patient first")
		c.do(http.MethodGet, at, "", nil).problem(t, 403, coldkeep.EFORBIDDEN, "Search for the patient first")
		c.do(http.MethodPost, "/api/v1/patients/search", "", []byte(`{"family":"Okafor","given":"Ada","birth":"`+(coldkeep.DateOf(time.Now())-400).String()+`"}`)).ok(t, at[len("/api/v1/patients/"):])
		post("1", at+"/doses", `{"kind":"historical","date":"2999-01-01","cvx":"03"}`).problem(t, 400, coldkeep.EINVALID, "Date: ")
		post("2", at+"/doses", `{"kind":"historical","date":"`+on+`","cvx":"03","vis":[{"document":"x","edition":"nothing"}]}`).problem(t, 400, coldkeep.EINVALID, "vis[0].edition")
		a := post("3", at+"/doses", `{"kind":"historical","date":"`+on+`","cvx":"03","source":"02","given_elsewhere_by":"Dr. Lund"}`)
		a.ok(t, `"cvx":"03"`)
		var d struct{ ID string }
		if err := json.Unmarshal([]byte(a.body), &d); err != nil {
			t.Fatal(err)
		}
		post("3", at+"/doses", `{"kind":"historical","date":"`+on+`","cvx":"03","source":"02","given_elsewhere_by":"Dr. Lund"}`).ok(t, d.ID)
		c.do(http.MethodGet, at+"/doses", "", nil).ok(t, d.ID)
		c.do(http.MethodGet, at+"/forecast", "", nil).ok(t, `"status":"Valid"`)
		c.do(http.MethodGet, at+"/forecast?explain=true", "", nil).ok(t, `"decisions"`)
		c.do(http.MethodGet, at+"/immunization-status", "", nil).ok(t, `"vaccine_group":"MMR","status":"up to date"`)
		post("4", "/api/v1/doses/"+d.ID, `{"date":"`+on+`","cvx":"94","source":"02","revision":1,"why":"It was MMRV"}`).ok(t, `"cvx":"94"`)
		post("5", "/api/v1/doses/"+d.ID, `{"date":"`+on+`","cvx":"94","source":"02","revision":1,"why":"late"}`).problem(t, 409, coldkeep.ECONFLICT, "Somebody has changed")
		post("6", "/api/v1/doses/"+d.ID+"/delete", `{"revision":2,"why":"Another child"}`).ok(t, d.ID)
		post("7", at+"/facts", `{"kind":"contraindication","code":"99999"}`).problem(t, 400, coldkeep.EINVALID, "What: ")
		post("8", at+"/exemptions", `{"kind":"medical","from":"`+on+`","signer":"Dr. Lund","source":"Form"}`).problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.do(http.MethodGet, "/api/v1/patients/nobody/doses", "", nil).problem(t, 404, coldkeep.ENOTFOUND, "")
		// Without a record: the same answer as the command's.
		r := c.do(http.MethodPost, "/api/v1/forecast", "", []byte(`{"id":"x","dob":"2025-09-06","gender":"F","assessment_date":"2025-11-10","doses":[]}`))
		r.ok(t, `"vaccine_group":"DTaP/Tdap/Td"`)
		c.do(http.MethodPost, "/api/v1/forecast", "", []byte(`{"dob":"nothing"}`)).problem(t, 400, coldkeep.EINVALID, "dob")
		c.token = unitsToken
		c.do(http.MethodGet, at+"/doses", "", nil).problem(t, 403, coldkeep.EFORBIDDEN, "")
	})
}
