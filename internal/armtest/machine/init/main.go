//go:build linux

// Command init is the first and only program of the emulated board beside the agent:
// it loads the kernel's modules, brings the network up, sets the clock and runs the
// agent, whose log goes to the board's serial port. Package machine puts it into the
// board's initramfs.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a device may take to appear once its module is loaded.
const patience = 3 * time.Minute

func main() {
	fmt.Println("init failed:", run()) // package machine looks for these words
	for {
		time.Sleep(time.Hour) // the kernel wants its first process to stay
	}
}

// run returns only with an error: the agent runs until the board is switched off.
func run() error {
	for _, fs := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(fs.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs.kind, fs.at, fs.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", fs.at, err)
		}
	}
	modules, err := filepath.Glob("/modules/*.ko") // named in the order in which they need each other
	if err != nil {
		return err
	}
	for _, m := range modules {
		if err := load(m); err != nil {
			return fmt.Errorf("module %s: %w", m, err)
		}
	}
	for _, path := range []string{"/sys/class/net/eth0", "/dev/i2c-0"} {
		if err := appears(path); err != nil {
			return err
		}
	}
	// The addresses of QEMU's user network (its manual, -netdev user): the machine that
	// runs QEMU is 10.0.2.2, and nothing beyond it is needed.
	if err := address("lo", net.IPv4(127, 0, 0, 1), net.CIDRMask(8, 32)); err != nil {
		return err
	}
	if err := address("eth0", net.IPv4(10, 0, 2, 15), net.CIDRMask(24, 32)); err != nil {
		return err
	}
	clock, err := os.ReadFile("/clock")
	if err != nil {
		return err
	}
	if err := setClock(string(clock)); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	args, err := os.ReadFile("/arguments")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "/coldkeep-agent", strings.Split(string(args), "\n")...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("coldkeep-agent: %w", err)
	}
	return errors.New("coldkeep-agent has ended")
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil // the kernel has asked for it itself
	}
	return err
}

func appears(path string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s has not appeared within %v", path, patience)
}

// address gives an interface its address and turns it on (netdevice(7)).
func address(name string, ip net.IP, mask net.IPMask) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // it was only asked
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	for _, set := range []struct {
		ask uint
		to  []byte
	}{{unix.SIOCSIFADDR, ip.To4()}, {unix.SIOCSIFNETMASK, mask}} {
		if err := req.SetInet4Addr(set.to); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.ask, req); err != nil {
			return fmt.Errorf("address of %s: %w", name, err)
		}
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}

// setClock asks for the time in ms since 1970, sets the clock, and tells the kernel
// that it is right, as a time service does (adjtimex(2)): the board has no real-time
// clock, and begins in 1970.
func setClock(addr string) error {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return err
	}
	now := unix.NsecToTimeval(ms * int64(time.Millisecond))
	if err := unix.Settimeofday(&now); err != nil {
		return err
	}
	_, err = unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR, Status: unix.STA_PLL, Maxerror: 100_000, Esterror: 100_000})
	return err
}
