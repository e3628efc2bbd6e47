package web

import (
	"net/http"
	"testing"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// Searches for patients, by whichever way, and of the trail are bounded for each person.
func TestSearchesAreBounded(t *testing.T) {
	s := serve(t)
	s.furnish()
	_, err := s.auth.AddPerson(t.Context(), system, auth.NewPerson{Name: "Fay", Username: "desk", Password: password, Role: auth.FrontDesk, Site: "lakeside"})
	s.must(err)
	_, err = s.auth.AddPerson(t.Context(), system, auth.NewPerson{Name: "Ora", Username: "auditor", Password: password, Role: auth.Auditor})
	s.must(err)
	desk, auditor := s.as("desk"), s.as(string(auth.Auditor))
	bounded := func(ask func() int) {
		t.Helper()
		for i := range 200 {
			if ask() == http.StatusTooManyRequests {
				if i < 20 {
					t.Errorf("stopped after %d", i)
				}
				return
			}
		}
		t.Error("two hundred searches in a row")
	}
	bounded(func() int { return desk.post("/patients/search", searched("Brandt", "Mila", "2019-04-02")).status })
	bounded(func() int { return auditor.get("/audit/entries").status })
}
