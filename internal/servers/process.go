// Package servers starts programs for tests and benchmarks, and stops, kills and
// starts them again: our own, and the real servers that they need, on free ports
// with data of their own.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs, dies and runs again. It does not outlive us.
type Process struct {
	Name string
	Args []string // the program and its arguments
	Dir  string
	// Credential is the user it runs as; nil is ours.
	Credential *syscall.Credential

	log  Log
	cmd  *exec.Cmd
	done chan struct{}
}

// Log gathers what a program says over all its lives.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Tail is the end of the log.
func (l *Log) Tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-n):])
}

// Log is what it has said.
func (p *Process) Log() *Log { return &p.log }

// Start starts it.
func (p *Process) Start() error {
	p.cmd = exec.Command(p.Args[0], p.Args[1:]...) //nolint:gosec,noctx // tests say what runs, and end it by Stop
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = &p.log, &p.log, p.Dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: p.Credential}
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	done, cmd := make(chan struct{}), p.cmd
	p.done = done
	go func() {
		_ = cmd.Wait() // how it ended shows in what it did
		close(done)
	}()
	return nil
}

// Done is closed when the present life has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is its number while it runs, else 0.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill is kill -9.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	p.cmd = nil
}

// patience is how long Stop waits before it kills.
const patience = 15 * time.Second

// Stop asks it to end and kills it when it does not.
func (p *Process) Stop(with syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(with) // it may have ended
	select {
	case <-p.done:
		p.cmd = nil
	case <-time.After(patience):
		p.Kill()
	}
}

// Until asks until ask is content, at most limit long.
func Until(ctx context.Context, limit time.Duration, ask func() error) error {
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if err = ask(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("not within %v: %w", limit, err)
}

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// Listening waits until somebody listens on addr.
func Listening(ctx context.Context, addr string) error {
	return Until(ctx, 30*time.Second, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// up starts p and waits until ask is content.
func up(ctx context.Context, p *Process, ask func() error) error {
	if err := p.Start(); err != nil {
		return err
	}
	if err := Until(ctx, time.Minute, ask); err != nil {
		p.Kill()
		return fmt.Errorf("%s did not start: %w\n%s", p.Name, err, p.log.Tail(2000))
	}
	return nil
}
