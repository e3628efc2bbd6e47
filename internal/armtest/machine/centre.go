package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// The device of the demo that has no simulation of its own, and the freezer that its
// probe stands in.
const (
	site      = "lakeside"
	agent     = "recorder"
	probe     = "T0"
	appliance = "lakeside-recorded"
)

// The steps: as it should be, above the freezer's range (-50 to -15 °C), and above
// 0 °C, where the CDC profile calls a person and holds the lots at once.
const (
	cold   coldkeep.Temperature = -20_000
	warmer coldkeep.Temperature = -10_000
	thawed coldkeep.Temperature = 4_000
)

// step is the least that the thermometer tells apart: 0.0625 °C.
const step = 63

// centre is `coldkeep up` with the demo's clinics, on the time of day.
type centre struct {
	*servers.Process
	data, url, mqtt string
}

func startCentre(ctx context.Context, work string) (*centre, error) {
	bin := filepath.Join(work, "coldkeep")
	if _, err := command(ctx, ".", "go", "build", "-o", bin, "github.com/coldkeep/coldkeep/cmd/coldkeep"); err != nil {
		return nil, err
	}
	web, err := servers.FreeAddr()
	if err != nil {
		return nil, err
	}
	mqtt, err := servers.FreeAddr()
	if err != nil {
		return nil, err
	}
	c := &centre{data: filepath.Join(work, "centre"), url: "http://" + web, mqtt: "tcp://" + mqtt}
	c.Process = &servers.Process{Name: "coldkeep", Args: []string{bin, "up", "--demo", "--speed", "1", "--data", c.data, "--http", web, "--mqtt", mqtt}}
	if err := c.Start(); err != nil {
		return nil, err
	}
	err = servers.Until(ctx, time.Minute, func() error { return c.get(ctx, "/readyz", "", func(io.Reader) error { return nil }) })
	if err != nil {
		c.Stop(syscall.SIGTERM)
		return nil, fmt.Errorf("the centre: %w\n%s", err, c.Log().Tail(2000))
	}
	return c, nil
}

// password is the file with the device's password.
func (c *centre) password() string {
	return filepath.Join(c.data, "devices", site+"_"+agent+".password")
}

// get asks the centre as the bearer of one of its secrets, by the secret's file.
func (c *centre) get(ctx context.Context, path, secret string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return err
	}
	if secret != "" {
		token, err := os.ReadFile(filepath.Join(c.data, secret))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, resp.Status)
	}
	return read(resp.Body)
}

// reading waits for a reading of the probe that is about c, good and with its time
// from a clock that was set, in the collector's export.
func (c *centre) reading(ctx context.Context, b *board, want coldkeep.Temperature) error {
	query := url.Values{"appliance": {appliance}, "from": {begun.UTC().Format(time.RFC3339)}, "to": {begun.Add(time.Hour).UTC().Format(time.RFC3339)}}
	return until(ctx, b, fmt.Sprintf("a reading of %v °C", want), func() error {
		return c.get(ctx, "/api/v1/readings.csv?"+query.Encode(), "api-token", func(r io.Reader) error {
			rows, err := csv.NewReader(r).ReadAll()
			if err != nil {
				return err
			}
			for _, row := range slices.Backward(rows) { // time, celsius, probe, quality, epoch, number
				got, err := coldkeep.ParseTemperature(row[1])
				if err == nil && row[2] == probe && row[3] == "" && got.Known() && got-want < step && want-got < step {
					say("the collector has a reading of %v °C, taken at %s", got, row[0])
					return nil
				}
			}
			return fmt.Errorf("not among %d: %q", len(rows)-1, rows[len(rows)-1])
		})
	})
}

// watch steps the temperature and follows what becomes of it.
func watch(ctx context.Context, b *board, c *centre) error {
	for _, t := range []coldkeep.Temperature{cold, warmer} {
		if err := b.set(t); err != nil {
			return err
		}
		if err := c.reading(ctx, b, t); err != nil {
			return err
		}
	}
	if err := c.alerted(ctx); !errors.Is(err, errNoAlert) {
		return fmt.Errorf("before 0 °C an alert was not due: %w", err)
	}
	if err := b.set(thawed); err != nil {
		return err
	}
	if err := c.reading(ctx, b, thawed); err != nil {
		return err
	}
	if err := until(ctx, b, "the excursion", func() error { return c.alerted(ctx) }); err != nil {
		return err
	}
	return until(ctx, b, "lots on hold", func() error { return c.held(ctx) })
}

var errNoAlert = errors.New("the freezer has no alert")

// alerted looks for the freezer's alert, which carries the excursion, and checks that
// it is the one that the thermometer went through.
func (c *centre) alerted(ctx context.Context) error {
	return c.get(ctx, "/api/v1/alerts?site="+site, "api-token", func(r io.Reader) error {
		var alerts []coldkeep.Alert
		if err := json.NewDecoder(r).Decode(&alerts); err != nil {
			return err
		}
		for _, a := range alerts {
			x := a.Excursion
			if a.Appliance != appliance || x.Kind != coldkeep.TooWarm {
				continue
			}
			if d := x.Extreme - thawed; d <= -step || d >= step || x.Probe != site+"/"+agent+"/"+probe || !x.PeakAt.After(x.Start) || !x.Has(coldkeep.ActionHold) {
				return fmt.Errorf("not the excursion that was made: %+v", x)
			}
			say("EXCURSION %s of %s: %s, rule %s, since %s, extreme %v °C at %s, actions %v", x.ID, a.Appliance, x.Kind, x.Rule,
				x.Start.UTC().Format(time.TimeOnly), x.Extreme, x.PeakAt.UTC().Format(time.TimeOnly), x.Actions)
			say("alert %s, %s", a.ID, a.State)
			return nil
		}
		return errNoAlert
	})
}

// held looks for lots that the registry holds because of it.
func (c *centre) held(ctx context.Context) error {
	return c.get(ctx, "/api/v1/mirror", "registry-token", func(r io.Reader) error {
		var m coldkeep.Mirror
		if err := json.NewDecoder(r).Decode(&m); err != nil {
			return err
		}
		n := 0
		for _, l := range m.LotsOnHold {
			if l.Appliance == appliance {
				say("on hold in the registry: lot %s, %s", l.Lot, l.Product)
				n++
			}
		}
		if n == 0 {
			return errors.New("the registry holds no lots of the freezer")
		}
		return nil
	})
}

// patience covers a report of the device, which is due each minute, on an emulated
// processor that takes twenty times as long.
const patience = 6 * time.Minute

// until asks each second, and gives up when the board has ended or its init has said
// that it failed.
func until(ctx context.Context, b *board, what string, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if strings.Contains(b.Log().Tail(2000), "init failed:") {
			return fmt.Errorf("%s: the board cannot go on: %w", what, err)
		}
		select {
		case <-tick.C:
		case <-b.Done():
			return fmt.Errorf("%s: the board has ended: %w", what, err)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
		}
	}
}
