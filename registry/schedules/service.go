package schedules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Service loads, compares and activates releases. Forecasts are made by Live,
// whose engine it changes.
type Service struct {
	store Store
	live  *forecast.Live
	clock coldkeep.Clock

	mu      sync.Mutex
	inForce string // the id of the release Live works by
}

// New makes a service. Live has the built-in schedule until Refresh is called.
func New(store Store, live *forecast.Live, clock coldkeep.Clock) *Service {
	return &Service{store: store, live: live, clock: clock, inForce: BuiltIn}
}

// Live gives the engine in force to those who ask it.
func (s *Service) Live() *forecast.Live { return s.live }

// Refresh puts in force what was activated last, here or by another process, and
// reports whether that was a change. Call it at the start, and now and then where
// several processes share a store. When the release cannot be used the one in
// force stays, and the error says why.
//
// EINVALID: this program refuses the stored release. EUNAVAILABLE: the store.
func (s *Service) Refresh(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.store.Active(ctx)
	if err != nil {
		return false, err
	}
	if a.Release == "" {
		a.Release = BuiltIn
	}
	if a.Release == s.inForce {
		return false, nil
	}
	compiled, err := s.compiled(ctx, s.store, a.Release)
	if err != nil {
		return false, err
	}
	s.live.Activate(compiled)
	s.inForce = a.Release
	return true, nil
}

// List lists the releases, the built-in one last. EFORBIDDEN when by may not
// manage the programme.
func (s *Service) List(ctx context.Context, by auth.Principal) ([]Release, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	all, err := s.store.Releases(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, builtIn())
	in := s.current()
	for i := range all {
		all[i].Active = all[i].ID == in
	}
	return all, nil
}

// Activation tells who put the release in force there, and when; the zero
// Activation when it is the built-in one and nobody ever chose. EFORBIDDEN when by
// may not manage the programme.
func (s *Service) Activation(ctx context.Context, by auth.Principal) (Activation, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return Activation{}, err
	}
	return s.store.Active(ctx)
}

// Ended lists the seasons of the schedule in force that are over on a day. They
// recommend nothing until a newer release is loaded; the screens say so.
func (s *Service) Ended(at coldkeep.Date) []schedule.Season {
	return s.live.Engine().Schedule().EndedSeasons(at)
}

// Upload is a release as an administrator hands it over: an archive, or several
// files.
type Upload struct {
	Name     string // of the archive, in which a version may be found
	Version  string // such as "4.65"; found in Name when empty
	Released coldkeep.Date
	Archive  []byte
	Files    []cdsixml.File
}

// Load reads a release, makes sure that the engine can work by it, and keeps it.
// It does not put it in force.
//
// EFORBIDDEN: by may not manage the programme. EINVALID: the release was refused;
// the message has the reasons, and the cause of a refusal by the engine is a
// *schedule.Refused with all of them. ECONFLICT: it is loaded already.
func (s *Service) Load(ctx context.Context, by auth.Principal, up Upload) (Release, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return Release{}, err
	}
	rel, compiled, err := read(up)
	if err != nil {
		return Release{}, err
	}
	content, err := rel.Pack()
	if err != nil {
		return Release{}, coldkeep.Wrap(err, coldkeep.EINTERNAL, "schedules.Load", "the release cannot be packed")
	}
	sum := sha256.Sum256(content)
	r := describe(compiled)
	r.ID, r.Digest, r.LoadedBy, r.LoadedAt = ulid.Make().String(), hex.EncodeToString(sum[:]), by.Name, s.clock.Now()
	err = s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.InsertRelease(ctx, r, content); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{
			At: r.LoadedAt, WhoID: by.ID, Who: by.Name, What: "schedule.load", Subject: "schedule/" + r.ID, Detail: "Version " + r.Version,
		})
	})
	return r, err
}

// read makes a compiled schedule of an upload.
func read(up Upload) (*release.Release, *schedule.Schedule, error) {
	files := up.Files
	if len(up.Archive) > 0 {
		var err error
		if files, err = cdsixml.Unzip(up.Archive); err != nil {
			return nil, nil, err
		}
	}
	version := strings.TrimSpace(up.Version)
	if version == "" {
		version = cdsixml.VersionOf(up.Name)
	}
	if version == "" || len(version) > 20 {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "Version: the files do not say which it is; want CDC's, such as 4.65.")
	}
	rel, err := cdsixml.Read(files, version)
	if err != nil {
		return nil, nil, err
	}
	rel.Released = up.Released.String()
	compiled, err := schedule.Compile(rel)
	return rel, compiled, err
}

