package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// doseRoutes are patients' immunizations. Each names the permission that its service asks
// for; the record has to open to the caller as well.
func (s *server) doseRoutes(v1 *gin.RouterGroup) {
	v1.POST("/forecast", s.forecast)                                                 // view-patients; nothing is read or kept
	v1.GET("/patients/:id/forecast", s.patientForecast)                              // view-patients
	v1.GET("/patients/:id/immunization-status", s.immunizationStatus)                // view-subset, or view-patients
	v1.GET("/patients/:id/doses", s.patientDoses)                                    // view-patients
	v1.POST("/patients/:id/doses", s.postShowing(64<<10, s.recordDose, s.doseAgain)) // record-doses
	v1.POST("/doses/:id", s.postShowing(64<<10, s.editDose, s.doseAgain))            // record-doses
	v1.POST("/doses/:id/delete", s.post(64<<10, s.deleteDose))                       // record-doses
	v1.POST("/patients/:id/facts", s.post(64<<10, s.addFact))                        // record-doses
	v1.POST("/facts/:id/end", s.post(64<<10, s.endFact))                             // record-doses
	v1.POST("/patients/:id/exemptions", s.post(64<<10, s.addExemption))              // record-exemptions
	v1.POST("/exemptions/:id/end", s.post(64<<10, s.endExemption))                   // record-exemptions
}

// maxForecast bounds a patient who is asked about; no history comes near it.
const maxForecast = 256 << 10

// forecast answers one patient in the form of the forecast command, and keeps nothing.
func (s *server) forecast(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxForecast))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			s.tooLarge(c, maxForecast)
			return
		}
		s.problem(c, coldkeep.Wrap(err, coldkeep.EINVALID, "api.forecast", "body: could not be read"))
		return
	}
	answer, err := s.Immunizations.Forecast(principal(c), body, c.Query("explain") == "true")
	s.answered(c, answer, err)
}

// patientForecast is the forecast of somebody in the registry, in the same form.
func (s *server) patientForecast(c *gin.Context) {
	answer, err := s.Immunizations.ForecastOf(c.Request.Context(), principal(c), c.Param("id"), c.Query("explain") == "true")
	s.answered(c, answer, err)
}

func (s *server) answered(c *gin.Context, answer []byte, err error) {
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", answer)
}

func (s *server) immunizationStatus(c *gin.Context) {
	list, err := s.Immunizations.School(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, list)
}

// doseJSON is a dose as the API gives and takes it.
type doseJSON struct {
	ID          string          `json:"id,omitempty"`
	Kind        string          `json:"kind"`
	Date        coldkeep.Date   `json:"date"`
	DayUnknown  bool            `json:"day_unknown,omitempty"` // of a historical dose: only the month of date is known
	CVX         string          `json:"cvx"`
	MVX         string          `json:"mvx,omitempty"`
	NDC         string          `json:"ndc,omitempty"`
	Lot         string          `json:"lot,omitempty"`
	Expires     coldkeep.Date   `json:"lot_expiry,omitzero"`
	Stock       string          `json:"stock,omitempty"` // the stock line it is drawn from
	BodySite    string          `json:"body_site,omitempty"`
	Route       string          `json:"route,omitempty"`
	Amount      string          `json:"amount_ml,omitempty"`
	Eligibility string          `json:"eligibility,omitempty"`
	Funding     string          `json:"funding,omitempty"`
	VIS         []visJSON       `json:"vis,omitempty"`
	GivenBy     string          `json:"given_by,omitempty"`
	OrderedBy   string          `json:"ordered_by,omitempty"`
	Site        coldkeep.SiteID `json:"site,omitempty"`
	Source      string          `json:"source,omitempty"`
	Elsewhere   string          `json:"given_elsewhere_by,omitempty"`
	Refusal     string          `json:"refusal,omitempty"`
	Note        string          `json:"note,omitempty"`
	NonViable   string          `json:"non_viable,omitempty"`
	DuplicateOf string          `json:"duplicate_of,omitempty"`
	Deleted     string          `json:"deleted,omitempty"` // the reason
	EnteredAt   *time.Time      `json:"entered_at,omitempty"`
	Revision    int64           `json:"revision,omitempty"`
	// Confirm and Why answer warnings, and Why says why a dose is corrected or deleted.
	Confirm bool   `json:"confirm,omitempty"`
	Why     string `json:"why,omitempty"`
}

type visJSON struct {
	Document string        `json:"document"`
	Edition  coldkeep.Date `json:"edition"`
	Given    coldkeep.Date `json:"given"`
	Language string        `json:"language,omitempty"`
}

