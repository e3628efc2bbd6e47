package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// alertView is an alert with the name of its unit.
type alertView struct {
	coldkeep.Alert
	Unit string
}

// Open reports whether nobody has answered yet.
func (a alertView) Open() bool { return a.State == coldkeep.AlertOpen }

// alertList asks the collector for the alerts that who may see, newest first.
func (s *server) alertList(ctx context.Context, who auth.Principal, onlyOpen bool) ([]coldkeep.Alert, error) {
	all, err := ask(ctx, &s.lost, func(ctx context.Context) ([]coldkeep.Alert, error) {
		return s.Inbox.Alerts(ctx, who.Site, onlyOpen)
	})
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Clone(all), func(a coldkeep.Alert) bool {
		return !who.May(auth.View, a.Site) || onlyOpen && a.State != coldkeep.AlertOpen
	})
	slices.SortStableFunc(out, func(a, b coldkeep.Alert) int { return b.RaisedAt.Compare(a.RaisedAt) })
	return out, nil
}

func alertViews(alerts []coldkeep.Alert, units []templog.Unit) []alertView {
	names := unitNames(units)
	out := make([]alertView, len(alerts))
	for i, a := range alerts {
		name := string(a.Appliance)
		if u, ok := names[a.Appliance]; ok {
			name = u.Name
		}
		out[i] = alertView{Alert: a, Unit: name}
	}
	return out
}

type alertsPage struct {
	Alerts []alertView
	Away   bool
}

func (s *server) alerts(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	alerts, err := s.alertList(ctx, who, false)
	slices.SortStableFunc(alerts, func(a, b coldkeep.Alert) int { // open ones first
		return strings.Compare(string(b.State), string(a.State))
	})
	s.render(c, http.StatusOK, "alerts", &page{Title: "Alerts", Nav: "alerts",
		Data: alertsPage{Alerts: alertViews(alerts, units), Away: err != nil}})
}

// acknowledge answers an alert in the name of who is signed in. The alert is the
// collector's; that it was answered here is in the registry's trail too.
func (s *server) acknowledge(c *gin.Context) {
	who, id, note := principal(c), c.Param("id"), strings.TrimSpace(c.PostForm("note"))
	back := local(c.PostForm("back"), "/alerts")
	err := s.answerAlert(c.Request.Context(), who, id, note)
	s.done(c, back, "Acknowledged by "+who.Name+".", err)
}

func (s *server) answerAlert(ctx context.Context, who auth.Principal, id, note string) error {
	if len(note) > 2000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Note: want at most 2000 characters.")
	}
	alerts, err := s.alertList(ctx, who, false)
	if err != nil {
		return unavailable(err)
	}
	i := slices.IndexFunc(alerts, func(a coldkeep.Alert) bool { return a.ID == id })
	if i < 0 {
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such alert.")
	}
	if err := who.Require(auth.Acknowledge, alerts[i].Site); err != nil {
		return err
	}
	if alerts[i].State == coldkeep.AlertAcknowledged {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "%s has acknowledged it already.", alerts[i].AcknowledgedBy)
	}
	if err := s.Inbox.Acknowledge(ctx, id, who.Name, note); err != nil {
		return unavailable(err)
	}
	return s.Trail.Record(ctx, audit.Entry{At: s.Clock.Now(), WhoID: who.ID, Who: who.Name, What: "alert.acknowledge",
		Subject: "alert/" + id, Site: alerts[i].Site, Why: note, Detail: "unit " + string(alerts[i].Appliance)})
}

// unavailable is for errors of the collector: whatever has gone wrong there, the
// person is told that it does not answer, unless it said what is wrong itself.
func unavailable(err error) error {
	switch coldkeep.ErrorCode(err) {
	case coldkeep.EINTERNAL, coldkeep.EUNAVAILABLE:
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "web", "The collector does not answer. The alert is still open; try again in a moment.")
	}
	return err
}
