package immunization

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Warning is something to think of before a dose is given or recorded.
type Warning struct {
	Code string `json:"code"` // such as "lot-on-hold"
	Text string `json:"text"`
	// Stop says that the dose should not be given. One that has been given all the same
	// is recorded with a reason, since the record tells what happened.
	Stop bool `json:"stop,omitempty"`
}

// check looks at each field by itself and tidies it. EINVALID names the field; values are
// not told, since what is said of an import or a message is kept when they are gone.
func (s *Service) check(d *Dose, of Subject, today coldkeep.Date) error {
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{{"Lot number", &d.Lot, 40}, {"Given by", &d.GivenBy, 200}, {"Ordered by", &d.OrderedBy, 200}, {"Given elsewhere by", &d.Elsewhere, 200},
		{"Note", &d.Note, 2000}, {"Amount", &d.Amount, 10}, {"MVX", &d.MVX, 3}, {"NDC", &d.NDC, 13}, {"CVX", &d.CVX, 3}} {
		if err := field(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	d.Lot, d.MVX = strings.ToUpper(d.Lot), strings.ToUpper(d.MVX)
	if err := s.checkDay(d, of, today); err != nil {
		return err
	}
	if err := s.checkCodes(d); err != nil {
		return err
	}
	switch d.Kind {
	case Administered:
		d.Source, d.Elsewhere, d.Refusal = "00", "", ""
		switch {
		case d.Site == "":
			return coldkeep.Errorf(coldkeep.EINVALID, "Practice: a dose that was given has the practice that gave it.")
		case d.GivenBy == "":
			return coldkeep.Errorf(coldkeep.EINVALID, "Given by: want the name and title of who gave the dose (42 U.S.C. 300aa-25).")
		case d.Lot == "" || d.MVX == "":
			return coldkeep.Errorf(coldkeep.EINVALID, "Lot: choose the lot the dose was drawn from, or give lot number and manufacturer.")
		case d.Eligibility == "":
			return coldkeep.Errorf(coldkeep.EINVALID, "Eligibility: please choose one; it is asked at every visit.")
		}
	case Historical:
		d.StockID, d.Unit, d.Refusal, d.GivenBy, d.Site = "", "", "", "", ""
		if d.Source == "" {
			d.Source = "01"
		}
		if d.Source == "00" || !In(Sources(), d.Source) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Source: want one of 01 to 08.")
		}
	case Refused:
		d.StockID, d.Unit, d.Source, d.Lot, d.Expires = "", "", "", "", 0
		if !In(Refusals(), d.Refusal) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Reason of the refusal: please choose one.")
		}
		if d.Refusal == "02" && d.Note == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "Note: please say what the other reason is.")
		}
	default:
		return coldkeep.Errorf(coldkeep.EINVALID, "Kind: want administered, historical or refused.")
	}
	return nil
}

func (s *Service) checkDay(d *Dose, of Subject, today coldkeep.Date) error {
	if d.DayUnknown {
		if d.Kind != Historical {
			return coldkeep.Errorf(coldkeep.EINVALID, "Date: only of a historical dose may the day be unknown.")
		}
		if d.Date = MonthFrom(d.Date); d.Date < of.Birth && MonthTo(d.Date) >= of.Birth {
			d.Date = of.Birth // the child was born in that month
		}
	}
	switch {
	case !d.Date.Known():
		return coldkeep.Errorf(coldkeep.EINVALID, "Date: want a day such as 2026-03-02.")
	case of.Birth.Known() && d.Date < of.Birth:
		return coldkeep.Errorf(coldkeep.EINVALID, "Date: is before the patient was born.")
	case d.Date > today:
		return coldkeep.Errorf(coldkeep.EINVALID, "Date: is in the future; today is %s.", today)
	case of.Died.Known() && d.Date > of.Died:
		return coldkeep.Errorf(coldkeep.EINVALID, "Date: is after the patient died.")
	}
	for _, v := range d.VIS {
		if !v.Edition.Known() || !v.Given.Known() || v.Given > today || v.Edition > v.Given {
			return coldkeep.Errorf(coldkeep.EINVALID, "VIS: want the edition's date and the day it was handed over, not before that edition and not in the future.")
		}
	}
	return nil
}

