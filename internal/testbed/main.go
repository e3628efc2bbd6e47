// Command testbed runs a command, usually go test, beside the real servers that
// the tests need: PostgreSQL and InfluxDB, started on free ports with data of
// their own and stopped at the end. It installs what is missing on a bare Debian
// machine: PostgreSQL, Mosquitto, Chromium, a mail server, qemu, mtools and OpenSSH's client by the system's packages
// (as root), InfluxDB 1.8 by go install.
//
//	go run ./internal/testbed go test ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coldkeep/coldkeep/internal/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("usage: testbed COMMAND [ARGUMENT…], such as: testbed go test ./...")
	}
	if err := installPackages(ctx); err != nil {
		return 1, err
	}
	if err := buildWeb(ctx); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "coldkeep-testbed-")
	if err != nil {
		return 1, err
	}
	// The PostgreSQL server runs as another user and must get through.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // it holds test data only
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pg, pgURL, err := servers.Postgres(ctx, filepath.Join(dir, "postgres"))
	if err != nil {
		return 1, err
	}
	defer pg.Stop(syscall.SIGINT)
	influx, influxURL, err := servers.Influx(ctx, filepath.Join(dir, "influx"))
	if err != nil {
		return 1, err
	}
	defer influx.Stop(syscall.SIGINT)

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), "COLDKEEP_TEST_POSTGRES_URL="+pgURL)
	if os.Getenv("COLDKEEP_TEST_INFLUX_URL") == "" { // somebody may want an InfluxDB 2.x instead
		cmd.Env = append(cmd.Env, "COLDKEEP_TEST_INFLUX_URL="+influxURL, "COLDKEEP_TEST_INFLUX_BUCKET="+servers.InfluxBucket)
	}
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return max(exit.ExitCode(), 1), nil
		}
		return 1, err
	}
	return 0, nil
}

// packages are Debian's packages by a program that shows that they are there.
var packages = map[string]string{
	"/usr/lib/postgresql/*/bin/initdb": "postgresql",
	"/usr/sbin/mosquitto":              "mosquitto",
	"/usr/bin/chromium":                "chromium",
	"/usr/bin/aiosmtpd":                "python3-aiosmtpd",
	"/usr/bin/qemu-arm-static":         "qemu-user-static",
	"/usr/bin/mcopy":                   "mtools",
	"/usr/bin/sftp":                    "openssh-client",
	"/usr/bin/pdftotext":               "poppler-utils",
}

// npmFolders hold a package-lock.json: the screens' libraries and the accessibility
// checker.
var npmFolders = []struct {
	dir  string
	then []string
}{
	{"registry/web/assets", []string{"run", "build"}},
	{"internal/e2e/axe", nil},
}

// buildWeb fetches the front-end libraries, which are not in the repository.
func buildWeb(ctx context.Context) error {
	for _, f := range npmFolders {
		if _, err := os.Stat(filepath.Join(f.dir, "package-lock.json")); err != nil {
			return fmt.Errorf("%s: run testbed in the root of the checkout: %w", f.dir, err)
		}
		for _, args := range [][]string{{"ci", "--no-audit", "--no-fund"}, f.then} {
			if len(args) == 0 {
				continue
			}
			cmd := exec.CommandContext(ctx, "npm", args...)
			cmd.Dir = f.dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("npm %s in %s: %w\n%s", strings.Join(args, " "), f.dir, err, out)
			}
		}
	}
	return nil
}

func installPackages(ctx context.Context) error {
	var missing []string
	for path, name := range packages {
		if found, err := filepath.Glob(path); err != nil || len(found) == 0 {
			missing = append(missing, name)
		}
	}
	if _, err := exec.LookPath("npm"); err != nil {
		missing = append(missing, "npm")
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("please install %s (on Debian as root: apt-get install %s)", strings.Join(missing, ", "), strings.Join(missing, " "))
	}
	fmt.Fprintln(os.Stderr, "testbed: installing", strings.Join(missing, ", "))
	// Debian starts servers when it installs them. Tests start their own.
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // a program
			return err
		}
		defer func() { _ = os.Remove(policy) }() // made above
	}
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
