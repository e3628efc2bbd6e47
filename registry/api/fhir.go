package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/fhir"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// fhirRoutes are the records as FHIR R4 resources, by the same services and permissions as
// the rest. Errors are OperationOutcomes.
func (s *server) fhirRoutes(e *gin.Engine) {
	e.GET("/fhir/metadata", s.fhirMetadata) // anybody: it says how one asks
	in := e.Group("/fhir", s.signedIn)
	for _, kind := range []string{"Patient", "Immunization", "ImmunizationRecommendation"} {
		in.GET("/"+kind, s.noSearchByAddress)
	}
	in.GET("/Patient/:id", s.fhirRead(s.fhirPatient))                                   // view-patients, or view-subset
	in.POST("/Patient/_search", s.searching, s.fhirSearch(s.fhirPatients))              // search-patients
	in.GET("/Immunization/:id", s.fhirRead(s.fhirImmunization))                         // view-patients
	in.POST("/Immunization/_search", s.fhirSearch(s.fhirImmunizations))                 // view-patients
	in.GET("/ImmunizationRecommendation/:id", s.fhirRead(s.fhirRecommendation))         // view-patients
	in.POST("/ImmunizationRecommendation/_search", s.fhirSearch(s.fhirRecommendations)) // view-patients
}

// resource renders as FHIR's media type.
type resource struct{ v any }

// Render implements render.Render.
func (r resource) Render(w http.ResponseWriter) error {
	r.WriteContentType(w)
	return json.NewEncoder(w).Encode(r.v)
}

// WriteContentType implements render.Render.
func (resource) WriteContentType(w http.ResponseWriter) {
	w.Header().Set("Content-Type", fhir.MediaType)
}

func (s *server) fhirMetadata(c *gin.Context) {
	c.Render(http.StatusOK, resource{fhir.Capabilities()})
}

// noSearchByAddress refuses what FHIR allows: addresses are kept in logs, histories and
// proxies, and names and birth dates must not be.
func (s *server) noSearchByAddress(c *gin.Context) {
	s.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "searches by GET are refused, since patient data is never part of an address: POST the parameters as a form to %s/_search", strings.TrimSuffix(c.FullPath(), "/:id")))
}

func (s *server) fhirRead(call func(*gin.Context, string) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Param("id") == "_search" {
			s.noSearchByAddress(c)
			return
		}
		v, err := call(c, c.Param("id"))
		s.fhirAnswer(c, v, err)
	}
}

func (s *server) fhirAnswer(c *gin.Context, v any, err error) {
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Render(http.StatusOK, resource{v})
}

// maxForm bounds the parameters of a search.
const maxForm = 16 << 10

// fhirSearch reads the parameters of a search from the form in the body; one in the
// address is refused, and so is one that the search does not know.
func (s *server) fhirSearch(call func(*gin.Context, map[string]string) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		form, err := s.fhirForm(c)
		if err != nil {
			s.problem(c, err)
			return
		}
		v, err := call(c, form)
		s.fhirAnswer(c, v, err)
	}
}

func (s *server) fhirForm(c *gin.Context) (map[string]string, error) {
	if q := c.Request.URL.Query(); len(q) > 1 || len(q) == 1 && !q.Has("_format") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "parameters of a search go into the body, never into the address")
	}
	if media, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Content-Type: want application/x-www-form-urlencoded")
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			c.Set(overKey, true)
		}
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "api.fhirForm", "body: is no form, or too large")
	}
	out := map[string]string{}
	for name, values := range c.Request.PostForm {
		if len(values) != 1 {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "%.40q: is given more than once", name)
		}
		if name != "_format" {
			out[name] = values[0]
		}
	}
	return out, nil
}

