package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// reactionRoutes are adverse events after doses.
func (s *server) reactionRoutes(v1 *gin.RouterGroup) {
	v1.GET("/patients/:id/reactions", s.get(s.reactions))             // view-patients
	v1.POST("/patients/:id/reactions", s.post(64<<10, s.addReaction)) // record-doses
	v1.GET("/reactions/:id/vaers", s.get(s.vaers))                    // view-patients
	v1.POST("/reactions/:id/end", s.post(16<<10, s.endReaction))      // record-doses
}

// reactionJSON is an adverse event, with the items of VAERS form 2.0 that people answer.
type reactionJSON struct {
	ID        string          `json:"id,omitempty"`
	Doses     []string        `json:"doses"`
	Onset     *time.Time      `json:"onset,omitempty"`
	Pregnant  string          `json:"pregnant,omitempty"`
	Medicines string          `json:"medicines,omitempty"`
	Allergies string          `json:"allergies,omitempty"`
	Illnesses string          `json:"illnesses,omitempty"`
	Chronic   string          `json:"chronic_conditions,omitempty"`
	Reporter  string          `json:"reporter,omitempty"`
	Relation  string          `json:"reporter_is,omitempty"`
	Doctor    string          `json:"professional,omitempty"`
	Facility  string          `json:"facility,omitempty"`
	Event     string          `json:"event"`
	Tests     string          `json:"tests,omitempty"`
	Recovered string          `json:"recovered,omitempty"`
	Results   []string        `json:"results,omitempty"`
	By        string          `json:"by,omitempty"`
	Site      coldkeep.SiteID `json:"site,omitempty"`
	At        *time.Time      `json:"at,omitempty"`
	Ended     string          `json:"ended,omitempty"` // why it was taken back
}

func reactionOut(r *immunization.Reaction) reactionJSON {
	out := reactionJSON{ID: r.ID, Doses: r.Doses, Onset: r.Onset, Pregnant: r.Pregnant, Medicines: r.Medicines, Allergies: r.Allergies, Illnesses: r.Illnesses, Chronic: r.Chronic, Reporter: r.Reporter,
		Relation: r.Relation, Doctor: r.Doctor, Facility: r.Facility, Event: r.Event, Tests: r.Tests, Recovered: r.Recovered, Results: r.Results, By: r.By, Site: r.Site, At: &r.At}
	if r.Ended != nil {
		out.Ended = r.Ended.Reason
	}
	return out
}

func (s *server) reactions(c *gin.Context) (any, error) {
	v, err := s.Immunizations.View(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := make([]reactionJSON, len(v.Reactions))
	for i := range v.Reactions {
		out[i] = reactionOut(&v.Reactions[i])
	}
	return out, nil
}

func (s *server) addReaction(c *gin.Context, body []byte) (any, error) {
	j, err := decodeOne[reactionJSON](body)
	if err != nil {
		return nil, err
	}
	r, err := s.Immunizations.AddReaction(c.Request.Context(), principal(c), immunization.Reaction{Patient: c.Param("id"), Doses: j.Doses, Onset: j.Onset, Pregnant: j.Pregnant, Medicines: j.Medicines,
		Allergies: j.Allergies, Illnesses: j.Illnesses, Chronic: j.Chronic, Reporter: j.Reporter, Relation: j.Relation, Doctor: j.Doctor, Facility: j.Facility, Event: j.Event, Tests: j.Tests,
		Recovered: j.Recovered, Results: j.Results})
	return did{r.ID}, err
}

func (s *server) endReaction(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[whyJSON](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Immunizations.EndReaction(c.Request.Context(), principal(c), c.Param("id"), v.Why)
}

// vaersJSON is a report by the items of VAERS form 2.0.
type vaersJSON struct {
	reactionJSON
	Born     coldkeep.Date      `json:"birth"`
	Sex      string             `json:"sex"`
	Given    coldkeep.Date      `json:"vaccinated"`
	Years    int                `json:"age_years"`
	Months   int                `json:"age_months"`
	Today    coldkeep.Date      `json:"completed"`
	Vaccines []vaersVaccineJSON `json:"vaccines"`
	Missing  []string           `json:"missing"` // essential items that the record does not have
}

type vaersVaccineJSON struct {
	Dose     string `json:"dose"`
	CVX      string `json:"cvx"`
	Name     string `json:"name"`
	Brand    string `json:"brand,omitempty"`
	Maker    string `json:"manufacturer,omitempty"`
	Lot      string `json:"lot,omitempty"`
	Route    string `json:"route,omitempty"`
	BodySite string `json:"body_site,omitempty"`
	Number   int    `json:"dose_number,omitempty"`
}

func (s *server) vaers(c *gin.Context) (any, error) {
	r, err := s.Immunizations.VAERS(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := vaersJSON{reactionJSON: reactionOut(&r.Reaction), Born: r.Born, Sex: r.Sex, Given: r.Given, Years: r.Years, Months: r.Months, Today: r.Today,
		Vaccines: []vaersVaccineJSON{}, Missing: append([]string{}, r.Missing...)}
	for _, v := range r.Vaccines {
		out.Vaccines = append(out.Vaccines, vaersVaccineJSON{v.ID, v.CVX, v.Name, v.Brand, v.Maker, v.Lot, v.Route, v.BodySite, v.Number})
	}
	return out, nil
}
