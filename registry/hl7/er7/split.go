package er7

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"golang.org/x/text/transform"

	"github.com/coldkeep/coldkeep"
)

// Item is a piece of a stream: a message, or a segment of its wrapper.
type Item struct {
	// Kind is "MSH" for a message; FHS, BHS, BTS or FTS for that segment; "" for text
	// that is neither, which has an error or notes.
	Kind string
	N    int // of a message, from 1 through the whole stream; otherwise how many came before
	Line int // of its first segment, from 1
	// Text is what Parse takes: segments ending in CR, or the one segment of a wrapper.
	Text  []byte
	Notes []Note
}

// Split takes a stream apart: one message, many after each other, or batches and files
// (FHS, BHS, BTS, FTS). It holds one message at a time. An item with an error of
// EINVALID, such as a message larger than MaxMessage, is passed over and the next ones
// follow; with any other error the stream could not be read and it was the last.
func Split(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		s := &splitter{lines: newLines(r), yield: yield}
		s.run()
	}
}

// splitter walks a stream.
type splitter struct {
	lines *lines
	yield func(Item, error) bool
	done  bool

	n       int // messages so far
	item    *Item
	tooLong bool
	glued   bool // the line in hand began in the middle of another
	outside int  // line of text that is in no message, 0 none

	file, batch bool // between FHS and FTS, BHS and BTS
	fileFrom    int  // messages when the file began
	batchFrom   int
	batches     int // in the file
	sep         byte
}

func (s *splitter) run() {
	for !s.done {
		line, number, err := s.lines.next()
		if err != nil && !errors.Is(err, errLong) {
			s.end()
			if !errors.Is(err, io.EOF) && !s.done {
				s.give(Item{N: s.n, Line: number}, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "er7.Split", "the text cannot be read on after line %d", number))
			}
			return
		}
		s.line(line, number, err != nil)
	}
}

func (s *splitter) give(it Item, err error) {
	if !s.done && !s.yield(it, err) {
		s.done = true
	}
}

// line takes a line in.
func (s *splitter) line(line []byte, number int, long bool) {
	trimmed := bytes.TrimLeft(line, " \t\f\ufeff")
	if len(bytes.Trim(trimmed, " \t\f\x00\x1a")) == 0 && !long {
		return
	}
	for at := glued(trimmed); at > 0 && !long; at = glued(trimmed) {
		s.line(trimmed[:at], number, false)
		s.glued = true
		trimmed = trimmed[at:]
	}
	kind := s.kind(trimmed)
	switch {
	case kind == "MSH":
		s.flush()
		s.n++
		s.sep = trimmed[3]
		s.item = &Item{Kind: "MSH", N: s.n, Line: number}
		if s.glued {
			s.item.Notes = []Note{{Code: Glued, Line: number, Text: "The message begins in the middle of a line: the one before it has no line end."}}
		}
		s.glued = false
		s.add(trimmed, long)
	case kind != "":
		s.flush()
		s.glued = false
		s.wrapper(kind, trimmed, number)
	case s.item != nil:
		s.add(trimmed, long)
	case s.outside == 0:
		s.outside = number
	}
}

// signature follows the name of a segment that begins a message, a batch or a file with
// the standard separators. Nothing else has it: in a field it would be escaped.
var signature = []byte(`|^~\&|`)

// glued finds a message that begins in the middle of a line, as when files without a last
// line end are put together; 0 when there is none.
func glued(line []byte) int {
	if len(line) < 8 {
		return 0
	}
	at := bytes.Index(line[4:], signature) + 4
	if at < 7 {
		return 0
	}
	if name := string(line[at-3 : at]); !header(name) {
		return 0
	}
	return at - 3
}

// kind says what a line begins, "" for one that goes on.
func (s *splitter) kind(line []byte) string {
	if len(line) < 3 {
		return ""
	}
	switch name := string(line[:3]); name {
	case "MSH", "FHS", "BHS":
		if len(line) > 3 && separator(line[3]) {
			return name
		}
		if name != "MSH" && len(line) == 3 {
			return name
		}
	case "BTS", "FTS":
		if len(line) == 3 || s.sep != 0 && line[3] == s.sep || s.sep == 0 && separator(line[3]) {
			return name
		}
	}
	return ""
}

// add appends a line to the message that is being gathered.
func (s *splitter) add(line []byte, long bool) {
	if s.tooLong = s.tooLong || long || len(s.item.Text)+len(line)+1 > MaxMessage; s.tooLong {
		s.item.Text = nil
		return
	}
	s.item.Text = append(append(s.item.Text, line...), '\r')
}

// flush hands on what has been gathered.
func (s *splitter) flush() {
	if s.outside > 0 {
		it := Item{N: s.n, Line: s.outside}
		s.outside = 0
		s.give(it, coldkeep.Errorf(coldkeep.EINVALID, "From line %d on there is text that is in no message.", it.Line))
	}
	it := s.item
	if it == nil {
		return
	}
	s.item = nil
	var err error
	if s.tooLong {
		s.tooLong = false
		err = coldkeep.Errorf(coldkeep.EINVALID, "The message on line %d is larger than %d bytes.", it.Line, MaxMessage)
	}
	s.give(*it, err)
}

