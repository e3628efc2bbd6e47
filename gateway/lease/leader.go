package lease

import (
	"context"

	"github.com/coldkeep/coldkeep"
)

// task is something that one collector alone does.
type task struct {
	waiting bool               // its lease would be used
	active  bool               // it runs, or is about to
	started chan Generation    // the lease was gained
	cancel  context.CancelFunc // ends what runs under it
	lost    bool               // since it was gained
}

// start says that the lease was gained. The caller holds Manager.mu.
func (t *task) start(g Generation) {
	if !t.waiting {
		return
	}
	t.waiting, t.active, t.lost = false, true, false
	t.started <- g // has room for one
}

// stop says that it was lost. The caller holds Manager.mu.
func (t *task) stop() {
	t.lost = true
	if t.cancel != nil {
		t.cancel()
	}
}

// Leader runs run while this collector holds the lease on a task, whose name has a
// colon, such as "coldkeep:alerts". The context of run ends when the lease is
// lost; when it is gained again, run runs again. When run returns while the lease
// is held, the lease is given up and Leader returns what run did. It returns nil
// when ctx ends, EINVALID for a name without a colon, and ECONFLICT for one that
// is led here already.
func (m *Manager) Leader(ctx context.Context, name string, run func(ctx context.Context) error) error {
	if !isTask(name) {
		return coldkeep.Errorf(coldkeep.EINVALID, "task %q: want a name with a colon", name)
	}
	t := &task{waiting: true, started: make(chan Generation, 1)}
	m.mu.Lock()
	if m.tasks[name] != nil {
		m.mu.Unlock()
		return coldkeep.Errorf(coldkeep.ECONFLICT, "task %s is led here already", name)
	}
	m.tasks[name] = t
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.tasks, name) // a round gives the lease up
		m.wake()
		m.mu.Unlock()
	}()
	for {
		var g Generation
		select {
		case <-ctx.Done():
			return nil
		case g = <-t.started:
		}
		held, cancel := context.WithCancel(ctx)
		m.mu.Lock()
		t.cancel = cancel
		if t.lost {
			cancel()
		}
		m.mu.Unlock()
		m.cfg.Log.Info("leading", "task", name, "generation", g)
		err := run(held)
		cancel()
		m.mu.Lock()
		lost := t.lost
		t.cancel, t.waiting, t.active = nil, true, false
		m.wake()
		m.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil
		case !lost:
			return err
		}
		m.cfg.Log.Warn("leads no more", "task", name, "generation", g, "error", err)
	}
}
