package sftp_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
)

func TestAFileAndItsAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.client("lakeside-ehr")
	if got := names(t, c, "/"); !slices.Equal(got, []string{"archive", "in", "out"}) {
		t.Errorf("/ has %v", got)
	}
	body := strings.Repeat(message, 3)
	w.must(put(c, "/in/monday.hl7", body))
	if got := w.got(); !slices.Equal(got, []string{fmt.Sprintf("monday.hl7 %d", len(body))}) {
		t.Fatalf("taken: %v", got)
	}
	if got := names(t, c, "/in"); len(got) != 0 {
		t.Errorf("/in has %v", got)
	}
	// Clients look whether what they sent has arrived whole.
	if info, err := c.Stat("/in/monday.hl7"); err != nil || info.Size() != int64(len(body)) {
		t.Errorf("after the upload: %v %v", info, err)
	}
	w.must(c.Chtimes("/in/monday.hl7", time.Now(), time.Now()))
	want := answerTo([]byte(body))
	info, err := c.Stat("/out/monday.hl7.ack.hl7")
	w.must(err)
	f, err := c.Open("/out/monday.hl7.ack.hl7")
	w.must(err)
	got, err := io.ReadAll(f)
	w.must(err)
	w.must(f.Close())
	if string(got) != want || info.Size() != int64(len(want)) {
		t.Errorf("%d bytes, %d told: %.80q", len(got), info.Size(), got)
	}
	if info, err := c.Stat("/archive/monday.hl7"); err != nil || info.Size() != int64(len(body)) {
		t.Errorf("the archive tells %v %v", info, err)
	}
	if _, err := c.Open("/archive/monday.hl7"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("what was sent is given back: %v", err)
	}
	w.must(c.Remove("/out/monday.hl7.ack.hl7"))
	if got := names(t, c, "/out"); len(got) != 0 {
		t.Errorf("/out has %v", got)
	}
	// Nothing of it is another account's.
	other := w.client("northgate-ehr")
	for _, dir := range []string{"/in", "/out", "/archive"} {
		if got := names(t, other, dir); len(got) != 0 {
			t.Errorf("another account sees %v in %s", got, dir)
		}
	}
	if _, err := other.Open("/archive/monday.hl7"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another account opens it: %v", err)
	}
	if len(w.signedIn) != 2 || w.signedIn[0] != "lakeside-ehr by sftp" {
		t.Errorf("the trail has %v", w.signedIn)
	}
}

// Of several files of one name every answer is found, and who removes what it has read finds
// the next under the plain name.
func TestAnswersOfOneName(t *testing.T) {
	w := newWorld(t)
	c := w.client("lakeside-ehr")
	for n := range 3 {
		w.must(put(c, "/in/daily.hl7", strings.Repeat(message, n+1)))
	}
	if got := names(t, c, "/out"); !slices.Equal(got, []string{"daily.hl7.F002.ack.hl7", "daily.hl7.F003.ack.hl7", "daily.hl7.ack.hl7"}) {
		t.Errorf("/out has %v", got)
	}
	for n := range 3 {
		f, err := c.Open("/out/daily.hl7.ack.hl7")
		w.must(err)
		b, err := io.ReadAll(f)
		w.must(err)
		w.must(f.Close())
		if got := strings.Count(string(b), "MSA"); got != n+1 {
			t.Errorf("answer %d has %d messages", n+1, got)
		}
		_, err = c.Stat(fmt.Sprintf("/out/daily.hl7.F%03d.ack.hl7", n+1))
		w.must(err)
		w.must(c.Remove("/out/daily.hl7.ack.hl7"))
	}
}

