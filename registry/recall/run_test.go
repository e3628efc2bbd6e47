package recall_test

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/alerts/channel/email"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/smtpfake"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

var late = recall.Params{Mode: recall.Recall, Groups: []string{"MMR"}}

func mailer(t *testing.T) (*smtpfake.Server, channel.Notifier) {
	t.Helper()
	s, err := smtpfake.New(smtpfake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := email.New(email.Config{Host: s.Host(), Port: s.Port(), From: "Coldkeep <notices@coldkeep.example>", TLS: email.TLSNone})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// plain is a mail as its reader sees it: all of its header and its text.
func plain(t *testing.T, m smtpfake.Message) string {
	t.Helper()
	head, body, _ := strings.Cut(m.Data, "\n\n")
	b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(head)
	if err != nil {
		t.Fatal(err)
	}
	return decoded + "\n\n" + string(b)
}

// A practice's run from the records: who is told, who is left out for which reason, and what
// the records of others do not show.
func TestRunOfAPractice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.settings()
		born := today - 900
		told := w.child(born)
		w.child(born, func(p *patient.Patient) { p.Statuses[0].Standing = patient.Moved })
		w.child(born, func(p *patient.Patient) { p.Statuses[0].Standing = patient.Lost })
		w.child(born, func(p *patient.Patient) { p.Deceased = true })
		w.child(born, func(p *patient.Patient) { p.Publicity = "01" })
		w.child(born, func(p *patient.Patient) { p.Publicity = "05" })
		w.child(born, func(p *patient.Patient) { p.Publicity = "09" })
		ownLock, otherLock := w.child(born), w.child(born)
		w.lock(ownLock, "lakeside")
		w.lock(otherLock, "northgate")
		w.child(born, func(p *patient.Patient) { p.Addresses, p.Guardians = nil, nil })
		complete := w.child(born)
		w.told(complete, "03", born+400)
		refused := w.child(born)
		_, err := w.doses.Record(w.ctx, nurse, immunization.Dose{Patient: refused, Kind: immunization.Refused, Date: today - 10, CVX: "03", Refusal: "00"}, immunization.Confirm{Yes: true})
		w.must(err)
		exempt := w.child(born)
		_, err = w.doses.AddExemption(w.ctx, nurse, immunization.Exemption{Patient: exempt, Kind: immunization.Religious, From: today - 10, Signer: "Chioma Okafor", Source: "Certificate"})
		w.must(err)
		w.child(born, func(p *patient.Patient) { p.Statuses[0].Site = "northgate" }) // another's patient
		w.child(today-30, func(*patient.Patient) {})                                 // of another age

		p := late
		p.BornFrom, p.BornTo = born-10, born+10
		v := w.run(manager, p)
		want := map[recall.Reason]int{recall.Told: 2, recall.IsMoved: 1, recall.IsLost: 1, recall.IsDeceased: 1, recall.WantsNone: 1, recall.OnlyReminders: 1, recall.WantsProvider: 1,
			recall.IsLocked: 1, recall.Unreachable: 1, recall.NotDue: 1, recall.HasRefused: 1, recall.IsExempt: 1}
		for r, n := range want {
			if v.Reasons[r] != n {
				t.Errorf("%s: %d, want %d", r, v.Reasons[r], n)
			}
		}
		if v.State != recall.Ready || v.Looked != v.Expected || v.Schedule == "" || v.Looked != 13 {
			t.Errorf("%+v, %v", v.Run, v.Reasons)
		}

		w.must(w.Issue(w.ctx, manager, v.ID, 0, []recall.Channel{recall.Phone, recall.Letter}))
		w.wants(w.Issue(w.ctx, manager, v.ID, 0, []recall.Channel{recall.Phone, recall.Letter}), coldkeep.ECONFLICT) // pressed twice
		w.settle()
		m, err := w.Print(w.ctx, manager, v.ID, recall.Letter, 0, "letters")
		w.must(err)
		if len(m.Sheets) != 2 || w.entries("recall.list", told) != 1 || w.entries("recall.list", ownLock) != 1 || w.entries("recall.list", complete) != 0 {
			t.Errorf("%d letters, %+v", len(m.Sheets), m.Sheets)
		}
		// The desk calls, and has no letters to look at; others have nothing.
		_, err = w.Print(w.ctx, desk, v.ID, recall.Letter, 0, "letters")
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.Print(w.ctx, viewer, v.ID, recall.Phone, 0, "calls")
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.Print(w.ctx, other, v.ID, recall.Phone, 0, "calls")
		w.wants(err, coldkeep.ENOTFOUND)

		// A record that is locked by another meanwhile is not on the list any more.
		w.lock(told, "northgate")
		m, err = w.Print(w.ctx, manager, v.ID, recall.Letter, 0, "letters")
		w.must(err)
		if len(m.Sheets) != 1 || m.Left != 1 {
			t.Errorf("%d letters, %d left", len(m.Sheets), m.Left)
		}

		// Who had a notice lately is left out of the next run; who came is an answer to this one.
		w.clock.add(5 * 24 * time.Hour)
		d := w.told(ownLock, "03", today+5)
		w.settle()
		v = w.see(manager, v.ID)
		if v.Tallies[0].Channel != recall.Letter || v.Tallies[0].People != 2 || v.Tallies[0].Came != 1 {
			t.Errorf("%+v, %v", v.Tallies, d)
		}
		p.NotWithin = 30
		next := w.run(manager, p)
		if next.Reasons[recall.Told] != 0 || next.Reasons[recall.IsLocked] != 2 || next.Reasons[recall.NotifiedLately] != 1 {
			t.Errorf("%v", next.Reasons)
		}
		// The state's run is of the jurisdiction, and has nobody who is locked.
		of := w.run(state, p)
		if of.Reasons[recall.IsLocked] != 3 || of.Reasons[recall.Told] < 2 {
			t.Errorf("%v", of.Reasons)
		}
	})
}

