package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/templog"
)

type excursionPage struct {
	coldkeep.Excursion
	Unit      templog.Unit
	Loc       *time.Location
	Chart     string // the unit's page about that time
	Alert     *alertView
	Hold      *inventory.Hold
	Revisions []coldkeep.Excursion // the latest first
	Verdicts  []verdictRow         // of the other profiles; nil when the collector cannot say
	Now       time.Time
}

// verdictRow is what one profile would have said.
type verdictRow struct {
	Profile string
	This    bool // the one that judged
	Says    []coldkeep.Excursion
}

func (s *server) excursion(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	u, site, err := s.Templog.Unit(ctx, who, coldkeep.ApplianceID(c.Param("id")))
	if err != nil {
		s.fail(c, err)
		return
	}
	x, err := s.Templog.Excursion(ctx, who, c.Param("excursion"))
	if err == nil && x.Appliance != u.ID {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such excursion of this unit.")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	now := s.Clock.Now()
	p := excursionPage{Excursion: x, Unit: u, Loc: zone(site), Chart: "/units/" + string(u.ID) + about(x, now) + "#h-chart", Now: now}
	if p.Revisions, err = s.Templog.Revisions(ctx, who, x.ID); err != nil {
		s.fail(c, err)
		return
	}
	slices.Reverse(p.Revisions)
	hold, err := s.Inventory.HoldOf(ctx, who, x.ID)
	switch coldkeep.ErrorCode(err) {
	case "":
		p.Hold = &hold
	case coldkeep.ENOTFOUND:
	default:
		s.fail(c, err)
		return
	}
	if alerts, err := s.alertList(ctx, who, false); err == nil {
		views := alertViews(alerts, []templog.Unit{u})
		if i := slices.IndexFunc(views, func(a alertView) bool { return a.Excursion.ID == x.ID }); i >= 0 {
			p.Alert = &views[i]
		}
	}
	p.Verdicts = s.verdicts(ctx, &x)
	s.render(c, http.StatusOK, "excursion", &page{Title: kindWords(x.Kind) + ", " + u.Name, Nav: "units", Data: p})
}

// verdicts asks the collector what each profile says of a temperature's excursion.
func (s *server) verdicts(ctx context.Context, x *coldkeep.Excursion) []verdictRow {
	if s.Verdicts == nil || !measured(x.Kind) {
		return nil
	}
	all, err := ask(ctx, &s.lost, func(ctx context.Context) ([]coldkeep.Verdict, error) { return s.Verdicts.Verdicts(ctx, x.ID) })
	if err != nil {
		if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			s.Log.Warn("verdicts of other profiles", "excursion", x.ID, "err", err)
		}
		return nil
	}
	out := make([]verdictRow, len(all))
	for i, v := range all {
		// A unit with a range of its own is judged by "name@version+site".
		out[i] = verdictRow{Profile: v.Profile, This: v.Profile == x.Profile, Says: v.Excursions}
	}
	return out
}

// calls is what an excursion asks for, as people say it.
func calls(actions []coldkeep.Action) string {
	most := coldkeep.Action("")
	for _, a := range actions {
		if a.Rank() > most.Rank() {
			most = a
		}
	}
	switch most {
	case coldkeep.ActionHold:
		return "call a person, hold the lots"
	case coldkeep.ActionAlert:
		return "call a person"
	case coldkeep.ActionWarn:
		return "show a warning"
	case coldkeep.ActionLog:
		return "log it"
	}
	return strings.ToLower(string(most))
}
