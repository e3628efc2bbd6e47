package main

import (
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/coldkeep/coldkeep/firmware/collectortest"
)

// open lets everybody do everything, as brokers in clinics do.
type open struct{ mqtt.HookBase }

func (*open) ID() string                                              { return "open" }
func (*open) Provides(b byte) bool                                    { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }
func (*open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*open) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// Another maker's sensor, from a broker in the clinic to the collector: through the
// gate, into the outbox, under the device's seal.
func TestBringYourOwnSensor(t *testing.T) {
	clinic := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := clinic.AddHook(new(open), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := clinic.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := clinic.Serve(); err != nil {
		t.Fatal(err)
	}
	defer clinic.Close()
	c := collectortest.Start(t, "clinic", "pi", secret)
	cmd, log := agent(t, "--site", "clinic", "--agent", "pi", "--broker", c.URL(), "--password-file", write(t, "password", secret), "--data", t.TempDir(),
		"--driver", "mqtt", "--sensor-broker", "tcp://"+l.Address(), "--sensor-map", "tasmota", "--sensor-only", "tasmota:0*", "--interval", "1s")
	subscribed := func() bool {
		for _, cl := range clinic.Clients.GetAll() {
			if !cl.Net.Inline && len(cl.State.Subscriptions.GetAll()) == 2 {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(20 * time.Second); !subscribed(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the agent does not subscribe")
		}
	}
	say := func(topic, payload string) {
		t.Helper()
		if err := clinic.Publish(topic, []byte(payload), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	say("tele/t1/SENSOR", `{"DS18B20-1":{"Id":"00000566CC39","Temperature":4.3},"DS18B20-2":{"Id":"900000000000","Temperature":21},"TempUnit":"C"}`)
	c.Await("its readings", func(v *collectortest.View) bool {
		var got []string
		for _, records := range v.Records {
			for _, r := range records {
				if !r.IsEvent() {
					got = append(got, strings.TrimSpace(string(r.Probe)+" "+r.Celsius.String()+string(r.Quality)))
				}
			}
		}
		text := strings.Join(got, ";")
		if strings.Contains(text, "9000") {
			t.Errorf("a probe that was not asked for: %s", text)
		}
		return strings.Contains(text, "tasmota:00000566CC39 4.3")
	})
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a fault is recorded when the next interval has begun
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				_ = clinic.Publish("tele/t2/SENSOR", []byte(`{"DS18B20":{"Id":"0000059352D4","Temperature":85},"TempUnit":"C"}`), false, 1)
			}
		}
	}()
	c.Await("the fault", func(v *collectortest.View) bool {
		for _, records := range v.Records {
			for _, r := range records {
				if r.Probe == "tasmota:0000059352D4" && r.Quality == "reset85" && !r.Celsius.Known() {
					return true
				}
			}
		}
		return false
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	for args, says := range map[string]string{"--driver mqtt": "--sensor-broker", "--sensor-broker http://x": "--sensor-broker", "--sensor-broker tcp://x --sensor-map acme": "acme", "--sensor-broker tcp://x --sensor-only [": "--sensor-only"} {
		if code, _, stderr := call(t, append([]string{"--site", "clinic", "--agent", "pi", "--data", t.TempDir()}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
}
