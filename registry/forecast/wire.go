package forecast

import (
	"bytes"
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

// appendResult writes an answer in the shape of the forecast command. Explained,
// it carries every evaluation and the decisions behind each.
func appendResult(b []byte, id json.RawMessage, res *Result, explain bool) []byte {
	b = appendID(b, id)
	b = append(b, `,"doses":[`...)
	for i := range res.Doses {
		d := &res.Doses[i]
		b = comma(b, i)
		b = append(b, `{"date":"`...)
		b = d.Date.Append(b)
		b = append(b, `","cvx":`...)
		b = appendString(b, d.CVX)
		b = append(b, `,"evaluations":[`...)
		n := 0
		for k := range d.Evaluations {
			if explain || standsFor(d.Evaluations, k) {
				b = comma(b, n)
				b = appendEvaluation(b, &d.Evaluations[k], explain)
				n++
			}
		}
		b = append(b, `]}`...)
	}
	b = append(b, `],"forecasts":[`...)
	for i := range res.Forecasts {
		b = comma(b, i)
		b = appendForecast(b, &res.Forecasts[i], explain)
	}
	b = append(b, ']')
	if len(res.Undetermined) > 0 {
		b = append(b, `,"undetermined":[`...)
		for i, u := range res.Undetermined {
			b = comma(b, i)
			b = append(b, `{"code":`...)
			b = appendString(b, u.Code)
			b = append(b, `,"says":`...)
			b = appendString(b, u.Says)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if len(res.Upcoming) > 0 {
		b = append(b, `,"upcoming":[`...)
		for i, u := range res.Upcoming {
			b = comma(b, i)
			b = append(b, `{"vaccine_group":`...)
			b = appendString(b, u.Group)
			b = append(b, `,"observation":`...)
			b = appendString(b, u.Observation)
			b = appendDate(b, `,"from":`, u.From)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// standsFor reports whether evaluation k is the one to show of its antigen: a
// dose that counts in either the standard or the risk series counts.
func standsFor(es []Evaluation, k int) bool {
	for i := range es {
		o, e := &es[i], &es[k]
		if i != k && o.Group == e.Group && o.Antigen == e.Antigen &&
			(o.Status < e.Status || o.Status == e.Status && i < k) {
			return false
		}
	}
	return true
}

func appendEvaluation(b []byte, e *Evaluation, explain bool) []byte {
	b = append(b, `{"vaccine_group":`...)
	b = appendString(b, e.Group)
	b = append(b, `,"antigen":`...)
	b = appendString(b, e.Antigen)
	b = append(b, `,"status":`...)
	b = appendPlain(b, e.Status.String())
	b = append(b, `,"reason":`...)
	b = appendPlain(b, e.Reason.String())
	if explain {
		b = append(b, `,"series_type":`...)
		b = appendPlain(b, seriesType(e.Risk))
		b = append(b, `,"series":`...)
		b = appendString(b, e.Series)
		b = append(b, `,"target_dose":`...)
		b = appendNumber(b, e.Target)
		b = appendDecisions(b, e.Decisions)
	}
	return append(b, '}')
}

func appendForecast(b []byte, f *Forecast, explain bool) []byte {
	b = append(b, `{"vaccine_group":`...)
	b = appendString(b, f.Group)
	b = append(b, `,"series_type":`...)
	b = appendPlain(b, seriesType(f.Risk))
	b = append(b, `,"status":`...)
	b = appendPlain(b, f.Status.String())
	b = append(b, `,"dose_number":`...)
	b = appendNumber(b, f.Number)
	b = appendDate(b, `,"earliest":`, f.Earliest)
	b = appendDate(b, `,"recommended":`, f.Recommended)
	b = appendDate(b, `,"past_due":`, f.PastDue)
	b = appendDate(b, `,"latest":`, f.Latest)
	if f.Begins != None {
		b = appendDate(b, `,"begins":`, f.Begins)
	}
	b = append(b, `,"cvx":[`...)
	for i, c := range f.CVX {
		b = comma(b, i)
		b = appendString(b, c)
	}
	b = append(b, `],"reason":`...)
	b = appendPlain(b, f.Reason.String())
	if explain {
		b = append(b, `,"shared_decision":`...)
		b = strconv.AppendBool(b, f.Shared)
		b = append(b, `,"series":[`...)
		for i, s := range f.Series {
			b = comma(b, i)
			b = appendString(b, s)
		}
		b = append(b, ']')
		b = appendDecisions(b, f.Decisions)
	}
	return append(b, '}')
}

func seriesType(risk bool) string {
	if risk {
		return "risk"
	}
	return "standard"
}

func appendDecisions(b []byte, ds []Decision) []byte {
	raw, err := json.Marshal(ds)
	if err != nil || len(ds) == 0 {
		raw = []byte("[]")
	}
	return append(append(b, `,"decisions":`...), raw...)
}

func appendError(b []byte, id json.RawMessage, err error) []byte {
	b = appendID(b, id)
	b = append(b, `,"error":`...)
	b = appendString(b, coldkeep.ErrorMessage(err))
	return append(b, '}')
}

func appendID(b []byte, id json.RawMessage) []byte {
	b = append(b, `{"id":`...)
	switch {
	case len(id) == 0:
		return append(b, "null"...)
	case id[0] == '{' || id[0] == '[': // kept on its line
		var one bytes.Buffer
		if json.Compact(&one, id) == nil {
			id = one.Bytes()
		}
	}
	return append(b, id...)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

func appendNumber(b []byte, n int) []byte {
	if n == 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, int64(n), 10)
}

func appendDate(b []byte, key string, d Date) []byte {
	b = append(b, key...)
	if d == None {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = d.Append(b)
	return append(b, '"')
}

// appendPlain writes one of our own words, which need no escaping.
func appendPlain(b []byte, s string) []byte {
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendString writes a JSON string; only what a person typed needs escaping.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			raw, err := json.Marshal(s)
			if err != nil {
				raw = []byte(`""`)
			}
			return append(b, raw...)
		}
	}
	return appendPlain(b, s)
}
