package forecast

import (
	"bytes"
	"encoding/json"
	"strconv"

	coldkeep "github.com/coldkeep/coldkeep"
)

// appendResult writes an answer in the shape of the forecast command. Explained,
// it says the same and adds the words, the decisions behind each evaluation and
// forecast, and the evaluations that the contract's do not show.
func appendResult(b []byte, id json.RawMessage, res *Result, explain bool) []byte {
	b = appendID(b, id)
	b = append(b, `,"doses":[`...)
	for i := range res.Doses {
		b = appendDose(comma(b, i), &res.Doses[i], explain)
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
			b = append(comma(b, i), `{"code":`...)
			b = appendString(b, u.Code)
			b = append(b, `,"title":`...)
			b = appendString(b, u.Title)
			b = append(b, `,"vaccine_groups":`...)
			b = appendStrings(b, u.Groups)
			b = append(b, `,"says":`...)
			b = appendString(b, u.Says)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if len(res.Upcoming) > 0 {
		b = append(b, `,"upcoming":[`...)
		for i, u := range res.Upcoming {
			b = append(comma(b, i), `{"vaccine_group":`...)
			b = appendString(b, u.Group)
			b = append(b, `,"observation":`...)
			b = appendString(b, u.Observation)
			b = appendDate(b, `,"from":`, u.From)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if len(res.Unasked) > 0 {
		b = append(b, `,"unasked":[`...)
		for i, u := range res.Unasked {
			b = append(comma(b, i), `{"vaccine_group":`...)
			b = appendString(b, u.Group)
			b = append(b, `,"observations":[`...)
			for k, o := range u.Observations {
				b = appendString(comma(b, k), o.Code)
			}
			b = append(b, `]}`...)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendDose(b []byte, d *DoseResult, explain bool) []byte {
	b = append(b, `{"date":"`...)
	b = d.Date.Append(b)
	b = append(b, `","cvx":`...)
	b = appendString(b, d.CVX)
	b = append(b, `,"evaluations":[`...)
	n := 0
	for k := range d.Evaluations {
		if standsFor(d.Evaluations, k) {
			b = appendEvaluation(comma(b, n), &d.Evaluations[k], explain)
			n++
		}
	}
	b = append(b, ']')
	if explain {
		if n < len(d.Evaluations) {
			b = append(b, `,"other_evaluations":[`...)
			n = 0
			for k := range d.Evaluations {
				if !standsFor(d.Evaluations, k) {
					b = appendEvaluation(comma(b, n), &d.Evaluations[k], explain)
					n++
				}
			}
			b = append(b, ']')
		}
		b = append(b, `,"words":`...)
		b = appendStrings(b, d.Words)
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
		b = append(b, `,"words":`...)
		b = appendString(b, e.Words)
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
	b = append(b, `,"cvx":`...)
	b = appendStrings(b, f.CVX)
	b = append(b, `,"reason":`...)
	b = appendPlain(b, f.Reason.String())
	if explain {
		b = append(b, `,"shared_decision":`...)
		b = strconv.AppendBool(b, f.Shared)
		b = append(b, `,"series":`...)
		b = appendStrings(b, f.Series)
		b = append(b, `,"words":`...)
		b = appendStrings(b, f.Words)
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

func appendStrings(b []byte, all []string) []byte {
	b = append(b, '[')
	for i, s := range all {
		b = appendString(comma(b, i), s)
	}
	return append(b, ']')
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
