package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
)

const limit = 20 * time.Second

// devices knows those of site "clinic" by the password "secret".
type devices struct{}

func (devices) CheckDevice(user, password string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	site, agent, _ := strings.Cut(user, "/")
	return coldkeep.SiteID(site), coldkeep.AgentID(agent), password == "secret" && site == "clinic"
}

// certified lets in every certificate of site "clinic" but that of a revoked device.
func certified(name string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	site, agent, _ := strings.Cut(name, "/")
	return coldkeep.SiteID(site), coldkeep.AgentID(agent), site == "clinic" && agent != "revoked"
}

func start(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	cfg.CollectorPassword, cfg.Devices, cfg.Log = "top", devices{}, slog.New(slog.DiscardHandler)
	b, err := broker.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func connect(t *testing.T, url, user, password string, more func(*mqtt.ClientOptions)) (mqtt.Client, error) {
	t.Helper()
	opts := mqtt.NewClientOptions().AddBroker(url).SetClientID(strings.ReplaceAll(user, "/", "-") + fmt.Sprint(time.Now().UnixNano())).
		SetUsername(user).SetPassword(password).SetAutoReconnect(false).SetConnectRetry(false)
	if more != nil {
		more(opts)
	}
	c := mqtt.NewClient(opts)
	tok := c.Connect()
	if !tok.WaitTimeout(limit) {
		t.Fatal("the broker does not answer")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, tok.Error()
}

// intake takes messages when it is let.
type intake struct {
	mu   sync.Mutex
	got  []string
	held map[string]chan struct{} // by topic; taken when closed
}

func (i *intake) take(ctx context.Context, topic string, payload []byte, _ bool) error {
	i.mu.Lock()
	hold := i.held[topic]
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	i.mu.Lock()
	i.got = append(i.got, topic+" "+string(payload))
	i.mu.Unlock()
	return nil
}

func (i *intake) has(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		i.mu.Lock()
		got := strings.Join(i.got, "\n")
		i.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%q was not taken; %s", want, got)
		}
	}
}

// Messages go to the intake in this process before the device hears that they came;
// a full intake holds up that device alone. Acks come from this process, and wills
// are taken too.
func TestTake(t *testing.T) {
	hold := make(chan struct{})
	in := &intake{held: map[string]chan struct{}{"coldkeep/1/clinic/pi-1/readings": hold}}
	b := start(t, broker.Config{Addr: "127.0.0.1:0", Take: in.take})
	one, err := connect(t, "tcp://"+b.Addr(), "clinic/pi-1", "secret", func(o *mqtt.ClientOptions) {
		o.SetWill("coldkeep/1/clinic/pi-1/status", `{"v":1,"online":false}`, 1, true)
	})
	if err != nil {
		t.Fatal(err)
	}
	two, err := connect(t, "tcp://"+b.Addr(), "clinic/pi-2", "secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	acks := make(chan string, 10)
	if tok := two.Subscribe("coldkeep/1/clinic/pi-2/ack", 1, func(_ mqtt.Client, m mqtt.Message) { acks <- string(m.Payload()) }); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	first := one.Publish("coldkeep/1/clinic/pi-1/readings", 1, true, "held")
	if tok := two.Publish("coldkeep/1/clinic/pi-2/readings", 1, false, "free"); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Fatal("another device is held up")
	}
	in.has(t, "coldkeep/1/clinic/pi-2/readings free")
	select {
	case <-first.Done():
		t.Fatal("acknowledged before it was taken")
	default:
	}
	close(hold)
	if !first.WaitTimeout(limit) {
		t.Fatal("not acknowledged")
	}
	in.has(t, "coldkeep/1/clinic/pi-1/readings held")
	if err := b.Publish(t.Context(), "coldkeep/1/clinic/pi-2/ack", true, []byte("1")); err != nil {
		t.Fatal(err)
	}
	select {
	case ack := <-acks:
		if ack != "1" {
			t.Fatal(ack)
		}
	case <-time.After(limit):
		t.Fatal("no ack came")
	}
	in.mu.Lock()
	for _, got := range in.got {
		if strings.Contains(got, "/ack") {
			t.Errorf("our own %s was taken", got)
		}
	}
	in.mu.Unlock()
	// A second connection of its id throws the first one out, whose will is sent.
	reader := one.OptionsReader()
	if _, err := connect(t, "tcp://"+b.Addr(), "clinic/pi-1", "secret", func(o *mqtt.ClientOptions) { o.SetClientID(reader.ClientID()) }); err != nil {
		t.Fatal(err)
	}
	in.has(t, `coldkeep/1/clinic/pi-1/status {"v":1,"online":false}`)
}

