package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// waiting is a dose of a child of Lakeside's that was not taken off its stock.
func (c *client) waiting(lot string) (child, dose string) {
	c.t.Helper()
	ctx, now, seq := c.t.Context(), time.Now().UTC().Truncate(time.Millisecond), patient.Span{Seq: 1}
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now) - 800, Sex: patient.Female, Revision: 1, CreatedBy: "lakeside", CreatedAt: now, UpdatedAt: now,
		Names:    []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: seq}},
		Statuses: []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: now, By: "Test", Span: seq}}}
	p.Head = p.ID
	d := immunization.Dose{ID: ulid.Make().String(), Patient: p.ID, Kind: immunization.Administered, Date: coldkeep.DateOf(now) - 3, CVX: "03", Lot: lot, Site: "lakeside", Eligibility: "V02", EnteredBy: "EHR", EnteredSite: "lakeside", EnteredAt: now, Revision: 1}
	if err := c.store.Exchange().Tx(ctx, func(tx exchange.Tx) error {
		if err := tx.InsertPatient(ctx, p); err != nil {
			return err
		}
		if err := tx.InsertDose(ctx, d); err != nil {
			return err
		}
		return tx.PutUndeducted(ctx, exchange.Undeducted{Dose: d.ID, Patient: p.ID, Site: "lakeside", Account: "none", Message: ulid.Make().String(), At: now, Code: exchange.UnknownLot, Reason: "The lot (RXA-15) is not in this site's stock."})
	}); err != nil {
		c.t.Fatal(err)
	}
	return p.ID, d.ID
}

func TestNotDeductedByAPI(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		const path = "/api/v1/exchange/not-deducted"
		c := serve(t, where)
		c.person(auth.Nurse, "lakeside")
		c.do(http.MethodGet, path, "", nil).ok(t, `{"total":0,"doses":[]}`)
		child, dose := c.waiting("Q0")
		_, fits := c.waiting("L1")
		locked, third := c.waiting("Q1")
		var list struct {
			Total int
			Doses []struct {
				Dose, Site, Given, CVX, Lot, Patient, Code, Reason string
				Locked                                             bool
				Name                                               struct{ Family, Given string }
			}
		}
		got := c.do(http.MethodGet, path+"?limit=2", "", nil)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK || list.Total != 3 || len(list.Doses) != 2 {
			t.Fatalf("%d %s, %v", got.status, got.body, err)
		}
		if d := list.Doses[0]; d.Dose == dose && (d.Patient != child || d.Name.Family != "Okafor" || d.Lot != "Q0" || d.CVX != "03" || d.Given == "" || d.Code != "unknown-lot" || !strings.Contains(d.Reason, "RXA-15")) {
			t.Errorf("%+v", d)
		}
		c.do(http.MethodGet, path+"?skip=3", "", nil).ok(t, `{"total":3,"doses":[]}`)
		c.do(http.MethodGet, path+"?limit=201", "", nil).problem(t, 400, coldkeep.EINVALID, "limit")
		c.do(http.MethodGet, path+"?site=northgate", "", nil).problem(t, 403, coldkeep.EFORBIDDEN, "")

		c.post(path+"/"+dose+"/deduct", `{}`).ok(t, `"deducted":false,"reason":"The lot (RXA-15) is not in this site's stock."`)
		for range 2 {
			c.post(path+"/"+fits+"/deduct", `{}`).ok(t, `{"dose":"`+fits+`","deducted":true}`)
		}
		c.post(path+"/"+dose+"/settle", `{"why":"no"}`).problem(t, 400, coldkeep.EINVALID, "Reason")
		for range 2 {
			c.post(path+"/"+dose+"/settle", `{"why":"counted off on Monday"}`).ok(t, `{"id":"`+dose+`"}`)
		}
		c.post(path+"/"+dose+"/deduct", `{}`).problem(t, 409, coldkeep.ECONFLICT, "has dealt with it")
		c.post(path+"/01ARZ3NDEKTSV4RRFFQ69G5FAV/deduct", `{}`).problem(t, 404, coldkeep.ENOTFOUND, "")

		// Of a record that another site locks nothing is left to see.
		if err := c.store.Patients().Tx(t.Context(), func(tx patient.Tx) error {
			return tx.InsertLock(t.Context(), patient.LockRecord{ID: ulid.Make().String(), Patient: locked, Lock: patient.Lock{Site: "northgate", By: "Test", At: time.Now(), Form: "signed"}})
		}); err != nil {
			t.Fatal(err)
		}
		got = c.do(http.MethodGet, path, "", nil)
		got.ok(t, `"locked":true`)
		for _, not := range []string{"Okafor", third, locked, "Q1", "cvx", "given", "RXA", "unknown-lot"} {
			if strings.Contains(got.body, not) {
				t.Errorf("%s in %s", not, got.body)
			}
		}
		c.post(path+"/"+third+"/deduct", `{}`).problem(t, 403, coldkeep.EFORBIDDEN, "locked")
		c.person(auth.ViewOnly, "lakeside")
		c.do(http.MethodGet, path, "", nil).problem(t, 403, coldkeep.EFORBIDDEN, "")
	})
}
