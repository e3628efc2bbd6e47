// Package schedules keeps the releases of the immunization schedule and says which one
// forecasts are made by. A release is loaded from CDC's published files, looked at, and
// activated by an administrator; until one is, the schedule that comes with the program
// holds. A release that is malformed or not whole is refused with every reason, and the
// one in force stays.
package schedules

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Release is a release of the schedule that was loaded.
type Release struct {
	ID          string // "" of the one that comes with the program
	Version     string
	Released    coldkeep.Date // the zero Date: not known
	LoadedBy    string
	LoadedAt    time.Time
	Active      bool
	ActivatedBy string
	ActivatedAt *time.Time // absent: it never was
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Releases(ctx context.Context) ([]Release, error) // the latest loaded first
	ReleaseContent(ctx context.Context, id string) ([]byte, error)
	ActiveRelease(ctx context.Context) (string, error) // "" when none is
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	InsertRelease(ctx context.Context, r Release, content []byte) error
	// ActivateRelease makes one the active one; "" the one that comes with the program.
	ActivateRelease(ctx context.Context, id, by string, at time.Time) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Sampler gives people of the registry to compare two schedules on.
type Sampler interface {
	Sample(ctx context.Context, by auth.Principal, n int) ([]*forecast.Patient, error)
}

// Service is the schedules.
type Service struct {
	store Store
	clock coldkeep.Clock

	mu     sync.RWMutex
	active string
	engine *forecast.Engine
}

// New returns the service with the schedule in force. EINTERNAL when the active release
// cannot be read.
func New(ctx context.Context, store Store, clock coldkeep.Clock) (*Service, error) {
	s := &Service{store: store, clock: clock, engine: forecast.New(forecast.Builtin())}
	return s, s.Refresh(ctx)
}

// Engine is the engine of the schedule in force.
func (s *Service) Engine() *forecast.Engine {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.engine
}

// Refresh takes over the release that is active by the store, such as one that was
// activated in another process.
func (s *Service) Refresh(ctx context.Context) error {
	id, err := s.store.ActiveRelease(ctx)
	if err != nil {
		return err
	}
	s.mu.RLock()
	same := id == s.active
	s.mu.RUnlock()
	if same {
		return nil
	}
	compiled, err := s.compiled(ctx, id)
	if err != nil {
		return err
	}
	e := forecast.New(compiled)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active, s.engine = id, e
	return nil
}

// compiled is a release as the engine runs it; "" the one that comes with the program.
func (s *Service) compiled(ctx context.Context, id string) (*schedule.Schedule, error) {
	if id == "" {
		return forecast.Builtin(), nil
	}
	content, err := s.store.ReleaseContent(ctx, id)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "schedules.compiled", "release %s", id)
	}
	rel := new(release.Release)
	if err := json.NewDecoder(z).Decode(rel); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "schedules.compiled", "release %s", id)
	}
	return schedule.Compile(rel)
}

// Overview is the releases that there are, and what is to be known of the one in force.
type Overview struct {
	Releases    []Release // the one that comes with the program is the last
	SeasonsOver []schedule.Season
}

// List gives the releases. EFORBIDDEN when by may not manage the programme.
func (s *Service) List(ctx context.Context, by auth.Principal) (Overview, error) {
	var out Overview
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return out, err
	}
	all, err := s.store.Releases(ctx)
	if err != nil {
		return out, err
	}
	builtin := forecast.Builtin()
	mine := Release{Version: builtin.Version, Active: true}
	if builtin.Released != schedule.None {
		mine.Released = builtin.Released
	}
	for _, r := range all {
		mine.Active = mine.Active && !r.Active
	}
	out.Releases = all
	out.Releases = append(out.Releases, mine)
	out.SeasonsOver = s.Engine().Schedule().EndedSeasons(coldkeep.DateOf(s.clock.Now()))
	return out, nil
}

// Upload is files of a release as they were sent.
type Upload struct {
	Name    string // of the file
	Content []byte
}

// Load reads a release from CDC's files, an archive of them or both, and keeps it. It is
// not in force until it is activated. EFORBIDDEN when by may not manage the programme,
// EINVALID with every reason when it is malformed or not whole, or has no version,
// ECONFLICT when that version is there.
func (s *Service) Load(ctx context.Context, by auth.Principal, version string, released coldkeep.Date, uploads []Upload) (Release, error) {
	var r Release
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return r, err
	}
	files, named, err := unpacked(uploads)
	if err != nil {
		return r, err
	}
	if version = strings.TrimSpace(version); version == "" {
		version = named
	}
	if version == "" || len(version) > 40 {
		return r, coldkeep.Errorf(coldkeep.EINVALID, "Version: the files do not say it; please give it, such as 4.65.")
	}
	rel, err := cdsixml.Read(files, version)
	if err != nil {
		return r, refusal(err)
	}
	rel.Released = released.String()
	if _, err := schedule.Compile(rel); err != nil {
		return r, refusal(err)
	}
	content, err := compact(rel)
	if err != nil {
		return r, err
	}
	now := s.clock.Now()
	r = Release{ID: ulid.Make().String(), Version: version, Released: released, LoadedBy: by.Name, LoadedAt: now}
	return r, s.store.Tx(ctx, func(tx Tx) error {
		has, err := tx.Releases(ctx)
		if err != nil {
			return err
		}
		for _, o := range has {
			if o.Version == version {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "Version %s was loaded by %s already.", version, o.LoadedBy)
			}
		}
		if err := tx.InsertRelease(ctx, r, content); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: by.ID, Who: by.Name, What: "schedule.load", Subject: "schedule/" + r.ID, Detail: "version " + version})
	})
}

