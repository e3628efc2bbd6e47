package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"

	"github.com/wneessen/go-mail"

	"github.com/coldkeep/coldkeep"
)

// tlsConfig trusts the authorities of a PEM file, or the system's without one.
func tlsConfig(host, rootsFile string) (*tls.Config, error) {
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if rootsFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(rootsFile)
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "e-mail: the roots file %s cannot be read", rootsFile)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "e-mail: the roots file %s holds no certificate", rootsFile)
	}
	return config, nil
}

// dial connects so that the connection ends with ctx: the library minds a context
// only while it connects.
func (c *Channel) dial(ctx context.Context) mail.DialContextFunc {
	return func(dialCtx context.Context, network, address string) (net.Conn, error) {
		plain, err := new(net.Dialer).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		conn := &boundConn{Conn: plain}
		conn.stop = context.AfterFunc(ctx, func() { _ = plain.Close() }) // ends what the library waits for
		if c.cfg.TLS != TLSImplicit {
			return conn, nil
		}
		// The TLS connection is the outer one: the library looks for its type before it
		// lets a password go.
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(dialCtx); err != nil {
			_ = conn.Close() // the handshake's error is the one that matters
			return nil, err
		}
		return secure, nil
	}
}

// boundConn is a connection that has been tied to a context.
type boundConn struct {
	net.Conn
	stop func() bool
}

// Close unties and closes.
func (b *boundConn) Close() error {
	b.stop()
	return b.Conn.Close()
}
