// Package email tells alerts to people by e-mail, through an SMTP server. The
// message is plain text; its Message-ID is the delivery's, the same on every
// attempt, so that a mail server or a reader knows a second arrival. All messages
// of one alert form a thread.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
)

// TLS says how the connection to the server is protected.
type TLS string

// The ways of protection.
const (
	TLSMandatory     TLS = "mandatory"     // STARTTLS or nothing is sent; the default
	TLSOpportunistic TLS = "opportunistic" // STARTTLS when the server offers it
	TLSImplicit      TLS = "implicit"      // TLS from the first byte, as on port 465
	TLSNone          TLS = "none"          // for a relay on the same machine
)

// Config sets a Channel up.
type Config struct {
	Host         string
	Port         int    // 587, or 465 with implicit TLS, when zero
	TLS          TLS    // mandatory when empty
	User         string // none: no sign-in
	PasswordFile string // read at each sending, so a new password needs no restart
	From         string // "Coldkeep <alerts@clinic.example>"
	Timeout      time.Duration
	// RootsFile is a PEM file of the authorities that sign the server's certificate;
	// the system's when empty.
	RootsFile string
}

// Channel is the e-mail channel.
type Channel struct {
	cfg    Config
	from   *netmail.Address
	domain string
	opts   []mail.Option
	tls    *tls.Config
}

var _ alerts.Channel = (*Channel)(nil)

// New returns an e-mail channel. A Config that cannot work is EINVALID and the
// message says which field; the server is not spoken to.
func New(cfg Config) (*Channel, error) {
	if cfg.Host == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "e-mail: the SMTP server's host is needed")
	}
	from, err := netmail.ParseAddress(cfg.From)
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "e-mail: from %q is not an address", cfg.From)
	}
	if (cfg.User == "") != (cfg.PasswordFile == "") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "e-mail: user and password file go together")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.TLS == "" {
		cfg.TLS = TLSMandatory
	}
	c := &Channel{cfg: cfg, from: from, domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:]}
	if err := c.options(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Channel) options() error {
	port := c.cfg.Port
	if port == 0 {
		port = 587
		if c.cfg.TLS == TLSImplicit {
			port = 465
		}
	}
	c.opts = []mail.Option{mail.WithPort(port), mail.WithTimeout(c.cfg.Timeout), mail.WithHELO(c.domain), mail.WithoutNoop()}
	switch c.cfg.TLS {
	case TLSMandatory:
		c.opts = append(c.opts, mail.WithTLSPolicy(mail.TLSMandatory))
	case TLSOpportunistic:
		c.opts = append(c.opts, mail.WithTLSPolicy(mail.TLSOpportunistic))
	case TLSNone:
		c.opts = append(c.opts, mail.WithTLSPolicy(mail.NoTLS))
	case TLSImplicit:
		c.opts = append(c.opts, mail.WithSSL())
	default:
		return coldkeep.Errorf(coldkeep.EINVALID, "e-mail: TLS %q: want mandatory, opportunistic, implicit or none", c.cfg.TLS)
	}
	var err error
	if c.tls, err = tlsConfig(c.cfg.Host, c.cfg.RootsFile); err != nil {
		return err
	}
	c.opts = append(c.opts, mail.WithTLSConfig(c.tls))
	if _, err := mail.NewClient(c.cfg.Host, c.opts...); err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "email.New", "e-mail: %v", err)
	}
	return nil
}

// Name is "email".
func (c *Channel) Name() string { return alerts.ChannelEmail }

// Send mails m to the address m.To. See alerts.Channel.
func (c *Channel) Send(ctx context.Context, m alerts.Message) (retryable bool, err error) {
	msg, err := c.message(m)
	if err != nil {
		return false, err
	}
	client, err := c.client(ctx)
	if err != nil {
		return true, err
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() {
		return false, nil // taken; a failing farewell changes nothing
	}
	return judge(err)
}

// client is one for a single sending, signed in by the password as it is now.
func (c *Channel) client(ctx context.Context) (*mail.Client, error) {
	opts := c.opts
	if c.cfg.User != "" {
		password, err := os.ReadFile(c.cfg.PasswordFile)
		if err != nil {
			return nil, errors.New("the password file of the SMTP server cannot be read")
		}
		// PLAIN and LOGIN show the password to whoever listens. The library lets them
		// pass over TLS, or to this very machine, and to nobody else.
		opts = append(opts[:len(opts):len(opts)],
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin),
			mail.WithUsername(c.cfg.User), mail.WithPassword(strings.TrimSpace(string(password))))
	}
	client, err := mail.NewClient(c.cfg.Host, append(opts[:len(opts):len(opts)], mail.WithDialContextFunc(c.dial(ctx)))...)
	if err != nil {
		return nil, fmt.Errorf("no SMTP client can be made: %w", err)
	}
	return client, nil
}

// aboutTheMessage are the steps at which a server speaks of this message and its
// recipient.
var aboutTheMessage = []mail.SendErrReason{mail.ErrSMTPMailFrom, mail.ErrSMTPRcptTo, mail.ErrSMTPData, mail.ErrSMTPDataClose}

// judge tells what will pass from what will not. Only the server's own 5xx about
// the message or its recipient is for good: a wrong password, a certificate that
// ran out or a server that is away will be mended.
func judge(err error) (retryable bool, _ error) {
	var se *mail.SendError
	if !errors.As(err, &se) {
		return true, fmt.Errorf("the SMTP server: %w", err)
	}
	if se.ErrorCode() >= 500 && slices.Contains(aboutTheMessage, se.Reason) {
		return false, fmt.Errorf("the SMTP server refuses it with %d (%s)", se.ErrorCode(), se.Reason)
	}
	return true, fmt.Errorf("the SMTP server failed with %d (%s)", se.ErrorCode(), se.Reason)
}

// message writes the e-mail.
func (c *Channel) message(m alerts.Message) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(c.from.String()); err != nil {
		return nil, errors.New("the sender is not an e-mail address")
	}
	// One target is one address; a list or a line break in it is nothing that a
	// policy should bring about.
	to, err := netmail.ParseAddress(m.To)
	if err != nil || strings.ContainsAny(m.To, "\r\n") {
		return nil, errors.New("the target is not an e-mail address")
	}
	if err := msg.To(to.String()); err != nil {
		return nil, errors.New("the target is not an e-mail address")
	}
	thread := fmt.Sprintf("<alert-%s@%s>", m.Alert.ID, c.domain)
	msg.SetMessageIDWithValue(m.ID + "@" + c.domain)
	msg.SetDateWithValue(m.At)
	msg.Subject(m.Title())
	msg.SetGenHeader("References", thread)
	msg.SetGenHeader("In-Reply-To", thread)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday replies
	if m.Alert.State == coldkeep.AlertOpen {
		msg.SetImportance(mail.ImportanceUrgent)
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text())
	return msg, nil
}
