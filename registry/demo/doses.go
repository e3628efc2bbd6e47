package demo

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// shot is one dose of the usual schedule: a vaccine at an age in months.
type shot struct {
	months int
	cvx    string
	mvx    string
	route  string
}

// usual is the childhood schedule with one product of each vaccine, as far as the demo
// needs it. The ages are CDC's recommended ones.
var usual = []shot{
	{0, "08", "SKB", "IM"},
	{2, "110", "SKB", "IM"}, {2, "48", "PMC", "IM"}, {2, "216", "PFR", "IM"}, {2, "116", "MSD", "PO"},
	{4, "110", "SKB", "IM"}, {4, "48", "PMC", "IM"}, {4, "216", "PFR", "IM"}, {4, "116", "MSD", "PO"},
	{6, "110", "SKB", "IM"}, {6, "48", "PMC", "IM"}, {6, "216", "PFR", "IM"}, {6, "116", "MSD", "PO"},
	{12, "03", "MSD", "SC"}, {12, "21", "MSD", "SC"}, {12, "83", "SKB", "IM"}, {12, "216", "PFR", "IM"},
	{15, "20", "SKB", "IM"}, {15, "48", "PMC", "IM"},
	{18, "83", "SKB", "IM"},
	{49, "130", "SKB", "IM"}, {49, "03", "MSD", "SC"}, {49, "21", "MSD", "SC"},
	{133, "115", "SKB", "IM"}, {133, "165", "MSD", "IM"}, {133, "203", "PMC", "IM"}, {140, "165", "MSD", "IM"},
}

// Numbers of patients with a part in the story of doses.
const (
	lateNumber            = "1005" // nothing since the first half year
	tooYoungNumber        = "1017" // MMR some days before the first birthday
	refusedNumber         = "1021" // HPV
	contraindicatedNumber = "1015" // live vaccines
	lastNumber            = "2016"
)

// drawDays is how far back doses come from the demo's own lots; earlier ones are told of.
const drawDays = 45

// doses gives the demo's patients their histories: mostly on schedule, one late, one dose
// too early, one refusal, one contraindication; and what was given lately comes from the
// demo's lots, so that a hold on one shows who got doses from it.
func (f furnisher) doses() error {
	// The child whose doses are recorded last: where they stand, all do.
	if done, err := f.hasDoses("northgate", lastNumber); err != nil || done {
		return err
	}
	stock, err := f.s.Inventory.Stock(f.ctx, f.by)
	if err != nil {
		return err
	}
	for i, h := range households {
		for k, m := range h.members {
			if m.months >= 18*12 || m.number == lockedNumber {
				continue
			}
			id := f.added[string(h.site)+"/"+m.number]
			if id == "" {
				if id, err = f.patientByNumber(h.site, m.number); err != nil {
					return err
				}
				if id == "" {
					continue
				}
			}
			if err := f.history(h, m, id, stock.Lots, i+k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f furnisher) hasDoses(site coldkeep.SiteID, number string) (bool, error) {
	id := f.added[string(site)+"/"+number]
	if id == "" {
		found, err := f.patientByNumber(site, number)
		if err != nil || found == "" {
			return false, err
		}
		id = found
	}
	v, err := f.s.Immunizations.View(f.ctx, f.practice(site), id)
	return err == nil && len(v.Doses) > 0, err
}

func (f furnisher) history(h household, m member, id string, lots []inventory.LotView, n int) error {
	by := f.practice(h.site)
	v, err := f.s.Immunizations.View(f.ctx, by, id)
	if err != nil || len(v.Doses) > 0 || len(v.Facts) > 0 {
		return err // from an earlier start
	}
	born := v.Subject.Birth
	y, month, day := born.Civil()
	for _, x := range usual {
		if m.number == lateNumber && x.months > 6 {
			break
		}
		if m.number == refusedNumber && x.cvx == "165" || m.number == contraindicatedNumber && (x.cvx == "03" || x.cvx == "21") {
			continue
		}
		on := coldkeep.DateOf(time.Date(y, time.Month(month+x.months), day+n%9, 0, 0, 0, 0, time.UTC))
		if m.number == tooYoungNumber && x.cvx == "03" && x.months == 12 {
			on = coldkeep.NewDate(y+1, month, 1) - 20
			if on > born+340 {
				on = born + 340 // more than the four days of grace before the birthday
			}
		}
		if on >= v.Today {
			break
		}
		d := immunization.Dose{Patient: id, Kind: immunization.Historical, Date: on, CVX: x.cvx, MVX: x.mvx, Source: "01", Elsewhere: "Before Coldkeep"}
		if v.Today-on <= drawDays {
			d = f.fromLot(d, x, h.site, lots)
		}
		if _, err := f.s.Immunizations.Record(f.ctx, by, d, immunization.Confirm{Yes: true, Why: "Demo"}); err != nil {
			return err
		}
	}
	switch m.number {
	case refusedNumber:
		_, err = f.s.Immunizations.Record(f.ctx, by, immunization.Dose{Patient: id, Kind: immunization.Refused, Date: v.Today - 12, CVX: "165", Refusal: "00", Note: "The parents want to read about it first."}, immunization.Confirm{Yes: true})
	case contraindicatedNumber:
		for _, c := range f.s.Immunizations.Catalogue().Contraindications {
			if len(c.Groups) > 1 { // such as a severe immunodeficiency, which speaks against live vaccines
				_, err = f.s.Immunizations.AddFact(f.ctx, by, immunization.Fact{Patient: id, Kind: immunization.Contraindication, Code: c.Code, From: born + 60, Basis: "Letter of the specialist"})
				break
			}
		}
	}
	return err
}

// fromLot makes a dose one from a lot of the practice, when there is a lot for it.
func (f furnisher) fromLot(d immunization.Dose, x shot, site coldkeep.SiteID, lots []inventory.LotView) immunization.Dose {
	for _, l := range lots {
		if l.Site != site || l.CVX != x.cvx || l.DosesOnHand < 1 || l.Held() {
			continue
		}
		d.Kind, d.StockID, d.Site, d.Source, d.Elsewhere = immunization.Administered, l.ID, site, "", ""
		d.Eligibility, d.GivenBy, d.Route, d.Amount, d.BodySite = "V02", "Marcus Hale, RN", x.route, "0.5", "LT"
		if l.Funding == inventory.Private {
			d.Eligibility = "V01"
		}
		if x.route == "PO" {
			d.Amount, d.BodySite = "2", ""
		}
		for _, st := range f.s.Immunizations.Codes().CurrentStatements(d.CVX) {
			d.VIS = append(d.VIS, immunization.VIS{Document: st.Code, Edition: st.Edition, Given: d.Date, Language: "eng"})
			break // the first is one that is enough, but for a combination, which the report about statements shows
		}
		return d
	}
	return d
}