// A temporary name does not count; what it is renamed to does.
func TestTemporaryNames(t *testing.T) {
	w := newWorld(t)
	c := w.client("lakeside-ehr")
	for n, temporary := range []string{"a.tmp", "a.hl7.part", "a.FILEPART", ".a.hl7", "a~", "a.hl7.partial"} {
		w.must(put(c, "/in/"+temporary, message))
		if got := names(t, c, "/in"); !slices.Equal(got, []string{temporary}) {
			t.Errorf("/in has %v", got)
		}
		if got := w.got(); len(got) != n {
			t.Fatalf("%s counts: %v", temporary, got)
		}
		rename := c.Rename
		if n%2 == 1 {
			rename = c.PosixRename
		}
		w.must(rename("/in/"+temporary, "/in/still.tmp"))
		w.must(rename("/in/still.tmp", fmt.Sprintf("/in/a%d.hl7", n)))
		if got := w.got(); len(got) != n+1 {
			t.Fatalf("%s was renamed and does not count: %v", temporary, got)
		}
	}
	// While it is still open, it cannot be renamed.
	f, err := c.Create("/in/b.part")
	w.must(err)
	if err := c.Rename("/in/b.part", "/in/b.hl7"); err == nil {
		t.Error("a file that is being uploaded was renamed")
	}
	w.must(f.Close())
	if err := c.Rename("/in/nothing.part", "/in/c.hl7"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("renaming nothing: %v", err)
	}
}

