package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	alertsapi "github.com/coldkeep/coldkeep/alerts/api"
	"github.com/coldkeep/coldkeep/alerts/channel/email"
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

// open opens the readings store.
func (f *storesFlags) open(ctx context.Context, data string) (readings.Store, error) {
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
	s, err := influx.Open(influx.Config{URL: f.InfluxURL, Token: token, Org: f.InfluxOrg, Bucket: f.InfluxBucket, Gzip: f.InfluxGzip})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// mailFlags say by which server alerts are mailed.
type mailFlags struct {
	SMTPHost         string `help:"Mail server for alerts; none: no e-mail." env:"COLDKEEP_SMTP_HOST"`
	SMTPPort         int    `help:"Its port; 0 is 587, or 465 with implicit TLS." env:"COLDKEEP_SMTP_PORT"`
	SMTPTLS          string `help:"How the connection is protected: mandatory, opportunistic, implicit or none." enum:"mandatory,opportunistic,implicit,none" default:"mandatory" name:"smtp-tls" env:"COLDKEEP_SMTP_TLS"`
	SMTPUser         string `help:"User to sign in as." env:"COLDKEEP_SMTP_USER"`
	SMTPPasswordFile string `help:"File with the password." env:"COLDKEEP_SMTP_PASSWORD_FILE"`
	SMTPFrom         string `help:"Sender of alerts." env:"COLDKEEP_SMTP_FROM"`
	SMTPCAFile       string `help:"Authorities (PEM) that sign its certificate, in place of the system's." name:"smtp-ca-file" env:"COLDKEEP_SMTP_CA_FILE"`

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
	mail, err := email.New(email.Config{Host: f.SMTPHost, Port: f.SMTPPort, TLS: email.TLS(f.SMTPTLS), User: f.SMTPUser, PasswordFile: f.SMTPPasswordFile, From: f.SMTPFrom, RootsFile: f.SMTPCAFile})
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
	if c.store, err = cfg.Stores.open(ctx, cfg.Data); err != nil {
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
	return err
}

// share takes part in sharing the work among several collectors.
func (c *collector) share(ctx context.Context, name string) (err error) {
	if name == "" {
		return nil
	}
	sites := func() []coldkeep.SiteID {
		var out []coldkeep.SiteID
		for _, s := range c.client.Mirror().Sites {
			out = append(out, s.ID)
		}
		return out
	}
	if c.leases, err = lease.Open(ctx, c.db, lease.Config{Holder: name, Sites: sites, Log: c.log}); err != nil {
		return err
	}
	var mu sync.Mutex
	var round int64 // grows when what is held changes
	var held map[coldkeep.SiteID]lease.Generation
	c.ledger.Guard(func(ctx context.Context, tx *sql.Tx, sites map[coldkeep.SiteID]int64) error {
		var now, then []coldkeep.SiteID // under no certain generation, and under one
		as := map[coldkeep.SiteID]lease.Generation{}
		for s, g := range sites {
			if g == 0 {
				now = append(now, s)
				continue
			}
			then, as[s] = append(then, s), lease.Generation(g)
		}
		if len(now) > 0 {
			if err := c.leases.Fence(ctx, tx, now...); err != nil {
				return err
			}
		}
		if len(then) > 0 {
			return c.leases.FenceAs(ctx, tx, as, then...)
		}
		return nil
	})
	c.ingest.Mine = c.leases.Holds
	c.ingest.Round = func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return round
	}
	c.ingest.Fence = func(ctx context.Context, tx *sql.Tx, at int64, sites []coldkeep.SiteID) error {
		mu.Lock()
		now, as := round, held
		mu.Unlock()
		if at != now {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "the sites of this collector have changed")
		}
		return c.leases.FenceAs(ctx, tx, as, sites...)
	}
	c.judge.SetSites(nil)
	c.leases.OnChange(func(now map[coldkeep.SiteID]lease.Generation) {
		generations := make(map[coldkeep.SiteID]int64, len(now))
		list := []coldkeep.SiteID{}
		for s, g := range now {
			generations[s] = int64(g)
			list = append(list, s)
		}
		c.judge.SetSites(generations)
		mu.Lock() // after the judge: what is entered under the new round it must know of
		round++
		held = now
		mu.Unlock()
		if _, rest := now[lease.Rest]; rest {
			list = nil
		}
		c.source.SetSites(list)
		c.log.Info("sites of this collector", "sites", len(now))
	})
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
func (c *collector) deviceHealth(_ context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error) {
	out := []coldkeep.DeviceHealth{}
	for _, d := range c.devices.Health() {
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

// The tasks that only one of several collectors does.
const (
	taskAlerts   = "coldkeep:alerts"
	taskEvidence = "coldkeep:evidence"
	taskRegistry = "coldkeep:registry"
)

// fence says in a transaction whether a task is still this collector's; nil when it
// shares with no other.
func (c *collector) fence(shared, task string) func(context.Context, *sql.Tx) error {
	if shared == "" {
		return nil
	}
	return func(ctx context.Context, tx *sql.Tx) error { return c.leases.FenceTask(ctx, tx, task) }
}

// leading runs a task that only one of several collectors may do.
func (c *collector) leading(ctx context.Context, task string, run func(context.Context) error) error {
	if c.leases == nil {
		return run(ctx)
	}
	return c.leases.Leader(ctx, task, run)
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
	}
	if src, ok := c.store.(evidence.Source); ok {
		checker := &evidence.Checker{Ledger: c.ledger, Readings: src, Clock: c.clock, Log: c.log}
		g.Go(func() error { return c.leading(ctx, taskEvidence, checker.Run) })
	}
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

// checks are the collector's part of /readyz.
func (c *collector) checks() []check {
	return []check{
		{name: "readings store", ask: c.store.Ping},
		{name: "collector database", ask: c.ledger.Ping},
		{name: "broker", ask: func(context.Context) error {
			if !c.source.Connected() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the broker is away")
			}
			return nil
		}},
		// The collector works on while the registry is away.
		{name: "registry", mayFail: true, ask: func(context.Context) error {
			if c.client.Away() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the registry does not answer, or does not know our token; what it must hear waits here")
			}
			return nil
		}},
		{name: "intake", ask: func(context.Context) error {
			if c.ingest.Stuck() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "readings wait on the devices because they cannot be stored")
			}
			return nil
		}},
	}
}

