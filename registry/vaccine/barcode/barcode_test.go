package barcode_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine/barcode"
)

var today = coldkeep.NewDate(2026, 3, 2)

func TestParse(t *testing.T) {
	whole := barcode.Label{GTIN: "00349281521003", Lot: "U1234AA", Expires: coldkeep.NewDate(2027, 6, 30)}
	withSerial := whole
	withSerial.Serial = "9X"
	for _, c := range []struct {
		in   string
		want barcode.Label
	}{
		{"01003492815210031727063010U1234AA", whole},
		{"]d201003492815210031727063010U1234AA", whole},
		{"\x1d01003492815210031727063010u1234aa", whole},
		{"010034928152100310U1234AA\x1d17270630", whole},
		{"010034928152100310U1234AA\x1d219X\x1d17270600", withSerial},
		{"01003492815210031726123121SER\x1d10L", barcode.Label{GTIN: "00349281521003", Lot: "L", Serial: "SER", Expires: coldkeep.NewDate(2026, 12, 31)}},
		{"(01)00349281521003(17)270630(10)U1234AA", whole},
		{" (01) 00349281521003 (17) 270630 (10) U1234AA ", whole},
		{"349281521003", barcode.Label{GTIN: "00349281521003"}},   // UPC-A
		{"00349281521003", barcode.Label{GTIN: "00349281521003"}}, // ITF-14
		{"010034928152100311260101", barcode.Label{GTIN: "00349281521003"}},
	} {
		if got, err := barcode.Parse(c.in, today); err != nil || got != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.in, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, in := range []string{
		"", "hello", "0100349281521004", // check digit
		"0100349281521003172702", "0100349281521003172702309", "010034928152100317270230", // cut off, no date
		"0100349281521003101234567890123456789012345678", // no separator where one is needed
		"10U1234AA",                  // no product
		"(01)00349281521003(10", "(", // brackets
		"0100349281521003\x0110A", "01003492815210031\xc3\xa9",
	} {
		l, err := barcode.Parse(in, today)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %+v, %v", in, l, err)
		}
	}
}

// A year of two digits is the one nearest to today's.
func TestCentury(t *testing.T) {
	for _, c := range []struct {
		today, want int
		yy          string
	}{{2026, 2075, "75"}, {2026, 1976, "76"}, {2098, 2101, "01"}, {2001, 1999, "99"}} {
		l, err := barcode.Parse("010034928152100317"+c.yy+"0131", coldkeep.NewDate(c.today, 1, 1))
		if y, _, _ := l.Expires.Civil(); err != nil || y != c.want {
			t.Errorf("%s seen in %d: %s, %v", c.yy, c.today, l.Expires, err)
		}
	}
}

// The order of the elements does not matter.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lot := rapid.StringMatching(`[A-Z0-9]{1,20}`).Draw(t, "lot")
		parts := rapid.Permutation([]string{"0100349281521003", "17270630", "10" + lot + "\x1d", "21S\x1d"}).Draw(t, "order")
		in := ""
		for _, p := range parts {
			in += p
		}
		l, err := barcode.Parse(in, today)
		if err != nil || l.Lot != lot || l.GTIN != "00349281521003" || l.Serial != "S" || l.Expires != coldkeep.NewDate(2027, 6, 30) {
			t.Fatalf("%q: %+v, %v", in, l, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"01003492815210031727063010U1234AA", "(01)00349281521003(17)270630(10)U1234AA", "349281521003", "]d2\x1d10\x1d", "3103", "4100"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := barcode.Parse(s, today)
		if err == nil && (len(l.GTIN) != 14 || len(l.Lot) > 20) {
			t.Errorf("%q: %+v", s, l)
		}
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestStatement(t *testing.T) {
	const code = "253088698300012711250131"
	for _, s := range []string{code, "]d2" + code, "]d22530886983000127\x1d11250131", "(253)0886983000127(11)250131", " 2530886983000127 11250131 "} {
		if got, err := barcode.Statement(s); err != nil || got != code {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "253", code + "1", "253088698300012811250131", "263088698300012711250131", "253088698300012721250131", "25308869830001271125013x", "(01)00300064681000"} {
		if _, err := barcode.Statement(s); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzStatement(f *testing.F) {
	f.Add("]d22530886983000127\x1d11250131")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := barcode.Statement(s)
		if err == nil && (len(code) != 24 || code[:3] != "253") {
			t.Errorf("%q: %q", s, code)
		}
	})
}
