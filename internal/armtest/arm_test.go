package armtest

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/servers"
)

const password = "correct horse battery staple"

// boards are the processors that the agent is built for. ARM1176 is that of the first
// Raspberry Pi and of the Zero.
var boards = []struct {
	name, qemu, cpu string
	env             []string
}{
	{"armv6", "qemu-arm-static", "arm1176", []string{"GOARCH=arm", "GOARM=6"}},
	{"arm64", "qemu-aarch64-static", "cortex-a53", []string{"GOARCH=arm64"}},
}

// acl lets a device write and read what is its own, and the collector all.
const acl = "user collector\ntopic readwrite coldkeep/1/#\n" +
	"user clinic/pi\ntopic write coldkeep/1/clinic/pi/readings\ntopic write coldkeep/1/clinic/pi/status\n" +
	"topic read coldkeep/1/clinic/pi/ack\ntopic read coldkeep/1/clinic/pi/config\ntopic read coldkeep/1/clinic/pi/command\n"

func missing(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("no %s: %v", what, err)
}

// The thermometers' values, a fault among them, come through the emulated processor, a
// kill -9 and Mosquitto, sealed and under consecutive numbers.
func TestAgentOnARM(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the agent for other processors; not with -short")
	}
	for _, b := range boards {
		t.Run(b.name, func(t *testing.T) {
			qemu, err := exec.LookPath(b.qemu)
			missing(t, "qemu-user-static", err)
			dir := t.TempDir()
			agent := filepath.Join(dir, "coldkeep-agent")
			build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -X main.version=1.2.3", "-o", agent, "github.com/coldkeep/coldkeep/cmd/coldkeep-agent")
			build.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), b.env...)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			addr, err := servers.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			shared, err := os.MkdirTemp("", "coldkeep-armtest-") // Mosquitto becomes another user
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(shared) })
			if err := os.Chmod(shared, 0o755); err != nil {
				t.Fatal(err)
			}
			broker, err := servers.Mosquitto(t.Context(), shared, addr, servers.Users{"collector": password, "clinic/pi": password}, acl, "")
			missing(t, "Mosquitto", err)
			t.Cleanup(broker.Kill)
			c := collect(t, addr)

			secret := filepath.Join(dir, "password")
			if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &servers.Process{Name: "agent", Args: []string{qemu, "-cpu", b.cpu, agent, "--site", "clinic", "--agent", "pi", "--broker", "tcp://" + addr,
				"--password-file", secret, "--data", filepath.Join(dir, "data"), "--w1-root", tree(t), "--interval", "1s"}}
			for life := range 2 {
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Kill)
				if !c.until(func() bool { return c.boots() == life+1 && c.durable() >= int64(10*(life+1)) }) {
					t.Fatalf("%d records, %d boots\n%s", c.durable(), c.boots(), p.Log().Tail(4000))
				}
				if life == 0 {
					p.Kill()
				}
			}
			p.Stop(syscall.SIGTERM)
			c.check(t, "1.2.3")
		})
	}
}

// tree is what the kernel shows of two thermometers, one of them shorted.
func tree(t *testing.T) string {
	root := t.TempDir()
	for name, text := range map[string]string{
		"28-000000000001": "45 00 4b 46 7f ff 0b 10 b9 : crc=b9 YES\n45 00 4b 46 7f ff 0b 10 b9 t=4312\n",
		"28-000000000002": "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n",
	} {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "w1_slave"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// collector takes readings and acknowledges them, by the wire contract.
type collector struct {
	mu      sync.Mutex
	changed chan struct{}
	status  wire.Status // the latest birth
	records map[int64]wire.Record
	clock   map[int64]string
	config  map[int64]int64
	epochs  map[string]bool
	seals   []*wire.Seal
	bad     []string
}

func collect(t *testing.T, addr string) *collector {
	t.Helper()
	c := &collector{changed: make(chan struct{}, 1), records: map[int64]wire.Record{}, clock: map[int64]string{}, config: map[int64]int64{}, epochs: map[string]bool{}}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetUsername("collector").SetPassword(password).SetClientID("collector"))
	if token := client.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(100) })
	token := client.Subscribe("coldkeep/1/clinic/pi/+", 1, func(client mqtt.Client, m mqtt.Message) {
		_, _, leaf, _ := wire.ParseTopic(m.Topic())
		epoch, seq := c.take(leaf, m.Payload())
		if seq > 0 {
			ack, _ := json.Marshal(wire.Ack{V: wire.Version, Epoch: epoch, Seq: seq})
			client.Publish(wire.Topic("clinic", "pi", wire.LeafAck), 1, true, ack)
		}
		select {
		case c.changed <- struct{}{}:
		default: // awake already
		}
	})
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	return c
}

