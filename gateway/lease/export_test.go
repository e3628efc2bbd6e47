package lease

import "context"

// Tests drive a manager step by step, on a clock that they set.

// SetNow replaces the database's clock by an expression.
func (m *Manager) SetNow(expression string) { m.now = expression }

// Tell runs the listeners' goroutine until ctx ends.
func (m *Manager) Tell(ctx context.Context) { m.tell(ctx) }

// Quiet waits for the listeners.
func (m *Manager) Quiet(ctx context.Context) error { return m.quiet(ctx) }

// Beat sends one heartbeat.
func (m *Manager) Beat(ctx context.Context) error { return m.beat(ctx) }

// Check looks whether the leases have lapsed.
func (m *Manager) Check() { m.check() }

// Round runs one round.
func (m *Manager) Round(ctx context.Context) error { return m.round(ctx) }

// Leave gives everything up.
func (m *Manager) Leave(ctx context.Context) error { m.lapse(""); return m.leave(ctx) }
