package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/schedules"
)

// scheduleRoutes are the releases of the immunization schedule; all ask for
// manage-programme.
func (s *server) scheduleRoutes(v1 *gin.RouterGroup) {
	v1.GET("/schedules", s.get(s.scheduleList))
	v1.POST("/schedules", s.loadSchedule)
	v1.POST("/schedules/compare", s.ask(4<<10, s.compareSchedule))
	v1.POST("/schedules/activate", s.post(16<<10, s.activateSchedule))
}

// maxRelease bounds an archive: CDC's has 2 MB.
const maxRelease = 64 << 20

type releaseJSON struct {
	ID          string        `json:"id"` // "" of the one that comes with the program
	Version     string        `json:"version"`
	Released    coldkeep.Date `json:"released,omitzero"`
	LoadedBy    string        `json:"loaded_by,omitempty"`
	LoadedAt    *time.Time    `json:"loaded_at,omitempty"`
	Active      bool          `json:"active"`
	ActivatedBy string        `json:"activated_by,omitempty"`
	ActivatedAt *time.Time    `json:"activated_at,omitempty"`
}

func releaseOut(r *schedules.Release) releaseJSON {
	out := releaseJSON{ID: r.ID, Version: r.Version, Released: r.Released, LoadedBy: r.LoadedBy, Active: r.Active, ActivatedBy: r.ActivatedBy, ActivatedAt: r.ActivatedAt}
	if !r.LoadedAt.IsZero() {
		out.LoadedAt = &r.LoadedAt
	}
	return out
}

func (s *server) scheduleList(c *gin.Context) (any, error) {
	all, err := s.Schedules.List(c.Request.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	out := struct {
		Releases    []releaseJSON `json:"releases"`
		SeasonsOver []string      `json:"seasons_over"` // vaccine groups whose season has ended
	}{[]releaseJSON{}, []string{}}
	for i := range all.Releases {
		out.Releases = append(out.Releases, releaseOut(&all.Releases[i]))
	}
	for _, season := range all.SeasonsOver {
		out.SeasonsOver = append(out.SeasonsOver, season.Group)
	}
	return out, nil
}

// loadSchedule takes the archive that CDC publishes as the body. It needs no idempotency
// key: a version that is there is refused.
func (s *server) loadSchedule(c *gin.Context) {
	// Of who may not, not even the archive is read.
	if err := principal(c).Require(auth.ManageProgramme, ""); err != nil {
		s.problem(c, err)
		return
	}
	released := coldkeep.Date(0)
	if v := c.Query("released"); v != "" {
		var err error
		if released, err = coldkeep.ParseDate(v); err != nil {
			s.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "released: want a date such as 2026-03-02"))
			return
		}
	}
	body, ok := s.file(c, maxRelease, "application/zip")
	if !ok {
		return
	}
	r, err := s.Schedules.Load(c.Request.Context(), principal(c), c.Query("version"), released, []schedules.Upload{{Name: "release.zip", Content: body}})
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(200, releaseOut(&r))
}

type releaseChoice struct {
	Release string `json:"release"` // "" the one that comes with the program
	Why     string `json:"why"`
}

type comparisonJSON struct {
	People  int               `json:"people"`
	Changed int               `json:"changed"`
	Groups  []groupChangeJSON `json:"vaccine_groups"`
	Gone    []string          `json:"gone"`
}

type groupChangeJSON struct {
	Group    string `json:"vaccine_group"`
	Risk     bool   `json:"risk"`
	Patients int    `json:"patients"`
	Appears  int    `json:"appears"`
	Vanishes int    `json:"vanishes"`
	Status   int    `json:"status_differs"`
	Dates    int    `json:"dates_differ"`
}

func (s *server) compareSchedule(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[releaseChoice](body)
	if err != nil {
		return nil, err
	}
	r, err := s.Schedules.Compare(c.Request.Context(), principal(c), v.Release, s.Immunizations)
	out := comparisonJSON{People: r.People, Changed: r.Changed, Groups: []groupChangeJSON{}, Gone: append([]string{}, r.Gone...)}
	for _, g := range r.Groups {
		out.Groups = append(out.Groups, groupChangeJSON{g.Group, g.Risk, g.Patients, g.Appears, g.Vanishes, g.Status, g.Dates})
	}
	return out, err
}

func (s *server) activateSchedule(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[releaseChoice](body)
	if err != nil {
		return nil, err
	}
	return struct {
		Active string `json:"active"`
	}{v.Release}, s.Schedules.Activate(c.Request.Context(), principal(c), v.Release, v.Why)
}
