package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Client asks a collector in another process.
type Client struct {
	BaseURL string
	Token   string
	HTTP    *http.Client // nil uses one with sensible time-outs
}

var defaultHTTP = &http.Client{Timeout: 30 * time.Second}

func (c *Client) get(ctx context.Context, hc *http.Client, path string, q url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.BaseURL, "/")+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "api.Client", "collector URL %q", c.BaseURL)
	}
	return c.do(hc, req)
}

func (c *Client) do(hc *http.Client, req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := hc.Do(req)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "api.Client", "the collector does not answer")
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // the answer is an error already
	var p struct{ Code, Detail string }
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a part will do for the message
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		p.Code, p.Detail = coldkeep.EUNAVAILABLE, "the collector answered "+resp.Status
	}
	return nil, coldkeep.Errorf(p.Code, "%s", p.Detail)
}

// Buckets asks for an appliance's downsampled readings; see Reader.Buckets.
func (c *Client) Buckets(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error) {
	hc := c.HTTP
	if hc == nil {
		hc = defaultHTTP
	}
	resp, err := c.get(ctx, hc, "/api/v1/readings", url.Values{"appliance": {string(a)}, "from": {from.UTC().Format(time.RFC3339Nano)},
		"to": {to.UTC().Format(time.RFC3339Nano)}, "buckets": {strconv.Itoa(n)}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	var out struct{ Buckets []coldkeep.Bucket }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "api.Client.Buckets", "the collector's answer is not readable")
	}
	return out.Buckets, nil
}

// reconnectLive is the wait before a broken event stream is opened again.
const reconnectLive = 2 * time.Second

// Subscribe listens to the collector's live events until ctx ends, connecting
// again whenever the stream breaks; then the channel is closed.
func (c *Client) Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent {
	out := make(chan coldkeep.LiveEvent, 64)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			c.stream(ctx, out)
			_ = coldkeep.RealClock{}.Sleep(ctx, reconnectLive) // the loop sees an end
		}
	}()
	return out
}

func (c *Client) stream(ctx context.Context, out chan<- coldkeep.LiveEvent) {
	hc := c.HTTP
	if hc == nil {
		hc = &http.Client{} // a stream has no overall time-out
	}
	resp, err := c.get(ctx, hc, "/api/v1/live", nil)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }() // it has ended
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var ev coldkeep.LiveEvent
		if !ok || json.Unmarshal([]byte(data), &ev) != nil {
			continue
		}
		select {
		case out <- ev:
		case <-ctx.Done():
			return
		default: // the listener is slow; the next event will tell it the same
		}
	}
}
