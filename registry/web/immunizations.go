package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/schoolrule"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// doseRoutes are the screens of a patient's immunizations. Each names the permission that
// its service asks for.
func (s *server) doseRoutes(in *gin.RouterGroup) {
	in.GET("/patients/:id/immunizations", s.immunizations)                  // view-patients
	in.GET("/patients/:id/immunizations/why", s.immunizationsWhy)           // view-patients
	in.GET("/patients/:id/status", s.schoolStatus)                          // view-subset, or view-patients
	in.GET("/patients/:id/doses/new", s.newDose)                            // record-doses
	in.POST("/patients/:id/doses/scan", s.scanLot)                          // record-doses
	in.POST("/patients/:id/doses", s.recordDose)                            // record-doses
	in.GET("/patients/:id/doses/:dose", s.dose)                             // view-patients
	in.POST("/patients/:id/doses/:dose", s.editDose)                        // record-doses
	in.POST("/patients/:id/doses/:dose/delete", s.deleteDose)               // record-doses
	in.POST("/patients/:id/doses/:dose/distinct", s.tellDosesApart)         // record-doses
	in.POST("/patients/:id/doses/:dose/trust", s.trustDose)                 // record-doses
	in.POST("/patients/:id/facts", s.addFact)                               // record-doses
	in.POST("/patients/:id/facts/:fact/end", s.endFact)                     // record-doses
	in.POST("/patients/:id/exemptions", s.addExemption)                     // record-exemptions
	in.POST("/patients/:id/exemptions/:exemption/end", s.endExemption)      // record-exemptions
	in.GET("/patients/:id/reactions/new", s.newReaction)                    // record-doses
	in.POST("/patients/:id/reactions", s.addReaction)                       // record-doses
	in.GET("/patients/:id/reactions/:reaction", s.reaction)                 // view-patients
	in.GET("/patients/:id/reactions/:reaction/report.csv", s.reactionCSV)   // view-patients
	in.GET("/patients/:id/reactions/:reaction/report.json", s.reactionJSON) // view-patients
	in.POST("/patients/:id/reactions/:reaction/end", s.endReaction)         // record-doses
	in.GET("/holds/:id/lots/:lot/doses", s.givenUnderHold)                  // view-patients, at the hold's practice
	in.GET("/lots/:id/doses", s.givenFromLot)                               // view-patients, at the lot's practice
}

// immunizationPage is a patient's immunizations.
type immunizationPage struct {
	dates
	*immunization.View
	Codes     *vaccine.Codes
	Why       bool
	Late      []immunization.Due // due now or overdue
	Later     []immunization.Due // may be given, or to come
	Settled   []immunization.Due // nothing is due
	Silent    []immunization.Dose
	Refused   []immunization.Dose
	Catalogue forecast.Catalogue
	AllGroups []string
	Local     *time.Location
}

func (s *server) immunizations(c *gin.Context) { s.showImmunizations(c, false) }

func (s *server) immunizationsWhy(c *gin.Context) { s.showImmunizations(c, true) }

