package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // to read the feed, past the collector

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/internal/servers"
)

const (
	site     = coldkeep.SiteID("bench")
	password = "bench-password"
	// connections that the devices share where they are sent for under one account; with
	// a rate, and on the embedded broker, each has its own.
	connections = 8
)

// mosquittoTuning lifts the queues that would drop messages with stock settings.
const mosquittoTuning = "max_inflight_messages 1000\nmax_queued_messages 0\nset_tcp_nodelay true\n"

// bench is a scenario with its parts.
type bench struct {
	options
	scenario
	ctx                    context.Context
	dir, program, telegraf string

	registry                 *registryfake.Registry
	broker, influx, measured *servers.Process // measured is the collector, or what stands in its place
	brokerAddr, influxURL    string
	collectorURL, token      string
	fleet                    *fleet.Fleet

	mu     sync.Mutex
	acks   []time.Duration                    // since the measurement began
	sentAt map[coldkeep.ApplianceID]time.Time // when frost was published
	warmed bool
}

func (b *bench) stop() {
	if b.fleet != nil {
		b.fleet.PowerOff()
	}
	for _, p := range []*servers.Process{b.measured, b.broker, b.influx} {
		if p == nil {
			continue
		}
		p.Stop(syscall.SIGTERM)
		if b.logs {
			fmt.Fprintf(os.Stderr, "--- %s said:\n%s\n", p.Name, p.Log().Tail(3000))
		}
	}
	if b.registry != nil {
		b.registry.Close()
	}
	_ = os.RemoveAll(b.dir) // what is left goes with the folder above
}

func (b *bench) run() error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil { //nolint:gosec // Mosquitto becomes another user
		return err
	}
	cfg := fleet.Config{Site: site, Devices: b.agent, Shared: connections, Batch: b.batch, Seal: b.seal, Window: b.window(), Record: b.record,
		Account: func(int) (string, string) { return "collector", password }}
	if b.rate > 0 {
		cfg.Shared = 0
	} else {
		// Half a second between two readings, so that a thousand lie below the quarter of an
		// hour after which a seal is due.
		cfg.Start, cfg.Spacing = time.Now().Add(-16*time.Hour).Truncate(time.Millisecond), 500*time.Millisecond
	}
	start := b.startCollector
	switch b.on {
	case onUp:
		start = b.startUp
		cfg.Shared = 0
		cfg.Account = func(i int) (string, string) { return fmt.Sprintf("%s/%s", site, agentName(i)), password }
	case onTelegraf:
		start = b.startTelegraf
		cfg.Forget = true
	}
	if err := start(); err != nil {
		return b.explain(err)
	}
	cfg.Broker, cfg.Name = b.brokerAddr, agentName
	b.fleet = fleet.New(cfg)
	b.fleet.OnAck = func(_ int, waited time.Duration) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.warmed && b.rate > 0 {
			b.acks = append(b.acks, waited)
		}
	}
	if b.on == onTelegraf {
		return b.explain(b.measureTelegraf())
	}
	return b.explain(b.measure())
}

// explain adds what the measured program said.
func (b *bench) explain(err error) error {
	if err == nil || b.measured == nil {
		return err
	}
	return fmt.Errorf("%w\n%s said:\n%s", err, b.measured.Name, b.measured.Log().Tail(2000))
}

// window is how many messages of a device may wait for their ack. There is one ack a
// second and device at most, so it bounds the rate: at 200,000 messages a second in
// all, or 600,000 readings in batches.
func (b *bench) window() int {
	if b.batch == 1 {
		return max(20, 200_000/b.agent)
	}
	return max(8, 600_000/b.batch/b.agent)
}

func agentName(i int) coldkeep.AgentID { return coldkeep.AgentID(fmt.Sprintf("a-%d", i)) }

func appliance(agent coldkeep.AgentID) coldkeep.ApplianceID {
	return coldkeep.ApplianceID("fridge-" + string(agent))
}

// frostEvery is how many devices there are for each that reads frost once: at a
// thousand devices and fifteen seconds, seven units a second break down.
const frostEvery = 10

