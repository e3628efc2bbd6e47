package sftp_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
)

const message = "MSH|^~\\&|EHR|LAKESIDE|||20260101000000-0600||VXU^V04^VXU_V04|1|P|2.5.1\rPID|1||4^^^A^MR\r"

// office knows accounts and takes files: those that begin with MSH, each answered with a
// line a message.
type office struct {
	mu       sync.Mutex
	keys     map[string]auth.Principal // by login and fingerprint
	signedIn []string
	refused  []string
	files    []taken
	full     bool // nothing more is taken
}

type taken struct {
	sftp.File
	by   string
	body []byte
}

func (o *office) AccountByKey(_ context.Context, login, fingerprint string) (auth.Principal, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p, ok := o.keys[login+" "+fingerprint]; ok {
		return p, nil
	}
	return auth.Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "not known")
}

func (o *office) AccountSignedIn(_ context.Context, by auth.Principal, way string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signedIn = append(o.signedIn, by.Name+" by "+way)
	return nil
}

func (o *office) AccountRefused(_ context.Context, name, way string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = append(o.refused, name+" by "+way)
	return nil
}

func (o *office) Take(_ context.Context, by auth.Principal, name string, file io.Reader) error {
	body, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.full {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "The queue is full.")
	}
	if !bytes.HasPrefix(body, []byte("MSH")) {
		return coldkeep.Errorf(coldkeep.EINVALID, "This is no file of messages.")
	}
	now := time.Now()
	o.files = append(o.files, taken{sftp.File{ID: fmt.Sprintf("F%03d", len(o.files)+1), Name: name, At: now.Add(time.Duration(len(o.files)) * time.Millisecond), EndedAt: &now, Size: int64(len(body))}, by.ID, body})
	return nil
}

func (o *office) Files(_ context.Context, by auth.Principal, _ time.Time) ([]sftp.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []sftp.File
	for _, f := range o.files {
		if f.by == by.ID {
			out = append(out, f.File)
		}
	}
	return out, nil
}

func (o *office) one(by auth.Principal, id string) (taken, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.files {
		if f.by == by.ID && f.ID == id {
			return f, nil
		}
	}
	return taken{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "no such file")
}

func (o *office) Answer(_ context.Context, by auth.Principal, id string, to io.Writer) error {
	f, err := o.one(by, id)
	if err == nil {
		_, err = io.WriteString(to, answerTo(f.body))
	}
	return err
}

func answerTo(body []byte) string {
	return strings.Repeat("MSA|AA|1\r", bytes.Count(body, []byte("MSH|")))
}

func (o *office) Remove(_ context.Context, _ auth.Principal, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.files {
		if o.files[i].ID == id {
			o.files[i].NoAnswer = true
		}
	}
	return nil
}

func (o *office) Forget(context.Context) error { return nil }

// got are the names of what an account's files were taken as.
func (o *office) got() (out []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.files {
		out = append(out, fmt.Sprintf("%s %d", f.Name, len(f.body)))
	}
	return out
}

// world is a server with two accounts.
type world struct {
	*office
	t      *testing.T
	addr   string
	folder string
	host   ssh.PublicKey
	stop   func()
	keys   map[string]key
}

type key struct {
	signer ssh.Signer
	pem    []byte
}

func newKey(t *testing.T) key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return key{signer, pem.EncodeToMemory(block)}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{office: &office{keys: map[string]auth.Principal{}}, t: t, folder: t.TempDir(), keys: map[string]key{}}
	for _, name := range []string{"lakeside-ehr", "northgate-ehr", "collector"} {
		k := newKey(t)
		w.keys[name] = k
		scope := auth.ScopeRecords
		if name == "collector" {
			scope = auth.ScopeCollector
		}
		w.office.keys[name+" "+ssh.FingerprintSHA256(k.signer.PublicKey())] = auth.Principal{ID: "id-of-" + name, Name: name, Site: coldkeep.SiteID(name), Scopes: []string{scope}}
	}
	w.start()
	return w
}

// start starts the server; a world that was stopped goes on with its folder.
func (w *world) start() {
	w.t.Helper()
	host, err := sftp.EnsureHostKey(filepath.Join(w.folder, "host-key"))
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := sftp.New(sftp.Config{Folder: filepath.Join(w.folder, "spool"), HostKeys: []ssh.Signer{host}, Accounts: w.office, Exchange: w.office, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil))})
	if err != nil {
		w.t.Fatal(err)
	}
	at := w.addr
	if at == "" {
		at = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", at)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	w.addr, w.host = ln.Addr().String(), host.PublicKey()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(w.stop)
}

// dial signs in with a key; the connection is closed at the end of the test.
func (w *world) dial(login string, k key) (*ssh.Client, error) {
	c, err := ssh.Dial("tcp", w.addr, &ssh.ClientConfig{User: login, Auth: []ssh.AuthMethod{ssh.PublicKeys(k.signer)}, HostKeyCallback: ssh.FixedHostKey(w.host), Timeout: 20 * time.Second})
	if err == nil {
		w.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func (w *world) client(login string) *client.Client {
	w.t.Helper()
	conn, err := w.dial(login, w.keys[login])
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := client.NewClient(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// put uploads a file and gives what closing it has said.
func put(c *client.Client, name, body string) error {
	f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(body)); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func names(t *testing.T, c *client.Client, dir string) (out []string) {
	t.Helper()
	all, err := c.ReadDir(dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, e := range all {
		out = append(out, e.Name())
	}
	return out
}

func (w *world) clientOn(conn *ssh.Client) *client.Client {
	w.t.Helper()
	c, err := client.NewClient(conn)
	w.must(err)
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits for what another goroutine does soon.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not so", what)
		}
	}
}
