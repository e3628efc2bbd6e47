package web

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

type reactionPage struct {
	*immunization.View
	Codes  *vaccine.Codes
	Days   []vaccinationDay
	Report *immunization.VAERS
	Whom   patient.Name
	ID     string
	Local  *time.Location
}

// vaccinationDay is the doses of one day, after which something happened.
type vaccinationDay struct {
	Date  coldkeep.Date
	Doses []immunization.Dose
}

// Results and the others are the form's answers.
func (reactionPage) Results() []immunization.Choice    { return immunization.Results() }
func (reactionPage) Facilities() []immunization.Choice { return immunization.Facilities() }
func (reactionPage) Relations() []immunization.Choice  { return immunization.Relations() }

func (s *server) newReaction(c *gin.Context) {
	who := principal(c)
	if err := s.Patients.May(c.Request.Context(), who, auth.RecordDoses, "doses.record", c.Param("id")); err != nil {
		s.fail(c, err)
		return
	}
	v, err := s.Immunizations.View(c.Request.Context(), who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := reactionPage{View: v, Codes: s.Immunizations.Codes(), ID: v.Patient}
	for i := len(v.Doses) - 1; i >= 0; i-- {
		d := v.Doses[i]
		if !d.Counts() {
			continue
		}
		if n := len(p.Days); n == 0 || p.Days[n-1].Date != d.Date {
			p.Days = append(p.Days, vaccinationDay{Date: d.Date})
		}
		last := &p.Days[len(p.Days)-1]
		last.Doses = append(last.Doses, d)
	}
	s.render(c, http.StatusOK, "reactionnew", &page{Title: "Record a reaction", Nav: "patients", Data: p})
}

func (s *server) addReaction(c *gin.Context) {
	id := c.Param("id")
	r := immunization.Reaction{Patient: id, Doses: c.PostFormArray("dose"), Pregnant: c.PostForm("pregnant"), Medicines: c.PostForm("medicines"), Allergies: c.PostForm("allergies"),
		Illnesses: c.PostForm("illnesses"), Chronic: c.PostForm("chronic"), Reporter: c.PostForm("reporter"), Event: c.PostForm("event"), Tests: c.PostForm("tests"),
		Recovered: c.PostForm("recovered"), Results: c.PostFormArray("result"), Relation: c.PostForm("relation"), Doctor: c.PostForm("doctor"), Facility: c.PostForm("facility")}
	var err error
	if v := c.PostForm("onset"); v != "" {
		t, e := time.ParseInLocation(inputLayout, v, s.localZone(c))
		if e != nil {
			err = coldkeep.Errorf(coldkeep.EINVALID, "Began: want a date and time.")
		}
		r.Onset = &t
	}
	if err == nil {
		r, err = s.Immunizations.AddReaction(c.Request.Context(), principal(c), r)
	}
	if err != nil {
		s.done(c, "/patients/"+id+"/reactions/new", "", err)
		return
	}
	s.done(c, "/patients/"+id+"/reactions/"+r.ID, "The adverse event is on the record. Report it to VAERS with the page below.", nil)
}

// report is a reaction of the patient that the path names.
func (s *server) report(c *gin.Context) (*immunization.VAERS, error) {
	return s.Immunizations.VAERS(c.Request.Context(), principal(c), c.Param("reaction"))
}

func (s *server) reaction(c *gin.Context) {
	r, err := s.report(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	p, err := s.Patients.Open(c.Request.Context(), principal(c), r.Patient, "adverse event")
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "reaction", &page{Title: "Adverse event", Nav: "patients", Data: reactionPage{Report: r, Whom: p.Name(), ID: p.ID, Local: s.localZone(c)}})
}

// reactionCSV is the essential items of the report, a line for each vaccine.
func (s *server) reactionCSV(c *gin.Context) {
	r, err := s.report(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	onset := ""
	if r.Onset != nil {
		onset = r.Onset.In(s.localZone(c)).Format(time.RFC3339)
	}
	rows := [][]string{{"2_birth_date", "3_sex", "4_vaccination_date", "5_onset", "6_age_years", "6_age_months", "17_vaccine", "17_brand", "17_manufacturer", "17_lot", "17_route", "17_body_site", "17_dose_number",
		"18_event", "19_tests", "20_recovered", "21_results"}}
	for _, v := range r.Vaccines {
		rows = append(rows, []string{r.Born.String(), r.Sex, r.Given.String(), onset, strconv.Itoa(r.Years), strconv.Itoa(r.Months), v.Name, v.Brand, v.Maker, v.Lot, v.Route, v.BodySite, strconv.Itoa(v.Number),
			r.Event, r.Tests, r.Recovered, strings.Join(r.Results, " ")})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = unformula(row[i])
		}
	}
	if err := w.WriteAll(rows); err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="vaers.csv"`)
	c.Data(http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
}

// unformula keeps a spreadsheet from taking a text for a formula (OWASP, CSV injection).
func unformula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (s *server) reactionJSON(c *gin.Context) {
	r, err := s.report(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="vaers.json"`)
	c.JSON(http.StatusOK, r)
}

func (s *server) endReaction(c *gin.Context) {
	err := s.Immunizations.EndReaction(c.Request.Context(), principal(c), c.Param("reaction"), c.PostForm("why"))
	s.done(c, immunizationsOf(c.Param("id"))+"#reactions", "The reaction has been taken back. It stays on the record with the reason.", err)
}