// frostAt is the record in which a device reads frost, which calls a person at once;
// 0 for none.
func (b *bench) frostAt(device int) int64 {
	if b.rate == 0 || device%frostEvery != 0 {
		return 0
	}
	each := int64((b.warm + b.seconds).Seconds()) * int64(b.rate) / int64(b.agent)
	first := int64(b.warm.Seconds())*int64(b.rate)/int64(b.agent) + 1
	return first + int64(device/frostEvery)%max(1, each-first-1)
}

func (b *bench) record(device int, seq, at int64) wire.Record {
	r := fleet.Plain(device, seq, at)
	if seq == b.frostAt(device) {
		r.Celsius = -500
	}
	return r
}

func (b *bench) mirror() coldkeep.Mirror {
	m := coldkeep.Mirror{Revision: 1, Sites: []coldkeep.Site{{ID: site, Name: "Bench", TimeZone: "UTC"}}}
	for i := range b.agent {
		ap := appliance(agentName(i))
		m.Appliances = append(m.Appliances, coldkeep.Appliance{ID: ap, Site: site, Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true})
		m.Assignments = append(m.Assignments, coldkeep.Assignment{Series: coldkeep.Series{Site: site, Agent: agentName(i), Probe: fleet.Probe}, Appliance: ap, From: assigned})
	}
	return m
}

// assigned is since when the probes stand where they do.
var assigned = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func (b *bench) secret() (string, error) {
	path := filepath.Join(b.dir, "secret")
	b.token = password
	return path, os.WriteFile(path, []byte(password), 0o600)
}

func (b *bench) startBroker() (err error) {
	if b.brokerAddr, err = servers.FreeAddr(); err != nil {
		return err
	}
	b.broker, err = servers.Mosquitto(b.ctx, filepath.Join(b.dir, "mosquitto"), b.brokerAddr, nil, "", mosquittoTuning)
	return err
}

// startCollector starts Mosquitto, InfluxDB and a collector between them.
func (b *bench) startCollector() (err error) {
	if err = b.startBroker(); err != nil {
		return err
	}
	if b.influx, b.influxURL, err = servers.Influx(b.ctx, filepath.Join(b.dir, "influx")); err != nil {
		return err
	}
	if b.registry, err = registryfake.New("", password); err != nil {
		return err
	}
	b.registry.SetMirror(b.mirror())
	secret, err := b.secret()
	if err != nil {
		return err
	}
	addr, err := servers.FreeAddr()
	if err != nil {
		return err
	}
	return b.start(addr, "collector", "--data", filepath.Join(b.dir, "data"), "--http", addr, "--broker", "tcp://"+b.brokerAddr, "--broker-password-file", secret,
		"--registry-url", b.registry.URL(), "--registry-token-file", secret, "--api-token-file", secret, "--influx-url", b.influxURL, "--influx-bucket", servers.InfluxBucket)
}

// startUp starts everything in one process, furnished with the devices.
func (b *bench) startUp() (err error) {
	data := filepath.Join(b.dir, "data")
	if err = furnish(b.ctx, data, b.agent); err != nil {
		return err
	}
	addr, err := servers.FreeAddr()
	if err != nil {
		return err
	}
	if b.brokerAddr, err = servers.FreeAddr(); err != nil {
		return err
	}
	if err = b.start(addr, "up", "--data", data, "--http", addr, "--mqtt", b.brokerAddr); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "api-token"))
	b.token = strings.TrimSpace(string(token))
	return err
}

// start starts the program that is measured and waits until it is ready.
func (b *bench) start(addr string, args ...string) error {
	b.collectorURL = "http://" + addr
	b.measured = &servers.Process{Name: args[0], Args: append([]string{b.program}, args...)}
	if err := b.measured.Start(); err != nil {
		return err
	}
	return servers.Until(b.ctx, 30*time.Second, func() error {
		resp, err := b.get("/readyz")
		if err == nil {
			_ = resp.Body.Close() // only the status matters
		}
		return err
	})
}

// get asks the collector.
func (b *bench) get(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.collectorURL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	resp, err := http.DefaultClient.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // the status says it
		return nil, fmt.Errorf("%s answers %s", path, resp.Status)
	}
	return resp, err
}

// spent is the CPU time of every part so far.
func (b *bench) spent() (r row) {
	r.itself = cpuTime(os.Getpid())
	for p, into := range map[*servers.Process]*time.Duration{b.measured: &r.collector, b.broker: &r.broker, b.influx: &r.store} {
		if p != nil {
			*into = cpuTime(p.PID())
		}
	}
	return r
}

