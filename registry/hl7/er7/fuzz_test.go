package er7_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

func corpus(t testing.TB) []string {
	t.Helper()
	dir, _ := filepath.Abs("../../../../shared/data/hl7/corpus")
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the corpus is not at ", dir)
		}
		t.Skip("the corpus is not beside the checkout")
	}
	return files
}

// TestCorpus reads every message of the corpus and writes it again: what comes back says
// the same.
func TestCorpus(t *testing.T) {
	messages, unread, segments := 0, 0, 0
	for _, f := range corpus(t) {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for it, err := range er7.Split(in) {
			if it.Kind != "MSH" {
				if err != nil {
					t.Logf("%s: %v", filepath.Base(f), err)
				}
				continue
			}
			messages++
			m, err := er7.Parse(it.Text)
			if err != nil {
				unread++
				t.Logf("%s message %d: %v", filepath.Base(f), it.N, err)
				continue
			}
			segments += len(m.Segments)
			b := er7.NewBuilder()
			for _, s := range m.Segments {
				b.Copy(s)
			}
			again, err := er7.Parse(b.Bytes())
			if err != nil {
				t.Fatalf("%s message %d, written again: %v", filepath.Base(f), it.N, err)
			}
			if a, b := texts(m), texts(again); !reflect.DeepEqual(a, b) {
				t.Errorf("%s message %d changes when it is written again:\n%q\n%q", filepath.Base(f), it.N, a, b)
			}
		}
		in.Close()
	}
	t.Logf("%d messages with %d segments in %d files; %d could not be read", messages, segments, len(corpus(t)), unread)
	if messages < 300 {
		t.Errorf("only %d messages were found", messages)
	}
}

// texts are all texts of a message, by place, without what is empty.
func texts(m *er7.Message) []string {
	var out []string
	for _, s := range m.Segments {
		for n := 1; n <= s.Len(); n++ {
			f := s.Field(n)
			if n <= 2 && (s.Name == "MSH" || s.Name == "FHS" || s.Name == "BHS") {
				continue // the separators may be others
			}
			for i := 1; i <= f.Reps(); i++ {
				for c := 1; c <= f.Rep(i).Comps(); c++ {
					for k := 1; k <= f.Rep(i).Comp(c).Subs(); k++ {
						l := s.At(n)
						l.Rep, l.Comp, l.Sub = i, c, k
						if text := f.Rep(i).Comp(c).Sub(k); text != "" {
							out = append(out, l.String()+"="+text)
						} else if f.Rep(i).Comp(c).IsNull() {
							out = append(out, l.String()+" null")
						}
					}
				}
			}
		}
	}
	return out
}

// TestRoundTrip: what is built and read again is what was built, whatever the texts hold.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[|^~\\&"EFSTRX.br0-9]{0,12}`), rapid.SampledFrom([]string{`""`, `\F\`, `\.br\`, "a\r\nb", "\v\x1c", " "}))
		type place struct{ field, rep, comp int }
		want := map[place]string{}
		b := er7.NewBuilder()
		b.Segment("MSH").Set(10, "1")
		line := b.Segment("ZZZ")
		for field := 1; field <= rapid.IntRange(1, 5).Draw(t, "fields"); field++ {
			for rep := 1; rep <= rapid.IntRange(1, 3).Draw(t, "reps"); rep++ {
				var comps []string
				for comp := 1; comp <= rapid.IntRange(1, 4).Draw(t, "comps"); comp++ {
					s := text.Draw(t, "text")
					comps = append(comps, s)
					want[place{field, rep, comp}] = strings.ToValidUTF8(s, "\uFFFD")
				}
				if rep == 1 && comps[0] == "" {
					comps[0], want[place{field, rep, 1}] = "x", "x" // an empty first repetition is none
				}
				line.Add(field, comps...)
			}
		}
		m, err := er7.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Segments) != 2 || len(m.Notes) != 0 {
			t.Fatalf("%q: %d segments, notes %v", b.String(), len(m.Segments), m.Notes)
		}
		for p, w := range want {
			if got := m.Segments[1].Field(p.field).Rep(p.rep).Comp(p.comp); got.Text() != w || got.IsNull() {
				t.Fatalf("%v: %q, want %q, in %q", p, got.Text(), w, b.String())
			}
		}
	})
}

