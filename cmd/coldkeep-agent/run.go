package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/firmware/claim"
	"github.com/coldkeep/coldkeep/firmware/devicekey"
	"github.com/coldkeep/coldkeep/firmware/sampler"
	"github.com/coldkeep/coldkeep/firmware/systemd"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/board"
	"github.com/coldkeep/coldkeep/sensors/mqttsource"
	"github.com/coldkeep/coldkeep/sensors/sim"
	"github.com/coldkeep/coldkeep/sensors/trace"
	"github.com/coldkeep/coldkeep/sensors/w1"
)

// runCmd is `coldkeep-agent`, also `coldkeep-agent run`.
type runCmd struct {
	Claim string `help:"Registry to ask for this device's place, such as https://registry.example: the device shows a code, and runs once a technician has typed it there. Stands for --site, --agent, --broker and --password-file; what was once claimed needs none of them." placeholder:"URL" env:"COLDKEEP_CLAIM"`
	Site  string `help:"The clinic's id." placeholder:"SITE" env:"COLDKEEP_SITE"`
	Agent string `help:"This device's id." placeholder:"AGENT" env:"COLDKEEP_AGENT"`

	Broker       string `help:"Address of the collector's broker (tcp://127.0.0.1:1883 unless given or claimed)." placeholder:"URL" env:"COLDKEEP_BROKER"`
	Username     string `help:"User at the broker; SITE/AGENT unless given." placeholder:"USER" env:"COLDKEEP_USERNAME"`
	PasswordFile string `help:"File that holds the password." placeholder:"FILE" env:"COLDKEEP_PASSWORD_FILE"`
	CAFile       string `name:"ca-file" help:"Certificates (PEM) to trust for a TLS broker, and for the registry of --claim, in place of the system's." placeholder:"FILE" env:"COLDKEEP_CA_FILE"`

	CertFile string `help:"Certificate (PEM) by which this device proves itself to a TLS broker; read anew for each connection." placeholder:"FILE" env:"COLDKEEP_CERT_FILE"`
	KeyFile  string `help:"Private key (PEM) of --cert-file." placeholder:"FILE" env:"COLDKEEP_KEY_FILE"`

	Data     string        `help:"Folder of the outbox (${default})." default:"/var/lib/coldkeep-agent" placeholder:"DIR" env:"COLDKEEP_DATA"`
	Driver   string        `help:"Where readings come from: w1 (1-Wire probes, and those that --probe names), wired (only those that --probe names), mqtt (only those of --sensor-broker), sim (a simulated appliance) or trace (a recorded log)." enum:"w1,wired,mqtt,sim,trace" default:"w1" env:"COLDKEEP_DRIVER"`
	Interval time.Duration `help:"Time between samples, until the collector configures another." default:"60s" env:"COLDKEEP_INTERVAL"`

	SampleEvery time.Duration `help:"Sample this often and record at each interval, with the extremes in between; 0 records every sample." default:"0s" env:"COLDKEEP_SAMPLE_EVERY"`

	ExitWhenDone bool `help:"With a trace: exit once all of it is acknowledged." env:"COLDKEEP_EXIT_WHEN_DONE"`

	W1Root string `name:"w1-root" help:"Where the kernel shows 1-Wire devices (${default})." default:"${w1root}" placeholder:"DIR" env:"COLDKEEP_W1_ROOT"`

	Probe    []string `help:"A chip on an I2C bus or SPI port: CHIP@BUS:ADDRESS, such as tmp117@/dev/i2c-1:0x48, mcp9808@/dev/i2c-1:0x70.3:0x18 (behind a PCA9548), ds18b20@/dev/i2c-1:0x19 (all behind a DS2482) or max31865@/dev/spidev0.0,rtd=pt1000; ',name=NAME' names it. May be given several times; 'coldkeep-agent probes' lists what is there." sep:";" placeholder:"SPEC" env:"COLDKEEP_PROBES"`
	Buffered []string `help:"Probes that stand in a thermal buffer (glycol, beads), by name, or 'all': the gate then refuses leaps." placeholder:"PROBE" env:"COLDKEEP_BUFFERED"`

	Trace      string  `help:"Recorded log to play: CSV with time (RFC 3339), celsius, probe." placeholder:"FILE" env:"COLDKEEP_TRACE"`
	TraceSpeed float64 `help:"How many times as fast as recorded; 0 is as fast as possible." default:"1" env:"COLDKEEP_TRACE_SPEED"`

	SimUnit      string        `help:"Simulated appliance: refrigerator, freezer or ultra-cold." enum:"refrigerator,freezer,ultra-cold" default:"refrigerator" env:"COLDKEEP_SIM_UNIT"`
	SimSeed      uint64        `help:"Seed of the simulation." default:"1" env:"COLDKEEP_SIM_SEED"`
	SimHistory   time.Duration `help:"How much of the past the simulation fills in first." default:"0s" env:"COLDKEEP_SIM_HISTORY"`
	SimBreakdown time.Time     `help:"When the simulated compressor fails with the door ajar (RFC 3339)." placeholder:"TIME" env:"COLDKEEP_SIM_BREAKDOWN"`

	aroundFlags `embed:""`
	bringFlags  `embed:""`

	Updates releases `embed:""`

	IdentifyLED string `name:"identify-led" help:"LED that blinks on the identify command, such as /sys/class/leds/ACT." placeholder:"DIR" env:"COLDKEEP_IDENTIFY_LED"`
}