func doseOut(d *immunization.Dose) doseJSON {
	out := doseJSON{ID: d.ID, Kind: string(d.Kind), Date: d.Date, DayUnknown: d.DayUnknown, CVX: d.CVX, MVX: d.MVX, NDC: d.NDC, Lot: d.Lot, Expires: d.Expires, Stock: d.StockID, BodySite: d.BodySite, Route: d.Route,
		Amount: d.Amount, Eligibility: d.Eligibility, Funding: d.Funding, GivenBy: d.GivenBy, OrderedBy: d.OrderedBy, Site: d.Site, Source: d.Source, Elsewhere: d.Elsewhere, Refusal: d.Refusal,
		Note: d.Note, NonViable: d.NonViable, DuplicateOf: d.DuplicateOf, EnteredAt: &d.EnteredAt, Revision: d.Revision}
	for _, v := range d.VIS {
		out.VIS = append(out.VIS, visJSON(v))
	}
	if d.Deleted != nil {
		out.Deleted = d.Deleted.Reason
	}
	return out
}

func (j *doseJSON) dose() immunization.Dose {
	d := immunization.Dose{ID: j.ID, Kind: immunization.DoseKind(j.Kind), Date: j.Date, DayUnknown: j.DayUnknown, CVX: j.CVX, MVX: j.MVX, NDC: j.NDC, Lot: j.Lot, Expires: j.Expires, StockID: j.Stock, BodySite: j.BodySite,
		Route: j.Route, Amount: j.Amount, Eligibility: j.Eligibility, Funding: j.Funding, GivenBy: j.GivenBy, OrderedBy: j.OrderedBy, Site: j.Site, Source: j.Source, Elsewhere: j.Elsewhere,
		Refusal: j.Refusal, Note: j.Note, Revision: j.Revision}
	for _, v := range j.VIS {
		d.VIS = append(d.VIS, immunization.VIS(v))
	}
	return d
}

func (s *server) patientDoses(c *gin.Context) {
	v, err := s.Immunizations.View(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.problem(c, err)
		return
	}
	out := make([]doseJSON, len(v.Doses))
	for i := range v.Doses {
		out[i] = doseOut(&v.Doses[i])
	}
	c.JSON(http.StatusOK, out)
}

// doseAgain says whether a dose that was answered with before may still be shown: the record
// may have been locked since. It is a view.
func (s *server) doseAgain(c *gin.Context, kept []byte) error {
	var d struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(kept, &d); err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "api.doseAgain", "a kept answer")
	}
	_, _, err := s.Immunizations.Look(c.Request.Context(), principal(c), d.ID)
	return err
}

func (s *server) recordDose(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[doseJSON](body)
	if err != nil {
		return nil, err
	}
	d := in.dose()
	d.Patient = c.Param("id")
	d, err = s.Immunizations.Record(c.Request.Context(), principal(c), d, immunization.Confirm{Yes: in.Confirm, Why: in.Why, Form: "api " + c.GetHeader("Idempotency-Key")})
	return doseOut(&d), err
}

func (s *server) editDose(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[doseJSON](body)
	if err != nil {
		return nil, err
	}
	d := in.dose()
	d.ID = c.Param("id")
	d, err = s.Immunizations.Edit(c.Request.Context(), principal(c), d, in.Why, immunization.Confirm{Yes: in.Confirm, Why: in.Why})
	return doseOut(&d), err
}

// reasoned is a correction that needs nothing but a reason.
type reasoned struct {
	Revision int64  `json:"revision"`
	Why      string `json:"why"`
}

type did struct {
	ID string `json:"id"`
}

func (s *server) deleteDose(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[reasoned](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Immunizations.Delete(c.Request.Context(), principal(c), c.Param("id"), in.Revision, in.Why)
}

type factJSON struct {
	Kind  string        `json:"kind"`
	Code  string        `json:"code"`
	Title string        `json:"title"`
	From  coldkeep.Date `json:"from"`
	Until coldkeep.Date `json:"until"`
	Basis string        `json:"basis"`
}

func (s *server) addFact(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[factJSON](body)
	if err != nil {
		return nil, err
	}
	f, err := s.Immunizations.AddFact(c.Request.Context(), principal(c), immunization.Fact{Patient: c.Param("id"), Kind: immunization.FactKind(in.Kind), Code: in.Code, Title: in.Title,
		From: in.From, Until: in.Until, Basis: in.Basis})
	return did{f.ID}, err
}

func (s *server) endFact(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[reasoned](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Immunizations.EndFact(c.Request.Context(), principal(c), c.Param("id"), in.Why)
}

type exemptionJSON struct {
	Kind   string        `json:"kind"`
	Groups []string      `json:"vaccine_groups"`
	From   coldkeep.Date `json:"from"`
	Until  coldkeep.Date `json:"until"`
	Signer string        `json:"signer"`
	Source string        `json:"source"`
}

func (s *server) addExemption(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[exemptionJSON](body)
	if err != nil {
		return nil, err
	}
	e, err := s.Immunizations.AddExemption(c.Request.Context(), principal(c), immunization.Exemption{Patient: c.Param("id"), Kind: immunization.ExemptionKind(in.Kind), Groups: in.Groups,
		From: in.From, Until: in.Until, Signer: in.Signer, Source: in.Source})
	return did{e.ID}, err
}

func (s *server) endExemption(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[reasoned](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Immunizations.EndExemption(c.Request.Context(), principal(c), c.Param("id"), in.Why)
}