// What goes out by e-mail: once for a household, in its language, without a word about
// anybody; to who has agreed alone; and the link in it ends it.
func TestMailsHoldNoPatientData(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, by := mailer(t)
		w := open(t, where, by)
		w.settings()
		shared := func(p *patient.Patient) {
			p.Addresses[0].Street, p.Guardians[0].Contacts = "7 Shared Street", []patient.Contact{{Kind: patient.Email, Value: "chioma@home.example"}}
		}
		one, two := w.child(today-900, shared), w.child(today-1300, shared)
		spanish := w.child(today-900, func(p *patient.Patient) { p.Language = "spa" })
		silent := w.child(today - 900)
		for _, id := range []string{one, two, spanish} {
			chart, err := w.Of(w.ctx, desk, id)
			w.must(err)
			i := slices.IndexFunc(chart.Choices, func(c recall.Choice) bool { return c.Channel == recall.Email })
			w.must(w.Agree(w.ctx, desk, id, recall.Email, chart.Choices[i].Target, "Chioma, at the desk"))
			w.wants(w.Agree(w.ctx, desk, id, recall.Email, chart.Choices[i].Target, "again"), coldkeep.ECONFLICT)
			w.wants(w.Agree(w.ctx, desk, id, recall.Email, "somebody@else.example", "no"), coldkeep.EINVALID)
		}
		v := w.run(manager, late)
		w.must(w.Issue(w.ctx, manager, v.ID, 0, []recall.Channel{recall.Email, recall.Letter}))
		w.settle()
		got := s.Messages()
		if len(got) != 2 {
			t.Fatalf("%d mails", len(got))
		}
		for _, m := range got {
			text := plain(t, m)
			for _, not := range []string{"Okafor", "Ada", "Chioma Okafor", "MMR", "accin", "acun", one, two, spanish, v.ID, "2023", "Waukegan", "Shared Street", "85"} {
				_, body, _ := strings.Cut(text, "\n\n")
				body = regexp.MustCompile(`[A-Z2-7]{26}`).ReplaceAllString(body, "") // the link to end messages may have anything in it
				if strings.Contains(body, not) || not != "85" && strings.Contains(m.Header.Get("Subject"), not) {
					t.Errorf("%q is in\n%s", not, text)
				}
			}
			if !strings.Contains(text, "Lakeside Family Clinic") || !strings.Contains(text, "(224) 555-0100") || !strings.Contains(text, "https://coldkeep.example/stop/") {
				t.Errorf("missing in\n%s", text)
			}
		}
		mine := slices.IndexFunc(got, func(m smtpfake.Message) bool { return m.To[0] == "chioma@home.example" })
		if mine < 0 || !strings.Contains(plain(t, got[1-mine]), "Por favor") || strings.Contains(plain(t, got[mine]), "Por favor") {
			t.Error("the language is not the household's")
		}
		letters, err := w.Print(w.ctx, manager, v.ID, recall.Letter, 0, "letters")
		w.must(err)
		if len(letters.Sheets) != 1 || letters.Sheets[0].Patients[0] != silent {
			t.Errorf("%+v", letters.Sheets)
		}

		// Each person's notices are on the person's page.
		chart, err := w.Of(w.ctx, nurse, two)
		w.must(err)
		if len(chart.Notices) != 1 || chart.Notices[0].State != recall.Sent || len(chart.Notices[0].Groups) == 0 {
			t.Errorf("%+v", chart.Notices)
		}

		// The link ends it for the address; done twice it is done.
		stop := strings.Trim(got[mine].Header.Get("List-Unsubscribe"), "<>")
		stop = stop[strings.LastIndexByte(stop, '/')+1:]
		if page, err := w.StopPage(w.ctx, stop); err != nil || page.Ended || page.Clinic != "Lakeside Family Clinic" {
			t.Errorf("%+v, %v", page, err)
		}
		w.must(w.Stop(w.ctx, stop, true))
		w.must(w.Stop(w.ctx, stop, false))
		if page, err := w.StopPage(w.ctx, stop); err != nil || !page.Ended {
			t.Errorf("%+v, %v", page, err)
		}
		_, err = w.StopPage(w.ctx, "AAAAAAAAAAAAAAAAAAAAAAAAAA")
		w.wants(err, coldkeep.ENOTFOUND)
		for _, id := range []string{one, two} {
			r, err := w.people.Open(w.ctx, nurse, id, "")
			w.must(err)
			if r.Publicity != "01" || len(r.History) == 0 {
				t.Errorf("%q", r.Publicity)
			}
		}
		if again := w.run(manager, late); again.Reasons[recall.WantsNone] != 2 {
			t.Errorf("%v", again.Reasons)
		}
	})
}