func (c *collector) take(leaf string, payload []byte) (epoch string, seq int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch leaf {
	case wire.LeafStatus:
		var st wire.Status
		if err := wire.Decode(payload, &st); err != nil {
			c.bad = append(c.bad, err.Error())
		} else if st.Online {
			c.status = st
		}
	case wire.LeafReadings:
		b, bad, err := wire.DecodeBatch(payload, time.Now().Add(time.Hour).UnixMilli())
		if err != nil || len(bad) > 0 {
			c.bad = append(c.bad, fmt.Sprint(bad, err))
			return "", 0
		}
		c.epochs[b.Epoch] = true
		for i, r := range b.Records {
			n := b.Seq + int64(i)
			if had, ok := c.records[n]; ok && had != r {
				c.bad = append(c.bad, fmt.Sprintf("record %d came as %+v and %+v", n, had, r))
			}
			c.records[n], c.clock[n], c.config[n] = r, b.Clock, b.Config
		}
		if b.Seal != nil {
			c.seals = append(c.seals, b.Seal)
		}
		return b.Epoch, c.upTo()
	}
	return "", 0
}

func (c *collector) upTo() (n int64) {
	for _, ok := c.records[n+1]; ok; _, ok = c.records[n+1] {
		n++
	}
	return n
}

func (c *collector) durable() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upTo()
}

func (c *collector) boots() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.records {
		if r.Event == wire.EventBoot {
			n++
		}
	}
	return n
}

// until waits for a minute: the emulated processor is some twenty times slower.
func (c *collector) until(ok func() bool) bool {
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	for !ok() {
		select {
		case <-c.changed:
		case <-end.C:
			return false
		}
	}
	return true
}

// check looks at all that came.
func (c *collector) check(t *testing.T, version string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.Version != version || len(c.status.Probes) != 2 || c.status.Probes[0].Kind != "ds18b20" {
		t.Errorf("status %+v", c.status)
	}
	if len(c.epochs) != 1 || c.upTo() != int64(len(c.records)) || len(c.bad) > 0 {
		t.Errorf("%d epochs, consecutive up to %d of %d; %q", len(c.epochs), c.upTo(), len(c.records), c.bad)
	}
	good, zeros := 0, 0
	for seq, r := range c.records {
		switch {
		case r.IsEvent():
		case r.Probe == "28-000000000001" && r.Celsius == 4312 && (r.Quality == "" || r.Quality == coldkeep.QualityClock):
			good++
		case r.Probe == "28-000000000002" && !r.Celsius.Known() && r.Quality == coldkeep.QualityZeros:
			zeros++
		default:
			t.Errorf("record %d is %+v", seq, r)
		}
	}
	if good < 5 || zeros < 5 {
		t.Errorf("%d values, %d faults", good, zeros)
	}
	key, err := wire.DecodeKey(c.status.Pub)
	if err != nil {
		t.Fatal(err)
	}
	c.chain(t, key)
}

// chain derives the chain anew and compares it with the seals that came.
func (c *collector) chain(t *testing.T, key ed25519.PublicKey) {
	t.Helper()
	var epoch string
	for epoch = range c.epochs {
	}
	heads := map[int64]wire.Hash{}
	h := wire.FirstHash("clinic", "pi", epoch)
	for n := int64(1); n <= c.upTo(); n++ {
		r := c.records[n]
		h = h.Next(wire.AppendCanonical(nil, n, &r, c.clock[n], c.config[n]))
		heads[n] = h
	}
	if len(c.seals) == 0 {
		t.Error("no seal came")
	}
	for _, s := range c.seals {
		if head, ok := s.Head(); !ok || head != heads[s.Seq] || !s.Verify(key, "clinic", "pi", epoch) {
			t.Errorf("seal %+v is not of the chain or not by the key", s)
		}
	}
}
