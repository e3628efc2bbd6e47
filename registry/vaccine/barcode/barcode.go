// Package barcode reads what a scanner gives of a vaccine's package: a GS1 element
// string (GS1 General Specifications, section 3), such as the DataMatrix on a syringe
// that holds product, lot and expiry, or the linear code of its product alone.
package barcode

import (
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Label is what a barcode says. What it does not hold is absent.
type Label struct {
	GTIN    string        // application identifier 01: 14 digits
	Lot     string        // 10
	Serial  string        // 21
	Expires coldkeep.Date // 17; a day of 00 is the last of the month
}

// longest is more than any symbol on a vaccine holds.
const longest = 200

// separator ends an element of variable length: FNC1, as scanners send it.
const separator = '\x1d'

// Parse reads a barcode. It takes the raw element string with or without a symbology
// identifier ("]d2"), the form for people with brackets around the identifiers, and 12
// to 14 digits of a linear code. today decides the century of a year.
//
// EINVALID: it is none of these, a check digit or a date is wrong, or an element is cut
// off. The message says what to do.
func Parse(s string, today coldkeep.Date) (Label, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > longest {
		return Label{}, coldkeep.Errorf(coldkeep.EINVALID, "Barcode: want 1 to %d characters.", longest)
	}
	for i := range len(s) {
		if (s[i] < 0x20 || s[i] > 0x7e) && s[i] != separator {
			return Label{}, coldkeep.Errorf(coldkeep.EINVALID, "Barcode: holds a character that no GS1 code has. Scan it again, or type product and lot.")
		}
	}
	if len(s) > 3 && s[0] == ']' {
		s = s[3:]
	}
	s = strings.Trim(s, string(separator))
	if strings.HasPrefix(s, "(") {
		return bracketed(s, today)
	}
	if len(s) >= 12 && len(s) <= 14 && strings.Trim(s, "0123456789") == "" && checked(s) {
		return Label{GTIN: strings.Repeat("0", 14-len(s)) + s}, nil
	}
	var l Label
	for s != "" {
		ai, size, fixed, err := identifier(s)
		if err != nil {
			return l, err
		}
		rest := s[len(ai):]
		end := size
		if !fixed {
			if end = strings.IndexByte(rest, separator); end < 0 {
				end = len(rest)
			}
			if end > size {
				return l, coldkeep.Errorf(coldkeep.EINVALID, "Barcode: element (%s) is longer than %d characters. Set the scanner to send the separator FNC1.", ai, size)
			}
		}
		if end > len(rest) || end == 0 {
			return l, coldkeep.Errorf(coldkeep.EINVALID, "Barcode: element (%s) is cut off. Scan it again.", ai)
		}
		if err := l.set(ai, rest[:end], today); err != nil {
			return l, err
		}
		s = strings.TrimPrefix(rest[end:], string(separator))
	}
	return l, l.whole()
}

// bracketed reads the form printed for people, such as "(01)00349281521003(10)U1234AA".
func bracketed(s string, today coldkeep.Date) (Label, error) {
	var l Label
	for part := range strings.SplitSeq(s[1:], "(") {
		ai, value, ok := strings.Cut(part, ")")
		if !ok || ai == "" || len(ai) > 4 || strings.Trim(ai, "0123456789") != "" {
			return l, coldkeep.Errorf(coldkeep.EINVALID, "Barcode: want identifiers in brackets, such as (01)00349281521003(10)U1234AA.")
		}
		if err := l.set(ai, strings.Trim(value, " "+string(separator)), today); err != nil {
			return l, err
		}
	}
	return l, l.whole()
}

func (l *Label) whole() error {
	if l.GTIN == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Barcode: holds no product number (01). Scan the code on the vial or syringe, or type product and lot.")
	}
	return nil
}

