package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// undeductedRoutes are the doses that came by message, were given from a practice's stock and
// could not be taken off it: for who has manage-stock and view-patients.
func (s *server) undeductedRoutes(in *gin.RouterGroup) {
	in.GET(undeductedPath, s.undeducted)
	in.POST(undeductedPath+"/:dose/deduct", s.deduct)
	in.POST(undeductedPath+"/:dose/settle", s.settleUndeducted)
}

const undeductedPath = "/lots/not-deducted"

// undeductedShown is how many doses a page has.
const undeductedShown = 50

// triedKey is where a session keeps which dose somebody has just tried to take off in vain, so
// that the page says so beside it.
const triedKey = "tried"

// obstacle is why a dose was not taken off the stock, for who works in a clinic, and what to
// do about it.
type obstacle struct {
	Why, Do string
	OnDose  bool // it is to be put right on the dose
	OnLots  bool // … or in the stock
}

// obstacles are those of every exchange.UndeductedCodes.
var obstacles = map[string]obstacle{
	exchange.NoFacility: {"The message does not say that the dose was given at this practice.",
		"If it was given here from your stock, take it off. If not, settle it.", false, false},
	exchange.NoLotNumber: {"No lot number came with the dose.",
		"Choose the lot on the dose, which takes it off at once.", true, false},
	exchange.UnknownLot: {"Your stock has no lot with this number.",
		"Receive the lot, then take the dose off. If the number is mistyped, choose the right lot on the dose.", true, true},
	exchange.OtherVaccine: {"Your lot with this number is of another vaccine than the dose.",
		"Compare the dose with the vial. Correct what is wrong on it: the vaccine or the lot.", true, false},
	exchange.ExpiredLot: {"The lot had expired on the day the dose was given.",
		"Check the day and the lot on the dose. If the expired vaccine was given, say on the dose that it cannot be trusted, count the lot, and settle it here.", true, true},
	exchange.WrongFunding: {"The lot was bought with other money than this patient’s vaccine may be: public (VFC, 317, state) or private.",
		"Correct the eligibility on the dose, or choose the lot that was used. If a dose was borrowed, count both lots, note it on the borrowing form, and settle it here.", true, true},
	exchange.NoneLeft: {"By the books the lot has no dose left.",
		"Count the lot and correct it, then take the dose off. If your count is without this dose already, settle it.", false, true},
	exchange.SameDay: {"A dose of this vaccine was taken off for this patient on that day already.",
		"It is most likely the same dose, entered here and sent by the EHR too: settle it. If two were given, choose the lot on this dose.", true, false},
}

// undeductedRow is a dose on the page.
type undeductedRow struct {
	exchange.Undeducted
	Vaccine  string // the name; "" when the code is not known
	Obstacle obstacle
	Tried    bool // just now, in vain
	MayTake  bool // the person may record doses at that site, which taking one off is
}

type undeductedPage struct {
	dates
	Rows     []undeductedRow
	Total    int
	From, To int // of Total, from 1
	Before   string
	After    string          // the pages beside this one; "" is that there is none
	Number   int             // of this one, from 1
	Site     coldkeep.SiteID // asked for by the programme's people; "" their own, or all
}

// undeductedQuery is the address of a page of the list.
func undeductedQuery(site coldkeep.SiteID, number int) string {
	q := url.Values{}
	if site != "" {
		q.Set("site", string(site))
	}
	if number > 1 {
		q.Set("page", strconv.Itoa(number))
	}
	if len(q) == 0 {
		return undeductedPath
	}
	return undeductedPath + "?" + q.Encode()
}

// undeductedPlace reads which page of the list is asked for. A person of the programme may ask
// for one site; who acts for a site has that one.
func undeductedPlace(who auth.Principal, value func(string) string) (site coldkeep.SiteID, number int) {
	if site = coldkeep.SiteID(value("site")); site == "" {
		site = who.Site
	}
	return site, int(min(max(whole(value("page")), 1), 1_000_000))
}

func (s *server) undeducted(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	site, number := undeductedPlace(who, c.Query)
	list, total, err := s.Exchange.Undeducted(ctx, who, site, (number-1)*undeductedShown, undeductedShown)
	if err == nil && len(list) == 0 && total > 0 { // the last of its page was settled
		number = (total + undeductedShown - 1) / undeductedShown
		list, total, err = s.Exchange.Undeducted(ctx, who, site, (number-1)*undeductedShown, undeductedShown)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	asked := site
	if asked == who.Site {
		asked = "" // that goes without saying
	}
	tried := s.sessions.PopString(ctx, triedKey)
	p := undeductedPage{Total: total, From: (number-1)*undeductedShown + 1, Site: asked, Number: number}
	p.To = p.From + len(list) - 1
	if number > 1 {
		p.Before = undeductedQuery(asked, number-1)
	}
	if p.To < total {
		p.After = undeductedQuery(asked, number+1)
	}
	codes := s.Immunizations.Codes()
	for _, u := range list {
		r := undeductedRow{Undeducted: u, Obstacle: obstacles[u.Code], Tried: tried != "" && u.Dose == tried, MayTake: who.May(auth.RecordDoses, u.Site)}
		if v, ok := codes.CVX(u.CVX); ok {
			r.Vaccine = v.Name
		}
		p.Rows = append(p.Rows, r)
	}
	s.render(c, http.StatusOK, "undeducted", &page{Title: "Doses not taken off the stock", Nav: "lots", Data: p})
}

// undeductedBack is the page that a form was sent from, at the dose.
func undeductedBack(c *gin.Context) string {
	site, number := undeductedPlace(auth.Principal{}, c.PostForm)
	return undeductedQuery(site, number) + "#d-" + c.Param("dose")
}

func (s *server) deduct(c *gin.Context) {
	ctx, dose := c.Request.Context(), c.Param("dose")
	reason, err := s.Exchange.Deduct(ctx, principal(c), dose)
	if err == nil && reason != "" {
		s.sessions.Put(ctx, triedKey, dose)
		s.flash(c, "error:The dose could not be taken off the stock: see why beside it.")
		c.Redirect(http.StatusSeeOther, undeductedBack(c))
		return
	}
	s.done(c, undeductedBack(c), "The dose has been taken off the stock.", err)
}

func (s *server) settleUndeducted(c *gin.Context) {
	err := s.Exchange.Settle(c.Request.Context(), principal(c), c.Param("dose"), c.PostForm("why"))
	s.done(c, undeductedBack(c), "The dose has been settled. Nothing was taken off the stock.", err)
}

// undeductedAt tells how many doses wait at each of the person's sites; nothing for who does
// not keep stock.
func (s *server) undeductedAt(c *gin.Context) (map[coldkeep.SiteID]int, error) {
	who := principal(c)
	if !who.Anywhere(auth.ManageStock) || !who.Anywhere(auth.ViewPatients) {
		return nil, nil
	}
	return s.Exchange.CountUndeducted(c.Request.Context(), who)
}
