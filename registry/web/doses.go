package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vaccine/barcode"
)

// newDosePage is the form for a dose. A dose from the stock takes two steps: the lot,
// then what was done with it.
type newDosePage struct {
	*immunization.View
	Codes      *vaccine.Codes
	Kind       immunization.DoseKind
	Form       string // the key of the form: sent twice, it records one dose
	Group      string // only lots of this vaccine group
	Picks      []immunization.Pick
	Lot        *immunization.Pick // chosen
	Statements offered
	Values     doseDefaults
	Warnings   []immunization.Warning
	Vaccines   []vaccine.Vaccine
	Dose       *immunization.Dose // of an edit
	Stood      string             // the unit that its lot stood in, as people call it
	Changes    []immunization.Change
	// Meanwhile is what somebody else has changed since the form was made.
	Meanwhile []patient.Meanwhile
	Mine      bool // the person may correct it
}

// doseDefaults is what the form begins with.
type doseDefaults struct {
	Date, CVX, MVX, Lot, Expires, Route, BodySite, Amount, Eligibility, GivenBy, OrderedBy, Source, Elsewhere, Refusal, Note, Given string
}

// Tables of codes, for the forms.
func (newDosePage) Eligibility() []immunization.Choice { return immunization.Eligibility() }

// BodySites, Routes, Sources and Refusals are the other tables.
func (newDosePage) BodySites() []immunization.Choice { return immunization.BodySites() }
func (newDosePage) Routes() []immunization.Choice    { return immunization.Routes() }
func (newDosePage) Sources() []immunization.Choice   { return immunization.Sources() }
func (newDosePage) Refusals() []immunization.Choice  { return immunization.Refusals() }

