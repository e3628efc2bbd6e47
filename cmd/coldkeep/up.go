package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/ingest"
	"github.com/coldkeep/coldkeep/registry"
)

type upCmd struct {
	Demo  bool    `help:"Add a furnished clinic with simulated appliances."`
	Speed float64 `help:"Run the demo's clock this many times faster (default 120)." placeholder:"N"`
	Data  string  `help:"Folder for all data (default coldkeep-data; a demo without it leaves nothing behind)." placeholder:"DIR" env:"COLDKEEP_DATA"`
	HTTP  string  `help:"Address of the screens and the API." default:"127.0.0.1:8080" name:"http" env:"COLDKEEP_HTTP"`
	MQTT  string  `help:"Address of the embedded broker." default:"127.0.0.1:1883" name:"mqtt" env:"COLDKEEP_MQTT"`
	SFTP  string  `help:"Address of the HL7 intake over SFTP; empty serves none." default:"127.0.0.1:2022" name:"sftp" env:"COLDKEEP_SFTP"`

	CollectorDatabase string `help:"PostgreSQL URL for the collector's book, in place of SQLite." env:"COLDKEEP_COLLECTOR_DATABASE"`
	RegistryDatabase  string `help:"PostgreSQL URL for the registry, in place of SQLite." env:"COLDKEEP_REGISTRY_DATABASE"`

	SecureCookies bool     `help:"Mark cookies Secure: set it where people come by HTTPS." env:"COLDKEEP_SECURE_COOKIES"`
	TrustedOrigin []string `help:"Further origin whose pages may post forms, such as https://coldkeep.clinic.example." env:"COLDKEEP_TRUSTED_ORIGINS"`

	DeviceBroker string `help:"Broker address that devices are told when they are let in; by default the one here." env:"COLDKEEP_DEVICE_BROKER"`

	sftpFlags    `embed:""`
	signInFlags  `embed:""`
	codesFlags   `embed:""`
	mqttTLSFlags `embed:""`
	brokerFlags  `embed:""`
	storesFlags  `embed:""`
	keepFlags    `embed:""`
	mailFlags    `embed:""`
	smsFlags     `embed:""`
}

// demoSpeed makes an hour of the demo last half a minute: the broken refrigerator
// is out of range after a few seconds, and its lots are on hold 15 seconds later.
const demoSpeed = 120

