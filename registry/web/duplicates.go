package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/patient"
)

type duplicatesPage struct {
	Open, Decided, Merged []patient.Pair
}

func (s *server) duplicates(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	var d duplicatesPage
	for state, into := range map[patient.PairState]*[]patient.Pair{patient.PairOpen: &d.Open, patient.PairDifferent: &d.Decided, patient.PairMerged: &d.Merged} {
		var err error
		if *into, err = s.Patients.Duplicates(ctx, who, state); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "duplicates", &page{Title: "Possible duplicates", Nav: "duplicates", Data: d})
}

type duplicatePage struct {
	patientTables
	Pair   patient.Pair
	Sides  [2]patient.Side
	Merges []patient.Merge // between the two, that stand
	One    bool            // they are one record by now
}

func (s *server) duplicate(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	pair, sides, err := s.Patients.ComparePair(ctx, who, c.Param("a"), c.Param("b"))
	if err != nil {
		s.fail(c, err)
		return
	}
	d := duplicatePage{Pair: pair, Sides: sides, One: sides[0].Gate.Head == sides[1].Gate.Head}
	if d.One {
		all, err := s.Patients.MergesOf(ctx, who, pair.A)
		if err != nil {
			s.fail(c, err)
			return
		}
		for _, m := range all {
			if m.UndoneAt == nil {
				d.Merges = append(d.Merges, m)
			}
		}
	}
	s.render(c, http.StatusOK, "duplicate", &page{Title: "Compare two records", Nav: "duplicates", Data: d})
}

func (s *server) mergePatients(c *gin.Context) {
	a, b := c.Param("a"), c.Param("b")
	loser, survivor := a, b
	if c.PostForm("keep") == a {
		loser, survivor = b, a
	}
	_, err := s.Patients.MergePatients(c.Request.Context(), principal(c), loser, survivor, c.PostForm("why"))
	s.done(c, "/duplicates/"+a+"/"+b, "The two are one record now. It can be undone.", err)
}

func (s *server) notDuplicate(c *gin.Context) {
	a, b := c.Param("a"), c.Param("b")
	err := s.Patients.NotDuplicate(c.Request.Context(), principal(c), a, b, c.PostForm("why"))
	s.done(c, "/duplicates/"+a+"/"+b, "The two stay two people's records.", err)
}

type unmergePage struct {
	patientTables
	patient.Unmerging
}

func (s *server) unmerging(c *gin.Context) {
	u, err := s.Patients.Unmerging(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "unmerge", &page{Title: "Undo a merge", Nav: "duplicates", Data: &unmergePage{Unmerging: u}})
}

func (s *server) unmergePatients(c *gin.Context) {
	m, err := s.Patients.UnmergePatients(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("why"), c.PostFormArray("move")...)
	back := "/duplicates"
	if err == nil {
		back = "/patients/" + m.Survivor
	}
	s.done(c, back, "The merge has been undone. What was entered since is with the record that was chosen.", err)
}

func (s *server) deidentified(c *gin.Context) {
	t, err := s.Patients.CountDeidentified(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "deidentified", &page{Title: "De-identified records", Nav: "deidentified", Data: t})
}

func (s *server) deidentifiedPeople(c *gin.Context) {
	w := &lateHeaders{c: c}
	if err := s.Patients.WriteDeidentified(c.Request.Context(), principal(c), w, s.Immunizations.Deidentified()); err != nil {
		if !w.begun {
			s.fail(c, err)
			return
		}
		s.Log.Error("registry screen", "route", c.FullPath(), "err", err)
		panic(http.ErrAbortHandler) // a file that is cut off must not look whole
	}
}

// lateHeaders names the file once its first bytes come: a refusal before is a page.
type lateHeaders struct {
	c     *gin.Context
	begun bool
}

func (w *lateHeaders) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.c.Header("Content-Type", "text/csv; charset=utf-8")
		w.c.Header("Content-Disposition", `attachment; filename="people-de-identified.csv"`)
	}
	return w.c.Writer.Write(b)
}