// TestLineEnds: the ends of lines, blank lines and framing do not matter.
func TestLineEnds(t *testing.T) {
	const plain = "MSH|^~\\&|A||||20260101||VXU^V04|1|P|2.5.1\rPID|1||2^^^X\rRXA|0|1\rRXA|0|2\r"
	m, err := er7.Parse([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.SampledFrom([]string{"\r", "\n", "\r\n", "\n\n", "\r\n\r\n", "\r\r", "\r \r", "\n\t\n"})
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{"", "\v", "\ufeff", "\r\n", "\ufeff\v", "\n  "}).Draw(t, "before"))
		for _, l := range strings.Split(strings.TrimSuffix(plain, "\r"), "\r") {
			b.WriteString(rapid.SampledFrom([]string{"", "", " ", "\t"}).Draw(t, "indent") + l + end.Draw(t, "end"))
		}
		b.WriteString(rapid.SampledFrom([]string{"", "\x1c", "\x1c\r", "\x1a", "\x00"}).Draw(t, "after"))
		got, err := er7.Parse([]byte(b.String()))
		if err != nil || got.String() != m.String() || len(got.Notes) > 0 {
			t.Fatalf("%q: %v, %q, notes %v", b.String(), err, got, got.Notes)
		}
		n := 0
		for it, err := range er7.Split(strings.NewReader(b.String())) {
			if err != nil || string(it.Text) != m.String() {
				t.Fatalf("split %q: %v, %q", b.String(), err, it.Text)
			}
			n++
		}
		if n != 1 {
			t.Fatalf("%d messages", n)
		}
	})
}

// TestSplitIsParse: each message of a stream is read as it is alone, however the stream
// is wrapped and cut into reads.
func TestSplitIsParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		wrapped := rapid.Bool().Draw(t, "wrapped")
		n := rapid.IntRange(0, 5).Draw(t, "messages")
		if wrapped {
			stream.WriteString("FHS|^~\\&|A\rBHS|^~\\&|A\r")
		}
		var want []string
		for range n {
			b := er7.NewBuilder()
			b.Segment("MSH").Set(10, rapid.String().Draw(t, "id"))
			for range rapid.IntRange(0, 4).Draw(t, "segments") {
				b.Segment("PID").Set(5, rapid.String().Draw(t, "name"))
			}
			want = append(want, b.String())
			stream.Write(b.Bytes())
		}
		if wrapped {
			stream.WriteString("BTS|" + string(rune('0'+n)) + "\rFTS|1\r")
		}
		var got []string
		for it, err := range er7.Split(&chunks{stream.Bytes(), rapid.IntRange(1, 40).Draw(t, "chunk")}) {
			if err != nil || len(it.Notes) > 0 {
				t.Fatal(err, it.Notes)
			}
			if it.Kind == "MSH" {
				got = append(got, string(it.Text))
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

// chunks reads a few bytes at a time.
type chunks struct {
	b []byte
	n int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(c.n, len(c.b))])
	c.b = c.b[n:]
	return n, nil
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := er7.Parse(b)
		if err != nil {
			return
		}
		if m.Segments[0].Name != "MSH" {
			t.Fatalf("the first segment is %s", m.Segments[0].Name)
		}
		for _, s := range texts(m) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not UTF-8", s)
			}
		}
		again, err := er7.Parse(m.Append(nil))
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q changes when it is read again: %v, %q", m, err, again)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for it, err := range er7.Split(bytes.NewReader(b)) {
			if it.Kind != "MSH" || err != nil {
				continue
			}
			n++
			if it.N != n {
				t.Fatalf("message %d is said to be %d", n, it.N)
			}
			if m, err := er7.Parse(it.Text); err == nil && len(m.Segments) == 0 {
				t.Fatal("a message without segments")
			}
		}
	})
}

var seeds = []string{
	"MSH|^~\\&|A\rPID|1||\"\"\r", "MSH|^~&|A", "MSH$%~\\&$A\nPID$x%y~z", "\xef\xbb\xbf\vMSH|^~\\&|||||||||||||||8859/1\rPID|||||M\xfcller\x1c\r",
	"FHS|^~\\&\nBHS|^~\\&\nMSH|^~\\&|1\nBTS|2\nFTS|1\n", "M\x00S\x00H\x00|\x00^\x00~\x00\\\x00&\x00|\x00", "MSH|^~\\&|\\X4142\\\\.br\\\\F\\\\Q\\\\",
	"MSH|^~\\&\rNTE|1||a\rline that goes on\rMSH|^~\\&|2", "FHS", "MSH", "MSH||||", "BTS|x\rMSH|^~\\&\rFTS",
}
