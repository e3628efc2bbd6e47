package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// exposureWords say how long a lot was out of range in its life, and of how much that
// its maker allows. "" is never.
func exposureWords(l inventory.LotView) string {
	var parts []string
	for _, side := range []struct {
		word   string
		so     float64
		budget *int
	}{{"too warm", l.Exposure.Warm, l.Budget.Warm}, {"too cold", l.Exposure.Cold, l.Budget.Cold}} {
		switch {
		case side.budget != nil:
			parts = append(parts, fmt.Sprintf("%s of %s %s", hours(side.so), hours(float64(*side.budget)), side.word))
		case side.so > 0:
			parts = append(parts, hours(side.so)+" "+side.word)
		}
	}
	return strings.Join(parts, ", ")
}

// overBudget reports whether a lot was out of range for longer than its maker allows.
func overBudget(l inventory.LotView) bool {
	return l.Budget.Warm != nil && l.Exposure.Warm > float64(*l.Budget.Warm) || l.Budget.Cold != nil && l.Exposure.Cold > float64(*l.Budget.Cold)
}

// hours gives minutes as "45 min", "3 h 10 min", "120 h".
func hours(m float64) string {
	n := int(math.Ceil(m)) // a minute begun counts
	switch {
	case n < 60:
		return fmt.Sprintf("%d min", n)
	case n%60 == 0:
		return fmt.Sprintf("%d h", n/60)
	}
	return fmt.Sprintf("%d h %d min", n/60, n%60)
}

// stockWords say why the doses of a lot changed.
func stockWords(k inventory.StockKind) string {
	switch k {
	case inventory.StockReceived:
		return "received"
	case inventory.StockDrawn:
		return "given"
	case inventory.StockReturned:
		return "back on the lot"
	case inventory.StockCounted:
		return "counted"
	case inventory.StockWasted:
		return "wasted"
	}
	return string(k)
}

// signedCount gives a change with its sign, the minus as people print it.
func signedCount(n int) string {
	switch {
	case n > 0:
		return "+" + strconv.Itoa(n)
	case n < 0:
		return "−" + strconv.Itoa(-n)
	}
	return "0"
}

type stayRow struct {
	inventory.Placement
	Unit string
}

type exposedRow struct {
	inventory.Exposed
	Unit string
	Href string
}

type lotPage struct {
	inventory.LotView
	Loc     *time.Location
	At      string
	Expired bool
	InTime  []stayRow // the latest first
	Through []exposedRow
	Journal []inventory.StockEntry // the latest first
}

// BudgetHours is a budget as the form shows it.
func (lotPage) BudgetHours(m *int) string {
	if m == nil {
		return ""
	}
	return strconv.FormatFloat(float64(*m)/60, 'f', -1, 64)
}

func (s *server) lot(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	l, err := s.Inventory.Lot(ctx, who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	units, err := s.Templog.Units(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	sites, err := s.Templog.Sites(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := lotPage{LotView: l, Loc: time.UTC}
	for _, site := range sites {
		if site.ID == l.Site {
			p.Loc = zone(site)
		}
	}
	names := unitNames(units)
	if l.Where != nil {
		p.At = names[l.Where.Appliance].Name
	}
	p.Expired = l.Expired(s.Clock.Now().In(p.Loc))
	for i := len(l.Stays) - 1; i >= 0; i-- {
		p.InTime = append(p.InTime, stayRow{l.Stays[i], names[l.Stays[i].Appliance].Name})
	}
	for _, x := range l.Exposure.Of {
		p.Through = append(p.Through, exposedRow{x, names[x.Appliance].Name, "/units/" + string(x.Appliance) + "/excursions/" + x.ID})
	}
	if p.Journal, err = s.Inventory.Journal(ctx, who, l.ID); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "lot", &page{Title: l.Product + " " + l.Number, Nav: "lots", Data: &p})
}

func (s *server) setBudget(c *gin.Context) {
	err := func() error {
		b := inventory.Budget{Source: c.PostForm("source")}
		for field, into := range map[string]**int{"warm": &b.Warm, "cold": &b.Cold} {
			text := strings.Replace(strings.TrimSpace(c.PostForm(field)), ",", ".", 1)
			if text == "" {
				continue
			}
			h, err := strconv.ParseFloat(text, 64)
			if err != nil || !(h >= 0 && h < 100_000) {
				return coldkeep.Errorf(coldkeep.EINVALID, "Hours too %s: %.20q is not a number.", field, c.PostForm(field))
			}
			m := int(math.Round(h * 60))
			*into = &m
		}
		return s.Inventory.SetBudget(c.Request.Context(), principal(c), c.Param("id"), b)
	}()
	s.done(c, "/lots/"+c.Param("id"), "What the lot may bear has been recorded.", err)
}
