package door

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/coldkeep/coldkeep"
)

// ErrMany is that more than one message came where one is taken.
var ErrMany = coldkeep.Errorf(coldkeep.EINVALID, "More than one HL7 message was sent. Send one at a time, or a file.")

// ErrNotHL7 is that no message came at all.
var ErrNotHL7 = coldkeep.Errorf(coldkeep.EINVALID, "This is not an HL7 message: it does not begin with MSH and separators.")

// One is nil when a text holds one message: ErrNotHL7 when it has none, ErrMany when it has
// several or is wrapped as a file. The frame of MLLP, a byte order mark and empty lines
// around it are no matter.
func One(text string) error {
	n, first := 0, true
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		line = strings.TrimLeft(line, "\ufeff\v\x1c \t")
		if line == "" {
			continue
		}
		switch head := line[:min(3, len(line))]; head {
		case "FHS", "BHS", "FTS", "BTS":
			if separated(line) || len(line) == 3 {
				return ErrMany
			}
		case "MSH":
			if separated(line) {
				n++
				break
			}
			if first {
				return ErrNotHL7
			}
		default:
			if first {
				return ErrNotHL7
			}
		}
		first = false
	}
	switch n {
	case 0:
		return ErrNotHL7
	case 1:
		return nil
	}
	return ErrMany
}

// separated reports whether a segment's name is followed by a separator, which no letter
// or digit is.
func separated(line string) bool {
	if len(line) < 4 {
		return false
	}
	c := line[3]
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
}

// Decode gives the text of bytes in a character set, by its name in Content-Type; "" takes
// what the message says in MSH-18, and UTF-8 when that says nothing. EINVALID for bytes
// that are not in it, with where.
func Decode(body []byte, charset string) (string, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if charset == "" {
		if utf8.Valid(body) {
			return string(body), nil
		}
		if charset = declared(body); charset == "" {
			return "", coldkeep.Errorf(coldkeep.EINVALID, "Byte %d is not UTF-8, and neither Content-Type nor MSH-18 names another character set.", firstInvalid(body)+1)
		}
	}
	switch strings.ToLower(strings.ReplaceAll(charset, "_", "-")) {
	case "utf-8", "utf8", "us-ascii", "ascii", "unicode utf-8":
		if !utf8.Valid(body) {
			return "", coldkeep.Errorf(coldkeep.EINVALID, "Byte %d is not in the character set that is named (UTF-8).", firstInvalid(body)+1)
		}
		return string(body), nil
	case "iso-8859-1", "latin1", "8859/1":
		b, err := charmap.ISO8859_1.NewDecoder().Bytes(body)
		return string(b), coldkeep.Wrap(err, coldkeep.EINVALID, "door.Decode", "The text could not be read as ISO-8859-1.")
	case "windows-1252", "cp1252":
		b, err := charmap.Windows1252.NewDecoder().Bytes(body)
		return string(b), coldkeep.Wrap(err, coldkeep.EINVALID, "door.Decode", "The text could not be read as windows-1252.")
	}
	return "", coldkeep.Errorf(coldkeep.EINVALID, "The character set is not one that is read here: send UTF-8, ISO-8859-1 or windows-1252.")
}

// declared is what MSH-18 says.
func declared(body []byte) string {
	at := bytes.Index(body, []byte("MSH"))
	if at < 0 || len(body) < at+4 {
		return ""
	}
	line := body[at:]
	if end := bytes.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	}
	// MSH-1 is the separator itself, so field n stands at n-1.
	fields := bytes.Split(line, line[3:4])
	if len(fields) < 18 {
		return ""
	}
	first, _, _ := bytes.Cut(fields[17], []byte("~"))
	return strings.TrimSpace(string(first))
}

func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}