// metrics are the collector's part of /metrics.
func (c *collector) metrics(reg *prometheus.Registry) {
	counter := func(name, help string, value func() int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	n := &c.ingest.Counts
	counter("coldkeep_ingest_batches_total", "Batches taken in.", n.Batches.Load)
	counter("coldkeep_ingest_readings_stored_total", "Readings stored for the first time.", n.Stored.Load)
	counter("coldkeep_ingest_records_repeated_total", "Records that had been dealt with before.", n.Repeated.Load)
	counter("coldkeep_ingest_records_quarantined_total", "Records that could not be what they claim to be.", n.Quarantined.Load)
	counter("coldkeep_ingest_payloads_refused_total", "Payloads that could not be read.", n.Refused.Load)
	counter("coldkeep_ingest_messages_total", "Messages taken from the broker.", n.Messages.Load)
	counter("coldkeep_ingest_takes_total", "Commits that carried them.", n.Takes.Load)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_ingest_queued_bytes", Help: "Bytes of messages that wait or are being worked on."},
		func() float64 { return float64(n.QueuedBytes.Load()) }))
	if c.leases != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_sites_held", Help: "Sites whose lease this collector holds."},
			func() float64 { return float64(c.leases.Status().Held) }))
	}
	counter("coldkeep_ingest_seals_total", "Seals that came and were kept.", n.Seals.Load)
	counter("coldkeep_ingest_seals_refused_total", "Seals that were refused, mostly for a wrong signature.", n.SealsRefused.Load)
	// Factors of 1.5 from 1 ms to half a minute, and days for what was kept back.
	age := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "coldkeep_ingest_age_seconds", Help: "Age of a batch's newest reading when it had become durable.",
		Buckets: append(prometheus.ExponentialBuckets(0.001, 1.5, 26), 300, 3600, 86_400)})
	reg.MustRegister(age)
	c.ingest.Age = func(d time.Duration) { age.Observe(d.Seconds()) }
	gauge := func(name, help string, value func(registryclient.Backlog) int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			b, err := c.client.Backlog(ctx)
			if err != nil {
				return -1
			}
			return float64(value(b))
		}))
	}
	alarm := func(name, help string, value func(alerts.Counts) int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			n, err := c.alerts.Counts(ctx)
			if err != nil {
				return -1
			}
			return float64(value(n))
		}))
	}
	alarm("coldkeep_alerts_open", "Alerts that nobody has answered; -1 when not known.", func(n alerts.Counts) int64 { return n.Open })
	alarm("coldkeep_alerts_unheard", "Of them, those that the last telling reached nobody of.", func(n alerts.Counts) int64 { return n.Unheard })
	alarm("coldkeep_alert_deliveries_pending", "Messages about alerts that have not arrived.", func(n alerts.Counts) int64 { return n.Pending })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_sites_nobody_told", Help: "Sites whose alarms nobody is told about."}, func() float64 {
		var sites []coldkeep.SiteID
		for _, s := range c.client.Mirror().Sites {
			sites = append(sites, s.ID)
		}
		return float64(len(c.alerts.Unheard(sites)))
	}))
	gauge("coldkeep_registry_pending", "Parcels that the registry has not taken yet; -1 when not known.", func(b registryclient.Backlog) int64 { return b.Pending })
	gauge("coldkeep_registry_refused", "Parcels that the registry refused for good; -1 when not known.", func(b registryclient.Backlog) int64 { return b.Refused })
}

