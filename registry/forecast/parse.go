package forecast

import (
	"encoding/json"
	"strconv"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// lineIn is a patient as the forecast command reads one.
type lineIn struct {
	ID           json.RawMessage `json:"id"`
	DOB          string          `json:"dob"`
	Gender       string          `json:"gender"`
	BirthCountry string          `json:"birth_country"`
	Assessment   string          `json:"assessment_date"`
	Observations []struct {
		Code     string `json:"code"`
		Date     string `json:"date"`
		Presence string `json:"presence"`
	} `json:"observations"`
	Doses []struct {
		Date      string `json:"date"`
		CVX       string `json:"cvx"`
		MVX       string `json:"mvx"`
		LotExpiry string `json:"lot_expiry"`
		Condition bool   `json:"condition"`
	} `json:"doses"`
}

// maxDoses and maxObservations bound a line. No life comes near them, and the
// work of a forecast grows with the square of the doses.
const (
	maxDoses        = 1000
	maxObservations = 1000
)

// ParseLine reads a patient from a line of the forecast command's input.
//
// EINVALID: the line is not JSON, or a field is missing or wrong.
func ParseLine(line []byte) (*Patient, error) {
	p := new(Patient)
	id, err := parseLine(line, p)
	p.ID = idText(id)
	return p, err
}

// parseLine reads a line into p, whose storage it uses again. It gives the id as
// it was written, also with an error when the line has one.
func parseLine(line []byte, p *Patient) (json.RawMessage, error) {
	var in lineIn
	err := json.Unmarshal(line, &in)
	if err != nil {
		var only struct {
			ID json.RawMessage `json:"id"`
		}
		_ = json.Unmarshal(line, &only) // the id is known or it is not
		return only.ID, coldkeep.Wrap(err, coldkeep.EINVALID, "forecast.ParseLine", "the line cannot be read: %v", err)
	}
	*p = Patient{BirthCountry: in.BirthCountry, Observations: p.Observations[:0], Doses: p.Doses[:0]}
	p.Born, err = coldkeep.ParseDate(in.DOB)
	if err != nil {
		return in.ID, invalid("dob", err)
	}
	p.Assessment, err = coldkeep.ParseDate(in.Assessment)
	if err != nil {
		return in.ID, invalid("assessment_date", err)
	}
	if p.Assessment < p.Born {
		return in.ID, coldkeep.Errorf(coldkeep.EINVALID, "assessment_date is before dob")
	}
	switch in.Gender {
	case "F", "f":
		p.Gender = schedule.Female
	case "M", "m":
		p.Gender = schedule.Male
	case "U", "u", "": // Table 5-2: an empty gender is Unknown
		p.Gender = schedule.UnknownGender
	default:
		return in.ID, coldkeep.Errorf(coldkeep.EINVALID, "gender %q is not F, M or U", in.Gender)
	}
	if len(in.Doses) > maxDoses || len(in.Observations) > maxObservations {
		return in.ID, coldkeep.Errorf(coldkeep.EINVALID, "more than %d doses or %d observations", maxDoses, maxObservations)
	}
	for i, o := range in.Observations {
		d, err := optional(o.Date)
		if err != nil {
			return in.ID, invalid("the date of observation "+strconv.Itoa(i+1), err)
		}
		var presence Presence
		switch o.Presence {
		case "", "present":
		case "unknown":
			presence = Unknown
		case "absent":
			presence = Absent
		default:
			return in.ID, coldkeep.Errorf(coldkeep.EINVALID, "the presence of observation %d, %q, is not present, absent or unknown", i+1, o.Presence)
		}
		p.Observations = append(p.Observations, Observation{Code: o.Code, Date: d, Presence: presence})
	}
	for i, x := range in.Doses {
		d := Dose{CVX: x.CVX, MVX: x.MVX, Condition: x.Condition}
		d.Date, err = coldkeep.ParseDate(x.Date)
		if err != nil {
			return in.ID, invalid("the date of dose "+strconv.Itoa(i+1), err)
		}
		d.LotExpiry, err = lotExpiry(x.LotExpiry)
		if err != nil {
			return in.ID, invalid("the lot expiry of dose "+strconv.Itoa(i+1), err)
		}
		p.Doses = append(p.Doses, d)
	}
	return in.ID, nil
}

func invalid(what string, err error) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%s: %s", what, coldkeep.ErrorMessage(err))
}

func idText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func optional(s string) (Date, error) {
	if s == "" {
		return None, nil
	}
	return coldkeep.ParseDate(s)
}

// lotExpiry reads a date, or a month that stands for its last day (CALCDTLOTEXP-1).
func lotExpiry(s string) (Date, error) {
	if len(s) != len("2006-01") {
		return optional(s)
	}
	first, err := coldkeep.ParseDate(s + "-01")
	if err != nil {
		return None, err
	}
	y, m, _ := first.Civil()
	return first + Date(coldkeep.DaysIn(y, m)-1), nil
}
