package registry_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/hl7/sample"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
)

// doors is a registry with a practice's EHR, in production, and what it logs.
type doors struct {
	*services
	registry *registry.Registry
	exchange *exchange.Service
	url      string
	account  auth.Account
	token    string
	log      *lines
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newDoors(t *testing.T) *doors {
	t.Helper()
	where := databasetest.SQLite(t)
	d := &doors{services: serviceOn(t, where), log: &lines{}}
	d.must(d.services.log.AddSite(t.Context(), system, coldkeep.Site{ID: ownSite, Name: "Clinic", TimeZone: "America/Chicago"}))
	var err error
	d.account, d.token, err = d.auth.AddAccount(t.Context(), system, "Lakeside EHR", ownSite, []string{auth.ScopeRecords})
	d.must(err)
	d.exchange = exchange.New(d.store.Exchange(), hl7.New(d.people, d.doses, coldkeep.RealClock{}, hl7.DefaultIdentity), coldkeep.RealClock{}, nil)
	admin := auth.Principal{ID: "a", Name: "Admin", Role: auth.StateAdmin}
	_, err = d.exchange.PutSender(t.Context(), admin, exchange.Sender{Account: d.account.ID, Production: true, Answers: exchange.Always})
	d.must(err)
	d.registry, err = registry.Open(t.Context(), registry.Config{Database: where, Log: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	d.must(err)
	srv := httptest.NewServer(d.registry.Handler())
	d.url = srv.URL
	t.Cleanup(func() {
		srv.Close()
		if err := d.registry.Close(); err != nil {
			t.Error(err)
		}
		for _, secret := range []string{"Sampleton", "S-1001", "5550177", d.token} {
			if strings.Contains(d.log.String(), secret) {
				t.Errorf("the log has %q:\n%s", secret, d.log.String())
			}
		}
	})
	return d
}

// send posts to a path; the answer's media type is in location.
func (d *doors) send(path, media, body string, set func(*http.Request)) reply {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+path, strings.NewReader(body))
	d.must(err)
	r.Header.Set("Content-Type", media)
	if set != nil {
		set(r)
	}
	res, err := http.DefaultClient.Do(r)
	d.must(err)
	defer func() { _ = res.Body.Close() }() // it was read
	b, err := io.ReadAll(res.Body)
	d.must(err)
	return reply{res.StatusCode, string(b), res.Header.Get("Content-Type")}
}

func (d *doors) basic(r *http.Request)  { r.SetBasicAuth("Lakeside EHR", d.token) }
func (d *doors) bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+d.token) }

func soapOf(user, password, message string) string {
	return `<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body><submitSingleMessage xmlns="urn:cdc:iisb:2011"><username>` + user + `</username><password>` + password + `</password><hl7Message>` +
		strings.NewReplacer("&", "&amp;", "<", "&lt;", "\r", "&#xD;").Replace(message) + `</hl7Message></submitSingleMessage></Body></Envelope>`
}

