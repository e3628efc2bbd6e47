package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/coverage"
)

// measureRoutes are the definitions of measures, which everybody with read-coverage reads;
// manage-programme adds and retires own ones, and sets the smallest number that is told.
func (s *server) measureRoutes(in *gin.RouterGroup) {
	in.GET("/coverage/measures", s.measures)
	in.GET("/coverage/measures/new", s.newMeasure)
	in.POST("/coverage/measures", s.addMeasure)
	in.POST("/coverage/measures/:measure/retire", s.retireMeasure)
	in.POST("/coverage/smallest", s.setSmallest)
}

func (s *server) measures(c *gin.Context) {
	ctx, by := c.Request.Context(), principal(c)
	all, err := s.Coverage.Measures(ctx, by)
	if err != nil {
		s.fail(c, err)
		return
	}
	least, err := s.Coverage.Smallest(ctx, by)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "measures", &page{Title: "Measures of coverage", Nav: "coverage", Data: struct {
		Measures []coverage.Kept
		Smallest coverage.Smallest
	}{all, least}})
}

// combinations are the antigens that people ask for together.
var combinations = []struct {
	Name     string
	Antigens []string
}{
	{"DTaP or Tdap", []string{"Diphtheria", "Tetanus", "Pertussis"}},
	{"MMR", []string{"Measles", "Mumps", "Rubella"}},
	{"Td or Tdap", []string{"Tetanus", "Diphtheria"}},
}

// formParts is how many vaccines the form has room for: more come by the API.
const formParts = 10

type measureForm struct {
	Vaccines []string
	Rows     []int
}

func (s *server) newMeasure(c *gin.Context) {
	antigens, err := s.Coverage.Antigens(principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	f := measureForm{}
	for _, n := range combinations {
		f.Vaccines = append(f.Vaccines, n.Name)
	}
	f.Vaccines = append(f.Vaccines, antigens...)
	for i := range formParts {
		f.Rows = append(f.Rows, i+1)
	}
	s.render(c, http.StatusOK, "measurenew", &page{Title: "A measure of our own", Nav: "coverage", Data: f})
}

func (s *server) addMeasure(c *gin.Context) {
	m, err := measureOf(c)
	if err == nil {
		var k coverage.Kept
		if k, err = s.Coverage.AddMeasure(c.Request.Context(), principal(c), m); err == nil {
			s.done(c, "/coverage/measures", fmt.Sprintf("%s has been added, version %d.", k.Title, k.Version), nil)
			return
		}
	} else if _, e := s.Coverage.Antigens(principal(c)); e != nil {
		err = e // of who may not, nothing is said of the form
	}
	s.done(c, "/coverage/measures/new", "", err)
}

// measureOf reads the form; vaccines are the rows that name one.
func measureOf(c *gin.Context) (coverage.Measure, error) {
	field := func(name string) string { return strings.TrimSpace(c.PostForm(name)) }
	m := coverage.Measure{ID: field("id"), Title: field("title"), About: field("about"), Source: field("source"),
		Who: coverage.Ages{From: field("from"), Until: field("until")}, By: field("by")}
	for i := 1; i <= formParts; i++ {
		of := func(name string) string { return field(fmt.Sprintf("%s%d", name, i)) }
		vaccine := of("vaccine")
		if vaccine == "" {
			continue
		}
		doses, err := strconv.Atoi(of("doses"))
		if err != nil {
			return m, coldkeep.Errorf(coldkeep.EINVALID, "Vaccine %d, %s: want the number of doses.", i, vaccine)
		}
		p := coverage.Part{ID: fmt.Sprintf("%d", i), Title: vaccine, Antigens: []string{vaccine}, CVX: strings.Fields(of("cvx")), Not: strings.Fields(of("not")),
			From: of("from"), Until: of("until"), Within: of("within"), Season: of("season"), Immune: of("immune") == "yes",
			Ways: []coverage.Way{{Doses: doses, Apart: of("apart")}}, Source: m.Source}
		for _, n := range combinations {
			if n.Name == vaccine {
				p.Antigens = n.Antigens
			}
		}
		m.Parts = append(m.Parts, p)
	}
	return m, nil
}

func (s *server) retireMeasure(c *gin.Context) {
	err := s.Coverage.RetireMeasure(c.Request.Context(), principal(c), c.Param("measure"))
	s.done(c, "/coverage/measures", "The measure is not offered any more. Results that were made with it stay.", err)
}

func (s *server) setSmallest(c *gin.Context) {
	n, err := strconv.ParseInt(strings.TrimSpace(c.PostForm("n")), 10, 64)
	if err != nil {
		n = -1 // the service says what it wants, to who may change it
	}
	err = s.Coverage.SetSmallest(c.Request.Context(), principal(c), n, c.PostForm("why"))
	s.done(c, "/coverage/measures", "The smallest number that is told has been changed.", err)
}