// Run is the agent until ctx ends.
func (c *runCmd) Run(ctx context.Context, log *slog.Logger) error {
	cfg := firmware.Config{
		Data: c.Data, Log: log, Version: programVersion(), ExitWhenDone: c.ExitWhenDone,
	}
	if c.Interval < time.Second || c.Interval > time.Hour {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--interval %v: want 1s to 1h", c.Interval)}
	}
	if c.ExitWhenDone && c.Driver != "trace" {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--exit-when-done: only a trace has an end, not --driver %s", c.Driver)}
	}
	if !(c.TraceSpeed >= 0 && c.TraceSpeed <= 1e6) {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--trace-speed %v: want 0 (as fast as possible) or up to 1000000", c.TraceSpeed)}
	}
	if c.Driver == "wired" && len(c.Probe) == 0 {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--driver wired needs at least one --probe")}
	}
	if c.SampleEvery != 0 && c.SampleEvery < time.Second {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--sample-every %v: want at least 1s", c.SampleEvery)}
	}
	if c.Driver == "mqtt" && c.SensorBroker == "" {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--driver mqtt needs --sensor-broker")}
	}
	mappings, err := c.mappings()
	if err != nil {
		return err
	}
	cfg.Report = c.Interval
	cfg.Identify = func() {
		cfg.Watch.Identify()
		if c.IdentifyLED != "" {
			go blink(ctx, log, c.IdentifyLED)
		}
	}
	chips, err := newBoard(c.Probe, log)
	if err != nil {
		return err
	}
	stopAround, err := c.around(ctx, &cfg, chips)
	if err != nil {
		return err
	}
	defer stopAround()
	switch c.Driver {
	case "trace":
		if c.Trace == "" {
			return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--driver trace needs --trace FILE")}
		}
		cfg.Source, cfg.TimeTrust = c.trace, wire.ClockNTP
	case "sim":
		cfg.Source, cfg.TimeTrust = c.sim, wire.ClockNTP
	default:
		cfg.Source = func(start firmware.Start) (sensors.Source, error) { return c.hardware(start, chips) }
	}
	if mappings != nil {
		cfg.Source = c.withBrought(&cfg, mappings)
	}
	tell(log, systemd.Ready) // also a device that waits to be claimed is up
	if err := lively(log, func() error { return c.place(ctx, &cfg) }); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before anybody claimed it
		}
		return err
	}
	cfg.Watch.SetPlace(string(cfg.Site) + "/" + string(cfg.Agent))

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := c.attend(ctx, &cfg, stop); err != nil {
		return err
	}
	log.Info("agent starts", "site", cfg.Site, "agent", cfg.Agent, "driver", c.Driver, "data", c.Data, "version", cfg.Version)
	if err := firmware.Run(ctx, cfg); err != nil {
		return asUsage(err)
	}
	log.Info("agent stops")
	return nil
}

