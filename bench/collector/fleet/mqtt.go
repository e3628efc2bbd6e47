package fleet

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pingEvery is half the keep-alive that we promise.
const pingEvery = 15 * time.Second

// unconfirmed bounds the publications that wait for the broker's PUBACK. A broker
// that is slower than we are then slows us down.
const unconfirmed = 1000

// client is an MQTT 3.1.1 client that publishes with QoS 1. What the broker
// confirms is only counted: delivery is the collector's word.
type client struct {
	conn net.Conn
	in   *bufio.Reader

	mu    sync.Mutex // guards out and id
	out   *bufio.Writer
	id    uint16
	room  chan struct{} // a token a publication that the broker has not confirmed
	heard atomic.Int64  // when the broker last said something, ms

	onPublish func(topic string, payload []byte)

	once sync.Once
	done chan struct{}
	why  error
}

type packetWill struct {
	topic   string
	payload []byte
}

var errRefused = errors.New("the broker refuses the connection")

// dial connects and signs in, with a clean session.
func dial(ctx context.Context, addr, id, user, password string, will *packetWill) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), out: bufio.NewWriterSize(conn, 64<<10), room: make(chan struct{}, unconfirmed), done: make(chan struct{})}
	flags := byte(0x02) // clean session
	body := text(nil, "MQTT")
	body = append(body, 4, 0, 0, byte(2*pingEvery/time.Second))
	body = text(body, id)
	if will != nil {
		flags |= 0x04 | 0x08 | 0x20 // will, QoS 1, retained
		body = text(text(body, will.topic), string(will.payload))
	}
	if user != "" {
		flags |= 0x80 | 0x40
		body = text(text(body, user), password)
	}
	body[7] = flags
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a closed connection shows below
	if err = c.write(0x10, body); err == nil {
		err = c.out.Flush()
	}
	var kind byte
	var answer []byte
	if err == nil {
		kind, answer, err = packet(c.in, nil)
	}
	if err == nil && (kind>>4 != 2 || len(answer) != 2 || answer[1] != 0) {
		err = errRefused
	}
	if err != nil {
		_ = conn.Close() // it is of no use
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{}) // as above
	c.heard.Store(time.Now().UnixMilli())
	return c, nil
}

// subscribe asks for topics with QoS 1 and waits for the answer. Nothing else reads
// yet.
func (c *client) subscribe(topics []string) error {
	body := []byte{0, 1}
	for _, t := range topics {
		body = append(text(body, t), 1)
	}
	if err := c.write(0x82, body); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // a closed connection shows below
	for {
		kind, body, err := packet(c.in, nil)
		if err != nil {
			return err
		}
		if kind>>4 != 9 {
			c.deal(kind, body)
			continue
		}
		for i, code := range body[min(2, len(body)):] {
			if code >= 0x80 {
				return fmt.Errorf("the broker does not let us subscribe to %s", topics[i])
			}
		}
		return c.conn.SetReadDeadline(time.Time{})
	}
}

// publish sends a message, when the broker has confirmed enough of those before.
func (c *client) publish(topic string, payload []byte, retained bool) error {
	select {
	case c.room <- struct{}{}:
	default:
		if err := c.flush(); err != nil {
			return err
		}
		select {
		case c.room <- struct{}{}:
		case <-c.done:
			return c.err()
		}
	}
	kind := byte(0x32)
	if retained {
		kind |= 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id++; c.id < 2 {
		c.id = 2 // 0 is none, 1 was the subscription's
	}
	var head [8]byte
	head[0] = kind
	n := 1 + binary.PutUvarint(head[1:], uint64(2+len(topic)+2+len(payload))) // MQTT's lengths are little-endian base 128 too
	_, _ = c.out.Write(head[:n])                                              // a bufio.Writer keeps its error for the last
	_, _ = c.out.Write([]byte{byte(len(topic) >> 8), byte(len(topic))})
	_, _ = c.out.WriteString(topic)
	_, _ = c.out.Write([]byte{byte(c.id >> 8), byte(c.id)})
	_, err := c.out.Write(payload)
	return err
}

// mute reports whether the broker has left what we published, or a ping, without an
// answer for this long.
func (c *client) mute(limit time.Duration) bool {
	return time.Since(time.UnixMilli(c.heard.Load())) > max(limit, 2*pingEvery) || len(c.room) > 0 && time.Since(time.UnixMilli(c.heard.Load())) > limit
}

func (c *client) ping() error {
	if err := c.write(0xc0, nil); err != nil {
		return err
	}
	return c.flush()
}

func (c *client) write(kind byte, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var head [8]byte
	head[0] = kind
	n := 1 + binary.PutUvarint(head[1:], uint64(len(body)))
	_, _ = c.out.Write(head[:n]) // a bufio.Writer keeps its error for the last
	_, err := c.out.Write(body)
	return err
}

func (c *client) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Flush()
}

// read deals with what comes until the connection ends.
func (c *client) read() {
	var buf []byte
	for {
		kind, body, err := packet(c.in, buf)
		if err != nil {
			c.fail(err)
			return
		}
		buf = body[:0]
		c.heard.Store(time.Now().UnixMilli())
		c.deal(kind, body)
		if c.in.Buffered() == 0 && c.flush() != nil {
			return
		}
	}
}

func (c *client) deal(kind byte, body []byte) {
	switch kind >> 4 {
	case 4: // PUBACK
		select {
		case <-c.room:
		default: // a second one for the same message
		}
	case 3: // PUBLISH
		if len(body) < 2 {
			return
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		if len(body) < n {
			return
		}
		topic, rest := string(body[2:n]), body[n:]
		if kind&0x06 != 0 {
			if len(rest) < 2 {
				return
			}
			if err := c.write(0x40, rest[:2]); err != nil {
				c.fail(err)
			}
			rest = rest[2:]
		}
		c.onPublish(topic, rest)
	}
}

func (c *client) fail(err error) {
	c.once.Do(func() {
		c.why = err
		close(c.done)
		_ = c.conn.Close() // nothing more is said on it
	})
}

func (c *client) close() { c.fail(net.ErrClosed) }

func (c *client) err() error { return c.why }

// maxPacket bounds what a broker may send us: acks and commands are small.
const maxPacket = 1 << 20

// packet reads one packet into buf, which it may replace.
func packet(in *bufio.Reader, buf []byte) (kind byte, body []byte, err error) {
	if kind, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return 0, nil, err
	}
	if n > maxPacket {
		return 0, nil, fmt.Errorf("a packet of %d bytes", n)
	}
	if uint64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	body = buf[:n]
	_, err = io.ReadFull(in, body)
	return kind, body, err
}

// text appends a string as MQTT has it.
func text(out []byte, s string) []byte {
	return append(append(out, byte(len(s)>>8), byte(len(s))), s...)
}
