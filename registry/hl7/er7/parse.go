package er7

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
)

// Parse reads one message. It takes CR, LF and both as line ends, blank lines, a byte
// order mark, the framing of MLLP, batch segments around the message, other separators
// and other character sets, and notes what a sender should know. EINVALID says that it
// is not an HL7 message, is larger than MaxMessage or MaxSegments, or is more than one.
func Parse(b []byte) (*Message, error) {
	if len(b) > MaxMessage {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "The message has %d bytes; at most %d are taken.", len(b), MaxMessage)
	}
	if e := wide(b); e != nil {
		out, err := e.NewDecoder().Bytes(b)
		if err != nil || len(out) > MaxMessage {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "The text is in sixteen bits a character and cannot be read, or is too large.")
		}
		b = out
	}
	b = bytes.TrimPrefix(b, bom8)
	m := &Message{}
	if err := m.read(b); err != nil {
		return nil, err
	}
	return m, nil
}

// lineEnd is what a line ends with: CR, LF, and VT and FS, which frame messages in MLLP.
func lineEnd(r byte) bool { return r == '\r' || r == '\n' || r == '\v' || r == '\x1c' }

// nextLine cuts the first line off a text. ends is how many lines it ends, for counting:
// CR and LF together are one.
func nextLine(s string) (line, rest string, ends int) {
	for i := 0; i < len(s); i++ {
		if !lineEnd(s[i]) {
			continue
		}
		line, ends = s[:i], 1
		switch {
		case s[i] == '\v' || s[i] == '\x1c':
			ends = 0
		case s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n':
			i++
		}
		return line, s[i+1:], ends
	}
	return s, "", 0
}

func (m *Message) read(b []byte) error {
	at := start(b)
	if at < 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "This is not an HL7 message: it has no segment MSH with its separators.")
	}
	seps, standard, err := separators(lineOf(b[at:]))
	if err != nil {
		return err
	}
	m.Separators = seps
	if !standard {
		m.Notes = append(m.Notes, Note{Code: OtherSeparators, Line: 1, Text: `The separators are not | and ^~\&.`})
	}
	claimed := charsetClaim(lineOf(b[at:]), seps)
	text, charset, ok := decode(b, claimed)
	m.Charset = charset
	if !ok {
		m.Notes = append(m.Notes, Note{Code: OtherCharset, Text: fmt.Sprintf("The text was read as %s, which is not what MSH-18 says.", charset)})
	}
	return m.lines(text)
}

// lines takes the text apart.
func (m *Message) lines(text string) error {
	arena := make([]string, 0, strings.Count(text, string(m.Separators.Field))+strings.Count(text, "MSH")+1)
	m.Segments = make([]Segment, 0, min(strings.Count(text, "\r")+strings.Count(text, "\n")+1, 64))
	seen := map[string]int{}
	for number := 1; text != ""; {
		var line string
		var ends int
		here := number
		line, text, ends = nextLine(text)
		number += ends
		line = strings.TrimLeft(line, " \t\f\ufeff")
		if strings.Trim(line, " \t\f\x00\x1a") == "" {
			continue
		}
		name, ok := segmentName(line, m.Separators.Field)
		switch {
		case !ok:
			m.note(NotASegment, here, "The line does not begin with the name of a segment and is left out.")
			continue
		case len(m.Segments) == 0 && name != "MSH":
			if isWrapper(name) {
				m.note(InMessage, here, "A segment of a batch stands around the message.")
			} else {
				m.note(Outside, here, "The segment stands before MSH and is left out.")
			}
			continue
		case isWrapper(name):
			m.note(InMessage, here, "A segment of a batch stands around the message.")
			continue
		case name == "MSH" && len(m.Segments) > 0:
			return coldkeep.Errorf(coldkeep.EINVALID, "There is more than one message: another MSH is on line %d.", here)
		case len(m.Segments) == MaxSegments:
			return coldkeep.Errorf(coldkeep.EINVALID, "The message has more than %d segments.", MaxSegments)
		}
		from := len(arena)
		arena = m.fields(arena, name, line)
		seen[name]++
		m.Segments = append(m.Segments, Segment{Name: name, Index: len(m.Segments), Seq: seen[name], Line: here,
			raw: line, fields: arena[from:len(arena):len(arena)], message: m})
	}
	return nil
}

