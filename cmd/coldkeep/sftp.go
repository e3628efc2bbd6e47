package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
)

// sftpFlags are those of the HL7 intake over SFTP besides its address.
type sftpFlags struct {
	SFTPHostKey []string `help:"File with a private host key of the SFTP intake, mode 0600; by default one is made in the data folder." name:"sftp-host-key" env:"COLDKEEP_SFTP_HOST_KEYS"`
}

// sftpAddress is where up serves SFTP unless it is told otherwise.
const sftpAddress = "127.0.0.1:2022"

// intake is the SFTP server of a process; absent when none is wanted.
type intake struct {
	ln     net.Listener
	server *sftp.Server
	keys   []ssh.Signer
}

// openSFTP listens on addr; "" gives none. Folder is where uploads that have not ended are kept,
// and the host key when none is given. When the address is up's own and taken, as by another
// demo, there is no intake, and people are told.
func (f *sftpFlags) openSFTP(addr, data string, reg *registry.Registry, say io.Writer) (*intake, error) {
	if addr == "" {
		return nil, nil
	}
	in := &intake{}
	for _, path := range f.SFTPHostKey {
		key, err := sftp.HostKey(path)
		if err != nil {
			return nil, err
		}
		in.keys = append(in.keys, key)
	}
	if len(in.keys) == 0 {
		key, err := sftp.EnsureHostKey(filepath.Join(data, "sftp-host-key"))
		if err != nil {
			return nil, err
		}
		in.keys = append(in.keys, key)
	}
	var err error
	if in.ln, err = net.Listen("tcp", addr); err != nil {
		if addr == sftpAddress && errors.Is(err, syscall.EADDRINUSE) {
			fmt.Fprintf(say, "SFTP intake: %s is in use by another program; this process serves none. Choose another with --sftp.\n", addr)
			return nil, nil
		}
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp", "SFTP address %s cannot be listened on (--sftp names another)", addr)
	}
	if in.server, err = reg.SFTP(filepath.Join(data, "sftp"), in.keys); err != nil {
		return nil, errors.Join(err, in.ln.Close())
	}
	return in, nil
}

// run serves until ctx ends.
func (in *intake) run(ctx context.Context) error {
	if in == nil {
		return nil
	}
	return in.server.Serve(ctx, in.ln)
}

// address is where it listens; "" when there is none.
func (in *intake) address() string {
	if in == nil {
		return ""
	}
	return in.ln.Addr().String()
}

// announce tells where it is, and by which key senders know it.
func (in *intake) announce(to io.Writer) {
	if in == nil {
		return
	}
	fmt.Fprintf(to, "SFTP intake: %s\n", in.address())
	for _, k := range in.keys {
		fmt.Fprintf(to, "  host key %s %s\n", k.PublicKey().Type(), ssh.FingerprintSHA256(k.PublicKey()))
	}
}