// wrapper handles a segment of a batch or a file and compares what it says.
func (s *splitter) wrapper(kind string, line []byte, number int) {
	it := Item{Kind: kind, N: s.n, Line: number, Text: bytes.Clone(line)}
	note := func(code NoteCode, format string, args ...any) {
		it.Notes = append(it.Notes, Note{Code: code, Line: number, Text: fmt.Sprintf(format, args...)})
	}
	if (kind == "FHS" || kind == "BHS") && len(line) > 3 {
		s.sep = line[3]
	}
	switch kind {
	case "FHS":
		if s.file || s.batch {
			note(WrapperOrder, "FHS stands inside a file that has not ended.")
		}
		s.file, s.batch, s.fileFrom, s.batches = true, false, s.n, 0
	case "BHS":
		if s.batch {
			note(WrapperOrder, "BHS stands inside a batch that has not ended.")
		}
		s.batch, s.batchFrom = true, s.n
		s.batches++
	case "BTS":
		if !s.batch {
			note(WrapperOrder, "BTS ends a batch that has not begun.")
		} else if want, ok := s.count(line); ok && want != s.n-s.batchFrom {
			note(WrapperCount, "BTS-1 says %d messages; %d came.", want, s.n-s.batchFrom)
		}
		s.batch, s.batchFrom = false, s.n
	case "FTS":
		if !s.file {
			note(WrapperOrder, "FTS ends a file that has not begun.")
		} else if want, ok := s.count(line); ok && want != s.batches && (s.batches > 0 || want != s.n-s.fileFrom) {
			note(WrapperCount, "FTS-1 says %d batches; %d came.", want, s.batches)
		}
		s.file, s.batch = false, false
	}
	s.give(it, nil)
}

// count is the number in BTS-1 or FTS-1; ok is false when there is none.
func (s *splitter) count(line []byte) (int, bool) {
	if len(line) < 5 {
		return 0, false
	}
	text, _, _ := strings.Cut(string(line[4:]), string(line[3]))
	n, err := strconv.Atoi(strings.TrimSpace(text))
	return n, err == nil
}

// end hands on the last message and says what has not ended.
func (s *splitter) end() {
	s.flush()
	it := Item{N: s.n, Line: s.lines.number}
	if s.batch {
		it.Notes = append(it.Notes, Note{Code: WrapperOrder, Line: it.Line, Text: "The batch has no BTS: its end may be missing."})
	}
	if s.file {
		it.Notes = append(it.Notes, Note{Code: WrapperOrder, Line: it.Line, Text: "The file has no FTS: its end may be missing."})
	}
	if len(it.Notes) > 0 {
		s.give(it, nil)
	}
}

// errLong says that a line is longer than MaxMessage; it is cut.
var errLong = errors.New("line too long")

// lines reads lines in any of their ends.
type lines struct {
	in     *bufio.Reader
	buf    []byte
	number int // of the line that was given last
	ended  int // lines that have ended
	cr     bool
}

func newLines(r io.Reader) *lines {
	in := bufio.NewReaderSize(r, 64<<10)
	if head, _ := in.Peek(4); wide(head) != nil {
		in = bufio.NewReaderSize(transform.NewReader(in, wide(head).NewDecoder()), 64<<10)
	}
	if head, _ := in.Peek(3); bytes.Equal(head, bom8) {
		_, _ = in.Discard(3)
	}
	return &lines{in: in}
}

// next gives the next line without its end, valid until the one after it.
func (l *lines) next() (line []byte, number int, err error) {
	l.buf = l.buf[:0]
	long := false
	l.number = l.ended + 1
	for {
		b, err := l.in.Peek(1)
		if len(b) == 0 {
			if len(l.buf) > 0 && errors.Is(err, io.EOF) {
				return l.buf, l.number, nil
			}
			return nil, l.number, err
		}
		b, _ = l.in.Peek(l.in.Buffered())
		if l.cr && b[0] == '\n' { // the second half of a line end
			l.cr = false
			_, _ = l.in.Discard(1)
			continue
		}
		l.cr = false
		at := bytes.IndexAny(b, "\r\n\v\x1c")
		part := b
		if at >= 0 {
			part = b[:at]
		}
		if len(l.buf)+len(part) > MaxMessage {
			long = true
			part = part[:max(0, MaxMessage-len(l.buf))]
		}
		l.buf = append(l.buf, part...)
		if at < 0 {
			_, _ = l.in.Discard(len(b))
			continue
		}
		c := b[at]
		_, _ = l.in.Discard(at + 1)
		l.cr = c == '\r'
		if c == '\r' || c == '\n' {
			l.ended++
		}
		if long {
			return l.buf, l.number, errLong
		}
		return l.buf, l.number, nil
	}
}
