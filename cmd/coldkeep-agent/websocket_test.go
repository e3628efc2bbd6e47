package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// issue makes a certificate, by an authority or, with nil, for itself.
func issue(t *testing.T, name string, by *tls.Certificate) (tls.Certificate, string, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := c, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// nobody lets no password in.
type nobody struct{}

func (nobody) CheckDevice(string, string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	return "", "", false
}

// Through a firewall that lets nothing out but HTTPS, with a certificate and no
// password: the agent delivers over WebSocket to the embedded broker, and comes back
// after the broker was away.
func TestWebSocketWithCertificate(t *testing.T) {
	authority, ca, _ := issue(t, "authority", nil)
	server, _, _ := issue(t, "broker", &authority)
	_, cert, key := issue(t, "clinic/pi", &authority)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	var b atomic.Pointer[broker.Broker]
	var records atomic.Int64
	enough := make(chan struct{}, 100)
	listen := func(addr string) *broker.Broker {
		t.Helper()
		br, err := broker.Start(broker.Config{WSAddr: addr, Devices: nobody{}, Log: slog.New(slog.DiscardHandler),
			TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven},
			Certified: func(name string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
				site, agent, ok := strings.Cut(name, "/")
				return coldkeep.SiteID(site), coldkeep.AgentID(agent), ok
			},
			Take: func(ctx context.Context, topic string, payload []byte, _ bool) error {
				if !strings.HasSuffix(topic, wire.LeafReadings) {
					return nil
				}
				batch, _, err := wire.DecodeBatch(payload, 1<<60)
				if err != nil {
					return err
				}
				last := batch.Seq + int64(len(batch.Records)) - 1
				records.Store(max(records.Load(), last))
				ack, _ := json.Marshal(wire.Ack{V: wire.Version, Epoch: batch.Epoch, Seq: last})
				if br := b.Load(); br != nil {
					_ = br.Publish(ctx, wire.Topic("clinic", "pi", wire.LeafAck), true, ack)
				}
				select {
				case enough <- struct{}{}:
				default:
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		b.Store(br)
		return br
	}
	await := func(n int64) {
		t.Helper()
		limit := time.NewTimer(20 * time.Second)
		defer limit.Stop()
		for records.Load() < n {
			select {
			case <-enough:
			case <-limit.C:
				t.Fatalf("waited in vain for record %d; there are %d", n, records.Load())
			}
		}
	}
	br := listen("127.0.0.1:0")
	addr := br.WSAddr()
	cmd, log := agent(t, "--site", "clinic", "--agent", "pi", "--broker", "wss://"+addr+"/mqtt", "--ca-file", write(t, "ca.pem", ca), "--cert-file", write(t, "cert.pem", cert),
		"--key-file", write(t, "key.pem", key), "--data", t.TempDir(), "--driver", "sim", "--sim-history", "2h", "--interval", "1s")
	await(100)
	if err := br.Close(); err != nil {
		t.Error(err)
	}
	before := records.Load()
	br = listen(addr)
	await(before + 2)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	_ = br.Close()
	code, _, stderr := call(t, "--site", "clinic", "--agent", "pi", "--cert-file", "x", "--data", t.TempDir())
	if code != exitUsage || !strings.Contains(stderr, "--key-file") {
		t.Errorf("half a certificate: %d %s", code, stderr)
	}
}
