package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
)

// HostKey reads the server's key from a file, by which senders know it again. EINVALID when
// others than the owner may read the file, or when it is no key.
func HostKey(path string) (ssh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "sftp.HostKey", "host key %s cannot be read", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "host key %s may be read by others: chmod 600 it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "sftp.HostKey", "host key %s cannot be read", path)
	}
	key, err := ssh.ParsePrivateKey(b)
	if err != nil {
		// The cause may quote the key.
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "host key %s is no private key without a passphrase", path)
	}
	return key, nil
}

// EnsureHostKey reads a host key, and makes one (Ed25519) with mode 0600 when there is none.
func EnsureHostKey(path string) (ssh.Signer, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return HostKey(path)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "sftp.EnsureHostKey", "no key could be made")
	}
	block, err := ssh.MarshalPrivateKey(private, "coldkeep sftp")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "sftp.EnsureHostKey", "the key could not be written down")
	}
	if err := writeWhole(path, pem.EncodeToMemory(block)); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp.EnsureHostKey", "host key %s cannot be written", path)
	}
	return HostKey(path)
}

// writeWhole writes a file with mode 0600 that is there whole or not at all.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has its name by then
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	return err
}

// syncFolder makes names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
