package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// The board: QEMU's model of the Sabre Lite, the one that has both an I2C controller
// and a network interface whose drivers Debian's kernel brings.
const (
	qemu        = "qemu-system-arm"
	model       = "sabrelite"
	deviceTree  = "imx6q-sabrelite.dtb"
	thermometer = "probe0" // the TMP105's name in QEMU
	host        = "10.0.2.2"
)

// drivers are of the pins (one of which resets the network's transceiver, without which
// there is no interface), the network interface, the I2C controller and /dev/i2c-N.
var drivers = []string{"gpio-mxc", "fec", "i2c-imx", "i2c-dev"}

// board is the emulated machine.
type board struct {
	*servers.Process
	*monitor
	clock net.Listener
}

// startBoard builds the agent for ARM, as it is delivered, and starts the board with
// it as the device of the centre's that the probe belongs to.
func startBoard(ctx context.Context, k *kernel, c *centre, work string) (*board, error) {
	modules, err := k.inOrder(drivers...)
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(c.password())
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.mqtt, "tcp://"))
	if err != nil {
		return nil, err
	}
	clock, err := tellTime(ctx)
	if err != nil {
		return nil, err
	}
	b := &board{clock: clock}
	_, clockPort, _ := net.SplitHostPort(clock.Addr().String()) // it is an address
	files := []file{
		{"data", directory, nil},
		{"modules", directory, nil},
		{"password", plain, password},
		{"clock", plain, []byte(net.JoinHostPort(host, clockPort))},
		{"arguments", plain, []byte(strings.Join([]string{"--site", site, "--agent", agent, "--broker", "tcp://" + net.JoinHostPort(host, port), "--password-file", "/password",
			"--data", "/data", "--driver", "wired", "--probe", "tmp105@/dev/i2c-0:0x48,name=" + probe}, "\n"))},
	}
	for name, pkg := range map[string]string{"init": "github.com/coldkeep/coldkeep/internal/armtest/machine/init", "coldkeep-agent": "github.com/coldkeep/coldkeep/cmd/coldkeep-agent"} {
		path := filepath.Join(work, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", path, pkg) //nolint:gosec // our own packages
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm", "GOARM=6")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("go build %s: %w\n%s", pkg, err, out), b.Close())
		}
		if files, err = add(files, name, program, path); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	for i, path := range modules {
		if files, err = add(files, fmt.Sprintf("modules/%02d-%s", i, filepath.Base(path)), plain, path); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	initramfs, socket := filepath.Join(work, "initramfs"), filepath.Join(work, "monitor")
	if err := writeInitramfs(initramfs, files); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	// Linux's console is the board's second serial port. The user network needs no
	// rights and opens no port; the board reaches our loopback as 10.0.2.2.
	b.Process = &servers.Process{Name: qemu, Args: []string{qemu, "-M", model, "-m", "512", "-display", "none", "-no-reboot",
		"-kernel", k.image, "-dtb", k.dtb, "-initrd", initramfs, "-append", "console=ttymxc1 rdinit=/init quiet", "-serial", "null", "-serial", "stdio", "-monitor", "none",
		"-nic", "user", "-device", "tmp105,id=" + thermometer + ",bus=i2c-bus.0,address=0x48", "-qmp", "unix:" + socket + ",server=on,wait=off"}}
	if err := b.Start(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if b.monitor, err = openMonitor(ctx, socket); err != nil {
		b.Kill()
		return nil, fmt.Errorf("%w\n%s", err, b.Log().Tail(2000))
	}
	return b, nil
}

func add(files []file, name string, mode uint32, path string) ([]file, error) {
	data, err := os.ReadFile(path)
	return append(files, file{name, mode, data}), err
}

// Close lets go of what the board has on this machine.
func (b *board) Close() error { return b.clock.Close() }

// Kill switches the board off.
func (b *board) Kill() {
	_ = b.Close() // nobody asks any more
	if b.monitor != nil {
		_ = b.conn.Close() // as above
	}
	b.Process.Kill()
}

// set has the thermometer in another temperature.
func (b *board) set(c coldkeep.Temperature) error {
	say("the thermometer stands in %v °C from now on", c)
	return b.monitor.set(c)
}

// tellTime answers each connection with the time in ms since 1970 and a newline: the
// time service of the board's small network.
func tellTime(ctx context.Context) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // it was closed
			}
			_, _ = fmt.Fprintln(conn, time.Now().UnixMilli()) // the board says if it misses it
			_ = conn.Close()
		}
	}()
	return ln, nil
}
