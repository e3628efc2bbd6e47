package demo

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// stock is one lot of the demo: product, codes as CDC publishes them, and where it
// stands. Months says how long it is still good for, from the demo's start.
type stock struct {
	unit    coldkeep.ApplianceID
	number  string
	product string
	cvx     string
	ndc     string
	mvx     string
	funding inventory.Funding
	doses   int
	months  int
	from    time.Time // zero: since the demo's history begins
	budget  inventory.Budget
}

// menveoMinutes is for how long Menveo may be out of range in its life, up to 25 °C: a
// cumulative 120 hours (Specialist Pharmacy Service, NHS).
var menveoMinutes = 120 * 60

// lotsRecorded is since when the recorded freezer's lots stood there.
var lotsRecorded = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var stocks = []stock{
	{unit: "lakeside-fridge-1", number: "DM4207A", product: "M-M-R II", cvx: "03", ndc: "00006-4681-00", mvx: "MSD", funding: inventory.Public, doses: 18, months: 14},
	{unit: "lakeside-fridge-1", number: "DM7K351", product: "Infanrix", cvx: "20", ndc: "58160-0810-52", mvx: "SKB", funding: inventory.Public, doses: 24, months: 11},
	{unit: "lakeside-fridge-1", number: "DMU18C2", product: "IPOL", cvx: "10", ndc: "49281-0860-10", mvx: "PMC", funding: inventory.Public, doses: 20, months: 16},
	{unit: "lakeside-fridge-1", number: "DM5H9E4", product: "Engerix-B Pediatric", cvx: "08", ndc: "58160-0820-52", mvx: "SKB", funding: inventory.Private, doses: 12, months: 9},
	{unit: "lakeside-fridge-1", number: "DMGP620", product: "Prevnar 20", cvx: "216", ndc: "00005-2000-10", mvx: "PFR", funding: inventory.Public, doses: 30, months: 13},
	{unit: "lakeside-fridge-2", number: "DMX0931", product: "MenQuadfi", cvx: "203", ndc: "49281-0590-05", mvx: "PMC", funding: inventory.Private, doses: 10, months: 18},
	{unit: "lakeside-fridge-2", number: "DMN2K60", product: "Menveo", cvx: "136", ndc: "58160-0955-09", mvx: "SKB", funding: inventory.Public, doses: 10, months: 17,
		budget: inventory.Budget{Warm: &menveoMinutes, Source: "Specialist Pharmacy Service, NHS: up to 25 °C, 120 hours in all"}},
	{unit: "lakeside-fridge-2", number: "DMW442B", product: "Gardasil 9", cvx: "165", ndc: "00006-4119-03", mvx: "MSD", funding: inventory.Public, doses: 16, months: 20},
	{unit: "lakeside-fridge-2", number: "DMUT877", product: "Fluzone Trivalent", cvx: "140", ndc: "49281-0425-50", mvx: "PMC", funding: inventory.Private, doses: 40, months: 7},
	{unit: "lakeside-fridge-2", number: "DM4B3N9", product: "Boostrix", cvx: "115", ndc: "58160-0842-52", mvx: "SKB", funding: inventory.Private, doses: 15, months: 15},
	{unit: "lakeside-freezer-1", number: "DMV7715", product: "Varivax", cvx: "21", ndc: "00006-4827-00", mvx: "MSD", funding: inventory.Private, doses: 9, months: 12},
	{unit: "lakeside-ultra-1", number: "DMKL208", product: "Comirnaty 5-11 years", cvx: "310", ndc: "00069-2501-10", mvx: "PFR", funding: inventory.Private, doses: 50, months: 8},
	{unit: "lakeside-recorded", number: "DMV6402", product: "Varivax", cvx: "21", ndc: "00006-4827-00", mvx: "MSD", funding: inventory.Public, doses: 14, months: 10, from: lotsRecorded},
	{unit: "lakeside-recorded", number: "DMQ3380", product: "ProQuad", cvx: "94", ndc: "00006-4171-00", mvx: "MSD", funding: inventory.Public, doses: 8, months: 9, from: lotsRecorded},
	{unit: "northgate-fridge-1", number: "DM4219C", product: "M-M-R II", cvx: "03", ndc: "00006-4681-00", mvx: "MSD", funding: inventory.Public, doses: 22, months: 13},
	{unit: "northgate-fridge-1", number: "DMR5561", product: "RotaTeq", cvx: "116", ndc: "00006-4047-41", mvx: "MSD", funding: inventory.Public, doses: 20, months: 12},
	{unit: "northgate-fridge-1", number: "DMA912D", product: "Havrix Pediatric", cvx: "83", ndc: "58160-0825-52", mvx: "SKB", funding: inventory.Private, doses: 11, months: 17},
	{unit: "northgate-freezer-1", number: "DMV7720", product: "Varivax", cvx: "21", ndc: "00006-4827-00", mvx: "MSD", funding: inventory.Public, doses: 12, months: 12},
}

func (f furnisher) lots() error {
	now := f.s.Clock.Now()
	has, err := f.s.Inventory.Stock(f.ctx, f.by)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, l := range has.Lots {
		known[string(l.Site)+"/"+l.Number] = true
	}
	site := map[coldkeep.ApplianceID]coldkeep.SiteID{}
	for _, u := range units {
		site[u.ID] = u.Site
	}
	for _, s := range stocks {
		if known[string(site[s.unit])+"/"+s.number] {
			continue
		}
		from := s.from
		if from.IsZero() || from.After(now) {
			from = f.start
		}
		l, err := f.s.Inventory.Receive(f.ctx, f.by, inventory.Lot{
			Site: site[s.unit], Number: s.number, Product: s.product, CVX: s.cvx, NDC: s.ndc, MVX: s.mvx,
			Funding: s.funding, DosesOnHand: s.doses,
			// The last day of a month, as manufacturers print it.
			Expires: time.Date(now.Year(), now.Month()+time.Month(s.months)+1, 0, 0, 0, 0, 0, time.UTC).Format(time.DateOnly),
		}, s.unit, from)
		if err == nil && s.budget.Source != "" {
			err = f.s.Inventory.SetBudget(f.ctx, f.by, l.ID, s.budget)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
