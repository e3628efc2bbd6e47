package web

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/recall"
)

type coldPage struct {
	dates
	recall.ColdView
	MayRecall bool
	MayRecord bool // doses
	States    []recall.ColdState
	Percent   int
}

// Of is how many people stand so.
func (p coldPage) Of(s recall.ColdState) int { return p.Counts[s] }

// coldRecall is a recall after a break of the cold chain.
func (s *server) coldRecall(c *gin.Context) {
	who := principal(c)
	v, err := s.Recall.GetCold(c.Request.Context(), who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := coldPage{ColdView: v, MayRecall: who.May(auth.RecallPatients, v.Site), MayRecord: who.May(auth.RecordDoses, v.Site), States: recall.ColdStates(), Percent: 100 * v.Done() / max(v.Total, 1)}
	s.render(c, http.StatusOK, "coldrecall", &page{Title: "Doses that do not count", Nav: "recalls", Data: p})
}

func (s *server) startColdNotices(c *gin.Context) {
	r, err := s.Recall.StartCold(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.done(c, "/cold-recalls/"+c.Param("id"), "", err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/recalls/"+r.ID)
}

func (s *server) setCold(c *gin.Context) {
	id, who := c.Param("id"), c.Param("patient")
	back := "/cold-recalls/" + id + "#p-" + who
	if c.PostForm("back") == "patient" {
		back = "/patients/" + who + "/notices"
	}
	rev, err := strconv.ParseInt(c.PostForm("revision"), 10, 64)
	if err != nil {
		err = coldkeep.Errorf(coldkeep.EINVALID, "Revision: want a whole number.")
	} else {
		err = s.Recall.SetCold(c.Request.Context(), principal(c), id, who, recall.ColdState(c.PostForm("state")), c.PostForm("note"), rev)
	}
	s.done(c, back, "It has been recorded.", err)
}

type noticesPage struct {
	dates
	recall.Chart
	ID        string
	MayRecall bool
	MayRecord bool
	Channels  []recall.Channel
	Results   []struct {
		Result recall.Result
		Title  string
	}
}

// ResultTitle is a result in words.
func (noticesPage) ResultTitle(r recall.Result) string { return callsPage{}.ResultTitle(r) }

// patientNotices is what was told to whom about a person, and what was tried.
func (s *server) patientNotices(c *gin.Context) {
	who := principal(c)
	chart, err := s.Recall.Of(c.Request.Context(), who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := noticesPage{Chart: chart, ID: chart.Patient, MayRecall: who.Anywhere(auth.RecallPatients), MayRecord: who.Anywhere(auth.RecordDoses), Channels: recall.Channels(), Results: recall.Results()}
	s.render(c, http.StatusOK, "patientnotices", &page{Title: "Notices", Nav: "patients", Data: p})
}

func (s *server) agree(c *gin.Context) {
	id := c.Param("id")
	err := s.Recall.Agree(c.Request.Context(), principal(c), id, recall.Channel(c.PostForm("channel")), c.PostForm("target"), c.PostForm("agreed"))
	s.patientDone(c, "/patients/"+id+"/notices#agreements", "The agreement has been recorded.", err)
}

func (s *server) disagree(c *gin.Context) {
	id := c.Param("id")
	err := s.Recall.Disagree(c.Request.Context(), principal(c), id, c.Param("agreement"))
	s.patientDone(c, "/patients/"+id+"/notices#agreements", "Nothing more will be sent there.", err)
}

func (s *server) recordAttempt(c *gin.Context) {
	id := c.Param("id")
	err := s.Recall.Try(c.Request.Context(), principal(c), id, recall.Attempt{Channel: recall.Channel(c.PostForm("channel")), Result: recall.Result(c.PostForm("result")), Run: c.PostForm("run"), Note: c.PostForm("note")})
	s.patientDone(c, "/patients/"+id+"/notices#attempts", "It has been recorded.", err)
}

func (s *server) callLost(c *gin.Context) {
	id := c.Param("id")
	err := s.Recall.CallLost(c.Request.Context(), principal(c), id, c.PostForm("why"))
	s.patientDone(c, "/patients/"+id+"/notices", "The patient is recorded as lost to follow-up with your practice.", err)
}

// stopRoutes are the page behind the link in a message, for who has the message and nobody
// else: it shows the clinic, and nothing of a patient.
func (s *server) stopRoutes(e *gin.RouterGroup) {
	e.GET("/stop/:token", s.stopPage)
	e.POST("/stop/:token", s.stopMessages)
}

func (s *server) stopPage(c *gin.Context) {
	v, err := s.Recall.StopPage(c.Request.Context(), c.Param("token"))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("X-Robots-Tag", "noindex")
	title := "Messages from " + v.Clinic
	if v.Language == "es" {
		title = "Mensajes de " + v.Clinic
	}
	s.render(c, http.StatusOK, "stop", &page{Title: title, Path: "/", Data: v})
}

// stopMessages ends them. A mail program may post it by itself when its reader presses its
// own button (RFC 8058).
func (s *server) stopMessages(c *gin.Context) {
	if err := s.Recall.Stop(c.Request.Context(), c.Param("token"), c.PostForm("none") != ""); err != nil {
		s.fail(c, err)
		return
	}
	s.stopPage(c)
}
