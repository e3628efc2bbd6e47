// Package er7 is the text form of HL7 v2 messages: segments, fields, repetitions,
// components and subcomponents. It reads what is sent in the field, which is more than
// the standard allows, and writes what the standard says. What a message means is the
// business of package guide.
package er7

import "strings"

// MaxMessage is the most bytes that a message may have, and MaxSegments the most
// segments: a life's vaccinations with all observations stay under a tenth of either.
// Reading one takes at most some twenty times its size in memory, whatever is in it.
const (
	MaxMessage  = 1 << 20
	MaxSegments = 10_000
)

// Separators are the characters that part a message, from MSH-1 and MSH-2.
type Separators struct {
	Field, Component, Repetition, Escape, Subcomponent byte
}

// Standard are the separators that the immunization guide fixes.
var Standard = Separators{Field: '|', Component: '^', Repetition: '~', Escape: '\\', Subcomponent: '&'}

// Message is one message. It is not changed once it is read.
type Message struct {
	Separators Separators
	Segments   []Segment
	// Charset is how the bytes were read: "UTF-8", or the name of another set.
	Charset string
	// Notes say what had to be understood with good will.
	Notes []Note
}

// Note is something about the text that its sender should know. Its words carry no value
// of the message.
type Note struct {
	Code NoteCode
	Line int // from 1, blank lines counted; 0 when it is about the whole
	Text string
}

// NoteCode says what a note is about.
type NoteCode string

// What notes are about.
const (
	OtherSeparators NoteCode = "separators"     // not those of the guide
	OtherCharset    NoteCode = "charset"        // not the one that MSH-18 says, or none was said
	NotASegment     NoteCode = "not-a-segment"  // a line without a segment's name: it is left out
	WrapperCount    NoteCode = "count"          // BTS-1 or FTS-1 is not what came
	WrapperOrder    NoteCode = "wrapper"        // FHS, BHS, BTS and FTS do not pair
	Glued           NoteCode = "glued"          // a message begins in the middle of a line
	Outside         NoteCode = "outside"        // text that is in no message
	InMessage       NoteCode = "wrapper-inside" // wrapper segments around what was sent as one message
)

// First gives the first segment of a name. ok is false when there is none; the segment
// that is given then is empty and may be read like any other.
func (m *Message) First(name string) (s Segment, ok bool) {
	for i := range m.Segments {
		if m.Segments[i].Name == name {
			return m.Segments[i], true
		}
	}
	return Segment{Name: name, message: m}, false
}

// Append appends the message with its own separators, segments ending in CR, UTF-8.
func (m *Message) Append(b []byte) []byte {
	for i := range m.Segments {
		b = append(append(b, m.Segments[i].raw...), '\r')
	}
	return b
}

// String is the message as Append writes it.
func (m *Message) String() string { return string(m.Append(nil)) }

// Segment is a line of a message.
type Segment struct {
	Name  string
	Index int // its place in the message, from 0
	Seq   int // which of its name it is, from 1, as ERR-2 counts them
	Line  int // of the text that was read, from 1

	raw     string
	fields  []string // fields[n-1] is field n; in MSH, FHS and BHS field 1 is the separator
	message *Message
}

// Len is the number of the last field that is written, however empty it is.
func (s Segment) Len() int { return len(s.fields) }

// Raw is the segment as it was sent, without its line end.
func (s Segment) Raw() string { return s.raw }

// Field gives field n, counted from 1 as HL7 counts: MSH-1 is the separator itself. A
// field that was not sent is empty.
func (s Segment) Field(n int) Field {
	if n < 1 || n > len(s.fields) {
		return Field{}
	}
	f := Field{raw: s.fields[n-1], seps: &s.message.Separators}
	if n <= 2 && header(s.Name) {
		f.seps = nil // the separators stand for themselves
	}
	return f
}

// At is the place of a field of the segment, for ERR-2.
func (s Segment) At(field int) Location {
	return Location{Segment: s.Name, Seq: max(s.Seq, 1), Field: field}
}

// header reports whether a segment begins with the separators.
func header(name string) bool { return name == "MSH" || name == "FHS" || name == "BHS" }

// null is a field that is to be erased.
const null = `""`

// Field is a field with all its repetitions.
type Field struct {
	raw  string
	seps *Separators // absent: a text of its own, not parted
}

// Raw is the field as it was sent: escaped, with its separators.
func (f Field) Raw() string { return f.raw }

