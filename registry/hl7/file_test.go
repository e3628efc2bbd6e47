package hl7_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// aFile is a batch of updates about so many children, one message that is none, and a query.
func (w *world) aFile(children int) string {
	var b strings.Builder
	b.WriteString("FHS|^~\\&|MYEHR|CLINIC|COLDKEEP|IIS|20260301||||F1\rBHS|^~\\&|MYEHR|CLINIC|COLDKEEP|IIS|20260301||||B1\r")
	for i := range children {
		c := newChild(i)
		b.WriteString(c.words.Replace(w.vxu(i, with([]string{pidAda}, told("K1", "20240301", "20", "01"))...)))
	}
	b.WriteString("MSH|^~\\&|MYEHR|CLINIC|||20260301||ADT^A01|X1|P|2.5.1\rPID|1\r")
	b.WriteString(newChild(0).words.Replace(w.query("Z34", strings.Split(qpdAda, "|")...)))
	b.WriteString("BTS|" + fmt.Sprint(children+5) + "\rFTS|1\r")
	return b.String()
}

func (w *world) file(s *exchange.Service, by auth.Principal, text string, again bool) exchange.File {
	w.t.Helper()
	f, err := s.SubmitFile(w.ctx, by, exchange.FileSubmission{Door: exchange.SFTP, Name: "march.hl7", Again: again}, strings.NewReader(text))
	w.must(err)
	return f
}

// finish works until nothing waits, through every death of the process.
func (w *world) finish(s *exchange.Service) {
	w.t.Helper()
	for range 1000 {
		more, err := s.Step(w.ctx)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.EINTERNAL {
			w.t.Fatal(err)
		}
		if !more && err == nil {
			return
		}
	}
	w.t.Fatal("never done")
}

// dosesOf counts the doses in the registry and the records of patients.
func (w *world) counted(children int) (patients, doses int) {
	for i := range children {
		c := newChild(i)
		for _, r := range w.find("Okafor", c.words.Replace("^Ada^")[1:6], c.birth) {
			patients++
			doses += len(w.view(r.ID).Doses)
		}
	}
	return patients, doses
}

func TestFile(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		const children = 7
		text := w.aFile(children)
		f := w.file(w.exchange, w.lakeside, text, false)
		if f.State != exchange.Queued || f.Total != children+2 || len(f.Findings) != 1 {
			t.Fatalf("%+v", f)
		}
		if again := w.file(w.exchange, w.lakeside, text, false); !again.Known || again.ID != f.ID {
			t.Errorf("%+v", again)
		}
		if err := w.exchange.WriteAnswers(w.ctx, w.lakeside, f.ID, io.Discard); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Error(err)
		}
		// The process dies again and again while it works; another one goes on.
		n := 0
		for range 12 {
			process := exchange.New(mortal{w.st.Exchange(), func() int { n++; return []int{0, 1, 0, 0, 2, 0, 1, 2}[n%8] }}, hl7.New(w.people, w.doses, w.clock, hl7.DefaultIdentity), w.clock, w.sealer)
			_, _ = process.Step(w.ctx) // it says that it has died
		}
		w.finish(w.exchange)
		p, err := w.exchange.Progress(w.ctx, w.lakeside, f.ID)
		w.must(err)
		if p.State != exchange.Done || p.Finished != p.Total || p.Ended == nil || p.Outcomes[exchange.Rejected] != 1 || p.Outcomes[exchange.Accepted] != children+1 {
			t.Fatalf("%+v", p)
		}
		if patients, doses := w.counted(children); patients != children || doses != children {
			t.Errorf("%d patients, %d doses", patients, doses)
		}
		var out bytes.Buffer
		w.must(w.exchange.WriteAnswers(w.ctx, w.lakeside, f.ID, &out))
		var got []string
		for item, err := range er7.Split(&out) {
			w.must(err)
			got = append(got, item.Kind)
			if len(item.Notes) > 0 {
				t.Errorf("%+v", item.Notes)
			}
		}
		if want := "FHS BHS" + strings.Repeat(" MSH", children+2) + " BTS FTS"; strings.Join(got, " ") != want {
			t.Errorf("%v", got)
		}
		// Asked for once more, it is taken once more, and changes nothing.
		again := w.file(w.exchange, w.lakeside, text, true)
		if again.Known || again.ID == f.ID {
			t.Errorf("%+v", again)
		}
		w.finish(w.exchange)
		if patients, doses := w.counted(children); patients != children || doses != children {
			t.Errorf("%d patients, %d doses", patients, doses)
		}
		// Only who sent it, its site's manager and the state see it.
		for _, c := range []struct {
			by   auth.Principal
			want string
		}{{w.north, coldkeep.ENOTFOUND}, {w.tested, coldkeep.ENOTFOUND}, {admin, ""}, {auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}, ""},
			{auth.Principal{ID: "n", Name: "Ann", Role: auth.PracticeManager, Site: "northgate"}, coldkeep.ENOTFOUND}, {auth.Principal{}, coldkeep.EUNAUTHORIZED}} {
			if _, err := w.exchange.Progress(w.ctx, c.by, f.ID); coldkeep.ErrorCode(err) != c.want {
				t.Errorf("%s: %v", c.by.Name, err)
			}
		}
	})
}