// defaultBroker is that of a centre on this machine.
const defaultBroker = "tcp://127.0.0.1:1883"

// place finds out who this device is: by the flags, or by what was claimed.
func (c *runCmd) place(ctx context.Context, cfg *firmware.Config) (err error) {
	if cfg.TLS, err = c.tls(); err != nil {
		return err
	}
	if c.Site != "" || c.Agent != "" {
		if c.Claim != "" {
			return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--claim: --site and --agent are given too; which of them?")}
		}
		cfg.Site, cfg.Agent, cfg.Broker, cfg.Username = coldkeep.SiteID(c.Site), coldkeep.AgentID(c.Agent), cmp.Or(c.Broker, defaultBroker), c.Username
		cfg.Password, err = passwordFile("--password-file", c.PasswordFile)
		return err
	}
	p, err := claim.Load(c.Data, cfg.Log)
	if err != nil {
		return err
	}
	if p == nil {
		if c.Claim == "" {
			return usageError{coldkeep.Errorf(coldkeep.EINVALID, "who is this device? --site and --agent are missing, or --claim")}
		}
		if p, err = c.claim(ctx, cfg); err != nil {
			return err
		}
	}
	cfg.Site, cfg.Agent, cfg.Broker, cfg.Password, cfg.Username = p.Site, p.Agent, cmp.Or(c.Broker, p.Broker), p.Password, c.Username
	if cfg.Broker == "" {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "the registry named no broker to this device: --broker is missing")}
	}
	if p.CA != "" && c.CAFile == "" {
		cfg.TLS, err = c.trust([]byte(p.CA), "the certificates that the registry gave")
	}
	return err
}

// claim asks the registry for a place until there is one.
func (c *runCmd) claim(ctx context.Context, cfg *firmware.Config) (*claim.Place, error) {
	if _, err := claim.ParseRegistry(c.Claim); err != nil {
		return nil, usageError{fmt.Errorf("--claim: %w", err)}
	}
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "--data %s cannot be made", c.Data)
	}
	key, err := devicekey.Open(c.Data, cfg.Log)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = cfg.TLS
	return claim.Run(ctx, claim.Config{Registry: c.Claim, Data: c.Data, Key: key, Version: cfg.Version, Log: cfg.Log,
		Client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, Hardware: claim.ThisMachine(), Show: cfg.Watch.ShowCode})
}

// passwordFile reads a password file, "" without one. Its content never leaves this
// process but to the broker.
func passwordFile(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "%s %s cannot be read", flag, file)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%s %s is empty", flag, file)
	}
	return p, nil
}

// tls is what the command line says of TLS, nil for nothing.
func (c *runCmd) tls() (*tls.Config, error) {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, usageError{coldkeep.Errorf(coldkeep.EINVALID, "--cert-file and --key-file belong together")}
	}
	if c.CertFile != "" {
		if _, err := c.certificate(nil); err != nil {
			return nil, err
		}
	}
	switch {
	case c.CAFile != "":
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "--ca-file %s cannot be read", c.CAFile)
		}
		return c.trust(pem, "--ca-file "+c.CAFile)
	case c.CertFile != "":
		return &tls.Config{GetClientCertificate: c.certificate, MinVersion: tls.VersionTLS12}, nil
	}
	return nil, nil
}

// trust makes a TLS configuration that trusts the certificates of a text and no
// others.
func (c *runCmd) trust(pem []byte, where string) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%s: no certificate in PEM", where)
	}
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if c.CertFile != "" {
		cfg.GetClientCertificate = c.certificate
	}
	return cfg, nil
}

// certificate reads the device's certificate, which is renewed while the device runs.
func (c *runCmd) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	return &cert, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "--cert-file %s with --key-file %s cannot be used: %v", c.CertFile, c.KeyFile, err)
}

