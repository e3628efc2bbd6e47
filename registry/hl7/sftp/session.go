package sftp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// way is the name of this way in, in the trail.
const way = "sftp"

// algorithms are what is spoken: what OpenSSH has offered since 7.4 (2016), without SHA-1,
// CBC, encrypt-and-MAC and key exchange by finite fields.
var algorithms = ssh.Config{
	KeyExchanges:   []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521},
	Ciphers:        []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR},
	MACs:           []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
	RekeyThreshold: 1 << 30,
}

var clientKeys = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}

const fingerprintKey = "fingerprint"

// config is that of one connection. tried is set when a key was refused.
func (s *Server) config(ctx context.Context, tried *atomic.Bool) *ssh.ServerConfig {
	c := &ssh.ServerConfig{Config: algorithms, PublicKeyAuthAlgorithms: clientKeys, MaxAuthTries: 6, ServerVersion: "SSH-2.0-Coldkeep",
		PublicKeyCallback: func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			print := ssh.FingerprintSHA256(key)
			by, err := s.Accounts.AccountByKey(ctx, conn.User(), print)
			if err == nil {
				err = by.Require(auth.ExchangeRecords, by.Site)
			}
			if err != nil {
				if code := coldkeep.ErrorCode(err); code != coldkeep.EUNAUTHORIZED && code != coldkeep.EFORBIDDEN {
					s.Log.Error("sftp: sign-in", "err", err)
				}
				return nil, errors.New("not known") // nobody is told more
			}
			// The client has only shown the key so far: who has signed with it is told by
			// the connection's permissions, and nothing is entered before.
			return &ssh.Permissions{Extensions: map[string]string{fingerprintKey: print}}, nil
		},
		AuthLogCallback: func(_ ssh.ConnMetadata, method string, err error) {
			if err != nil && method != "none" {
				tried.Store(true)
			}
		},
	}
	for _, k := range s.HostKeys {
		c.AddHostKey(k)
	}
	return c
}

// connection is one from beginning to end.
func (s *Server) connection(ctx context.Context, raw net.Conn) {
	stranger := true
	known := func() {
		if stranger {
			stranger = false
			s.mu.Lock()
			s.strangers--
			s.mu.Unlock()
		}
	}
	defer known()
	from := address(raw)
	ctx = audit.WithOrigin(ctx, audit.Origin{Address: from, Agent: way})
	_ = raw.SetDeadline(time.Now().Add(signInWithin)) // a connection that is closed says so when it is read
	conn := &idle{Conn: raw, end: time.Now().Add(stayAtMost)}
	var tried atomic.Bool
	var login atomic.Value
	cfg := s.config(ctx, &tried)
	check := cfg.PublicKeyCallback
	cfg.PublicKeyCallback = func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		login.Store(c.User())
		return check(c, key)
	}
	signed, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		if tried.Load() {
			wait := s.failures.Failed(throttle.Source(from), time.Now())
			s.Log.Warn("sftp: a sign-in was refused", "address", from, "wait", wait)
			name, _ := login.Load().(string)
			if err := s.Accounts.AccountRefused(ctx, name, way); err != nil {
				s.Log.Error("sftp: a refused sign-in is not in the trail", "err", err)
			}
		}
		return
	}
	defer func() { _ = signed.Close() }() // the client may have closed it
	who := &caller{accounts: s.Accounts, login: signed.User(), fingerprint: signed.Permissions.Extensions[fingerprintKey]}
	by, err := who.principal(ctx)
	if err != nil {
		return // revoked in this moment
	}
	if !s.known(by.ID) {
		s.Log.Warn("sftp: an account has too many connections", "account", by.ID, "at_most", maxSessions)
		return
	}
	defer s.gone(by.ID)
	known()
	s.failures.Succeeded(throttle.Source(from))
	if err := s.Accounts.AccountSignedIn(ctx, by, way); err != nil {
		s.Log.Error("sftp: a sign-in is not in the trail", "err", err)
		return // what is not in the trail does not happen
	}
	conn.signedIn()
	go ssh.DiscardRequests(requests)
	var open atomic.Int32
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only SFTP is served here")
			continue
		}
		if open.Add(1) > maxChannels {
			open.Add(-1)
			_ = ch.Reject(ssh.ResourceShortage, "too many channels")
			continue
		}
		c, in, err := ch.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() {
			defer open.Add(-1)
			s.channel(ctx, who, by, c, in)
		})
	}
}

// channel serves SFTP, and nothing else: no shell, no command, no forwarding.
func (s *Server) channel(ctx context.Context, who *caller, by auth.Principal, c ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = c.Close() }() // the client may have closed it
	for r := range requests {
		var sub struct{ Name string }
		if r.Type != "subsystem" || ssh.Unmarshal(r.Payload, &sub) != nil || sub.Name != "sftp" {
			_ = r.Reply(false, nil) // who is gone needs no reply
			continue
		}
		_ = r.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		t := &tree{server: s, ctx: ctx, who: who, account: by.ID}
		server := sftp.NewRequestServer(c, sftp.Handlers{FileGet: t, FilePut: t, FileCmd: t, FileList: t})
		if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
			s.Log.Debug("sftp: session", "err", err)
		}
		_ = server.Close()
		_, _ = c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
		return
	}
}

// caller is who has signed in. An account may be revoked meanwhile, so it is asked for anew
// before anything is done.
type caller struct {
	accounts           Accounts
	login, fingerprint string
}

func (c *caller) principal(ctx context.Context) (auth.Principal, error) {
	return c.accounts.AccountByKey(ctx, c.login, c.fingerprint)
}

// idle is a connection that ends when nothing comes for long.
type idle struct {
	net.Conn
	in  atomic.Bool
	end time.Time
}

func (p *idle) signedIn() {
	p.in.Store(true)
	p.wait()
}

func (p *idle) wait() {
	if !p.in.Load() {
		return // the deadline of the sign-in stands
	}
	until := time.Now().Add(idleAtMost)
	if until.After(p.end) {
		until = p.end
	}
	_ = p.SetDeadline(until) // a connection that is closed says so when it is read
}

// Read implements net.Conn.
func (p *idle) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if n > 0 {
		p.wait()
	}
	return n, err
}