// A connection that is cut leaves a file that does not count, can be seen, and can be gone on
// with, also after the server was started anew.
func TestCutAndResumed(t *testing.T) {
	w := newWorld(t)
	body := strings.Repeat(message, 2000)
	conn, err := w.dial("lakeside-ehr", w.keys["lakeside-ehr"])
	w.must(err)
	c := w.clientOn(conn)
	f, err := c.OpenFile("/in/big.hl7", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	w.must(err)
	half := len(body) / 2
	_, err = f.Write([]byte(body[:half]))
	w.must(err)
	w.must(conn.Close()) // the network is gone
	c2 := w.client("lakeside-ehr")
	info, err := c2.Stat("/in/big.hl7")
	w.must(err)
	if info.Size() != int64(half) {
		t.Errorf("%d bytes, want %d", info.Size(), half)
	}
	if err := c2.Rename("/in/big.hl7", "/in/done.hl7"); err == nil {
		t.Error("an upload that broke off was renamed")
	}
	w.stop()
	if got := w.got(); len(got) != 0 {
		t.Fatalf("half a file counts: %v", got)
	}
	w.start()
	c3 := w.client("lakeside-ehr")
	f, err = c3.OpenFile("/in/big.hl7", os.O_WRONLY)
	w.must(err)
	_, err = f.WriteAt([]byte(body[half:]), int64(half))
	w.must(err)
	w.must(f.Close())
	if got := w.got(); !slices.Equal(got, []string{fmt.Sprintf("big.hl7 %d", len(body))}) || string(w.files[0].body) != body {
		t.Errorf("taken: %v", got)
	}
	left, err := filepath.Glob(filepath.Join(w.folder, "spool", "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("the spool has %v (%v)", left, err)
	}
}

// What is not told to have worked does not count, and what is, does, whatever happens
// between: parts that are missing, another upload of the name, a queue that is full.
func TestWhatCounts(t *testing.T) {
	w := newWorld(t)
	c := w.client("lakeside-ehr")
	f, err := c.Create("/in/gap.hl7")
	w.must(err)
	_, err = f.WriteAt([]byte(message), 100)
	w.must(err)
	if err := f.Close(); err == nil {
		t.Error("a file with a gap was taken")
	}
	// Who comes again before the server knows that the first connection is dead.
	first, err := c.Create("/in/twice.hl7")
	w.must(err)
	_, err = first.Write([]byte(message[:20]))
	w.must(err)
	w.must(put(w.client("lakeside-ehr"), "/in/twice.hl7", message))
	if _, err := first.Write([]byte("rest")); err == nil {
		t.Error("the first upload goes on")
	}
	if err := first.Close(); err == nil {
		t.Error("the first upload counts as well")
	}
	if err := put(c, "/in/notes.txt", "Buy milk"); err == nil {
		t.Error("what is no file of messages was taken")
	}
	w.mu.Lock()
	w.full = true
	w.mu.Unlock()
	if err := put(c, "/in/full.hl7", message); err == nil {
		t.Error("a full queue has taken a file")
	}
	w.mu.Lock()
	w.full = false
	w.mu.Unlock()
	if got := names(t, c, "/in"); !slices.Equal(got, []string{"full.hl7", "gap.hl7"}) {
		t.Errorf("/in has %v", got)
	}
	w.must(c.Rename("/in/full.hl7", "/in/again.hl7"))
	w.must(c.Remove("/in/gap.hl7"))
	if got := w.got(); !slices.Equal(got, []string{fmt.Sprintf("twice.hl7 %d", len(message)), fmt.Sprintf("again.hl7 %d", len(message))}) {
		t.Errorf("taken: %v", got)
	}
	// An account that is revoked meanwhile.
	f, err = c.Create("/in/late.hl7")
	w.must(err)
	_, err = f.Write([]byte(message))
	w.must(err)
	w.mu.Lock()
	for k := range w.office.keys {
		delete(w.office.keys, k)
	}
	w.mu.Unlock()
	if err := f.Close(); err == nil {
		t.Error("a revoked account's file was taken")
	}
	if _, err := c.ReadDir("/out"); err == nil {
		t.Error("a revoked account sees its answers")
	}
	if got := w.got(); len(got) != 2 {
		t.Errorf("taken: %v", got)
	}
}

// No name leads out of the tree, into another's, or to a file of this machine.
func TestJail(t *testing.T) {
	w := newWorld(t)
	outside := filepath.Join(w.folder, "spool", "outside.hl7")
	w.must(put(w.client("northgate-ehr"), "/in/theirs.tmp", message))
	c := w.client("lakeside-ehr")
	for _, name := range []string{"/etc/passwd", "../../../etc/passwd", "/in/../../etc/passwd", "/in/../outside.hl7", "//etc//passwd", "/in/a/b.hl7", "/in/.", "/in/..", "/in", "/", "", "/new.hl7", "/out/x.hl7", "/archive/x.hl7",
		outside, "/in/" + strings.Repeat("../", 40) + outside, "/in/..\\..\\x.hl7", "/in/C:x.hl7", "/in/a\x00b.hl7", "/in/a\nb.hl7", "/in/a\x1b[31m.hl7", "/in/ümlaut.hl7", "/in/" + strings.Repeat("x", 129), "/in/a*.hl7", "/proc/self/environ", "/dev/null"} {
		if err := put(c, name, message); err == nil {
			t.Errorf("%q was written", name)
		}
		if f, err := c.Open(name); err == nil {
			if b, err := io.ReadAll(f); err == nil {
				t.Errorf("%q was read: %.40q", name, b)
			}
		}
	}
	w.must(put(c, "/in/mine.tmp", message))
	for _, err := range []error{
		c.Symlink("/etc/passwd", "/in/link.hl7"), c.Link("/in/mine.tmp", "/in/link.hl7"), c.Mkdir("/in/folder"), c.RemoveDirectory("/in"), c.Remove("/in"), c.Remove("/archive/x"),
		c.Rename("/in/mine.tmp", "/out/mine.hl7"), c.Rename("/in/mine.tmp", "/etc/mine.hl7"), c.Rename("/etc/passwd", "/in/passwd.hl7"), c.Rename("/in/mine.tmp", "/in/../../x.hl7"), c.Rename("/in/theirs.tmp", "/in/x.hl7"),
	} {
		if err == nil {
			t.Error("it was done")
		}
	}
	if _, err := c.ReadLink("/in/mine.tmp"); err == nil {
		t.Error("a link was read")
	}
	if got := w.got(); len(got) != 0 {
		t.Errorf("taken: %v", got)
	}
	if got := names(t, c, "/in"); !slices.Equal(got, []string{"mine.tmp"}) {
		t.Errorf("/in has %v", got)
	}
	if entries, err := os.ReadDir(w.folder); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v (%v)", entries, err)
	}
}

// Only accounts with their key come in; there is no password, no shell and no forwarding.
func TestSignIn(t *testing.T) {
	w := newWorld(t)
	stranger := newKey(t)
	if _, err := w.dial("lakeside-ehr", stranger); err == nil {
		t.Error("a key that is not known")
	}
	if _, err := w.dial("northgate-ehr", w.keys["lakeside-ehr"]); err == nil {
		t.Error("a key under another's name")
	}
	if _, err := w.dial("collector", w.keys["collector"]); err == nil {
		t.Error("an account without the scope")
	}
	w.eventually("three refusals in the trail", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.refused) == 3
	})
	_, err := ssh.Dial("tcp", w.addr, &ssh.ClientConfig{User: "lakeside-ehr", Auth: []ssh.AuthMethod{ssh.Password("password")}, HostKeyCallback: ssh.FixedHostKey(w.host)})
	if err == nil || strings.Contains(err.Error(), "password]") && strings.Contains(err.Error(), "attempted methods [none password]") {
		t.Errorf("a password is asked for: %v", err)
	}
	for _, weak := range []ssh.Config{{Ciphers: []string{ssh.InsecureCipherAES128CBC}}, {KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}}, {Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA1}}} {
		c, err := ssh.Dial("tcp", w.addr, &ssh.ClientConfig{Config: weak, User: "lakeside-ehr", Auth: []ssh.AuthMethod{ssh.PublicKeys(w.keys["lakeside-ehr"].signer)}, HostKeyCallback: ssh.FixedHostKey(w.host)})
		if err == nil {
			_ = c.Close()
			t.Errorf("%+v is spoken", weak)
		}
	}
	conn, err := w.dial("lakeside-ehr", w.keys["lakeside-ehr"])
	w.must(err)
	for _, what := range []func(*ssh.Session) error{
		func(s *ssh.Session) error { return s.Run("id") }, (*ssh.Session).Shell, func(s *ssh.Session) error { return s.RequestSubsystem("exec") }, func(s *ssh.Session) error { return s.Setenv("A", "B") },
		func(s *ssh.Session) error { return s.RequestPty("xterm", 24, 80, nil) },
	} {
		s, err := conn.NewSession()
		w.must(err)
		if what(s) == nil {
			t.Error("it was done")
		}
		_ = s.Close() // it may be closed
	}
	if c, err := conn.Dial("tcp", w.addr); err == nil {
		_ = c.Close()
		t.Error("a connection was forwarded")
	}
	if l, err := conn.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
		t.Error("a port was opened")
	}
}

