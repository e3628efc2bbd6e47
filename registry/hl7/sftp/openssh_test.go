package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// openssh is OpenSSH's own client, with a folder for what it needs.
type openssh struct {
	t    *testing.T
	w    *world
	dir  string
	addr string // of the server, or of what stands before it
}

func newOpenSSH(t *testing.T, w *world) *openssh {
	t.Helper()
	if _, err := exec.LookPath("sftp"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("OpenSSH's sftp is not there")
		}
		t.Skip("OpenSSH's sftp is not there: go run ./internal/testbed installs it")
	}
	o := &openssh{t: t, w: w, dir: t.TempDir(), addr: w.addr}
	w.must(os.WriteFile(filepath.Join(o.dir, "key"), w.keys["lakeside-ehr"].pem, 0o600))
	return o
}

// command is a batch of sftp's.
func (o *openssh) command(ctx context.Context, batch string) *exec.Cmd {
	o.t.Helper()
	host, port, err := net.SplitHostPort(o.addr)
	o.w.must(err)
	known := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(o.w.host))
	o.w.must(os.WriteFile(filepath.Join(o.dir, "known"), []byte(known), 0o600))
	cmd := exec.CommandContext(ctx, "sftp", "-b", "-", "-F", "none", "-P", port, "-i", filepath.Join(o.dir, "key"),
		"-o", "UserKnownHostsFile="+filepath.Join(o.dir, "known"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "lakeside-ehr@"+host)
	cmd.Stdin, cmd.Dir = strings.NewReader(batch), o.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // sftp has ssh as its child
	return cmd
}

func (o *openssh) run(batch string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 60*time.Second)
	defer cancel()
	out, err := o.command(ctx, batch).CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s: %v\n%s", batch, err, out)
	}
	return string(out)
}

func (o *openssh) file(name, body string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	o.w.must(os.WriteFile(path, []byte(body), 0o600))
	return path
}

func TestOpenSSH(t *testing.T) {
	w := newWorld(t)
	o := newOpenSSH(t, w)
	body := strings.Repeat(message, 3000)
	o.file("monday.hl7", body)
	o.run("cd in\nput -p monday.hl7\n")
	o.run("put monday.hl7 in/tuesday.hl7.part\nrename in/tuesday.hl7.part in/tuesday.hl7\n")
	if got := w.got(); !slices.Equal(got, []string{fmt.Sprintf("monday.hl7 %d", len(body)), fmt.Sprintf("tuesday.hl7 %d", len(body))}) {
		t.Fatalf("taken: %v", got)
	}
	if out := o.run("ls -l out\nls archive\n"); !strings.Contains(out, "monday.hl7.ack.hl7") || !strings.Contains(out, "tuesday.hl7") {
		t.Errorf("ls says %s", out)
	}
	o.run("get out/monday.hl7.ack.hl7\nrm out/monday.hl7.ack.hl7\n")
	got, err := os.ReadFile(filepath.Join(o.dir, "monday.hl7.ack.hl7"))
	w.must(err)
	if want := answerTo([]byte(body)); string(got) != want {
		t.Errorf("the answer has %d bytes, want %d", len(got), len(want))
	}
	// What was not taken is told to the client.
	o.file("milk.txt", "Buy milk")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var exit *exec.ExitError
	if out, err := o.command(ctx, "put milk.txt in/milk.txt\n").CombinedOutput(); !errors.As(err, &exit) {
		t.Errorf("a file that is refused: %v\n%s", err, out)
	}
}

// gate stands before the server and lets so many bytes through to it, then waits to be told
// what to do.
type gate struct {
	ln    net.Listener
	full  chan struct{} // closed when the bytes are through
	mu    sync.Mutex
	conns []net.Conn
}

func newGate(t *testing.T, to string, bytes int64) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ln: ln, full: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			return
		}
		g.mu.Lock()
		g.conns = append(g.conns, in, out)
		g.mu.Unlock()
		wg.Go(func() { _, _ = io.Copy(in, out) }) // until either is closed
		if _, err := io.CopyN(out, in, bytes); err == nil {
			close(g.full)
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		g.cut()
		wg.Wait()
	})
	return g
}

// cut ends the connections on both sides.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close() // it may be closed
	}
}

// An upload that ends in its midst, because the client is killed, because the network is cut,
// or because the server ends, never counts. The client goes on with it, and it does.
func TestOpenSSHBreaksOff(t *testing.T) {
	for _, c := range []struct {
		how string
		do  func(w *world, g *gate, cmd *exec.Cmd)
	}{
		{"kill -9 of the client", func(w *world, _ *gate, cmd *exec.Cmd) { w.must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)) }},
		{"kill -9 of sftp alone", func(w *world, g *gate, cmd *exec.Cmd) {
			w.must(cmd.Process.Kill())
			g.cut() // ssh is stuck behind the gate and would not notice
		}},
		{"the connection is cut", func(_ *world, g *gate, _ *exec.Cmd) { g.cut() }},
		{"the server ends", func(w *world, g *gate, _ *exec.Cmd) {
			w.stop()
			g.cut()
			w.start()
		}},
	} {
		t.Run(c.how, func(t *testing.T) {
			w := newWorld(t)
			o := newOpenSSH(t, w)
			body := strings.Repeat(message, 60_000) // 6 MB
			o.file("big.hl7", body)
			g := newGate(t, w.addr, 2<<20)
			o.addr = g.ln.Addr().String()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := o.command(ctx, "put big.hl7 in/big.hl7\n")
			w.must(cmd.Start())
			select {
			case <-g.full:
			case <-ctx.Done():
				t.Fatal("the upload does not come as far")
			}
			see, half := w.client("lakeside-ehr"), int64(0)
			w.eventually("a part of the file in in/", func() bool {
				info, err := see.Stat("/in/big.hl7")
				if err == nil {
					half = info.Size()
				}
				return half > 1<<20
			})
			c.do(w, g, cmd)
			if err := cmd.Wait(); err == nil {
				t.Error("the client was told that it has worked")
			}
			info, err := w.client("lakeside-ehr").Stat("/in/big.hl7")
			w.must(err)
			if info.Size() < half || info.Size() >= int64(len(body)) {
				t.Errorf("%d bytes are there, of %d", info.Size(), len(body))
			}
			if got := w.got(); len(got) != 0 {
				t.Fatalf("half a file counts: %v", got)
			}
			o.addr = w.addr
			o.run("reput big.hl7 in/big.hl7\n")
			if got := w.got(); !slices.Equal(got, []string{fmt.Sprintf("big.hl7 %d", len(body))}) || !bytes.Equal(w.files[0].body, []byte(body)) {
				t.Errorf("taken: %v", got)
			}
		})
	}
}
