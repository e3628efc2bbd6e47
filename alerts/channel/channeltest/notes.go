package channeltest

import (
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/alerts/channel"
)

// NoteRig is a notifier and the fake of the party at its other end.
type NoteRig struct {
	Notifier channel.Notifier
	To       string
	Bad      []string
	Got      func() []Receipt
	Away     func() // the other side is gone
	Busy     func() // it answers the next note by "later"
	Refuse   func() // it answers the next note by "never"
	Lose     func() // it takes the next note, and its receipt gets lost
}

// RunNotes is the suite that every notifier passes; rig makes a fresh rig for each test.
func RunNotes(t *testing.T, rig func(t *testing.T) NoteRig) {
	const text = "Please call Lakeside Family Clinic at (312) 555-0140.\nAñoñe: ¿preguntas?"
	send := func(t *testing.T, r NoteRig, id string) (channel.Outcome, error) {
		t.Helper()
		return r.Notifier.Notify(t.Context(), channel.Note{ID: id, To: r.To, From: "Lakeside, Clinic", ReplyTo: "desk@lakeside.example", Subject: "Please call us", Text: text,
			At: time.Date(2026, 8, 18, 15, 0, 0, 0, time.UTC), Stop: "https://coldkeep.example/stop/abc"})
	}
	for _, c := range []struct {
		name string
		make func(r NoteRig)
		want channel.Outcome
		got  int
	}{
		{"taken", func(NoteRig) {}, channel.Taken, 1},
		{"away", func(r NoteRig) { r.Away() }, channel.Later, 0},
		{"busy", func(r NoteRig) { r.Busy() }, channel.Later, 0},
		{"refused", func(r NoteRig) { r.Refuse() }, channel.Refused, 0},
		// What may have arrived is told apart: it must not go out twice.
		{"the receipt is lost", func(r NoteRig) { r.Lose() }, channel.Unsure, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rig(t)
			c.make(r)
			o, err := send(t, r, "n1")
			if o != c.want || (err == nil) != (c.want == channel.Taken) {
				t.Fatalf("%s, %v", o, err)
			}
			if err != nil && strings.Contains(err.Error(), r.To) {
				t.Errorf("the error shows the target: %v", err)
			}
			got := r.Got()
			if len(got) != c.got {
				t.Fatalf("got %+v", got)
			}
			for _, g := range got {
				if g.ID != "n1" || strings.TrimSpace(g.Text) != text {
					t.Errorf("got %+v", g)
				}
			}
		})
	}
	t.Run("a target that cannot be", func(t *testing.T) {
		r := rig(t)
		for _, bad := range append([]string{""}, r.Bad...) {
			if o, err := r.Notifier.Notify(t.Context(), channel.Note{ID: "n1", To: bad, Text: "x"}); o != channel.Refused || err == nil {
				t.Errorf("%q: %s, %v", bad, o, err)
			}
		}
		if got := r.Got(); len(got) != 0 {
			t.Errorf("something was sent: %v", got)
		}
	})
}
