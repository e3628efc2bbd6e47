package email_test

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/alerts/channel/channeltest"
	"github.com/coldkeep/coldkeep/alerts/channel/email"
	"github.com/coldkeep/coldkeep/internal/smtpfake"
)

func server(t *testing.T, cfg smtpfake.Config) *smtpfake.Server {
	t.Helper()
	s, err := smtpfake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func channel(t *testing.T, s *smtpfake.Server, cfg email.Config) *email.Channel {
	t.Helper()
	cfg.Host, cfg.Port = s.Host(), s.Port()
	if cfg.From == "" {
		cfg.From = "Coldkeep <alerts@north.example>"
	}
	if cfg.TLS != email.TLSNone {
		cfg.RootsFile = write(t, "roots.pem", string(s.RootsPEM()))
	}
	c, err := email.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// text is the body as a mail program shows it.
func text(t *testing.T, m smtpfake.Message) string {
	t.Helper()
	_, body, _ := strings.Cut(m.Data, "\n\n")
	if m.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
		t.Fatalf("encoding %q", m.Header.Get("Content-Transfer-Encoding"))
	}
	b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func subject(t *testing.T, m smtpfake.Message) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Rig {
		s := server(t, smtpfake.Config{TLS: true})
		return channeltest.Rig{
			Channel: channel(t, s, email.Config{}),
			To:      "manager@north.example",
			Bad:     []string{"nobody", "a@b, c@d", "a@b\r\nBcc: all@north.example", "http://127.0.0.1/"},
			Got: func() (out []channeltest.Receipt) {
				for _, m := range s.Messages() {
					id := strings.TrimSuffix(strings.TrimPrefix(m.Header.Get("Message-ID"), "<"), "@north.example>")
					out = append(out, channeltest.Receipt{ID: id, Text: text(t, m)})
				}
				return out
			},
			Away: s.Down,
			Back: func() {
				if err := s.Up(); err != nil {
					t.Fatal(err)
				}
			},
			Busy:   func() { s.Fail("RCPT", "451 4.7.1 greylisted, come again") },
			Refuse: func() { s.Fail("RCPT", "550 5.1.1 no such user") },
			Hang:   func() func() { s.Hang("DATA"); return func() {} },
			Lose:   s.CutAfterData,
		}
	})
}

func TestMessage(t *testing.T) {
	s := server(t, smtpfake.Config{TLS: true})
	c := channel(t, s, email.Config{})
	m := channeltest.Example()
	m.To = "Nurse in charge <manager@north.example>"
	m.Appliance.Name = "Varicella\r\nBcc: all@north.example" // typed by somebody
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.ID, m.Event = "01JLATER", alerts.EventResolved
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Messages()
	first, later := got[0], got[1]
	if first.From != "alerts@north.example" || len(first.To) != 1 || first.To[0] != "manager@north.example" || !first.Secure {
		t.Errorf("got %+v", first)
	}
	if first.Header.Get("Bcc") != "" || !strings.Contains(subject(t, first), "Varicella Bcc: all@north.example") {
		t.Errorf("a name has become a header: %q", subject(t, first))
	}
	if first.Header.Get("References") == "" || first.Header.Get("References") != later.Header.Get("References") ||
		first.Header.Get("Message-ID") == later.Header.Get("Message-ID") {
		t.Errorf("no thread: %v, %v", first.Header, later.Header)
	}
	if first.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Error("a holiday reply would come back")
	}
	if ct := first.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("type %q", ct)
	}
}

func TestProtection(t *testing.T) {
	for _, c := range []struct {
		name   string
		server smtpfake.Config
		tls    email.TLS
		ok     bool
		secure bool
	}{
		{"mandatory and offered", smtpfake.Config{TLS: true}, email.TLSMandatory, true, true},
		// A stripped STARTTLS must not send the message in the clear.
		{"mandatory and not offered", smtpfake.Config{}, email.TLSMandatory, false, false},
		{"opportunistic and offered", smtpfake.Config{TLS: true}, email.TLSOpportunistic, true, true},
		{"opportunistic and not offered", smtpfake.Config{}, email.TLSOpportunistic, true, false},
		{"implicit", smtpfake.Config{Implicit: true}, email.TLSImplicit, true, true},
		{"none", smtpfake.Config{TLS: true}, email.TLSNone, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server(t, c.server)
			m := channeltest.Example()
			m.To = "manager@north.example"
			again, err := channel(t, s, email.Config{TLS: c.tls}).Send(t.Context(), m)
			if (err == nil) != c.ok || again == c.ok {
				t.Fatalf("retryable %v, %v", again, err)
			}
			if got := s.Messages(); c.ok && (len(got) != 1 || got[0].Secure != c.secure) || !c.ok && len(got) != 0 {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

func TestCertificateMustBeTrusted(t *testing.T) {
	s, other := server(t, smtpfake.Config{TLS: true}), server(t, smtpfake.Config{TLS: true})
	c, err := email.New(email.Config{Host: s.Host(), Port: s.Port(), From: "a@north.example",
		RootsFile: write(t, "roots.pem", string(other.RootsPEM()))})
	if err != nil {
		t.Fatal(err)
	}
	m := channeltest.Example()
	m.To = "manager@north.example"
	if again, err := c.Send(t.Context(), m); err == nil || !again || len(s.Messages()) != 0 {
		t.Fatalf("retryable %v, %v", again, err)
	}
}

func TestSignIn(t *testing.T) {
	for _, c := range []struct {
		name     string
		server   smtpfake.Config
		tls      email.TLS
		password string
		ok       bool
	}{
		{"right", smtpfake.Config{TLS: true}, email.TLSMandatory, "hunter2\n", true},
		{"right, implicit TLS", smtpfake.Config{Implicit: true}, email.TLSImplicit, "hunter2", true},
		// Somebody will mend it: the alert waits.
		{"wrong", smtpfake.Config{TLS: true}, email.TLSMandatory, "hunter3", false},
		{"in the clear to this machine", smtpfake.Config{}, email.TLSNone, "hunter2", true},
		// PLAIN and LOGIN show the password to whoever listens.
		{"in the clear to another", smtpfake.Config{Addr: "127.0.0.2:0"}, email.TLSNone, "hunter2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.User, c.server.Password = "coldkeep", "hunter2"
			s := server(t, c.server)
			m := channeltest.Example()
			m.To = "manager@north.example"
			again, err := channel(t, s, email.Config{TLS: c.tls, User: "coldkeep", PasswordFile: write(t, "password", c.password)}).Send(t.Context(), m)
			if (err == nil) != c.ok || again == c.ok {
				t.Fatalf("retryable %v, %v", again, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Fatalf("the error shows the password: %v", err)
			}
			if got := s.Messages(); c.ok && (len(got) != 1 || got[0].User != "coldkeep") {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	good := email.Config{Host: "mail.example", From: "a@b.example"}
	for want, change := range map[string]func(*email.Config){
		"host":          func(c *email.Config) { c.Host = "" },
		"from":          func(c *email.Config) { c.From = "nobody" },
		"password file": func(c *email.Config) { c.User = "x" },
		"TLS":           func(c *email.Config) { c.TLS = "maybe" },
		"port":          func(c *email.Config) { c.Port = 70000 },
		"roots file":    func(c *email.Config) { c.RootsFile = "/nowhere.pem" },
	} {
		cfg := good
		change(&cfg)
		_, err := email.New(cfg)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := email.New(good); err != nil {
		t.Error(err)
	}
}
