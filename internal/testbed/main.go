// Command testbed runs a command, usually go test, beside the real servers that
// the tests need: PostgreSQL and InfluxDB, started on free ports with data of
// their own and stopped at the end. It installs what is missing on a bare Debian
// machine: PostgreSQL, Mosquitto, Chromium and a mail server by the system's packages
// (as root), InfluxDB 1.8 by go install.
//
//	go run ./internal/testbed go test ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	influxd, err := installInfluxd(ctx)
	if err != nil {
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
	var stops []func()
	defer func() {
		for _, s := range stops {
			s()
		}
	}()
	pg, stopPG, err := startPostgres(ctx, filepath.Join(dir, "postgres"))
	if err != nil {
		return 1, fmt.Errorf("PostgreSQL: %w", err)
	}
	stops = append(stops, stopPG)
	influx, stopInflux, err := startInflux(ctx, influxd, filepath.Join(dir, "influx"))
	if err != nil {
		return 1, fmt.Errorf("InfluxDB: %w", err)
	}
	stops = append(stops, stopInflux)

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), "COLDKEEP_TEST_POSTGRES_URL="+pg, "COLDKEEP_TEST_INFLUXD="+influxd)
	if os.Getenv("COLDKEEP_TEST_INFLUX_URL") == "" { // somebody may want an InfluxDB 2.x instead
		cmd.Env = append(cmd.Env, "COLDKEEP_TEST_INFLUX_URL="+influx, "COLDKEEP_TEST_INFLUX_BUCKET=coldkeep/autogen")
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

// server starts a server and returns what stops it.
func server(name string, cmd *exec.Cmd, log string) (stop func(), err error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM // it does not outlive us
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended does not matter
		_ = out.Close()
		close(done)
	}()
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			fmt.Fprintln(os.Stderr, "testbed: killing", name)
			_ = cmd.Process.Kill() // as above
			<-done
		}
	}, nil
}

// until asks until ask is content or a minute has passed.
func until(ctx context.Context, log string, ask func() error) error {
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if err = ask(); err == nil {
			return nil
		}
	}
	tail, _ := os.ReadFile(log) // for the message only
	return fmt.Errorf("did not start: %w\n%s", errors.Join(err, ctx.Err()), tail[max(0, len(tail)-2000):])
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}

// postgresBin finds the newest of Debian's PostgreSQL servers.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", errors.New("no server under /usr/lib/postgresql")
	}
	return found[len(found)-1], nil
}

func startPostgres(ctx context.Context, dir string) (url string, stop func(), err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	attr := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
	if os.Geteuid() == 0 { // the server refuses to be root
		u, err := user.Lookup("postgres")
		if err != nil {
			return "", nil, err
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
			return "", nil, err
		}
		attr = func() *syscall.SysProcAttr {
			return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		}
	}
	data, log := filepath.Join(dir, "data"), filepath.Join(filepath.Dir(dir), "postgres.log")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "test", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr, initdb.Dir = attr(), dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// Its own durability is not what we test; everything else is as delivered.
	srv := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", dir,
		"-c", "fsync=off", "-c", "max_connections=200")
	srv.SysProcAttr, srv.Dir = attr(), dir
	if stop, err = server("PostgreSQL", srv, log); err != nil {
		return "", nil, err
	}
	ready := func() error {
		return exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port).Run()
	}
	if err := until(ctx, log, ready); err != nil {
		stop()
		return "", nil, err
	}
	return "postgres://test@127.0.0.1:" + port + "/postgres?sslmode=disable", stop, nil
}

// packages are Debian's packages by a program that shows that they are there.
var packages = map[string]string{
	"/usr/lib/postgresql/*/bin/initdb": "postgresql",
	"/usr/sbin/mosquitto":              "mosquitto",
	"/usr/bin/chromium":                "chromium",
	"/usr/bin/aiosmtpd":                "python3-aiosmtpd",
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