// identifier finds the application identifier at the start of s and how long its
// element is: of exactly that many characters, or of at most as many up to a separator.
func identifier(s string) (ai string, size int, fixed bool, err error) {
	unknown := coldkeep.Errorf(coldkeep.EINVALID, "Barcode: is not a GS1 code. Scan the code on the vial or syringe, or type product and lot.")
	if len(s) < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return "", 0, false, unknown
	}
	digits := func(n int) bool { return len(s) >= n && strings.Trim(s[:n], "0123456789") == "" }
	switch p := s[:2]; {
	// Those of predefined length (GS1 General Specifications, figure 7.8.5-2).
	case p == "00":
		return p, 18, true, nil
	case p >= "01" && p <= "03":
		return p, 14, true, nil
	case p == "04":
		return p, 16, true, nil
	case p >= "11" && p <= "19":
		return p, 6, true, nil
	case p == "20":
		return p, 2, true, nil
	case p >= "31" && p <= "36":
		if !digits(4) {
			return "", 0, false, unknown
		}
		return s[:4], 6, true, nil
	case p == "41":
		if !digits(3) {
			return "", 0, false, unknown
		}
		return s[:3], 13, true, nil
	case p == "10", p == "21", p == "22":
		return p, 20, false, nil
	case p == "30", p == "37":
		return p, 8, false, nil
	case p == "90":
		return p, 30, false, nil
	case p > "90":
		return p, 90, false, nil
	case p >= "23" && p <= "25", p >= "40" && p <= "43":
		if !digits(3) {
			return "", 0, false, unknown
		}
		return s[:3], 30, false, nil
	case p == "70", p >= "71" && p <= "72", p >= "80" && p <= "82":
		n := 4
		if p == "71" {
			n = 3 // national healthcare reimbursement numbers
		}
		if !digits(n) {
			return "", 0, false, unknown
		}
		return s[:n], 90, false, nil
	}
	return "", 0, false, unknown
}

func (l *Label) set(ai, value string, today coldkeep.Date) error {
	var err error
	switch ai {
	case "01":
		if len(value) != 14 || strings.Trim(value, "0123456789") != "" || !checked(value) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Barcode: the product number (01) has a wrong digit. Scan it again.")
		}
		l.GTIN = value
	case "10":
		l.Lot = strings.ToUpper(value)
		if l.Lot == "" || len(l.Lot) > 20 {
			return coldkeep.Errorf(coldkeep.EINVALID, "Barcode: the lot number (10) has 1 to 20 characters.")
		}
	case "21":
		l.Serial = value
	case "17":
		l.Expires, err = date(value, today)
	}
	return err
}

// date reads YYMMDD. The century is the one that puts the year at most 49 years ahead of
// and 50 behind today's (GS1 General Specifications, section 7.12).
func date(s string, today coldkeep.Date) (coldkeep.Date, error) {
	wrong := coldkeep.Errorf(coldkeep.EINVALID, "Barcode: the expiry (17) is not a date. Scan it again.")
	if len(s) != 6 || strings.Trim(s, "0123456789") != "" {
		return 0, wrong
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, wrong
	}
	yy, month, day := n/10000, n/100%100, n%100
	this, _, _ := today.Civil()
	year := this - this%100 + yy
	switch ahead := year - this; {
	case ahead > 49:
		year -= 100
	case ahead < -50:
		year += 100
	}
	if day == 0 && month >= 1 && month <= 12 {
		day = coldkeep.DaysIn(year, month)
	}
	d := coldkeep.NewDate(year, month, day)
	if !d.Known() {
		return 0, wrong
	}
	return d, nil
}

// checked reports whether the last digit is the check digit of the others (GS1 General
// Specifications, section 7.9.1).
func checked(s string) bool {
	sum := 0
	for i := range len(s) - 1 {
		weight := 3
		if (len(s)-1-i)%2 == 0 {
			weight = 1
		}
		sum += weight * int(s[i]-'0')
	}
	return (10-sum%10)%10 == int(s[len(s)-1]-'0')
}

// statementDigits is how long the code of a Vaccine Information Statement is: (253) and the
// 13 digits of the document, (11) and the six of the edition's date.
const statementDigits = 24

// Statement reads the barcode of a Vaccine Information Statement: a GS1 Global Document Type
// Identifier (253) with the date of the edition (11). It takes what a scanner sends, with or
// without a symbology identifier and separators, the form with brackets, and the 24 digits
// alone. It gives the 24 digits, by which an edition is looked up.
//
// EINVALID: it is none of these, or a check digit is wrong.
func Statement(s string) (code string, err error) {
	s = strings.TrimSpace(s)
	if len(s) > 3 && s[0] == ']' {
		s = s[3:]
	}
	s = strings.Map(func(r rune) rune {
		if r == separator || r == '(' || r == ')' || r == ' ' {
			return -1
		}
		return r
	}, s)
	if len(s) != statementDigits || strings.Trim(s, "0123456789") != "" || s[:3] != "253" || s[16:18] != "11" {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "VIS barcode: want the code at the foot of the statement: 24 digits that begin with 253.")
	}
	if !checked(s[3:16]) {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "VIS barcode: a digit is wrong. Scan it again.")
	}
	return s, nil
}