// What comes through each door is answered, and what no message may be is refused in the
// door's own terms, without a word of it in the answer or the log.
func TestHL7Doors(t *testing.T) {
	d := newDoors(t)
	all := sample.Messages(time.Now(), string(ownSite))
	form := func(user, password string, m string) string {
		return url.Values{"USERID": {user}, "PASSWORD": {password}, "FACILITYID": {"lakeside"}, "MESSAGEDATA": {m}}.Encode()
	}
	const er7, plain, posted, soapy = "application/hl7-v2", "text/plain", "application/x-www-form-urlencoded", "application/soap+xml"
	for _, c := range []struct {
		what, path, media, body string
		set                     func(*http.Request)
		status                  int
		has                     string
	}{
		{"an update, Basic", "/hl7", er7, all[0], d.basic, 200, "MSA|AA|SAMPLE-"},
		{"the same, bearer", "/hl7", plain, all[0], d.bearer, 200, "MSA|AA|SAMPLE-"},
		{"a refusal, form", "/hl7", posted, form("Lakeside EHR", d.token, all[1]), nil, 200, "MSA|AA|SAMPLE-"},
		{"a query, SOAP", "/soap/iis", soapy, soapOf("Lakeside EHR", d.token, all[2]), nil, 200, "|Z42^CDCPHINVS"},
		{"an error, line feeds", "/hl7", plain + "; charset=utf-8", strings.ReplaceAll(all[3], "\r", "\n"), d.basic, 200, "MSA|AE|SAMPLE-"},
		{"SOAP by HTTP's head", "/soap/iis", "text/xml", soapOf("", "", all[3]), d.bearer, 200, "MSA|AE|SAMPLE-"},
		{"nobody", "/hl7", er7, all[0], nil, 401, `"code":"unauthorized"`},
		{"another token", "/hl7", er7, all[0], func(r *http.Request) { r.SetBasicAuth("Lakeside EHR", "Sampleton") }, 401, `"code":"unauthorized"`},
		{"another name", "/hl7", er7, all[0], func(r *http.Request) { r.SetBasicAuth("Northgate EHR", d.token) }, 401, `"code":"unauthorized"`},
		{"a form without a name", "/hl7", posted, form("", d.token, all[0]), nil, 401, "not known"},
		{"SOAP, wrong password", "/soap/iis", soapy, soapOf("Lakeside EHR", "Sampleton", all[0]), nil, 500, "<Reason>Security</Reason>"},
		{"not HL7", "/hl7", plain, "Sampleton was here", d.bearer, 400, `"code":"invalid"`},
		{"two messages", "/hl7", er7, all[0] + all[1], d.bearer, 400, "one at a time"},
		{"two messages, SOAP", "/soap/iis", soapy, soapOf("Lakeside EHR", d.token, all[0]+all[1]), nil, 500, "<Reason>MessageTooLarge</Reason>"},
		{"a file", "/hl7", er7, string(sample.File(time.Now(), "x")), d.bearer, 400, "one at a time"},
		{"JSON", "/hl7", "application/json", `{"name":"Sampleton"}`, d.bearer, 415, "Content-Type"},
		{"gzip", "/hl7", er7, "\x1f\x8b", func(r *http.Request) { d.bearer(r); r.Header.Set("Content-Encoding", "gzip") }, 415, "Content-Encoding"},
		{"a character set that is none", "/hl7", plain + "; charset=ebcdic", all[0], d.bearer, 400, "character set"},
		{"oversized", "/hl7", er7, all[0] + strings.Repeat("NTE|1||x\r", 300_000), d.bearer, 413, "larger than"},
		{"oversized form", "/hl7", posted, form("Lakeside EHR", d.token, strings.Repeat("x", 9<<20)), nil, 413, "larger than"},
		{"oversized SOAP", "/soap/iis", soapy, soapOf("Lakeside EHR", d.token, strings.Repeat("x", 5<<20)), nil, 500, "<Reason>MessageTooLarge</Reason>"},
		{"another site's page", "/hl7", plain, all[0], func(r *http.Request) { d.basic(r); r.Header.Set("Origin", "https://evil.example") }, 403, "another site"},
		{"external entity", "/soap/iis", soapy, `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>` + strings.Replace(soapOf("Lakeside EHR", d.token, "&f;"), "&amp;f;", "&f;", 1), nil, 500, "<fault "},
	} {
		got := d.send(c.path, c.media, c.body, c.set)
		if got.status != c.status || !strings.Contains(got.body, c.has) {
			t.Errorf("%s: %d, want %d with %q:\n%.600s", c.what, got.status, c.status, c.has, got.body)
		}
		if c.status != 200 && (strings.Contains(got.body, "Sampleton") || strings.Contains(got.body, "root:") || len(got.body) > 2000) {
			t.Errorf("%s: what was sent is in the answer: %.300s", c.what, got.body)
		}
	}
	if got := d.send("/hl7", posted, form("Lakeside EHR", "wrong", all[0]), nil); !strings.HasPrefix(got.location, "text/plain") {
		t.Errorf("a form's error is %s", got.location)
	}
}

