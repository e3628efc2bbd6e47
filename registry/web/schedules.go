package web

import (
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/schedules"
)

// scheduleRoutes are the administrator's screens for the immunization schedule; all ask
// for manage-programme.
func (s *server) scheduleRoutes(in *gin.RouterGroup) {
	in.GET("/admin/schedules", s.scheduleList)
	in.POST("/admin/schedules/compare", s.compareSchedule)
	in.POST("/admin/schedules/activate", s.activateSchedule)
}

// maxRelease bounds an upload: CDC's archive has 2 MB.
const maxRelease = 70 << 20

type schedulePage struct {
	schedules.Overview
	Compared   *schedules.Comparison
	ComparedTo string
}

func (s *server) scheduleList(c *gin.Context) { s.showSchedules(c, nil, "") }

func (s *server) showSchedules(c *gin.Context, with *schedules.Comparison, id string) {
	all, err := s.Schedules.List(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "schedules", &page{Title: "Immunization schedule", Nav: "schedules", Path: "/admin/schedules", Data: schedulePage{all, with, id}})
}

func (s *server) loadSchedule(c *gin.Context) {
	// Of who may not, not even the files are read.
	if err := principal(c).Require(auth.ManageProgramme, ""); err != nil {
		s.fail(c, err)
		return
	}
	version, released, uploads, err := scheduleUpload(c)
	if err == nil {
		_, err = s.Schedules.Load(c.Request.Context(), principal(c), version, released, uploads)
	}
	s.done(c, "/admin/schedules", "The release has been loaded. Compare it, then activate it.", err)
}

func scheduleUpload(c *gin.Context) (string, coldkeep.Date, []schedules.Upload, error) {
	form, err := c.MultipartForm()
	if err != nil {
		return "", 0, nil, coldkeep.Errorf(coldkeep.EINVALID, "Files: the upload is too large or was cut off.")
	}
	released := coldkeep.Date(0)
	if v := strings.TrimSpace(c.PostForm("released")); v != "" {
		if released, err = coldkeep.ParseDate(v); err != nil {
			return "", 0, nil, coldkeep.Errorf(coldkeep.EINVALID, "Released: want a date such as 2026-03-02.")
		}
	}
	var out []schedules.Upload
	for _, h := range form.File["files"] {
		f, err := h.Open()
		if err != nil {
			return "", 0, nil, coldkeep.Wrap(err, coldkeep.EINVALID, "web.scheduleUpload", "Files: %s could not be read.", h.Filename)
		}
		b, err := io.ReadAll(f)
		_ = f.Close() // it was read only
		if err != nil {
			return "", 0, nil, coldkeep.Wrap(err, coldkeep.EINVALID, "web.scheduleUpload", "Files: %s could not be read.", h.Filename)
		}
		out = append(out, schedules.Upload{Name: h.Filename, Content: b})
	}
	return c.PostForm("version"), released, out, nil
}

func (s *server) compareSchedule(c *gin.Context) {
	r, err := s.Schedules.Compare(c.Request.Context(), principal(c), c.PostForm("release"), s.Immunizations)
	if err != nil {
		s.done(c, "/admin/schedules", "", err)
		return
	}
	s.showSchedules(c, &r, c.PostForm("release"))
}

func (s *server) activateSchedule(c *gin.Context) {
	err := s.Schedules.Activate(c.Request.Context(), principal(c), c.PostForm("release"), c.PostForm("why"))
	s.done(c, "/admin/schedules", "The schedule is in force. Forecasts are made by it from now on.", err)
}
