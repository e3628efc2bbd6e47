package faultproxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// wire is a client and a broker with a proxy between them, and no more MQTT than
// packets.
type wire struct {
	t              *testing.T
	p              *Proxy
	client, broker net.Conn
	toClient       *bufio.Reader
	toBroker       *bufio.Reader
}

func newWire(t *testing.T, cfg Config) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg.Target, cfg.Seed = ln.Addr().String(), 7
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w := &wire{t: t, p: p}
	if w.client, err = net.Dial("tcp", p.Addr()); err == nil {
		w.broker, err = ln.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{w.client, w.broker} {
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	w.toClient, w.toBroker = bufio.NewReader(w.client), bufio.NewReader(w.broker)
	return w
}

// message is a PUBLISH with QoS 1.
func message(topic string, id int, payload string) []byte {
	body := append([]byte{0, byte(len(topic))}, topic...)
	body = append(body, byte(id>>8), byte(id))
	return frame(0x32, append(body, payload...))
}

func (w *wire) send(n int) {
	w.t.Helper()
	for i := range n {
		if _, err := w.client.Write(message("a/readings", i+1, fmt.Sprintf("payload %04d", i))); err != nil {
			w.t.Fatal(err)
		}
	}
}

// recv gives what the broker gets: payloads, with "dup " before those that say so.
func (w *wire) recv(n int) (out []string) {
	w.t.Helper()
	for range n {
		kind, body, err := read(w.toBroker)
		if err != nil {
			w.t.Fatalf("after %d: %v", len(out), err)
		}
		_, head, ok := split(kind, body)
		if !ok {
			w.t.Fatalf("%x %q is no message", kind, body)
		}
		dup := ""
		if kind&0x08 != 0 {
			dup = "dup "
		}
		out = append(out, dup+string(body[head:]))
	}
	return out
}

func TestPassesAsItIs(t *testing.T) {
	w := newWire(t, Config{})
	w.send(100)
	for i, s := range w.recv(100) {
		if s != fmt.Sprintf("payload %04d", i) {
			t.Fatalf("message %d is %q", i, s)
		}
	}
	// And what is no message passes while messages suffer.
	w.p.SetFaults(Faults{Corrupt: 1}, Faults{Corrupt: 1})
	for _, raw := range [][]byte{frame(0xc0, nil), frame(0x10, []byte("connect")), frame(0x82, bytes.Repeat([]byte{1}, 300))} {
		if _, err := w.client.Write(raw); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(raw))
		if _, err := io.ReadFull(w.toBroker, got); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("%x became %x, %v", raw, got, err)
		}
	}
}

func TestDuplicates(t *testing.T) {
	w := newWire(t, Config{})
	w.p.SetFaults(Faults{Duplicate: 1}, Faults{})
	w.send(3)
	want := []string{"payload 0000", "dup payload 0000", "payload 0001", "dup payload 0001", "payload 0002", "dup payload 0002"}
	if got := w.recv(6); !slices.Equal(got, want) || w.p.Counts().Duplicated != 3 {
		t.Fatalf("%q, %v", got, w.p.Counts())
	}
}

// Nothing of what is overtaken is lost, also not what nothing comes after.
func TestReorders(t *testing.T) {
	w := newWire(t, Config{})
	w.p.SetFaults(Faults{Reorder: 0.3}, Faults{})
	w.send(200)
	got := w.recv(200)
	if slices.IsSorted(got) {
		t.Error("all came in order")
	}
	slices.Sort(got)
	for i, s := range got {
		if s != fmt.Sprintf("payload %04d", i) {
			t.Fatalf("message %d is %q", i, s)
		}
	}
}

func TestShortensAndDamages(t *testing.T) {
	w := newWire(t, Config{Match: func(topic string) bool { return strings.HasSuffix(topic, "/readings") }})
	w.p.SetFaults(Faults{Truncate: 1}, Faults{})
	w.send(20)
	for i, s := range w.recv(20) {
		if want := fmt.Sprintf("payload %04d", i); len(s) >= len(want) || !strings.HasPrefix(want, s) {
			t.Fatalf("%q became %q", want, s)
		}
	}
	w.p.SetFaults(Faults{Corrupt: 1}, Faults{})
	w.send(20)
	for i, s := range w.recv(20) {
		if want := fmt.Sprintf("payload %04d", i); len(s) != len(want) || s == want {
			t.Fatalf("%q became %q", want, s)
		}
	}
	if _, err := w.client.Write(message("a/status", 9, "online")); err != nil {
		t.Fatal(err)
	}
	if got := w.recv(1); got[0] != "online" {
		t.Fatalf("a message that does not match became %q", got)
	}
}

// What is lost is confirmed, as by a broker that forgets.
func TestLosesAfterConfirming(t *testing.T) {
	w := newWire(t, Config{})
	w.p.SetFaults(Faults{Lose: 1}, Faults{})
	w.send(1)
	kind, body, err := read(w.toClient)
	if err != nil || kind != puback<<4 || !bytes.Equal(body, []byte{0, 1}) {
		t.Fatalf("%x %x %v", kind, body, err)
	}
	w.p.SetFaults(Faults{}, Faults{})
	if _, err := w.client.Write(message("a/readings", 2, "next")); err != nil {
		t.Fatal(err)
	}
	if got := w.recv(1); got[0] != "next" {
		t.Fatalf("%q came", got)
	}
}

func TestCutsWithinAPacket(t *testing.T) {
	w := newWire(t, Config{})
	w.p.SetFaults(Faults{Cut: 1}, Faults{})
	w.send(1)
	if _, _, err := read(w.toBroker); err == nil {
		t.Fatal("a whole packet came")
	}
	if _, err := w.toClient.ReadByte(); err == nil {
		t.Fatal("the client is still connected")
	}
}

func TestStallsAndGoesOn(t *testing.T) {
	w := newWire(t, Config{})
	w.p.Stall()
	w.send(1)
	_ = w.broker.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := w.broker.Read(make([]byte, 1)); err == nil {
		t.Fatal("something came through")
	}
	_ = w.broker.SetReadDeadline(time.Now().Add(20 * time.Second))
	w.p.Resume()
	if got := w.recv(1); got[0] != "payload 0000" {
		t.Fatalf("%q", got)
	}
}

// Whatever bytes a client sends, the proxy outlives it.
func FuzzPackets(f *testing.F) {
	f.Add(message("a/readings", 1, "x"))
	f.Add([]byte{0x32, 2, 0xff, 0xff})
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		for {
			kind, body, err := read(r)
			if err != nil {
				return
			}
			again, body2, err := read(bufio.NewReader(bytes.NewReader(frame(kind, body))))
			if err != nil || again != kind || !bytes.Equal(body, body2) {
				t.Fatalf("%x %x became %x %x, %v", kind, body, again, body2, err)
			}
			if _, head, ok := split(kind, body); ok && (head < 2 || head > len(body)) {
				t.Fatalf("the payload of %x begins at %d", body, head)
			}
		}
	})
}
