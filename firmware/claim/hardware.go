package claim

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Hardware is what a technician may compare with the box in hand.
type Hardware struct {
	Model  string // such as "Raspberry Pi 4 Model B Rev 1.4"
	Serial string // as the board says it; the host's name where it says none
}

// ThisMachine reads what the board says of itself.
func ThisMachine() Hardware {
	host, _ := os.Hostname() // "" is as good as none
	return readHardware("/", host)
}

// readHardware reads the device tree below root (Devicetree specification 2.3: the
// root's properties model and serial-number, texts that end in a zero byte).
func readHardware(root, host string) Hardware {
	property := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, "proc/device-tree", name))
		if err != nil {
			return ""
		}
		return strings.TrimRight(string(b), "\x00\n")
	}
	h := Hardware{Model: property("model"), Serial: property("serial-number")}
	if h.Model == "" {
		h.Model = runtime.GOOS + "/" + runtime.GOARCH
	}
	if h.Serial == "" {
		h.Serial = host
	}
	return h
}
