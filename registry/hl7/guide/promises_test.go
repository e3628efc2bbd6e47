package guide_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

// readable are the messages of the corpus that can be read, as lines.
func readable(t testing.TB) [][]string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(corpus(t), "*"))
	var out [][]string
	for _, f := range files {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for it, err := range er7.Split(in) {
			if it.Kind != "MSH" || err != nil {
				continue
			}
			if m, err := er7.Parse(it.Text); err == nil {
				var lines []string
				for _, s := range m.Segments {
					lines = append(lines, s.Raw())
				}
				out = append(out, lines)
			}
		}
		in.Close()
	}
	return out
}

// TestMetamorphic: fields beyond the last one that the guide knows, other ends of lines
// and segments that nobody knows change nothing of what is said and read (table 3-1).
func TestMetamorphic(t *testing.T) {
	all := append(readable(t), good)
	c := &guide.Checker{Today: today}
	rapid.Check(t, func(t *rapid.T) {
		lines := all[rapid.IntRange(0, len(all)-1).Draw(t, "message")]
		plain, err := er7.Parse([]byte(strings.Join(lines, "\r")))
		if err != nil {
			t.Fatal(err)
		}
		end := rapid.SampledFrom([]string{"\r", "\n", "\r\n"}).Draw(t, "end")
		var b strings.Builder
		for i, l := range lines {
			b.WriteString(l)
			if rapid.Bool().Draw(t, "more fields") {
				b.WriteString(strings.Repeat("|", max(0, 60-strings.Count(l, "|"))) + "more|fields^and~more")
			}
			b.WriteString(end)
			if i > 0 && rapid.IntRange(0, 5).Draw(t, "unknown segment") == 0 {
				b.WriteString("ZZ9|1|unknown" + end)
			}
		}
		if plain.Separators.Field != '|' {
			t.Skip("other separators")
		}
		changed, err := er7.Parse([]byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		want, got := c.Check(plain), c.Check(changed)
		if told(want) != told(got) || want.Outcome != got.Outcome || want.Rejected != got.Rejected {
			t.Fatalf("%s: %s\n%s: %s", want.Outcome, told(want), got.Outcome, told(got))
		}
		if !reflect.DeepEqual(want.Update, got.Update) {
			t.Fatalf("%+v\n%+v", want.Update, got.Update)
		}
	})
}

// TestClean: what is handed on keeps the guide's promises, whatever was sent.
func TestClean(t *testing.T) {
	c := &guide.Checker{Today: today}
	all := append(readable(t), good)
	rapid.Check(t, func(t *rapid.T) {
		lines := all[rapid.IntRange(0, len(all)-1).Draw(t, "message")]
		b := strings.Join(lines, "\r")
		for range rapid.IntRange(0, 6).Draw(t, "faults") { // strike some fields out, or put others in
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			to := min(len(b), at+rapid.IntRange(0, 12).Draw(t, "length"))
			b = b[:at] + rapid.SampledFrom([]string{"", "|", "^", "~", "&", `""`, "20240230", "V99", "\r", "RE", "998"}).Draw(t, "text") + b[to:]
		}
		m, err := er7.Parse([]byte(b))
		if err != nil {
			return
		}
		promises(t, c.Check(m))
	})
}

// promises are what the one who stores an update relies on.
func promises(t interface {
	Fatalf(string, ...any)
}, r *guide.Result) {
	errors := false
	for _, f := range r.Findings {
		errors = errors || f.Severity == guide.Error
		if f.Text == "" || f.Code == "" || f.Rule == "" {
			t.Fatalf("a finding without words, code or rule: %+v", f)
		}
	}
	switch {
	case errors != (r.Outcome != guide.AA):
		t.Fatalf("%s with %s", r.Outcome, told(r))
	case r.Rejected && (r.Update != nil || r.Query != nil || !errors):
		t.Fatalf("rejected, with something to store or without a reason: %s", told(r))
	case !r.Rejected && r.Update == nil && r.Query == nil:
		t.Fatalf("neither rejected nor read: %s", told(r))
	}
	if r.Update == nil {
		return
	}
	p := &r.Update.Patient
	if len(p.Names) == 0 || p.Names[0].Family == "" || p.Names[0].Given == "" || !p.Birth.Known() || p.Birth > today {
		t.Fatalf("a patient without name or birth date: %+v", p)
	}
	for _, id := range p.Identifiers {
		if id.Value == "" || id.Kind == "SS" {
			t.Fatalf("identifier %+v", id)
		}
	}
	for i := range r.Update.Orders {
		o := &r.Update.Orders[i]
		switch {
		case o.CVX == "" || !o.Date.Known():
			t.Fatalf("an order without vaccine or date: %+v", o)
		case o.Kind != guide.Nothing && (o.Date < p.Birth || o.Date > today || o.CVX == "998"):
			t.Fatalf("a dose that cannot be: %+v", o)
		case o.Action == guide.Delete && o.Filler.Value == "":
			t.Fatalf("a deletion of what is not said: %+v", o)
		case (o.Kind == guide.Given) != (o.Source == "00" && o.Completion == "CP" && o.CVX != "998"):
			t.Fatalf("%s with source %q and status %q", o.Kind, o.Source, o.Completion)
		case o.Kind != guide.Refused && o.Refusal != "":
			t.Fatalf("a refusal reason of what was not refused: %+v", o)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(strings.Join(good, "\r")))
	f.Add([]byte(strings.Join(z34, "\r")))
	f.Add([]byte(strings.Join(vxq, "\r")))
	f.Add([]byte("MSH|^~&|||||||VXU|1||2.3\rPID|||1||A^B||20000101|F\rRXA|0|1|20010101||8|0||||||||||||||||D"))
	c := &guide.Checker{Today: today}
	a := responder()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := er7.Parse(b)
		if err != nil {
			return
		}
		r := c.Check(m)
		promises(t, r)
		answers := []*er7.Builder{a.Ack(r, "", r.Findings)}
		if r.Asked {
			answers = append(answers, a.Response(r, guide.None, guide.Bad, "", r.Findings))
		}
		for _, b := range answers {
			if _, err := er7.Parse(b.Bytes()); err != nil {
				t.Fatalf("the answer cannot be read: %v: %q", err, b.String())
			}
		}
	})
}