// during fills in what the parts used since before.
func (r *row) during(before row) {
	r.collector, r.broker, r.store, r.itself = r.collector-before.collector, r.broker-before.broker, r.store-before.store, r.itself-before.itself
}

// drain is how long what was produced may take to be acknowledged in the end.
const drain = 2 * time.Minute

// measure lets the fleet run, and counts by the collector's acks between the warm-up
// and the end.
func (b *bench) measure() error {
	if b.rate > 0 {
		b.sentAt = map[coldkeep.ApplianceID]time.Time{}
		b.fleet.OnSend = b.noteFrost
	}
	b.fleet.PowerOn()
	ended := b.produce()
	b.sleep(b.warm)
	ages := b.ages()
	b.mu.Lock()
	b.warmed = true
	b.mu.Unlock()
	before, began, acked := b.spent(), time.Now(), b.fleet.Acked()
	b.sleep(b.seconds)
	r := b.spent()
	r.took, r.measured = time.Since(began), b.fleet.Acked()-acked
	r.during(before)
	r.rss, _ = memory(b.measured.PID())
	if ages != nil {
		r.durable = between(ages, b.ages())
	}
	b.fleet.Endless(false)
	<-ended
	ctx, cancel := context.WithTimeout(b.ctx, drain)
	defer cancel()
	if err := b.fleet.Drained(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench/collector:", b.name, err)
	}
	if b.rate > 0 {
		var excursions, alerts []time.Duration
		var missing int
		for range 20 { // what was raised last is still on its way
			var err error
			if excursions, alerts, missing, err = b.raised(); err != nil {
				return err
			}
			if missing == 0 {
				break
			}
			b.sleep(time.Second)
		}
		if r.excursion, r.alert = quantiles(excursions), quantiles(alerts); missing > 0 {
			r.alert += fmt.Sprintf(" (%d of %d never)", missing, len(b.sentAt))
		}
	}
	_, r.peak = memory(b.measured.PID())
	r.name, r.produced = b.title(), b.fleet.Produced()
	r.lost = r.produced - b.fleet.Acked()
	b.mu.Lock()
	r.ack = quantiles(b.acks)
	b.mu.Unlock()
	if b.rate == 0 {
		r.durable = "" // the readings have times of the past
	}
	r.print()
	if _, again := b.fleet.Sent(); again > 0 {
		fmt.Fprintf(os.Stderr, "bench/collector: %s: %d messages were sent again\n", b.name, again)
	}
	for _, odd := range b.fleet.Odd() {
		return errors.New(odd)
	}
	return nil
}

func (b *bench) title() string {
	what := "single readings"
	if b.batch > 1 {
		what = fmt.Sprintf("batches of %d", b.batch)
	}
	if b.seal {
		what += ", sealed"
	}
	if b.rate > 0 {
		what += fmt.Sprintf(", %d a second", b.rate)
	}
	return fmt.Sprintf("%s: %d agents, %s, %s", b.name, b.agent, what, b.on)
}

func (b *bench) sleep(d time.Duration) { _ = coldkeep.RealClock{}.Sleep(b.ctx, d) }

// produce lets the devices make records until the end of the measurement, and
// returns a channel that is closed when they make no more.
func (b *bench) produce() <-chan struct{} {
	ended := make(chan struct{})
	if b.rate == 0 {
		b.fleet.Endless(true)
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		all := int((b.warm + b.seconds).Seconds()) * b.rate
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began, done := time.Now(), 0; done < all && b.ctx.Err() == nil; <-tick.C {
			for due := min(all, int(time.Since(began).Seconds()*float64(b.rate))); done < due; done++ {
				b.fleet.ProduceAt(done%b.agent, 1)
			}
		}
	}()
	return ended
}

// noteFrost remembers when a reading that must call a person was published.
func (b *bench) noteFrost(device int, from, to int64, at time.Time) {
	if seq := b.frostAt(device); seq < from || seq > to {
		return
	}
	b.mu.Lock()
	b.sentAt[appliance(agentName(device))] = at
	b.mu.Unlock()
}

