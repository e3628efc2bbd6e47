package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep/internal/servers"
)

// users are the demo's accounts on a broker that is not ours.
func (c *chain) users() servers.Users {
	c.t.Helper()
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	users := servers.Users{"collector": read(filepath.Join(c.dir, "broker-password"))}
	files, err := filepath.Glob(filepath.Join(c.secrets, "*.password"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		users[strings.Replace(strings.TrimSuffix(filepath.Base(f), ".password"), "_", "/", 1)] = read(f)
	}
	return users
}

// startNATS puts a NATS server, configured as we deliver it, in the place of the
// chain's broker.
func (c *chain) startNATS() {
	c.t.Helper()
	config, err := os.ReadFile("../../deploy/nats/nats.conf")
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := servers.NATS(c.t.Context(), filepath.Join(c.dir, "nats"), c.brokerAddr, string(config), c.users())
	if err != nil {
		if os.Getenv("CI") != "" {
			c.t.Fatal(err)
		}
		c.t.Skipf("no NATS: %v", err)
	}
	c.broker = manage(c.t, p)
}

// TestNATS has the broker changed for NATS before the log streams, and then kills it
// and the collector: nothing that the chain promises depends on whose broker it is.
func TestNATS(t *testing.T) {
	t.Parallel()
	playThrough(t, parts{}, func(t *testing.T, c *chain, stored func() int) {
		c.broker.Kill()
		c.startNATS()
		c.onlyItsOwn()
		faults(t, c, stored)
	})
}

// onlyItsOwn checks that a device gets no further than its own topics.
func (c *chain) onlyItsOwn() {
	t := c.t
	t.Helper()
	connect := func(user, id, password string) (mqtt.Client, error) {
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + c.brokerAddr).SetClientID(id).SetUsername(user).SetPassword(password).
			SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(10 * time.Second))
		tok := client.Connect()
		if !tok.WaitTimeout(20 * time.Second) {
			t.Fatal("the broker does not answer")
		}
		return client, tok.Error()
	}
	if _, err := connect("lakeside/fridge-1", "wrong", "wrong"); err == nil {
		t.Error("a wrong password gets in")
	}
	password := c.users()["collector"]
	collector, err := connect("collector", "onlooker", password)
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Disconnect(0)
	heard := make(chan string, 1000)
	if tok := collector.Subscribe("coldkeep/1/+/+/status", 1, func(_ mqtt.Client, m mqtt.Message) { heard <- m.Topic() }); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
		t.Fatal("the collector cannot subscribe: ", tok.Error())
	}
	for user, password := range c.users() {
		if user == "collector" || user == "lakeside/recorder" {
			continue
		}
		// By a client id of its own: the demo's devices are not connected to this broker.
		thief, err := connect(user, "thief", password)
		if err != nil {
			t.Fatal(err)
		}
		defer thief.Disconnect(0)
		_ = thief.Publish("coldkeep/1/lakeside/not-mine/status", 1, false, "{}").WaitTimeout(5 * time.Second)
		site, agent, _ := strings.Cut(user, "/")
		own := "coldkeep/1/" + site + "/" + agent + "/status"
		if thief, err = connect(user, "honest", password); err != nil { // it may have been thrown out
			t.Fatal(err)
		}
		defer thief.Disconnect(0)
		// An empty status says nothing to the collector.
		if tok := thief.Publish(own, 1, false, ""); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
			t.Fatalf("its own status: %v", tok.Error())
		}
		for {
			select {
			case topic := <-heard:
				if strings.Contains(topic, "not-mine") {
					t.Fatalf("%s spoke as %s", user, topic)
				}
				if topic == own {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatal("its own status did not arrive")
			}
		}
	}
	t.Fatal("there is no device to try it with")
}