// Run runs broker, collector, registry and screens in one process. The parts talk
// to each other as they would between processes: MQTT over TCP, HTTP, SQL files.
func (cmd *upCmd) Run(ctx context.Context, std streams, log *slog.Logger) (err error) {
	if cmd.Speed != 0 && !cmd.Demo {
		return coldkeep.Errorf(coldkeep.EINVALID, "--speed is the demo's: it needs --demo")
	}
	data, cleanup, err := cmd.folder()
	if err != nil {
		return err
	}
	defer cleanup()
	clock, err := cmd.clock(ctx, data)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", cmd.HTTP)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "up", "HTTP address %s cannot be listened on (--http names another)", cmd.HTTP)
	}
	defer func() { _ = ln.Close() }() // the server closes it first
	url := reachable(ln.Addr())

	// The registry and the collector ask each other, so one is made with a promise
	// of the other.
	late := &lateCollector{}
	collectorToken, err := keptSecret(filepath.Join(data, "registry-token"))
	if err != nil {
		return err
	}
	dbRegistry := cmd.RegistryDatabase
	if dbRegistry == "" {
		dbRegistry = filepath.Join(data, "registry.db")
	}
	cfg := registry.Config{Database: dbRegistry, Clock: clock, Log: log, CollectorToken: collectorToken,
		SecureCookies: cmd.SecureCookies, TrustedOrigins: cmd.TrustedOrigin, Readings: late, Inbox: late, Live: late,
		Devices: late, Latest: late, Verdicts: late, Channels: late, Broker: cmd.deviceBroker()}
	if err := cmd.signIn(&cfg, cmd.Demo); err != nil {
		return err
	}
	if err := families(&cfg, &cmd.smtpFlags, &cmd.smsFlags); err != nil {
		return err
	}
	if err := cmd.load(&cfg, log); err != nil {
		return err
	}
	if err := cmd.secrets(&cfg, filepath.Join(data, secretKeyFile)); err != nil {
		return err
	}
	reg, err := registry.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = reg.Close() }() // everything was committed

	from, mqtt, stopBroker, err := cmd.broker(ctx, reg, log)
	if err != nil {
		return err
	}
	defer stopBroker()
	apiToken, err := keptSecret(filepath.Join(data, "api-token"))
	if err != nil {
		return err
	}
	dbCollector := cmd.CollectorDatabase
	if dbCollector == "" {
		dbCollector = filepath.Join(data, "collector.db")
	}
	if cmd.ScreensURL == "" {
		cmd.ScreensURL = reachable(ln.Addr())
	}
	speed := 1.0
	if cmd.Demo {
		speed = cmd.speed()
	}
	col, err := openCollector(ctx, collectorConfig{Data: data, Database: dbCollector, Stores: cmd.storesFlags, KeepYears: cmd.KeepYears, Mail: cmd.mailFlags, Source: from, Speed: speed,
		RegistryURL: url, RegistryToken: collectorToken, APIToken: apiToken, Clock: clock, Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = col.Close() }() // everything was committed
	late.set(col)
	if in, ok := from.(*embedded); ok {
		known := col.client.Mirror
		in.known.Store(&known)
	}

	srv := newServer(log)
	srv.checks = append(col.checks(), check{name: "registry database", ask: reg.Ready})
	col.metrics(srv.metrics)
	srv.mux.Handle("/", reg.Handler())
	h, err := col.Handler()
	if err != nil {
		return err
	}
	for _, path := range collectorPaths {
		srv.mux.Handle(path, h)
	}

	files, err := cmd.openSFTP(cmd.SFTP, data, reg, std.err)
	if err != nil {
		return err
	}
	g, run := errgroup.WithContext(ctx)
	g.Go(func() error { return srv.serve(run, ln) })
	g.Go(func() error { return files.run(run) })
	g.Go(func() error { return col.Run(run) })
	var people []registry.DemoPerson
	if cmd.Demo {
		if people, err = cmd.startDemo(run, g, reg, data, mqtt, clock, std.err, log); err != nil {
			g.Go(func() error { return err }) // stops the others first
			return ended(ctx, g.Wait())
		}
	}
	cmd.announce(std, url, mqtt, data, people, files)
	return ended(ctx, g.Wait())
}

// deviceBroker is the address that new devices are told.
func (cmd *upCmd) deviceBroker() string {
	switch {
	case cmd.DeviceBroker != "":
		return cmd.DeviceBroker
	case cmd.Broker != "":
		return cmd.Broker
	case cmd.MQTTTLS != "":
		return "ssl://" + cmd.MQTTTLS
	}
	return "tcp://" + cmd.MQTT
}

// reachable is the URL by which this machine reaches a listener, also one on all
// addresses.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + a.String()
}

// folder is where the data goes. A demo that is told no folder gets one of its
// own, which goes with it.
func (cmd *upCmd) folder() (dir string, cleanup func(), err error) {
	cleanup = func() {}
	switch {
	case cmd.Data != "":
		dir = cmd.Data
	case cmd.Demo:
		if dir, err = os.MkdirTemp("", "coldkeep-demo-"); err != nil {
			return "", cleanup, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "up", "folder for the demo")
		}
		cleanup = func() { _ = os.RemoveAll(dir) } // it is a temporary folder
	default:
		dir = "coldkeep-data"
	}
	unlock, err := lockFolder(dir, "up")
	if err != nil {
		return "", cleanup, err
	}
	remove := cleanup
	return dir, func() { unlock(); remove() }, nil
}

