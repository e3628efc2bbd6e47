package patient

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// specials are letters that no decomposition takes to plain Latin ones.
var specials = map[rune]string{
	'ß': "SS", 'ẞ': "SS", 'æ': "AE", 'Æ': "AE", 'œ': "OE", 'Œ': "OE", 'ø': "O", 'Ø': "O", 'đ': "D", 'Đ': "D",
	'ð': "D", 'Ð': "D", 'þ': "TH", 'Þ': "TH", 'ł': "L", 'Ł': "L", 'ı': "I", 'ħ': "H", 'Ħ': "H", 'ŋ': "N", 'Ŋ': "N",
}

// Fold gives a text in plain capitals: accents, case, punctuation and repeated blanks are
// gone; letters of other scripts and digits stay. Hyphens and blanks become one blank, so
// that the parts of "Peña-O'Brien" are PENA and OBRIEN. Folding twice changes nothing.
func Fold(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	put := func(r rune) {
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteRune(r)
	}
	for _, r := range norm.NFKD.String(s) {
		if t, ok := specials[r]; ok {
			for _, c := range t {
				put(c)
			}
			continue
		}
		switch {
		case unicode.Is(unicode.Mn, r) || r == '\'' || r == '’' || r == '`' || r == '´' || r == '.':
			// an accent, or a mark inside a name: O'Brien is OBRIEN, St. is ST
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			put(unicode.ToUpper(r))
		default:
			gap = true
		}
	}
	// An upper case may itself decompose.
	return norm.NFC.String(b.String())
}

// plain reports whether folding would change nothing.
func plain(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' && last != ' ') {
			return false
		}
		last = c
	}
	return last != ' ' || s == ""
}

// squash is a folded text without its blanks: "DE LA CRUZ" and "DELACRUZ" are one.
func squash(s string) string { return strings.ReplaceAll(s, " ", "") }

// suffixes are what stands behind a name, in the forms it is written in.
var suffixes = map[string]string{
	"JR": "JR", "JUNIOR": "JR", "SR": "SR", "SENIOR": "SR", "II": "II", "2ND": "II", "III": "III", "3RD": "III",
	"IV": "IV", "4TH": "IV", "V": "V", "5TH": "V",
}

// foldSuffix gives the usual form of a suffix; one that is not known is folded only.
func foldSuffix(s string) string {
	s = Fold(s)
	if known, ok := suffixes[s]; ok {
		return known
	}
	return s
}

// takeSuffix parts a folded family name from a suffix that was typed behind it.
func takeSuffix(family string) (rest, suffix string) {
	i := strings.LastIndexByte(family, ' ')
	if i < 0 || family[i+1:] == "V" { // a lone V may be a middle initial
		return family, ""
	}
	if known, ok := suffixes[family[i+1:]]; ok {
		return family[:i], known
	}
	return family, ""
}

// Digits keeps the digits of a text.
func Digits(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// NormalPhone gives ten digits for a number of the North American plan, and "+" with the
// digits for one that was written with a plus sign and is of elsewhere. ok is false for
// anything else, and for numbers that cannot be: area codes and exchanges begin with 2
// to 9 (47 CFR 52). An extension behind "x" or "ext" is dropped.
func NormalPhone(s string) (number string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) > 60 {
		return "", false
	}
	low := strings.ToLower(s)
	if i := strings.IndexByte(low, 'x'); i > 0 {
		low = strings.TrimSuffix(low[:i], "e") // "ext"
	}
	for _, r := range low {
		if !(r >= '0' && r <= '9' || strings.ContainsRune("+-.()/ \u00a0\u2011\u2013", r)) {
			return "", false
		}
	}
	d := Digits(low)
	plus := strings.HasPrefix(strings.TrimSpace(low), "+")
	if len(d) == 11 && d[0] == '1' {
		d, plus = d[1:], false
	}
	if plus {
		return "+" + d, len(d) >= 8 && len(d) <= 15 && d[0] != '0' && d[0] != '1' // E.164
	}
	if len(d) != 10 || d[0] < '2' || d[3] < '2' {
		return "", false
	}
	return d, true
}

// NormalEmail gives an address in small letters. ok is false when it cannot be one.
func NormalEmail(s string) (address string, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || len(s) > 254 || strings.Contains(domain, "@") || !strings.Contains(domain, ".") ||
		strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return "", false
	}
	for _, r := range s {
		if r <= ' ' || r == utf8.RuneError || strings.ContainsRune(`<>()[],;:"\`, r) || unicode.IsSpace(r) {
			return "", false
		}
	}
	return s, true
}

// NormalZIP gives five digits, or nine with a dash.
func NormalZIP(s string) (zip string, ok bool) {
	s = strings.TrimSpace(s)
	if strings.Trim(s, "0123456789- ") != "" {
		return "", false
	}
	switch d := Digits(s); len(d) {
	case 5:
		return d, true
	case 9:
		return d[:5] + "-" + d[5:], true
	}
	return "", false
}

// tidy is a text as a person wrote it, without blanks around and with single ones
// inside, and without control characters.
func tidy(s string) string {
	clean := true
	last := ' '
	for _, r := range s {
		if unicode.IsControl(r) || unicode.IsSpace(r) && (r != ' ' || last == ' ') || r == utf8.RuneError {
			clean = false
			break
		}
		last = r
	}
	if clean && (last != ' ' || s == "") {
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
