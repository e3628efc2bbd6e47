package firmware

import (
	"syscall"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// staUnsync is STA_UNSYNC of adjtimex(2): nothing disciplines the clock.
const staUnsync = 0x40

// clockTrust asks the kernel whether a time service disciplines its clock.
func clockTrust() string {
	var t syscall.Timex // modes 0: only asks
	if _, err := syscall.Adjtimex(&t); err != nil || t.Status&staUnsync != 0 {
		return wire.ClockUnsynced
	}
	return wire.ClockNTP
}