// newDose shows the form; ?kind= historical or refused, ?group= and ?lot= narrow one from
// the stock.
func (s *server) newDose(c *gin.Context) {
	kind := immunization.DoseKind(c.Query("kind"))
	if kind == "" {
		kind = immunization.Administered
	}
	p, err := s.dosePage(c, kind, c.Query("lot"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Group = c.Query("group")
	if p.Group != "" {
		p.Picks = slices.DeleteFunc(p.Picks, func(k immunization.Pick) bool { return !slices.Contains(k.Groups, p.Group) })
	}
	s.render(c, http.StatusOK, "dosenew", &page{Title: "Record a dose", Nav: "patients", Data: p})
}

func (s *server) dosePage(c *gin.Context, kind immunization.DoseKind, lot string) (*newDosePage, error) {
	ctx, who := c.Request.Context(), principal(c)
	if err := s.Patients.May(ctx, who, auth.RecordDoses, "doses.record", c.Param("id")); err != nil {
		return nil, err
	}
	v, err := s.Immunizations.View(ctx, who, c.Param("id"))
	if err != nil {
		return nil, err
	}
	p := &newDosePage{View: v, Codes: s.Immunizations.Codes(), Kind: kind, Form: cmp.Or(c.PostForm("form"), ulid.Make().String()), Vaccines: s.Immunizations.Codes().Vaccines(kind != immunization.Historical)}
	p.Values.Date, p.Values.Given = v.Today.String(), v.Today.String()
	p.Values.Source = "01"
	p.Statements = offered{Languages: patient.Languages}
	if kind != immunization.Administered {
		p.Values.Date = ""
		if kind == immunization.Refused {
			p.Values.Date = v.Today.String()
		}
		return p, nil
	}
	p.Values.GivenBy = who.Name
	for _, d := range slices.Backward(v.Doses) {
		if d.Kind == immunization.Administered && d.Eligibility != "" && d.Deleted == nil {
			p.Values.Eligibility = d.Eligibility
			break
		}
	}
	if !who.May(auth.View, who.Site) {
		return p, nil
	}
	stock, err := s.Inventory.Stock(ctx, who)
	if err != nil {
		return nil, err
	}
	site := who.Site
	if i := slices.IndexFunc(stock.Lots, func(l inventory.LotView) bool { return l.ID == lot }); i >= 0 && site == "" {
		site = stock.Lots[i].Site
	}
	p.Picks = s.Immunizations.Picks(v, stock.Lots, site)
	if i := slices.IndexFunc(p.Picks, func(k immunization.Pick) bool { return k.ID == lot }); i >= 0 {
		p.Lot = &p.Picks[i]
		if p.Statements, err = s.offer(c, p.Lot.CVX, v); err != nil {
			return nil, err
		}
		p.Values.Route = p.Lot.Route
		p.Values.BodySite, p.Values.Amount = usualSite(v, p.Lot.Route), usualAmount(p.Lot.Route)
	} else if lot != "" {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such lot in this practice's stock.")
	}
	return p, nil
}

// usualSite is where a vaccine is usually given by its route and the patient's age: in
// the thigh before the third birthday, then in the arm (ACIP General Best Practice
// Guidelines, vaccine administration).
func usualSite(v *immunization.View, route string) string {
	y, _, _ := v.Today.Civil()
	by, bm, bd := v.Subject.Birth.Civil()
	toddler := v.Today < coldkeep.NewDate(by+3, bm, min(bd, coldkeep.DaysIn(by+3, bm))) && y > 0
	switch {
	case route == "PO" || route == "NS" || route == "":
		return ""
	case toddler:
		return "LT"
	case route == "IM":
		return "LD"
	}
	return "LA"
}

func usualAmount(route string) string {
	if route == "IM" || route == "SC" {
		return "0.5"
	}
	return ""
}

// scanLot reads a barcode and goes on with the lot that it is of.
func (s *server) scanLot(c *gin.Context) {
	id := c.Param("id")
	back := "/patients/" + id + "/doses/new"
	lot, err := s.scanned(c)
	if err != nil {
		s.done(c, back, "", err)
		return
	}
	c.Redirect(http.StatusSeeOther, back+"?lot="+lot)
}

func (s *server) scanned(c *gin.Context) (string, error) {
	ctx, who := c.Request.Context(), principal(c)
	if err := s.Patients.May(ctx, who, auth.RecordDoses, "doses.record", c.Param("id")); err != nil {
		return "", err
	}
	label, err := barcode.Parse(c.PostForm("barcode"), coldkeep.DateOf(s.Clock.Now()))
	if err != nil {
		return "", err
	}
	codes := s.Immunizations.Codes()
	pack, known := codes.GTIN(label.GTIN)
	if !known {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "The product of this barcode (%s) is not in the code sets. Choose the lot from the list.", label.GTIN)
	}
	stock, err := s.Inventory.Stock(ctx, who)
	if err != nil {
		return "", err
	}
	var fits []inventory.LotView
	for _, l := range stock.Lots {
		if l.CVX == pack.CVX && l.DosesOnHand > 0 && (label.Lot == "" || strings.EqualFold(l.Number, label.Lot)) {
			fits = append(fits, l)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0].ID, nil
	case len(fits) == 0 && label.Lot != "":
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Lot %s of %s is not in this practice's stock, or has no dose left. Receive it on the lots page first.", label.Lot, pack.Name)
	case len(fits) == 0:
		return "", coldkeep.Errorf(coldkeep.EINVALID, "There is no dose of %s in this practice's stock.", pack.Name)
	}
	return "", coldkeep.Errorf(coldkeep.EINVALID, "The barcode fits %d stock lines of %s. Choose the one you took the dose from.", len(fits), pack.Name)
}

// formDose reads a dose's form.
func (s *server) formDose(c *gin.Context) (immunization.Dose, error) {
	d := immunization.Dose{Patient: c.Param("id"), Kind: immunization.DoseKind(c.PostForm("kind")), StockID: c.PostForm("stock"), CVX: c.PostForm("cvx"), MVX: c.PostForm("mvx"),
		NDC: c.PostForm("ndc"), Lot: c.PostForm("number"), BodySite: c.PostForm("body_site"), Route: c.PostForm("route"), Amount: c.PostForm("amount"), Eligibility: c.PostForm("eligibility"),
		GivenBy: c.PostForm("given_by"), OrderedBy: c.PostForm("ordered_by"), Source: c.PostForm("source"), Elsewhere: c.PostForm("elsewhere"),
		Refusal: c.PostForm("refusal"), Note: c.PostForm("note"), Site: coldkeep.SiteID(c.PostForm("site"))}
	var err error
	if d.Date, err = formDate(c, "date", "Date"); err != nil {
		return d, err
	}
	if d.Expires, err = formDate(c, "expires", "Expires"); err != nil {
		return d, err
	}
	d.DayUnknown = c.PostForm("day_unknown") != "" && d.Kind == immunization.Historical
	d.VIS, err = s.formStatements(c)
	return d, err
}

func confirmOf(c *gin.Context) immunization.Confirm {
	return immunization.Confirm{Yes: c.PostForm("confirm") != "", Why: c.PostForm("confirm_why"), Form: c.PostForm("form")}
}

func (s *server) recordDose(c *gin.Context) {
	id := c.Param("id")
	d, err := s.formDose(c)
	if err == nil {
		_, err = s.Immunizations.Record(c.Request.Context(), principal(c), d, confirmOf(c))
	}
	var u *immunization.Unconfirmed
	if err == nil || !errors.As(err, &u) && coldkeep.ErrorCode(err) != coldkeep.EINVALID && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		word := "The dose is on the record."
		if d.Kind == immunization.Refused {
			word = "The refusal is on the record."
		}
		s.done(c, immunizationsOf(id), word, err)
		return
	}
	// Not yet recorded: the form again as it was filled in, with what is to be thought of.
	p, e := s.dosePage(c, d.Kind, d.StockID)
	if e != nil {
		s.fail(c, e)
		return
	}
	var used *immunization.UsedForm
	if errors.As(err, &used) {
		p.Form = ulid.Make().String() // sent again it is a form of its own
	}
	c.Request.PostForm.Set("form", p.Form)
	s.showForm(c, p, u, err)
}

