package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Updater fetches releases for a device.
type Updater struct {
	Slots *Slots
	URL   string       // of the signed manifest
	HTTP  *http.Client // nil is one with a patience of half a minute for each answer's head
	// Clock tells whether a release's time has come; nil is the machine's.
	Clock coldkeep.Clock
}

// ParseURL checks the address of a manifest: https, or http on this machine. EINVALID
// otherwise. The manifest is signed; https keeps who listens from knowing what runs
// where, and from holding back a release without a word.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the address of updates is not a URL such as https://updates.example/coldkeep-agent.manifest")
	}
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && here) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "updates from %s: want https://, or http:// on this machine", u.Redacted())
	}
	return u, nil
}

// Offer is a release that this device would take.
type Offer struct {
	Manifest *Manifest
	text     []byte
	artifact Artifact
	from     *url.URL
}

// Look fetches the manifest. nil when the release is not above what runs here.
// EFORBIDDEN when no trusted key has signed it, ECONFLICT when it is not for this
// device (see Slots.Install), EUNAVAILABLE when its time has not come or the server
// does not answer.
func (u *Updater) Look(ctx context.Context) (*Offer, error) {
	from, err := ParseURL(u.URL)
	if err != nil {
		return nil, err
	}
	if len(u.Slots.Keys) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EFORBIDDEN, "no update key is pinned on this device, so nothing can be believed")
	}
	text, err := u.manifest(ctx, from)
	if err != nil {
		return nil, err
	}
	m, err := u.Slots.Keys.Open(text)
	if err != nil {
		return nil, err
	}
	if now, err := u.Slots.Current(); err == nil && !Less(now.Version, m.Version) {
		return nil, nil
	}
	if err := u.Slots.wanted(m); err != nil {
		return nil, err
	}
	clock := u.Clock
	if clock == nil {
		clock = coldkeep.RealClock{}
	}
	if clock.Now().Before(m.NotBefore) {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "release %s is for %s and later", m.Version, m.NotBefore.UTC().Format(time.RFC3339))
	}
	arch := u.Slots.arch
	if arch == "" {
		arch = Arch()
	}
	a, err := m.For(arch)
	if err != nil {
		return nil, err
	}
	return &Offer{Manifest: m, text: text, artifact: a, from: from}, nil
}

// Take fetches what Look has found and installs it as the next trial. What an earlier
// Take has fetched is not fetched again. EUNAVAILABLE when the server or the disk
// fails, EINVALID when what came is not what the manifest says.
func (u *Updater) Take(ctx context.Context, o *Offer) error {
	dir := u.Slots.path(downloadsName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return u.Slots.failed(err)
	}
	part := filepath.Join(dir, o.artifact.SHA256)
	if err := forgetOthers(dir, part); err != nil {
		return u.Slots.failed(err)
	}
	if err := u.fetch(ctx, o, part); err != nil {
		return err
	}
	err := u.Slots.Install(o.text, part)
	if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		_ = os.Remove(part) // another time from the beginning
	}
	return err
}

// forgetOthers removes what was begun of other releases: the card has room for one.
func forgetOthers(dir, part string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range all {
		if p := filepath.Join(dir, f.Name()); p != part {
			if err := os.RemoveAll(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *Updater) client() *http.Client {
	if u.HTTP != nil {
		return u.HTTP
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: t}
}

func (u *Updater) get(ctx context.Context, from *url.URL, begin int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, err
	}
	if begin > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", begin))
	}
	res, err := u.client().Do(req)
	return res, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "update", "%s does not answer", from.Redacted())
}

func (u *Updater) manifest(ctx context.Context, from *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	res, err := u.get(ctx, from, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is of use
	if res.StatusCode != http.StatusOK {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%s answers %s", from.Redacted(), res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, MaxManifest+1))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "update", "%s broke off", from.Redacted())
	}
	if len(text) > MaxManifest {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "manifest: longer than %d bytes", MaxManifest)
	}
	return text, nil
}

// stalled is how long a download may bring nothing before it is given up; the next
// try goes on where it ended.
const stalled = 2 * time.Minute

// fetch brings the program to part, going on where an earlier try ended.
func (u *Updater) fetch(ctx context.Context, o *Offer, part string) error {
	have := int64(0)
	if info, err := os.Stat(part); err == nil {
		have = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return u.Slots.failed(err)
	}
	if have > o.artifact.Size {
		have = 0
	}
	if have == o.artifact.Size {
		return nil
	}
	from := o.from.JoinPath("..", o.artifact.File)
	if from.Host != o.from.Host || strings.Contains(o.artifact.File, "..") {
		return coldkeep.Errorf(coldkeep.EINVALID, "manifest: file %.80q is not beside the manifest", o.artifact.File)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res, err := u.get(ctx, from, have)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is of use
	switch {
	case res.StatusCode == http.StatusPartialContent && have > 0 && strings.HasPrefix(res.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case res.StatusCode == http.StatusOK:
		have = 0 // a server that gives no ranges
	default:
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%s answers %s", from.Redacted(), res.Status)
	}
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return u.Slots.failed(err)
	}
	err = f.Truncate(have)
	if err == nil {
		_, err = f.Seek(have, io.SeekStart)
	}
	if err == nil {
		watch := time.AfterFunc(stalled, func() { cancel(errors.New("nothing came for two minutes")) })
		defer watch.Stop()
		_, err = io.Copy(f, &noticing{io.LimitReader(res.Body, o.artifact.Size-have+1), func() { watch.Reset(stalled) }})
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "update", "%s broke off; the next try goes on from there", from.Redacted())
	}
	return nil
}

// noticing calls back with every piece that is read.
type noticing struct {
	io.Reader
	notice func()
}

func (n *noticing) Read(p []byte) (int, error) {
	k, err := n.Reader.Read(p)
	if k > 0 {
		n.notice()
	}
	return k, err
}
