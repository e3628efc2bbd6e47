package er7

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// maxEscape is the most characters between two escape characters; what is longer is a
// text with an escape character that somebody forgot to escape.
const maxEscape = 200

// Unescape gives the text that an escaped one stands for (HL7 2.5.1, 2.7). Line breaks
// become "\n" and highlighting goes. What is not an escape sequence is left as it is.
func (s *Separators) Unescape(t string) string {
	at := strings.IndexByte(t, s.Escape)
	if at < 0 {
		return t
	}
	var b strings.Builder
	b.Grow(len(t))
	for {
		b.WriteString(t[:at])
		t = t[at:]
		end := strings.IndexByte(t[1:], s.Escape) + 1
		text, ok := "", false
		if end > 0 && end <= maxEscape+1 {
			text, ok = s.sequence(t[1:end])
		}
		if ok {
			b.WriteString(text)
			t = t[end+1:]
		} else {
			b.WriteByte(s.Escape)
			t = t[1:]
		}
		if at = strings.IndexByte(t, s.Escape); at < 0 {
			b.WriteString(t)
			return b.String()
		}
	}
}

// sequence is what stands between two escape characters.
func (s *Separators) sequence(q string) (text string, ok bool) {
	switch q {
	case "F":
		return string(s.Field), true
	case "S":
		return string(s.Component), true
	case "T":
		return string(s.Subcomponent), true
	case "R":
		return string(s.Repetition), true
	case "E":
		return string(s.Escape), true
	case "H", "N":
		return "", true // highlighting begins and ends
	case ".br":
		return "\n", true
	}
	switch {
	case len(q) >= 3 && q[0] == 'X':
		b, err := hex.DecodeString(q[1:])
		if err != nil {
			return "", false
		}
		if utf8.Valid(b) {
			return string(b), true
		}
		return latin(b), true
	case strings.HasPrefix(q, ".sp"):
		return "\n", true
	}
	return "", false
}

// escape appends a text so that Unescape gives it back. Bytes that are not UTF-8 become
// U+FFFD, since what is written is UTF-8.
func (s *Separators) escape(b []byte, t string) []byte {
	const digits = "0123456789ABCDEF"
	if t == null {
		return append(b, s.Escape, 'X', '2', '2', s.Escape, '"') // two quotes that are no null
	}
	if !utf8.ValidString(t) {
		t = strings.ToValidUTF8(t, "\uFFFD")
	}
	for i := range len(t) {
		c := t[i]
		what := byte(0)
		switch {
		case c == s.Field:
			what = 'F'
		case c == s.Component:
			what = 'S'
		case c == s.Subcomponent:
			what = 'T'
		case c == s.Repetition:
			what = 'R'
		case c == s.Escape:
			what = 'E'
		case c == '\n':
			b = append(b, s.Escape, '.', 'b', 'r', s.Escape)
			continue
		case c < ' ':
			b = append(b, s.Escape, 'X', digits[c>>4], digits[c&15], s.Escape)
			continue
		default:
			b = append(b, c)
			continue
		}
		b = append(b, s.Escape, what, s.Escape)
	}
	return b
}