// refusal is why a release is not taken, with every reason there is.
func refusal(err error) error {
	var refused *schedule.Refused
	if errors.As(err, &refused) {
		return coldkeep.Errorf(coldkeep.EINVALID, "The release is refused, and the schedule in force stays. %s", refused.Error())
	}
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		return coldkeep.Errorf(coldkeep.EINVALID, "The release is refused, and the schedule in force stays. %s", coldkeep.ErrorMessage(err))
	}
	return err
}

// unpacked is the files of all uploads, and the version that one of their names says.
func unpacked(uploads []Upload) ([]cdsixml.File, string, error) {
	var files []cdsixml.File
	version := ""
	for _, u := range uploads {
		if version == "" {
			version = cdsixml.VersionOf(u.Name)
		}
		if !strings.HasSuffix(strings.ToLower(u.Name), ".zip") {
			files = append(files, cdsixml.File{Name: u.Name, Data: u.Content})
			continue
		}
		in, err := cdsixml.Unzip(u.Content)
		if err != nil {
			return nil, "", refusal(err)
		}
		files = append(files, in...)
	}
	if len(files) == 0 {
		return nil, "", coldkeep.Errorf(coldkeep.EINVALID, "Files: choose the archive that CDC publishes, or its XML files.")
	}
	return files, version, nil
}

func compact(rel *release.Release) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := json.NewEncoder(z).Encode(rel)
	if err == nil {
		err = z.Close()
	}
	return b.Bytes(), coldkeep.Wrap(err, coldkeep.EINTERNAL, "schedules.compact", "release %s", rel.Version)
}

// sampleSize is how many people two schedules are compared on. It takes less than a
// second and shows what a thousandth of them would notice.
const sampleSize = 2000

// Comparison is what a release would change.
type Comparison struct {
	People  int
	Changed int // people of whom at least one forecast changes
	Groups  []forecast.GroupChange
	// Gone are antigens, vaccine groups and vaccine types of the schedule in force that
	// the release does not have: one of too few files looks like this.
	Gone []string
}

// Compare forecasts a sample of the registry's people by the schedule in force and by a
// release ("" the one that comes with the program), and counts what changes. It tells of
// nobody. EFORBIDDEN when by may not manage the programme, ENOTFOUND.
func (s *Service) Compare(ctx context.Context, by auth.Principal, id string, from Sampler) (Comparison, error) {
	var out Comparison
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return out, err
	}
	other, err := s.compiled(ctx, id)
	if err != nil {
		return out, err
	}
	sample, err := from.Sample(ctx, by, sampleSize)
	if err != nil {
		return out, err
	}
	changes := forecast.Compare(s.Engine().Schedule(), other, sample)
	people := map[int]bool{}
	for _, c := range changes {
		people[c.Patient] = true
	}
	out = Comparison{People: len(sample), Changed: len(people), Groups: forecast.Summarize(changes, sample), Gone: gone(s.Engine().Schedule(), other)}
	for i := range out.Groups {
		out.Groups[i].Examples = nil // counts only
	}
	return out, nil
}

// gone lists what one schedule has and the next has not.
func gone(before, after *schedule.Schedule) []string {
	has := map[string]bool{}
	for _, n := range names(after) {
		has[n] = true
	}
	return slices.DeleteFunc(names(before), func(n string) bool { return has[n] })
}

func names(c *schedule.Schedule) []string {
	var out []string
	for i := range c.Antigens {
		out = append(out, "antigen "+c.Antigens[i].Name)
	}
	for i := range c.Groups {
		out = append(out, "vaccine group "+c.Groups[i].Name)
	}
	for i := range c.Vaccines {
		out = append(out, "CVX "+c.Vaccines[i].Code)
	}
	return out
}

// Activate puts a release in force, "" the one that comes with the program. Forecasts
// change at once. EFORBIDDEN when by may not manage the programme, ENOTFOUND, EINVALID
// without a reason.
func (s *Service) Activate(ctx context.Context, by auth.Principal, id, why string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 2000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: please say why, in at most 2000 characters.")
	}
	if _, err := s.compiled(ctx, id); err != nil {
		return refusal(err)
	}
	now := s.clock.Now()
	if err := s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.ActivateRelease(ctx, id, by.Name, now); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: by.ID, Who: by.Name, What: "schedule.activate", Subject: "schedule/" + id, Why: why})
	}); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Watch takes over what other processes activate, until ctx ends.
func (s *Service) Watch(ctx context.Context, every time.Duration, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}