func (s *Service) checkCodes(d *Dose) error {
	v, ok := s.codes.CVX(d.CVX)
	if !ok {
		return coldkeep.Errorf(coldkeep.EINVALID, "CVX: is not a code of the CVX set.")
	}
	d.CVX = v.CVX
	if d.MVX != "" {
		if _, ok := s.codes.MVX(d.MVX); !ok {
			return coldkeep.Errorf(coldkeep.EINVALID, "MVX: is not a code of the MVX set.")
		}
	}
	if d.NDC != "" {
		forms := vaccine.NDCForms(d.NDC)
		if len(forms) == 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "NDC: want 10 or 11 digits, such as 00006-4681-00.")
		}
		d.NDC = forms[0]
		if p, ok := s.codes.NDC(d.NDC); ok {
			d.NDC = p.NDC
		}
	}
	for _, f := range []struct {
		name, value string
		table       []Choice
	}{{"Eligibility", d.Eligibility, Eligibility()}, {"Body site", d.BodySite, BodySites()}, {"Route", d.Route, Routes()}, {"Funding", d.Funding, Fundings()}} {
		if f.value != "" && !In(f.table, f.value) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: is not one of its codes.", f.name)
		}
	}
	if d.Amount != "" {
		whole, part, _ := strings.Cut(d.Amount, ".")
		if whole == "" || strings.Trim(whole+part, "0123456789") != "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "Amount: want milliliters, such as 0.5.")
		}
	}
	return nil
}

// MonthFrom is the first day of a day's month, and MonthTo the last: what a dose of which
// only the month is known can mean.
func MonthFrom(d coldkeep.Date) coldkeep.Date {
	y, m, _ := d.Civil()
	return coldkeep.NewDate(y, m, 1)
}

// MonthTo is the last day of a day's month.
func MonthTo(d coldkeep.Date) coldkeep.Date {
	y, m, _ := d.Civil()
	return coldkeep.NewDate(y, m, coldkeep.DaysIn(y, m))
}

// vfcAge is the birthday at which eligibility for Vaccines for Children ends (42 U.S.C.
// 1396s).
const vfcAge = 19

// stockWarnings looks at the lot a dose comes from.
func stockWarnings(d *Dose, l *inventory.Drawn, of Subject) []Warning {
	var out []Warning
	add := func(code string, stop bool, format string, args ...any) {
		out = append(out, Warning{Code: code, Stop: stop, Text: fmt.Sprintf(format, args...)})
	}
	if l.Hold != nil {
		add("lot-on-hold", true, "Lot %s is on hold: its unit was out of range. Do not give it. If it has been given already, say so: the patient will be listed with the hold.", l.Number)
	}
	if d.Expires.Known() && d.Date > d.Expires {
		add("lot-expired", true, "Lot %s expired on %s: the dose will not count. Do not give it.", l.Number, d.Expires)
	}
	vfc := slices.Contains([]string{"V02", "V03", "V04", "V05"}, d.Eligibility)
	switch {
	case vfc && of.Birth.Known() && years(of.Birth, d.Date) >= vfcAge:
		add("not-vfc-age", true, "Vaccines for Children ends at %d years: %s does not fit.", vfcAge, Text(Eligibility(), d.Eligibility))
	case l.Funding == inventory.Public && (d.Eligibility == "V01" || d.Eligibility == "V24"):
		add("wrong-funding", true, "Lot %s was bought with public funds and the patient is not eligible for it. Choose a private lot.", l.Number)
	case l.Funding == inventory.Private && vfc:
		add("borrowed", false, "Lot %s is private and the patient is eligible for a public dose. A borrowed dose has to be replaced and written down.", l.Number)
	}
	return out
}

