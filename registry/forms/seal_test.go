package forms_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/forms/paper/papertest"
)

var codeWords = regexp.MustCompile(`code ([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})`)

// Who holds a print learns whether it is as it was printed; who does not learns nothing.
func TestVerify(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		id := sixthGrader(w)
		b, err := w.HistoryPDF(w.ctx, nurse, id)
		w.must(err)
		m := codeWords.FindStringSubmatch(strings.Join(strings.Fields(papertest.Text(t, b)), " "))
		if m == nil {
			t.Fatal("there is no code on the print")
		}
		birth := coldkeep.NewDate(2014, 5, 1)
		all := forms.Question{Code: strings.ToLower(strings.ReplaceAll(m[1], "-", " ")), Birth: birth, Doses: 17, Dates: []string{"07/01/2014", "07/2014", "06/01/2018"}, File: b}
		a, err := w.Verify(w.ctx, all)
		w.must(err)
		if !a.Agrees() || len(a.Checks) != 6 || a.Form != forms.History || a.Pages < 2 || !a.At.Equal(noon) {
			t.Errorf("%+v", a)
		}
		// The record goes on; the print stays what it was.
		w.given(id, "21")
		if a, err = w.Verify(w.ctx, all); err != nil || !a.Agrees() {
			t.Errorf("%v %+v", err, a)
		}
		changed := append([]byte(nil), b...)
		changed[len(changed)/2] ^= 1
		for _, q := range []forms.Question{{Code: m[1], Birth: birth, Doses: 18}, {Code: m[1], Birth: birth, Doses: -1, Dates: []string{"07/02/2014"}}, {Code: m[1], Birth: birth, Doses: -1, File: changed}, {Code: m[1], Birth: birth, Doses: -1, Dates: []string{""}}} {
			if a, err = w.Verify(w.ctx, q); err != nil || a.Agrees() {
				t.Errorf("%v %+v", err, a.Checks)
			}
		}
		var words []string
		for _, q := range []forms.Question{{Code: m[1], Birth: birth + 1, Doses: -1}, {Code: "0000-0000-0000-0000", Birth: birth, Doses: -1}} {
			_, err = w.Verify(w.ctx, q)
			w.wants(err, coldkeep.ENOTFOUND)
			words = append(words, err.Error())
		}
		if words[0] != words[1] {
			t.Errorf("a wrong birth date and a wrong code are told apart: %q", words)
		}
		for _, q := range []forms.Question{{Code: "", Birth: birth}, {Code: "0000", Birth: birth}, {Code: m[1]}, {Code: m[1], Birth: birth, Dates: make([]string, 101)}} {
			_, err = w.Verify(w.ctx, q)
			w.wants(err, coldkeep.EINVALID)
		}
		// What is kept tells nothing without the paper.
		w.must(w.st.Forms().Tx(w.ctx, func(tx forms.Tx) error {
			prints, err := tx.Prints(w.ctx, []string{id})
			if err == nil && (len(prints) != 1 || strings.Contains(prints[0].Seals, "2014") || prints[0].CodeSHA256 == m[1]) {
				t.Errorf("%+v", prints)
			}
			return err
		}))
		// The page of the screens carries a code as well, without a file to compare.
		p, err := w.HistoryReport(w.ctx, nurse, id)
		w.must(err)
		a, err = w.Verify(w.ctx, forms.Question{Code: p.Code, Birth: birth, Doses: 18, File: b})
		if err != nil || a.Pages != 0 || a.Checks[1].Agrees != true || a.Checks[2].Agrees {
			t.Errorf("%v %+v", err, a)
		}
	})
}
