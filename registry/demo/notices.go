package demo

import (
	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// senders are who the demo's notices come from.
var senders = map[coldkeep.SiteID]recall.Settings{
	"lakeside":  {Name: "Lakeside Family Clinic", Street: "1200 Harbor Street", City: "Waukegan", State: "IL", ZIP: "60085", Phone: "(224) 555-0190", Begin: 9 * 60, End: 19 * 60, PerHour: 120},
	"northgate": {Name: "Northgate Pediatrics", Street: "500 Main Street", City: "Peoria", State: "IL", ZIP: "61602", Phone: "(309) 555-0191", Begin: 9 * 60, End: 18 * 60, PerHour: 120},
}

// notices sets who notices come from, so that a newcomer can make some at once: the demo has
// children who are late.
func (f furnisher) notices() error {
	for site, v := range senders {
		by := auth.Principal{ID: f.by.ID, Name: f.by.Name, Role: auth.PracticeManager, Site: site}
		if err := there(f.s.Recall.SetSettings(f.ctx, by, v)); err != nil {
			return err
		}
	}
	return nil
}

// spoiltNumber is a patient of whom a dose does not count: it was drawn from a refrigerator
// that had been too warm, before the demo began.
const spoiltNumber = "1010"

// spoil has one dose not count, so that there is a recall after a break of the cold chain.
func (f furnisher) spoil() error {
	by := f.practice("lakeside")
	id, err := f.patientByNumber("lakeside", spoiltNumber)
	if err != nil || id == "" {
		return err
	}
	v, err := f.s.Immunizations.View(f.ctx, by, id)
	if err != nil {
		return err
	}
	for i := range v.Doses {
		d := &v.Doses[i]
		if d.NonViable != "" {
			return nil // from an earlier start
		}
	}
	for i := range v.Doses {
		if d := &v.Doses[i]; d.StockID != "" {
			if err := f.s.Immunizations.Trust(f.ctx, by, d.ID, d.Revision, "It was drawn from a refrigerator that had been too warm overnight.", "The maker’s word, case 4417."); err != nil {
				return err
			}
			_, err := f.s.Recall.Open(f.ctx)
			return err
		}
	}
	return nil
}
