package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const password = "a password of the bench"

// process is the agent as a process of its own.
type process struct {
	cmd  *exec.Cmd
	data string
	log  *buffer
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *bench) start(ctx context.Context, addr string, args ...string) (*process, error) {
	b.n++
	p := &process{data: filepath.Join(b.dir, fmt.Sprint("data-", b.n)), log: &buffer{}}
	secret := filepath.Join(b.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, b.agent, append([]string{"--site", "clinic", "--agent", "pi", "--broker", "tcp://" + addr,
		"--password-file", secret, "--data", p.data}, args...)...) //nolint:gosec // the agent, just built
	p.cmd.Stderr, p.cmd.Env = p.log, append(os.Environ(), b.env...)
	return p, p.cmd.Start()
}

func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = p.cmd.Wait()                          // how it ended is no matter here
}

// usage is what the kernel counts of a process (proc(5)).
type usage struct {
	cpu        time.Duration
	rss, peak  int64 // bytes
	anon, file int64 // bytes of rss
	written    int64 // bytes that it caused to be written to the disk
}

func (p *process) usage() (u usage, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, err
	}
	// After the name, which is in brackets: fields 14 and 15, in hundredths of a second.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return u, errors.New("/proc/PID/stat is not readable")
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond
	for file, into := range map[string]map[string]*int64{
		"status": {"VmRSS:": &u.rss, "VmHWM:": &u.peak, "RssAnon:": &u.anon, "RssFile:": &u.file},
		"io":     {"write_bytes:": &u.written},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return u, err
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) >= 2 && into[f[0]] != nil {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				if len(f) == 3 && f[2] == "kB" {
					n *= 1024
				}
				*into[f[0]] = n
			}
		}
	}
	return u, nil
}

// tree is what the kernel shows of eight thermometers.
func tree(dir string) (string, error) {
	root := filepath.Join(dir, "w1")
	for i := range probes {
		d := filepath.Join(root, fmt.Sprintf("28-%012d", i+1))
		if err := os.MkdirAll(d, 0o755); err != nil { //nolint:gosec // as the kernel's
			return "", err
		}
		text := "45 00 4b 46 7f ff 0b 10 b9 : crc=b9 YES\n45 00 4b 46 7f ff 0b 10 b9 t=4312\n"
		if err := os.WriteFile(filepath.Join(d, "w1_slave"), []byte(text), 0o644); err != nil { //nolint:gosec // as the kernel's
			return "", err
		}
	}
	return root, nil
}

// trace writes a log of eight probes, a reading a minute, that moves as fridges do.
func trace(file string, minutes int) error {
	var b bytes.Buffer
	b.WriteString("time,celsius,probe\n")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for m := range minutes {
		at := begin.Add(time.Duration(m) * time.Minute).Format(time.RFC3339)
		for p := range probes {
			fmt.Fprintf(&b, "%s,%.3f,28-%012d\n", at, 4.5+float64((m*7+p*13)%32)/16, p+1)
		}
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}
