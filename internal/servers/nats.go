package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// natsVersion is a NATS server that go install builds.
const natsVersion = "v2.15.2"

// NATSServer gives the path of a nats-server, which it builds once into the user's
// cache.
func NATSServer(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	bin := filepath.Join(cache, "coldkeep-test", "nats-server-"+natsVersion)
	path := filepath.Join(bin, "nats-server")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(os.Stderr, "building NATS", natsVersion)
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/nats-server/v2@"+natsVersion)
	cmd.Dir = os.TempDir() // outside of this module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("NATS: %w\n%s", err, out)
	}
	return path, nil
}

var (
	natsTLS    = regexp.MustCompile(`(?s)\n  tls \{.*?\n  \}`)
	natsDevice = regexp.MustCompile(`(?s)    \{ user: "lakeside/fridge-1".*?\] \} \}\n`)
)

// NATS starts a NATS server that speaks MQTT on addr, with its files in dir. config
// is the configuration that we deliver: its TLS, its addresses and its one device are
// replaced by those of the test. users are passwords by user name.
func NATS(ctx context.Context, dir, addr, config string, users Users) (*Process, error) {
	device := natsDevice.FindString(config)
	if device == "" || !natsTLS.MatchString(config) {
		return nil, errors.New("the configuration of NATS has changed its form")
	}
	clients, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	var devices strings.Builder
	password := ""
	for user, p := range users {
		if user == "collector" {
			password = p
			continue
		}
		devices.WriteString(strings.NewReplacer("lakeside/fridge-1", user, "lakeside.fridge-1", strings.ReplaceAll(user, "/", "."), "change me", p).Replace(device))
	}
	config = natsTLS.ReplaceAllString(config, "")
	config = strings.Replace(config, device, devices.String(), 1)
	config = strings.NewReplacer("$COLDKEEP_COLLECTOR_PASSWORD", `"`+password+`"`, "listen: 127.0.0.1:4222", "listen: "+clients, "listen: 0.0.0.0:8883", "listen: "+addr,
		"/var/lib/nats", filepath.Join(dir, "jetstream")).Replace(config)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	path, err := NATSServer(ctx)
	if err != nil {
		return nil, err
	}
	p := &Process{Name: "NATS", Args: []string{path, "-c", file}}
	return p, up(ctx, p, func() error { return Listening(ctx, addr) })
}
