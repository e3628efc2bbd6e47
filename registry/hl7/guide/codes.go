package guide

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// table gives the code of a table that a text stands for. w is nil for tables that need
// no code sets.
type table func(w *walk, text string) (code string, ok bool)

// tables are the code tables that values are looked up in. The registry's own are used
// where it has them; here are those that only messages use, and the other spellings that
// arrive.
var tables = map[string]table{
	"HL70001": list(codesOf(patient.Sexes)...),
	// 32 and 33 are mother and father in the table that 2.3.1 senders use.
	"HL70063":            list(codesOf(patient.Relations)...).or(map[string]string{"CHD": "CHD", "SCH": "SCH", "32": "MTH", "33": "FTH"}),
	"HL70136":            list("Y", "N"),
	"HL70215":            list(codesOf(patient.Publicities)...),
	"HL70441":            list("A", "I", "L", "M", "P", "U"),
	"CDCREC race":        func(_ *walk, s string) (string, bool) { return patient.NormalRace(s) },
	"CDCREC ethnicity":   ethnicity,
	"ISO 639":            language,
	"NIP001":             list(append(choicesOf(immunization.Sources()), "00")...),
	"NIP002":             list(choicesOf(immunization.Refusals())...),
	"HL70322":            list("CP", "PA", "RE", "NA"),
	"HL70323":            list("A", "D", "U"),
	"HL70163":            list(choicesOf(immunization.BodySites())...),
	"HL70064":            list(choicesOf(immunization.Eligibility())...),
	"funding":            list(choicesOf(immunization.Fundings())...),
	"eligibility method": list("VXC40", "VXC41"),
	"route":              list(choicesOf(immunization.Routes())...).or(routes),
	"UCUM":               table(nil).or(units),
	"MVX":                func(w *walk, s string) (string, bool) { m, ok := w.codes.MVX(s); return m.MVX, ok },
	"CVX":                func(w *walk, s string) (string, bool) { v, ok := w.codes.CVX(s); return v.CVX, ok },
	// New editions come out before code sets do: the form is what can be asked.
	"VIS": func(_ *walk, s string) (string, bool) {
		return s, len(s) == 24 && strings.HasPrefix(s, "253") && strings.Trim(s, "0123456789") == ""
	},
}

// routes are the routes of the NCI thesaurus and other spellings in table 0162's codes.
// IV is known, and no vaccine the registry keeps is given so.
var routes = map[string]string{
	"C38238": "ID", "C28161": "IM", "C38284": "NS", "C38276": "", "C38288": "PO", "C38299": "SC", "C38305": "TD", "C38676": "TD",
	"IN": "NS", "SQ": "SC", "IV": "",
}

// units are UCUM's for amounts of vaccine, by their spellings in capitals. ISO+ of older
// versions writes ML.
var units = map[string]string{"ML": "mL", "CC": "mL", "MG": "mg", "UG": "ug", "MCG": "ug", "[PFU]": "[PFU]", "[IU]": "[IU]"}

// list is a table of codes.
func list(codes ...string) table {
	m := map[string]string{}
	for _, c := range codes {
		m[c] = c
	}
	return table(nil).or(m)
}

// or is a table with other spellings, in capitals, of its codes.
func (t table) or(spellings map[string]string) table {
	return func(w *walk, s string) (string, bool) {
		if t != nil {
			if c, ok := t(w, s); ok {
				return c, ok
			}
		}
		c, ok := spellings[strings.ToUpper(s)]
		return c, ok
	}
}

func codesOf(all []patient.Code) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.Code)
	}
	return out
}

func choicesOf(all []immunization.Choice) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.Code)
	}
	return out
}

// ethnicity knows that U of table 0189 is nobody's ethnicity.
func ethnicity(_ *walk, s string) (string, bool) {
	if strings.EqualFold(s, "U") {
		return "", true
	}
	return patient.NormalEthnicity(s)
}

// twoLetters are ISO 639-1's codes of languages that senders write so.
var twoLetters = map[string]string{
	"EN": "eng", "ES": "spa", "PL": "pol", "ZH": "chi", "TL": "tgl", "AR": "ara", "UR": "urd", "GU": "guj", "HI": "hin", "KO": "kor", "VI": "vie", "RU": "rus",
	"UK": "ukr", "FR": "fre", "DE": "ger", "IT": "ita", "EL": "gre", "LT": "lit", "RO": "rum", "SR": "srp", "BG": "bul", "PT": "por", "JA": "jpn",
	"FRA": "fre", "DEU": "ger", "ZHO": "chi", "ELL": "gre", "RON": "rum",
}

// language finds a language by its code or its English name.
func language(_ *walk, s string) (string, bool) {
	if c, ok := twoLetters[strings.ToUpper(s)]; ok {
		return c, true
	}
	for _, l := range patient.Languages {
		if strings.EqualFold(s, l.Code) || strings.EqualFold(s, l.Title) {
			return l.Code, true
		}
	}
	return "", false
}

// coded wants a code of a table, in its first or its alternate place.
func coded(name string) kind {
	return func(w *walk, r er7.Rep) *problem {
		if _, ok := w.code(name, r); ok {
			return nil
		}
		return &problem{code: TableValueNotFound, app: NotInTable, comp: 1, rule: "table", text: "it is not in table " + name}
	}
}

// code reads a coded value: its first place, else the alternate one.
func (w *walk) code(name string, r er7.Rep) (string, bool) {
	t := tables[name]
	for _, n := range []int{1, 4} {
		if s := part(r, n); s != "" {
			if c, ok := t(w, s); ok {
				return c, true
			}
		}
	}
	return "", false
}

// vaccineCode is what RXA-5 says.
type vaccineCode struct {
	cvx, ndc   string
	known      bool
	loose      bool // the coding system is not named as the guide has it
	mismatch   bool // the NDC is of another vaccine
	unknownNDC bool
}

// vaccine reads a CVX code, an NDC or both, in either order.
func (w *walk) vaccine(r er7.Rep) vaccineCode {
	var v vaccineCode
	fromNDC := ""
	for _, n := range []int{1, 4} {
		code, system := part(r, n), strings.ToUpper(part(r, n+2))
		if code == "" {
			continue
		}
		cvx, isCVX := w.codes.CVX(code)
		pack, isNDC := w.codes.NDC(code)
		switch {
		case (system == "CVX" || system == "HL70292" || system == "") && isCVX && v.cvx == "":
			v.cvx, v.loose = cvx.CVX, v.loose || system == ""
		case (strings.HasPrefix(system, "NDC") || system == "") && isNDC:
			v.ndc, fromNDC, v.loose = pack.NDC, pack.CVX, v.loose || system == ""
		case strings.HasPrefix(system, "NDC"):
			v.unknownNDC = true
		}
	}
	if v.cvx == "" {
		v.cvx = fromNDC
	} else if fromNDC != "" && fromNDC != v.cvx {
		v.mismatch, v.ndc = true, ""
	}
	v.known = v.cvx != ""
	return v
}
