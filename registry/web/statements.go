package web

import (
	"encoding/csv"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine/barcode"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// statementRoutes are the Vaccine Information Statements. Each names the permission that its
// service asks for.
func (s *server) statementRoutes(in *gin.RouterGroup) {
	in.GET("/vis", s.statements)                                       // search-patients, or manage-programme
	in.POST("/vis/editions", s.addEdition)                             // manage-programme
	in.GET("/vis/editions/:code", s.statement)                         // search-patients, or manage-programme
	in.GET("/vis/editions/:code/text", s.statementText)                // search-patients, or manage-programme
	in.POST("/vis/editions/:code/status", s.setEdition)                // manage-programme
	in.POST("/vis/editions/:code/texts/withdraw", s.withdrawStatement) // manage-programme
	in.GET("/vis/report", s.statementReport)                           // read-quality
	in.GET("/vis/report.csv", s.statementReportCSV)                    // read-quality
	in.GET("/patients/:id/statements", s.handedOver)                   // view-patients
}

type statementsPage struct {
	Language string
	Current  []vis.Statement
	Historic []vis.Statement
	All      []patient.Code
	Offered  []patient.Code // languages of which there is a text
}

// statements lists the editions, for a parent in one language.
func (s *server) statements(c *gin.Context) {
	all, err := s.VIS.List(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := statementsPage{Language: c.Query("language"), All: patient.Languages}
	offered := map[string]bool{}
	for _, st := range all {
		if st.Current {
			p.Current = append(p.Current, st)
			for _, t := range st.Texts {
				offered[t.Language] = true
			}
		} else {
			p.Historic = append(p.Historic, st)
		}
	}
	for _, l := range patient.Languages {
		if offered[l.Code] {
			p.Offered = append(p.Offered, l)
		}
	}
	if !offered[p.Language] {
		p.Language = "eng"
	}
	s.render(c, http.StatusOK, "vis", &page{Title: "Vaccine Information Statements", Nav: "vis", Data: p})
}

type statementPage struct {
	vis.Statement
	Vaccines []string
	History  []vis.Text // for who keeps the programme
	All      []patient.Code
	Others   []vis.Statement // editions of the same statement
}

// LanguageName is a language in words.
func (statementPage) LanguageName(code string) string { return vis.LanguageName(code) }

func (s *server) statement(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	all, err := s.VIS.List(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	i := slices.IndexFunc(all, func(st vis.Statement) bool { return st.Code == c.Param("code") })
	if i < 0 {
		s.fail(c, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such edition."))
		return
	}
	p := statementPage{Statement: all[i], All: patient.Languages}
	for _, cvx := range p.CVX {
		p.Vaccines = append(p.Vaccines, s.Immunizations.Codes().Name(cvx)+" ("+cvx+")")
	}
	for _, st := range all {
		if st.Document() == p.Document() && st.Code != p.Code {
			p.Others = append(p.Others, st)
		}
	}
	slices.SortFunc(p.Others, func(a, b vis.Statement) int { return int(b.Edition - a.Edition) })
	if who.Anywhere(auth.ManageProgramme) {
		if p.History, err = s.VIS.TextsOf(ctx, who, p.Code); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "statement", &page{Title: p.Name, Nav: "vis", Data: p})
}

// statementText gives a statement to be printed, or leads to where it is.
func (s *server) statementText(c *gin.Context) {
	language := c.DefaultQuery("language", "eng")
	t, err := s.VIS.Open(c.Request.Context(), principal(c), c.Param("code"), language)
	if err != nil {
		s.fail(c, err)
		return
	}
	if t.Address != "" {
		c.Header("Referrer-Policy", "no-referrer")
		c.Redirect(http.StatusFound, t.Address)
		return
	}
	ext := ".txt"
	if t.Media == "application/pdf" {
		ext = ".pdf"
	}
	c.Header("Content-Disposition", `inline; filename="vis-`+t.Code+`-`+t.Language+ext+`"`)
	c.Data(http.StatusOK, t.Media, t.Content)
}

func (s *server) addEdition(c *gin.Context) {
	edition, err := formDate(c, "edition", "Edition")
	var st vis.Statement
	if err == nil {
		cvx := strings.FieldsFunc(c.PostForm("cvx"), func(r rune) bool { return r == ',' || r == ' ' })
		st, err = s.VIS.AddEdition(c.Request.Context(), principal(c), vis.Edition{Code: c.PostForm("code"), Name: c.PostForm("name"), Edition: edition, CVX: cvx, Why: c.PostForm("why")})
	}
	if err != nil {
		s.done(c, "/vis", "", err)
		return
	}
	s.done(c, "/vis/editions/"+st.Code, "The edition is current now. Put in its text below.", nil)
}

func (s *server) setEdition(c *gin.Context) {
	err := s.VIS.SetCurrent(c.Request.Context(), principal(c), c.Param("code"), c.PostForm("current") == "yes", c.PostForm("why"))
	s.done(c, "/vis/editions/"+url.PathEscape(c.Param("code")), "It has been noted, with the reason.", err)
}

func (s *server) addStatementText(c *gin.Context) {
	who := principal(c)
	if err := who.Require(auth.ManageProgramme, ""); err != nil { // of who may not, not even the file is read
		s.fail(c, err)
		return
	}
	back := "/vis/editions/" + url.PathEscape(c.Param("code"))
	t := vis.Text{Code: c.Param("code"), Language: c.PostForm("language"), Address: c.PostForm("address"), Why: c.PostForm("why")}
	if h, err := c.FormFile("file"); err == nil && h.Size > 0 {
		f, err := h.Open()
		if err == nil {
			t.Content, err = io.ReadAll(io.LimitReader(f, vis.MaxText+1))
			_ = f.Close() // it was read only
		}
		if err != nil {
			s.done(c, back, "", coldkeep.Wrap(err, coldkeep.EINVALID, "web.addStatementText", "File: it could not be read."))
			return
		}
	}
	s.done(c, back, "The statement is there in "+vis.LanguageName(t.Language)+".", s.VIS.AddText(c.Request.Context(), who, t))
}

func (s *server) withdrawStatement(c *gin.Context) {
	err := s.VIS.WithdrawText(c.Request.Context(), principal(c), c.Param("code"), c.PostForm("language"), c.PostForm("why"))
	s.done(c, "/vis/editions/"+url.PathEscape(c.Param("code")), "It is no longer offered. It is kept with the reason.", err)
}

type handedPage struct {
	ID, Name string
	Born     coldkeep.Date
	Handed   []vis.Handed
	Without  []immunization.Dose
	Vaccine  func(cvx string) string
}

// LanguageName is a language in words.
func (handedPage) LanguageName(code string) string { return vis.LanguageName(code) }

func (s *server) handedOver(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	handed, without, err := s.VIS.HandedOver(ctx, who, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.Patients.Open(ctx, who, id, "statements")
	if err != nil {
		s.fail(c, err)
		return
	}
	n := r.Name()
	s.render(c, http.StatusOK, "handed", &page{Title: "Statements handed over", Nav: "patients",
		Data: handedPage{ID: r.ID, Name: strings.TrimSpace(n.Given + " " + n.Family), Born: r.Birth, Handed: handed, Without: without, Vaccine: s.Immunizations.Codes().Name}})
}

type statementReportPage struct {
	vis.Report
	Asked bool
	Error string
}

// reportDays is how far back a report looks when nobody says otherwise.
const reportDays = 90

func (s *server) readReport(c *gin.Context) (vis.Report, error) {
	today := coldkeep.DateOf(s.Clock.Now().In(s.localZone(c)))
	from, to := today-reportDays, today
	var err error
	for name, d := range map[string]*coldkeep.Date{"from": &from, "to": &to} {
		if v := c.Query(name); v != "" && err == nil {
			if *d, err = coldkeep.ParseDate(v); err != nil {
				err = coldkeep.Errorf(coldkeep.EINVALID, "From and to: want days such as 2026-03-02.")
			}
		}
	}
	if err != nil {
		return vis.Report{From: from, To: to}, err
	}
	return s.VIS.Report(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")), from, to)
}

func (s *server) statementReport(c *gin.Context) {
	r, err := s.readReport(c)
	p := statementReportPage{Report: r, Asked: true}
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		p.Error, p.Asked = coldkeep.ErrorMessage(err), false
		if r.Site == "" && c.Query("site") == "" {
			p.Error = "" // the state has not chosen a practice yet
		}
	} else if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "visreport", &page{Title: "Statements handed over", Nav: "visreport", Data: p})
}

func (s *server) statementReportCSV(c *gin.Context) {
	r, err := s.readReport(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Type", "text/csv; charset=utf-8")
	c.Header("Content-Disposition", `attachment; filename="statements.csv"`)
	w := csv.NewWriter(c.Writer)
	rows := [][]string{{"practice", "from", "to", "cvx", "vaccine", "doses", "without_statement", "part_of_a_combination", "outdated_edition", "after_the_dose"}}
	for _, l := range r.Lines {
		rows = append(rows, []string{unformula(string(r.Site)), r.From.String(), r.To.String(), l.CVX, unformula(l.Name), strconv.Itoa(l.Doses), strconv.Itoa(l.Without), strconv.Itoa(l.Part), strconv.Itoa(l.Outdated), strconv.Itoa(l.After)})
	}
	_ = w.WriteAll(rows) // an error is of a reader who has gone
}

// offered are the statements in the form of a dose.
type offered struct {
	Each      []vis.Statement // ticked from the start
	Several   []vis.Statement // instead of each
	Kept      []vis.Statement // of a dose that is corrected: those it has, and the current ones
	Languages []patient.Code
	Language  string
}

// offer gives the statements to hand over with a vaccine. The language is the one in which
// the last were handed over.
func (s *server) offer(c *gin.Context, cvx string, v *immunization.View) (offered, error) {
	choice, err := s.VIS.For(c.Request.Context(), principal(c), cvx)
	o := offered{Each: choice.Each, Several: choice.Several, Languages: patient.Languages}
	for _, d := range v.Doses {
		for _, st := range d.VIS {
			if st.Language != "" {
				o.Language = st.Language
			}
		}
	}
	return o, err
}

// keep gives the statements of a dose that is corrected.
func (s *server) kept(c *gin.Context, d *immunization.Dose) (offered, error) {
	all, err := s.VIS.List(c.Request.Context(), principal(c))
	o := offered{Languages: patient.Languages}
	for _, st := range all {
		i := slices.IndexFunc(d.VIS, func(v immunization.VIS) bool { return v.Document == st.Code })
		if i >= 0 || st.Current && slices.Contains(st.CVX, d.CVX) {
			o.Kept = append(o.Kept, st)
		}
		if i >= 0 && d.VIS[i].Language != "" {
			o.Language = d.VIS[i].Language
		}
	}
	return o, err
}

// formStatements reads which statements were handed over: those that are ticked, and those
// whose barcodes were scanned.
func (s *server) formStatements(c *gin.Context) ([]immunization.VIS, error) {
	handed, err := formDate(c, "vis_given", "VIS handed over")
	if err != nil {
		return nil, err
	}
	codes := c.PostFormArray("vis")
	for _, scan := range strings.FieldsFunc(c.PostForm("vis_scan"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ';' }) {
		if strings.TrimSpace(scan) == "" {
			continue
		}
		code, err := barcode.Statement(scan)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	if len(codes) == 0 {
		return nil, nil
	}
	all, err := s.VIS.List(c.Request.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	var out []immunization.VIS
	for _, code := range codes {
		i := slices.IndexFunc(all, func(st vis.Statement) bool { return st.Code == code })
		if i < 0 {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "VIS: %q is not an edition that the registry knows. The state can put it in.", code)
		}
		out = append(out, immunization.VIS{Document: code, Edition: all[i].Edition, Given: handed, Language: c.PostForm("vis_language")})
	}
	return out, nil
}
