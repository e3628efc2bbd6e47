package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// stream is a connection to a broker that lies under paho's client. paho hands every
// message through four goroutines and reads and acknowledges each with system calls
// of its own, which cost more than all that is done with the message; so the stream
// takes the PUBLISH packets out of what comes, hands them on and acknowledges them
// itself, by the bufferful. All else goes up to paho as it came, and what paho writes
// goes out within writeDelay.
type stream struct {
	net.Conn
	in     *bufio.Reader
	take   taker
	topics map[string]string // seen before, so that each is one string
	big    []byte            // a packet larger than in's room
	pass   int               // bytes of a packet that go up to paho

	mu     sync.Mutex
	out    []byte
	timer  *time.Timer // runs while out has something of paho's
	failed error
}

const (
	streamBuffer = 64 << 10
	// writeDelay gathers what paho writes packet by packet.
	writeDelay = 2 * time.Millisecond
	writeMost  = 16 << 10
	// gather is the least time between two reads that give little: what comes meanwhile
	// is read at once, and acknowledged at once.
	gather      = 2 * time.Millisecond
	gatherBytes = 16 << 10
	topicsKept  = 50_000
	// packetMost is the longest packet that is held whole: the greatest payload and
	// topic. Of a longer one the payload is cut.
	packetMost = wire.MaxPayload + 1 + 1<<16
)

// MQTT 3.1.1, chapter 2.2 and 3.3.
const (
	packetPublish = 3
	packetPuback  = 4
	flagRetain    = 1
)

// dial connects to a broker as paho would, with a stream on top.
func dial(ctx context.Context, u *url.URL, config *tls.Config, take taker) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	raw := &paced{Conn: c}
	if !slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme) {
		return newStream(raw, raw, take), nil
	}
	if config = config.Clone(); config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	secure := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close() // nothing was sent
		return nil, err
	}
	return newStream(secure, raw, take), nil
}

// taker is handed the messages, with the payload good until it returns, and how long
// that was before it was cut.
type taker func(topic string, payload []byte, size int, retained bool) error

// newStream makes a stream on conn, whose bytes come from raw.
func newStream(conn net.Conn, raw *paced, take taker) *stream {
	s := &stream{Conn: conn, take: take, topics: map[string]string{}}
	s.in = bufio.NewReaderSize(conn, streamBuffer)
	raw.before = s.flush
	return s
}

// paced is a TCP connection, under TLS or not, that is read when all that came before
// is dealt with. That is the time to send the acknowledgements of it.
type paced struct {
	net.Conn
	before func() error // nil until there is a stream
	last   time.Time
	few    bool // the last read emptied it and gave little
}

func (r *paced) Read(p []byte) (int, error) {
	if r.before != nil {
		if err := r.before(); err != nil {
			return 0, err
		}
		if r.few {
			// We are faster than the broker, and would be woken for every message.
			if wait := gather - time.Since(r.last); wait > 0 {
				time.Sleep(wait)
			}
		}
	}
	n, err := r.Conn.Read(p)
	r.few, r.last = n < len(p) && n < gatherBytes, time.Now()
	return n, err
}

// Read gives paho the bytes of packets other than PUBLISH. It is called by one
// goroutine at a time.
func (s *stream) Read(p []byte) (int, error) {
	for s.pass == 0 {
		if err := s.packet(); err != nil {
			return 0, err
		}
	}
	n, err := s.in.Read(p[:min(len(p), s.pass)])
	s.pass -= n
	return n, err
}

var errMalformed = errors.New("broker sent a malformed packet")

// packet deals with the next packet if it is a PUBLISH, or lets it pass.
func (s *stream) packet() error {
	first, err := s.in.Peek(1)
	if err != nil {
		return err
	}
	flags := first[0]
	length, head := 0, 1
	for shift := 0; ; shift += 7 {
		if head == 5 {
			return errMalformed
		}
		b, err := s.in.Peek(head + 1)
		if err != nil {
			return err
		}
		length |= int(b[head]&0x7f) << shift
		head++
		if b[head-1] < 0x80 {
			break
		}
	}
	qos := flags >> 1 & 3
	if flags>>4 != packetPublish || qos > 1 {
		s.pass = head + length
		return nil
	}
	_, _ = s.in.Discard(head) // they were peeked at
	body, held := []byte(nil), min(length, packetMost)
	if held <= s.in.Size() {
		if body, err = s.in.Peek(held); err != nil {
			return err
		}
	} else {
		s.big = slices.Grow(s.big[:0], held)[:held]
		body = s.big
		if _, err = io.ReadFull(s.in, body); err != nil {
			return err
		}
	}
	if len(body) < 2 {
		return errMalformed
	}
	n := int(binary.BigEndian.Uint16(body))
	rest := 2 + n + 2*int(qos)
	if len(body) < rest {
		return errMalformed
	}
	if err := s.take(s.topic(body[2:2+n]), body[rest:], length-rest, flags&flagRetain != 0); err != nil {
		return err
	}
	if qos == 1 {
		s.ack(body[2+n], body[3+n])
	}
	if held <= s.in.Size() {
		_, _ = s.in.Discard(held) // they were peeked at
	} else if cap(s.big) > 4*streamBuffer {
		s.big = nil
	}
	if held < length {
		_, err = io.CopyN(io.Discard, s.in, int64(length-held))
	}
	return err
}

func (s *stream) topic(b []byte) string {
	if t, ok := s.topics[string(b)]; ok {
		return t
	}
	if len(s.topics) >= topicsKept {
		clear(s.topics)
	}
	t := string(b)
	s.topics[t] = t
	return t
}

// ack acknowledges a packet, at the latest when all that came with it is dealt with.
func (s *stream) ack(hi, lo byte) {
	s.mu.Lock()
	s.out = append(s.out, packetPuback<<4, 2, hi, lo)
	if len(s.out) >= writeMost {
		_ = s.flushLocked() // the next flush tells
	}
	s.mu.Unlock()
}

// Write takes what paho sends. It goes out soon; a failure is told by the next call.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return 0, s.failed
	}
	s.out = append(s.out, p...)
	if len(s.out) >= writeMost {
		return len(p), s.flushLocked()
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(writeDelay, func() {
			if err := s.flush(); err != nil {
				_ = s.Conn.Close() // the reader sees it and tells
			}
		})
	}
	return len(p), nil
}

func (s *stream) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flushLocked()
}

func (s *stream) flushLocked() error {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.failed != nil || len(s.out) == 0 {
		return s.failed
	}
	if s.failed = s.Conn.SetWriteDeadline(time.Now().Add(connectTimeout)); s.failed == nil {
		_, s.failed = s.Conn.Write(s.out)
	}
	s.out = s.out[:0]
	return s.failed
}

// SetWriteDeadline does nothing: each flush has its own, and paho's is for a packet.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// Close sends what is left, unless somebody is stuck in sending, and closes.
func (s *stream) Close() error {
	if s.mu.TryLock() {
		_ = s.flushLocked() // a connection that is cut is closed all the same
		s.mu.Unlock()
	}
	return s.Conn.Close()
}
