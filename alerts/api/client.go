package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// maxAnswer bounds what the client reads of an answer.
const maxAnswer = 64 << 20

// Client lists and answers the alerts of a collector in another process.
type Client struct {
	base  string
	token string
	http  *http.Client
}

var _ Alerts = (*Client)(nil)

// NewClient returns a client of the service at baseURL, such as
// "http://127.0.0.1:8080". An address that is not http or https is EINVALID.
func NewClient(baseURL, token string) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the collector's address %q is not an http or https URL", baseURL)
	}
	return &Client{
		base: strings.TrimRight(baseURL, "/"), token: token,
		http: &http.Client{
			Timeout: 15 * time.Second,
			// A redirect would carry the token along or turn the POST into a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Alerts lists alerts as alerts.Service does. A collector that does not answer is
// EUNAVAILABLE, one that does not know the token EUNAUTHORIZED.
func (c *Client) Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	q := url.Values{"open": {strconv.FormatBool(onlyOpen)}}
	if site != "" {
		q.Set("site", string(site))
	}
	body, err := c.do(ctx, http.MethodGet, "/api/v1/alerts?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var list []coldkeep.Alert
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Client", "the collector's answer is not readable")
	}
	return list, nil
}

// Channels names the channels that are set up at the collector. Errors as Alerts.
func (c *Client) Channels(ctx context.Context) ([]string, error) {
	body, err := c.do(ctx, http.MethodGet, "/api/v1/alerts/channels", nil)
	if err != nil {
		return nil, err
	}
	var said channels
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Client", "the collector's answer is not readable")
	}
	return said.Channels, nil
}

// Acknowledge sends a person's answer. It gives the codes of alerts.Service's
// Acknowledge, and those of Alerts when the collector cannot be reached.
func (c *Client) Acknowledge(ctx context.Context, id, person, note string) error {
	if id == "" {
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no alert %q", id)
	}
	body, err := json.Marshal(answer{Person: person, Note: note})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "alerts.Client", "the answer cannot be written as JSON")
	}
	_, err = c.do(ctx, http.MethodPost, "/api/v1/alerts/"+url.PathEscape(id)+"/acknowledge", body)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "alerts.Client", "request")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Client", "the collector does not answer")
	}
	defer func() { _ = res.Body.Close() }() // only read from
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Client", "the collector's answer broke off")
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return answer, nil
	}
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Code == "" {
		return nil, coldkeep.Wrap(errors.New(res.Status), coldkeep.EUNAVAILABLE, "alerts.Client", "the collector answers %d", res.StatusCode)
	}
	return nil, coldkeep.Errorf(p.Code, "%s", p.Detail)
}
