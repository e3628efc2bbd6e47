package door

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// ErrMany is that more than one message came where one is taken.
var ErrMany = exchange.ErrMany

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

// Decode gives a message's bytes in UTF-8 when the name of another character set came with
// them in Content-Type and the message itself (MSH-18) names none. In all other cases they
// are left as they are: package er7 reads the sets of HL7, and says what it made of bytes
// that are none of them. EINVALID for a set that is not known.
func Decode(body []byte, charset string) ([]byte, error) {
	charset = strings.ToLower(strings.TrimSpace(charset))
	var set encoding.Encoding
	switch charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return body, nil
	case "iso-8859-1", "latin1", "windows-1252", "cp1252": // Latin-1 has nothing where Windows has quotes
		set = charmap.Windows1252
	case "iso-8859-15", "latin-9":
		set = charmap.ISO8859_15
	case "utf-16", "utf-16le":
		set = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf-16be":
		set = unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	default:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "The character set is not one that is read here: send UTF-8.")
	}
	if declared(body) != "" {
		return body, nil
	}
	out, err := set.NewDecoder().Bytes(body)
	return out, coldkeep.Wrap(err, coldkeep.EINVALID, "door.Decode", "The text is not in the character set that Content-Type names.")
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
