package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// stockRoutes tell where the doses of a lot went.
func (s *server) stockRoutes(v1 *gin.RouterGroup) {
	v1.GET("/lots/:id/journal", s.get(s.journal))                 // view
	v1.GET("/lots/:id/doses", s.get(s.dosesFromLot))              // view-patients
	v1.GET("/holds/:id/lots/:lot/doses", s.get(s.dosesUnderHold)) // view-patients
}

type stockEntryJSON struct {
	ID     string              `json:"id"`
	At     time.Time           `json:"at"`
	Kind   inventory.StockKind `json:"kind"`
	Doses  int                 `json:"doses"`   // added; less than nothing was taken
	OnHand int                 `json:"on_hand"` // afterwards
	Dose   string              `json:"dose,omitempty"`
	By     string              `json:"by"`
	Why    string              `json:"why,omitempty"`
}

func (s *server) journal(c *gin.Context) (any, error) {
	all, err := s.Inventory.Journal(c.Request.Context(), principal(c), c.Param("id"))
	out := make([]stockEntryJSON, len(all))
	for i, e := range all {
		out[i] = stockEntryJSON{e.ID, e.At, e.Kind, e.Doses, e.OnHand, e.Dose, e.By, e.Why}
	}
	return out, err
}

// affectedJSON is a dose with who got it. Of a record that is locked to the caller, only
// the dose is told.
type affectedJSON struct {
	Dose    string        `json:"dose"`
	Date    coldkeep.Date `json:"date"`
	CVX     string        `json:"cvx"`
	Lot     string        `json:"lot"`
	Locked  bool          `json:"locked,omitempty"`
	Patient string        `json:"patient,omitempty"`
	Name    *nameJSON     `json:"name,omitempty"`
	Birth   coldkeep.Date `json:"birth,omitzero"`
	Spoilt  string        `json:"non_viable,omitempty"`
}

func affected(all []immunization.Affected) []affectedJSON {
	out := make([]affectedJSON, len(all))
	for i := range all {
		a := &all[i]
		out[i] = affectedJSON{Dose: a.ID, Date: a.Date, CVX: a.CVX, Lot: a.Lot, Locked: a.Locked, Spoilt: a.NonViable}
		if !a.Locked {
			out[i].Patient, out[i].Birth = a.Dose.Patient, a.Birth
			out[i].Name = &nameJSON{Family: a.Name.Family, Given: a.Name.Given, Middle: a.Name.Middle, Suffix: a.Name.Suffix}
		}
	}
	return out
}

func (s *server) dosesFromLot(c *gin.Context) (any, error) {
	all, err := s.Immunizations.GivenFrom(c.Request.Context(), principal(c), c.Param("id"))
	return affected(all), err
}

func (s *server) dosesUnderHold(c *gin.Context) (any, error) {
	all, err := s.Immunizations.GivenUnderHold(c.Request.Context(), principal(c), c.Param("id"), c.Param("lot"))
	return affected(all), err
}
