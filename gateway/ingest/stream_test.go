package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// packet is a PUBLISH as a broker sends it.
func packet(topic string, payload []byte, qos, retain byte, id uint16) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
	body = append(body, topic...)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	body = append(body, payload...)
	out := []byte{packetPublish<<4 | qos<<1 | retain}
	for n := len(body); ; {
		b := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b |= 0x80
		}
		if out = append(out, b); n == 0 {
			break
		}
	}
	return append(out, body...)
}

// canned is a connection that gives some bytes, a few at a time, and keeps what is
// written to it.
type canned struct {
	net.Conn
	in    io.Reader
	piece int

	mu     sync.Mutex
	out    bytes.Buffer
	writes int
}

func (c *canned) Read(p []byte) (int, error) { return c.in.Read(p[:min(len(p), c.piece)]) }
func (c *canned) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.out.Write(p)
}
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) Close() error                     { return nil }

func open(c *canned, take taker) *stream {
	raw := &paced{Conn: c}
	return newStream(raw, raw, take)
}

// However the bytes are cut: PUBLISH packets are handed on and acknowledged, the
// rest goes up unchanged, and of a payload that is too long a bounded part is held.
func TestStream(t *testing.T) {
	pingresp, suback := []byte{0xd0, 0}, []byte{0x90, 3, 0, 1, 1}
	exact2 := packet("t/2", []byte("exactly twice"), 2, 0, 9)
	for _, piece := range []int{1 << 20, 4000, 700} {
		huge := bytes.Repeat([]byte("x"), 3*wire.MaxPayload)
		var in []byte
		for _, p := range [][]byte{suback, packet("t/1", []byte("one"), 1, 0, 1), packet("t/0", []byte("zero"), 0, 1, 0), pingresp,
			packet("t/1", bytes.Repeat([]byte("y"), 100_000), 1, 0, 2), packet("t/1", huge, 1, 0, 3), exact2, packet("t/1", nil, 1, 1, 0x0a0b), pingresp} {
			in = append(in, p...)
		}
		c := &canned{in: bytes.NewReader(in), piece: piece}
		var got []string
		s := open(c, func(topic string, payload []byte, size int, retained bool) error {
			got = append(got, fmt.Sprint(topic, " ", len(payload), " ", size, " ", retained))
			if size <= wire.MaxPayload && len(payload) != size || len(payload) > packetMost {
				t.Errorf("%d bytes of %d are handed on", len(payload), size)
			}
			return nil
		})
		up, err := io.ReadAll(io.LimitReader(s, int64(len(suback)+len(exact2)+2*len(pingresp))))
		want := append(append(append(append([]byte{}, suback...), pingresp...), exact2...), pingresp...)
		if err != nil || !bytes.Equal(up, want) {
			t.Fatalf("by %d: up went %x, %v, want %x", piece, up, err, want)
		}
		if len(got) != 5 || got[0] != "t/1 3 3 false" || got[1] != "t/0 4 4 true" || got[2] != "t/1 100000 100000 false" || got[4] != "t/1 0 0 true" ||
			!strings.HasSuffix(got[3], fmt.Sprint(" ", len(huge), " false")) {
			t.Fatalf("by %d: handed on %v", piece, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if acks := c.out.Bytes(); !bytes.Equal(acks, []byte{0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2, 0, 3, 0x40, 2, 0x0a, 0x0b}) {
			t.Fatalf("by %d: acknowledged %x", piece, acks)
		}
		if piece == 1<<20 && c.writes > 10 {
			t.Fatalf("%d writes", c.writes)
		}
	}
}

// What paho writes goes out soon, in order with the acknowledgements, and in few
// writes.
func TestStreamGathersWrites(t *testing.T) {
	c := &canned{in: strings.NewReader(""), piece: 1}
	s := open(c, nil)
	for range 1000 {
		if _, err := s.Write([]byte("abcd")); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		n, writes := c.out.Len(), c.writes
		c.mu.Unlock()
		if n == 4000 {
			if writes > 500 {
				t.Fatalf("%d writes", writes)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes went out", n)
		}
	}
}

// An intake that ends stops the reading, and what was not taken is not acknowledged.
func TestStreamDoesNotAcknowledgeWhatWasNotTaken(t *testing.T) {
	c := &canned{in: bytes.NewReader(append(packet("t", []byte("a"), 1, 0, 1), packet("t", []byte("b"), 1, 0, 2)...)), piece: 1000}
	stop := errors.New("the intake has ended")
	s := open(c, func(_ string, payload []byte, _ int, _ bool) error {
		if string(payload) == "b" {
			return stop
		}
		return nil
	})
	if _, err := s.Read(make([]byte, 10)); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	_ = s.Close() // sends what is left
	if !bytes.Equal(c.out.Bytes(), []byte{0x40, 2, 0, 1}) {
		t.Fatalf("acknowledged %x", c.out.Bytes())
	}
}

// No bytes of a broker break the reader.
func FuzzStream(f *testing.F) {
	f.Add(packet("t/1", []byte("one"), 1, 0, 1), 3)
	f.Add(append(packet("t/1", []byte("one"), 0, 1, 1), 0xd0, 0), 1)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, 2)
	f.Add([]byte{0x32, 3, 0, 9, 'x'}, 100)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece < 1 || len(in)/piece > 100 {
			piece = len(in) + 1
		}
		c := &canned{in: bytes.NewReader(in), piece: piece}
		s := open(c, func(_ string, payload []byte, size int, _ bool) error {
			if len(payload) > size {
				t.Fatalf("%d bytes of %d", len(payload), size)
			}
			return nil
		})
		if n, err := io.Copy(io.Discard, s); n > int64(len(in)) {
			t.Fatalf("%d bytes went up, %v", n, err)
		}
		_ = s.Close() // a canned one does not fail
	})
}