// STOP by text message ends it for everybody with the number, and keeps the telephone away.
func TestStopWord(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		id := w.child(today - 900)
		chart, err := w.Of(w.ctx, desk, id)
		w.must(err)
		i := slices.IndexFunc(chart.Choices, func(c recall.Choice) bool { return c.Channel == recall.SMS })
		number := chart.Choices[i].Target
		w.must(w.Agree(w.ctx, desk, id, recall.SMS, number, "Chioma"))
		if stopped, err := w.Answer(w.ctx, "+1"+number, "Thank you"); err != nil || stopped {
			t.Fatal(stopped, err)
		}
		if stopped, err := w.Answer(w.ctx, "+1"+number, "alto"); err != nil || !stopped {
			t.Fatal(stopped, err)
		}
		chart, err = w.Of(w.ctx, desk, id)
		w.must(err)
		r, err := w.people.Open(w.ctx, nurse, id, "")
		w.must(err)
		if len(chart.Consents) != 0 || r.Publicity != "03" {
			t.Errorf("%+v, %q", chart.Consents, r.Publicity)
		}
		_, err = w.Answer(w.ctx, "nobody", "STOP")
		w.wants(err, coldkeep.EINVALID)
	})
}

// Messages keep to the hours and the number an hour.
func TestHoursAndRate(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, by := mailer(t)
		w := open(t, where, by)
		w.must(w.SetSettings(w.ctx, manager, recall.Settings{Name: "Lakeside", Street: "1 Harbor Street", City: "Waukegan", State: "IL", ZIP: "60085", Phone: "224-555-0100", Begin: 9 * 60, End: 17 * 60, PerHour: 2}))
		for range 5 {
			w.mailed(w.child(today - 900))
		}
		w.clock.add(6 * time.Hour) // 18:00 in Chicago
		v := w.run(manager, late)
		w.must(w.Issue(w.ctx, manager, v.ID, 0, []recall.Channel{recall.Email}))
		w.settle()
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 0}, {14 * time.Hour, 0}, {time.Hour, 2}, {time.Minute, 2}, {time.Hour, 4}, {time.Hour, 5}} {
			w.clock.add(step.wait)
			w.settle()
			if got := len(s.Messages()); got != step.want {
				t.Fatalf("%s: %d mails, want %d", w.clock.Now(), got, step.want)
			}
		}
	})
}

