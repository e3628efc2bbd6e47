// Package sms hands short notes to a carrier's gateway, by a JSON POST.
//
// # Format, version 1
//
// One request an attempt, Content-Type application/json, with the headers of package
// webhook: Idempotency-Key, the note's id and the same on every attempt, and
// Coldkeep-Signature when a secret is set. The body is
//
//	{"version": 1, "id": "01J…", "to": "+12175550142", "from": "Lakeside Family Clinic", "text": "…", "at": "2026-08-18T15:02:02Z"}
//
// Any 2xx answer is a receipt. 408, 425, 429 and 5xx are tried again; any other answer is a
// refusal. A connection that breaks after the request was written leaves the note unsure.
package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
)

// Config sets a Channel up.
type Config struct {
	URL     string        // of the gateway
	Secret  []byte        // signs the bodies; none: no signature
	Timeout time.Duration // of one attempt; 10 s when zero
}

// Channel is the channel of text messages.
type Channel struct {
	cfg    Config
	client *http.Client
}

var _ channel.Notifier = (*Channel)(nil)

// New returns a channel. EINVALID when the URL is none of http or https.
func New(cfg Config) (*Channel, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "text messages: the gateway is not an http or https URL")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	// A redirect would be another address that the numbers go to.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Channel{cfg, &http.Client{Timeout: cfg.Timeout, CheckRedirect: stay}}, nil
}

// Name is "sms".
func (c *Channel) Name() string { return channel.SMS }

// Body is the format, version 1. See the package's comment.
type Body struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	To      string    `json:"to"`
	From    string    `json:"from,omitempty"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

var number = regexp.MustCompile(`^\+[0-9]{7,15}$`) // ITU-T E.164

// Notify posts a note to the gateway. See channel.Notifier.
func (c *Channel) Notify(ctx context.Context, n channel.Note) (channel.Outcome, error) {
	if !number.MatchString(n.To) {
		return channel.Refused, errors.New("the target is not a telephone number")
	}
	body, err := json.Marshal(Body{Version: 1, ID: n.ID, To: n.To, From: n.From, Text: n.Text, At: n.At})
	if err != nil {
		return channel.Refused, fmt.Errorf("the note cannot be written as JSON: %w", err)
	}
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return channel.Refused, errors.New("no request can be made to the gateway")
	}
	req.GetBody = nil // the HTTP client must not send it again by itself
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "coldkeep")
	req.Header.Set("Idempotency-Key", n.ID)
	if len(c.cfg.Secret) > 0 {
		req.Header.Set(webhook.SignatureHeader, webhook.Sign(c.cfg.Secret, time.Now(), body))
	}
	res, err := c.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address stays out of it
		}
		if written.Load() {
			return channel.Unsure, fmt.Errorf("the gateway was given it and its answer was lost: %w", err)
		}
		return channel.Later, err
	}
	defer func() { _ = res.Body.Close() }()                      // only read from
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // the status has been read
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return channel.Taken, nil
	case s == http.StatusRequestTimeout || s == http.StatusTooEarly || s == http.StatusTooManyRequests || s >= 500:
		return channel.Later, fmt.Errorf("the gateway answers %d %s", s, http.StatusText(s))
	default:
		return channel.Refused, fmt.Errorf("the gateway refuses with %d %s", s, http.StatusText(s))
	}
}
