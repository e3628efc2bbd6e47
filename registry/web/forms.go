package web

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/schoolrule"
)

// formRoutes are printed forms. Each names the permission that its service asks for; every
// print is in the record's trail.
func (s *server) formRoutes(in *gin.RouterGroup) {
	in.GET("/forms", s.blankForms)                                     // search-patients
	in.GET("/forms/opt-out.pdf", s.blank(forms.OptOut))                // search-patients
	in.GET("/forms/new-patient.pdf", s.blank(forms.NewPatient))        // search-patients
	in.GET("/forms/certificate.pdf", s.blank(forms.Certificate))       // search-patients
	in.GET("/patients/:id/forms", s.patientForms)                      // view-patients, or view-subset
	in.GET("/patients/:id/forms/certificate", s.certificate)           // view-patients, or view-subset
	in.GET("/patients/:id/forms/certificate.pdf", s.certificatePDF)    // view-patients, or view-subset
	in.GET("/patients/:id/forms/history", s.history)                   // view-patients
	in.GET("/patients/:id/forms/history.pdf", s.historyPDF)            // view-patients
	in.GET("/patients/:id/forms/visit.pdf", s.visitPDF)                // view-patients
	in.GET("/patients/:id/forms/opt-out.pdf", s.optOutPDF)             // view-patients
	in.GET("/patients/:id/forms/new-patient.pdf", s.newPatientPDF)     // view-patients
	in.GET("/patients/:id/reactions/:reaction/report.pdf", s.vaersPDF) // view-patients
}

// verifyRoutes are for anybody who holds a print.
func (s *server) verifyRoutes(e *gin.Engine) {
	e.GET("/verify", s.verifyForm)
	e.POST("/verify", s.atMost(maxPrint+(64<<10)), s.fromAddress, s.verify)
}

// maxPrint bounds a PDF that is compared; a print of ours has some hundred kilobytes.
const maxPrint = 4 << 20

func (s *server) blankForms(c *gin.Context) {
	if _, err := s.Forms.Blank(principal(c), forms.OptOut); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "blankforms", &page{Title: "Blank forms", Nav: "forms"})
}

func (s *server) blank(form forms.Form) gin.HandlerFunc {
	return func(c *gin.Context) {
		b, err := s.Forms.Blank(principal(c), form)
		s.pdf(c, string(form), b, err)
	}
}

// pdf answers with a form. Its name tells nothing of whom it is about.
func (s *server) pdf(c *gin.Context, name string, b []byte, err error) {
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `inline; filename="`+name+`.pdf"`)
	c.Data(http.StatusOK, "application/pdf", b)
}

type patientFormsPage struct {
	ID     string
	Subset bool
	Grades []schoolrule.Grade
	Grade  string // a child of that age is usually in
	Visits []coldkeep.Date
	Today  coldkeep.Date
	Prints []forms.Print
	Locked bool
	Name   string
	Born   coldkeep.Date
}

// visitsShown is how many days of vaccination are offered.
const visitsShown = 20

