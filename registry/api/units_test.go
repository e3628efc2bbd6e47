package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// What a programme's tool may do to units, and what of it the collector mirrors.
func TestUnits(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = unitsToken
		c.post("/api/v1/excursions", goodExcursion).problem(t, 403, coldkeep.EFORBIDDEN, "tool")
		c.post("/api/v1/assignments", strings.NewReplacer(`"p"`, `"air"`, "vaccine", "air").Replace(goodAssignment)).ok(t, `{"done":true}`)
		c.post("/api/v1/assignments", strings.NewReplacer(`"p"`, `"air"`, "vaccine", "wall").Replace(goodAssignment)).problem(t, 400, coldkeep.EINVALID, "Role: ")
		c.post("/api/v1/assignments/end", strings.Replace(goodAssignment, `"p"`, `"none"`, 1)).problem(t, 404, coldkeep.ENOTFOUND, "")
		c.post("/api/v1/calibrations", goodCalibration).ok(t, `{"done":true}`)
		c.post("/api/v1/calibrations", strings.Replace(goodCalibration, `"offset_c":-0.12`, `"table":[[0,-0.12],[5,-0.09]]`, 1)).ok(t, `{"done":true}`)
		c.post("/api/v1/calibrations", strings.Replace(goodCalibration, `"offset_c":-0.12,`, ``, 1)).problem(t, 400, coldkeep.EINVALID, "Offset: ")
		c.post("/api/v1/calibrations", strings.Replace(goodCalibration, `2030-03-01`, `March`, 1)).problem(t, 400, coldkeep.EINVALID, "Expires: ")
		c.do(http.MethodGet, "/api/v1/calibrations?site=lakeside", "", nil).ok(t, `"table":[[0,-0.12],[5,-0.09]],"certificate":"K 17","expires":"2030-03-01","by":"tool"`)
		var made struct{ ID string }
		a := c.post("/api/v1/appliances/fridge/contexts", `{"kind":"defrost","from":"2026-03-01T12:00:00Z","note":"planned"}`)
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.ID == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		c.post("/api/v1/contexts/"+made.ID+"/end", `{"to":"2026-03-01T13:00:00Z"}`).ok(t, "true")
		c.post("/api/v1/contexts/"+made.ID+"/end", `{"to":"2026-03-01T14:00:00Z"}`).problem(t, 409, coldkeep.ECONFLICT, "")
		c.do(http.MethodGet, "/api/v1/appliances/fridge/contexts", "", nil).ok(t, `"kind":"defrost","from":"2026-03-01T12:00:00Z","to":"2026-03-01T13:00:00Z","note":"planned","by":"tool"`)
		c.post("/api/v1/appliances/fridge/contexts", `{"kind":"out-of-service"}`).problem(t, 400, coldkeep.EINVALID, "out of service")
		c.post("/api/v1/appliances/fridge/service", `{"in_service":false}`).problem(t, 409, coldkeep.ECONFLICT, "1 lot stands")
		c.post("/api/v1/appliances/fridge/service", `{}`).problem(t, 400, coldkeep.EINVALID, "in_service: ")
		c.post("/api/v1/appliances/fridge/limits", `{"low":"3C","high":"7C"}`).ok(t, "true")
		c.post("/api/v1/appliances/fridge/limits", `{"low":"3C"}`).problem(t, 400, coldkeep.EINVALID, "both")
		c.post("/api/v1/appliances/fridge/limits", `{"low":"cold","high":"7C"}`).problem(t, 400, coldkeep.EINVALID, "low: ")
		c.post("/api/v1/appliances/fridge/limits", `{"low":"0C","high":"10C","reason":"x"}`).problem(t, 403, coldkeep.EFORBIDDEN, "less strict")
		c.post("/api/v1/appliances/fridge/profile", `{"profile":"nothing","reason":"x"}`).problem(t, 400, coldkeep.EINVALID, "not known")
		c.token = token
		m := c.do(http.MethodGet, "/api/v1/mirror", "", nil)
		for _, want := range []string{`"limits":{"low":"3C","high":"7C"}`, `"probe":"air","appliance":"fridge","role":"air"`, `"probe":"p","appliance":"fridge","role":"vaccine"`,
			`"contexts":[{"id":"` + made.ID + `"`, `"calibrations":[{"site":"lakeside","agent":"pi-1","probe":"p","offset_c":0,"table":[[0,-0.12],[5,-0.09]]`} {
			m.ok(t, want)
		}
	})
}

// What is known of an excursion comes out of the tables as it went in.
func TestExcursionIsKeptWhole(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		body := strings.Replace(goodExcursion, `"state":"open"`, `"state":"open","role":"vaccine","degree_minutes":12.5,"mkt_c":9.1,
			"witnesses":[{"probe":"lakeside/pi-1/p","role":"vaccine","out":true,"extreme_c":18.2},{"probe":"lakeside/pi-1/q","role":"air"}],"contexts":["door-open","power-lost"]`, 1)
		c.post("/api/v1/excursions", body).ok(t, `{"id":"x","revision":1}`)
		c.post("/api/v1/excursions", body+" ").ok(t, `{"id":"x","revision":1}`) // the same again, by another key
		c.post("/api/v1/excursions", strings.Replace(body, "9.1", "9.2", 1)).problem(t, 409, coldkeep.ECONFLICT, "other content")
		x, err := c.store.Excursion(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if want := `"degree_minutes":12.5,"mkt_c":9.1,"witnesses":[{"probe":"lakeside/pi-1/p","role":"vaccine","out":true,"extreme_c":18.2},{"probe":"lakeside/pi-1/q","role":"air","out":false,"extreme_c":null}],"contexts":["door-open","power-lost"]}`; !strings.HasSuffix(string(b), want) {
			t.Errorf("got  %s\nwant %s", b, want)
		}
		// Nothing is held for a silence.
		c.post("/api/v1/excursions", goodSilence).ok(t, `"id":"s"`)
		c.post("/api/v1/holds", strings.NewReplacer(`"h"`, `"i"`, `"x"`, `"s"`).Replace(goodHold)).problem(t, 400, coldkeep.EINVALID, "no-data")
		c.post("/api/v1/holds", goodHold).ok(t, `"hold":"h"`)
		c.post("/api/v1/holds", strings.Replace(goodHold, `"x"`, `"unknown"`, 1)).problem(t, 409, coldkeep.ECONFLICT, `"unknown"`)
	})
}
