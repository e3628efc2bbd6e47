// Package rest reaches a Coldkeep registry over HTTP with JSON.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registryclient/transport"
)

// maxAnswer bounds what is read of an answer; a mirror of a whole state fits.
const maxAnswer = 64 << 20

// Config says which registry.
type Config struct {
	BaseURL string        // "https://registry.example"
	Token   string        // of the interface account
	Timeout time.Duration // of one call; 15 s when zero
}

// Client is the transport.
type Client struct {
	base, token string
	timeout     time.Duration
	http        *http.Client
}

var _ transport.Transport = (*Client)(nil)

// New returns a client. An address that is not http or https, or a missing token,
// is EINVALID.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the registry's address %q is not an http or https URL", cfg.BaseURL)
	}
	if cfg.Token == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the registry's token is needed")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Second
	}
	return &Client{
		base: strings.TrimRight(cfg.BaseURL, "/"), token: cfg.Token, timeout: cfg.Timeout,
		http: &http.Client{
			// A redirect would carry the token along, or turn the POST into a GET whose
			// 200 says nothing.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Post sends one parcel. See transport.Transport.
func (c *Client) Post(ctx context.Context, path, key string, body []byte) (transport.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.call(ctx, http.MethodPost, path, key, body)
	if err != nil {
		return transport.Answer{}, err
	}
	return r.judge()
}

// Mirror asks for a mirror newer than since and lets the registry wait for one. A
// nil mirror means that there is none. Credentials that the registry does not know
// are EUNAUTHORIZED or EFORBIDDEN; anything else that fails is EUNAVAILABLE.
func (c *Client) Mirror(ctx context.Context, since int64, wait time.Duration) (*coldkeep.Mirror, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+c.timeout)
	defer cancel()
	path := fmt.Sprintf("/api/v1/mirror?since=%d&wait=%d", since, int(wait/time.Second))
	r, err := c.call(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "rest.Mirror", "the registry does not answer")
	}
	switch {
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		return nil, nil
	case r.status == http.StatusUnauthorized:
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "the registry does not know the token")
	case r.status == http.StatusForbidden:
		return nil, coldkeep.Errorf(coldkeep.EFORBIDDEN, "the registry does not let this account read the mirror")
	case r.status != http.StatusOK:
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the registry answers %s", r.explain())
	}
	var m coldkeep.Mirror
	if err := json.Unmarshal(r.said, &m); err != nil || !r.is("application/json") {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "something that is not a registry answers with %q", r.header.Get("Content-Type"))
	}
	// A registry in which nothing has been set up has revision 0.
	if m.Revision < 1 || m.Revision == since {
		return nil, nil
	}
	return &m, nil
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	said   []byte
}

func (c *Client) call(ctx context.Context, method, path, key string, body []byte) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("no request can be made")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "coldkeep")
	if key != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // only read from
	said, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(said) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return &reply{res.StatusCode, res.Header, said}, nil
}

// judge tells the registry's own word from that of something in its place. A
// clinic's network has proxies and sign-in pages that answer anything: only JSON is
// a receipt, and only a problem document is a refusal. What is neither has not
// reached the registry, and is sent again.
func (r *reply) judge() (transport.Answer, error) {
	status := r.status
	switch {
	case status >= 200 && status < 300:
		if len(r.said) > 0 && !r.is("application/json") {
			return transport.Answer{}, fmt.Errorf("something that is not a registry answers %d with %q", status, r.header.Get("Content-Type"))
		}
		return transport.Answer{Verdict: transport.Accepted, Body: r.said}, nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return transport.Answer{Verdict: transport.Unauthorized, Reason: r.explain()}, nil
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return transport.Answer{Verdict: transport.Busy, Reason: r.explain(), After: r.retryAfter()}, nil
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500:
		return transport.Answer{Verdict: transport.Busy, Reason: r.explain()}, nil
	// A proxy in between may refuse a body for its size; sending it again is no use.
	case status >= 400 && (r.is("application/problem+json") || status == http.StatusRequestEntityTooLarge):
		return transport.Answer{Verdict: transport.Refused, Reason: r.explain()}, nil
	}
	return transport.Answer{}, fmt.Errorf("something that is not a registry answers %s", r.explain())
}

// is reports whether the answer is of a media type.
func (r *reply) is(media string) bool {
	got, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	return err == nil && got == media
}

// explain gives the status and, from a problem document, its code and detail.
func (r *reply) explain() string {
	s := strconv.Itoa(r.status)
	var p struct {
		Code   string `json:"code"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(r.said, &p) != nil {
		return s + " " + http.StatusText(r.status)
	}
	for _, part := range []string{p.Code, p.Detail} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

// retryAfter reads seconds or an HTTP date; 0 when there is neither.
func (r *reply) retryAfter() time.Duration {
	v := r.header.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