// years is an age in whole years.
func years(birth, on coldkeep.Date) int {
	by, bm, bd := birth.Civil()
	y, m, d := on.Civil()
	n := y - by
	if m < bm || m == bm && d < bd {
		n--
	}
	return n
}

// warnings looks at a dose in the light of the record and the schedule.
func (s *Service) warnings(d *Dose, of *family) []Warning {
	var out []Warning
	k := s.known()
	groups := k.Groups(d.CVX)
	if d.Kind == Administered {
		if d.StockID == "" {
			out = append(out, Warning{Code: "not-from-stock", Text: "The lot is not in this practice's stock: no dose is taken off."})
		}
		v, _ := s.codes.CVX(d.CVX)
		if v.Status == vaccine.NonUS || v.Status == vaccine.NeverActive || v.Status == vaccine.Inactive && d.StockID == "" {
			out = append(out, Warning{Code: "inactive-vaccine", Text: fmt.Sprintf("%s (CVX %s) is no longer given in the United States. Is it a historical dose?", v.Name, d.CVX)})
		}
	}
	for i := range of.doses {
		o := &of.doses[i]
		if o.Counts() && o.Date == d.Date && overlap(groups, k.Groups(o.CVX)) && o.ID != d.ID {
			if d.Kind == Historical {
				continue // it is joined with that one
			}
			out = append(out, Warning{Code: "same-day", Text: fmt.Sprintf("A dose of the same vaccine group is recorded for the same day: %s. Is it the same dose?", s.codes.Name(o.CVX))})
			break
		}
	}
	if d.Kind != Administered {
		return out
	}
	for i := range of.facts {
		f := &of.facts[i]
		if f.Kind == Precaution && f.holds(d.Date) {
			out = append(out, Warning{Code: "precaution", Text: "A precaution is recorded: " + f.Title + "."})
		}
	}
	return append(out, s.forecastWarnings(d, of, groups)...)
}

// forecastWarnings asks the engine: what it forecasts without the dose tells of
// contraindications, and what it says of the dose whether it would count.
func (s *Service) forecastWarnings(d *Dose, of *family, groups []string) []Warning {
	var out []Warning
	e := s.schedule.Engine()
	p, _ := asked(of, d.Date, d.ID)
	for _, f := range e.Forecast(p).Forecasts {
		if f.Status == forecast.Contraindicated && slices.Contains(groups, f.Group) {
			out = append(out, Warning{Code: "contraindicated", Stop: true, Text: fmt.Sprintf("%s is contraindicated for this patient. See the contraindications on the record.", f.Group)})
		}
	}
	var reasons forecast.Reason
	counts := false
	for _, v := range e.Try(p, doseFor(d)).Verdicts() {
		counts = counts || v.Status == forecast.Valid
		if v.Status != forecast.Valid {
			reasons |= v.Reason
		}
	}
	said := []struct {
		reason forecast.Reason
		code   string
		text   string
	}{
		{forecast.LiveVirusConflict, "live-virus", "Another live vaccine was given too short a time ago: this dose would not count."},
		{forecast.TooYoung, "too-young", "The patient is too young: this dose would not count."},
		{forecast.TooSoon, "too-soon", "It is too soon after the last dose: this one would not count."},
		{forecast.TooOld, "too-old", "The patient is older than the vaccine is meant for."},
		{forecast.Inadvertent, "inadvertent", "This vaccine is not meant for this patient and would count as given inadvertently."},
		{forecast.WrongVaccine, "wrong-vaccine", "This vaccine is not meant for the next dose of its series."},
		{forecast.SeriesComplete, "complete", "The series is complete already."},
	}
	for _, w := range said {
		if w.reason == forecast.WrongVaccine && reasons != w.reason {
			continue // the age or the interval tells more
		}
		if reasons&w.reason != 0 && (!counts || w.reason == forecast.LiveVirusConflict) {
			out = append(out, Warning{Code: w.code, Text: w.text})
		}
	}
	return out
}
