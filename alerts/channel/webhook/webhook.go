// Package webhook tells alerts to a program by a JSON POST.
//
// # Format, version 1
//
// One request an attempt, Content-Type application/json, with the headers
//
//	Idempotency-Key       the delivery's id; the same on every attempt of the same delivery
//	Coldkeep-Signature    t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">, when a secret is set
//
// and the body
//
//	{
//	  "version": 1,
//	  "id": "01J…",                  // the delivery, as in Idempotency-Key
//	  "event": "raised",             // raised, repeated, resolved, reopened, withdrawn, acknowledged
//	  "telling": 1,                  // 1 for the first telling of this alert
//	  "at": "2026-08-18T01:02:02Z",  // when the telling was decided
//	  "title": "ALERT: …",           // one line for people
//	  "text": "…",                   // all of it for people, plain text
//	  "link": "https://…",           // the screen, absent when there is none
//	  "site": {"id": "clinic-1", "name": "…", "time_zone": "America/New_York"},
//	  "appliance": {"id": "freezer-1", "name": "…", "unit": "freezer"}, // id "" for a device's fault
//	  "device": "pi-1",              // of a device's fault only
//	  "also": [{"alert": "01J…", "kind": "no-data", "start": "…"}], // what else goes on in the unit, absent for nothing
//	  "alert": {                     // as GET /api/v1/alerts gives it
//	    "id": "01J…", "site": "…", "appliance": "…", "state": "open", "raised_at": "…",
//	    "acknowledged_at": null, "acknowledged_by": "…", "note": "…",
//	    "excursion": {"id": "…", "revision": 1, "kind": "too-warm", "extreme_c": -3.1, …} // extreme_c null for kinds that are no temperature
//	  }
//	}
//
// Fields may be added to version 1, so a receiver passes over what it does not know.
// A receiver may get the same delivery more than once and knows it by its id; an
// alert is known by alert.id. A telling that a target could not be given is
// superseded by the next about the same alert, so "resolved" may be the first that
// it hears of an alert.
//
// Any 2xx answer is a receipt. 408, 425, 429, 5xx and no answer are tried again;
// any other answer is a refusal. Redirects are followed on the same host only, and
// only those that keep the POST (307, 308).
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
)

// Version is the version of the body's format.
const Version = 1

// SignatureHeader carries the signature of a body.
const SignatureHeader = "Coldkeep-Signature"

// Config sets a Channel up.
type Config struct {
	Secret  []byte        // signs the bodies; none: no signature
	Timeout time.Duration // of one attempt; 10 s when zero
}

// Channel is the webhook channel.
type Channel struct {
	cfg    Config
	client *http.Client
}

var _ alerts.Channel = (*Channel)(nil)

// New returns a webhook channel.
func New(cfg Config) *Channel {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &Channel{cfg: cfg, client: &http.Client{Timeout: cfg.Timeout, CheckRedirect: sameHost}}
}

// Name is "webhook".
func (c *Channel) Name() string { return alerts.ChannelWebhook }

// sameHost follows a redirect only where it stays on the host, on a scheme at least
// as safe, and a POST. Otherwise the redirect itself is the answer, which is a
// refusal: alerts must not go where a receiver's page happens to point.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) >= 3 || req.Method != http.MethodPost || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// Body is the public format, version 1. See the package's comment.
type Body struct {
	Version   int            `json:"version"`
	ID        string         `json:"id"`
	Event     alerts.Event   `json:"event"`
	Telling   int            `json:"telling"`
	At        time.Time      `json:"at"`
	Title     string         `json:"title"`
	Text      string         `json:"text"`
	Link      string         `json:"link,omitempty"`
	Site      Site           `json:"site"`
	Appliance Appliance      `json:"appliance"`
	Device    string         `json:"device,omitempty"` // of a device's fault: the agent's name
	Also      []alerts.Also  `json:"also,omitempty"`   // what else goes on in the same unit
	Alert     coldkeep.Alert `json:"alert"`
}

// Site is the clinic's place in a Body.
type Site struct {
	ID       coldkeep.SiteID `json:"id"`
	Name     string          `json:"name,omitempty"`
	TimeZone string          `json:"time_zone,omitempty"`
}

// Appliance is the fridge or freezer in a Body.
type Appliance struct {
	ID   coldkeep.ApplianceID `json:"id"`
	Name string               `json:"name,omitempty"`
	Unit coldkeep.Unit        `json:"unit,omitempty"`
}

// Send posts m to the URL m.To. See alerts.Channel.
func (c *Channel) Send(ctx context.Context, m alerts.Message) (retryable bool, err error) {
	to, err := url.Parse(m.To)
	if err != nil || (to.Scheme != "http" && to.Scheme != "https") || to.Host == "" {
		return false, errors.New("the target is not an http or https URL")
	}
	body, err := json.Marshal(Body{
		Version: Version, ID: m.ID, Event: m.Event, Telling: m.Telling, At: m.At,
		Title: m.Title(), Text: m.Text(), Link: m.Link,
		Site:      Site{ID: m.Alert.Site, Name: m.Site.Name, TimeZone: m.Site.TimeZone},
		Appliance: Appliance{ID: m.Alert.Appliance, Name: m.Appliance.Name, Unit: m.Appliance.Unit},
		Device:    device(&m.Alert.Excursion), Also: m.Also,
		Alert: m.Alert,
	})
	if err != nil {
		return false, fmt.Errorf("the message cannot be written as JSON: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.To, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("no request can be made to the target")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "coldkeep")
	req.Header.Set("Idempotency-Key", m.ID)
	if len(c.cfg.Secret) > 0 {
		req.Header.Set(SignatureHeader, Sign(c.cfg.Secret, time.Now(), body))
	}
	res, err := c.client.Do(req)
	if err != nil {
		return true, bare(err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	// What is left unread would close the connection; what is endless is cut.
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // the status has been read
	return judge(res.StatusCode)
}

// device names the agent of a device's fault; other excursions are of a unit.
func device(x *coldkeep.Excursion) string {
	if x.Kind != coldkeep.DeviceFault {
		return ""
	}
	return x.Probe[strings.LastIndexByte(x.Probe, '/')+1:]
}

func judge(status int) (retryable bool, err error) {
	switch {
	case status >= 200 && status < 300:
		return false, nil
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500:
		return true, fmt.Errorf("it answers %d %s", status, http.StatusText(status))
	case status >= 300 && status < 400:
		return false, fmt.Errorf("it answers %d, a redirect that is not followed", status)
	}
	return false, fmt.Errorf("it refuses with %d %s", status, http.StatusText(status))
}

// bare takes the address out of an HTTP client's error: the path of a webhook is
// often its only secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Sign gives the signature header of a body sent at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
