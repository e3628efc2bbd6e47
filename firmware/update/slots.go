package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/coldkeep/coldkeep"
)

// The names in the folder of updates.
const (
	slotA, slotB  = "a", "b"
	agentFile     = "agent"
	manifestFile  = "manifest"
	currentLink   = "current"
	trialLink     = "trial"
	begunFile     = "begun"
	floorFile     = "floor"
	failedFile    = "failed"
	downloadsName = "download"
)

// maxFailures is how often a version may fail to become healthy before it is not
// taken any more: the network may have been away, or the power have gone, in the one
// quarter of an hour that it had.
const maxFailures = 3

// Slots is the folder of updates. One process at a time changes it; the launcher and
// the agent below it take turns.
type Slots struct {
	Dir  string
	Keys Keys
	Log  *slog.Logger
	// Factory is the version of the system's own program; one that is no version is
	// before all others.
	Factory string

	arch string // "" is this machine's; tests give another
	disk disk   // nil is the machine's
}

// Slot is what may run.
type Slot struct {
	Name    string // "a", "b"; "" is the system's own program
	Version string
	Program string // its path; "" for the system's own
}

// Choice is what the launcher is to start.
type Choice struct {
	Slot
	Trial bool // for once, until it is confirmed
}

func (s *Slots) on() disk {
	if s.disk == nil {
		return realDisk{}
	}
	return s.disk
}

func (s *Slots) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

func (s *Slots) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func other(slot string) string {
	if slot == slotA {
		return slotB
	}
	return slotA
}

// link reads one of the two links; "" when it is not there or names no slot.
func (s *Slots) link(name string) string {
	to, err := s.on().Readlink(s.path(name))
	if err != nil || to != slotA && to != slotB {
		return ""
	}
	return to
}

// verify checks a slot: the manifest's signature, and size and hash of the program.
func (s *Slots) verify(slot string) (*Manifest, error) {
	text, err := s.on().ReadFile(s.path(slot, manifestFile))
	if err != nil {
		return nil, err
	}
	m, err := s.Keys.Open(text)
	if err != nil {
		return nil, err
	}
	arch := s.arch
	if arch == "" {
		arch = Arch()
	}
	a, err := m.For(arch)
	if err != nil {
		return nil, err
	}
	return m, s.sameProgram(s.path(slot, agentFile), a)
}

// sameProgram checks size and hash of a program; EINVALID when they are others.
func (s *Slots) sameProgram(path string, a Artifact) error {
	f, err := s.on().Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, a.Size+1))
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n != a.Size || sum != a.SHA256 {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: size or SHA-256 is not the manifest's", path)
	}
	return nil
}

// Floor is the lowest version that may run; "" when there is none.
func (s *Slots) Floor() string {
	text, err := s.on().ReadFile(s.path(floorFile))
	if v := string(text); err == nil && validVersion(v) {
		return v
	}
	return ""
}

// failures gives how often each version did not become healthy. A file that is not
// readable counts as none: it only saves tries.
func (s *Slots) failures() map[string]int {
	out := make(map[string]int)
	if text, err := s.on().ReadFile(s.path(failedFile)); err == nil {
		if json.Unmarshal(text, &out) != nil || out == nil {
			out = make(map[string]int)
		}
	}
	return out
}

// Current is the version that runs when nothing is tried: the slot's, or the system's
// own when that is newer (a new package was installed) or the slot is damaged.
func (s *Slots) Current() (Slot, error) {
	floor := s.Floor()
	best := Slot{Version: s.Factory}
	allowed := !Less(s.Factory, floor)
	now := s.link(currentLink)
	try := func(name string) {
		m, err := s.verify(name)
		switch {
		case err != nil:
			if name == now || !errors.Is(err, fs.ErrNotExist) {
				s.log().Error("slot is damaged and is not started", "slot", name, "err", err)
			}
		case Less(m.Version, floor) || s.failures()[m.Version] > 0 && name != now:
		case allowed && !Less(best.Version, m.Version):
		default:
			best, allowed = Slot{Name: name, Version: m.Version, Program: s.path(name, agentFile)}, true
		}
	}
	if now != "" {
		try(now)
		// The other one is what ran before, unless it waits for its trial.
		if best.Name == "" && s.link(trialLink) != other(now) {
			try(other(now))
		}
	}
	if !allowed {
		return Slot{}, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "no program may run: the system's own is %q, below the floor %q, and no slot is whole", s.Factory, floor)
	}
	return best, nil
}

