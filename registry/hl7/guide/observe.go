package guide

import (
	"slices"
	"strings"
)

// The observations that are read (LOINC).
const (
	obsEligibility = "64994-7"
	obsFunding     = "30963-3"
	obsVaccine     = "30956-7" // the vaccine of a VIS, or of an evaluation
	obsDocument    = "69764-9" // the barcode of a VIS
	obsEdition     = "29768-9"
	obsPresented   = "29769-7"
)

// observations are table NIP003 with what the value of each must be ("": anything). A
// value of another kind empties the segment.
var observations = map[string]string{
	obsEligibility: "HL70064",
	obsFunding:     "funding",
	obsVaccine:     "CVX",
	obsDocument:    "VIS",
	obsEdition:     "date",
	obsPresented:   "date",
	"38890-0":      "CVX",  // component vaccine type
	"30946-8":      "date", // contraindication: since
	"30944-3":      "date", // contraindication: until
	"30945-0":      "",     // contraindication
	"31044-1":      "",     // reaction
	"59784-9":      "",     // disease with presumed immunity
	"75505-8":      "",     // disease with serological evidence
	"59785-6":      "",     // special indication
	"30973-2":      "", "30979-9": "", "30980-7": "", "30981-5": "", "30982-3": "", "59779-9": "", "59777-3": "", "59778-1": "",
	"59780-7": "", "59782-3": "", "59781-5": "", "59783-1": "", // evaluation and forecast: of an answer, and kept as sent
	"46249-9": "", "46250-7": "",
	"VFC-STATUS": "HL70064", // what 2.3.1 senders write for 64994-7
}

// oldFunding are the funding sources of older messages (NIP008).
var oldFunding = map[string]string{"PBF": "VXC50", "PVF": "PHC70"}

// observe reads an OBX whose fields are whole, into an order.
func (w *walk) observe(s *seg, out *Order) {
	r := s.first(5)
	code := s.text(3)
	ob := Observation{Code: code, Title: part(s.first(3), 2), Group: s.text(4), Type: s.text(2), Value: part(r, 1), Text: part(r, 2), System: part(r, 3), AltValue: part(r, 4), AltText: part(r, 5), AltSystem: part(r, 6),
		Units: s.text(6), At: s.At(0)}
	ob.Date, _ = date(s.text(14))
	ob.Method = s.text(17)
	want := observations[code]
	switch want {
	case "":
		ob.Day, _ = date(ob.Value)
	case "date":
		d, precision := date(ob.Value)
		if precision != 8 {
			d = 0
		}
		if ob.Day = d; !d.Known() {
			w.say(Error, s.At(5), DataTypeError, InvalidDate, "observation", "OBX-5 of %s: want a day that exists, as YYYYMMDD: the OBX is left out.", code)
			return
		}
	default:
		c, ok := w.code(want, r)
		if !ok && want == "funding" {
			c, ok = oldFunding[ob.Value]
		}
		if !ok {
			w.say(Error, s.At(5), TableValueNotFound, NotInTable, "observation", "OBX-5 of %s is not in table %s: the OBX is left out.", code, want)
			return
		}
		ob.Value = c
	}
	switch code {
	case "VFC-STATUS":
		ob.Code = obsEligibility
		fallthrough
	case obsEligibility:
		out.Eligibility, out.Method = ob.Value, ob.Method
	case obsFunding:
		out.Funding = ob.Value
	}
	out.Observations = append(out.Observations, ob)
}

// maxSheets is the most sheets of one dose that are read; a combination has five.
const maxSheets = 20

// sheets puts together what observations say of Vaccine Information Statements: those of
// one OBX-4 belong to one, or, where there is none, those up to the next one's first.
func sheets(all []Observation) []Sheet {
	var out []Sheet
	var groups []string
	has := map[int]map[string]bool{}
	for i := range all {
		ob := &all[i]
		code := ob.Code
		if code == "38890-0" {
			code = obsVaccine
		}
		if code != obsDocument && code != obsVaccine && code != obsEdition && code != obsPresented {
			continue
		}
		at := -1
		for k := len(out) - 1; k >= 0; k-- {
			if groups[k] == ob.Group && !has[k][code] {
				at = k
				break
			}
		}
		if at < 0 && len(out) == maxSheets {
			continue
		}
		if at < 0 {
			at = len(out)
			out, groups = append(out, Sheet{}), append(groups, ob.Group)
			has[at] = map[string]bool{}
		}
		has[at][code] = true
		switch code {
		case obsDocument:
			out[at].Document = ob.Value
		case obsVaccine:
			out[at].CVX = ob.Value
		case obsEdition:
			out[at].Edition = ob.Day
		case obsPresented:
			out[at].Presented = ob.Day
		}
	}
	return slices.DeleteFunc(out, func(s Sheet) bool { return s.Document == "" && !s.Edition.Known() && !s.Presented.Known() })
}

// placeholder reports whether a name is one that is written where none is known.
func placeholder(n Name) bool {
	family, given := letters(n.Family), letters(n.Given)
	return slices.Contains(placeholders, given) || slices.Contains(placeholders, family) ||
		given != "" && strings.Trim(given, given[:1]) == "" && len(given) > 2 || strings.HasPrefix(family, "ZZZ")
}

// placeholders are what is written for a name that is not known.
var placeholders = []string{
	"BABY", "BABYBOY", "BABYGIRL", "BOY", "GIRL", "BB", "BG", "NEWBORN", "INFANT", "CHILD", "MALE", "FEMALE", "UNKNOWN", "UNK", "NONE", "NOFIRSTNAME", "NOLASTNAME",
	"NOFIRST", "NOLAST", "NONAME", "NFN", "NLN", "FNU", "LNU", "TEST", "TESTPATIENT", "PATIENT", "NA", "NULL", "DUMMY", "FAKE", "SAMPLE", "TWIN", "TWINA", "TWINB",
}

// letters are the letters of a name in capitals.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r > 127:
			return r
		}
		return -1
	}, s)
}
