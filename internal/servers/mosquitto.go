package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Users are a broker's accounts, passwords by user name. None lets anyone in.
type Users map[string]string

// Mosquitto starts Debian's broker on addr with its files in dir. acl is the text
// of its access list, for which users are needed; more is added to its
// configuration.
func Mosquitto(ctx context.Context, dir, addr string, users Users, acl, more string) (*Process, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as root it becomes another user, who must read it
		return nil, err
	}
	conf := fmt.Sprintf("listener %s %s\npersistence false\n%s\n", port, host, more)
	if len(users) == 0 {
		conf += "allow_anonymous true\n"
	} else {
		passwd, list := filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
		if err := passwords(ctx, passwd, users); err != nil {
			return nil, err
		}
		if err := os.WriteFile(list, []byte(acl), 0o644); err != nil { //nolint:gosec // as above
			return nil, err
		}
		conf += "allow_anonymous false\npassword_file " + passwd + "\nacl_file " + list + "\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil { //nolint:gosec // as above
		return nil, err
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	p := &Process{Name: "Mosquitto", Args: []string{path, "-c", file}}
	return p, up(ctx, p, func() error { return Listening(ctx, addr) })
}

func passwords(ctx context.Context, file string, users Users) error {
	create := []string{"-c"}
	for user, password := range users {
		cmd := exec.CommandContext(ctx, "mosquitto_passwd", append(create, "-b", file, user, password)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("mosquitto_passwd: %w\n%s", err, out)
		}
		create = nil
	}
	return os.Chmod(file, 0o644) //nolint:gosec // as root Mosquitto becomes another user
}
