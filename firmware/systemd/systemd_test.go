package systemd_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/systemd"
)

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := systemd.Notify(systemd.Ready); err != nil {
		t.Errorf("without a manager: %v", err)
	}
	name := filepath.Join(t.TempDir(), "notify")
	t.Setenv("NOTIFY_SOCKET", name)
	if err := systemd.Notify(systemd.Ready); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("nobody listens: %v", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := systemd.Notify(systemd.Ready); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

func TestWatchdogEvery(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"180000000", "", time.Minute}, {"180000000", strconv.Itoa(os.Getpid()), time.Minute},
		{"180000000", "1", 0}, {"-1", "", 0}, {"soon", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := systemd.WatchdogEvery(); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}
