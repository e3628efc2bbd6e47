// Command coldkeep is the centre: the collector, the registry with its screens,
// and the tools. `coldkeep up --demo` shows all of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // clinics' time zones, also where the system has none

	"github.com/alecthomas/kong"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/tracing"
)

// version is set at build time.
var version = "dev"

// The exit codes of the commands contract.
const (
	exitDone  = 0
	exitNo    = 1 // the answer is no
	exitUsage = 2
	exitFail  = 3 // could not run
)

// errNo is returned by a command whose answer is no; it has printed why.
var errNo = errors.New("no")

// streams are the standard streams, so that tests can put others in their place.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

type cli struct {
	Up        upCmd        `cmd:"" help:"Run everything in one process on embedded defaults."`
	Collector collectorCmd `cmd:"" help:"Run the collector: readings in from MQTT, excursions, alerts, posts to the registry."`
	Registry  registryCmd  `cmd:"" help:"Run the registry with its screens."`
	Broker    brokerCmd    `cmd:"" help:"Run the embedded MQTT broker alone."`
	Forecast  forecastCmd  `cmd:"" help:"Evaluate doses and forecast due dates by CDC's logic; JSON Lines in and out."`
	Replay    replayCmd    `cmd:"" help:"Judge recorded logs by a profile; prints JSON Lines."`
	Verify    verifyCmd    `cmd:"" help:"Prove the stored log by its chain and seals, or say which minutes are not whole; prints JSON Lines."`
	Annotate  annotateCmd  `cmd:"" help:"Note beside a stretch of the log what a person knows of it; the readings stay as they came. Verify lists it."`

	HL7      hl7Cmd      `cmd:"" name:"hl7" help:"Work on HL7 messages without a registry."`
	Simulate simulateCmd `cmd:"" help:"Make an invented population for tests, demonstrations and benchmarks."`
	Backup   backupCmd   `cmd:"" help:"Write the databases to one file, while everything runs on."`
	Restore  restoreCmd  `cmd:"" help:"Read a backup into empty databases, also of the other engine."`

	Version   kong.VersionFlag `help:"Print the version and exit."`
	LogFormat string           `help:"Form of the log on stderr." enum:"text,json" default:"text" env:"COLDKEEP_LOG_FORMAT"`
	LogLevel  slog.Level       `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"COLDKEEP_LOG_LEVEL"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// traceFlush is how long the end waits for the last traces to be sent.
const traceFlush = 3 * time.Second

// run is main without the process around it.
func run(ctx context.Context, args []string, std streams) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("coldkeep"),
		kong.Description("Watches the fridges and freezers that hold vaccine, and follows every excursion to the lots and the registry."),
		kong.Vars{"version": version}, kong.Writers(std.out, std.err), kong.Exit(func(code int) { exited = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(std.err, "coldkeep:", err)
		return exitFail
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help or --version
	}
	if err != nil {
		fmt.Fprintf(std.err, "coldkeep: %v\nTry \"coldkeep --help\".\n", err)
		return exitUsage
	}
	k.BindTo(ctx, (*context.Context)(nil))
	log := newLogger(std.err, c.LogFormat, c.LogLevel)
	untrace, err := tracing.Start(ctx, "coldkeep", version, log)
	if err == nil {
		err = k.Run(std, log)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceFlush)
		_ = untrace(last) // what could not be sent is dropped
		cancel()
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		return exitNo
	case coldkeep.ErrorCode(err) == coldkeep.EINVALID:
		fmt.Fprintln(std.err, "coldkeep:", coldkeep.ErrorMessage(err))
		return exitUsage
	}
	fmt.Fprintln(std.err, "coldkeep:", words(err))
	return exitFail
}

// words is an error for people: what happened and why, without where in the program.
func words(err error) string {
	var e *coldkeep.Error
	if !errors.As(err, &e) || e.Message == "" {
		return err.Error()
	}
	if cause := errors.Unwrap(e); cause != nil {
		return e.Message + ": " + words(cause)
	}
	return e.Message
}

func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// readSecret reads a secret from a file, so that it is on no command line and in
// no listing of processes. An empty path gives "".
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", coldkeep.Wrap(err, coldkeep.EINVALID, "readSecret", "secret file %s cannot be read", path)
	}
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "secret file %s is empty", path)
	}
	return string(b), nil
}