// interval is the collector's when it configured one.
func (c *runCmd) interval(start firmware.Start) time.Duration {
	if start.Interval > 0 {
		return start.Interval
	}
	return c.Interval
}

// newBoard makes a Board of the texts of --probe.
func newBoard(texts []string, log *slog.Logger) (*board.Board, error) {
	var specs []board.Spec
	for _, text := range texts {
		s, err := board.Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--probe: %w", err)}
		}
		specs = append(specs, s)
	}
	b, err := board.New(board.Config{Specs: specs, Log: log})
	return b, asUsage(err)
}

// hardware samples the 1-Wire probes and the chips. Without 1-Wire the chips are
// enough.
func (c *runCmd) hardware(start firmware.Start, chips *board.Board) (sensors.Source, error) {
	var scanners []sampler.Scanner
	wired := len(c.Probe) > 0
	if c.Driver != "wired" {
		bus := w1.New(c.W1Root)
		bus.Expect(start.Configured)
		found, err := bus.Scan(context.Background())
		switch {
		case err != nil && !wired:
			return nil, err
		case err != nil:
			start.Log.Warn("1-Wire is not there; only what --probe names is sampled", "root", c.W1Root)
		case len(found) == 0 && !wired:
			start.Log.Warn("no 1-Wire probe is there yet; looking again at every sample", "root", c.W1Root)
		}
		if err == nil {
			scanners = append(scanners, bus)
		}
	}
	if wired {
		scanners = append(scanners, chips)
	}
	return sampler.New(sampler.Config{Clock: start.Clock, Interval: c.interval(start), Every: c.SampleEvery, Scanner: sampler.Join(scanners...),
		Buffered: c.buffered, Log: start.Log})
}

// withBrought adds the sensors of a broker in the clinic to the source, or puts them in
// its place.
func (c *runCmd) withBrought(cfg *firmware.Config, mappings []*mqttsource.Mapping) func(firmware.Start) (sensors.Source, error) {
	own := cfg.Source
	return func(start firmware.Start) (sensors.Source, error) {
		id := fmt.Sprintf("coldkeep_%s_%s_sensors", cfg.Site, cfg.Agent)
		brought, err := c.bring(start, id, mappings)
		if err != nil || c.Driver == "mqtt" {
			return brought, err
		}
		src, err := own(start)
		if err != nil {
			return nil, err
		}
		return sensors.Together(src, brought), nil
	}
}

// buffered reports whether --buffered names a probe.
func (c *runCmd) buffered(p coldkeep.ProbeID) bool {
	return slices.Contains(c.Buffered, "all") || slices.Contains(c.Buffered, string(p))
}

func (c *runCmd) trace(start firmware.Start) (sensors.Source, error) {
	p, err := trace.Open(c.Trace, trace.PlayerConfig{Clock: start.Clock, Speed: c.TraceSpeed, Resume: start.Last,
		OnError: func(e *trace.RowError) { start.Log.Warn("row of the trace is left out", "err", e) }})
	if err != nil {
		// Not a matter of the command line, whatever is wrong with the file.
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "--trace: %v", err)
	}
	left, passed := p.Rows()
	start.Log.Info("trace opened", "file", c.Trace, "rows", left, "already_recorded", passed, "speed", c.TraceSpeed)
	if left == 0 {
		start.Log.Warn("trace has nothing that is not recorded already", "file", c.Trace, "data", c.Data)
	}
	return p, nil
}

func (c *runCmd) sim(start firmware.Start) (sensors.Source, error) {
	a := sim.Appliance{Probe: coldkeep.ProbeID("sim-" + c.SimUnit), Unit: coldkeep.Unit(c.SimUnit), Seed: c.SimSeed}
	if !c.SimBreakdown.IsZero() {
		a.Faults = sim.Breakdown(c.SimBreakdown)
	}
	return sim.New(sim.Config{Clock: start.Clock, Interval: c.interval(start), History: c.SimHistory, Resume: start.Last,
		Appliances: []sim.Appliance{a}})
}