func responder() *guide.Responder {
	at := time.Date(2026, 11, 28, 9, 30, 0, 0, time.FixedZone("", -6*3600))
	return &guide.Responder{
		Application: guide.Authority{Namespace: "COLDKEEP"}, Facility: guide.Authority{Namespace: "IIS"}, Organization: "STATE",
		Now: func() time.Time { return at }, NewID: func() string { return "NEW" },
	}
}

var (
	z34 = []string{
		`MSH|^~\&|EHR|CLINIC|||20260302101500-0600||QBP^Q11^QBP_Q11|Q1|P|2.5.1|||ER|AL|||||Z34^CDCPHINVS|CLINIC|STATE`,
		`QPD|Z34^Request Immunization History^CDCPHINVS|TAG7|4711^^^CLINIC^MR|Rivera^Ana^Luz^^^^L|Soto^Eva^^^^^M|20240105|F|12 Oak St^^Springfield^IL^62701^USA^H|^PRN^PH^^^217^5550142`,
		`RCP|I|5^RD&Records&HL70126`,
	}
	vxq = []string{
		`MSH|^~\&||CLINIC||STATE|20260302101500||VXQ^V01|Q2|P|2.3.1`,
		`QRD|20260302101500|R|I|TAG8|||25^RD|4711^RIVERA^ANA^LUZ^^^^^^^^^MR|VXI^VACCINE INFORMATION^HL70048|^SIIS`,
		`QRF|STATE||||123456789~20240105~IL~B77~MA88~RIVERA^EVA~SOTO`,
	}
)
