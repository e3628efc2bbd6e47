package er7

import "strings"

// Builder writes a message segment by segment, with the standard separators, escaped.
//
//	b := er7.NewBuilder()
//	b.Segment("MSH").Set(9, "ACK", "V04", "ACK").Set(12, "2.5.1")
//	b.Segment("MSA").Set(1, "AA").Set(2, id)
//	b.Bytes()
//
// Nothing is refused: a text may hold any character.
type Builder struct{ lines []*Line }

// NewBuilder begins an empty message.
func NewBuilder() *Builder { return &Builder{} }

// Segment begins a segment. MSH, FHS and BHS get their separators.
func (b *Builder) Segment(name string) *Line {
	l := &Line{name: name}
	if header(name) {
		l.fields = []string{string(Standard.Field), `^~\&`}
	}
	b.lines = append(b.lines, l)
	return l
}

// Copy appends a segment as it was received, such as QPD in an answer. Other separators
// become the standard ones.
func (b *Builder) Copy(s Segment) *Line {
	l := b.Segment(s.Name)
	from := 1
	if header(s.Name) {
		from = 3
	}
	for n := from; n <= s.Len(); n++ {
		l.Copy(n, s.Field(n))
	}
	return l
}

// Len is the number of segments so far.
func (b *Builder) Len() int { return len(b.lines) }

// Bytes is the message: UTF-8, segments ending in CR, no empty fields at their ends.
func (b *Builder) Bytes() []byte {
	var out []byte
	for _, l := range b.lines {
		out = l.append(out)
	}
	return out
}

// String is the message as Bytes gives it.
func (b *Builder) String() string { return string(b.Bytes()) }

// Line is a segment that is being written.
type Line struct {
	name   string
	fields []string // field n at n-1, escaped
}

// Set writes field n, from 1, as one repetition of the components; Set(n, "text") is a
// simple field. It takes the place of what was there. MSH-1 and MSH-2 stay as they are.
func (l *Line) Set(n int, components ...string) *Line {
	if l.may(n) {
		l.fields[n-1] = rep(components)
	}
	return l
}

// Add appends a repetition to field n, or is its first one.
func (l *Line) Add(n int, components ...string) *Line {
	if l.may(n) {
		if l.fields[n-1] != "" {
			l.fields[n-1] += string(Standard.Repetition)
		}
		l.fields[n-1] += rep(components)
	}
	return l
}

// SetSubs writes component comp of the last repetition of field n as subcomponents; the
// other components stay.
func (l *Line) SetSubs(n, comp int, subs ...string) *Line {
	if !l.may(n) || comp < 1 {
		return l
	}
	before, last := "", l.fields[n-1]
	if at := strings.LastIndexByte(last, Standard.Repetition); at >= 0 {
		before, last = last[:at+1], last[at+1:]
	}
	parts := strings.Split(last, string(Standard.Component))
	for len(parts) < comp {
		parts = append(parts, "")
	}
	parts[comp-1] = join(subs, Standard.Subcomponent)
	l.fields[n-1] = before + strings.TrimRight(strings.Join(parts, string(Standard.Component)), string(Standard.Component))
	return l
}

// SetNull writes `""`: the receiver is to erase what it has.
func (l *Line) SetNull(n int) *Line {
	if l.may(n) {
		l.fields[n-1] = null
	}
	return l
}

// Copy writes field n as it was received, in the standard separators.
func (l *Line) Copy(n int, f Field) *Line {
	if l.may(n) {
		l.fields[n-1] = translate(f)
	}
	return l
}

// may makes room for field n.
func (l *Line) may(n int) bool {
	if n < 1 || header(l.name) && n <= 2 {
		return false
	}
	for len(l.fields) < n {
		l.fields = append(l.fields, "")
	}
	return true
}

func (l *Line) append(b []byte) []byte {
	b = append(b, l.name...)
	fields := l.fields
	if header(l.name) {
		fields = fields[1:] // the first separator is the field
	}
	for len(fields) > 0 && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1]
	}
	for _, f := range fields {
		b = append(append(b, Standard.Field), f...)
	}
	return append(b, '\r')
}

func rep(components []string) string { return join(components, Standard.Component) }

// join escapes parts and leaves out the empty ones at the end.
func join(parts []string, sep byte) string {
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	var b []byte
	for i, p := range parts {
		if i > 0 {
			b = append(b, sep)
		}
		b = Standard.escape(b, p)
	}
	return string(b)
}

// translate writes a field in the standard separators. A field that has them already is
// taken byte for byte, so that an echo is an echo, but for line ends, which it cannot have.
func translate(f Field) string {
	if f.seps == nil || *f.seps == Standard {
		return f.raw
	}
	var b []byte
	for i := 1; i <= f.Reps(); i++ {
		if i > 1 {
			b = append(b, Standard.Repetition)
		}
		r := f.Rep(i)
		for n := 1; n <= r.Comps(); n++ {
			if n > 1 {
				b = append(b, Standard.Component)
			}
			c := r.Comp(n)
			for k := 1; k <= c.Subs(); k++ {
				if k > 1 {
					b = append(b, Standard.Subcomponent)
				}
				if nth(c.raw, f.seps.Subcomponent, k) == null {
					b = append(b, null...)
				} else {
					b = Standard.escape(b, c.Sub(k))
				}
			}
		}
	}
	return string(b)
}
