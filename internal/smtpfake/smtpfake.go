// Package smtpfake is an SMTP server for tests and for looking at what Coldkeep
// sends. It speaks enough of RFC 5321 for a mail client: EHLO, STARTTLS, AUTH PLAIN
// and LOGIN, MAIL, RCPT, DATA, RSET, NOOP, QUIT. It delivers nothing; it keeps what
// it was given and fails on demand.
package smtpfake

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"
)

// Config sets a Server up.
type Config struct {
	Addr     string // a free local port when empty
	TLS      bool   // offer STARTTLS
	Implicit bool   // TLS from the first byte
	User     string // with Password: sign-in is required
	Password string
}

// Message is one message that was accepted.
type Message struct {
	From   string
	To     []string
	Header mail.Header
	Data   string // as it came, with its header
	Secure bool   // it came over TLS
	User   string // who had signed in
}

// Reply is what a fault answers: "451 try later", or "" to cut the connection.
type Reply string

// Cut closes the connection without a word.
const Cut Reply = ""

// Server is the fake.
type Server struct {
	cfg  Config
	addr string
	cert tls.Certificate
	pem  []byte

	mu     sync.Mutex
	l      net.Listener // nil while it is away
	conns  map[net.Conn]struct{}
	got    []Message
	faults []fault
	listen func(Message)
	wg     sync.WaitGroup
}

// fault answers the next command that begins with verb.
type fault struct {
	verb  string
	reply Reply
	hang  bool
}

// New starts a server.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, addr: cfg.Addr, conns: make(map[net.Conn]struct{})}
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	var err error
	if s.cert, s.pem, err = selfSigned(); err != nil {
		return nil, err
	}
	return s, s.Up()
}

// Host is the server's host.
func (s *Server) Host() string { return s.tcp().IP.String() }

// Port is the server's port, up or away.
func (s *Server) Port() int { return s.tcp().Port }

func (s *Server) tcp() *net.TCPAddr {
	a, err := net.ResolveTCPAddr("tcp", s.addr)
	if err != nil {
		panic(err) // the address was listened on
	}
	return a
}

// RootsPEM is the certificate by which to trust the server.
func (s *Server) RootsPEM() []byte { return s.pem }

// Up brings the server back on its port.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l != nil {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return err
	}
	s.l, s.addr = l, l.Addr().String()
	s.wg.Go(func() { s.accept(l) })
	return nil
}

// Down takes the server away: connections break, new ones are refused.
func (s *Server) Down() {
	s.mu.Lock()
	if s.l != nil {
		_ = s.l.Close() // going away is the point
		s.l = nil
	}
	for c := range s.conns {
		_ = c.Close() // breaking connections is the point
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Close takes the server away for good.
func (s *Server) Close() { s.Down() }

// Fail answers the next command that begins with verb, such as "RCPT", by reply.
// The verb "." is the end of a message's text.
func (s *Server) Fail(verb string, reply Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{verb: verb, reply: reply})
}

// Hang answers nothing to the next command that begins with verb.
func (s *Server) Hang(verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{verb: verb, hang: true})
}

// CutAfterData keeps the next message and cuts the connection in place of the
// receipt.
func (s *Server) CutAfterData() { s.Fail("kept", Cut) }

// OnMessage calls listen with every message accepted.
func (s *Server) OnMessage(listen func(Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = listen
}

// Messages lists what was accepted, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.got...)
}

func (s *Server) take(command string) (fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if strings.HasPrefix(strings.ToUpper(command), strings.ToUpper(f.verb)) {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return f, true
		}
	}
	return fault{}, false
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				panic("smtpfake: " + err.Error())
			}
			return
		}
		s.mu.Lock()
		if s.l == nil {
			s.mu.Unlock()
			_ = c.Close() // it went away meanwhile
			return
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c)
			_ = c.Close() // whatever it was, it is over
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *Server) serve(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // a TCP connection has deadlines
	ss := &session{server: s}
	if s.cfg.Implicit {
		c = tls.Server(c, s.tlsConfig())
		ss.secure = true
	}
	ss.use(c)
	ss.run()
}

func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}
}
