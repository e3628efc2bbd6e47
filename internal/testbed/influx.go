package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// influxVersion is the newest InfluxDB that go install builds without a C library.
const influxVersion = "v1.8.10"

// installInfluxd builds influxd once into the user's cache.
func installInfluxd(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	bin := filepath.Join(cache, "coldkeep-test", "influxd-"+influxVersion)
	path := filepath.Join(bin, "influxd")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(os.Stderr, "testbed: building InfluxDB", influxVersion)
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/influxdata/influxdb/cmd/influxd@"+influxVersion)
	cmd.Dir = os.TempDir() // outside of this module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("InfluxDB: %w\n%s", err, out)
	}
	return path, nil
}

// influxConfig is a server that keeps to itself, on loopback and without
// authentication.
const influxConfig = `reporting-disabled = true
bind-address = "127.0.0.1:%s"
[meta]
  dir = "%[3]s/meta"
[data]
  dir = "%[3]s/data"
  wal-dir = "%[3]s/wal"
  series-id-set-cache-size = 100
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:%[2]s"
  flux-enabled = true
  log-enabled = false
`

func startInflux(ctx context.Context, influxd, dir string) (address string, stop func(), err error) {
	rpc, err := freePort()
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
	conf, log := filepath.Join(dir, "influxdb.conf"), filepath.Join(dir, "log")
	if err := os.WriteFile(conf, fmt.Appendf(nil, influxConfig, rpc, port, dir), 0o600); err != nil {
		return "", nil, err
	}
	stop, err = server("InfluxDB", exec.CommandContext(context.WithoutCancel(ctx), influxd, "-config", conf), log)
	if err != nil {
		return "", nil, err
	}
	address = "http://127.0.0.1:" + port
	create := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/query", strings.NewReader(url.Values{"q": {"CREATE DATABASE coldkeep"}}.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // only the status matters
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	}
	if err := until(ctx, log, create); err != nil {
		stop()
		return "", nil, err
	}
	return address, stop, nil
}