// Empty reports whether nothing was sent: the stored value is left alone. Separators with
// nothing between them are nothing, and so is a null, which IsNull tells.
func (f Field) Empty() bool { return blank(f.raw, f.seps) }

// IsNull reports whether the field is `""`: the stored value is to be erased.
func (f Field) IsNull() bool { return f.raw == null }

// Reps is the number of repetitions, 0 when the field is empty.
func (f Field) Reps() int {
	switch {
	case f.raw == "":
		return 0
	case f.seps == nil:
		return 1
	}
	return strings.Count(f.raw, string(f.seps.Repetition)) + 1
}

// Rep gives repetition i, from 1.
func (f Field) Rep(i int) Rep {
	if f.seps == nil {
		if i != 1 {
			return Rep{}
		}
		return Rep{raw: f.raw}
	}
	return Rep{raw: nth(f.raw, f.seps.Repetition, i), seps: f.seps}
}

// Comp gives component n of the first repetition.
func (f Field) Comp(n int) Comp { return f.Rep(1).Comp(n) }

// Text is the first component's text, which is all of it in a simple field.
func (f Field) Text() string { return f.Rep(1).Comp(1).Text() }

// Rep is one repetition of a field.
type Rep struct {
	raw  string
	seps *Separators
}

// Raw is the repetition as it was sent.
func (r Rep) Raw() string { return r.raw }

// Empty reports whether nothing was sent, or only separators or a null.
func (r Rep) Empty() bool { return blank(r.raw, r.seps) }

// IsNull reports whether it is `""`.
func (r Rep) IsNull() bool { return r.raw == null }

// Comps is the number of components, 0 when it is empty.
func (r Rep) Comps() int {
	switch {
	case r.raw == "":
		return 0
	case r.seps == nil:
		return 1
	}
	return strings.Count(r.raw, string(r.seps.Component)) + 1
}

// Comp gives component n, from 1.
func (r Rep) Comp(n int) Comp {
	if r.seps == nil {
		if n != 1 {
			return Comp{}
		}
		return Comp{raw: r.raw}
	}
	return Comp{raw: nth(r.raw, r.seps.Component, n), seps: r.seps}
}

// Text is the first component's text.
func (r Rep) Text() string { return r.Comp(1).Text() }

// Comp is a component.
type Comp struct {
	raw  string
	seps *Separators
}

// Raw is the component as it was sent.
func (c Comp) Raw() string { return c.raw }

// Empty reports whether nothing was sent, or only separators or a null.
func (c Comp) Empty() bool { return blank(c.raw, c.seps) }

// IsNull reports whether it is `""`.
func (c Comp) IsNull() bool { return c.raw == null }

// Subs is the number of subcomponents, 0 when it is empty.
func (c Comp) Subs() int {
	switch {
	case c.raw == "":
		return 0
	case c.seps == nil:
		return 1
	}
	return strings.Count(c.raw, string(c.seps.Subcomponent)) + 1
}

// Sub gives the text of subcomponent n, from 1, unescaped; "" for a null.
func (c Comp) Sub(n int) string {
	if c.seps == nil {
		if n != 1 {
			return ""
		}
		return c.raw
	}
	s := nth(c.raw, c.seps.Subcomponent, n)
	if s == null {
		return ""
	}
	return c.seps.Unescape(s)
}

// Text is the first subcomponent's text, unescaped; "" for a null.
func (c Comp) Text() string { return c.Sub(1) }

// Whole is the component's text with its subcomponent separators in it, unescaped: a bare
// "&" in a street or a remark is more often a mistake than a second part.
func (c Comp) Whole() string {
	if c.seps == nil {
		return c.raw
	}
	if c.raw == null {
		return ""
	}
	return c.seps.Unescape(c.raw)
}

// nth gives the part i, from 1, of a text between separators.
func nth(s string, sep byte, i int) string {
	if i < 1 {
		return ""
	}
	for ; i > 1; i-- {
		at := strings.IndexByte(s, sep)
		if at < 0 {
			return ""
		}
		s = s[at+1:]
	}
	if at := strings.IndexByte(s, sep); at >= 0 {
		return s[:at]
	}
	return s
}

// blank reports whether a text has nothing but separators, white space and nulls.
func blank(s string, seps *Separators) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t':
		case seps == nil:
			return false
		case c == seps.Component || c == seps.Subcomponent || c == seps.Repetition:
		case c == '"' && strings.HasPrefix(s[i:], null):
			i++
		default:
			return false
		}
	}
	return true
}
