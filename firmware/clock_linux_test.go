package firmware

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// tree makes files below a root as the kernel shows them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestKernelTrust(t *testing.T) {
	rtc := map[string]string{"sys/class/rtc/rtc0/hctosys": "0\n", "sys/class/rtc/rtc1/hctosys": "1\n"}
	for what, c := range map[string]struct {
		status int32
		err    error
		files  map[string]string
		year   int
		want   string
	}{
		"disciplined":                {0x2001, nil, nil, 2026, wire.ClockNTP},
		"not":                        {0x40, nil, nil, 2026, wire.ClockUnsynced},
		"forbidden to ask":           {0, errors.New("no"), nil, 2026, wire.ClockUnsynced},
		"real-time clock":            {0x40, nil, rtc, 2026, wire.ClockRTC},
		"one that was not used":      {0x40, nil, map[string]string{"sys/class/rtc/rtc0/hctosys": "0\n"}, 2026, wire.ClockUnsynced},
		"one whose battery is empty": {0x40, nil, rtc, 2000, wire.ClockUnsynced},
	} {
		k := newKernel(tree(t, c.files), func(x *syscall.Timex) (int, error) { x.Status = c.status; return 0, c.err },
			func() time.Time { return time.Date(c.year, 5, 1, 0, 0, 0, 0, time.UTC) })
		if got := k.trust(); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestKernelBoot(t *testing.T) {
	const id = "proc/sys/kernel/random/boot_id"
	k := newKernel(tree(t, map[string]string{id: "0af6\n", "proc/uptime": "350735.47 234388.90\n"}), nil, nil)
	if name, ago, ok := k.boot(); name != "0af6" || ago != 350735470*time.Millisecond || !ok {
		t.Errorf("%q %v %v", name, ago, ok)
	}
	for what, files := range map[string]map[string]string{
		"nothing": nil, "no id": {"proc/uptime": "1 1"}, "no uptime": {id: "x"},
		"empty": {id: "x", "proc/uptime": ""}, "a word": {id: "x", "proc/uptime": "soon"}, "negative": {id: "x", "proc/uptime": "-1 0"}, "no name": {id: "\n", "proc/uptime": "1 1"},
	} {
		if _, _, ok := newKernel(tree(t, files), nil, nil).boot(); ok {
			t.Errorf("%s: taken", what)
		}
	}
	// This machine's own.
	name, ago, ok := newTimekeeper().boot()
	again, later, _ := newTimekeeper().boot()
	if !ok || name != again || later < ago || ago <= 0 {
		t.Errorf("%q %v %v, then %q %v", name, ago, ok, again, later)
	}
}
