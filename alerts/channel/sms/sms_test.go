package sms_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/coldkeep/coldkeep/alerts/channel/channeltest"
	"github.com/coldkeep/coldkeep/alerts/channel/sms"
	"github.com/coldkeep/coldkeep/internal/httpfake"
	"github.com/coldkeep/coldkeep/internal/webhookfake"
)

func TestNotes(t *testing.T) {
	channeltest.RunNotes(t, func(t *testing.T) channeltest.NoteRig {
		r, err := webhookfake.New("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		c, err := sms.New(sms.Config{URL: r.URL() + "/messages", Secret: []byte("s3cret")})
		if err != nil {
			t.Fatal(err)
		}
		return channeltest.NoteRig{
			Notifier: c, To: "+12175550142", Bad: []string{"5550142", "nora@home.example", "+1217555014x"},
			Got: func() (out []channeltest.Receipt) {
				for _, q := range r.Requests() {
					var b sms.Body
					if err := json.Unmarshal(q.Body, &b); err != nil {
						t.Fatal(err)
					}
					if q.Header.Get("Idempotency-Key") != b.ID || q.Header.Get("Coldkeep-Signature") == "" || b.To != "+12175550142" {
						t.Errorf("%+v %+v", q.Header, b)
					}
					out = append(out, channeltest.Receipt{ID: b.ID, Text: b.Text})
				}
				return out
			},
			Away: r.Down, Busy: func() { r.Next(httpfake.Status(http.StatusServiceUnavailable)) }, Refuse: func() { r.Next(httpfake.Status(http.StatusBadRequest)) }, Lose: func() { r.Next(httpfake.LoseAnswer) },
		}
	})
}

func TestGatewayIsAURL(t *testing.T) {
	for _, bad := range []string{"", "gateway", "ftp://gateway/"} {
		if _, err := sms.New(sms.Config{URL: bad}); err == nil {
			t.Error(bad)
		}
	}
}
