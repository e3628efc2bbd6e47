// Package firmware is what runs on a Coldkeep device: samples come from a source,
// pass the gate, are calibrated and written into the outbox, and the uplink carries
// the outbox to the collector.
//
//	source ──► gate ──► calibration ──► outbox ──► uplink ══ MQTT
//
// Run joins the parts; each is a package below this one or below sensors.
package firmware

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/devicekey"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/firmware/uplink"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// Config is what a device is told at its start.
type Config struct {
	Site  coldkeep.SiteID
	Agent coldkeep.AgentID

	Broker   string      // such as "tcp://127.0.0.1:1883"
	Username string      // "" is "{site}/{agent}"
	Password string      // never logged
	TLS      *tls.Config // for the TLS schemes; nil is the system's roots

	// Data is the folder of the outbox and the device's key. It is made when it is not there.
	Data string

	Clock   coldkeep.Clock // tells the sample times; nil is the machine's
	Log     *slog.Logger
	Version string // of the program, for the status

	// Source makes the source of samples, once the outbox is open. A source may
	// also have the methods SetInterval(time.Duration), SampleNow() and Probes()
	// []sensors.Info, which configuration, command and status then use.
	Source func(Start) (sensors.Source, error)

	// Report is how often a sample that is Thin is recorded until the collector configures
	// an interval; 0 is a minute.
	Report time.Duration

	// TimeTrust is the "clock" of the records: wire.ClockNTP, ClockRTC or
	// ClockUnsynced. "" asks the kernel whether the machine's clock is disciplined. A
	// simulation and a recorded log say ClockNTP: the one shares the clock of the
	// collector that judges it, the other's times are taken at their word.
	TimeTrust string

	// Identify makes the device show itself to who stands before it; it must not
	// block. nil leaves it to the log.
	Identify func()

	// Watch is the device's own view, for a display, a page and a buzzer; nil is one that
	// nobody looks at. Run fills it from the outbox and keeps it up to date.
	Watch *watch.Watch

	// Inputs run beside the source until ctx ends: contacts of doors and mains, a fuel
	// gauge. What happens they tell as events, which are on disk when tell returns; its
	// error is that of the outbox, and theirs to try again.
	Inputs []Input

	// Alive hears, every AliveEvery, that the source goes on and the outbox answers; while
	// one of them does not it hears nothing. nil is nobody.
	Alive      func()
	AliveEvery time.Duration

	// Healthy hears, once in a run, that the collector has acknowledged a reading of it;
	// it must not block for long. nil is nobody.
	Healthy func()

	// Update looks for a new release of the program, on the collector's command; it must
	// not block. nil leaves it to the log.
	Update func()

	// ExitWhenDone makes Run return nil once the source has ended and everything is
	// acknowledged. Otherwise Run goes on delivering until ctx ends.
	ExitWhenDone bool

	ResendAfter time.Duration // see uplink.Config; 0 is its default

	keeper timekeeper // nil is the operating system; tests give another
}

// Input watches something around the fridge; see Config.Inputs.
type Input func(ctx context.Context, tell Tell)

// Tell records an event of now, of a probe or, with "", of the device.
type Tell func(ctx context.Context, probe coldkeep.ProbeID, event, detail string) error

// Start is what a source may need to go on where it was.
type Start struct {
	// Last is the time of the latest recorded sample of each probe in this outbox.
	Last map[coldkeep.ProbeID]time.Time
	// Configured are the probes that the collector configured last: those that stand in an
	// appliance. One of them that is not there is to be recorded as missing.
	Configured []coldkeep.ProbeID
	// Interval is what the collector configured last; 0 when it never did.
	Interval time.Duration
	Clock    coldkeep.Clock
	Log      *slog.Logger
}

// outboxFile is the name of the outbox in Config.Data.
const outboxFile = "outbox.db"

// LastRecorded returns the time of the latest reading that an agent with this data
// folder has recorded; zero when there is none. No agent may be running on it. A
// simulation's clock has to start behind it.
func LastRecorded(ctx context.Context, data string) (time.Time, error) {
	return outbox.LastRecorded(ctx, filepath.Join(data, outboxFile))
}

// Run is the device. It returns nil when ctx ends, or when ExitWhenDone is met.
// Wrong configuration is EINVALID; an outbox that cannot be opened or written, or
// a source that fails, is returned as it is. An absent broker is no error.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o750); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "firmware.Run", "data folder %s cannot be made", cfg.Data)
	}
	key, err := devicekey.Open(cfg.Data, cfg.Log)
	if err != nil {
		return err
	}
	box, err := outbox.Open(ctx, outbox.Config{Path: filepath.Join(cfg.Data, outboxFile),
		Site: cfg.Site, Agent: cfg.Agent, Clock: cfg.Clock, Log: cfg.Log, Key: key})
	if err != nil {
		return err
	}
	defer func() {
		if err := box.Close(); err != nil {
			cfg.Log.Error("outbox cannot be closed", "err", err)
		}
	}()
	dev, err := newDevice(ctx, cfg, box)
	if err != nil {
		return err
	}
	return dev.run(ctx)
}

// ParseBroker checks the address of a broker; see uplink.ParseBroker.
func ParseBroker(s string) (*url.URL, error) { return uplink.ParseBroker(s) }

func (cfg *Config) complete() error {
	if !wire.ValidName(string(cfg.Site)) || !wire.ValidName(string(cfg.Agent)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "site %q, agent %q: want [a-z0-9-], 1 to 64 of them", cfg.Site, cfg.Agent)
	}
	if _, err := uplink.ParseBroker(cfg.Broker); err != nil {
		return err
	}
	if cfg.Data == "" || cfg.Source == nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "a data folder and a source are needed")
	}
	switch cfg.TimeTrust {
	case "", wire.ClockNTP, wire.ClockRTC, wire.ClockUnsynced:
	default:
		return coldkeep.Errorf(coldkeep.EINVALID, "time trust %q: want ntp, rtc or unsynced", cfg.TimeTrust)
	}
	if cfg.Username == "" {
		cfg.Username = fmt.Sprintf("%s/%s", cfg.Site, cfg.Agent)
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