func (s *server) patientForms(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	prints, err := s.Forms.PrintsOf(ctx, who, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.Patients.Open(ctx, who, id, "forms")
	if err != nil {
		s.fail(c, err)
		return
	}
	today := coldkeep.DateOf(s.Clock.Now().In(s.localZone(c)))
	n := r.Name()
	p := patientFormsPage{ID: r.ID, Subset: r.Subset, Grades: schoolrule.Grades(today), Grade: schoolrule.UsualGrade(r.Birth, today), Today: today, Prints: prints, Locked: r.Gate.Locked, Name: strings.TrimSpace(n.Given + " " + n.Family), Born: r.Birth}
	if !r.Subset {
		v, err := s.Immunizations.View(ctx, who, id)
		if err != nil {
			s.fail(c, err)
			return
		}
		for _, d := range slices.Backward(v.Doses) {
			if d.Kind == immunization.Administered && d.Counts() && !slices.Contains(p.Visits, d.Date) && len(p.Visits) < visitsShown {
				p.Visits = append(p.Visits, d.Date)
			}
		}
	}
	s.render(c, http.StatusOK, "forms", &page{Title: "Forms", Nav: "patients", Data: p})
}

func (s *server) certificate(c *gin.Context) {
	p, err := s.Forms.Certificate(c.Request.Context(), principal(c), c.Param("id"), c.Query("grade"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "certificate", &page{Title: forms.Certificate.Title(), Nav: "patients", Data: p})
}

func (s *server) certificatePDF(c *gin.Context) {
	b, err := s.Forms.CertificatePDF(c.Request.Context(), principal(c), c.Param("id"), c.Query("grade"))
	s.pdf(c, "certificate", b, err)
}

func (s *server) history(c *gin.Context) {
	p, err := s.Forms.HistoryReport(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "history", &page{Title: forms.History.Title(), Nav: "patients", Data: p})
}

func (s *server) historyPDF(c *gin.Context) {
	b, err := s.Forms.HistoryPDF(c.Request.Context(), principal(c), c.Param("id"))
	s.pdf(c, "immunization-history", b, err)
}

func (s *server) visitPDF(c *gin.Context) {
	on := coldkeep.DateOf(s.Clock.Now().In(s.localZone(c)))
	if v := c.Query("on"); v != "" {
		var err error
		if on, err = coldkeep.ParseDate(v); err != nil {
			s.fail(c, coldkeep.Errorf(coldkeep.EINVALID, "Visit: want a day such as 2026-03-02."))
			return
		}
	}
	b, err := s.Forms.VisitPDF(c.Request.Context(), principal(c), c.Param("id"), on)
	s.pdf(c, "visit", b, err)
}

func (s *server) optOutPDF(c *gin.Context) {
	b, err := s.Forms.OptOutPDF(c.Request.Context(), principal(c), c.Param("id"))
	s.pdf(c, "sharing", b, err)
}

func (s *server) newPatientPDF(c *gin.Context) {
	b, err := s.Forms.NewPatientPDF(c.Request.Context(), principal(c), c.Param("id"))
	s.pdf(c, "patient", b, err)
}

func (s *server) vaersPDF(c *gin.Context) {
	b, err := s.Forms.VaersPDF(c.Request.Context(), principal(c), c.Param("reaction"))
	s.pdf(c, "vaers", b, err)
}

type verifyPage struct {
	Answer *forms.Answer
	Sent   *sentVerify
	Error  string
}

type sentVerify struct{ Code, Birth, Doses, Dates string }

func (s *server) verifyForm(c *gin.Context) {
	s.render(c, http.StatusOK, "verify", &page{Title: "Verify a print", Nav: "verify", Data: verifyPage{}})
}

// verify says whether a print is as it was printed, to anybody who can read its code and the
// birth date off it.
func (s *server) verify(c *gin.Context) {
	p := verifyPage{Sent: &sentVerify{c.PostForm("code"), c.PostForm("birth"), c.PostForm("doses"), c.PostForm("dates")}}
	status := http.StatusOK
	q, err := verifyQuestion(c)
	if err == nil {
		var a forms.Answer
		if a, err = s.Forms.Verify(c.Request.Context(), q); err == nil {
			p.Answer = &a
		}
	}
	switch code := coldkeep.ErrorCode(err); code {
	case "":
	case coldkeep.EINVALID, coldkeep.ENOTFOUND:
		p.Error, status = coldkeep.ErrorMessage(err), coldkeep.Status(code)
	default:
		s.fail(c, err)
		return
	}
	s.render(c, status, "verify", &page{Title: "Verify a print", Nav: "verify", Path: "/verify", Data: p})
}

func verifyQuestion(c *gin.Context) (forms.Question, error) {
	q := forms.Question{Code: c.PostForm("code"), Doses: -1}
	var err error
	if q.Birth, err = formDate(c, "birth", "Birth date"); err != nil {
		return q, err
	}
	if v := strings.TrimSpace(c.PostForm("doses")); v != "" {
		if q.Doses, err = strconv.Atoi(v); err != nil || q.Doses < 0 {
			return q, coldkeep.Errorf(coldkeep.EINVALID, "Number of doses: want a number.")
		}
	}
	q.Dates = strings.FieldsFunc(c.PostForm("dates"), func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' })
	h, err := c.FormFile("file")
	if err != nil || h.Size == 0 {
		return q, nil //nolint:nilerr // the file may be left out
	}
	f, err := h.Open()
	if err != nil {
		return q, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.verify", "upload")
	}
	defer func() { _ = f.Close() }() // it was read only
	if q.File, err = io.ReadAll(io.LimitReader(f, maxPrint)); err != nil {
		return q, coldkeep.Wrap(err, coldkeep.EINVALID, "web.verify", "File: it could not be read.")
	}
	return q, nil
}