// Choose says what to start, and notes when that is a trial. A trial that was begun
// before and not confirmed has failed. EUNAVAILABLE when nothing may run, or the
// folder cannot be written.
func (s *Slots) Choose() (Choice, error) {
	if _, err := s.on().Readlink(s.path(trialLink)); err == nil {
		trial, now := s.link(trialLink), s.link(currentLink)
		if trial != "" && trial == now { // confirmed, and the power went before all was put away
			if err := s.settle(trial); err != nil {
				return Choice{}, s.failed(err)
			}
		} else if c, ok, err := s.tryOnce(trial); ok || err != nil {
			return c, s.failed(err)
		}
	}
	slot, err := s.Current()
	return Choice{Slot: slot}, err
}

// tryOnce begins the trial of a slot; not ok when there is nothing to be tried.
func (s *Slots) tryOnce(trial string) (c Choice, ok bool, err error) {
	if trial == "" {
		return c, false, s.abandon("", "the trial names no slot")
	}
	m, err := s.verify(trial)
	if err != nil {
		return c, false, s.abandon("", "the trial is damaged: "+err.Error())
	}
	if Less(m.Version, s.Floor()) {
		return c, false, s.abandon("", "the trial is below the floor")
	}
	if text, err := s.on().ReadFile(s.path(begunFile)); err == nil && string(text) == m.Version {
		return c, false, s.abandon(m.Version, "it was started and did not become healthy")
	}
	if err := s.write(begunFile, []byte(m.Version)); err != nil {
		return c, false, err
	}
	return Choice{Slot{trial, m.Version, s.path(trial, agentFile)}, true}, true, nil
}

// Failed ends a trial that did not become healthy: the version before runs on.
func (s *Slots) Failed(version, why string) error { return s.failed(s.abandon(version, why)) }

// abandon takes the trial away, and counts it against the version unless that is "".
func (s *Slots) abandon(version, why string) error {
	s.log().Error("update is taken back", "version", version, "why", why)
	if version != "" {
		all := s.failures()
		all[version]++
		text, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if err := s.write(failedFile, text); err != nil {
			return err
		}
	}
	return s.endTrial()
}

// endTrial removes the trial, and then the note that it was begun.
func (s *Slots) endTrial() error {
	for _, name := range []string{trialLink, begunFile} {
		if err := s.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// PutOff lets a trial that was stopped in good order have its start another time.
func (s *Slots) PutOff() error { return s.failed(s.remove(begunFile)) }

// Trial gives the version that is being tried; "" when none is.
func (s *Slots) Trial() string {
	trial := s.link(trialLink)
	if trial == "" || trial == s.link(currentLink) {
		return ""
	}
	m, err := s.verify(trial)
	if err != nil {
		return ""
	}
	return m.Version
}

// Confirm makes the trial current. It is for the program on trial to say, by its own
// version, that it works; when another version is on trial, or none, nothing changes
// and it says false.
func (s *Slots) Confirm(version string) (bool, error) {
	if version == "" || s.Trial() != version {
		return false, nil
	}
	trial := s.link(trialLink)
	if err := s.setLink(currentLink, trial); err != nil {
		return false, s.failed(err)
	}
	return true, s.failed(s.settle(trial))
}

// settle is what follows once a trial is current: the floor rises, and the trial is
// put away. The floor comes after the link, or a power cut between them could leave
// nothing that may run.
func (s *Slots) settle(slot string) error {
	m, err := s.verify(slot)
	if err == nil && m.MinVersion != "" && Less(s.Floor(), m.MinVersion) {
		if err := s.write(floorFile, []byte(m.MinVersion)); err != nil {
			return err
		}
	}
	return s.endTrial()
}

// Install puts a verified program, which is at part on the same disk, and its signed
// manifest into the slot that is not in use, and makes it the next trial. EINVALID
// for a program that is not the manifest's, ECONFLICT for a version that is not above
// the one that runs, below the floor, or has failed too often.
func (s *Slots) Install(manifest []byte, part string) error {
	m, err := s.Keys.Open(manifest)
	if err != nil {
		return err
	}
	if err := s.wanted(m); err != nil {
		return err
	}
	arch := s.arch
	if arch == "" {
		arch = Arch()
	}
	a, err := m.For(arch)
	if err != nil {
		return err
	}
	if err := s.sameProgram(part, a); err != nil {
		return s.failed(err)
	}
	return s.failed(s.install(manifest, part))
}

// wanted says ECONFLICT of a release that this device does not take.
func (s *Slots) wanted(m *Manifest) error {
	now, err := s.Current()
	if err == nil && !Less(now.Version, m.Version) {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "version %s is not above %s, which runs", m.Version, now.Version)
	}
	if floor := s.Floor(); Less(m.Version, floor) {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "version %s is below %s, the lowest that may run here", m.Version, floor)
	}
	if n := s.failures()[m.Version]; n >= maxFailures {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "version %s has failed here %d times", m.Version, n)
	}
	return nil
}

