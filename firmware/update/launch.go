package update

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coldkeep/coldkeep"
)

// ConfirmWithin is how long a trial has to show that it works: a few readings at the
// longest common interval of five minutes, and a slow connection.
const ConfirmWithin = 20 * time.Minute

// stopWithin is how long a program has to end when it is asked to.
const stopWithin = 20 * time.Second

// Launcher starts the program that Slots chooses, in its own place.
type Launcher struct {
	Slots *Slots
	Own   string   // path of the system's own program
	Args  []string // of the program to start, without its name
	Env   []string
	// ConfirmWithin is how long a trial has; 0 is ConfirmWithin.
	ConfirmWithin time.Duration

	// exec takes the place of this process; it returns only an error. nil is the
	// operating system's.
	exec func(program string, args, env []string) error
	look time.Duration // how often a trial is looked at; 0 is a second
}

// Run starts the program and becomes it. Only while a trial runs it stays, to watch;
// when that is confirmed, it starts once more as what is current, and when it is not,
// as what was before. It returns nil when ctx ends during a trial, EUNAVAILABLE when
// nothing may run or can be started.
func (l *Launcher) Run(ctx context.Context) error {
	for {
		c, err := l.Slots.Choose()
		if err != nil {
			// A folder that cannot be written must not keep the device from measuring.
			l.Slots.log().Error("updates cannot be looked after; what is there is started", "err", err)
			slot, none := l.Slots.Current()
			if none != nil {
				return none
			}
			c = Choice{Slot: slot}
		}
		if !c.Trial {
			return l.become(c.Slot)
		}
		if stopped, err := l.try(ctx, c.Slot); stopped || err != nil {
			return err
		}
	}
}

func (l *Launcher) become(s Slot) error {
	program := s.Program
	if program == "" {
		program = l.Own
	}
	l.Slots.log().Info("agent is started", "program", program, "version", s.Version)
	do := l.exec
	if do == nil {
		do = syscall.Exec
	}
	err := do(program, append([]string{program}, l.Args...), l.Env)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "update.Launch", "%s cannot be started", program)
}

// try runs a trial below this process until it is confirmed, ends, or its time is
// over. stopped reports that ctx has ended.
func (l *Launcher) try(ctx context.Context, s Slot) (stopped bool, err error) {
	within := l.ConfirmWithin
	if within <= 0 {
		within = ConfirmWithin
	}
	l.Slots.log().Warn("update is tried", "version", s.Version, "slot", s.Name, "within", within)
	cmd := exec.Command(s.Program, l.Args...) //nolint:gosec,noctx // a verified program; stop ends it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	// systemd counts on the process that it started; the trial speaks for it.
	cmd.Env = slices.DeleteFunc(slices.Clone(l.Env), func(v string) bool { return strings.HasPrefix(v, "WATCHDOG_PID=") })
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return false, l.Slots.Failed(s.Version, "it cannot be started: "+err.Error())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	over := time.NewTimer(within)
	defer over.Stop()
	every := l.look
	if every <= 0 {
		every = time.Second
	}
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if l.confirmed(s) {
				return false, nil
			}
			why := "it ended"
			if err != nil {
				why += ": " + err.Error()
			}
			return false, l.Slots.Failed(s.Version, why)
		case <-look.C:
			if l.confirmed(s) {
				l.Slots.log().Info("update works and is current", "version", s.Version, "slot", s.Name)
				stop(cmd, ended)
				return false, nil
			}
		case <-over.C:
			stop(cmd, ended)
			if l.confirmed(s) {
				return false, nil
			}
			return false, l.Slots.Failed(s.Version, "no reading of it was acknowledged in time")
		case <-ctx.Done():
			stop(cmd, ended)
			if l.confirmed(s) {
				return true, nil
			}
			return true, l.Slots.PutOff()
		}
	}
}

// confirmed reports whether the trial has made itself current.
func (l *Launcher) confirmed(s Slot) bool { return l.Slots.link(currentLink) == s.Name }

// stop asks a program to end and ends it when it does not.
func stop(cmd *exec.Cmd, ended <-chan error) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	patience := time.NewTimer(stopWithin)
	defer patience.Stop()
	select {
	case <-ended: //nolint:errcheck // how it ended is no matter
	case <-patience.C:
		_ = cmd.Process.Kill() // as above
		<-ended                //nolint:errcheck // as above
	}
}
