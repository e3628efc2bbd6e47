package smtpfake

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	text   *textproto.Conn
	secure bool
	user   string
	msg    Message
}

func (ss *session) use(c net.Conn) { ss.conn, ss.text = c, textproto.NewConn(c) }

// say writes a reply and reports whether the connection still stands.
func (ss *session) say(lines ...string) bool {
	for _, l := range lines {
		if ss.text.PrintfLine("%s", l) != nil {
			return false
		}
	}
	return true
}

// fails lets a fault that waits for command have its way.
func (ss *session) fails(command string) (failed, goOn bool) {
	f, ok := ss.server.take(command)
	if !ok {
		return false, true
	}
	if f.hang {
		_, _ = io.Copy(io.Discard, ss.conn) // until the client leaves
		return true, false
	}
	if f.reply == Cut {
		return true, false
	}
	return true, ss.say(string(f.reply))
}

func (ss *session) run() {
	if failed, goOn := ss.fails("connect"); failed && !goOn {
		return
	}
	if !ss.say("220 smtpfake ready") {
		return
	}
	for {
		line, err := ss.text.ReadLine()
		if err != nil {
			return
		}
		failed, goOn := ss.fails(line)
		if !failed {
			goOn = ss.command(line)
		}
		if !goOn {
			return
		}
	}
}

// command does one command and reports whether to go on.
func (ss *session) command(line string) bool {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return ss.ehlo()
	case "HELO", "NOOP":
		return ss.say("250 ok")
	case "STARTTLS":
		if !ss.server.cfg.TLS || ss.secure {
			return ss.say("502 not offered")
		}
		if !ss.say("220 go ahead") {
			return false
		}
		ss.use(tls.Server(ss.conn, ss.server.tlsConfig()))
		ss.secure, ss.user, ss.msg = true, "", Message{}
		return true
	case "AUTH":
		return ss.auth(arg)
	case "MAIL":
		if ss.server.cfg.User != "" && ss.user == "" {
			return ss.say("530 5.7.0 sign in first")
		}
		ss.msg = Message{From: address(arg), Secure: ss.secure, User: ss.user}
		return ss.say("250 ok")
	case "RCPT":
		ss.msg.To = append(ss.msg.To, address(arg))
		return ss.say("250 ok")
	case "DATA":
		return ss.data()
	case "RSET":
		ss.msg = Message{}
		return ss.say("250 ok")
	case "QUIT":
		ss.say("221 bye")
		return false
	}
	return ss.say("500 unknown command")
}

func (ss *session) ehlo() bool {
	lines := []string{"smtpfake", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if ss.server.cfg.TLS && !ss.secure {
		lines = append(lines, "STARTTLS")
	}
	if ss.server.cfg.User != "" {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + l
	}
	return ss.say(lines...)
}

func (ss *session) auth(arg string) bool {
	kind, first, _ := strings.Cut(arg, " ")
	var user, password string
	switch strings.ToUpper(kind) {
	case "PLAIN":
		if first == "" {
			first = ss.ask("")
		}
		parts := strings.Split(decode(first), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		if first == "" {
			first = ss.ask("Username:")
		}
		user, password = decode(first), decode(ss.ask("Password:"))
	default:
		return ss.say("504 5.5.4 unknown mechanism")
	}
	if user != ss.server.cfg.User || password != ss.server.cfg.Password || user == "" {
		return ss.say("535 5.7.8 wrong name or password")
	}
	ss.user = user
	return ss.say("235 2.7.0 welcome")
}

func (ss *session) ask(what string) string {
	if !ss.say("334 " + base64.StdEncoding.EncodeToString([]byte(what))) {
		return ""
	}
	line, err := ss.text.ReadLine()
	if err != nil {
		return ""
	}
	return line
}

func decode(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}

func (ss *session) data() bool {
	if len(ss.msg.To) == 0 {
		return ss.say("503 5.5.1 no recipient")
	}
	if !ss.say("354 go ahead") {
		return false
	}
	b, err := ss.text.ReadDotBytes()
	if err != nil {
		return false
	}
	if failed, goOn := ss.fails("."); failed {
		return goOn
	}
	m := ss.msg
	m.Data = string(b)
	if parsed, err := mail.ReadMessage(bufio.NewReader(bytes.NewReader(b))); err == nil {
		m.Header = parsed.Header
	}
	ss.server.mu.Lock()
	ss.server.got = append(ss.server.got, m)
	listen := ss.server.listen
	ss.server.mu.Unlock()
	if listen != nil {
		listen(m)
	}
	if failed, _ := ss.fails("kept"); failed {
		return false
	}
	return ss.say("250 2.0.0 kept")
}

// address reads "FROM:<a@b> …".
func address(arg string) string {
	_, s, _ := strings.Cut(arg, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// selfSigned makes a certificate for the local machine.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smtpfake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
