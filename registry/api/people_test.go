package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
)

func (a answer) id(t testing.TB) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return v.ID
}

func (c *client) get(path string) answer { return c.do(http.MethodGet, path, "", nil) }

// A reaction is recorded, reported and taken back; nobody else's practice hears of it.
func TestReactionsOverHTTP(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = recordsToken
		at := "/api/v1/patients/" + c.child()
		c.do(http.MethodPost, "/api/v1/patients/search", "", []byte(`{"family":"Okafor","given":"Ada","birth":"`+(coldkeep.DateOf(time.Now())-400).String()+`"}`)).ok(t, `"Okafor"`)
		dose := c.post(at+"/doses", `{"kind":"historical","date":"`+(coldkeep.DateOf(time.Now())-20).String()+`","cvx":"03","source":"01"}`).id(t)
		c.post(at+"/reactions", `{"doses":["`+dose+`"]}`).problem(t, 400, coldkeep.EINVALID, "What happened")
		c.post(at+"/reactions", `{"doses":["x"],"event":"rash"}`).problem(t, 400, coldkeep.EINVALID, "Doses")
		id := c.post(at+"/reactions", `{"doses":["`+dose+`"],"event":"rash on the arm","results":["office-visit"]}`).id(t)
		c.get(at+"/reactions").ok(t, `"event":"rash on the arm"`)
		c.get("/api/v1/reactions/"+id+"/vaers").ok(t, `"missing":["5 when it began"]`)
		c.token = unitsToken
		c.get(at+"/reactions").problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.get("/api/v1/reactions/"+id+"/vaers").problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.post("/api/v1/reactions/"+id+"/end", `{"why":"x"}`).problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.person(auth.Nurse, "northgate")
		c.get("/api/v1/reactions/"+id+"/vaers").problem(t, 403, coldkeep.EFORBIDDEN, "")
		c.token = recordsToken
		c.post("/api/v1/reactions/"+id+"/end", `{"why":"It was another child."}`).ok(t, id)
		c.get(at+"/reactions").ok(t, `"ended":"It was another child."`)
	})
}

func TestDosesOfALotOverHTTP(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	lots, err := c.stock.Stock(t.Context(), auth.System("Test"))
	if err != nil || len(lots.Lots) != 1 {
		t.Fatal(lots, err)
	}
	lot := lots.Lots[0].ID
	c.person(auth.Nurse, "lakeside")
	c.get("/api/v1/lots/"+lot+"/journal").ok(t, `"on_hand":10`)
	c.get("/api/v1/lots/"+lot+"/doses").ok(t, `[]`)
	c.get("/api/v1/holds/none/lots/"+lot+"/doses").problem(t, 404, coldkeep.ENOTFOUND, "")
	c.person(auth.Nurse, "northgate")
	c.get("/api/v1/lots/"+lot+"/journal").problem(t, 404, coldkeep.ENOTFOUND, "")
	c.get("/api/v1/lots/"+lot+"/doses").problem(t, 404, coldkeep.ENOTFOUND, "")
	c.person(auth.VFCCoordinator, "")
	c.get("/api/v1/lots/"+lot+"/journal").ok(t, `"kind"`)
	c.get("/api/v1/lots/"+lot+"/doses").problem(t, 403, coldkeep.EFORBIDDEN, "")
}

func TestSchedulesOverHTTP(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.person(auth.StateAdmin, "")
	c.get("/api/v1/schedules").ok(t, `"active":true`)
	c.post("/api/v1/schedules", "no archive").problem(t, 400, coldkeep.EINVALID, "")
	c.post("/api/v1/schedules?released=soon", "no archive").problem(t, 400, coldkeep.EINVALID, "released")
	c.post("/api/v1/schedules/compare", `{"release":""}`).ok(t, `"changed":0`)
	c.post("/api/v1/schedules/activate", `{"release":"none","why":"because"}`).problem(t, 404, coldkeep.ENOTFOUND, "")
	c.post("/api/v1/schedules/activate", `{"release":"","why":"back to it"}`).ok(t, `"active":""`)
	c.person(auth.PracticeManager, "lakeside")
	c.get("/api/v1/schedules").problem(t, 403, coldkeep.EFORBIDDEN, "")
	c.post("/api/v1/schedules/compare", `{"release":""}`).problem(t, 403, coldkeep.EFORBIDDEN, "")
	c.post("/api/v1/schedules/activate", `{"release":"","why":"mine"}`).problem(t, 403, coldkeep.EFORBIDDEN, "")
}

