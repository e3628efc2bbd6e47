package schedules

import (
	"context"
	"slices"
	"sync"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Memory is a Store that forgets when the program ends, for a tool or a trial that
// has no database. The zero Memory is ready.
type Memory struct {
	mu   sync.Mutex
	data memory
}

type memory struct {
	releases []Release // in the order they were loaded
	content  map[string][]byte
	actives  []Activation
	trail    []audit.Entry
}

// Trail gives the entries written, in their order.
func (m *Memory) Trail() []audit.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.data.trail)
}

// Tx runs do; an error of it undoes what it did.
func (m *Memory) Tx(_ context.Context, do func(Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	tx := memory{
		releases: slices.Clone(m.data.releases), content: map[string][]byte{},
		actives: slices.Clone(m.data.actives), trail: slices.Clone(m.data.trail),
	}
	for id, c := range m.data.content {
		tx.content[id] = c
	}
	if err := do(&tx); err != nil {
		return err
	}
	m.data = tx
	return nil
}

// Releases lists those loaded, the latest first.
func (m *Memory) Releases(ctx context.Context) ([]Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Releases(ctx)
}

// Release gives one, or ENOTFOUND.
func (m *Memory) Release(ctx context.Context, id string) (Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Release(ctx, id)
}

// Content gives what a release holds, or ENOTFOUND.
func (m *Memory) Content(ctx context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Content(ctx, id)
}

// Active is the latest activation.
func (m *Memory) Active(ctx context.Context) (Activation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Active(ctx)
}

func (d *memory) Releases(context.Context) ([]Release, error) {
	out := slices.Clone(d.releases)
	slices.Reverse(out)
	return out, nil
}

func (d *memory) Release(_ context.Context, id string) (Release, error) {
	for i := range d.releases {
		if d.releases[i].ID == id {
			return d.releases[i], nil
		}
	}
	return Release{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such release.")
}

func (d *memory) Content(ctx context.Context, id string) ([]byte, error) {
	if _, err := d.Release(ctx, id); err != nil {
		return nil, err
	}
	return d.content[id], nil
}

func (d *memory) Active(context.Context) (Activation, error) {
	if n := len(d.actives); n > 0 {
		return d.actives[n-1], nil
	}
	return Activation{}, nil
}

func (d *memory) InsertRelease(_ context.Context, r Release, content []byte) error {
	for i := range d.releases {
		if d.releases[i].Digest == r.Digest {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This release is loaded already.")
		}
	}
	r.Active = false
	d.releases = append(d.releases, r)
	d.content[r.ID] = slices.Clone(content)
	return nil
}

func (d *memory) Activate(_ context.Context, a Activation) error {
	d.actives = append(d.actives, a)
	return nil
}

func (d *memory) Audit(_ context.Context, e audit.Entry) error {
	d.trail = append(d.trail, e)
	return nil
}
