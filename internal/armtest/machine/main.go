// Command machine runs the agent on an emulated ARM board under Debian's real kernel:
// QEMU's Sabre Lite (i.MX6, ARMv7) with a TMP105 on its I2C bus, whose temperature is
// stepped while the agent samples it, and `coldkeep up` on this machine as its centre.
// It ends well when what the board measured has become an excursion with an alert and
// with lots on hold.
//
//	go run ./internal/armtest/machine
//
// It needs QEMU for ARM (Debian's package qemu-system-arm) and a Debian whose package
// sources are reachable, for the kernel (43 MB, kept in the folder that -kernel names);
// it installs nothing and needs no root. It takes some four minutes and is not among the
// tests that run by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// limit bounds the whole run, also where the kernel has to be fetched first.
const limit = 15 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	flags := flag.NewFlagSet("machine", flag.ExitOnError)
	dir := flags.String("kernel", filepath.Join(cache, "coldkeep-machine"), "folder in which the kernel's package is kept between runs")
	verbose := flags.Bool("v", false, "print what the board said on its serial port at the end")
	_ = flags.Parse(args) // it exits on an error

	for program, pkg := range map[string]string{qemu: "qemu-system-arm", "apt-get": "apt", "dpkg-deb": "dpkg"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("please install %s (on Debian as root: apt-get install %s): %w", pkg, pkg, err)
		}
	}
	say("the kernel's package, kept in %s", *dir)
	k, err := fetchKernel(ctx, *dir)
	if err != nil {
		return err
	}
	say("kernel %s", filepath.Base(k.image))

	work, err := os.MkdirTemp("", "coldkeep-machine-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	c, err := startCentre(ctx, work)
	if err != nil {
		return err
	}
	defer c.Stop(syscall.SIGTERM)
	say("the centre is up at %s, its broker at %s", c.url, c.mqtt)
	b, err := startBoard(ctx, k, c, work)
	if err != nil {
		return err
	}
	defer b.Kill()
	err = watch(ctx, b, c)
	if err != nil || *verbose {
		fmt.Fprintf(os.Stderr, "--- the board said:\n%s\n", b.Log().Tail(20_000))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "--- the centre said:\n%s\n", c.Log().Tail(4000))
	}
	return err
}

var begun = time.Now()

// say tells how far it is, with the seconds since the start.
func say(format string, args ...any) {
	fmt.Printf("%5.0f s  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
}