// A collector over TCP works beside an intake in this process, and without one.
func TestCollectorOverTCP(t *testing.T) {
	for _, take := range []func(context.Context, string, []byte, bool) error{nil, (&intake{}).take} {
		b := start(t, broker.Config{Addr: "127.0.0.1:0", Take: take})
		col, err := connect(t, "tcp://"+b.Addr(), broker.CollectorUser, "top", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		if tok := col.Subscribe("coldkeep/1/+/+/readings", 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }); !tok.WaitTimeout(limit) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		dev, err := connect(t, "tcp://"+b.Addr(), "clinic/pi-1", "secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		dev.Publish("coldkeep/1/clinic/pi-1/readings", 1, false, "x")
		select {
		case <-got:
		case <-time.After(limit):
			t.Fatal("the collector got nothing")
		}
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.cert = a.make("authority", nil)
	return a
}

func (a *authority) make(name string, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	c := &x509.Certificate{SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	signer, by := key, c
	if parent == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		signer, by = a.key, parent
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) issue(name string) tls.Certificate {
	key, cert := a.make(name, a.cert)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// By TLS, with WebSocket or without, devices come with a password or with a
// certificate of their own, whose common name is their user; plain connections on
// loopback go on.
func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	b := start(t, broker.Config{Addr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Certified: certified,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.issue("broker")}, ClientCAs: ca.pool(), ClientAuth: tls.VerifyClientCertIfGiven}})
	if _, err := connect(t, "tcp://"+b.Addr(), "clinic/pi-1", "secret", nil); err != nil {
		t.Fatal("plain:", err)
	}
	cases := []struct {
		name           string
		user, password string
		cert           []tls.Certificate
		ok             bool
	}{
		{"a password", "clinic/pi-1", "secret", nil, true},
		{"a wrong password", "clinic/pi-1", "wrong", nil, false},
		{"the collector's password", broker.CollectorUser, "top", nil, true},
		{"a certificate", "", "", []tls.Certificate{ca.issue("clinic/pi-1")}, true},
		{"a certificate and its user", "clinic/pi-1", "", []tls.Certificate{ca.issue("clinic/pi-1")}, true},
		{"a certificate and another's user", "clinic/pi-2", "secret", []tls.Certificate{ca.issue("clinic/pi-1")}, false},
		{"a certificate and the collector's user", broker.CollectorUser, "", []tls.Certificate{ca.issue("clinic/pi-1")}, false},
		{"a certificate in the collector's name", "", "", []tls.Certificate{ca.issue(broker.CollectorUser)}, false},
		{"a revoked device's certificate", "", "", []tls.Certificate{ca.issue("clinic/revoked")}, false},
		{"a stranger's certificate", "", "", []tls.Certificate{stranger.issue("clinic/pi-1")}, false},
		{"nothing", "", "", nil, false},
	}
	for _, url := range []string{"ssl://" + b.TLSAddr(), "wss://" + b.WSAddr() + "/mqtt"} {
		for _, c := range cases {
			client, err := connect(t, url, c.user, c.password, func(o *mqtt.ClientOptions) {
				o.SetTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.pool(), Certificates: c.cert})
			})
			if (err == nil) != c.ok {
				t.Errorf("%s with %s: %v", url, c.name, err)
			}
			if err != nil || c.user == broker.CollectorUser {
				continue
			}
			// It may write its own topics and no other's.
			if tok := client.Publish("coldkeep/1/clinic/pi-1/readings", 1, false, "x"); !tok.WaitTimeout(limit) || tok.Error() != nil {
				t.Errorf("with %s its own readings: %v", c.name, tok.Error())
			}
			tok := client.Publish("coldkeep/1/clinic/pi-2/readings", 1, false, "x")
			if tok.WaitTimeout(limit); tok.Error() == nil && client.IsConnectionOpen() {
				t.Errorf("with %s another's readings were taken", c.name)
			}
		}
	}
}

// WebSocket without TLS is for a proxy before it. A page in a browser is refused, and
// what is no frame of bytes ends the connection.
func TestWebSocket(t *testing.T) {
	b := start(t, broker.Config{WSAddr: "127.0.0.1:0"})
	url := "ws://" + b.WSAddr() + "/mqtt"
	client, err := connect(t, url, "clinic/pi-1", "secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	if tok := client.Subscribe("coldkeep/1/clinic/pi-1/config", 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	long := strings.Repeat("x", 200_000) // more than a frame's buffer
	if err := b.Publish(t.Context(), "coldkeep/1/clinic/pi-1/config", true, []byte(long)); err != nil {
		t.Fatal(err)
	}
	if <-got != long {
		t.Error("the payload is another")
	}
	if tok := client.Publish("coldkeep/1/clinic/pi-1/readings", 1, false, long); !tok.WaitTimeout(limit) || tok.Error() != nil {
		t.Errorf("%v", tok.Error())
	}
	if _, err := connect(t, url, "clinic/pi-1", "secret", func(o *mqtt.ClientOptions) {
		o.SetHTTPHeaders(map[string][]string{"Origin": {"https://elsewhere.example"}})
	}); err == nil {
		t.Error("a page of another site was let in")
	}
	if _, err := connect(t, "ws://"+b.WSAddr()+"/other", "clinic/pi-1", "secret", nil); err == nil {
		t.Error("another path was served")
	}
	ws, res, err := websocket.DefaultDialer.Dial(url, map[string][]string{"Sec-WebSocket-Protocol": {"mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	res.Body.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(limit))
	if _, _, err := ws.ReadMessage(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("after a text: %v", err)
	}
}

func TestNoAddress(t *testing.T) {
	for _, cfg := range []broker.Config{{}, {TLSAddr: "127.0.0.1:0"}} {
		if _, err := broker.Start(cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
