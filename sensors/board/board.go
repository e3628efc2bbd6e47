// Package board is the chips that are wired to the I2C buses and SPI ports of the
// machine: those that a configuration names, and those that a scan finds.
package board

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/sysfs"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/bmx280"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/ds18b20"
	"github.com/coldkeep/coldkeep/sensors/max31865"
	"github.com/coldkeep/coldkeep/sensors/mcp9808"
	"github.com/coldkeep/coldkeep/sensors/sht4x"
	"github.com/coldkeep/coldkeep/sensors/tmp102"
	"github.com/coldkeep/coldkeep/sensors/tmp105"
	"github.com/coldkeep/coldkeep/sensors/tmp117"
)

// Config says what is wired and how it is reached.
type Config struct {
	Specs []Spec
	Log   *slog.Logger

	// OpenI2C opens an I2C bus and OpenSPI an SPI port, by their numbers; nil is the
	// kernel's /dev/i2c-N and /dev/spidevN.M.
	OpenI2C func(bus int) (i2c.BusCloser, error)
	OpenSPI func(bus, cs int) (spi.PortCloser, error)
}

// Board is the chips of a configuration.
type Board struct {
	cfg    Config
	probes []sensors.Probe

	mu      sync.Mutex // guards what follows
	i2c     map[int]*chip.Line[i2c.Bus]
	bridges []*bridged
}

// bridged is a bridge and the probes found behind it.
type bridged struct {
	*ds18b20.Bridge
	spec     Spec
	found    []sensors.Probe
	searched time.Time
}

// How often a bridge is searched for probes, how often when it has none, and how
// long a scan waits for the search. One probe takes about a tenth of a second.
const (
	searchEvery = 5 * time.Minute
	searchNone  = 20 * time.Second
	searchWait  = 2 * time.Second
)

// New makes a Board. Nothing is opened before it is needed: a bus that is not there
// is found out by the first sample, and again by each. Two probes of one name, or
// on one place, are EINVALID.
func New(cfg Config) (*Board, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OpenI2C == nil {
		cfg.OpenI2C = func(bus int) (i2c.BusCloser, error) { return sysfs.NewI2C(bus) }
	}
	if cfg.OpenSPI == nil {
		cfg.OpenSPI = func(bus, cs int) (spi.PortCloser, error) { return sysfs.NewSPI(bus, cs) }
	}
	b := &Board{cfg: cfg, i2c: make(map[int]*chip.Line[i2c.Bus])}
	names, places := make(map[coldkeep.ProbeID]bool), make(map[string]bool)
	for _, s := range cfg.Specs {
		place := fmt.Sprint(s.Bus, ".", s.CS, s.Mux, s.Addr)
		if names[s.Name] || places[place] {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %q: its name or its place is another probe's too", s)
		}
		names[s.Name], places[place] = true, true
		if s.Chip == bridge {
			br, err := ds18b20.NewBridge(b.line(s.Bus), s.Mux, s.Addr)
			if err != nil {
				return nil, err
			}
			b.bridges = append(b.bridges, &bridged{Bridge: br, spec: s})
			continue
		}
		b.probes = append(b.probes, b.probe(s))
	}
	return b, nil
}

// Line gives the one line of an I2C bus, for what shares it with the probes, such as a
// display.
func (b *Board) Line(bus int) *chip.Line[i2c.Bus] { return b.line(bus) }

// line gives the one line of an I2C bus.
func (b *Board) line(bus int) *chip.Line[i2c.Bus] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.i2c[bus]; ok {
		return l
	}
	l := chip.NewLine(fmt.Sprintf("i2c-%d", bus), func() (i2c.Bus, func() error, error) {
		c, err := b.cfg.OpenI2C(bus)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range b.cfg.Specs {
			if s.Bus == bus && s.Mux.Addr != 0 {
				// Whoever was here before may have left its channels on. One that does not
				// answer says so when it is used.
				_ = c.Tx(s.Mux.Addr, []byte{0}, nil)
			}
		}
		return c, c.Close, nil
	})
	b.i2c[bus] = l
	return l
}

// probe makes the Probe of any chip but a bridge.
func (b *Board) probe(s Spec) sensors.Probe {
	info := sensors.Info{Probe: s.Name, Kind: s.Chip}
	if s.Chip == max31865.Kind {
		info.Traits = max31865.Traits
		line := chip.NewLine(fmt.Sprintf("spi-%d.%d", s.Bus, s.CS), func() (spi.Conn, func() error, error) {
			port, err := b.cfg.OpenSPI(s.Bus, s.CS)
			if err != nil {
				return nil, nil, err
			}
			c, err := port.Connect(max31865.Speed, max31865.Mode, 8)
			if err != nil {
				_ = port.Close() // it is of no use
				return nil, nil, err
			}
			return c, port.Close, nil
		})
		return chip.NewProbe(line, info, max31865.Reader(s.RTD))
	}
	var read chip.Read[i2c.Bus]
	switch s.Chip {
	case tmp117.Kind:
		info.Traits, read = tmp117.Traits, tmp117.Reader(s.Addr)
	case tmp105.Kind:
		info.Traits, read = tmp105.Traits, tmp105.Reader(s.Addr)
	case tmp102.Kind:
		info.Traits, read = tmp102.Traits, tmp102.Reader(s.Addr)
	case mcp9808.Kind:
		info.Traits, read = mcp9808.Traits, mcp9808.Reader(s.Addr)
	case bmx280.Kind:
		info.Traits, read = bmx280.Traits, bmx280.Reader(s.Addr)
	case sht4x.Kind:
		info.Traits, read = sht4x.Traits, sht4x.Reader(s.Addr)
	}
	return chip.NewProbe(b.line(s.Bus), info, chip.Over(s.Mux, read))
}

// Scan gives the probes of the configuration, whether they answer or not, and
// those that were found behind its bridges. A bridge that hangs holds it up for two
// seconds, once.
func (b *Board) Scan(ctx context.Context) ([]sensors.Probe, error) {
	all := append([]sensors.Probe(nil), b.probes...)
	for _, br := range b.bridges {
		b.search(ctx, br)
		b.mu.Lock()
		all = append(all, br.found...)
		b.mu.Unlock()
	}
	return all, nil
}

// search searches a bridge when it is time to.
func (b *Board) search(ctx context.Context, br *bridged) {
	b.mu.Lock()
	every := searchEvery
	if len(br.found) == 0 {
		every = searchNone
	}
	due := br.searched.IsZero() || time.Since(br.searched) >= every
	b.mu.Unlock()
	if !due {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(ctx, searchWait)
		defer cancel()
		found, free, err := br.Search(ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		if !free {
			return // in use, perhaps by a search that hangs: at the next scan
		}
		br.searched = time.Now()
		br.add(found)
		if err != nil {
			b.cfg.Log.Warn("1-Wire search broke off", "bridge", br.spec.String(), "found", len(br.found), "err", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(searchWait + searchWait/2):
	case <-ctx.Done():
	}
}

// add keeps the probes that are new.
func (br *bridged) add(found []sensors.Probe) {
	for _, p := range found {
		known := false
		for _, k := range br.found {
			known = known || k.String() == p.String()
		}
		if !known {
			br.found = append(br.found, p)
		}
	}
}
