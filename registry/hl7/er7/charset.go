package er7

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// charsets are the names of HL7 table 0211 that single bytes may be in. Latin-1 is read
// as Windows-1252, which has all of it and the quotes that Windows programs put between.
var charsets = map[string]encoding.Encoding{
	"8859/1": charmap.Windows1252, "8859/2": charmap.ISO8859_2, "8859/3": charmap.ISO8859_3, "8859/4": charmap.ISO8859_4,
	"8859/5": charmap.ISO8859_5, "8859/6": charmap.ISO8859_6, "8859/7": charmap.ISO8859_7, "8859/8": charmap.ISO8859_8,
	"8859/9": charmap.ISO8859_9, "8859/15": charmap.ISO8859_15,
}

var (
	bom8  = []byte("\xEF\xBB\xBF")
	bomLE = []byte("\xFF\xFE")
	bomBE = []byte("\xFE\xFF")
)

// latin reads bytes as Windows-1252.
func latin(b []byte) string {
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}

// wide finds text in sixteen bits by its mark or by the zeros between its letters.
func wide(b []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(b, bomLE), len(b) >= 4 && b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case bytes.HasPrefix(b, bomBE), len(b) >= 4 && b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	}
	return nil
}

// decode gives the text of bytes and the name of the set they are in. Bytes that are
// UTF-8 are read as such, whatever MSH-18 says: text in another set is hardly ever UTF-8
// by chance. claimed is MSH-18; ok is false when it is not what the bytes are.
func decode(b []byte, claimed string) (text, charset string, ok bool) {
	if utf8.Valid(b) {
		ascii := true
		for _, c := range b {
			if c >= utf8.RuneSelf {
				ascii = false
				break
			}
		}
		_, other := charsets[claimed]
		return string(b), "UTF-8", ascii || !other
	}
	if e, found := charsets[claimed]; found {
		if out, err := e.NewDecoder().Bytes(b); err == nil {
			return string(out), "ISO-" + strings.Replace(claimed, "/", "-", 1), true
		}
	}
	return latin(b), "windows-1252", false
}
