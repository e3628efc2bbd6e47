package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// File is the name of the claim in the agent's data folder. It holds a secret.
const File = "claim.json"

// state is the content of the file.
type state struct {
	V      int       `json:"v"`
	Code   string    `json:"code"`
	Secret string    `json:"secret"`
	Made   time.Time `json:"made"`
	Place  *Place    `json:"place,omitempty"` // once accepted
}

// place is the accepted place with its password.
func (s *state) place() *Place {
	p := *s.Place
	p.Password = s.Secret
	return &p
}

// Load returns the place that was claimed in a data folder, nil when none was or
// the claim is still under way. EUNAVAILABLE when the folder cannot be read.
func Load(data string, log *slog.Logger) (*Place, error) {
	s, err := open(data, log)
	if err != nil || s == nil || s.Place == nil {
		return nil, err
	}
	return s.place(), nil
}

var codeForm = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`)

// parse reads the file's text. What is no claim is EINVALID; the message holds
// nothing of it.
func parse(text []byte) (*state, error) {
	var s state
	if err := json.Unmarshal(text, &s); err != nil || s.V != wire.Version || !codeForm.MatchString(s.Code) || len(s.Secret) < 32 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "not a claim")
	}
	if s.Place != nil {
		if err := s.Place.check(); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// open reads the claim in a folder, nil when there is none. One that is not readable
// any more is set aside, and the device begins anew.
func open(data string, log *slog.Logger) (*state, error) {
	file := filepath.Join(data, File)
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "claim.Load", "%s cannot be read", file)
	}
	s, err := parse(text)
	if err == nil {
		return s, nil
	}
	aside := fmt.Sprintf("%s.damaged-%s", file, time.Now().UTC().Format("20060102T150405.000Z"))
	if log != nil {
		log.Error("claim is damaged; it is set aside and the device has to be claimed again", "file", file, "aside", aside, "err", err)
	}
	if err := os.Rename(file, aside); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "claim.Load", "%s is damaged and cannot be set aside", file)
	}
	return nil, nil
}

// save writes the file as a whole: what is there after a power cut is this claim or
// the one before.
func (s *state) save(data string) (err error) {
	defer func() {
		err = coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "claim.Run", "the claim cannot be kept in %s", data)
	}()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(data, File+".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // renamed when all went well
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(data, File)); err != nil {
		return err
	}
	return syncFolder(data)
}

// forget removes a claim that was refused.
func forget(data string) error {
	err := os.Remove(filepath.Join(data, File))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return coldkeep.Wrap(errors.Join(err, syncFolder(data)), coldkeep.EUNAVAILABLE, "claim.Run", "the refused claim cannot be removed from %s", data)
}

func syncFolder(data string) error {
	dir, err := os.Open(data)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
