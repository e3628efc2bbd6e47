// Package systemd tells the service manager how the agent is, by the protocol of
// sd_notify(3), and reads what it expects of sd_watchdog_enabled(3). Without a service
// manager it does nothing.
package systemd

import (
	"net"
	"os"
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
)

// The states that the agent tells.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Watchdog = "WATCHDOG=1" // still alive
)

// Notify tells a state; several are joined by line breaks. EUNAVAILABLE when the
// manager does not listen.
func Notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"}) // a leading @ is the abstract namespace's
	if err == nil {
		_, err = conn.Write([]byte(state))
		_ = conn.Close() // it was sent or not
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "systemd.Notify", "the service manager cannot be told")
}

// WatchdogEvery is how often the manager is to hear of the agent: a third of the time
// after which it would restart it. 0 when it does not expect to.
func WatchdogEvery() time.Duration {
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // another process of the service is meant
	}
	return time.Duration(us) * time.Microsecond / 3
}
