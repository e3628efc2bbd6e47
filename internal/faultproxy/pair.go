package faultproxy

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// fault is what is done to one message.
type fault int

const (
	pass fault = iota
	duplicate
	reorder
	delayed
	truncate
	corrupt
	lose
	cut
)

// pair is a client and the broker behind it.
type pair struct {
	p              *Proxy
	client, server *end
}

func (c *pair) close() {
	_ = c.client.conn.Close() // what is under way is lost, as it is meant to be
	_ = c.server.conn.Close()
	c.p.mu.Lock()
	delete(c.p.pairs, c)
	c.p.mu.Unlock()
}

// end is one of the two connections. What is held back for it waits here.
type end struct {
	conn net.Conn
	mu   sync.Mutex
	held []held
}

// held is a packet that later ones overtake.
type held struct {
	packet []byte
	after  int // so many more
}

// heldMost is how long a packet is held back when nothing overtakes it.
const heldMost = 300 * time.Millisecond

func (e *end) write(b []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err := e.conn.Write(b)
	return err
}

// hold keeps a packet back until after more messages have passed, or for a while.
func (e *end) hold(packet []byte, after int) {
	e.mu.Lock()
	e.held = append(e.held, held{packet, after})
	e.mu.Unlock()
	time.AfterFunc(heldMost, func() { _ = e.overtaken(1 << 20) }) // a closed connection has lost it
}

// overtaken counts messages that have passed, and sends what has waited for them.
func (e *end) overtaken(n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	rest := e.held[:0]
	var err error
	for _, h := range e.held {
		if h.after -= n; h.after > 0 {
			rest = append(rest, h)
			continue
		}
		if _, werr := e.conn.Write(h.packet); werr != nil {
			err = werr
		}
	}
	e.held = rest
	return err
}

// carry takes packets from one end to the other until either ends.
func (c *pair) carry(from, to *end, up bool) {
	defer c.close()
	in := bufio.NewReaderSize(from.conn, 64<<10)
	for {
		kind, body, err := read(in)
		if err != nil {
			return
		}
		c.p.wait()
		if kind>>4 != publish {
			if to.write(frame(kind, body)) != nil {
				return
			}
			continue
		}
		if c.message(from, to, kind, body, up) != nil || to.overtaken(1) != nil {
			return
		}
	}
}

// message does to a PUBLISH what chance has for it.
func (c *pair) message(from, to *end, kind byte, body []byte, up bool) error {
	topic, head, ok := split(kind, body)
	if !ok {
		return to.write(frame(kind, body))
	}
	do, wait, after := c.p.chance(up, topic)
	payload := body[head:]
	switch do {
	case duplicate:
		if err := to.write(frame(kind, body)); err != nil {
			return err
		}
		kind |= 0x08 // DUP, as a client that sends it again would say
	case reorder:
		to.hold(frame(kind, body), after+1) // it is overtaken by itself first
		return nil
	case delayed:
		time.Sleep(wait)
	case truncate:
		c.p.draw(func(rng *rand.Rand) { body = body[:head+rng.IntN(max(1, len(payload)))] })
	case corrupt:
		if len(payload) > 0 {
			c.p.draw(func(rng *rand.Rand) { c.p.cfg.Damage(rng, payload) })
		}
	case lose:
		if kind&0x06 == 0 {
			return nil
		}
		return from.write([]byte{puback << 4, 2, body[head-2], body[head-1]})
	case cut:
		whole := frame(kind, body)
		_ = to.write(whole[:len(whole)/2]) // the end follows at once
		return io.ErrUnexpectedEOF
	}
	return to.write(frame(kind, body))
}

// The kinds of packet that are looked at (MQTT 3.1.1, table 2.1).
const (
	publish = 3
	puback  = 4
)

// most is the largest packet that MQTT has (section 2.2.3).
const most = 268_435_455

// read reads one packet.
func read(in *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(in) // MQTT's lengths are little-endian base 128 too
	if err != nil || n > most {
		return 0, nil, io.ErrUnexpectedEOF
	}
	body = make([]byte, n)
	_, err = io.ReadFull(in, body)
	return kind, body, err
}

// frame writes one packet.
func frame(kind byte, body []byte) []byte {
	out := append(make([]byte, 0, len(body)+6), kind)
	out = binary.AppendUvarint(out, uint64(len(body)))
	return append(out, body...)
}

// split finds the topic of a PUBLISH and where its payload begins.
func split(kind byte, body []byte) (topic string, head int, ok bool) {
	if len(body) < 2 {
		return "", 0, false
	}
	head = 2 + int(binary.BigEndian.Uint16(body))
	if len(body) < head {
		return "", 0, false
	}
	topic = string(body[2:head])
	if kind&0x06 != 0 {
		head += 2 // the packet's id
	}
	return topic, head, len(body) >= head
}
