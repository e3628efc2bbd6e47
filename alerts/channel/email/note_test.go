package email_test

import (
	"strings"
	"testing"

	notes "github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/alerts/channel/channeltest"
	"github.com/coldkeep/coldkeep/alerts/channel/email"
	"github.com/coldkeep/coldkeep/internal/smtpfake"
)

func TestNotes(t *testing.T) {
	channeltest.RunNotes(t, func(t *testing.T) channeltest.NoteRig {
		s := server(t, smtpfake.Config{TLS: true})
		return channeltest.NoteRig{
			Notifier: notifier(t, s), To: "nora@home.example", Bad: []string{"nobody", "a@b, c@d", "a@b\r\nBcc: all@north.example"},
			Got: func() (out []channeltest.Receipt) {
				for _, m := range s.Messages() {
					id := strings.TrimSuffix(strings.TrimPrefix(m.Header.Get("Message-ID"), "<"), "@north.example>")
					out = append(out, channeltest.Receipt{ID: id, Text: text(t, m)})
				}
				return out
			},
			Away: s.Down, Busy: func() { s.Fail("RCPT", "451 4.7.1 greylisted, come again") }, Refuse: func() { s.Fail("RCPT", "550 5.1.1 no such user") }, Lose: s.CutAfterData,
		}
	})
}

func notifier(t *testing.T, s *smtpfake.Server) notes.Notifier { return channel(t, s, email.Config{}) }

func TestNoteHeaders(t *testing.T) {
	s := server(t, smtpfake.Config{TLS: true})
	c := channel(t, s, email.Config{})
	_, err := c.Notify(t.Context(), note("Lakeside\r\nBcc: all@north.example"))
	if err != nil {
		t.Fatal(err)
	}
	h := s.Messages()[0].Header
	if h.Get("Bcc") != "" || !strings.Contains(h.Get("From"), "<alerts@north.example>") || h.Get("Reply-To") != "<desk@lakeside.example>" ||
		h.Get("List-Unsubscribe") != "<https://coldkeep.example/stop/abc>" || h.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("%v", h)
	}
}

func note(from string) notes.Note {
	return notes.Note{ID: "n1", To: "nora@home.example", From: from, ReplyTo: "desk@lakeside.example", Subject: "Please call us", Text: "x", Stop: "https://coldkeep.example/stop/abc"}
}
