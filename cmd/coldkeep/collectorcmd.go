package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ingest"
)

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
	keepFlags   `embed:""`
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
	c, err := openCollector(ctx, collectorConfig{Data: cmd.Data, Database: db, Stores: cmd.storesFlags, KeepYears: cmd.KeepYears, Mail: cmd.mailFlags, Source: link, Shared: shared,
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
