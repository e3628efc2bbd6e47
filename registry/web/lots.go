package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// holdView is a hold with the lots in it.
type holdView struct {
	inventory.Hold
	Unit      string
	Excursion *coldkeep.Excursion // as far as the registry has it
	Href      string              // to the unit's page at that time
	Waiting   []heldLot           // for a person
	Decided   []heldLot
	Proposals []inventory.Proposal // open
	Recall    *recall.Cold         // of those who were given doses that do not count; absent: none
}

type heldLot struct {
	inventory.LotView
	In    inventory.HoldLot
	At    string // the unit where it stands now
	Given int    // doses given from it on the day the hold began, or later
}

type lotRow struct {
	inventory.LotView
	At      string
	Expired bool
}

type lotsPage struct {
	Holds []holdView // those that wait for a person
	Past  []holdView // those that do not
	Lots  []lotRow
	Units []templog.Unit
	Sites []coldkeep.Site
	// Undeducted is how many doses were given and not taken off the stock, as far as the person
	// keeps it.
	Undeducted int
}

func (s *server) lots(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	stock, err := s.Inventory.Stock(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := lotsPage{}
	if p.Units, err = s.Templog.Units(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	if p.Sites, err = s.Templog.Sites(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	names, zones := unitNames(p.Units), map[coldkeep.SiteID]*time.Location{}
	for _, site := range p.Sites {
		zones[site.ID] = zone(site)
	}
	at := func(l inventory.LotView) string {
		if l.Where == nil {
			return ""
		}
		return names[l.Where.Appliance].Name
	}
	now := s.Clock.Now()
	for _, h := range stock.Holds {
		v := holdView{Hold: h, Unit: names[h.Appliance].Name, Href: "/units/" + string(h.Appliance) + span{Key: "24h", At: h.Since}.query()}
		x, err := s.Templog.Excursion(ctx, who, h.Excursion)
		switch {
		case err == nil:
			v.Excursion, v.Href = &x, "/units/"+string(h.Appliance)+about(x, now)+"#excursions"
		case coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
			s.fail(c, err)
			return
		}
		for _, l := range stock.Lots {
			for _, on := range l.Holds {
				if on.Hold != h.ID {
					continue
				}
				held := heldLot{LotView: l, In: on.HoldLot, At: at(l)}
				if held.Given, err = s.Inventory.GivenUnderHold(ctx, who, h.ID, l.ID); err != nil {
					s.fail(c, err)
					return
				}
				if on.State == inventory.Held {
					v.Waiting = append(v.Waiting, held)
				} else {
					v.Decided = append(v.Decided, held)
				}
			}
		}
		if len(v.Decided) > 0 && (who.May(auth.RecallPatients, h.Site) || who.May(auth.CallPatients, h.Site)) {
			if v.Recall, err = s.Recall.ColdOfHold(ctx, who, h.ID); err != nil {
				s.fail(c, err)
				return
			}
		}
		v.Proposals = slices.DeleteFunc(slices.Clone(stock.Proposals), func(q inventory.Proposal) bool { return q.Hold != h.ID || !q.Open() })
		if len(v.Waiting)+len(v.Proposals) > 0 {
			p.Holds = append(p.Holds, v)
		} else {
			p.Past = append(p.Past, v)
		}
	}
	for _, l := range stock.Lots {
		p.Lots = append(p.Lots, lotRow{LotView: l, At: at(l), Expired: zones[l.Site] != nil && l.Expired(now.In(zones[l.Site]))})
	}
	waiting, err := s.undeductedAt(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	for _, n := range waiting {
		p.Undeducted += n
	}
	s.render(c, http.StatusOK, "lots", &page{Title: "Lots", Nav: "lots", Data: p})
}

// formTime reads a datetime-local field in the time zone of a site that the person
// may see; an empty one is fallback.
func (s *server) formTime(c *gin.Context, field string, site coldkeep.SiteID, fallback time.Time) (time.Time, error) {
	v := c.PostForm(field)
	if v == "" {
		return fallback, nil
	}
	sites, err := s.Templog.Sites(c.Request.Context(), principal(c))
	if err != nil {
		return time.Time{}, err
	}
	loc := time.UTC
	for _, x := range sites {
		if x.ID == site {
			loc = zone(x)
		}
	}
	for _, layout := range []string{inputLayout, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, v, loc); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, coldkeep.Errorf(coldkeep.EINVALID, "%s: %q is not a date and time.", field, v)
}

// siteOf is the site of a unit that the person may see.
func (s *server) siteOf(c *gin.Context, unit coldkeep.ApplianceID) (coldkeep.SiteID, error) {
	u, _, err := s.Templog.Unit(c.Request.Context(), principal(c), unit)
	return u.Site, err
}

func formNumber(c *gin.Context, field string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(c.PostForm(field)))
	if err != nil {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a whole number.", field)
	}
	return n, nil
}

func (s *server) receiveLot(c *gin.Context) {
	unit := coldkeep.ApplianceID(c.PostForm("unit"))
	err := func() error {
		site, err := s.siteOf(c, unit)
		if err != nil {
			return err
		}
		doses, err := formNumber(c, "doses")
		if err != nil {
			return err
		}
		from, err := s.formTime(c, "from", site, s.Clock.Now())
		if err != nil {
			return err
		}
		l := inventory.Lot{
			Site: site, Number: c.PostForm("number"), Product: c.PostForm("product"), CVX: strings.TrimSpace(c.PostForm("cvx")), NDC: c.PostForm("ndc"),
			MVX: strings.TrimSpace(c.PostForm("mvx")), Expires: c.PostForm("expires"), Funding: inventory.Funding(c.PostForm("funding")), DosesOnHand: doses,
		}
		if err := s.byNDC(&l); err != nil {
			return err
		}
		_, err = s.Inventory.Receive(c.Request.Context(), principal(c), l, unit, from)
		return err
	}()
	s.done(c, "/lots", "The lot is in stock.", err)
}

// byNDC completes a lot from its NDC as it is printed on the box, with ten digits or eleven:
// what the code sets know of it need not be typed. EINVALID when another vaccine was typed
// than the NDC is of: every dose of the lot would be recorded as the wrong one.
func (s *server) byNDC(l *inventory.Lot) error {
	p, known := s.Immunizations.Codes().NDC(l.NDC)
	if !known {
		if forms := vaccine.NDCForms(l.NDC); len(forms) == 1 {
			l.NDC = forms[0]
		}
		return nil
	}
	if l.CVX != "" && l.CVX != p.CVX {
		return coldkeep.Errorf(coldkeep.EINVALID, "CVX: NDC %s is %s, whose CVX is %s. Correct the NDC or the CVX.", p.NDC, p.Name, p.CVX)
	}
	l.NDC, l.CVX = p.NDC, p.CVX
	l.MVX, l.Product = cmp.Or(l.MVX, p.MVX), cmp.Or(strings.TrimSpace(l.Product), p.Name)
	return nil
}

func (s *server) moveLot(c *gin.Context) {
	unit := coldkeep.ApplianceID(c.PostForm("unit"))
	err := func() error {
		site, err := s.siteOf(c, unit)
		if err != nil {
			return err
		}
		at, err := s.formTime(c, "at", site, s.Clock.Now())
		if err != nil {
			return err
		}
		return s.Inventory.Move(c.Request.Context(), principal(c), c.Param("id"), unit, at)
	}()
	s.done(c, "/lots", "The lot has been moved.", err)
}

func (s *server) countLot(c *gin.Context) {
	err := func() error {
		doses, err := formNumber(c, "doses")
		if err != nil {
			return err
		}
		return s.Inventory.SetDoses(c.Request.Context(), principal(c), c.Param("id"), doses, c.PostForm("reason"))
	}()
	s.done(c, "/lots", "The doses on hand have been corrected.", err)
}

func (s *server) decideHold(c *gin.Context) {
	outcome := inventory.HoldState(c.PostForm("outcome"))
	err := s.Inventory.DecideLot(c.Request.Context(), principal(c), inventory.Decision{Hold: c.Param("id"), Lot: c.Param("lot"), Outcome: outcome,
		Why: c.PostForm("reason"), Given: c.PostForm("given") != "" && outcome == inventory.Wasted})
	if err == nil && c.PostForm("given") != "" {
		// Nobody who was given a dose is forgotten; should this fail, the registry does it later.
		if _, e := s.Recall.Open(c.Request.Context()); e != nil {
			s.Log.Error("recall after a decision", "err", e)
		}
	}
	word := "The lot has been released."
	if outcome == inventory.Wasted {
		word = "The lot has been marked as waste."
		if c.PostForm("given") != "" {
			word += " Doses given from it no longer count: those patients are due again, and a recall of them is open."
		}
	}
	s.done(c, "/lots", word, err)
}

func (s *server) decideProposal(c *gin.Context) {
	answer := c.PostForm("answer")
	err := error(coldkeep.Errorf(coldkeep.EINVALID, "Answer: want accept or dismiss."))
	if answer == "accept" || answer == "dismiss" {
		err = s.Inventory.DecideProposal(c.Request.Context(), principal(c), c.Param("id"), answer == "accept", c.PostForm("reason"))
	}
	s.done(c, "/lots", "Decided.", err)
}
