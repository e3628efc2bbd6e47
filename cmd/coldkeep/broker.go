package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"os"
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

	mqttTLSFlags `embed:""`
}

// mqttTLSFlags open further addresses of the embedded broker, with TLS or WebSocket.
type mqttTLSFlags struct {
	MQTTTLS      string `help:"Address of the embedded broker with TLS; none: it has none." name:"mqtt-tls" env:"COLDKEEP_MQTT_TLS"`
	MQTTWS       string `help:"Address of the embedded broker over WebSocket, for clinics that let out nothing but HTTPS: with TLS when there is a certificate, else for a proxy that adds it; none: it has none." name:"mqtt-ws" env:"COLDKEEP_MQTT_WS"`
	MQTTCert     string `help:"Its certificate (PEM, with the chain)." name:"mqtt-cert" env:"COLDKEEP_MQTT_CERT"`
	MQTTKey      string `help:"Its private key (PEM)." name:"mqtt-key" env:"COLDKEEP_MQTT_KEY"`
	MQTTClientCA string `help:"Authority (PEM) of devices' certificates, whose common name is site/agent: such a device needs no password." name:"mqtt-client-ca" env:"COLDKEEP_MQTT_CLIENT_CA"`
}

// apply adds TLS and WebSocket to a broker's configuration. mirror gives the devices that there are.
func (f *mqttTLSFlags) apply(cfg *broker.Config, mirror func() coldkeep.Mirror) error {
	cfg.WSAddr = f.MQTTWS
	if f.MQTTTLS == "" && (f.MQTTWS == "" || f.MQTTCert == "") {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(f.MQTTCert, f.MQTTKey)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "broker", "--mqtt-tls needs --mqtt-cert and --mqtt-key: %v", err)
	}
	cfg.TLSAddr, cfg.TLS = f.MQTTTLS, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if f.MQTTClientCA == "" {
		return nil
	}
	pem, err := os.ReadFile(f.MQTTClientCA)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "broker", "--mqtt-client-ca: %v", err)
	}
	cfg.TLS.ClientCAs = x509.NewCertPool()
	if !cfg.TLS.ClientCAs.AppendCertsFromPEM(pem) {
		return coldkeep.Errorf(coldkeep.EINVALID, "--mqtt-client-ca %s holds no certificate", f.MQTTClientCA)
	}
	cfg.TLS.ClientAuth = tls.VerifyClientCertIfGiven
	cfg.Certified = func(name string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
		for _, d := range mirror().Devices {
			if string(d.Site)+"/"+string(d.Agent) == name {
				return d.Site, d.Agent, !d.Revoked
			}
		}
		return "", "", false
	}
	return nil
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
	cfg := broker.Config{Addr: cmd.MQTT, CollectorPassword: password, Devices: devices, Log: log}
	if err := cmd.apply(&cfg, devices.known); err != nil {
		return err
	}
	b, err := broker.Start(cfg)
	if err != nil {
		return err
	}
	log.Info("listening", "mqtt", b.Addr(), "tls", b.TLSAddr(), "websocket", b.WSAddr())
	devices.follow(ctx, registry, log)
	return b.Close()
}

// mirrorDevices checks devices against the registry's mirror.
type mirrorDevices struct {
	mirror atomic.Pointer[coldkeep.Mirror]
}

// mirrorSource is where the mirror comes from.
type mirrorSource interface {
	Mirror(ctx context.Context, since int64, wait time.Duration) (*coldkeep.Mirror, error)
}

// mirrorWait is the long poll's wait, as the registry contract has it.
const mirrorWait = 30 * time.Second

func (d *mirrorDevices) follow(ctx context.Context, from mirrorSource, log *slog.Logger) {
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

// known is the mirror as last known.
func (d *mirrorDevices) known() coldkeep.Mirror {
	if m := d.mirror.Load(); m != nil {
		return *m
	}
	return coldkeep.Mirror{}
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
