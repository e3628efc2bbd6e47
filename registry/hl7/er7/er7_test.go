package er7_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

func TestPlain(t *testing.T) {
	m, err := er7.Parse([]byte("MSH|^~\\&|A|B&1.2&ISO||\"\"|20260101||VXU^V04^VXU_V04|1|P|2.5.1\rPID|1||1^^^X^MR~2^^^Y^SR||Doe \\T\\ Co^J\\.br\\n||19\rRXA|0\rRXA|1|x\r"))
	if err != nil {
		t.Fatal(err)
	}
	msh, _ := m.First("MSH")
	pid, _ := m.First("PID")
	for i, c := range []struct{ got, want string }{
		{msh.Field(1).Text(), "|"}, {msh.Field(2).Text(), `^~\&`}, {msh.Field(9).Comp(3).Text(), "VXU_V04"}, {msh.Field(4).Comp(1).Sub(2), "1.2"},
		{pid.Field(3).Rep(2).Comp(5).Text(), "SR"}, {fmt.Sprint(pid.Field(3).Reps()), "2"}, {pid.Field(5).Text(), "Doe & Co"}, {pid.Field(5).Comp(2).Text(), "J\nn"},
		{fmt.Sprint(msh.Field(6).IsNull(), msh.Field(6).Empty(), msh.Field(5).IsNull(), msh.Field(99).Empty()), "true true false true"},
		{m.Segments[3].At(5).String(), "RXA^2^5"},
	} {
		if c.got != c.want {
			t.Errorf("%d: %q, want %q", i, c.got, c.want)
		}
	}
	b := er7.NewBuilder()
	b.Segment("MSH").Set(9, "ACK", "V04", "ACK").Set(10, "a|b")
	b.Segment("PID").Set(5, "x", "", "y", "").Add(5, "z").SetSubs(5, 3, "p", "q&").SetNull(7)
	if got, want := b.String(), "MSH|^~\\&|||||||ACK^V04^ACK|a\\F\\b\rPID|||||x^^y~z^^p&q\\T\\||\"\"\r"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSplitPlain(t *testing.T) {
	var got []string
	for it, err := range er7.Split(strings.NewReader("FHS|^~\\&\r\nBHS|^~\\&\r\nMSH|^~\\&|1\r\nPID|1\r\n\r\nMSH|^~\\&|2\nPID|2\nBTS|3\rFTS|1\r")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(it.Kind, it.N, len(it.Text), len(it.Notes), "@", it.Line))
	}
	if want := "FHS0 8 0@1 BHS0 8 0@2 MSH1 17 0@3 MSH2 17 0@6 BTS2 5 1@8 FTS2 5 0@9"; strings.Join(got, " ") != want {
		t.Errorf("%v", strings.Join(got, " "))
	}
}

// Files without a last line end that were put together are still messages.
func TestSplitGlued(t *testing.T) {
	var got []string
	for it, err := range er7.Split(strings.NewReader("MSH|^~\\&|1\rPID|1||aMSH|^~\\&|2\rPID|2MSH|^~\\&|3BHS|^~\\&|4\rMSH|^~\\&|5\r")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s%d %q %d", it.Kind, it.N, it.Text, len(it.Notes)))
	}
	want := `MSH1 "MSH|^~\\&|1\rPID|1||a\r" 0, MSH2 "MSH|^~\\&|2\rPID|2\r" 1, MSH3 "MSH|^~\\&|3\r" 1, BHS3 "BHS|^~\\&|4" 0, MSH4 "MSH|^~\\&|5\r" 0, 4 "" 1`
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s\nwant\n%s", s, want)
	}
}