func (s *server) showImmunizations(c *gin.Context, why bool) {
	who, id := principal(c), c.Param("id")
	if !who.Anywhere(auth.ViewPatients) && who.Anywhere(auth.ViewSubset) {
		c.Redirect(http.StatusSeeOther, "/patients/"+id+"/status")
		return
	}
	read := s.Immunizations.View
	if why {
		read = s.Immunizations.Explain
	}
	v, err := read(c.Request.Context(), who, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := immunizationPage{View: v, Codes: s.Immunizations.Codes(), Why: why, Catalogue: s.Immunizations.Catalogue(), AllGroups: s.Immunizations.GroupNames(), Local: s.localZone(c)}
	for _, d := range v.Due {
		switch d.Urgency {
		case immunization.Overdue, immunization.DueNow:
			p.Late = append(p.Late, d)
		case immunization.MayGive, immunization.Upcoming:
			p.Later = append(p.Later, d)
		default:
			p.Settled = append(p.Settled, d)
		}
	}
	for _, d := range v.Doses {
		switch {
		case d.Kind == immunization.Refused && d.Deleted == nil:
			p.Refused = append(p.Refused, d)
		case !d.Counts():
			p.Silent = append(p.Silent, d)
		}
	}
	s.render(c, http.StatusOK, "immunizations", &page{Title: "Immunizations", Nav: "patients", Data: p})
}

// localZone is the time zone of the person's practice.
func (s *server) localZone(c *gin.Context) *time.Location {
	sites, err := s.Templog.Sites(c.Request.Context(), principal(c))
	if err != nil || len(sites) == 0 {
		return time.UTC
	}
	return zone(sites[0])
}

type statusPage struct {
	ID         string
	Name       string
	Born       coldkeep.Date
	Status     []immunization.SchoolStatus
	Exemptions []immunization.Exemption
	AllGroups  []string
	Rule       schoolrule.Judgement
	Grades     []schoolrule.Grade
	Grade      string
	GradeTitle string
}

// schoolStatus is what a school may see: the status by vaccine group, and exemptions.
func (s *server) schoolStatus(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	st, err := s.Immunizations.School(ctx, who, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.Patients.Open(ctx, who, id, "immunization status")
	if err != nil {
		s.fail(c, err)
		return
	}
	n := r.Name()
	p := statusPage{ID: r.ID, Name: strings.TrimSpace(n.Given + " " + n.Family), Born: r.Birth, Status: st, AllGroups: s.Immunizations.GroupNames()}
	if p.Rule, err = s.Forms.SchoolStatus(ctx, who, id, c.Query("grade")); err != nil {
		s.fail(c, err)
		return
	}
	p.Grades, p.Grade, p.GradeTitle = schoolrule.Grades(p.Rule.On), p.Rule.Grade, schoolrule.TitleOf(p.Rule.Grade, p.Rule.On)
	if who.Anywhere(auth.RecordExemptions) {
		if p.Exemptions, err = s.Immunizations.Exemptions(ctx, who, id); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "schoolstatus", &page{Title: "Immunization status", Nav: "patients", Data: p})
}

func immunizationsOf(id string) string { return "/patients/" + id + "/immunizations" }

func (s *server) addFact(c *gin.Context) {
	id := c.Param("id")
	f := immunization.Fact{Patient: id, Kind: immunization.FactKind(c.PostForm("kind")), Code: c.PostForm("code"), Title: c.PostForm("title"), Basis: c.PostForm("basis")}
	var err error
	if f.From, err = formDate(c, "from", "Since"); err == nil {
		f.Until, err = formDate(c, "until", "Until")
	}
	if err == nil {
		_, err = s.Immunizations.AddFact(c.Request.Context(), principal(c), f)
	}
	s.done(c, immunizationsOf(id)+"#facts", "It is on the record.", err)
}

func (s *server) endFact(c *gin.Context) {
	err := s.Immunizations.EndFact(c.Request.Context(), principal(c), c.Param("fact"), c.PostForm("why"))
	s.done(c, immunizationsOf(c.Param("id"))+"#facts", "It has been ended. It stays on the record with the reason.", err)
}

func (s *server) addExemption(c *gin.Context) {
	id := c.Param("id")
	e := immunization.Exemption{Patient: id, Kind: immunization.ExemptionKind(c.PostForm("kind")), Groups: slices.DeleteFunc(c.PostFormArray("group"), func(g string) bool { return g == "" }),
		Signer: c.PostForm("signer"), Source: c.PostForm("source")}
	var err error
	if e.From, err = formDate(c, "from", "From"); err == nil {
		e.Until, err = formDate(c, "until", "Until")
	}
	if err == nil {
		_, err = s.Immunizations.AddExemption(c.Request.Context(), principal(c), e)
	}
	s.done(c, s.exemptionsAt(c), "The exemption is on the record.", err)
}

func (s *server) endExemption(c *gin.Context) {
	err := s.Immunizations.EndExemption(c.Request.Context(), principal(c), c.Param("exemption"), c.PostForm("why"))
	s.done(c, s.exemptionsAt(c), "The exemption has been ended.", err)
}

// exemptionsAt is the page on which the person sees a patient's exemptions.
func (s *server) exemptionsAt(c *gin.Context) string {
	if principal(c).Anywhere(auth.ViewPatients) {
		return immunizationsOf(c.Param("id")) + "#exemptions"
	}
	return "/patients/" + c.Param("id") + "/status#exemptions"
}

type affectedPage struct {
	Title   string
	Back    string
	Doses   []immunization.Affected
	Hold    bool
	Vaccine string
}

// givenUnderHold lists who got doses from a lot while it was out of range, or after.
func (s *server) givenUnderHold(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	doses, err := s.Immunizations.GivenUnderHold(ctx, who, c.Param("id"), c.Param("lot"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.showAffected(c, affectedPage{Title: "Doses given from a held lot", Back: "/lots#held-" + c.Param("id"), Doses: doses, Hold: true}, c.Param("lot"))
}

func (s *server) givenFromLot(c *gin.Context) {
	doses, err := s.Immunizations.GivenFrom(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.showAffected(c, affectedPage{Title: "Doses given from a lot", Back: "/lots/" + c.Param("id"), Doses: doses}, c.Param("id"))
}

func (s *server) showAffected(c *gin.Context, p affectedPage, lot string) {
	l, err := s.Inventory.Lot(c.Request.Context(), principal(c), lot)
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Vaccine = l.Product + ", lot " + l.Number
	s.render(c, http.StatusOK, "affected", &page{Title: p.Title, Nav: "lots", Data: p})
}
