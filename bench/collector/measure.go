package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/internal/servers"
)

const (
	epoch       = "01JD3K8W2M5N6P7Q8R9S0T1V2W"
	connections = 8
	password    = "bench"
	// inFlight bounds the unconfirmed messages of a connection; what Mosquitto queues
	// for the collector beyond that is its own.
	inFlight = 500
)

// mosquittoTuning lifts the queues that would drop messages with stock settings.
const mosquittoTuning = "max_inflight_messages 1000\nmax_queued_messages 0\n"

func agentName(i int) coldkeep.AgentID { return coldkeep.AgentID(fmt.Sprintf("a-%d", i)) }

// anyone lets the generator in under any name of its site.
type anyone struct{}

func (anyone) CheckDevice(user, _ string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	site, agent, ok := strings.Cut(user, "/")
	return coldkeep.SiteID(site), coldkeep.AgentID(agent), ok
}

func measure(ctx context.Context, dir, program string, s scenario) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	brokerAddr, err := servers.FreeAddr()
	if err != nil {
		return err
	}
	if s.broker == "mosquitto" {
		p, err := servers.Mosquitto(ctx, filepath.Join(dir, "mosquitto"), brokerAddr, nil, "", mosquittoTuning)
		if err != nil {
			return err
		}
		defer p.Stop(syscall.SIGTERM)
	} else {
		b, err := broker.Start(broker.Config{Addr: brokerAddr, CollectorPassword: password, Devices: anyone{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		defer func() { _ = b.Close() }() // it holds nothing
	}
	registry, err := registryfake.New("", password)
	if err != nil {
		return err
	}
	defer registry.Close()
	registry.SetMirror(mirror(s.agents))
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	httpAddr, err := servers.FreeAddr()
	if err != nil {
		return err
	}
	args := []string{program, "collector", "--data", filepath.Join(dir, "data"), "--http", httpAddr, "--broker", "tcp://" + brokerAddr, "--broker-password-file", secret,
		"--registry-url", registry.URL(), "--registry-token-file", secret, "--api-token-file", secret}
	if s.influx {
		p, url, err := servers.Influx(ctx, filepath.Join(dir, "influx"))
		if err != nil {
			return err
		}
		defer p.Stop(syscall.SIGTERM)
		args = append(args, "--influx-url", url, "--influx-bucket", servers.InfluxBucket)
	}
	collector := &servers.Process{Name: "collector", Args: args}
	if err := collector.Start(); err != nil {
		return err
	}
	defer collector.Stop(syscall.SIGTERM)
	if err := servers.Until(ctx, 30*time.Second, func() error { return ready("http://" + httpAddr + "/readyz") }); err != nil {
		return fmt.Errorf("%w\n%s", err, collector.Log().Tail(2000))
	}

	before := cpuTime(collector.PID())
	began := time.Now()
	acked, err := load(ctx, "tcp://"+brokerAddr, s)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, collector.Log().Tail(2000))
	}
	took := time.Since(began)
	cpu := cpuTime(collector.PID()) - before
	p50, p99 := quantiles("http://" + httpAddr + "/metrics")
	total := int64(s.agents * s.each)
	row(fmt.Sprintf("%s: %d agents, %s", s.name, s.agents, parts(s)), total, total-acked, took, cpu, peakRSS(collector.PID()), p50, p99)
	return nil
}

func parts(s scenario) string {
	store := "SQLite"
	if s.influx {
		store = "InfluxDB"
	}
	return fmt.Sprintf("%d a message, %s, %s", s.batch, s.broker, store)
}

func mirror(agents int) coldkeep.Mirror {
	m := coldkeep.Mirror{Revision: 1, Sites: []coldkeep.Site{{ID: "bench", Name: "Bench", TimeZone: "UTC"}}}
	for i := range agents {
		ap := coldkeep.ApplianceID(fmt.Sprintf("fridge-%d", i))
		m.Appliances = append(m.Appliances, coldkeep.Appliance{ID: ap, Site: "bench", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true})
		m.Assignments = append(m.Assignments, coldkeep.Assignment{Series: coldkeep.Series{Site: "bench", Agent: agentName(i), Probe: "28-000005e2fdc3"},
			Appliance: ap, From: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)})
	}
	return m
}

// load publishes everything and returns how many readings were acknowledged by the
// collector: stored, once.
func load(ctx context.Context, url string, s scenario) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var acked atomic.Int64
	done := make(chan struct{})
	last := make([]atomic.Int64, s.agents)
	watch, err := connect(url, "bench-acks")
	if err != nil {
		return 0, err
	}
	defer watch.Disconnect(100)
	tok := watch.Subscribe(wire.Topic("bench", "+", wire.LeafAck), 1, func(_ mqtt.Client, m mqtt.Message) {
		var ack wire.Ack
		_, agent, _, err := wire.ParseTopic(m.Topic())
		if err != nil || json.Unmarshal(m.Payload(), &ack) != nil {
			return
		}
		i, err := strconv.Atoi(strings.TrimPrefix(string(agent), "a-"))
		if err != nil || i >= s.agents {
			return
		}
		was := last[i].Swap(ack.Seq)
		if acked.Add(ack.Seq-was) == int64(s.agents*s.each) {
			close(done)
		}
	})
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		return 0, fmt.Errorf("subscribing to acks: %w", tok.Error())
	}
	var wg sync.WaitGroup
	errs := make(chan error, connections)
	for c := range connections {
		wg.Go(func() { errs <- publish(ctx, url, c, s) })
	}
	wg.Wait()
	for range connections {
		if err := <-errs; err != nil {
			return acked.Load(), err
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	return acked.Load(), nil
}

func connect(url, id string) (mqtt.Client, error) {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(broker.CollectorUser).SetPassword(password).
		SetAutoReconnect(false).SetMessageChannelDepth(10_000))
	tok := c.Connect()
	if !tok.WaitTimeout(10 * time.Second) {
		return nil, errors.New("the broker does not answer")
	}
	return c, tok.Error()
}