func (s *Slots) install(manifest []byte, part string) error {
	d := s.on()
	if err := errors.Join(d.MkdirAll(s.Dir), d.SyncDir(filepath.Dir(s.Dir))); err != nil {
		return err
	}
	if err := s.endTrial(); err != nil {
		return err
	}
	// A link to a slot that is damaged or older than the system's own program must not
	// come to mean the slot's next content before that was tried.
	slot, now := slotA, Slot{}
	if running, err := s.Current(); err == nil {
		now = running
	}
	switch was := s.link(currentLink); {
	case now.Name == "" && was != "":
		if err := s.remove(currentLink); err != nil {
			return err
		}
	case now.Name != was:
		if err := s.setLink(currentLink, now.Name); err != nil {
			return err
		}
	}
	if now.Name != "" {
		slot = other(now.Name)
	}
	dir := s.path(slot)
	if err := errors.Join(d.RemoveAll(dir), d.MkdirAll(dir), d.SyncDir(s.Dir)); err != nil {
		return err
	}
	if err := d.Sync(part); err != nil {
		return err
	}
	agent, text := filepath.Join(dir, agentFile), filepath.Join(dir, manifestFile)
	if err := errors.Join(d.Rename(part, agent), d.Executable(agent), d.Write(text, manifest), d.Sync(agent), d.Sync(text), d.SyncDir(dir)); err != nil {
		return err
	}
	return s.setLink(trialLink, slot)
}

// setLink points a link at a slot by one rename.
func (s *Slots) setLink(name, slot string) error {
	d, fresh := s.on(), s.path(name+".new")
	if err := d.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.Symlink(slot, fresh); err != nil {
		return err
	}
	if err := d.Rename(fresh, s.path(name)); err != nil {
		return err
	}
	return d.SyncDir(s.Dir)
}

// write replaces a small file by one rename.
func (s *Slots) write(name string, text []byte) error {
	d, fresh := s.on(), s.path(name+".new")
	if err := d.Write(fresh, text); err != nil {
		return err
	}
	if err := d.Sync(fresh); err != nil {
		return err
	}
	if err := d.Rename(fresh, s.path(name)); err != nil {
		return err
	}
	return d.SyncDir(s.Dir)
}

func (s *Slots) remove(name string) error {
	err := s.on().Remove(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.on().SyncDir(s.Dir)
}

// failed makes EUNAVAILABLE of what the disk says.
func (s *Slots) failed(err error) error {
	if err == nil || coldkeep.ErrorCode(err) != coldkeep.EINTERNAL {
		return err
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "update", "%s cannot be read or written", s.Dir)
}
