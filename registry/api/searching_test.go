package api

import (
	"net/http"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// Who tries names one after the other is told to wait; others go on.
func TestSearchesAreBounded(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.token = recordsToken
	for i := range 100 {
		a := c.do(http.MethodPost, "/api/v1/patients/search", "", []byte(`{"family":"brandt","given":"mila","birth":"2019-04-02"}`))
		if a.status == http.StatusOK {
			continue
		}
		a.problem(t, http.StatusTooManyRequests, coldkeep.ETOOMANY, "wait")
		if i < 30 || a.header.Get("Retry-After") == "" {
			t.Errorf("stopped after %d, Retry-After %q", i, a.header.Get("Retry-After"))
		}
		c.do(http.MethodPost, "/api/v1/patients/search", "", []byte(`{"family":"brandt"}`)).problem(t, http.StatusTooManyRequests, coldkeep.ETOOMANY, "")
		c.token = unitsToken
		c.do(http.MethodPost, "/api/v1/patients/search", "", []byte(`{"family":"brandt","given":"mila","birth":"2019-04-02"}`)).problem(t, http.StatusForbidden, coldkeep.EFORBIDDEN, "")
		return
	}
	t.Error("a hundred searches in a row")
}
