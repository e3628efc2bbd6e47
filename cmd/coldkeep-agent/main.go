// Command coldkeep-agent is the program of the device at the fridge: it reads
// temperature probes, keeps every reading in an outbox on disk, and delivers them
// to the collector over MQTT.
//
// It is small on purpose; deps_test.go says what it may not link, and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/w1"
)

// version is set by the release build with -ldflags "-X main.version=…".
var version string

// The exit codes, common to all of Coldkeep's commands.
const (
	exitDone  = 0
	exitNo    = 1 // the answer is no: no probe was found
	exitUsage = 2
	exitRun   = 3 // could not run
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli are the flags that all commands have. Every flag has its environment variable,
// for systemd's EnvironmentFile; secrets are named by file only.
type cli struct {
	LogFormat string `help:"Form of the log on stderr." enum:"text,json" default:"text" env:"COLDKEEP_LOG_FORMAT"`
	LogLevel  string `help:"Least level that is logged." enum:"debug,info,warn,error" default:"info" env:"COLDKEEP_LOG_LEVEL"`
}

// usageError is what the person at the command line got wrong.
type usageError struct{ error }

// noError is an answer that is no.
type noError struct{ error }

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	var run runCmd
	var probes probesCmd
	var launch launchCmd
	var update updateCmd
	log := func() *slog.Logger { return logger(&c, stderr) }
	line := commandLine{
		about:  "Reads temperature probes, keeps every reading on disk, and delivers them to the Coldkeep collector over MQTT.",
		global: &c, vars: map[string]string{"w1root": w1.Root},
		commands: []command{
			{"run", "Read probes and deliver their readings (the default).", &run, func() error { return run.Run(ctx, log()) }},
			{"probes", "List the probes that are there, on 1-Wire and the I2C buses, with their values, as JSON Lines.", &probes, func() error { return probes.Run(ctx, stdout, log()) }},
			{"launch", "Start the version of the agent that is to run: the service does.", &launch, func() error { return launch.Run(ctx, log()) }},
			{"update", "Look for a new version, and install it beside the one that runs.", &update, func() error { return update.Run(ctx, log(), stdout) }},
			{"version", "Print the version.", &versionCmd{}, func() error { return versionCmd{}.Run(stdout) }},
		},
	}
	cmd, err := line.parse(args)
	var help errHelp
	switch {
	case errors.As(err, &help):
		line.help(stdout, help.of)
		return exitDone
	case err != nil:
		return report(stderr, usageError{err})
	}
	return report(stderr, cmd.run())
}

// report tells the error, if any, and gives the exit code.
func report(stderr io.Writer, err error) int {
	var usage usageError
	var no noError
	var code int
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		code = exitUsage
		err = fmt.Errorf("%w\nTry coldkeep-agent --help", err)
	case errors.As(err, &no):
		code = exitNo
	default:
		code = exitRun
	}
	_, _ = fmt.Fprintf(stderr, "coldkeep-agent: %v\n", err) // nowhere else to tell
	return code
}

func logger(c *cli, stderr io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // the flag's enum admits its words only
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, o))
	}
	return slog.New(slog.NewTextHandler(stderr, o))
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(stdout io.Writer) error {
	_, err := fmt.Fprintln(stdout, programVersion())
	return err
}

// programVersion is the release's version, or what the go command knows.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// asUsage makes a usage error of what the person can put right on the command line.
func asUsage(err error) error {
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		return usageError{err}
	}
	return err
}