// mailed has a household agree to e-mail.
func (w *world) mailed(id string) {
	w.t.Helper()
	chart, err := w.Of(w.ctx, desk, id)
	w.must(err)
	i := slices.IndexFunc(chart.Choices, func(c recall.Choice) bool { return c.Channel == recall.Email })
	w.must(w.Agree(w.ctx, desk, id, recall.Email, chart.Choices[i].Target, "Chioma"))
}

// What came back flags the address; enough tries by several means, and a person may say that
// somebody is lost.
func TestUndeliverableAndLost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, by := mailer(t)
		w := open(t, where, by)
		w.settings()
		id := w.child(today - 900)
		w.mailed(id)
		s.Fail("RCPT", "550 5.1.1 no such user")
		v := w.run(manager, late)
		w.must(w.Issue(w.ctx, manager, v.ID, 0, []recall.Channel{recall.Email, recall.Letter}))
		w.settle()
		p, err := w.st.RecallPerson(w.ctx, v.ID, id)
		w.must(err)
		if p.Noticed.Known() || len(s.Messages()) != 0 {
			t.Errorf("%+v", p)
		}
		w.must(w.Issue(w.ctx, manager, v.ID, 1, []recall.Channel{recall.Email, recall.Letter}))
		w.settle()
		chart, err := w.Of(w.ctx, desk, id)
		w.must(err)
		if len(chart.Notices) != 2 || chart.Notices[0].Channel != recall.Letter || chart.MayBeLost {
			t.Fatalf("%+v", chart)
		}
		w.wants(w.CallLost(w.ctx, manager, id, "nobody answers"), coldkeep.EINVALID)
		w.must(w.Try(w.ctx, desk, id, recall.Attempt{Run: v.ID, Channel: recall.Letter, Result: recall.Returned}))
		w.must(w.Try(w.ctx, desk, id, recall.Attempt{Run: v.ID, Channel: recall.Phone, Result: recall.NoAnswer}))
		w.must(w.Try(w.ctx, desk, id, recall.Attempt{Channel: recall.Phone, Result: recall.WrongNumber}))
		w.wants(w.Try(w.ctx, desk, id, recall.Attempt{Channel: recall.Phone, Result: "maybe"}), coldkeep.EINVALID)
		w.wants(w.Try(w.ctx, viewer, id, recall.Attempt{Channel: recall.Phone, Result: recall.NoAnswer}), coldkeep.EFORBIDDEN)
		if again := w.run(manager, late); again.Reasons[recall.Unreachable] != 1 {
			t.Errorf("%v", again.Reasons)
		}
		chart, err = w.Of(w.ctx, desk, id)
		w.must(err)
		if !chart.MayBeLost {
			t.Fatalf("%d tries by %d", chart.Tries, chart.Methods)
		}
		w.wants(w.CallLost(w.ctx, desk, id, "nobody answers"), coldkeep.EFORBIDDEN)
		w.must(w.CallLost(w.ctx, manager, id, "nobody answers"))
		if again := w.run(manager, late); again.Reasons[recall.IsLost] != 1 {
			t.Errorf("%v", again.Reasons)
		}
	})
}
