//go:build linux

// Command boardinit is the first process of the emulated board of internal/armtest: it
// loads the drivers of its I2C and network, gives it an address, and runs the agent.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("init:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // qemu's -no-reboot ends here
}

func run() error {
	for dir, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/tmp": "tmpfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as every system's
			return err
		}
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	order, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		f, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			fmt.Println("init:", name, err) // the agent says what is missing
		}
		_ = f.Close() // only read
	}
	for _, i := range []struct{ name, address, mask string }{{"lo", "127.0.0.1", "255.0.0.0"}, {"eth0", "10.0.2.15", "255.255.255.0"}} {
		if err := up(i.name, i.address, i.mask); err != nil {
			return err
		}
	}
	args, err := os.ReadFile("/agent.args")
	if err != nil {
		return err
	}
	cmd := exec.Command("/coldkeep-agent", strings.Split(strings.TrimSpace(string(args)), "\n")...) //nolint:gosec,noctx // it is the board's only program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// up gives an interface its address (netdevice(7)).
func up(name, address, mask string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // only a handle
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		request uint
		address string
	}{{unix.SIOCSIFADDR, address}, {unix.SIOCSIFNETMASK, mask}} {
		if err := ifr.SetInet4Addr(net.ParseIP(s.address).To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, s.request, ifr); err != nil {
			return fmt.Errorf("%s %s: %w", name, s.address, err)
		}
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return err
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
