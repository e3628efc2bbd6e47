// Package devicekey keeps the key with which a device seals its log: an Ed25519
// key made at the first boot, in a file that only the agent's user can read. It
// never leaves the device and is never logged; the collector learns the public
// half from the device's status.
package devicekey

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// File is the name of the key's file in the agent's data folder.
const File = "device.key"

const blockType = "PRIVATE KEY" // PKCS #8

// Open reads the key in folder, and makes it when there is none. A file that
// others may read is closed to them. One that is no key any more is set aside as
// device.key.damaged-<time> and a new key made: the device goes on sealing, and the
// collector tells that its key has changed. EUNAVAILABLE when the folder cannot be
// read or written.
func Open(folder string, log *slog.Logger) (ed25519.PrivateKey, error) {
	path := filepath.Join(folder, File)
	for range 3 { // another process may make or move the file meanwhile
		key, err := read(path, log)
		switch {
		case err == nil:
			return key, nil
		case errors.Is(err, errDamaged):
			aside := fmt.Sprintf("%s.damaged-%s", path, time.Now().UTC().Format("20060102T150405.000Z"))
			log.Error("device key is damaged; it is set aside and a new one made, which the collector will tell", "file", path, "aside", aside)
			if err := os.Rename(path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, unavailable(err, path)
			}
		case !errors.Is(err, os.ErrNotExist):
			return nil, unavailable(err, path)
		}
		if err := create(folder, path, log); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, unavailable(err, path)
		}
	}
	return nil, unavailable(errors.New("it comes and goes"), path)
}

func unavailable(err error, path string) error {
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devicekey.Open", "device key %s cannot be read or made", path)
}

// errDamaged says nothing of the content: that is a secret, or was one.
var errDamaged = errors.New("not an Ed25519 key")

func read(path string, log *slog.Logger) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("device key could be read by others; closing it to them", "file", path, "mode", info.Mode().Perm().String())
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != blockType {
		return nil, errDamaged
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errDamaged
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errDamaged
	}
	return key, nil
}

// create makes a key and gives it its name once it is on disk; os.ErrExist when
// another process was first.
func create(folder, path string, log *slog.Logger) error {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, File+".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its other name stays
	err = pem.Encode(f, &pem.Block{Type: blockType, Bytes: der})
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(folder); err == nil {
		_ = dir.Sync() // where the file system cannot, the key is made again after a power cut before its first use
		_ = dir.Close()
	}
	log.Info("device key made", "file", path, "key", wire.KeyID(pub))
	return nil
}
