package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/internal/servers"
)

// telegrafConfig is Telegraf tuned to lose nothing as far as it can: a persistent
// session with QoS 1, confirmed only when written, room for all that may wait, and
// requests of the size that InfluxDB likes.
const telegrafConfig = `[agent]
  interval = "1s"
  flush_interval = "%s"
  flush_jitter = "0s"
  metric_batch_size = 5000
  metric_buffer_limit = 3000000
  omit_hostname = true
  quiet = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://%s"]
  topics = ["coldkeep/1/+/+/readings"]
  qos = 1
  client_id = "telegraf-bench"
  persistent_session = true
  max_undelivered_messages = %d
  data_format = "json_v2"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "coldkeep/1/+/+/readings"
    tags = "_/_/site/agent/_"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "reading"
    [[inputs.mqtt_consumer.json_v2.object]]
      path = "records"
      timestamp_key = "t"
      timestamp_format = "unix_ms"
      tags = ["p"]
      disable_prepend_keys = true
      [inputs.mqtt_consumer.json_v2.object.fields]
        c = "float"
        r = "float"

[[outputs.influxdb_v2]]
  urls = ["%s"]
  token = "none"
  organization = "none"
  bucket = "coldkeep/autogen"
  content_encoding = "identity"
`

// startTelegraf starts Mosquitto, InfluxDB and Telegraf between them.
func (b *bench) startTelegraf() (err error) {
	if err = b.startBroker(); err != nil {
		return err
	}
	if b.influx, b.influxURL, err = servers.Influx(b.ctx, filepath.Join(b.dir, "influx")); err != nil {
		return err
	}
	target, flush := b.influxURL, "1s"
	if b.rate > 0 {
		flush = "100ms" // for the sake of latency
		if target, err = b.watchWrites(); err != nil {
			return err
		}
	}
	waiting := 200_000
	if b.batch > 1 {
		waiting = 20_000
	}
	conf := filepath.Join(b.dir, "telegraf.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, telegrafConfig, flush, b.brokerAddr, waiting, target), 0o600); err != nil {
		return err
	}
	b.measured = &servers.Process{Name: "telegraf", Args: []string{b.telegraf, "--config", conf}}
	if err := b.measured.Start(); err != nil {
		return err
	}
	b.sleep(3 * time.Second) // it says nowhere that it is ready
	select {
	case <-b.measured.Done():
		return fmt.Errorf("telegraf has ended")
	default:
		return nil
	}
}

// measureTelegraf is measure for a program that gives no acks: what InfluxDB has
// counted tells how far it is, and as much as the collector may have waiting is sent
// beyond that.
func (b *bench) measureTelegraf() error {
	b.fleet.PowerOn()
	ended := b.produce()
	ctx, cancel := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			stored, err := b.written()
			if err == nil {
				b.fleet.Allow(stored + int64(b.window()*b.batch*b.agent))
			}
			b.sleep(50 * time.Millisecond)
		}
	})
	defer func() { cancel(); wg.Wait() }()
	b.sleep(b.warm)
	b.mu.Lock()
	b.warmed = true
	b.mu.Unlock()
	had, err := b.written()
	if err != nil {
		return err
	}
	before, began := b.spent(), time.Now()
	b.sleep(b.seconds)
	r := b.spent()
	has, err := b.written()
	if err != nil {
		return err
	}
	r.took, r.measured = time.Since(began), has-had
	r.during(before)
	r.rss, r.peak = memory(b.measured.PID())
	b.fleet.Endless(false)
	<-ended
	// What waits goes on: it is over when nothing more comes for five seconds.
	for still := 0; still < 5; still++ {
		b.sleep(time.Second)
		now, err := b.written()
		if err != nil {
			return err
		}
		if now != has {
			has, still = now, 0
		}
	}
	stored, err := b.count("r")
	if err != nil {
		return err
	}
	r.name, r.produced = b.title(), b.fleet.Acked() // of its point of view: sent
	r.lost = r.produced - stored
	b.mu.Lock()
	r.durable = quantiles(b.acks)
	b.mu.Unlock()
	r.print()
	return nil
}

// watchWrites stands before InfluxDB and notes how old each point is when it has been
// taken. At a thousand a second it is no load.
func (b *bench) watchWrites() (string, error) {
	target, err := url.Parse(b.influxURL)
	if err != nil {
		return "", err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the run
	if err != nil {
		return "", err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client left
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req)
		now := time.Now()
		b.mu.Lock()
		defer b.mu.Unlock()
		for line := range strings.Lines(string(body)) {
			ns, err := strconv.ParseInt(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 10, 64)
			if err == nil && b.warmed {
				b.acks = append(b.acks, now.Sub(time.Unix(0, ns)))
			}
		}
	})}
	context.AfterFunc(b.ctx, func() { _ = srv.Close() }) // the run is over
	go func() { _ = srv.Serve(ln) }()                    // it ends with the run
	return "http://" + ln.Addr().String(), nil
}