// Who guesses tokens is made to wait, and the practice's own messages go on from elsewhere.
func TestGuessingTokens(t *testing.T) {
	d := newDoors(t)
	stopped := 0
	for range 40 {
		if got := d.send("/hl7", "application/hl7-v2", "MSH|", func(r *http.Request) { r.SetBasicAuth("Lakeside EHR", "guess") }); got.status == http.StatusTooManyRequests {
			stopped++
		}
	}
	if stopped < 20 {
		t.Errorf("%d of 40 guesses were stopped", stopped)
	}
	var n int
	d.must(d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit WHERE what = 'account.refused' AND who_id = $1", d.account.ID).Scan(&n))
	if n == 0 || n > 20 {
		t.Errorf("the trail has %d refusals", n)
	}
}

// A file that comes by SFTP is worked through and answered, and so is one that a manager
// uploads; both are on the screens.
func TestFilesOfMessages(t *testing.T) {
	d := newDoors(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	d.must(err)
	signer, err := ssh.NewSignerFromKey(private)
	d.must(err)
	d.must(d.auth.AddAccountKey(t.Context(), system, d.account.ID, string(ssh.MarshalAuthorizedKey(signer.PublicKey()))))
	dir := t.TempDir()
	host, err := sftp.EnsureHostKey(filepath.Join(dir, "key"))
	d.must(err)
	server, err := d.registry.SFTP(filepath.Join(dir, "spool"), []ssh.Signer{host})
	d.must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	d.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	defer func() {
		cancel()
		d.must(<-done)
	}()
	conn, err := ssh.Dial("tcp", ln.Addr().String(), &ssh.ClientConfig{User: "lakeside-ehr", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey())})
	d.must(err)
	c, err := client.NewClient(conn)
	d.must(err)
	defer func() { _ = c.Close() }() // the test is over
	body := sample.File(time.Now(), string(ownSite))
	for _, name := range []string{"monday.hl7", "monday-again.hl7"} { // the very same file is done once and answered twice
		f, err := c.OpenFile("/in/"+name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		d.must(err)
		_, err = f.Write(body)
		d.must(err)
		d.must(f.Close())
	}
	for _, name := range []string{"monday.hl7", "monday-again.hl7"} {
		var answer []byte
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if f, err := c.Open("/out/" + name + ".ack.hl7"); err == nil {
				answer, err = io.ReadAll(f)
				d.must(err)
				d.must(f.Close())
				break
			}
			if time.Now().After(end) {
				t.Fatalf("there is no answer to %s", name)
			}
		}
		if got := string(answer); !strings.HasPrefix(got, "FHS|") || strings.Count(got, "\rMSA|AA|") != 2 || strings.Count(got, "\rMSA|AE|") != 1 {
			t.Errorf("%s is answered %q", name, got)
		}
	}
	var n int
	d.must(d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM exchange_files").Scan(&n))
	if n != 1 {
		t.Errorf("%d files", n)
	}
	d.must(d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit WHERE what = 'account.sign-in' AND who_id = $1 AND address = '127.0.0.1'", d.account.ID).Scan(&n))
	if n != 1 {
		t.Errorf("%d sign-ins in the trail", n)
	}

	w := &world{services: d.services, registry: d.registry, url: d.url}
	manager := w.signIn(auth.PracticeManager, ownSite)
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("file", "../../<b>week</b>.hl7")
	d.must(err)
	_, err = part.Write(body)
	d.must(err)
	d.must(m.Close())
	up := manager.do(t, "POST", "/exchange/files", form.String(), "Content-Type", m.FormDataContentType())
	if !strings.HasPrefix(up.location, "/exchange/files/01") {
		t.Fatalf("upload: %d %s %s", up.status, up.location, up.body)
	}
	var page reply
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if page = manager.do(t, "GET", up.location, ""); strings.Contains(page.body, "Download the answer file") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the file goes on and on: %s", page.body)
		}
	}
	if strings.Contains(page.body, "<b>week") || !strings.Contains(page.body, "The vaccine code") && !strings.Contains(page.body, "vaccine code is not recognized") {
		t.Errorf("the file's page: %s", page.body)
	}
	if a := manager.do(t, "GET", up.location+"/answers", ""); a.status != 200 || !strings.Contains(a.body, "MSA|") {
		t.Errorf("answers: %d %s", a.status, a.body)
	}
	list := manager.do(t, "GET", "/exchange?outcome=AE", "")
	_, at, found := strings.Cut(list.body, `href="/exchange/messages/`)
	if !found {
		t.Fatalf("the monitor shows no message: %s", list.body)
	}
	one := manager.do(t, "GET", "/exchange/messages/"+at[:26], "")
	if text := html.UnescapeString(one.body); one.status != 200 || !strings.Contains(text, "Sampleton^Otto") || !strings.Contains(text, "<mark>|0000^No such vaccine^CVX</mark>") {
		t.Errorf("the message's page: %d %s", one.status, one.body)
	}
	d.must(d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit WHERE what = 'message.view' AND subject = $1", "message/"+at[:26]).Scan(&n))
	if n != 1 {
		t.Errorf("%d views of the message in the trail", n)
	}
	for _, path := range []string{"/exchange/senders", "/exchange/senders/" + d.account.ID, "/exchange/files", "/exchange?day=" + coldkeep.DateOf(time.Now()).String()} {
		if r := manager.do(t, "GET", path, ""); r.status != 200 || !strings.Contains(r.body, "Lakeside EHR") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// The same by the API.
	var files []struct{ ID, Name string }
	got := d.send("/api/v1/exchange/files", "application/hl7-v2", string(body), d.bearer)
	if got.status != 200 || !strings.Contains(got.body, `"known":true`) {
		t.Errorf("the same file by the API: %d %s", got.status, got.body)
	}
	v := &visitor{client: http.DefaultClient, base: d.url, token: d.token}
	if r := v.do(t, "GET", "/api/v1/exchange/files", ""); json.Unmarshal([]byte(r.body), &files) != nil || len(files) != 1 {
		t.Errorf("files of the program: %s", r.body)
	}
	if r := v.do(t, "GET", "/api/v1/exchange/files/"+files[0].ID+"/answers", ""); r.status != 200 || strings.Count(r.body, "\rMSA|") != 3 {
		t.Errorf("its answers: %d %s", r.status, r.body)
	}
}