// broker starts the embedded broker, or none when another one is named.
func (cmd *upCmd) broker(ctx context.Context, reg *registry.Registry, log *slog.Logger) (from source, addr string, stop func(), err error) {
	if cmd.Broker != "" {
		link, err := cmd.link(log)
		return link, cmd.Broker, func() {}, err
	}
	in := &embedded{}
	cfg := broker.Config{Addr: cmd.MQTT, Devices: registryDevices{ctx, reg}, Take: in.take, Log: log}
	if err := cmd.apply(&cfg, in.mirror); err != nil {
		return nil, "", nil, err
	}
	if in.Broker, err = broker.Start(cfg); err != nil {
		return nil, "", nil, err
	}
	return in, "tcp://" + in.Addr(), func() { _ = in.Close() }, nil // it holds nothing
}

// embedded is the broker in this process as a source.
type embedded struct {
	*broker.Broker
	known     atomic.Pointer[func() coldkeep.Mirror]
	handle    atomic.Pointer[func(context.Context, ingest.Message) error]
	connected []func()
}

// take hands a message to the intake. Before that runs nothing is taken, and devices
// send again.
func (e *embedded) take(ctx context.Context, topic string, payload []byte, retained bool) error {
	handle := e.handle.Load()
	if handle == nil {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the collector has not started")
	}
	return (*handle)(ctx, ingest.Message{Topic: topic, Payload: payload, Retained: retained})
}

// mirror is what the registry has said, once the collector is there.
func (e *embedded) mirror() coldkeep.Mirror {
	if known := e.known.Load(); known != nil {
		return (*known)()
	}
	return coldkeep.Mirror{}
}

// Run implements source.
func (e *embedded) Run(ctx context.Context, handle func(context.Context, ingest.Message) error) error {
	e.handle.Store(&handle)
	defer e.handle.Store(nil)
	for _, f := range e.connected {
		f()
	}
	<-ctx.Done()
	return nil
}

// Connected implements source.
func (e *embedded) Connected() bool { return e.handle.Load() != nil }

// OnConnect implements source.
func (e *embedded) OnConnect(f func()) { e.connected = append(e.connected, f) }

// SetSites implements source: one process has them all.
func (*embedded) SetSites([]coldkeep.SiteID) {}

// registryDevices lets the embedded broker ask the registry in this process.
type registryDevices struct {
	ctx context.Context // of the process
	*registry.Registry
}

// CheckDevice implements broker.Devices.
func (d registryDevices) CheckDevice(username, password string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	return d.Registry.CheckDevice(d.ctx, username, password)
}

// announce tells people where to go, and a program that reads stdout the same.
func (cmd *upCmd) announce(std streams, url, mqtt, data string, people []registry.DemoPerson, files *intake) {
	fmt.Fprintf(std.err, "\nColdkeep is up: %s\nMQTT broker: %s\nData: %s\n", url, mqtt, data)
	files.announce(std.err)
	if cmd.Demo {
		printPeople(std.err, people)
		fmt.Fprintf(std.err, "The demo's clock runs %g times as fast as yours. In a few seconds Refrigerator 2 at Lakeside\nwarms up; half a minute later its alert is on screen and its lots are on hold.\n\n", cmd.speed())
	} else {
		fmt.Fprintln(std.err, "On a first start, open it in a browser and make the first administrator.")
	}
	if f, ok := std.out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return // a person looks, and has been told
		}
	}
	type person struct {
		Name     string `json:"name"`
		Username string `json:"username"`
		Password string `json:"password"`
		Role     string `json:"role"`
	}
	ready := struct {
		Event  string   `json:"event"`
		HTTP   string   `json:"http"`
		MQTT   string   `json:"mqtt"`
		SFTP   string   `json:"sftp,omitempty"`
		Data   string   `json:"data"`
		People []person `json:"people,omitempty"`
	}{Event: "ready", HTTP: url, MQTT: mqtt, SFTP: files.address(), Data: data}
	for _, p := range people {
		ready.People = append(ready.People, person{p.Name, p.Username, p.Password, p.Role})
	}
	_ = json.NewEncoder(std.out).Encode(ready) // nobody may be reading
}
