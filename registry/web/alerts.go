package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// alertView is an alert with the name of what it is about, a unit or a device, and the
// page of that.
type alertView struct {
	coldkeep.Alert
	Unit string
	Href string
}

// Measured reports whether the alert is of a temperature.
func (a alertView) Measured() bool { return measured(a.Excursion.Kind) }

// Device reports whether the alert is of a device and not of a unit.
func (a alertView) Device() bool { return a.Excursion.Kind == coldkeep.DeviceFault }

// about is what alerts are grouped by.
func (a alertView) about() string {
	if a.Device() {
		return "device/" + a.Excursion.Probe
	}
	return "unit/" + string(a.Appliance)
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
		v := alertView{Alert: a, Unit: string(a.Appliance), Href: "/units/" + string(a.Appliance)}
		if u, ok := names[a.Appliance]; ok {
			v.Unit = u.Name
		}
		if v.Device() {
			_, agent, _ := strings.Cut(a.Excursion.Probe, "/")
			v.Unit, v.Href = "Device "+agent, "/devices#"+deviceAnchor(a.Excursion.Probe)
		}
		out[i] = v
	}
	return out
}

// unitAlerts are the open alerts of one unit or device, the worst first.
type unitAlerts struct {
	Appliance coldkeep.ApplianceID
	Unit      string
	Site      coldkeep.SiteID
	Alerts    []alertView
}

// Worst is the alert that stands for the unit.
func (u unitAlerts) Worst() *alertView { return &u.Alerts[0] }

// Others says how many alerts the unit has besides its worst; "" for none.
func (u unitAlerts) Others() string {
	n := len(u.Alerts) - 1
	if n == 0 {
		return ""
	}
	word := "earlier"
	for _, a := range u.Alerts[1:] {
		if !a.RaisedAt.Before(u.Alerts[0].RaisedAt) {
			word = "more"
		}
	}
	return fmt.Sprintf("and %d %s", n, word)
}

// byUnit groups open alerts. A unit that is still out comes before one that is
// back, then the one whose alert is the latest; within a unit an excursion that is
// still out comes first, then the one farthest out of range.
func byUnit(alerts []alertView, units []templog.Unit) []unitAlerts {
	names := unitNames(units)
	var out []unitAlerts
	at := map[string]int{}
	for _, a := range alerts {
		if !a.Open() {
			continue
		}
		i, known := at[a.about()]
		if !known {
			i = len(out)
			at[a.about()] = i
			out = append(out, unitAlerts{Appliance: a.Appliance, Unit: a.Unit, Site: a.Site})
		}
		out[i].Alerts = append(out[i].Alerts, a)
	}
	for _, u := range out {
		slices.SortStableFunc(u.Alerts, func(a, b alertView) int {
			return cmp.Or(stillOutFirst(&a, &b), cmp.Compare(beyond(b, names), beyond(a, names)), b.RaisedAt.Compare(a.RaisedAt))
		})
	}
	slices.SortStableFunc(out, func(a, b unitAlerts) int {
		return cmp.Or(stillOutFirst(a.Worst(), b.Worst()), b.Worst().RaisedAt.Compare(a.Worst().RaisedAt))
	})
	return out
}

func stillOutFirst(a, b *alertView) int {
	switch out := a.Excursion.State == coldkeep.ExcursionOpen; {
	case out == (b.Excursion.State == coldkeep.ExcursionOpen):
		return 0
	case out:
		return -1
	}
	return 1
}

// beyond is by how many °C an excursion went beyond its unit's range.
func beyond(a alertView, units map[coldkeep.ApplianceID]templog.Unit) float64 {
	if !a.Measured() {
		return -1 // a temperature tells more
	}
	rules, err := templog.Rules(units[a.Appliance].Appliance)
	if err != nil {
		return 0
	}
	if a.Excursion.Kind == coldkeep.TooCold {
		return rules.Low.Celsius() - a.Excursion.Extreme.Celsius()
	}
	return a.Excursion.Extreme.Celsius() - rules.High.Celsius()
}

type alertsPage struct {
	Alerts []alertView
	Many   []unitAlerts // units with more than one open alert
	Away   bool
}

// several are the units with more than one open alert.
func several(groups []unitAlerts) []unitAlerts {
	return slices.DeleteFunc(groups, func(u unitAlerts) bool { return len(u.Alerts) < 2 || u.Appliance == "" })
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
	views := alertViews(alerts, units)
	s.render(c, http.StatusOK, "alerts", &page{Title: "Alerts", Nav: "alerts",
		Data: alertsPage{Alerts: views, Many: several(byUnit(views, units)), Away: err != nil}})
}

// acknowledge answers an alert in the name of who is signed in. The alert is the
// collector's; that it was answered here is in the registry's trail too.
func (s *server) acknowledge(c *gin.Context) {
	who, id, note := principal(c), c.Param("id"), strings.TrimSpace(c.PostForm("note"))
	back := local(c.PostForm("back"), "/alerts")
	err := s.answerAlert(c.Request.Context(), who, id, note)
	s.done(c, back, "Acknowledged by "+who.Name+".", err)
}

// acknowledgeUnit answers the alerts of a unit that the form names: those that the
// person has seen, and none that was raised since.
func (s *server) acknowledgeUnit(c *gin.Context) {
	who, note := principal(c), strings.TrimSpace(c.PostForm("note"))
	back := local(c.PostForm("back"), "/alerts")
	n, err := s.answerAlerts(c.Request.Context(), who, coldkeep.ApplianceID(c.Param("id")), c.PostFormArray("alert"), note)
	s.done(c, back, fmt.Sprintf("%d alerts acknowledged by %s.", n, who.Name), err)
}

func (s *server) answerAlerts(ctx context.Context, who auth.Principal, unit coldkeep.ApplianceID, ids []string, note string) (int, error) {
	if _, _, err := s.Templog.Unit(ctx, who, unit); err != nil {
		return 0, err
	}
	alerts, err := s.alertList(ctx, who, true)
	if err != nil {
		return 0, unavailable(err)
	}
	n := 0
	for _, a := range alerts {
		if a.Appliance != unit || !slices.Contains(ids, a.ID) {
			continue
		}
		if err := s.answer(ctx, who, []coldkeep.Alert{a}, a.ID, note); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, coldkeep.Errorf(coldkeep.ECONFLICT, "These alerts have been acknowledged already.")
	}
	return n, nil
}

func (s *server) answerAlert(ctx context.Context, who auth.Principal, id, note string) error {
	alerts, err := s.alertList(ctx, who, false)
	if err != nil {
		return unavailable(err)
	}
	return s.answer(ctx, who, alerts, id, note)
}

// answer acknowledges one of the alerts and records who did.
func (s *server) answer(ctx context.Context, who auth.Principal, alerts []coldkeep.Alert, id, note string) error {
	if len(note) > 2000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Note: want at most 2000 characters.")
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
		Subject: "alert/" + id, Site: alerts[i].Site, Why: note, Detail: alertDetail(&alerts[i])})
}

// alertDetail says what an alert was about.
func alertDetail(a *coldkeep.Alert) string {
	kind := strings.ToLower(kindWords(a.Excursion.Kind))
	if a.Excursion.Kind == coldkeep.DeviceFault {
		return "device " + a.Excursion.Probe + ", " + kind
	}
	return "unit " + string(a.Appliance) + ", " + kind
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
