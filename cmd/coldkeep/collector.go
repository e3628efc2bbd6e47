package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	alertsapi "github.com/coldkeep/coldkeep/alerts/api"
	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
	"github.com/coldkeep/coldkeep/gateway/api"
	"github.com/coldkeep/coldkeep/gateway/devices"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ingest"
	"github.com/coldkeep/coldkeep/gateway/judge"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/retention"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registryclient"
)

// storesFlags turn the collector's embedded stores to real ones.
type storesFlags struct {
	InfluxURL       string   `help:"InfluxDB (1.8 with Flux, or 2.x) for the readings, in place of the SQLite file." env:"COLDKEEP_INFLUX_URL"`
	InfluxTokenFile string   `help:"File with InfluxDB's token (2.x) or user:password (1.8)." env:"COLDKEEP_INFLUX_TOKEN_FILE"`
	InfluxOrg       string   `help:"InfluxDB organisation (2.x)." env:"COLDKEEP_INFLUX_ORG"`
	InfluxBucket    string   `help:"InfluxDB bucket, or database/retention-policy on 1.8." default:"coldkeep" env:"COLDKEEP_INFLUX_BUCKET"`
	SignedSites     []string `help:"Sites whose devices must sign: there a device is believed that it no longer has a record only under its seal. \"all\" is every site." env:"COLDKEEP_SIGNED_SITES"`

	InfluxGzip bool `help:"Compress writes to InfluxDB; worth it over a network." env:"COLDKEEP_INFLUX_GZIP"`
}

// keepFlags say for how long readings are kept.
type keepFlags struct {
	KeepYears int `help:"For how many years readings are kept, three or more; a profile that asks for longer counts. 0 keeps them for ever." env:"COLDKEEP_KEEP_YEARS"`
}

// Validate is called when the command line is read.
func (f *keepFlags) Validate() error {
	if f.KeepYears != 0 && f.KeepYears < readings.LeastYears {
		return coldkeep.Errorf(coldkeep.EINVALID, "--keep-years %d: no programme allows less than %d; 0 keeps readings for ever", f.KeepYears, readings.LeastYears)
	}
	return nil
}

