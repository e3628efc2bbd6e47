package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/update"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// nfpm packs without Debian's tools. v2.43.0 is the newest whose modules all resolve.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0"

//go:embed nfpm.yaml files
var files embed.FS

// target is a kind of machine that the agent is built for.
type target struct {
	arch string // of the manifest, as update.Arch gives it
	deb  string // Debian's name
	env  []string
}

// The 32-bit build is for ARMv6: it runs on every Raspberry Pi, and 32-bit Raspberry Pi
// OS calls its own packages armhf.
var targets = []target{
	{"armv6", "armhf", []string{"GOARCH=arm", "GOARM=6"}},
	{"arm64", "arm64", []string{"GOARCH=arm64"}},
	{"amd64", "amd64", []string{"GOARCH=amd64"}},
}

type releaseCmd struct {
	Version    string    `required:"" help:"Semantic version, such as 1.4.0."`
	Arch       []string  `help:"armv6, arm64 or amd64." default:"armv6,arm64"`
	Out        string    `help:"Folder to write to." default:"dist" placeholder:"DIR"`
	Key        string    `help:"Key that signs the manifest; without it there is none." placeholder:"FILE"`
	MinVersion string    `help:"Lowest version that may run on a device once this one has run there well." placeholder:"VERSION"`
	NotBefore  time.Time `help:"When devices may take it (RFC 3339); at once unless given." placeholder:"TIME"`
	NoDeb      bool      `help:"Programs and manifest only."`
}

// Run builds a release.
func (c *releaseCmd) Run(ctx context.Context, stdout io.Writer) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil { //nolint:gosec // to be served
		return err
	}
	m := &update.Manifest{V: 1, Product: update.Product, Version: c.Version, MinVersion: c.MinVersion, NotBefore: c.NotBefore.UTC()}
	for _, arch := range c.Arch {
		t, err := find(arch)
		if err != nil {
			return err
		}
		file := fmt.Sprintf("coldkeep-agent_%s_%s", c.Version, t.arch)
		program, err := filepath.Abs(filepath.Join(c.Out, file))
		if err != nil {
			return err
		}
		if _, err := do(ctx, append(t.env, "GOOS=linux", "CGO_ENABLED=0"), root, "go", "build", "-trimpath",
			"-tags", "nethttpomithttp2", // half a megabyte that claims and releases do without
			"-ldflags", "-s -w -X main.version="+c.Version, "-o", program, "./cmd/coldkeep-agent"); err != nil {
			return err
		}
		a, err := describe(program)
		if err != nil {
			return err
		}
		a.Arch, a.File = t.arch, file
		m.Artifacts = append(m.Artifacts, a)
		_, _ = fmt.Fprintf(stdout, "%s\t%d bytes\n", program, a.Size)
		if c.NoDeb {
			continue
		}
		deb, err := packDeb(ctx, t, c.Version, program, c.Out)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(stdout, deb)
	}
	if c.Key == "" {
		return nil
	}
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	text, err := update.Sign(m, key)
	if err != nil {
		return err
	}
	name := filepath.Join(c.Out, "coldkeep-agent.manifest")
	_, _ = fmt.Fprintln(stdout, name)
	return os.WriteFile(name, text, 0o644) //nolint:gosec // public
}

func find(arch string) (target, error) {
	for _, t := range targets {
		if t.arch == arch {
			return t, nil
		}
	}
	return target{}, coldkeep.Errorf(coldkeep.EINVALID, "arch %q: want armv6, arm64 or amd64", arch)
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := do(ctx, nil, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	return string(out[:len(out)-1]), nil
}

func describe(program string) (update.Artifact, error) {
	f, err := os.Open(program)
	if err != nil {
		return update.Artifact{}, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	n, err := io.Copy(h, f)
	return update.Artifact{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// packDeb makes the package in dir and returns its path.
func packDeb(ctx context.Context, t target, version, program, dir string) (string, error) {
	tmp, err := os.MkdirTemp("", "coldkeep-image-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // ours alone
	if err := os.CopyFS(tmp, files); err != nil {
		return "", err
	}
	deb, err := filepath.Abs(filepath.Join(dir, fmt.Sprintf("coldkeep-agent_%s_%s.deb", version, t.deb)))
	if err != nil {
		return "", err
	}
	recipe := filepath.Join(tmp, "nfpm.yaml")
	text, err := os.ReadFile(recipe)
	if err != nil {
		return "", err
	}
	words := map[string]string{"COLDKEEP_ARCH": t.deb, "COLDKEEP_VERSION": version, "COLDKEEP_BINARY": program, "COLDKEEP_FILES": filepath.Join(tmp, "files")}
	if err := os.WriteFile(recipe, []byte(os.Expand(string(text), func(name string) string { return words[name] })), 0o600); err != nil {
		return "", err
	}
	_, err = do(ctx, []string{"CGO_ENABLED=0", "GOFLAGS="}, tmp, "go", "run", nfpm, "package", "--config", recipe, "--packager", "deb", "--target", deb)
	return deb, err
}

type keyCmd struct {
	File string `arg:"" help:"File of the key. Keep it off the servers that give out releases."`
}

// keyBlock is the PEM type of PKCS #8.
const keyBlock = "PRIVATE KEY"

// Run makes a key, never over one that is there, and prints its public half.
func (c *keyCmd) Run(stdout io.Writer) error {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "%s is there already; a lost release key cannot be made again", c.File)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: keyBlock, Bytes: der}), f.Sync(), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "# release key %s\n%s\n", wire.KeyID(pub), wire.EncodeKey(pub))
	return err
}

func readKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil && block.Type == keyBlock {
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := parsed.(ed25519.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s holds no Ed25519 key in PEM", file)
}
