package onboarding

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
)

// The bounds of a file. A practice of ten thousand patients with twenty doses each has
// two hundred thousand rows; it sends two files.
const (
	MaxBytes = 32 << 20
	maxRows  = 100_000
	maxField = 500
)

// Column is a column of the file.
type Column struct {
	Name     string
	Needed   bool   // in every row; the columns of a dose only where there is one
	Contents string // what it holds, for people
}

// Columns lists the columns in the order of the template. A row is a dose of a patient,
// with the patient's columns repeated, or a patient without one.
func Columns() []Column {
	return []Column{
		{"record_number", false, "The practice's own number of the patient. With it the same patient is found again for certain."},
		{"family_name", true, "Legal family name."},
		{"given_name", true, "Legal given name."},
		{"middle_name", false, ""},
		{"suffix", false, "Such as JR or III."},
		{"birth_date", true, "2025-01-15 or 1/15/2025."},
		{"sex", true, "F, M, X or U."},
		{"mother_maiden_name", false, "The mother's family name before her first marriage."},
		{"street", false, ""}, {"city", false, ""}, {"state", false, "Two letters."}, {"zip", false, "Five or nine digits."},
		{"phone", false, "Ten digits."},
		{"email", false, ""},
		{"medicaid_id", false, ""},
		{"guardian_family", false, ""}, {"guardian_given", false, ""}, {"guardian_relation", false, "MTH mother, FTH father or GRD guardian."},
		{"vaccine_date", false, "The day of the dose. Empty: the row is a patient without one."},
		{"cvx", false, "The vaccine's CVX code; may be empty when ndc is there."},
		{"ndc", false, "10 or 11 digits, with or without dashes."},
		{"mvx", false, "The manufacturer's MVX code."},
		{"lot", false, ""},
		{"lot_expiry", false, "2027-06-30 or 6/30/2027."},
		{"body_site", false, "HL7 table 0163, such as LA."},
		{"route", false, "HL7 table 0162, such as IM."},
		{"source", false, "NIP001, 01 to 08; empty is 01, not specified."},
		{"given_by", false, "Who gave it, if it was somebody else."},
	}
}

// Template is a file with the columns and one example, to fill in.
func Template() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var head, example []string
	values := map[string]string{"record_number": "10042", "family_name": "Example", "given_name": "Robin", "birth_date": "2025-01-15", "sex": "F", "vaccine_date": "2025-03-17", "cvx": "110", "mvx": "SKB", "source": "01"}
	for _, c := range Columns() {
		head, example = append(head, c.Name), append(example, values[c.Name])
	}
	_ = w.WriteAll([][]string{head, example}) // into memory
	return b.Bytes()
}

// Finding is something about a row, and what to do. It names the column and the rule and
// never a value: findings are kept when the values of the file are cleared.
type Finding struct {
	Column string `json:"column,omitempty"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"`
	Refuse bool   `json:"refuse,omitempty"` // the row is not taken over
}

// Row is one line of a file, by column.
type Row struct {
	N        int               `json:"n"`     // the line in the file; its heading is line 1
	First    bool              `json:"first"` // of its patient in the file
	Values   map[string]string `json:"values"`
	Findings []Finding         `json:"-"`
}

// Read reads a file. A row that is wrong is a row with a finding, and the rest goes on.
// EINVALID when it is no file of rows at all: too large, without a heading, without a
// column that is needed, or not text.
func Read(r io.Reader) ([]Row, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "onboarding.Read", "The file could not be read.")
	}
	switch {
	case len(body) > MaxBytes:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "The file is larger than %d MB. Split it by patients.", MaxBytes>>20)
	case !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "The file is not text in UTF-8. Save it as “CSV UTF-8”.")
	}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	in.FieldsPerRecord, in.TrimLeadingSpace, in.ReuseRecord = -1, true, true
	head, err := in.Read()
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "The file has no heading. Begin it with the names of the columns; the template has them.")
	}
	names, err := heading(head)
	if err != nil {
		return nil, err
	}
	var out []Row
	seen := map[string]bool{}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if len(out) == maxRows {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "The file has more than %d rows. Split it by patients.", maxRows)
		}
		if err != nil {
			n := 0
			var wrong *csv.ParseError
			if errors.As(err, &wrong) {
				n = wrong.StartLine
			}
			out = append(out, Row{N: n, Values: map[string]string{}, Findings: []Finding{{What: "The row cannot be read: its quotation marks do not fit.", Advice: "Write a quotation mark in a text twice.", Refuse: true}}})
			continue
		}
		n, _ := in.FieldPos(0)
		row := values(n, names, record)
		if len(row.Values) == 0 && len(row.Findings) == 0 {
			continue // an empty row
		}
		key := row.key()
		row.First = !seen[key]
		seen[key] = true
		out = append(out, row)
	}
}

// PassedOver lists the columns of a file that are none of ours, as the file has them: what
// stands in them is not imported, and who sends the file should know. It gives at most a
// dozen, and none of a file that has no heading.
func PassedOver(r io.Reader) []string {
	head, err := csv.NewReader(io.LimitReader(r, MaxBytes)).Read()
	if err != nil {
		return nil
	}
	var out []string
	for i, h := range head {
		if i == 0 {
			h = strings.TrimPrefix(h, "\xef\xbb\xbf")
		}
		if h = strings.TrimSpace(h); h != "" && !slices.ContainsFunc(Columns(), func(c Column) bool { return c.Name == columnName(h) }) && len(out) < 12 {
			out = append(out, h[:min(len(h), 40)])
		}
	}
	return out
}

// columnName is a column's name as people may write it in a heading.
func columnName(h string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(h), " ", "_"))
}

// heading is the column of each field; "" for one that is not known, which is passed over.
func heading(head []string) ([]string, error) {
	known := map[string]bool{}
	for _, c := range Columns() {
		known[c.Name] = true
	}
	var out []string
	for _, h := range head {
		h = columnName(h)
		if !known[h] {
			h = ""
		}
		if h != "" && slices.Contains(out, h) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "Column %s: is there twice.", h)
		}
		out = append(out, h)
	}
	for _, c := range Columns() {
		if c.Needed && !slices.Contains(out, c.Name) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "Column %s: is missing. The template has the names of the columns.", c.Name)
		}
	}
	return out, nil
}

func values(n int, names, record []string) Row {
	row := Row{N: n, Values: map[string]string{}}
	for i, v := range record {
		v = strings.TrimSpace(v)
		switch {
		case v == "":
		case i >= len(names):
			row.Findings = append(row.Findings, Finding{What: "The row has more fields than the heading.", Advice: "Put a field that holds a comma in quotation marks.", Refuse: true})
			return row
		case names[i] == "":
		case len(v) > maxField:
			row.Findings = append(row.Findings, Finding{Column: names[i], What: fmt.Sprintf("It is longer than %d characters.", maxField), Refuse: true})
		default:
			row.Values[names[i]] = v
		}
	}
	return row
}

// key tells patients of the file apart.
func (r *Row) key() string {
	v := r.Values
	if n := v["record_number"]; n != "" {
		return "n\x00" + n
	}
	return strings.ToLower(v["family_name"] + "\x00" + v["given_name"] + "\x00" + v["middle_name"] + "\x00" + v["birth_date"])
}
