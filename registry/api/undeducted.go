package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// undeductedRoutes are the doses that messages told of as given from a practice's stock and
// that could not be taken off it: manage-stock and view-patients.
func (s *server) undeductedRoutes(v1 *gin.RouterGroup) {
	v1.GET("/exchange/not-deducted", s.get(s.undeducted))
	v1.POST("/exchange/not-deducted/:dose/deduct", s.post(4<<10, s.deduct))
	v1.POST("/exchange/not-deducted/:dose/settle", s.post(16<<10, s.settleUndeducted))
}

// undeductedJSON is a dose that waits. Of a record that is locked to the caller, only site and
// since are told.
type undeductedJSON struct {
	Dose    string          `json:"dose,omitempty"`
	Site    coldkeep.SiteID `json:"site"`
	Since   time.Time       `json:"since"` // when the message came that told of it
	Locked  bool            `json:"locked,omitempty"`
	Given   coldkeep.Date   `json:"given,omitzero"`
	CVX     string          `json:"cvx,omitempty"`
	Lot     string          `json:"lot,omitempty"`
	Patient string          `json:"patient,omitempty"`
	Name    *nameJSON       `json:"name,omitempty"`
	Birth   coldkeep.Date   `json:"birth,omitzero"`
	Account string          `json:"account,omitempty"`
	Sender  string          `json:"sender,omitempty"`
	Message string          `json:"message,omitempty"`
	Code    string          `json:"code,omitempty"`
	Reason  string          `json:"reason,omitempty"`
}

func undeductedOut(u *exchange.Undeducted) undeductedJSON {
	out := undeductedJSON{Dose: u.Dose, Site: u.Site, Since: u.At, Locked: u.Locked, Given: u.Given, CVX: u.CVX, Lot: u.Lot, Patient: u.Patient, Birth: u.Birth, Account: u.Account, Sender: u.Sender, Message: u.Message, Code: u.Code, Reason: u.Reason}
	if u.Patient != "" {
		out.Name = &nameJSON{Family: u.Name.Family, Given: u.Name.Given, Middle: u.Name.Middle, Suffix: u.Name.Suffix}
	}
	return out
}

type undeductedListJSON struct {
	Total int              `json:"total"` // of all pages
	Doses []undeductedJSON `json:"doses"`
}

func (s *server) undeducted(c *gin.Context) (any, error) {
	skip, err := queryInt(c, "skip", 0, 1<<31)
	if err != nil {
		return nil, err
	}
	limit, err := queryInt(c, "limit", 0, exchange.MostUndeducted)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 50
	}
	by := principal(c)
	site := coldkeep.SiteID(c.Query("site"))
	if site == "" {
		site = by.Site
	}
	list, total, err := s.Exchange.Undeducted(c.Request.Context(), by, site, int(skip), int(limit))
	return undeductedListJSON{total, each(list, undeductedOut)}, err
}

// deductedJSON is what came of taking a dose off the stock.
type deductedJSON struct {
	Dose     string `json:"dose"`
	Deducted bool   `json:"deducted"`
	Reason   string `json:"reason,omitempty"` // that speaks against it still
}

func (s *server) deduct(c *gin.Context, _ []byte) (any, error) {
	reason, err := s.Exchange.Deduct(c.Request.Context(), principal(c), c.Param("dose"))
	return deductedJSON{c.Param("dose"), reason == "", reason}, err
}

type settleJSON struct {
	Why string `json:"why"`
}

func (s *server) settleUndeducted(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[settleJSON](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("dose")}, s.Exchange.Settle(c.Request.Context(), principal(c), c.Param("dose"), in.Why)
}