// raised tells how long after the publication of frost its excursion was entered in
// the collector's feed, and how long until its alert was raised.
func (b *bench) raised() (excursions, alerts []time.Duration, missing int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if excursions, err = b.feed(); err != nil {
		return nil, nil, 0, err
	}
	resp, err := b.get("/api/v1/alerts?site=" + string(site))
	if err != nil {
		return nil, nil, 0, err
	}
	defer resp.Body.Close()
	var list []coldkeep.Alert
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, nil, 0, err
	}
	seen := map[coldkeep.ApplianceID]bool{}
	for _, a := range list {
		if at, ok := b.sentAt[a.Appliance]; ok && a.Excursion.Kind == coldkeep.TooCold && !seen[a.Appliance] {
			seen[a.Appliance] = true
			alerts = append(alerts, a.RaisedAt.Sub(at))
		}
	}
	return excursions, alerts, len(b.sentAt) - min(len(excursions), len(alerts)), nil
}

// feed reads the collector's feed past the collector; its entries have the time at
// which they were decided.
func (b *bench) feed() (waits []time.Duration, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "data", "collector.db")+"?mode=ro&_pragma=busy_timeout(20000)")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // it was only read
	rows, err := db.QueryContext(b.ctx, "SELECT at, body FROM feed ORDER BY n")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	seen := map[coldkeep.ApplianceID]bool{}
	for rows.Next() {
		var at int64
		var body string
		var c coldkeep.Change
		if err := rows.Scan(&at, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			return nil, err
		}
		if c.Excursion == nil || c.Excursion.Kind != coldkeep.TooCold || seen[c.Excursion.Appliance] {
			continue
		}
		if sent, ok := b.sentAt[c.Excursion.Appliance]; ok {
			seen[c.Excursion.Appliance] = true
			waits = append(waits, time.UnixMilli(at).Sub(sent))
		}
	}
	return waits, rows.Err()
}

// bucket is one of a histogram: how many lie up to le, in seconds.
type bucket struct{ le, n float64 }

// ages reads the collector's histogram of how old readings are when they are
// durable; nil when there is none.
func (b *bench) ages() (out []bucket) {
	resp, err := b.get("/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), `coldkeep_ingest_age_seconds_bucket{le="`)
		if !ok {
			continue
		}
		le, n, _ := strings.Cut(rest, `"} `)
		limit, err := strconv.ParseFloat(le, 64) // "+Inf" too
		count, err2 := strconv.ParseFloat(n, 64)
		if err == nil && err2 == nil {
			out = append(out, bucket{limit, count})
		}
	}
	return out
}

// between gives p50/p99 in ms of what two states of a histogram differ by. Within a
// bucket it is taken to rise evenly; the buckets are half as wide again each.
func between(before, after []bucket) string {
	if len(before) != len(after) || len(after) == 0 {
		return ""
	}
	total := after[len(after)-1].n - before[len(before)-1].n
	if total <= 0 {
		return ""
	}
	at := func(q float64) string {
		lo, below := 0.0, 0.0
		for i := range after {
			n := after[i].n - before[i].n
			if n >= q*total {
				if i == len(after)-1 {
					return fmt.Sprintf("> %.0f", lo*1000)
				}
				return fmt.Sprintf("%.0f", 1000*(lo+(after[i].le-lo)*(q*total-below)/max(1, n-below)))
			}
			lo, below = after[i].le, n
		}
		return "–"
	}
	return at(0.5) + "/" + at(0.99)
}

// written is how many points InfluxDB has taken, by its own count.
func (b *bench) written() (int64, error) {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.influxURL+"/debug/vars", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var vars struct {
		Write struct {
			Values map[string]float64 `json:"values"`
		} `json:"write"`
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &vars)
	}
	return int64(vars.Write.Values["pointReq"]), err
}

// count counts the points that have a field.
func (b *bench) count(field string) (int64, error) {
	q := url.Values{"db": {"coldkeep"}, "q": {"SELECT count(" + field + ") FROM reading"}}
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.influxURL+"/query?"+q.Encode(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Results []struct{ Series []struct{ Values [][]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if len(answer.Results) == 0 || len(answer.Results[0].Series) == 0 {
		return 0, nil
	}
	n, _ := answer.Results[0].Series[0].Values[0][1].(float64) // a count is a number
	return int64(n), nil
}
