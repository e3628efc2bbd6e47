// Command image makes what is put onto a device: the agent's Debian packages and
// releases for updates, and cards that start without a terminal.
//
//	go run ./firmware/image release --version 1.4.0 --key release.key   # packages, programs, signed manifest in dist/
//	go run ./firmware/image card --base raspios-lite.img --deb dist/coldkeep-agent_1.4.0_arm64.deb --claim https://registry.example
//	go run ./firmware/image key release.key                             # makes the key that signs releases
//
// README.md beside it tells the rest.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/alecthomas/kong"
)

type cli struct {
	Release releaseCmd `cmd:"" help:"Build the agent for Raspberry Pis: Debian packages, programs, and with --key a signed manifest."`
	Card    cardCmd    `cmd:"" help:"Make an image of an SD card of Raspberry Pi OS's image."`
	Key     keyCmd     `cmd:"" help:"Make the key that signs releases."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// exited carries an exit that kong asks for, after --help.
type exited int

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if e, ok := recover().(exited); ok {
			code = int(e)
		}
	}()
	var c cli
	parser, err := kong.New(&c, kong.Name("image"), kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(exited(code)) }))
	if err == nil {
		var call *kong.Context
		if call, err = parser.Parse(args); err != nil {
			_, _ = fmt.Fprintf(stderr, "image: %v\nTry --help\n", err)
			return 2
		}
		call.BindTo(ctx, (*context.Context)(nil))
		call.BindTo(stdout, (*io.Writer)(nil))
		err = call.Run()
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "image:", err)
		return 3
	}
	return 0
}

// do runs a program; its output is in the error.
func do(ctx context.Context, env []string, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the programs named here
	cmd.Env, cmd.Dir = append(os.Environ(), env...), dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return out, err
}