// Compare tells what putting a release in force would change: the forecasts of a
// sample of patients, the seasons that are over on a day, and what the release
// does not have any more. Nothing in the report tells a patient.
//
// EFORBIDDEN: by may not manage the programme. ENOTFOUND: there is no such
// release. EINVALID: this program refuses it.
func (s *Service) Compare(ctx context.Context, by auth.Principal, id string, sample []*forecast.Patient, at coldkeep.Date) (Report, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return Report{}, err
	}
	next, err := s.compiled(ctx, s.store, id)
	if err != nil {
		return Report{}, err
	}
	out := Report{Patients: len(sample), Ended: next.EndedSeasons(at)}
	if out.Release, err = s.release(ctx, s.store, id); err != nil {
		return Report{}, err
	}
	in, now := s.current(), s.live.Engine().Schedule()
	if out.InForce, err = s.release(ctx, s.store, in); err != nil {
		return Report{}, err
	}
	out.InForce.Active, out.Release.Active = true, id == in
	changes := forecast.Compare(now, next, sample)
	out.Groups = forecast.Summarize(changes, sample)
	changed := map[int]bool{}
	for i := range changes {
		changed[changes[i].Patient] = true
	}
	out.Changed = len(changed)
	out.Gone = gone(now, next)
	return out, nil
}

// Activate puts a release in force, for every question from then on.
//
// EFORBIDDEN: by may not manage the programme. EINVALID: no reason is given, or
// this program refuses the release; the one in force stays. ENOTFOUND: there is no
// such release. ECONFLICT: it is in force.
func (s *Service) Activate(ctx context.Context, by auth.Principal, id, why string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 500 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: want 1 to 500 characters.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == s.inForce {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "This release is in force.")
	}
	var compiled *schedule.Schedule
	err := s.store.Tx(ctx, func(tx Tx) error {
		var err error
		if compiled, err = s.compiled(ctx, tx, id); err != nil {
			return err
		}
		a := Activation{Release: id, By: by.Name, At: s.clock.Now(), Why: why}
		if err := tx.Activate(ctx, a); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{
			At: a.At, WhoID: by.ID, Who: by.Name, What: "schedule.activate", Subject: "schedule/" + id, Why: why, Detail: "Version " + compiled.Version,
		})
	})
	if err != nil {
		return err
	}
	s.live.Activate(compiled)
	s.inForce = id
	return nil
}

func (s *Service) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce
}

func (s *Service) release(ctx context.Context, r Reader, id string) (Release, error) {
	if id == BuiltIn {
		return builtIn(), nil
	}
	return r.Release(ctx, id)
}

func (s *Service) compiled(ctx context.Context, r Reader, id string) (*schedule.Schedule, error) {
	if id == BuiltIn {
		return forecast.Builtin(), nil
	}
	content, err := r.Content(ctx, id)
	if err != nil {
		return nil, err
	}
	rel, err := release.Unpack(content)
	if err != nil {
		return nil, err
	}
	return schedule.Compile(rel)
}

func builtIn() Release {
	r := describe(forecast.Builtin())
	r.ID = BuiltIn
	return r
}

func describe(c *schedule.Schedule) Release {
	return Release{Version: c.Version, Released: c.Released, Antigens: len(c.Antigens), Series: c.SeriesCount}
}

// gone lists what the schedule before has and the one after has not.
func gone(before, after *schedule.Schedule) []string {
	has := map[string]bool{}
	names := func(c *schedule.Schedule, do func(string)) {
		for i := range c.Antigens {
			do("antigen " + c.Antigens[i].Name)
		}
		for i := range c.Groups {
			do("vaccine group " + c.Groups[i].Name)
		}
		for i := range c.Vaccines {
			do("CVX " + c.Vaccines[i].Code)
		}
	}
	names(after, func(n string) { has[n] = true })
	var out []string
	names(before, func(n string) {
		if !has[n] {
			out = append(out, n)
		}
	})
	return out
}