// showForm shows a dose's form as it was sent, with warnings to answer or an error.
func (s *server) showForm(c *gin.Context, p *newDosePage, u *immunization.Unconfirmed, err error) {
	pg := &page{Title: "Record a dose", Nav: "patients", Data: p, sent: &sentForm{Action: c.Request.URL.Path, Values: c.Request.PostForm}, Path: immunizationsOf(c.Param("id"))}
	if u != nil {
		p.Warnings = u.Warnings
		// Only the form with the warnings has these.
		for _, name := range []string{"confirm", "confirm_why"} {
			if c.PostForm(name) == "" {
				delete(pg.sent.Values, name)
			}
		}
	} else {
		delete(pg.sent.Values, "confirm")
		delete(pg.sent.Values, "confirm_why")
		pg.Flash = &flash{Text: coldkeep.ErrorMessage(err), Error: true}
	}
	s.render(c, coldkeep.Status(coldkeep.ErrorCode(err)), "dosenew", pg)
}

func (s *server) dose(c *gin.Context) {
	p, err := s.oneDose(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "dosenew", &page{Title: "A dose", Nav: "patients", Data: p})
}

// oneDose is a dose with its history, and the form to correct it.
func (s *server) oneDose(c *gin.Context) (*newDosePage, error) {
	ctx, who := c.Request.Context(), principal(c)
	v, err := s.Immunizations.View(ctx, who, c.Param("id"))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(v.Doses, func(d immunization.Dose) bool { return d.ID == c.Param("dose") })
	if i < 0 {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such dose on this record.")
	}
	d := &v.Doses[i]
	p := &newDosePage{View: v, Codes: s.Immunizations.Codes(), Kind: d.Kind, Dose: d, Vaccines: s.Immunizations.Codes().Vaccines(false)}
	p.Mine = d.Deleted == nil && !v.ViewOnly && who.Anywhere(auth.RecordDoses) && (d.Kind != immunization.Administered || who.Site == "" || who.Site == d.Site)
	if p.Statements, err = s.kept(c, d); err != nil {
		return nil, err
	}
	p.Values = doseDefaults{Date: d.Date.String(), CVX: d.CVX, MVX: d.MVX, Lot: d.Lot, Expires: d.Expires.String(), Route: d.Route, BodySite: d.BodySite, Amount: d.Amount, Eligibility: d.Eligibility,
		GivenBy: d.GivenBy, OrderedBy: d.OrderedBy, Source: d.Source, Elsewhere: d.Elsewhere, Refusal: d.Refusal, Note: d.Note, Given: visGiven(d)}
	if p.Mine && d.Kind == immunization.Administered && who.May(auth.View, who.Site) {
		stock, err := s.Inventory.Stock(ctx, who)
		if err != nil {
			return nil, err
		}
		p.Picks = s.Immunizations.Picks(v, stock.Lots, d.Site)
	}
	if p.Stood = string(d.Unit); d.Unit != "" && who.May(auth.View, who.Site) {
		if u, _, err := s.Templog.Unit(ctx, who, d.Unit); err == nil { // another practice's keeps its id
			p.Stood = u.Name
		}
	}
	p.Changes, err = s.Immunizations.History(ctx, who, d.ID)
	return p, err
}