// A file that a person uploads speaks for the own practice, and asks nothing.
func TestFileOfAPerson(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		manager := auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
		f := w.file(w.exchange, manager, w.aFile(2), false)
		w.finish(w.exchange)
		p, err := w.exchange.Progress(w.ctx, manager, f.ID)
		w.must(err)
		if p.Outcomes[exchange.Accepted] != 2 || p.Outcomes[exchange.Rejected] != 2 {
			t.Errorf("%+v", p)
		}
		for _, by := range []auth.Principal{{ID: "n", Name: "Ann", Role: auth.Nurse, Site: "lakeside"}, admin} {
			if _, err := w.exchange.SubmitFile(w.ctx, by, exchange.FileSubmission{}, strings.NewReader("MSH|")); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
				t.Errorf("%s: %v", by.Name, err)
			}
		}
	})
}

// Receiving that is broken off leaves nothing, and a file of nothing is told.
func TestBrokenFile(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		text := w.aFile(3)
		for _, r := range []io.Reader{io.MultiReader(strings.NewReader(text[:len(text)/2]), errReader{}), strings.NewReader("hello\r"), strings.NewReader("")} {
			if _, err := w.exchange.SubmitFile(w.ctx, w.lakeside, exchange.FileSubmission{Name: "x"}, r); err == nil {
				t.Error("taken")
			}
		}
		files, err := w.exchange.Files(w.ctx, w.lakeside, 10)
		if err != nil || len(files) != 0 {
			t.Error(files, err)
		}
		w.finish(w.exchange)
		if patients, _ := w.counted(3); patients != 0 {
			t.Errorf("%d patients", patients)
		}
	})
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Texts are sealed in the database, shown to who may see the patient, and cleared in time.
func TestTexts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.ack(w.lakeside, "AA", w.vxu(0, pidAda))
		all, err := w.exchange.Messages(w.ctx, admin, exchange.Filter{Outcome: exchange.Accepted})
		w.must(err)
		if len(all) != 1 || all[0].Text != nil || all[0].Type != "VXU^V04" || all[0].Patient != w.ada().ID {
			t.Fatalf("%+v", all)
		}
		kept, err := w.st.ExchangeMessage(w.ctx, all[0].ID)
		w.must(err)
		if bytes.Contains(kept.Text, []byte("Okafor")) || bytes.Contains(kept.Answer, []byte("MSA")) || len(kept.Text) == 0 {
			t.Error("the text is in clear")
		}
		m, err := w.exchange.Message(w.ctx, admin, all[0].ID)
		if err != nil || !bytes.Contains(m.Text, []byte("Okafor^Ada")) || !bytes.Contains(m.Answer, []byte("MSA|AA")) {
			t.Error(m, err)
		}
		for _, c := range []struct {
			by   auth.Principal
			want string
		}{{w.north, coldkeep.ENOTFOUND}, {auth.Principal{ID: "e", Name: "Eli", Role: auth.StateEpi}, coldkeep.EFORBIDDEN}, {auth.Principal{ID: "a", Name: "Aud", Role: auth.Auditor}, coldkeep.EFORBIDDEN},
			{auth.Principal{ID: "n", Name: "Ann", Role: auth.Nurse, Site: "lakeside"}, coldkeep.EFORBIDDEN}, {auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}, ""},
			{auth.Principal{ID: "o", Name: "Oda", Role: auth.PracticeManager, Site: "northgate"}, coldkeep.ENOTFOUND}, {w.tested, coldkeep.ENOTFOUND}, {w.lakeside, ""}} {
			if _, err := w.exchange.Message(w.ctx, c.by, m.ID); coldkeep.ErrorCode(err) != c.want {
				t.Errorf("%s: %v", c.by.Name, err)
			}
		}
		w.clock.add(91 * 24 * time.Hour)
		if n, err := w.exchange.Clear(w.ctx); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if m, err = w.exchange.Message(w.ctx, admin, m.ID); err != nil || m.Text != nil || m.Cleared == nil || m.Outcome != exchange.Accepted {
			t.Error(m, err)
		}
	})
}

