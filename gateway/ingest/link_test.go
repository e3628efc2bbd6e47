package ingest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/ingest"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// Over plain TCP and over TLS every message of a burst comes once and in order, and
// what the link publishes arrives.
func TestLink(t *testing.T) {
	srv := httptest.NewTLSServer(nil) // for its certificate
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(broker.Config{Addr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", CollectorPassword: "top", Devices: devices{}, Log: log,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: srv.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, url := range []string{"tcp://" + b.Addr(), "ssl://" + b.TLSAddr()} {
		t.Run(url[:3], func(t *testing.T) {
			link, err := ingest.NewLink(ingest.LinkConfig{Broker: url, ClientID: "c-" + url[:3], Username: broker.CollectorUser, Password: "top",
				TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			const messages = 500
			got := make(chan string, messages)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = link.Run(ctx, func(_ context.Context, m ingest.Message) error {
					got <- fmt.Sprintf("%s %s %v", m.Topic, m.Payload, m.Retained)
					return nil
				})
			})
			defer func() { cancel(); wg.Wait() }()
			s := &stage{t: t, addr: "tcp://" + b.Addr()}
			s.until("the link is up", link.Connected)
			a := s.agent("pi-" + url[:3])
			for i := range messages {
				a.client.Publish(a.topic(wire.LeafReadings), 1, false, fmt.Sprint(i))
			}
			for i := range messages {
				if want := fmt.Sprintf("%s %d false", a.topic(wire.LeafReadings), i); <-got != want {
					t.Fatalf("not %s", want)
				}
			}
			if err := link.Publish(ctx, a.topic(wire.LeafAck), true, []byte(`{"v":1,"epoch":"e","seq":3}`)); err != nil {
				t.Fatal(err)
			}
			if ack := <-a.acks; ack.Seq != 3 {
				t.Fatalf("%+v", ack)
			}
		})
	}
}

// A broker whose certificate is not by a trusted authority gets nothing.
func TestLinkDistrustsStrangers(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	b, err := broker.Start(broker.Config{TLSAddr: "127.0.0.1:0", CollectorPassword: "top", Devices: devices{}, Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: srv.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	told := make(chan string, 100)
	link, err := ingest.NewLink(ingest.LinkConfig{Broker: "ssl://" + b.TLSAddr(), ClientID: "c", Username: broker.CollectorUser, Password: "top", Log: slog.New(teller{told})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = link.Run(ctx, func(context.Context, ingest.Message) error { return nil }) })
	<-told
	if link.Connected() {
		t.Fatal("connected")
	}
	cancel()
	wg.Wait()
}

// teller passes log messages on.
type teller struct{ c chan string }

func (teller) Enabled(context.Context, slog.Level) bool { return true }
func (h teller) Handle(_ context.Context, r slog.Record) error {
	h.c <- r.Message
	return nil
}
func (h teller) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h teller) WithGroup(string) slog.Handler      { return h }

// A device is heard when it sends something readable, by the intake's clock; a will
// is the broker's word and not the device's.
func TestLastHeard(t *testing.T) {
	s := newStage(t, databasetest.SQLite(t))
	a, b := s.agent("pi-1"), s.agent("pi-2")
	a.send(wire.AppendBatch(nil, batch(1, 1, 1)), false)
	a.wantAck(1)
	b.client.Publish(b.topic(wire.LeafStatus), 1, true, `{"v":1,"online":false}`)
	s.until("the will is taken", func() bool { return s.in.Counts.Messages.Load() == 2 })
	var heard []string
	for d, at := range s.in.LastHeard() {
		if at.IsZero() {
			t.Error("no time")
		}
		heard = append(heard, string(d.Agent))
	}
	if fmt.Sprint(heard) != "[pi-1]" {
		t.Fatal(heard)
	}
}