// only refuses parameters that a search does not know: passed over, they would make it
// another search.
func only(form map[string]string, names ...string) error {
	for name := range form {
		if !slices.Contains(names, name) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%.40q: is not a parameter of this search; want %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func (s *server) fhirPatient(c *gin.Context, id string) (any, error) {
	r, err := s.Patients.Open(c.Request.Context(), principal(c), id, "")
	if err != nil {
		return nil, err
	}
	return fhir.FromPatient(r.Patient), nil
}

// identifierKinds is HL7's name of table 0203, in which identifier:of-type is asked.
const identifierKinds = "http://terminology.hl7.org/CodeSystem/v2-0203|"

// fhirQuery is the need-to-know search that the parameters mean. An identifier is
// NUMBER, KIND|NUMBER or KIND^ASSIGNER|NUMBER, as HL7 v2 writes whose number it is.
func fhirQuery(form map[string]string) (patient.Query, error) {
	q := patient.Query{Family: form["family"], Given: form["given"]}
	if err := only(form, "family", "given", "birthdate", "identifier", "identifier:of-type"); err != nil {
		return q, err
	}
	if v := form["birthdate"]; v != "" {
		var err error
		if q.Birth, err = coldkeep.ParseDate(strings.TrimPrefix(v, "eq")); err != nil {
			return q, coldkeep.Errorf(coldkeep.EINVALID, "birthdate: want a whole date such as 2025-01-15, without a range")
		}
	}
	token := form["identifier"]
	if of := form["identifier:of-type"]; of != "" {
		if !strings.HasPrefix(of, identifierKinds) {
			return q, coldkeep.Errorf(coldkeep.EINVALID, "identifier:of-type: want %sKIND|NUMBER", identifierKinds)
		}
		token = strings.TrimPrefix(of, identifierKinds)
	}
	if kind, value, ok := strings.Cut(token, "|"); ok {
		q.IDKind, q.IDAssigner, _ = strings.Cut(kind, "^")
		q.IDValue = value
	} else {
		q.IDValue = token
	}
	return q, nil
}

func (s *server) fhirPatients(c *gin.Context, form map[string]string) (any, error) {
	q, err := fhirQuery(form)
	if err != nil {
		return nil, err
	}
	found, err := s.Patients.Search(c.Request.Context(), principal(c), q)
	if err != nil {
		return nil, err
	}
	var people []fhir.Patient
	var locked []string
	for _, h := range found.Hits {
		if h.Locked {
			locked = append(locked, h.ID)
			continue
		}
		p := patient.Patient{ID: h.ID, Names: []patient.Name{h.Name}, Birth: h.Birth, Sex: h.Sex, Deceased: h.Deceased}
		if h.City != "" {
			p.Addresses = []patient.Address{{City: h.City}}
		}
		people = append(people, fhir.FromPatient(p))
	}
	b := fhir.SearchSet(people)
	for _, id := range locked {
		b.Tell("warning", "suppressed", "Patient/"+id+" is locked: the patient has opted out, and the record opens to the practice that locked it and the state alone")
	}
	if found.Similar {
		b.Tell("information", "informational", "nobody fits exactly; these are close")
	}
	return b, nil
}

func (s *server) fromDose(d *immunization.Dose, practice string) fhir.Immunization {
	return fhir.FromDose(*d, s.Immunizations.Codes().Name(d.CVX), practice)
}

func (s *server) fhirImmunization(c *gin.Context, id string) (any, error) {
	d, practice, err := s.Immunizations.Look(c.Request.Context(), principal(c), id)
	if err != nil {
		return nil, err
	}
	return s.fromDose(&d, practice), nil
}

// fhirView is the immunizations of the patient that a form names.
func (s *server) fhirView(c *gin.Context, form map[string]string) (*immunization.View, error) {
	if err := only(form, "patient"); err != nil {
		return nil, err
	}
	id := strings.TrimPrefix(form["patient"], "Patient/")
	if id == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "patient: is needed, such as Patient/ID")
	}
	return s.Immunizations.View(c.Request.Context(), principal(c), id)
}

// fhirImmunizations leaves out what was entered by mistake and what a better record tells
// of, so that who counts the answer counts doses. Both can be read by id.
func (s *server) fhirImmunizations(c *gin.Context, form map[string]string) (any, error) {
	v, err := s.fhirView(c, form)
	if err != nil {
		return nil, err
	}
	var out []fhir.Immunization
	for i := range v.Doses {
		d := v.Doses[i]
		if d.Deleted != nil || d.DuplicateOf != "" {
			continue
		}
		d.Patient = v.Patient
		out = append(out, s.fromDose(&d, v.Practices[d.Site]))
	}
	return fhir.SearchSet(out), nil
}

func (s *server) recommendation(v *immunization.View) fhir.ImmunizationRecommendation {
	groups := make([]fhir.Group, 0, len(v.Due))
	for i := range v.Due {
		f := &v.Due[i].Forecast
		g := fhir.Group{Name: f.Group, Series: "standard", Status: f.Status, Number: f.Number, Earliest: f.Earliest, Recommended: f.Recommended, PastDue: f.PastDue, Latest: f.Latest, CVX: f.CVX}
		if f.Risk {
			g.Series = "risk"
		}
		if f.Reason != 0 {
			g.Reason = f.Reason.String()
		}
		groups = append(groups, g)
	}
	return fhir.FromForecast(v.Patient, s.Clock.Now(), groups)
}

func (s *server) fhirRecommendation(c *gin.Context, id string) (any, error) {
	v, err := s.Immunizations.View(c.Request.Context(), principal(c), id)
	if err != nil {
		return nil, err
	}
	if len(v.Due) == 0 { // FHIR has no resource of no recommendation
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "Nothing is recommended: the patient has died.")
	}
	return s.recommendation(v), nil
}

func (s *server) fhirRecommendations(c *gin.Context, form map[string]string) (any, error) {
	v, err := s.fhirView(c, form)
	if err != nil {
		return nil, err
	}
	if len(v.Due) == 0 {
		return fhir.SearchSet([]fhir.ImmunizationRecommendation{}), nil
	}
	return fhir.SearchSet([]fhir.ImmunizationRecommendation{s.recommendation(v)}), nil
}
