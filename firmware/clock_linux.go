package firmware

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// staUnsync is STA_UNSYNC of adjtimex(2): nothing disciplines the clock.
const staUnsync = 0x40

// sane is a time before which no clock of a running device can be: a real-time
// clock without a battery begins at 1970 or 2000.
var sane = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// kernel is Linux as a timekeeper.
type kernel struct {
	root     string // of /proc and /sys; "" is the machine's
	adjtimex func(*syscall.Timex) (int, error)
	now      func() time.Time

	rtc func() bool // asked once
}

func newTimekeeper() timekeeper { return newKernel("", syscall.Adjtimex, time.Now) }

func newKernel(root string, adjtimex func(*syscall.Timex) (int, error), now func() time.Time) *kernel {
	k := &kernel{root: root, adjtimex: adjtimex, now: now}
	k.rtc = sync.OnceValue(k.setFromRTC)
	return k
}

// trust asks the kernel whether a time service disciplines its clock, and if none
// does, whether it took the time from a real-time clock at its start.
func (k *kernel) trust() string {
	var t syscall.Timex // modes 0: only asks
	switch _, err := k.adjtimex(&t); {
	case err == nil && t.Status&staUnsync == 0:
		return wire.ClockNTP
	case k.rtc() && k.now().After(sane):
		return wire.ClockRTC
	}
	return wire.ClockUnsynced
}

// setFromRTC looks for the real-time clock from which the kernel took the time
// (Documentation/ABI/testing/rtc-cdev and sysfs-class-rtc: hctosys).
func (k *kernel) setFromRTC() bool {
	files, _ := filepath.Glob(filepath.Join(k.root, "/sys/class/rtc/*/hctosys")) // the pattern is right
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(b)) == "1" {
			return true
		}
	}
	return false
}

// boot reads the kernel's name of this boot, and /proc/uptime, which counts suspended
// time too (proc_uptime(5)).
func (k *kernel) boot() (id string, ago time.Duration, ok bool) {
	name, err := os.ReadFile(filepath.Join(k.root, "/proc/sys/kernel/random/boot_id"))
	if err != nil {
		return "", 0, false
	}
	text, err := os.ReadFile(filepath.Join(k.root, "/proc/uptime"))
	if err != nil {
		return "", 0, false
	}
	up, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(up), 64)
	id = strings.TrimSpace(string(name))
	if err != nil || !(seconds >= 0 && seconds < 1e9) || id == "" {
		return "", 0, false
	}
	return id, time.Duration(seconds * float64(time.Second)), true
}
