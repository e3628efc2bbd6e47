package servers

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

// Influxd gives the path of an influxd 1.8, which it builds once into the user's
// cache.
func Influxd(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	bin := filepath.Join(cache, "coldkeep-test", "influxd-"+influxVersion)
	path := filepath.Join(bin, "influxd")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(os.Stderr, "building InfluxDB", influxVersion)
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
bind-address = "%s"
[meta]
  dir = "%[3]s/meta"
[data]
  dir = "%[3]s/data"
  wal-dir = "%[3]s/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "%[2]s"
  flux-enabled = true
  log-enabled = false
`

// InfluxBucket is the bucket of the database that Influx makes.
const InfluxBucket = "coldkeep/autogen"

// Influx starts an InfluxDB with its data in dir and an empty database, and
// returns its URL.
func Influx(ctx context.Context, dir string) (*Process, string, error) {
	influxd, err := Influxd(ctx)
	if err != nil {
		return nil, "", err
	}
	rpc, err := FreeAddr()
	if err != nil {
		return nil, "", err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	conf := filepath.Join(dir, "influxdb.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, influxConfig, rpc, addr, dir), 0o600); err != nil {
		return nil, "", err
	}
	p := &Process{Name: "InfluxDB", Args: []string{influxd, "-config", conf}}
	address := "http://" + addr
	return p, address, up(ctx, p, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/query", strings.NewReader(url.Values{"q": {"CREATE DATABASE coldkeep"}}.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("it answers %s", resp.Status)
		}
		_ = resp.Body.Close() // only the status matters
		return err
	})
}