// open opens the readings store, which keeps readings for some years at least.
func (f *storesFlags) open(ctx context.Context, data string, years int) (readings.Store, error) {
	if f.InfluxURL == "" {
		s, err := sqlite.Open(ctx, filepath.Join(data, "readings.db"))
		if err != nil {
			return nil, err // and no store that is not one
		}
		return s, nil
	}
	token, err := readSecret(f.InfluxTokenFile)
	if err != nil {
		return nil, err
	}
	s, err := influx.Open(influx.Config{URL: f.InfluxURL, Token: token, Org: f.InfluxOrg, Bucket: f.InfluxBucket, Gzip: f.InfluxGzip, Years: years})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// mailFlags say how alerts are told.
type mailFlags struct {
	smtpFlags `embed:""`

	WebhookSecretFile string `help:"File with the secret that signs webhooks." env:"COLDKEEP_WEBHOOK_SECRET_FILE"`
	ScreensURL        string `help:"Public address of the screens, for the links in alerts." env:"COLDKEEP_SCREENS_URL"`
}

func (f *mailFlags) channels() ([]alerts.Channel, error) {
	secret, err := readSecret(f.WebhookSecretFile)
	if err != nil {
		return nil, err
	}
	channels := []alerts.Channel{webhook.New(webhook.Config{Secret: []byte(secret)})}
	if f.SMTPHost == "" {
		return channels, nil
	}
	mail, err := f.mail()
	if err != nil {
		return nil, err
	}
	return append(channels, mail), nil
}

// collectorConfig is what a collector is made of.
type collectorConfig struct {
	Data          string // folder of SQLite files
	Database      string // SQL database, a path or a PostgreSQL URL
	Stores        storesFlags
	KeepYears     int // of readings; 0 is for ever
	Mail          mailFlags
	Source        source
	Shared        string  // name of this collector among those that share the work, "" when it is alone
	Speed         float64 // of Clock, 0 is the machine's
	RegistryURL   string
	RegistryToken string
	APIToken      string
	Clock         coldkeep.Clock
	Log           *slog.Logger
}

// collector is the centre's other half: readings in, excursions, alerts and posts
// to the registry out.
//
//	link ─► ingest ─► readings store
//	          │  └──► ledger ◄── judge ──► feed ─┬─► alerts ─► channels
//	          └─ ack ─► link                     └─► registryclient ─► registry
type collector struct {
	db      *database.DB
	store   readings.Store
	ledger  *ledger.Ledger
	source  source
	ingest  *ingest.Ingest
	judge   *judge.Judge
	devices *devices.Devices
	leases  *lease.Manager // nil when it is alone
	alerts  *alerts.Service
	client  *registryclient.Client
	keeper  *retention.Keeper
	reader  *api.Reader
	hub     *api.Hub
	token   string
	clock   coldkeep.Clock
	log     *slog.Logger

	keysMu sync.Mutex
	keys   map[string]string // by device, what the ledger has been told
}

// source is where messages come from and answers go to: a broker, or the one in this
// process.
type source interface {
	ingest.Publisher
	// Run hands every message to handle until ctx ends.
	Run(ctx context.Context, handle func(context.Context, ingest.Message) error) error
	Connected() bool
	// OnConnect has f called after every connection.
	OnConnect(f func())
	// SetSites narrows what comes to some sites; nil is all.
	SetSites(sites []coldkeep.SiteID)
}

func openCollector(ctx context.Context, cfg collectorConfig) (*collector, error) {
	c := &collector{hub: &api.Hub{}, keys: map[string]string{}, token: cfg.APIToken, clock: cfg.Clock, log: cfg.Log}
	if err := c.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *collector) open(ctx context.Context, cfg collectorConfig) (err error) {
	channels, err := cfg.Mail.channels()
	if err != nil {
		return err
	}
	if c.db, err = database.Open(ctx, cfg.Database); err != nil {
		return err
	}
	if c.store, err = cfg.Stores.open(ctx, cfg.Data, cfg.KeepYears); err != nil {
		return err
	}
	if c.ledger, err = ledger.Open(ctx, c.db); err != nil {
		return err
	}
	c.judge = judge.New(c.store, c.ledger, cfg.Clock, cfg.Log, c.hub.Publish)
	c.source = cfg.Source
	c.ingest = ingest.New(c.store, c.ledger, c.judge, c.source, cfg.Clock, cfg.Log)
	if c.client, err = registryclient.Open(ctx, c.db, registryclient.Config{BaseURL: cfg.RegistryURL, Token: cfg.RegistryToken,
		Clock: cfg.Clock, Log: cfg.Log, Feed: c.ledger, Status: c.judge.Status, Fence: c.fence(cfg.Shared, taskRegistry)}); err != nil {
		return err
	}
	if signed := cfg.Stores.SignedSites; len(signed) > 0 {
		c.ingest.SignedOnly = func(site coldkeep.SiteID) bool {
			return slices.Contains(signed, string(site)) || slices.Contains(signed, "all")
		}
	}
	c.client.OnMirror(c.judge.SetMirror)
	c.client.OnMirror(func(m coldkeep.Mirror) { c.expectKeys(ctx, &m) })
	if err := c.share(ctx, cfg.Shared); err != nil {
		return err
	}
	if err := c.lookAfterDevices(ctx, cfg); err != nil {
		return err
	}
	c.reader = &api.Reader{Store: c.store, Mirror: c.client.Mirror}
	c.alerts, err = alerts.Open(ctx, c.db, alerts.Config{Clock: cfg.Clock, Log: cfg.Log, Feed: c.ledger, OnCall: c.onCall, Channels: channels, Describe: c.describe, Fence: c.fence(cfg.Shared, taskAlerts),
		Link: func(a coldkeep.Alert) string {
			if cfg.Mail.ScreensURL == "" {
				return ""
			}
			return strings.TrimRight(cfg.Mail.ScreensURL, "/") + alerts.Path(a)
		}})
	if err != nil {
		return err
	}
	c.keeper = &retention.Keeper{Ledger: c.ledger, Mirror: c.client.Mirror, Years: cfg.KeepYears, Consumers: []retention.Consumer{c.alerts, c.client},
		Fence: c.fence(cfg.Shared, taskRetention), Clock: cfg.Clock, Log: cfg.Log}
	if s, ok := c.store.(retention.Store); ok {
		c.keeper.Store = s
	}
	return nil
}

// lookAfterDevices gives devices their configuration and watches over them.
func (c *collector) lookAfterDevices(ctx context.Context, cfg collectorConfig) (err error) {
	dc := devices.Config{Clock: cfg.Clock, Log: cfg.Log, Publisher: c.source, Evidence: c.ledger, Speed: cfg.Speed,
		Tell:      func(ctx context.Context, xs []coldkeep.Excursion) error { return c.ledger.Tell(ctx, c.clock.Now(), xs) },
		Listening: func() bool { return c.source.Connected() && !c.ingest.Stuck() }}
	if c.leases != nil {
		dc.Holds = c.leases.Holds
	}
	if c.devices, err = devices.Open(ctx, c.db, dc); err != nil {
		return err
	}
	c.ingest.Devices, c.ingest.Note = c.devices, c.judge.Note
	c.client.OnMirror(c.devices.SetMirror)
	c.source.OnConnect(c.devices.Republish)
	return nil
}

// deviceHealth is how the devices of a site stand; "" is all sites.
func (c *collector) deviceHealth(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error) {
	all := c.devices.Health()
	if c.leases != nil {
		others, err := c.devices.Elsewhere(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, others...)
	}
	out := []coldkeep.DeviceHealth{}
	for _, d := range all {
		if site == "" || d.Site == site {
			out = append(out, d)
		}
	}
	return out, nil
}

// expectKeys tells the ledger the keys that the registry knows of devices.
func (c *collector) expectKeys(ctx context.Context, m *coldkeep.Mirror) {
	c.keysMu.Lock()
	defer c.keysMu.Unlock()
	for _, d := range m.Devices {
		name := string(d.Site) + "/" + string(d.Agent)
		if d.PublicKey == "" || c.keys[name] == d.PublicKey {
			continue
		}
		pub, err := wire.DecodeKey(d.PublicKey)
		if err == nil {
			err = c.ledger.ExpectKey(ctx, c.clock.Now(), d.Site, d.Agent, wire.KeyID(pub), d.PublicKey)
		}
		if err != nil {
			c.log.Warn("a device's key is not known to the collector yet", "device", name, "error", err)
			continue
		}
		c.keys[name] = d.PublicKey
	}
}

// onCall is the site's policy as the mirror has it.
func (c *collector) onCall(site coldkeep.SiteID) coldkeep.OnCall {
	for _, o := range c.client.Mirror().OnCall {
		if o.Site == site {
			return o
		}
	}
	return coldkeep.OnCall{Site: site}
}

// describe names a place for people.
func (c *collector) describe(site coldkeep.SiteID, id coldkeep.ApplianceID) (coldkeep.Site, coldkeep.Appliance) {
	m := c.client.Mirror()
	s, a := coldkeep.Site{ID: site}, coldkeep.Appliance{ID: id}
	for _, x := range m.Sites {
		if x.ID == site {
			s = x
		}
	}
	if x, ok := m.Appliance(id); ok {
		a = x
	}
	return s, a
}

// Run works until ctx ends or a part cannot go on.
func (c *collector) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.ingest.Run(ctx) })
	g.Go(func() error { return c.source.Run(ctx, c.ingest.Handle) })
	g.Go(func() error { return c.judge.Run(ctx) })
	g.Go(func() error { return c.devices.Run(ctx) })
	g.Go(func() error {
		for (coldkeep.RealClock{}).Sleep(ctx, time.Second) == nil {
			c.judge.Hears(c.source.Connected() && !c.ingest.Stuck())
		}
		return nil
	})
	if c.leases != nil {
		g.Go(func() error { return c.leases.Run(ctx) })
		g.Go(func() error { return c.others(ctx) })
	}
	if src, ok := c.store.(evidence.Source); ok {
		checker := &evidence.Checker{Ledger: c.ledger, Readings: src, Clock: c.clock, Log: c.log}
		g.Go(func() error { return c.leading(ctx, taskEvidence, checker.Run) })
	}
	g.Go(func() error { return c.leading(ctx, taskRetention, c.keeper.Run) })
	g.Go(func() error { return c.leading(ctx, taskAlerts, c.alerts.Run) })
	g.Go(func() error { return c.leading(ctx, taskRegistry, c.client.Deliver) })
	g.Go(func() error { return c.client.Follow(ctx) })
	g.Go(func() error {
		for ev := range c.alerts.Subscribe(ctx) {
			c.hub.Publish(ev)
		}
		return nil
	})
	return g.Wait()
}

// Close closes the stores.
func (c *collector) Close() error {
	var errs []error
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if c.db != nil {
		errs = append(errs, c.db.Close())
	}
	return errors.Join(errs...)
}

// Handler serves the read API and the alerts.
func (c *collector) Handler() (http.Handler, error) {
	r := newEngine()
	(&api.API{Reader: c.reader, Hub: c.hub, Token: c.token, Log: c.log, Devices: c.deviceHealth, Verdicts: c.judge.Verdicts, Command: c.devices.Command}).Routes(r)
	if err := alertsapi.Mount(r, c.alerts, c.token, c.log); err != nil {
		return nil, err
	}
	return r, nil
}

func newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, recovered any) {
		if recovered == http.ErrAbortHandler { //nolint:errorlint // it is a panic's value
			panic(recovered) // a broken-off answer must look broken off
		}
		c.AbortWithStatus(http.StatusInternalServerError)
	}))
	return r
}

// collectorPaths are what the collector serves on a listener it shares.
var collectorPaths = []string{"/api/v1/readings", "/api/v1/readings.csv", "/api/v1/live", "/api/v1/watch/", "/api/v1/alerts", "/api/v1/alerts/"}
