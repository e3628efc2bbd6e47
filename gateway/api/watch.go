package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// answer writes what a call has given.
func answer[T any](a *API, c *gin.Context, v T, err error) {
	if err != nil {
		a.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, v)
}

func (a *API) devices(c *gin.Context) {
	list, err := a.Devices(c.Request.Context(), coldkeep.SiteID(c.Query("site")))
	answer(a, c, gin.H{"devices": list}, err)
}

func (a *API) latest(c *gin.Context) {
	s, err := parseSeries(c.Query("probe"))
	if err != nil {
		a.problem(c, err)
		return
	}
	r, err := a.Reader.Store.Latest(c.Request.Context(), s)
	answer(a, c, wireReading(&r), err)
}

func (a *API) verdicts(c *gin.Context) {
	list, err := a.Verdicts(c.Request.Context(), c.Query("excursion"))
	answer(a, c, gin.H{"verdicts": list}, err)
}

func (a *API) command(c *gin.Context) {
	var in struct {
		Site    coldkeep.SiteID  `json:"site"`
		Agent   coldkeep.AgentID `json:"agent"`
		Command string           `json:"command"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, 4<<10)).Decode(&in); err != nil {
		a.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "body: want {site, agent, command}"))
		return
	}
	answer(a, c, gin.H{"sent": in.Command}, a.Command(c.Request.Context(), in.Site, in.Agent, in.Command))
}

// parseSeries reads "site/agent/probe".
func parseSeries(s string) (coldkeep.Series, error) {
	p := strings.Split(s, "/")
	if len(p) != 3 || p[0] == "" || p[1] == "" || p[2] == "" {
		return coldkeep.Series{}, coldkeep.Errorf(coldkeep.EINVALID, "probe: %q is not site/agent/probe", s)
	}
	return coldkeep.Series{Site: coldkeep.SiteID(p[0]), Agent: coldkeep.AgentID(p[1]), Probe: coldkeep.ProbeID(p[2])}, nil
}

// readingJSON is a reading on its way.
type readingJSON struct {
	coldkeep.Series
	At      int64                `json:"at"` // ms since 1970-01-01 UTC
	Celsius coldkeep.Temperature `json:"celsius"`
	Quality coldkeep.Quality     `json:"quality,omitempty"`
	Epoch   string               `json:"epoch"`
	Seq     int64                `json:"seq"`
}

func wireReading(r *coldkeep.Reading) readingJSON {
	return readingJSON{r.Series, r.At, r.Celsius, r.Quality, r.Epoch, r.Seq}
}

// ask gets a JSON answer into out.
func (c *Client) ask(ctx context.Context, path string, q url.Values, out any) error {
	hc := c.HTTP
	if hc == nil {
		hc = defaultHTTP
	}
	resp, err := c.get(ctx, hc, path, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	return coldkeep.Wrap(json.NewDecoder(resp.Body).Decode(out), coldkeep.EUNAVAILABLE, "api.Client", "the collector's answer is not readable")
}

// Devices asks how a site's devices stand.
func (c *Client) Devices(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error) {
	var out struct{ Devices []coldkeep.DeviceHealth }
	err := c.ask(ctx, "/api/v1/watch/devices", url.Values{"site": {string(site)}}, &out)
	return out.Devices, err
}

// Latest asks for the last record of a probe, ENOTFOUND when there is none.
func (c *Client) Latest(ctx context.Context, s coldkeep.Series) (coldkeep.Reading, error) {
	var out readingJSON
	err := c.ask(ctx, "/api/v1/watch/latest", url.Values{"probe": {s.String()}}, &out)
	const none = coldkeep.NoTemperature
	return coldkeep.Reading{Series: out.Series, At: out.At, Celsius: out.Celsius, Raw: none, Lo: none, Hi: none, Quality: out.Quality, Epoch: out.Epoch, Seq: out.Seq}, err
}

// Verdicts asks what each profile says of the time of an excursion.
func (c *Client) Verdicts(ctx context.Context, excursion string) ([]coldkeep.Verdict, error) {
	var out struct{ Verdicts []coldkeep.Verdict }
	err := c.ask(ctx, "/api/v1/watch/verdicts", url.Values{"excursion": {excursion}}, &out)
	return out.Verdicts, err
}

// Command sends a device a command.
func (c *Client) Command(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, cmd string) error {
	hc := c.HTTP
	if hc == nil {
		hc = defaultHTTP
	}
	body, _ := json.Marshal(map[string]string{"site": string(site), "agent": string(agent), "command": cmd}) // strings always marshal
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.BaseURL, "/")+"/api/v1/watch/commands", bytes.NewReader(body))
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "api.Client", "collector URL %q", c.BaseURL)
	}
	resp, err := c.do(hc, req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