func (s *server) editDose(c *gin.Context) {
	at := "/patients/" + c.Param("id") + "/doses/" + c.Param("dose")
	d, err := s.formDose(c)
	if err == nil {
		d.ID = c.Param("dose")
		if d.Revision, err = formRevision(c); err == nil {
			_, err = s.Immunizations.Edit(c.Request.Context(), principal(c), d, c.PostForm("why"), confirmOf(c))
		}
	}
	var u *immunization.Unconfirmed
	warned := errors.As(err, &u)
	if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		s.done(c, at, "The dose has been corrected. What was there before is kept.", err)
		return
	}
	p, e := s.oneDose(c)
	if e != nil {
		s.fail(c, e)
		return
	}
	if !warned {
		told, changed := rebaseDose(c, p.Dose, p.Changes, d.Revision)
		if !changed || !p.Mine {
			s.done(c, at, "", err)
			return
		}
		p.Meanwhile = told
		c.Request.PostForm.Set("revision", strconv.FormatInt(p.Dose.Revision, 10))
		c.Request.PostForm.Set("ndc", p.Dose.NDC) // hidden: goes with the lot that stands
		err = coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this dose while you were at it. Nothing has been saved yet: the form has their changes and yours. Look at it, then save.")
	}
	s.showForm(c, p, u, err)
}

// trustDose takes a dose out of the count by a person's word, or back into it.
func (s *server) trustDose(c *gin.Context) {
	err := func() error {
		revision, err := formRevision(c)
		if err != nil {
			return err
		}
		spoilt := strings.TrimSpace(c.PostForm("spoilt"))
		if spoilt == "" && c.PostForm("counts") != "yes" {
			return coldkeep.Errorf(coldkeep.EINVALID, "What spoilt it: please say.")
		}
		return s.Immunizations.Trust(c.Request.Context(), principal(c), c.Param("dose"), revision, spoilt, c.PostForm("why"))
	}()
	word := "The dose does not count. The forecast asks for it again."
	if c.PostForm("counts") == "yes" {
		word = "The dose counts again."
	}
	s.done(c, "/patients/"+c.Param("id")+"/doses/"+c.Param("dose"), word, err)
}

func formRevision(c *gin.Context) (int64, error) {
	n, err := strconv.ParseInt(c.PostForm("revision"), 10, 64)
	if err != nil {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "Open the page again: the form has no revision.")
	}
	return n, nil
}

func (s *server) deleteDose(c *gin.Context) {
	n, err := formRevision(c)
	if err == nil {
		err = s.Immunizations.Delete(c.Request.Context(), principal(c), c.Param("dose"), n, c.PostForm("why"))
	}
	s.done(c, "/patients/"+c.Param("id")+"/doses/"+c.Param("dose"), "The dose no longer counts. It is kept with the reason.", err)
}

func (s *server) tellDosesApart(c *gin.Context) {
	n, err := formRevision(c)
	if err == nil {
		err = s.Immunizations.TellApart(c.Request.Context(), principal(c), c.Param("dose"), n, c.PostForm("other"), c.PostForm("why"))
	}
	s.done(c, immunizationsOf(c.Param("id")), "Both doses count now.", err)
}