func TestReports(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.furnish()
		w.send(w.lakeside, w.vxu(3, with([]string{pidAda}, told("K9", "20240301", "20", "77"))...))
		w.send(w.lakeside, w.query("Z34", strings.Split(qpdAda, "|")...))
		day := coldkeep.DateOf(noon)
		all, err := w.exchange.Reports(w.ctx, auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}, day-30, day)
		w.must(err)
		if len(all) != 2 {
			t.Fatalf("%+v", all)
		}
		for _, r := range all {
			if r.Account == w.lakeside.ID {
				f := r.Figures
				if f[exchange.FigMessages] != 3 || f[exchange.FigUpdates] != 2 || f[exchange.FigQueries] != 1 || f[exchange.FigAE] != 1 || f[exchange.FigGiven] != 1 || f[exchange.FigDeducted] != 1 ||
					f[exchange.FigWithinDay] != 1 || f[exchange.FigAnswered] != 1 || f[exchange.FigNew] != 1 || f[exchange.FigMatched] != 1 || r.Last == nil || len(r.Findings) == 0 || r.Share(exchange.FigWithinDay, exchange.FigGiven) != 1 {
					t.Errorf("%+v", r)
				}
			} else if r.Figures[exchange.FigMessages] != 0 || r.Last != nil {
				t.Errorf("%+v", r)
			}
		}
		if mine, err := w.exchange.Reports(w.ctx, w.north, day-30, day); err != nil || len(mine) != 1 || mine[0].Account != w.north.ID {
			t.Error(mine, err)
		}
	})
}

// Who may say what about a sender.
func TestSenders(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		manager := auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
		s, err := w.exchange.Sender(w.ctx, manager, w.tested.ID)
		w.must(err)
		if s.Production || s.Revision != 0 || s.Name != "New EHR" {
			t.Fatalf("%+v", s)
		}
		s.Deducts, s.Answers, s.Facilities = true, exchange.ErrorsOnly, []exchange.Facility{{Code: "clinic ", Site: "lakeside"}}
		s, err = w.exchange.PutSender(w.ctx, manager, s)
		w.must(err)
		for _, c := range []struct {
			change func(*exchange.Sender)
			want   string
		}{{func(s *exchange.Sender) { s.Production = true }, coldkeep.EFORBIDDEN}, {func(s *exchange.Sender) { s.Facilities = []exchange.Facility{{Code: "N", Site: "northgate"}} }, coldkeep.EFORBIDDEN},
			{func(s *exchange.Sender) { s.Revision = 0 }, coldkeep.ECONFLICT}, {func(s *exchange.Sender) { s.Answers = "some" }, coldkeep.EINVALID}, {func(s *exchange.Sender) { s.Account = w.north.ID }, coldkeep.ENOTFOUND}} {
			x := s
			c.change(&x)
			if _, err := w.exchange.PutSender(w.ctx, manager, x); coldkeep.ErrorCode(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
		s.Production, s.Facilities = true, append(s.Facilities, exchange.Facility{Code: "NORTH", Site: "northgate"})
		if _, err = w.exchange.PutSender(w.ctx, admin, s); err != nil {
			t.Fatal(err)
		}
		// It speaks for both, and for nobody else.
		w.ack(w.tested, "AA", w.vxu(0, pidAda))
		w.ack(w.tested, "AA", strings.Replace(w.vxu(1, pidAda), "|CLINIC|", "|NORTH|", 1))
		if p := w.ada().Patient; p.Standing("lakeside") == "" || p.Standing("northgate") == "" {
			t.Errorf("%+v", p.Statuses)
		}
		if answer := w.ack(w.tested, "AE", strings.Replace(w.vxu(2, pidAda), "|CLINIC|", "|OTHER|", 1)); !strings.Contains(answer, "MSH^1^4") {
			t.Error(answer)
		}
		if _, err := w.exchange.Submit(context.Background(), manager, exchange.Submission{Text: []byte(w.vxu(3, pidAda))}); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Error(err)
		}
	})
}
