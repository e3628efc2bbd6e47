package trace

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coldkeep/coldkeep"
)

const none = coldkeep.NoTemperature

// readAll gives the rows, and the rows that cannot be read as text.
func readAll(t testing.TB, text string) (rows []Row, bad []string) {
	t.Helper()
	r, err := NewReader("log.csv", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		var e *RowError
		switch {
		case err == io.EOF:
			return rows, bad
		case errors.As(err, &e):
			bad = append(bad, e.Error())
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, row)
		}
	}
}

func TestReader(t *testing.T) {
	const at = 1785798257000 // 2026-08-03T23:04:17Z
	for name, c := range map[string]struct {
		text string
		rows []Row
		bad  []string
	}{
		"plain": {"time,celsius,probe\n2026-08-03T23:04:17Z,4.312,T0\n2026-08-03T23:04:17Z,,T1\n",
			[]Row{{at, 4312, "T0", 2}, {at, none, "T1", 3}}, nil},
		"any order, other columns, capitals, no last line end": {"battery,Probe,celsius,TIME\n98,T0,-15,2026-08-03T23:04:17.25Z",
			[]Row{{at + 250, -15000, "T0", 2}}, nil},
		"byte order mark, CRLF, blank lines": {"\xef\xbb\xbftime,celsius,probe\r\n\r\n2026-08-03T23:04:17Z,4,T0\r\n\r\n",
			[]Row{{at, 4000, "T0", 3}}, nil},
		"offset, blanks, quotes": {"time,celsius,probe\n 2026-08-04T01:04:17+02:00 , 4.0 ,\"T,0\"\n",
			[]Row{{at, 4000, "T,0", 2}}, nil},
		"bad rows do not stop the good": {"time,celsius,probe\nyesterday,4,T0\n2026-08-03T23:04:17Z,warm,T0\n2026-08-03T23:04:17Z,NaN,T0\n2026-08-03T23:04:17Z,4\n" +
			"2026-08-03T23:04:17Z,4,\n2026-08-03T23:04:17Z,4,\"T0\n2026-08-03T23:04:17Z,4,T\x01\n2026-08-03T23:04:17Z,4,T0\n",
			[]Row{{at, 4000, "T0", 9}},
			[]string{
				`log.csv:2: column 1 (time): "yesterday" is not a time as in RFC 3339, such as 2026-08-03T23:04:17Z`,
				`log.csv:3: column 2 (celsius): "warm" is not a temperature in °C`,
				`log.csv:4: column 2 (celsius): "NaN" is not a temperature in °C`,
				`log.csv:5: the row has 2 columns, "probe" is column 3`,
				`log.csv:6: column 3 (probe): no probe`,
				`log.csv:7: the quotes of the row do not match`,
				`log.csv:8: column 3 (probe): "T\x01" is not a probe's name: want at most 64 printable bytes`,
			}},
		"a line without end": {"time,celsius,probe\n" + strings.Repeat("x", 200_000) + "\n2026-08-03T23:04:17Z,4,T0\n",
			[]Row{{at, 4000, "T0", 3}}, []string{"log.csv:2: the line is longer than 65536 bytes"}},
		"no rows": {"time,celsius,probe", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rows, bad := readAll(t, c.text)
			if fmt.Sprint(rows) != fmt.Sprint(c.rows) {
				t.Errorf("rows %v\nwant %v", rows, c.rows)
			}
			if fmt.Sprintf("%q", bad) != fmt.Sprintf("%q", c.bad) {
				t.Errorf("bad rows %q\nwant %q", bad, c.bad)
			}
		})
	}
}

func TestReaderRefusesHeader(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "empty",
		"\n\n":                     "empty",
		"time,celsius\n":           `no column "probe"`,
		"time,celsius,probe,time":  `columns 1 and 4 are both "time"`,
		"2026-08-03T23:04:17Z,4,p": `no column "time"`,
		"\x1f\x8b\x00":             `no column "time"`,
	} {
		_, err := NewReader("log.csv", strings.NewReader(text))
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want EINVALID with %q", text, err, want)
		}
	}
}

func TestReaderStopsAtAReadError(t *testing.T) {
	r, err := NewReader("log.csv", io.MultiReader(strings.NewReader("time,celsius,probe\n2026-08-03T23:04:17Z,4,T0\n"), iotest.ErrReader(errors.New("card pulled"))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err = r.Next()
	var bad *RowError
	if errors.As(err, &bad) || coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("got %v, want EUNAVAILABLE that is no row's", err)
	}
}

// No input makes the reader crash, loop, or give a row that breaks its promise.
func FuzzReader(f *testing.F) {
	f.Add("time,celsius,probe\n2026-08-03T23:04:17Z,4.312,T0\n2026-08-03T23:04:17Z,,T1\n")
	f.Add("\xef\xbb\xbfprobe,x,time,celsius\r\n\"a\"\"b\",,2026-08-03T23:04:17+02:00,1e2\r\n")
	f.Add("time,celsius,probe\n\"\n\n,,,\n9999-12-31T23:59:59Z,-99999999999,p")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader("f", strings.NewReader(text))
		if err != nil {
			return
		}
		line := 1
		for {
			row, err := r.Next()
			var bad *RowError
			switch {
			case err == io.EOF:
				if max := strings.Count(text, "\n") + 1; line > max {
					t.Fatalf("line %d of %d", line, max)
				}
				return
			case errors.As(err, &bad):
				if bad.Line <= line && line > 1 {
					t.Fatalf("error at line %d after line %d", bad.Line, line)
				}
				line = bad.Line
			case err != nil:
				t.Fatal(err)
			default:
				if row.Probe == "" || row.Line <= line && line > 1 {
					t.Fatalf("row %+v after line %d", row, line)
				}
				line = row.Line
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := "time,celsius,probe\n" + strings.Repeat("2026-08-03T23:04:17Z,4.312,T0\n", 10_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, text)
	}
}
