package web

import (
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep/registry/exchange"
)

// segmentView is a segment of a message as it is shown, with what was found in it.
type segmentView struct {
	Name     string
	Fields   []fieldView
	Findings []exchange.Finding
}

// fieldView is a field with the separator before it. Bad is that a finding speaks of it.
type fieldView struct {
	Text string
	Bad  bool
}

// segments shows a message segment by segment. Findings that speak of none of them are
// given back.
func segments(text []byte, findings []exchange.Finding) (out []segmentView, rest []exchange.Finding) {
	seen := map[string]int{}
	at := map[string]int{} // by name and number
	sep := "|"
	for line := range strings.FieldsFuncSeq(strings.ToValidUTF8(string(text), "\uFFFD"), func(r rune) bool { return r == '\r' || r == '\n' || r == '\v' || r == '\x1c' }) {
		line = strings.TrimLeft(line, "\ufeff")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if strings.HasPrefix(line, "MSH") && len(line) > 3 {
			sep = line[3:4]
		}
		name, _, _ := strings.Cut(line, sep)
		v := segmentView{Name: name}
		for i, f := range strings.Split(line, sep) {
			if i > 0 {
				f = sep + f
			}
			v.Fields = append(v.Fields, fieldView{Text: f})
		}
		seen[name]++
		at[name+" "+strconv.Itoa(seen[name])] = len(out)
		out = append(out, v)
	}
	for _, f := range findings {
		name, field, _ := strings.Cut(f.Place, "-")
		i, ok := at[name+" "+strconv.Itoa(max(f.Segment, 1))]
		if !ok || f.Place == "" {
			rest = append(rest, f)
			continue
		}
		out[i].Findings = append(out[i].Findings, f)
		field, _, _ = strings.Cut(field, ".")
		if n, err := strconv.Atoi(field); err == nil {
			if name == "MSH" {
				n-- // the separator is a field of its own
			}
			if n > 0 && n < len(out[i].Fields) {
				out[i].Fields[n].Bad = true
			}
		}
	}
	return out, rest
}

// errorCode is HL7 table 0357 in words.
func errorCode(code string) string {
	if w, ok := errorCodes[code]; ok {
		return w
	}
	return "code " + code
}

var errorCodes = map[string]string{
	"0": "accepted", "100": "segments missing or out of order", "101": "a required field is missing", "102": "not of its data type", "103": "a code that is not known",
	"200": "message type not taken", "201": "event not taken", "202": "processing ID not taken", "203": "version not taken", "204": "unknown key", "205": "duplicate key", "206": "record locked", "207": "error of the registry", "999": "a rule of the registry",
}

// errorDetail is HL7 table 0533 in words; "" for none.
func errorDetail(code string) string {
	return map[string]string{"1": "illogical date", "2": "invalid date", "3": "illogical value", "4": "invalid value", "5": "not in its table", "6": "a required observation is missing", "7": "required data are missing"}[code]
}
