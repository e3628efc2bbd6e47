package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/firmware/update"
)

func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	code = run(t.Context(), args, &out, &log)
	return code, out.String(), log.String()
}

// needs skips a test whose programs are not installed, except in CI, which installs them.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := findTool(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := do(t.Context(), nil, "", name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The package is installed by dpkg itself on a copy of this system that is thrown
// away, with its scripts, and systemd finds nothing to say against the unit.
func TestPackageInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the agent and its package; not with -short")
	}
	needs(t, "dpkg", "systemd-analyze")
	dir := t.TempDir()
	key := filepath.Join(dir, "release.key")
	code, pub, stderr := call(t, "key", key)
	if code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := call(t, "key", key); code != 3 || !strings.Contains(stderr, "there already") {
		t.Errorf("a key is made over another: exit %d, %s", code, stderr)
	}
	code, stdout, stderr := call(t, "release", "--version", "1.4.0", "--min-version", "1.2.0", "--arch", runtime.GOARCH, "--out", dir, "--key", key)
	if code != 0 {
		t.Fatal(stderr)
	}
	keys, err := update.ParseKeys([]byte(pub))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "coldkeep-agent.manifest"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := keys.Open(text)
	if err != nil || m.Version != "1.4.0" || m.MinVersion != "1.2.0" || len(m.Artifacts) != 1 || m.Artifacts[0].Arch != update.Arch() {
		t.Errorf("%+v, %v", m, err)
	}
	deb := filepath.Join(dir, "coldkeep-agent_1.4.0_"+runtime.GOARCH+".deb")
	if !strings.Contains(stdout, deb) {
		t.Fatalf("no package in %s", stdout)
	}
	root := throwaway(t)
	in := func(args ...string) string {
		t.Helper()
		return shell(t, "chroot", append([]string{root}, args...)...)
	}
	if err := os.WriteFile(filepath.Join(root, "agent.deb"), must(os.ReadFile(deb)), 0o600); err != nil {
		t.Fatal(err)
	}
	in("dpkg", "--force-depends", "-i", "/agent.deb")
	if v := in("coldkeep-agent", "version"); v != "1.4.0\n" {
		t.Errorf("version %q", v)
	}
	if id := in("id", "coldkeep"); !strings.Contains(id, "i2c") || !strings.Contains(id, "spi") || !strings.Contains(id, "gpio") {
		t.Errorf("groups: %s", id)
	}
	if s := in("stat", "-c", "%a %U %G", "/etc/coldkeep-agent/agent.env"); s != "640 root coldkeep\n" {
		t.Errorf("the settings are of %s", s)
	}
	if s := in("systemctl", "is-enabled", "coldkeep-agent.service"); s != "enabled\n" {
		t.Errorf("the service is %s", s)
	}
	if s := in("systemd-analyze", "verify", "coldkeep-agent.service"); s != "" {
		t.Errorf("systemd of the unit: %s", s)
	}
	if s := in("systemd-analyze", "cat-config", "systemd/system.conf"); !strings.Contains(s, "RuntimeWatchdogSec=14s") {
		t.Errorf("no hardware watchdog in\n%s", s)
	}
	if s := in("systemd-analyze", "security", "--offline=true", "--threshold=35", "coldkeep-agent.service"); !strings.Contains(s, "OK") {
		t.Errorf("systemd of its hardening: %s", s)
	}
	// Settings of a person outlive the next package, and readings outlive them all.
	if err := os.WriteFile(filepath.Join(root, "etc/coldkeep-agent/agent.env"), []byte("COLDKEEP_SITE=lakeside\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	outbox := filepath.Join(root, "var/lib/coldkeep-agent/outbox.db")
	if err := os.MkdirAll(filepath.Dir(outbox), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outbox, []byte("readings"), 0o600); err != nil {
		t.Fatal(err)
	}
	in("dpkg", "--force-depends", "-i", "/agent.deb")
	if s := in("cat", "/etc/coldkeep-agent/agent.env"); s != "COLDKEEP_SITE=lakeside\n" {
		t.Errorf("settings are now %q", s)
	}
	in("dpkg", "--purge", "coldkeep-agent")
	if s := in("cat", "/var/lib/coldkeep-agent/outbox.db"); s != "readings" {
		t.Errorf("readings are now %q", s)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// throwaway is the root of a copy of this system: an overlay that ends with the test.
func throwaway(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	dir := t.TempDir()
	top, root := filepath.Join(dir, "top"), filepath.Join(dir, "root")
	for _, d := range []string{top, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("no copy of this system: mount: %v %s", err, out)
		}
		at := args[len(args)-1]
		t.Cleanup(func() { _ = exec.Command("umount", at).Run() })
	}
	mount("-t", "tmpfs", "tmpfs", top)
	upper, work := filepath.Join(top, "upper"), filepath.Join(top, "work")
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir="+upper+",workdir="+work, root)
	return root
}

// base makes an image like Raspberry Pi OS's: a boot partition in FAT, and a Linux one.
func base(t *testing.T, cmdline string) string {
	t.Helper()
	const boot, bootSize, root, rootSize = 8192, 65536, 73728, 16384 // sectors
	path := filepath.Join(t.TempDir(), "raspios.img")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	mbr := make([]byte, sector)
	for i, p := range [][3]uint32{{typeFAT32LBA, boot, bootSize}, {typeLinux, root, rootSize}} {
		e := mbr[tableAt+16*i:]
		e[4] = byte(p[0])
		binary.LittleEndian.PutUint32(e[8:], p[1])
		binary.LittleEndian.PutUint32(e[12:], p[2])
	}
	mbr[510], mbr[511] = 0x55, 0xaa
	if _, err := f.WriteAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate((root + rootSize) * sector); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	b := fat{path, boot * sector}
	if _, err := do(t.Context(), b.env(), "", "mformat", "-i", b.at(), "-T", "65536", "-h", "16", "-s", "63", "::"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"cmdline.txt": cmdline, "config.txt": "arm_64bit=1\n[cm4]\notg_mode=1\n"} {
		if err := b.write(t.Context(), name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

const raspiosCmdline = "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n"

func TestCard(t *testing.T) {
	needs(t, "mcopy", "mformat", "mke2fs", "debugfs")
	dir := t.TempDir()
	deb := filepath.Join(dir, "coldkeep-agent_1.4.0_arm64.deb")
	if err := os.WriteFile(deb, []byte("a package"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "coldkeep.img")
	raspios := base(t, raspiosCmdline)
	code, _, stderr := call(t, "card", "--base", raspios, "--deb", deb, "--out", image, "--claim", "https://registry.example", "--update-url", "https://updates.example/coldkeep-agent.manifest")
	if code != 0 {
		t.Fatal(stderr)
	}
	b := fat{image, 8192 * sector}
	text := func(name string) string {
		t.Helper()
		out, err := b.read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if s := text("cmdline.txt"); strings.Contains(s, "init=") || !strings.Contains(s, "root=PARTUUID=4e639091-02") ||
		!strings.HasSuffix(s, "systemd.unit=kernel-command-line.target\n") || strings.Count(s, "\n") != 1 {
		t.Errorf("command line %q", s)
	}
	if s := text("config.txt"); !strings.HasPrefix(s, "arm_64bit=1\n") || !strings.Contains(s, "\n[all]\ndtoverlay=w1-gpio,gpiopin=4\ndtparam=i2c_arm=on\ndtparam=spi=on\ndtparam=watchdog=on\n") {
		t.Errorf("config %q", s)
	}
	if s := text("coldkeep/agent.env"); !strings.Contains(s, "COLDKEEP_CLAIM=https://registry.example\n") || !strings.Contains(s, "COLDKEEP_UPDATE_URL=") {
		t.Errorf("settings %q", s)
	}
	if s := text("coldkeep/coldkeep-agent_1.4.0_arm64.deb"); s != "a package" {
		t.Errorf("package %q", s)
	}
	var mbr [sector]byte
	copy(mbr[:], must(os.ReadFile(image)))
	e := mbr[tableAt+32:]
	begin := int64(binary.LittleEndian.Uint32(e[8:])) * sector
	if e[4] != typeLinux || begin%align != 0 || begin < (73728+16384)*sector {
		t.Fatalf("third partition of type %#x at %d", e[4], begin)
	}
	data := filepath.Join(dir, "data.img")
	if err := os.WriteFile(data, must(os.ReadFile(image))[begin:], 0o600); err != nil {
		t.Fatal(err)
	}
	debugfs, err := findTool("debugfs")
	if err != nil {
		t.Fatal(err)
	}
	if s := shell(t, debugfs, "-R", "show_super_stats -h", data); !strings.Contains(s, "coldkeep-data") || !strings.Contains(s, "clean") {
		t.Errorf("data partition: %s", s)
	}
	if code, _, stderr := call(t, "card", "--base", image, "--deb", deb, "--out", filepath.Join(dir, "x"), "--claim", "https://registry.example"); code != 3 || !strings.Contains(stderr, "want those of Raspberry Pi OS") {
		t.Errorf("a card of a card: exit %d, %s", code, stderr)
	}
	if code, _, stderr := call(t, "card", "--base", deb, "--deb", deb, "--out", filepath.Join(dir, "x"), "--claim", "https://registry.example"); code != 3 || !strings.Contains(stderr, "too short") {
		t.Errorf("a package for an image: exit %d, %s", code, stderr)
	}
	if code, _, stderr := call(t, "card", "--base", raspios, "--deb", deb, "--out", filepath.Join(dir, "x")); code != 3 || !strings.Contains(stderr, "--claim") {
		t.Errorf("nobody tells the place: exit %d, %s", code, stderr)
	}
}

// The script of the first boot, with stand-ins for what would change this machine, cut
// after each of the commands and run again from the beginning as systemd would: the
// files are those of an uninterrupted run.
func TestFirstBoot(t *testing.T) {
	needs(t, "awk", "sed")
	whole := firstRun(t, t.TempDir(), -1)
	for _, want := range []string{
		"PARTUUID=4e639091-02 / ext4 defaults,noatime,ro 0 1\n",
		"PARTUUID=4e639091-01 /boot/firmware vfat defaults,ro 0 2\n",
		"LABEL=coldkeep-data /var/lib/coldkeep-system ext4",
		"rootwait quiet ro fsck.repair=yes panic=10\n",
		"COLDKEEP_CLAIM=https://registry.example\n",
	} {
		if strings.Count(whole, want) != 1 {
			t.Errorf("%q is there %d times, want once, in\n%s", want, strings.Count(whole, want), whole)
		}
	}
	if strings.Contains(whole, "systemd.run") {
		t.Error("the script runs at every boot")
	}
	for cut := range 30 {
		dir := t.TempDir()
		firstRun(t, dir, cut)
		if again := firstRun(t, dir, -1); again != whole {
			t.Errorf("cut after %d commands and run again:\n%s\nwant\n%s", cut, again, whole)
		}
	}
}

// firstRun runs the script on a root in dir, which it furnishes unless it is there, and
// fails its command after cut ones; it returns the files that matter.
func firstRun(t *testing.T, dir string, cut int) string {
	t.Helper()
	root, bin := filepath.Join(dir, "root"), filepath.Join(dir, "bin")
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	boot := filepath.Join(root, "boot/firmware")
	if !exists(root) {
		put(filepath.Join(root, "etc/fstab"), "proc /proc proc defaults 0 0\nPARTUUID=4e639091-01 /boot/firmware vfat defaults 0 2\nPARTUUID=4e639091-02 / ext4 defaults,noatime 0 1\n")
		put(filepath.Join(boot, "cmdline.txt"), firstBoot(raspiosCmdline))
		put(filepath.Join(boot, "coldkeep/agent.env"), "COLDKEEP_CLAIM=https://registry.example\n")
		put(filepath.Join(boot, "coldkeep/coldkeep-agent_1.4.0_arm64.deb"), "")
		put(filepath.Join(boot, "coldkeep/firstrun.sh"), string(must(files.ReadFile("files/boot/firstrun.sh"))))
		if err := os.MkdirAll(filepath.Join(root, "etc/coldkeep-agent"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const counted = `n=$(cat "$COUNT"); echo $((n + 1)) > "$COUNT"; [ "$n" != "$CUT" ] || kill -9 $PPID; `
	for _, name := range []string{"dpkg", "systemctl", "sfdisk", "partx", "e2fsck", "resize2fs", "chown", "mount", "sync"} {
		put(filepath.Join(bin, name), "#!/bin/sh\n"+counted+"exit 0\n")
	}
	for _, name := range []string{"cp", "mv", "ln"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		put(filepath.Join(bin, name), "#!/bin/sh\n"+counted+"exec "+real+" \"$@\"\n")
	}
	put(filepath.Join(bin, "blkid"), "#!/bin/sh\necho /dev/mmcblk0p3\n")
	put(filepath.Join(bin, "lsblk"), "#!/bin/sh\necho mmcblk0\n")
	put(filepath.Join(bin, "mountpoint"), "#!/bin/sh\nexit 1\n")
	count := filepath.Join(dir, "count")
	put(count, "0")
	cmd := exec.CommandContext(context.Background(), "sh", filepath.Join(boot, "coldkeep/firstrun.sh"))
	cmd.Env = []string{"ROOT=" + root, "PATH=" + bin + ":" + os.Getenv("PATH"), "COUNT=" + count, "CUT=" + strconv.Itoa(cut)}
	out, err := cmd.CombinedOutput()
	if cut < 0 && err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var all strings.Builder
	for _, name := range []string{"etc/fstab", "boot/firmware/cmdline.txt", "etc/coldkeep-agent/agent.env"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil && cut < 0 {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