// Who guesses is shut out for a time that grows, and a look without a try costs nothing.
func TestBruteForce(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		c, err := net.Dial("tcp", w.addr) // such as a health check
		w.must(err)
		w.must(c.Close())
	}
	stranger := newKey(t)
	for range 12 {
		if _, err := w.dial("lakeside-ehr", stranger); err == nil {
			t.Fatal("a stranger is in")
		}
	}
	w.mu.Lock()
	refused := len(w.refused)
	w.mu.Unlock()
	if refused < 5 || refused > 8 {
		t.Errorf("%d of 12 tries were looked at", refused)
	}
	if _, err := w.dial("lakeside-ehr", w.keys["lakeside-ehr"]); err == nil {
		t.Error("the address is not shut out")
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	c := w.client("lakeside-ehr")
	f, err := c.Create("/in/huge.hl7")
	w.must(err)
	if _, err := f.WriteAt([]byte(message), sftp.MaxFile); err == nil {
		t.Error("a byte beyond the limit was written")
	}
	if err := f.Close(); err == nil {
		t.Error("it counts")
	}
	for n := range 200 {
		f, err := c.Create(fmt.Sprintf("/in/%d.tmp", n))
		if err != nil {
			if n < 150 {
				t.Errorf("after %d uploads: %v", n, err)
			}
			break
		}
		if n == 199 {
			t.Error("uploads without end are begun")
		}
		w.must(f.Close())
	}
	for range 7 {
		w.client("lakeside-ehr")
	}
	if conn, err := w.dial("lakeside-ehr", w.keys["lakeside-ehr"]); err == nil {
		if s, err := conn.NewSession(); err == nil && s.RequestSubsystem("sftp") == nil {
			t.Error("a ninth connection is served")
		}
	}
	w.client("northgate-ehr") // is not kept out by it
}

func TestHostKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := sftp.EnsureHostKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	again, err := sftp.EnsureHostKey(path)
	if err != nil || ssh.FingerprintSHA256(again.PublicKey()) != ssh.FingerprintSHA256(made.PublicKey()) {
		t.Errorf("another key at the second start: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sftp.EnsureHostKey(path); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.WriteFile(path+"2", []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sftp.HostKey(path + "2"); coldkeep.ErrorCode(err) != coldkeep.EINVALID || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("what is no key: %v", err)
	}
}
