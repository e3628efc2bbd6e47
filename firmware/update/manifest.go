package update

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Product is the only program that these manifests are about.
const Product = "coldkeep-agent"

// MaxManifest and MaxProgram bound, in bytes, what is read of a manifest and of a
// program, whatever a server says. The agent is of some 11 MB.
const (
	MaxManifest = 64 << 10
	MaxProgram  = 64 << 20
)

// signedPrefix begins the bytes that a manifest's signature covers, so that the key's
// signature of nothing else can be taken for one.
const signedPrefix = "coldkeep/update/1|"

// Manifest says what a release is. Its times are UTC.
type Manifest struct {
	V       int    `json:"v"`
	Product string `json:"product"`
	Version string `json:"version"` // semantic, such as "1.4.0"
	// MinVersion is the lowest version that may run on a device once this one has run
	// there well: below it nothing is installed and nothing is fallen back to. "" keeps
	// the floor where it is.
	MinVersion string     `json:"min_version,omitempty"`
	NotBefore  time.Time  `json:"not_before"` // devices wait until then
	Artifacts  []Artifact `json:"artifacts"`
}

// Artifact is the program for one kind of machine.
type Artifact struct {
	Arch   string `json:"arch"` // as Arch gives it
	File   string `json:"file"` // its address, relative to the manifest's
	Size   int64  `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

// envelope is a manifest as it travels. The signature is of bytes, so that no two
// readers of JSON can see two manifests.
type envelope struct {
	Manifest string `json:"manifest"` // base64url of the manifest's JSON
	Key      string `json:"key"`      // wire.KeyID of the signer
	Sig      string `json:"sig"`      // base64url
}

// Arch names this program's kind of machine: "arm64", "amd64", "armv6".
func Arch() string {
	if runtime.GOARCH == "arm" {
		return "armv6" // the one 32-bit build: it runs on all boards
	}
	return runtime.GOARCH
}

// For returns the artifact for a kind of machine; ENOTFOUND when there is none.
func (m *Manifest) For(arch string) (Artifact, error) {
	i := slices.IndexFunc(m.Artifacts, func(a Artifact) bool { return a.Arch == arch })
	if i < 0 {
		return Artifact{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "release %s has no program for %s", m.Version, arch)
	}
	return m.Artifacts[i], nil
}

// check says EINVALID of a manifest that is wrong, whoever has signed it.
func (m *Manifest) check() error {
	if m.V != 1 || m.Product != Product {
		return coldkeep.Errorf(coldkeep.EINVALID, "manifest: version %d of product %.40q: want 1 of %s", m.V, m.Product, Product)
	}
	if !validVersion(m.Version) {
		return coldkeep.Errorf(coldkeep.EINVALID, "manifest: version %.40q: want one such as 1.4.0", m.Version)
	}
	if m.MinVersion != "" && (!validVersion(m.MinVersion) || Less(m.Version, m.MinVersion)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "manifest: min_version %.40q: want one such as 1.2.0, not above %s", m.MinVersion, m.Version)
	}
	if len(m.Artifacts) == 0 || len(m.Artifacts) > 16 {
		return coldkeep.Errorf(coldkeep.EINVALID, "manifest: %d artifacts: want 1 to 16", len(m.Artifacts))
	}
	seen := make(map[string]bool)
	for _, a := range m.Artifacts {
		sum, err := hex.DecodeString(a.SHA256)
		switch {
		case a.Arch == "" || seen[a.Arch]:
			return coldkeep.Errorf(coldkeep.EINVALID, "manifest: arch %.40q is missing or there twice", a.Arch)
		case a.Size < 1 || a.Size > MaxProgram:
			return coldkeep.Errorf(coldkeep.EINVALID, "manifest: %s: size %d: want 1 to %d", a.Arch, a.Size, MaxProgram)
		case err != nil || len(sum) != 32 || a.SHA256 != strings.ToLower(a.SHA256):
			return coldkeep.Errorf(coldkeep.EINVALID, "manifest: %s: sha256: want 64 hexadecimal digits in small letters", a.Arch)
		case a.File == "" || strings.Contains(a.File, ":"): // a name beside the manifest, not another host
			return coldkeep.Errorf(coldkeep.EINVALID, "manifest: %s: file %.80q: want a path relative to the manifest's", a.Arch, a.File)
		}
		seen[a.Arch] = true
	}
	return nil
}

func validVersion(v string) bool { return len(v) <= 64 && semver.IsValid("v"+v) }

// Less reports whether version a is before b (semver.org, section 11). One that is no
// version is before all others.
func Less(a, b string) bool { return semver.Compare("v"+a, "v"+b) < 0 }

// Sign makes the text of a signed manifest. A wrong manifest is EINVALID.
func Sign(m *Manifest, key ed25519.PrivateKey) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	b64 := base64.RawURLEncoding
	return json.Marshal(envelope{Manifest: b64.EncodeToString(text), Key: wire.KeyID(key.Public().(ed25519.PublicKey)),
		Sig: b64.EncodeToString(ed25519.Sign(key, append([]byte(signedPrefix), text...)))})
}

// Keys are the public keys whose signature is believed. None believes nothing.
type Keys []ed25519.PublicKey

// ParseKeys reads a file of keys: one a line as wire.EncodeKey writes them; empty
// lines and those that begin with # are passed over. Several let a key be changed.
// Anything else is EINVALID.
func ParseKeys(text []byte) (Keys, error) {
	var keys Keys
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		k, err := wire.DecodeKey(s)
		if err != nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "line %d is no Ed25519 key in base64url", n)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Open reads a signed manifest. What is not signed by one of the keys is EFORBIDDEN,
// what cannot be read EINVALID.
func (k Keys) Open(text []byte) (*Manifest, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "manifest: not JSON")
	}
	inner, err := base64.RawURLEncoding.DecodeString(e.Manifest)
	sig, err2 := base64.RawURLEncoding.DecodeString(e.Sig)
	if err != nil || err2 != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "manifest: not base64url")
	}
	signed := append([]byte(signedPrefix), inner...)
	if !slices.ContainsFunc(k, func(key ed25519.PublicKey) bool { return ed25519.Verify(key, signed, sig) }) {
		return nil, coldkeep.Errorf(coldkeep.EFORBIDDEN, "manifest: not signed by a key that this device trusts (it names key %.20q)", e.Key)
	}
	var m Manifest
	if err := json.Unmarshal(inner, &m); err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "manifest: its content is not readable")
	}
	return &m, m.check()
}
