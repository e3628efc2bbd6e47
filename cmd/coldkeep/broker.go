package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/registryclient/transport/rest"
)

type brokerCmd struct {
	MQTT                  string `help:"Address to listen on." default:"127.0.0.1:1883" name:"mqtt" env:"COLDKEEP_MQTT"`
	CollectorPasswordFile string `help:"File with the password of the user \"collector\"." required:"" env:"COLDKEEP_BROKER_PASSWORD_FILE"`
	RegistryURL           string `help:"Address of the registry, which knows the devices." required:"" env:"COLDKEEP_REGISTRY_URL"`
	RegistryTokenFile     string `help:"File with the token of an interface account at the registry." required:"" env:"COLDKEEP_REGISTRY_TOKEN_FILE"`
}

// Run runs the broker alone. It follows the registry's devices and goes on with
// what it knows while the registry is away.
func (cmd *brokerCmd) Run(ctx context.Context, log *slog.Logger) error {
	password, err := readSecret(cmd.CollectorPasswordFile)
	if err != nil {
		return err
	}
	token, err := readSecret(cmd.RegistryTokenFile)
	if err != nil {
		return err
	}
	registry, err := rest.New(rest.Config{BaseURL: cmd.RegistryURL, Token: token})
	if err != nil {
		return err
	}
	devices := &mirrorDevices{}
	b, err := broker.Start(broker.Config{Addr: cmd.MQTT, CollectorPassword: password, Devices: devices, Log: log})
	if err != nil {
		return err
	}
	log.Info("listening", "mqtt", b.Addr())
	devices.follow(ctx, registry, log)
	return b.Close()
}

// mirrorDevices checks devices against the registry's mirror.
type mirrorDevices struct {
	mirror atomic.Pointer[coldkeep.Mirror]
}

// source is where the mirror comes from.
type source interface {
	Mirror(ctx context.Context, since int64, wait time.Duration) (*coldkeep.Mirror, error)
}

// mirrorWait is the long poll's wait, as the registry contract has it.
const mirrorWait = 30 * time.Second

func (d *mirrorDevices) follow(ctx context.Context, from source, log *slog.Logger) {
	since, away := int64(0), false
	for ctx.Err() == nil {
		m, err := from.Mirror(ctx, since, mirrorWait)
		if err != nil {
			if ctx.Err() == nil && !away {
				log.Warn("registry is away; devices as last known", "error", err)
			}
			away = true
			_ = coldkeep.RealClock{}.Sleep(ctx, time.Second) // the loop sees an end
			continue
		}
		away = false
		if m != nil {
			since = m.Revision
			d.mirror.Store(m)
		}
	}
}

// CheckDevice implements broker.Devices.
func (d *mirrorDevices) CheckDevice(username, password string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	m := d.mirror.Load()
	if m == nil {
		return "", "", false
	}
	sum := sha256.Sum256([]byte(password))
	for _, dev := range m.Devices {
		if string(dev.Site)+"/"+string(dev.Agent) == username {
			ok := !dev.Revoked && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(dev.SecretSHA256)) == 1
			return dev.Site, dev.Agent, ok
		}
	}
	return "", "", false
}