func TestImportsOverHTTP(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.person(auth.PracticeManager, "lakeside")
	const file = "family_name,given_name,birth_date,sex\nOkafor,Ada,2025-01-15,F\nNowak,Zofia,2024-02-30,F\n"
	id := c.post("/api/v1/imports", file).id(t)
	if again := c.post("/api/v1/imports", file).id(t); again != id {
		t.Errorf("the same file again is %s, not %s", again, id)
	}
	c.post("/api/v1/imports", "nothing").problem(t, 400, coldkeep.EINVALID, "")
	work := func() {
		for more := true; more; {
			var err error
			if more, err = c.imports.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	work()
	a := c.get("/api/v1/imports/" + id)
	a.ok(t, `"verdicts":{"new":1,"refused":1}`)
	if !strings.Contains(a.body, `"line":3`) || strings.Contains(a.body, "Nowak") {
		t.Error(a.body)
	}
	c.person(auth.PracticeManager, "northgate")
	c.get("/api/v1/imports/"+id).problem(t, 404, coldkeep.ENOTFOUND, "")
	c.post("/api/v1/imports/"+id+"/take", "{}").problem(t, 404, coldkeep.ENOTFOUND, "")
	c.person(auth.Nurse, "lakeside")
	c.get("/api/v1/imports").problem(t, 403, coldkeep.EFORBIDDEN, "")
	c.person(auth.PracticeManager, "lakeside")
	c.post("/api/v1/imports/"+id+"/take", "{}").ok(t, id)
	work()
	c.get("/api/v1/imports").ok(t, `"state":"done"`)
}

func TestOversightOverHTTP(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.token = recordsToken
	id := c.post("/api/v1/patients", milaJSON).id(t)
	c.person(auth.PracticeManager, "lakeside")
	c.post("/api/v1/patients/search", `{"family":"brandt","given":"mila","birth":"2019-04-02"}`).ok(t, id)
	c.post("/api/v1/patients/"+id+"/lock", `{"signer":"Nora Brandt","relation":"MTH","signed":"2026-01-05"}`).ok(t, `"locked":true`)
	c.person(auth.PracticeManager, "northgate")
	c.post("/api/v1/patients/search", `{"family":"brandt","given":"mila","birth":"2019-04-02"}`).ok(t, `"locked":true`)
	c.post("/api/v1/patients/"+id+"/emergency", `{"why":"unconscious in the emergency room"}`).ok(t, id)
	c.get("/api/v1/emergencies").problem(t, 403, coldkeep.EFORBIDDEN, "")
	c.person(auth.Auditor, "")
	open := c.get("/api/v1/emergencies")
	open.ok(t, "unconscious")
	if strings.Contains(open.body, id) {
		t.Error("it names the patient")
	}
	var all []emergencyJSON
	if err := json.Unmarshal([]byte(open.body), &all); err != nil || len(all) != 1 {
		t.Fatal(open.body, err)
	}
	c.post("/api/v1/emergencies/"+all[0].ID+"/review", `{"review":"The chart agrees."}`).ok(t, all[0].ID)
	c.post("/api/v1/emergencies/"+all[0].ID+"/review", `{"review":"Once more."}`).problem(t, 409, coldkeep.ECONFLICT, "")
	c.get("/api/v1/emergencies").ok(t, `[]`)
	c.get("/api/v1/emergencies?reviewed=true").ok(t, "The chart agrees.")

	c.get("/api/v1/deidentified/people.csv").problem(t, 403, coldkeep.EFORBIDDEN, "")
	c.person(auth.StateEpi, "")
	csv := c.get("/api/v1/deidentified/people.csv")
	if csv.status != 200 || csv.header.Get("Content-Type") != "text/csv; charset=utf-8" || strings.Count(csv.body, "\n") != 1 || !strings.Contains(csv.body, "age_days") {
		t.Errorf("%d %s: a locked record is in it, or no heading", csv.status, csv.body)
	}
}
