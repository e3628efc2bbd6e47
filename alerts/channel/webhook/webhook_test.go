package webhook_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/alerts/channel/channeltest"
	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
	"github.com/coldkeep/coldkeep/internal/httpfake"
	"github.com/coldkeep/coldkeep/internal/webhookfake"
)

var update = flag.Bool("update", false, "write the golden files")

func receiver(t *testing.T) *webhookfake.Receiver {
	t.Helper()
	r, err := webhookfake.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestContract(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Rig {
		r := receiver(t)
		return channeltest.Rig{
			Channel: webhook.New(webhook.Config{}),
			To:      r.URL() + "/hooks/s3cret",
			Bad:     []string{"mailto:a@b", "file:///etc/passwd", "http://", "::", "/relative"},
			Got: func() (out []channeltest.Receipt) {
				for _, q := range r.Requests() {
					var b webhook.Body
					if err := json.Unmarshal(q.Body, &b); err != nil {
						t.Error(err)
					}
					if b.ID != q.Header.Get("Idempotency-Key") {
						t.Errorf("key %q, id %q", q.Header.Get("Idempotency-Key"), b.ID)
					}
					out = append(out, channeltest.Receipt{ID: b.ID, Text: b.Text})
				}
				return out
			},
			Away:   r.Down,
			Back:   func() { mustUp(t, r) },
			Busy:   func() { r.Next(httpfake.Status(http.StatusTooManyRequests)) },
			Refuse: func() { r.Next(httpfake.Status(http.StatusGone)) },
			Hang:   func() func() { r.Next(httpfake.Hang); return func() {} },
			Lose:   func() { r.Next(httpfake.LoseAnswer) },
		}
	})
}

func mustUp(t *testing.T, r *webhookfake.Receiver) {
	t.Helper()
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		status    int
		ok, again bool
	}{
		{200, true, false}, {202, true, false}, {204, true, false},
		{400, false, false}, {401, false, false}, {404, false, false}, {409, false, false}, {410, false, false}, {422, false, false},
		{408, false, true}, {425, false, true}, {429, false, true}, // the receiver asks to come again
		{500, false, true}, {502, false, true}, {503, false, true}, {504, false, true},
		{301, false, false}, {302, false, false}, {303, false, false}, // would turn the POST into a GET whose 200 says nothing
		{307, false, false}, // without a Location there is nothing to follow
	} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			r := receiver(t)
			headers := []string{"Location", "/elsewhere"}
			if c.status == 307 {
				headers = nil
			}
			r.Next(httpfake.Status(c.status, headers...))
			m := channeltest.Example()
			m.To = r.URL()
			again, err := webhook.New(webhook.Config{}).Send(t.Context(), m)
			if (err == nil) != c.ok || again != c.again {
				t.Fatalf("retryable %v, %v", again, err)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	m := channeltest.Example()
	t.Run("on the same host a POST is followed", func(t *testing.T) {
		r := receiver(t)
		r.Next(httpfake.Status(http.StatusTemporaryRedirect, "Location", "/moved"))
		m.To = r.URL() + "/first"
		if _, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := r.Requests()
		if len(got) != 1 || got[0].Path != "/moved" || !json.Valid(got[0].Body) {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("to another host it is not", func(t *testing.T) {
		r, other := receiver(t), receiver(t)
		r.Next(httpfake.Status(http.StatusTemporaryRedirect, "Location", other.URL()+"/collect"))
		m.To = r.URL()
		if again, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err == nil || again {
			t.Fatalf("retryable %v, %v", again, err)
		}
		if other.Served() != 0 {
			t.Fatal("the other host was asked")
		}
	})
	t.Run("nor in circles", func(t *testing.T) {
		r := receiver(t)
		r.Choose(func(*http.Request) httpfake.Fault {
			return httpfake.Status(http.StatusPermanentRedirect, "Location", "/again")
		})
		m.To = r.URL()
		if _, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err == nil || r.Served() > 4 {
			t.Fatalf("%d requests, %v", r.Served(), err)
		}
	})
}

func TestSignature(t *testing.T) {
	r, secret := receiver(t), []byte("shared")
	m := channeltest.Example()
	m.To = r.URL()
	if _, err := webhook.New(webhook.Config{Secret: secret}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := r.Requests()
	stamp, _, _ := strings.Cut(strings.TrimPrefix(got[0].Header.Get(webhook.SignatureHeader), "t="), ",")
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(sec, 0)) > time.Minute {
		t.Fatalf("stamp %q, %v", stamp, err)
	}
	if want := webhook.Sign(secret, time.Unix(sec, 0), got[0].Body); want != got[0].Header.Get(webhook.SignatureHeader) {
		t.Errorf("signature %q, want %q", got[0].Header.Get(webhook.SignatureHeader), want)
	}
	if s := got[1].Header.Get(webhook.SignatureHeader); s != "" {
		t.Errorf("signature %q without a secret", s)
	}
}

// What is no temperature has null for one, and a device's fault names the device.
func TestFormatOfSilenceAndFaults(t *testing.T) {
	r := receiver(t)
	m := channeltest.Example()
	m.To = r.URL()
	x := &m.Alert.Excursion
	x.Kind, x.Rule, x.Extreme, x.Appliance, x.Probe, m.Alert.Appliance, m.Appliance = coldkeep.DeviceFault, "", coldkeep.NoTemperature, "", "north/pi", "", coldkeep.Appliance{}
	m.Also = []alerts.Also{{Alert: "01J", Kind: coldkeep.NoData, Start: x.Start}}
	if _, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	body := string(r.Requests()[0].Body)
	for _, want := range []string{`"device":"pi"`, `"kind":"device-fault"`, `"extreme_c":null`, `"appliance":{"id":""}`, `"also":[{"alert":"01J","kind":"no-data","start":"2026-08-17T19:58:27Z"}]`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}

// The format is public: a change of this file is a change for every receiver.
func TestFormat(t *testing.T) {
	r := receiver(t)
	m := channeltest.Example()
	m.To = r.URL()
	if _, err := webhook.New(webhook.Config{}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(r.Requests()[0].Body, &v); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/v1.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
