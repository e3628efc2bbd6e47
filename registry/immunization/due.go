package immunization

import (
	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// asked is a person as the forecast engine is asked about on a day, without one dose.
// Doses that do not count as records (refused, deleted, told of by another) are left
// out; ids are those of the doses in the order in which the engine gets them.
func asked(of *family, on coldkeep.Date, without string) (p *forecast.Patient, ids []string) {
	p = &forecast.Patient{ID: of.subject.ID, Born: of.subject.Birth, Assessment: max(on, of.subject.Birth), BirthCountry: of.subject.BirthNation}
	switch of.subject.Sex {
	case "F":
		p.Gender = schedule.Female
	case "M":
		p.Gender = schedule.Male
	default:
		p.Gender = schedule.UnknownGender
	}
	for i := range of.doses {
		d := &of.doses[i]
		if !d.Counts() || d.ID == without {
			continue
		}
		p.Doses = append(p.Doses, doseFor(d))
		ids = append(ids, d.ID)
	}
	for i := range of.facts {
		if f := &of.facts[i]; f.Code != "" && f.holds(p.Assessment) {
			o := forecast.Observation{Code: f.Code, Date: forecast.None}
			if f.From.Known() {
				o.Date = f.From
			}
			p.Observations = append(p.Observations, o)
		}
	}
	return p, ids
}

func doseFor(d *Dose) forecast.Dose {
	out := forecast.Dose{Date: d.Date, CVX: d.CVX, MVX: d.MVX, LotExpiry: forecast.None, Condition: d.NonViable != ""}
	if d.Expires.Known() {
		out.LotExpiry = d.Expires
	}
	return out
}

// holds reports whether a fact is true on a day.
func (f *Fact) holds(on coldkeep.Date) bool {
	return f.Ended == nil && (!f.From.Known() || f.From <= on) && (!f.Until.Known() || on <= f.Until)
}