// publish sends the share of one connection: its agents take turns.
func publish(ctx context.Context, url string, c int, s scenario) error {
	client, err := connect(url, fmt.Sprintf("bench-%d", c))
	if err != nil {
		return err
	}
	defer client.Disconnect(1000)
	var pace <-chan time.Time
	if s.rate > 0 {
		t := time.NewTicker(time.Second * connections / time.Duration(s.rate))
		defer t.Stop()
		pace = t.C
	}
	window := make(chan mqtt.Token, inFlight)
	confirmed := make(chan struct{})
	go func() {
		defer close(confirmed)
		for tok := range window {
			tok.Wait()
		}
	}()
	start := time.Now().Add(-time.Duration(s.each) * time.Second).UnixMilli()
	b := wire.Batch{Epoch: epoch, Oldest: 1, Clock: wire.ClockNTP, Config: 1}
	var payload []byte
	for seq := 1; seq <= s.each && ctx.Err() == nil; seq += s.batch {
		for a := c; a < s.agents; a += connections {
			if pace != nil {
				<-pace
			}
			b.Seq, b.Records = int64(seq), b.Records[:0]
			for i := range min(s.batch, s.each-seq+1) {
				at := start + int64(seq+i)*1000
				if s.rate > 0 {
					at = time.Now().UnixMilli() // so that its age when durable can be told
				}
				t := coldkeep.Temperature(4000 + (seq+i)*37%2000)
				b.Records = append(b.Records, wire.Record{Probe: "28-000005e2fdc3", At: at, Celsius: t, Raw: t + 125, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature})
			}
			payload = wire.AppendBatch(nil, &b)
			window <- client.Publish(wire.Topic("bench", agentName(a), wire.LeafReadings), 1, false, payload)
		}
	}
	close(window)
	<-confirmed
	return ctx.Err()
}

// raw measures what InfluxDB takes when nothing stands before it.
func raw(ctx context.Context, dir string) error {
	p, url, err := servers.Influx(ctx, filepath.Join(dir, "raw"))
	if err != nil {
		return err
	}
	defer p.Stop(syscall.SIGTERM)
	const writers, each, chunk = 2, 1_000_000, 5000
	began := time.Now()
	before := cpuTime(os.Getpid())
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			store, err := influx.Open(influx.Config{URL: url, Bucket: servers.InfluxBucket})
			if err != nil {
				errs <- err
				return
			}
			defer func() { _ = store.Close() }() // it only holds connections
			rs := make([]coldkeep.Reading, chunk)
			for i := 0; i < each && err == nil; i += chunk {
				for k := range rs {
					n := int64(i + k)
					rs[k] = coldkeep.Reading{Series: coldkeep.Series{Site: "bench", Agent: agentName(w*50 + int(n)%50), Probe: "28-000005e2fdc3"}, Epoch: epoch, Seq: n/50 + 1,
						At: 1_767_225_600_000 + n/50*1000, Celsius: coldkeep.Temperature(4000 + n%2000), Raw: 4125, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature}
				}
				err = store.Append(ctx, rs)
			}
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			return err
		}
	}
	row(fmt.Sprintf("raw InfluxDB writes, %d writers of %d (the limit)", writers, chunk), writers*each, 0, time.Since(began), cpuTime(os.Getpid())-before, 0, "–", "–")
	return nil
}

func ready(url string) error {
	resp, err := http.Get(url) //nolint:noctx // a bench
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // only the status matters
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// cpuTime is what a process has used so far, in user and system mode
// (/proc/PID/stat, fields 14 and 15, in ticks of 10 ms).
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b)[strings.LastIndexByte(string(b), ')')+1:])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// peakRSS is a process's highest resident memory in kB (VmHWM).
func peakRSS(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n
		}
	}
	return 0
}

// quantiles reads p50 and p99 of the readings' age when durable from the
// collector's histogram: the upper edge of the bucket that holds each, in ms.
func quantiles(url string) (p50, p99 string) {
	resp, err := http.Get(url) //nolint:noctx // a bench
	if err != nil {
		return "–", "–"
	}
	defer resp.Body.Close()
	type bucket struct {
		le string
		n  float64
	}
	var buckets []bucket
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), `coldkeep_ingest_age_seconds_bucket{le="`)
		if !ok {
			continue
		}
		le, n, _ := strings.Cut(rest, `"} `)
		v, _ := strconv.ParseFloat(n, 64)
		buckets = append(buckets, bucket{le, v})
	}
	if len(buckets) == 0 || buckets[len(buckets)-1].n == 0 {
		return "–", "–"
	}
	at := func(q float64) string {
		for _, b := range buckets {
			if b.n >= q*buckets[len(buckets)-1].n {
				s, err := strconv.ParseFloat(b.le, 64)
				if err != nil || b.le == "+Inf" {
					return "> 10000"
				}
				return fmt.Sprintf("≤ %.0f", s*1000)
			}
		}
		return "–"
	}
	return at(0.5), at(0.99)
}
