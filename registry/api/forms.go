package api

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// formRoutes are printed forms, the school rule and Vaccine Information Statements.
func (s *server) formRoutes(v1 *gin.RouterGroup) {
	v1.GET("/patients/:id/school-status", s.get(s.schoolStatus)) // view-subset, or view-patients
	v1.GET("/patients/:id/forms/certificate.pdf", s.certificate) // view-subset, or view-patients
	v1.GET("/patients/:id/forms/history.pdf", s.history)         // view-patients
	v1.GET("/patients/:id/statements", s.get(s.handedOver))      // view-patients
	v1.GET("/vis", s.get(s.statements))                          // search-patients, or manage-programme
	v1.GET("/vis/report", s.get(s.statementReport))              // read-quality
}

func (s *server) schoolStatus(c *gin.Context) (any, error) {
	return s.Forms.SchoolStatus(c.Request.Context(), principal(c), c.Param("id"), c.Query("grade"))
}

func (s *server) certificate(c *gin.Context) {
	b, err := s.Forms.CertificatePDF(c.Request.Context(), principal(c), c.Param("id"), c.Query("grade"))
	s.pdf(c, b, err)
}

func (s *server) history(c *gin.Context) {
	b, err := s.Forms.HistoryPDF(c.Request.Context(), principal(c), c.Param("id"))
	s.pdf(c, b, err)
}

func (s *server) pdf(c *gin.Context, b []byte, err error) {
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Data(http.StatusOK, "application/pdf", b)
}

// statementJSON is an edition of a Vaccine Information Statement.
type statementJSON struct {
	Code      string        `json:"code"`
	Name      string        `json:"name"`
	Edition   coldkeep.Date `json:"edition"`
	Current   bool          `json:"current"`
	Several   bool          `json:"stands_for_several,omitempty"`
	CVX       []string      `json:"cvx"`
	Languages []string      `json:"languages"`
	Address   string        `json:"address,omitempty"`
}

// statements lists the editions; ?current=true and ?cvx= narrow them.
func (s *server) statements(c *gin.Context) (any, error) {
	all, err := s.VIS.List(c.Request.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	out := []statementJSON{}
	for _, st := range all {
		if c.Query("current") == "true" && !st.Current || c.Query("cvx") != "" && !slices.Contains(st.CVX, c.Query("cvx")) {
			continue
		}
		j := statementJSON{Code: st.Code, Name: st.Name, Edition: st.Edition, Current: st.Current, Several: st.Several, CVX: append([]string{}, st.CVX...), Languages: []string{}, Address: st.Address}
		for _, t := range st.Texts {
			j.Languages = append(j.Languages, t.Language)
		}
		out = append(out, j)
	}
	return out, nil
}

// handedJSON is a statement that was handed over with a dose.
type handedJSON struct {
	Dose     string        `json:"dose"`
	CVX      string        `json:"cvx"`
	Document string        `json:"document"`
	Name     string        `json:"name"`
	Edition  coldkeep.Date `json:"edition"`
	Given    coldkeep.Date `json:"given"`
	Language string        `json:"language,omitempty"`
	Newer    coldkeep.Date `json:"outdated_by,omitzero"` // the edition that was to be handed over instead
}

func (s *server) handedOver(c *gin.Context) (any, error) {
	handed, without, err := s.VIS.HandedOver(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := struct {
		Handed  []handedJSON `json:"handed_over"`
		Without []string     `json:"doses_without_statement"`
	}{[]handedJSON{}, []string{}}
	for _, h := range handed {
		j := handedJSON{Dose: h.Dose.ID, CVX: h.Dose.CVX, Document: h.Document, Name: h.Name, Edition: h.Edition, Given: h.Given, Language: h.Language}
		if h.Newer != nil {
			j.Newer = h.Newer.Edition
		}
		out.Handed = append(out.Handed, j)
	}
	for _, d := range without {
		out.Without = append(out.Without, d.ID)
	}
	return out, nil
}

// reportLineJSON is the doses of a vaccine in the report about statements.
type reportLineJSON struct {
	CVX      string `json:"cvx,omitempty"`
	Name     string `json:"vaccine,omitempty"`
	Doses    int    `json:"doses"`
	Without  int    `json:"without_statement"`
	Part     int    `json:"part_of_a_combination"`
	Outdated int    `json:"outdated_edition"`
	After    int    `json:"after_the_dose"`
}

func lineOut(l vis.Line) reportLineJSON {
	return reportLineJSON{l.CVX, l.Name, l.Doses, l.Without, l.Part, l.Outdated, l.After}
}

func (s *server) statementReport(c *gin.Context) (any, error) {
	var from, to coldkeep.Date
	for name, d := range map[string]*coldkeep.Date{"from": &from, "to": &to} {
		if err := d.UnmarshalText([]byte(c.Query(name))); err != nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a day such as 2026-03-02", name)
		}
	}
	r, err := s.VIS.Report(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")), from, to)
	if err != nil {
		return nil, err
	}
	out := struct {
		Site  coldkeep.SiteID  `json:"site"`
		From  coldkeep.Date    `json:"from"`
		To    coldkeep.Date    `json:"to"`
		Total reportLineJSON   `json:"total"`
		Lines []reportLineJSON `json:"vaccines"`
	}{r.Site, r.From, r.To, lineOut(r.Total), []reportLineJSON{}}
	for _, l := range r.Lines {
		out.Lines = append(out.Lines, lineOut(l))
	}
	return out, nil
}
