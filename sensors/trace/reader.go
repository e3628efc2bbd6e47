// Package trace plays recorded temperature logs: CSV files with the columns
// time (RFC 3339), celsius (empty when the probe failed) and probe.
//
// Reader reads them row by row; the agent's player and `coldkeep replay` share
// it. Player is a sensors.Source that keeps the recorded times.
package trace

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
)

// maxLine bounds a line of a log. A row of three columns is below a hundred
// bytes; what is longer is not a row.
const maxLine = 64 << 10

// Row is one reading of a recorded log.
type Row struct {
	At      int64                // ms since 1970-01-01 UTC
	Celsius coldkeep.Temperature // NoTemperature when the probe failed
	Probe   string               // as the column says, without surrounding blanks
	Line    int                  // 1-based, in the file
}

// RowError is a row that cannot be read. Reading can go on with the next. It is
// EINVALID to coldkeep.ErrorCode.
type RowError struct {
	File   string
	Line   int    // 1-based
	Column int    // 1-based; 0 when the row as a whole is wrong
	Field  string // the column's name, when Column is set
	Err    *coldkeep.Error
}

// Error names file, line, column and what is wrong.
func (e *RowError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Err.Message)
	}
	return fmt.Sprintf("%s:%d: column %d (%s): %s", e.File, e.Line, e.Column, e.Field, e.Err.Message)
}

// Unwrap returns the coded error.
func (e *RowError) Unwrap() error { return e.Err }

// The columns, by their place in Reader.column.
const (
	colTime = iota
	colCelsius
	colProbe
	columns
)

var columnNames = [columns]string{"time", "celsius", "probe"}

// Reader reads a recorded log as a stream: memory does not grow with the file. A
// row is a line; a quoted field may hold commas and no line break, so that a
// stray quote spoils its own line only.
type Reader struct {
	name   string
	in     *bufio.Reader
	line   int
	column [columns]int // index of each column, 0-based
	fields []string
}

// NewReader reads the header. The columns may stand in any order and among
// others, which are ignored; their names are compared without regard to case. A
// byte order mark is skipped. A missing or doubled column is EINVALID; name is
// the file's name for errors.
func NewReader(name string, r io.Reader) (*Reader, error) {
	t := &Reader{name: name, in: bufio.NewReaderSize(r, maxLine)}
	if bom, _ := t.in.Peek(3); string(bom) == "\xef\xbb\xbf" {
		_, _ = t.in.Discard(3) // just peeked
	}
	header, err := t.next()
	if errors.Is(err, io.EOF) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s: the file is empty; want a header with the columns time, celsius and probe", name)
	}
	if err != nil {
		return nil, err
	}
	t.column = [columns]int{-1, -1, -1}
	for i, h := range header {
		for c, want := range columnNames {
			if !strings.EqualFold(strings.TrimSpace(h), want) {
				continue
			}
			if t.column[c] >= 0 {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s:%d: columns %d and %d are both %q", name, t.line, t.column[c]+1, i+1, want)
			}
			t.column[c] = i
		}
	}
	for c, i := range t.column {
		if i < 0 {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s:%d: the header has no column %q; want time, celsius and probe", name, t.line, columnNames[c])
		}
	}
	return t, nil
}

// Next returns the next row and io.EOF after the last. A *RowError is about one
// row and reading can go on; any other error ends the file.
func (t *Reader) Next() (Row, error) {
	fields, err := t.next()
	if err != nil {
		return Row{}, err
	}
	for c, i := range t.column {
		if i >= len(fields) {
			return Row{}, t.wrong(0, "the row has %d columns, %q is column %d", len(fields), columnNames[c], i+1)
		}
	}
	row := Row{Line: t.line, Celsius: coldkeep.NoTemperature}
	text := strings.TrimSpace(fields[t.column[colTime]])
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Row{}, t.wrongIn(colTime, "%.40q is not a time as in RFC 3339, such as 2026-08-03T23:04:17Z", text)
	}
	row.At = at.UnixMilli()
	if text = strings.TrimSpace(fields[t.column[colCelsius]]); text != "" {
		row.Celsius, err = coldkeep.ParseTemperature(text)
		if err != nil {
			return Row{}, t.wrongIn(colCelsius, "%.40q is not a temperature in °C", text)
		}
	}
	row.Probe = strings.TrimSpace(fields[t.column[colProbe]])
	switch {
	case row.Probe == "":
		return Row{}, t.wrongIn(colProbe, "no probe")
	case len(row.Probe) > 64 || !utf8.ValidString(row.Probe) || strings.ContainsFunc(row.Probe, unicode.IsControl):
		return Row{}, t.wrongIn(colProbe, "%.80q is not a probe's name: want at most 64 printable bytes", row.Probe)
	}
	return row, nil
}

// next returns the fields of the next line that is not blank.
func (t *Reader) next() ([]string, error) {
	for {
		line, err := t.in.ReadSlice('\n')
		if len(line) > 0 {
			t.line++
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = t.in.ReadSlice('\n')
			}
			if err == nil || err == io.EOF {
				return nil, t.wrong(0, "the line is longer than %d bytes", maxLine)
			}
		}
		if err != nil && err != io.EOF {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "trace.Reader.Next", "%s:%d: cannot be read", t.name, t.line+1)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if strings.TrimSpace(text) != "" {
			return t.split(text)
		}
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
	}
}

func (t *Reader) split(text string) ([]string, error) {
	if !strings.Contains(text, `"`) { // all rows of all loggers seen
		t.fields = t.fields[:0]
		for field := range strings.SplitSeq(text, ",") {
			t.fields = append(t.fields, field)
		}
		return t.fields, nil
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	fields, err := c.Read()
	if err != nil {
		return nil, t.wrong(0, "the quotes of the row do not match")
	}
	return fields, nil
}

func (t *Reader) wrong(column int, format string, args ...any) *RowError {
	return &RowError{File: t.name, Line: t.line, Column: column, Err: coldkeep.Errorf(coldkeep.EINVALID, format, args...)}
}

func (t *Reader) wrongIn(c int, format string, args ...any) *RowError {
	e := t.wrong(t.column[c]+1, format, args...)
	e.Field = columnNames[c]
	return e
}