// maxNotes bounds what is said of a text that is no message at all.
const maxNotes = 100

func (m *Message) note(code NoteCode, line int, text string) {
	if len(m.Notes) < maxNotes {
		m.Notes = append(m.Notes, Note{Code: code, Line: line, Text: text})
	}
}

// fields appends the fields of a segment.
func (m *Message) fields(to []string, name, line string) []string {
	rest := line[len(name):]
	if rest == "" {
		return to
	}
	if header(name) {
		to = append(to, rest[:1])
	}
	rest = rest[1:]
	for {
		at := strings.IndexByte(rest, m.Separators.Field)
		if at < 0 {
			return append(to, rest)
		}
		to = append(to, rest[:at])
		rest = rest[at+1:]
	}
}

// isWrapper reports whether a segment belongs to a batch or a file, not to a message.
func isWrapper(name string) bool {
	return name == "FHS" || name == "BHS" || name == "BTS" || name == "FTS"
}

// segmentName gives the three characters a segment begins with.
func segmentName[T string | []byte](line T, sep byte) (name string, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != sep {
		return "", false
	}
	for i := range 3 {
		c := line[i]
		if !(c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return "", false
		}
	}
	return string(line[:3]), true
}

// start finds the MSH that begins the message, or gives -1.
func start(b []byte) int {
	for at := 0; at < len(b); {
		i := bytes.Index(b[at:], []byte("MSH"))
		if i < 0 {
			return -1
		}
		at += i
		before := at
		for before > 0 && (b[before-1] == ' ' || b[before-1] == '\t' || b[before-1] == '\f') {
			before--
		}
		if beginsLine(b, before) && at+3 < len(b) && separator(b[at+3]) {
			return at
		}
		at += 3
	}
	return -1
}

func beginsLine(b []byte, at int) bool {
	return at == 0 || lineEnd(b[at-1]) || bytes.HasSuffix(b[:at], bom8)
}

// separator reports whether a character may part fields: printable and not of names or
// numbers.
func separator(c byte) bool {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '"' || c == '.')
}

func lineOf(b []byte) []byte {
	if end := bytes.IndexAny(b, "\r\n\v\x1c"); end >= 0 {
		return b[:end]
	}
	return b
}

// separators reads MSH-1 and MSH-2 (FHS and BHS are alike). Those that are missing are
// the usual ones. EINVALID when two are the same or one cannot be a separator.
func separators(line []byte) (s Separators, standard bool, err error) {
	s = Standard
	s.Field = line[3]
	chars := line[4:]
	if end := bytes.IndexByte(chars, s.Field); end >= 0 {
		chars = chars[:end]
	}
	standard = s.Field == '|' && string(chars) == `^~\&`
	switch {
	case len(chars) == 3 && chars[2] == Standard.Subcomponent: // ^~&: the escape character got lost
		chars = []byte{chars[0], chars[1], Standard.Escape, chars[2]}
	case len(chars) == 5 && chars[2] == chars[3]: // ^~\\&: it was escaped by a program on the way
		chars = []byte{chars[0], chars[1], chars[2], chars[4]}
	}
	for i, at := range []*byte{&s.Component, &s.Repetition, &s.Escape, &s.Subcomponent} {
		if i < len(chars) {
			*at = chars[i]
		}
	}
	all := []byte{s.Field, s.Component, s.Repetition, s.Escape, s.Subcomponent}
	for i, c := range all {
		if !separator(c) || bytes.IndexByte(all[:i], c) >= 0 {
			return s, false, coldkeep.Errorf(coldkeep.EINVALID, "MSH-1 and MSH-2 do not name five different separators.")
		}
	}
	return s, standard, nil
}

// charsetClaim is the first repetition of MSH-18, without blanks.
func charsetClaim(line []byte, s Separators) string {
	fields := bytes.SplitN(line, []byte{s.Field}, 19)
	if len(fields) < 18 || !utf8.Valid(fields[17]) {
		return ""
	}
	first, _, _ := strings.Cut(string(fields[17]), string(s.Repetition))
	first, _, _ = strings.Cut(first, string(s.Component))
	return strings.TrimPrefix(strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(first), "-", "/")), "ISO")
}