// brokerFlags say which broker to use.
type brokerFlags struct {
	Broker             string `help:"MQTT broker URL: tcp://, ssl:// or ws://." env:"COLDKEEP_BROKER"`
	BrokerUser         string `help:"User on the broker." default:"collector" env:"COLDKEEP_BROKER_USER"`
	BrokerPasswordFile string `help:"File with the password." env:"COLDKEEP_BROKER_PASSWORD_FILE"`
}

func (f *brokerFlags) link(log *slog.Logger) (*ingest.Link, error) {
	password, err := readSecret(f.BrokerPasswordFile)
	if err != nil {
		return nil, err
	}
	return ingest.NewLink(ingest.LinkConfig{Broker: f.Broker, ClientID: "coldkeep-collector-" + randomHex(6), Username: f.BrokerUser, Password: password,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Log: log})
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // does not fail (Go 1.24)
	return hex.EncodeToString(b)
}

type collectorCmd struct {
	Data              string `help:"Folder for what is not in another database." default:"coldkeep-data" env:"COLDKEEP_DATA"`
	HTTP              string `help:"Address of the read API." default:"127.0.0.1:8081" name:"http" env:"COLDKEEP_HTTP"`
	Database          string `help:"PostgreSQL URL for the collector's book, in place of the SQLite file." env:"COLDKEEP_COLLECTOR_DATABASE"`
	RegistryURL       string `help:"Address of the registry." required:"" env:"COLDKEEP_REGISTRY_URL"`
	RegistryTokenFile string `help:"File with the token of the collector's interface account at the registry." required:"" env:"COLDKEEP_REGISTRY_TOKEN_FILE"`
	APITokenFile      string `help:"File with the token that callers of the read API must bring." required:"" name:"api-token-file" env:"COLDKEEP_API_TOKEN_FILE"`

	Shared bool `help:"Share the work with other collectors on the same PostgreSQL, InfluxDB and broker: each looks after some of the sites, and takes over those of one that dies." env:"COLDKEEP_SHARED"`

	brokerFlags `embed:""`
	storesFlags `embed:""`
	mailFlags   `embed:""`
}

// Run runs the collector alone.
func (cmd *collectorCmd) Run(ctx context.Context, log *slog.Logger) error {
	if cmd.Broker == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "--broker is missing: which MQTT broker?")
	}
	link, err := cmd.link(log)
	if err != nil {
		return err
	}
	registryToken, err := readSecret(cmd.RegistryTokenFile)
	if err != nil {
		return err
	}
	apiToken, err := readSecret(cmd.APITokenFile)
	if err != nil {
		return err
	}
	shared := ""
	if cmd.Shared {
		if cmd.Database == "" || cmd.InfluxURL == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "--shared needs stores that all collectors reach: --database (PostgreSQL) and --influx-url")
		}
		host, _ := os.Hostname() // without one the rest of the name is enough
		shared = "collector-" + host + "-" + randomHex(6)
	}
	unlock, err := lockFolder(cmd.Data, "collector")
	if err != nil {
		return err
	}
	defer unlock()
	db := cmd.Database
	if db == "" {
		db = filepath.Join(cmd.Data, "collector.db")
	}
	c, err := openCollector(ctx, collectorConfig{Data: cmd.Data, Database: db, Stores: cmd.storesFlags, Mail: cmd.mailFlags, Source: link, Shared: shared,
		RegistryURL: cmd.RegistryURL, RegistryToken: registryToken, APIToken: apiToken, Clock: coldkeep.RealClock{}, Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // everything was committed
	h, err := c.Handler()
	if err != nil {
		return err
	}
	srv := newServer(log)
	srv.checks = c.checks()
	c.metrics(srv.metrics)
	srv.mux.Handle("/", h)
	g, run := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Run(run) })
	g.Go(func() error { return srv.run(run, cmd.HTTP) })
	return ended(ctx, g.Wait())
}
