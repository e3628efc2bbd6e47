package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/update"
)

type cardCmd struct {
	Base       string `required:"" help:"Image of Raspberry Pi OS Lite, unpacked." placeholder:"FILE"`
	Deb        string `required:"" help:"The agent's package for it: arm64, or armhf for the 32-bit system." placeholder:"FILE"`
	Out        string `help:"Image to write." default:"coldkeep.img" placeholder:"FILE"`
	Claim      string `help:"Registry that the device asks for its place." placeholder:"URL"`
	Env        string `help:"Settings of the agent in place of --claim; see agent.env." placeholder:"FILE"`
	UpdateKeys string `help:"Public keys that sign releases." placeholder:"FILE"`
	UpdateURL  string `name:"update-url" help:"Address of the signed manifest of the latest release." placeholder:"URL"`
}

// dataBytes is the data partition as it is made; the first boot grows it over the
// rest of the card. A year of eight probes is below half a gigabyte, and two slots
// are 22 MB.
const dataBytes = 128 << 20

// align is where partitions of flash begin: at whole erase blocks.
const align = 4 << 20

const sector = 512

// Run makes the image. It needs no root and no loop devices: mtools writes into the
// boot partition, mke2fs makes the data partition where it stands.
func (c *cardCmd) Run(ctx context.Context, stdout io.Writer) error {
	for _, tool := range []string{"mcopy", "mke2fs"} {
		if _, err := findTool(tool); err != nil {
			return fmt.Errorf("%w (on Debian: apt-get install mtools e2fsprogs)", err)
		}
	}
	env, err := c.settings()
	if err != nil {
		return err
	}
	boot, end, err := copyBase(c.Base, c.Out)
	if err != nil {
		return err
	}
	if err := addData(ctx, c.Out, end); err != nil {
		return err
	}
	f := fat{c.Out, boot}
	cmdline, err := f.read(ctx, "cmdline.txt")
	if err != nil {
		return err
	}
	config, err := f.read(ctx, "config.txt")
	if err != nil {
		return err
	}
	more, err := files.ReadFile("files/boot/config.txt")
	if err != nil {
		return err
	}
	script, err := files.ReadFile("files/boot/firstrun.sh")
	if err != nil {
		return err
	}
	deb, err := os.ReadFile(c.Deb)
	if err != nil {
		return err
	}
	if _, err := do(ctx, f.env(), "", "mmd", "-i", f.at(), "-D", "s", "::coldkeep"); err != nil {
		return err
	}
	write := map[string][]byte{
		"cmdline.txt":                      []byte(firstBoot(string(cmdline))),
		"config.txt":                       append(bytes.TrimRight(config, "\n"), append([]byte("\n"), more...)...),
		"coldkeep/firstrun.sh":             script,
		"coldkeep/agent.env":               env,
		"coldkeep/" + filepath.Base(c.Deb): deb,
	}
	if c.UpdateKeys != "" {
		text, err := os.ReadFile(c.UpdateKeys)
		if err != nil {
			return err
		}
		if _, err := update.ParseKeys(text); err != nil {
			return fmt.Errorf("--update-keys: %w", err)
		}
		write["coldkeep/update.pub"] = text
	}
	for name, content := range write {
		if err := f.write(ctx, name, content); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintln(stdout, c.Out)
	return nil
}

// settings is the agent's environment file.
func (c *cardCmd) settings() ([]byte, error) {
	if !strings.HasPrefix(filepath.Base(c.Deb), "coldkeep-agent_") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "--deb %s: want coldkeep-agent_VERSION_ARCH.deb", c.Deb)
	}
	if (c.Env == "") == (c.Claim == "") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "one of --claim and --env is needed: who tells the device its place?")
	}
	var text []byte
	if c.Env != "" {
		var err error
		if text, err = os.ReadFile(c.Env); err != nil {
			return nil, err
		}
	} else {
		text = fmt.Appendf(nil, "COLDKEEP_CLAIM=%s\nCOLDKEEP_IDENTIFY_LED=/sys/class/leds/ACT\n", c.Claim)
	}
	if c.UpdateURL != "" {
		if _, err := update.ParseURL(c.UpdateURL); err != nil {
			return nil, fmt.Errorf("--update-url: %w", err)
		}
		text = fmt.Appendf(text, "COLDKEEP_UPDATE_URL=%s\n", c.UpdateURL)
	}
	return text, nil
}

// firstBoot changes the kernel's command line so that systemd runs the script before
// all else and restarts (systemd-run-generator(8)); Raspberry Pi OS's own enlarging of
// the root partition is taken out, for our partition follows it.
func firstBoot(cmdline string) string {
	var words []string
	for w := range strings.FieldsSeq(cmdline) {
		if strings.HasPrefix(w, "init=") || w == "resize" || strings.HasPrefix(w, "systemd.") {
			continue
		}
		words = append(words, w)
	}
	return strings.Join(append(words, "systemd.run=/boot/firmware/coldkeep/firstrun.sh", "systemd.run_success_action=reboot",
		"systemd.run_failure_action=reboot-force", "systemd.unit=kernel-command-line.target"), " ") + "\n"
}

// copyBase copies an image and returns where its boot partition begins and where its
// last partition ends, in bytes.
func copyBase(base, out string) (boot, end int64, err error) {
	in, err := os.Open(base)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = in.Close() }() // only read
	var mbr [sector]byte
	if _, err := io.ReadFull(in, mbr[:]); err != nil {
		return 0, 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: too short for an image of a card", base)
	}
	if boot, end, err = partitions(&mbr); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", base, err)
	}
	if info, err := in.Stat(); err != nil || info.Size() < end {
		return 0, 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: ends before its last partition does", base)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	f, err := os.Create(out)
	if err != nil {
		return 0, 0, err
	}
	_, err = io.Copy(f, in)
	return boot, end, errors.Join(err, f.Close())
}

// The partition types of the master boot record.
const (
	typeFAT32LBA = 0x0c
	typeLinux    = 0x83
	tableAt      = 446 // the first of four entries of 16 bytes
)

// partitions reads the table of Raspberry Pi OS's images: FAT, then Linux, and no more.
func partitions(mbr *[sector]byte) (boot, end int64, err error) {
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return 0, 0, coldkeep.Errorf(coldkeep.EINVALID, "no master boot record (is it still compressed?)")
	}
	entry := func(i int) (kind byte, begin, size int64) {
		e := mbr[tableAt+16*i:]
		return e[4], sector * int64(binary.LittleEndian.Uint32(e[8:])), sector * int64(binary.LittleEndian.Uint32(e[12:]))
	}
	k1, b1, _ := entry(0)
	k2, b2, s2 := entry(1)
	k3, _, _ := entry(2)
	k4, _, _ := entry(3)
	if k1 != typeFAT32LBA || k2 != typeLinux || k3 != 0 || k4 != 0 || b1 >= b2 {
		return 0, 0, coldkeep.Errorf(coldkeep.EINVALID, "partitions of types %#x, %#x, %#x, %#x: want those of Raspberry Pi OS, 0xc and 0x83", k1, k2, k3, k4)
	}
	return b1, b2 + s2, nil
}

// addData appends the data partition.
func addData(ctx context.Context, image string, end int64) error {
	begin := (end + align - 1) / align * align
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	entry := make([]byte, 16)
	entry[1], entry[2], entry[3], entry[4] = 0xfe, 0xff, 0xff, typeLinux // by sectors, not by cylinders
	entry[5], entry[6], entry[7] = 0xfe, 0xff, 0xff
	binary.LittleEndian.PutUint32(entry[8:], uint32(begin/sector))
	binary.LittleEndian.PutUint32(entry[12:], dataBytes/sector)
	_, err = f.WriteAt(entry, tableAt+2*16)
	if err := errors.Join(err, f.Truncate(begin+dataBytes), f.Close()); err != nil {
		return err
	}
	tool, err := findTool("mke2fs")
	if err != nil {
		return err
	}
	_, err = do(ctx, nil, "", tool, "-q", "-F", "-t", "ext4", "-L", "coldkeep-data", "-E", fmt.Sprintf("offset=%d", begin), image, fmt.Sprintf("%dk", dataBytes>>10))
	return err
}

// findTool looks in the administrator's folders too.
func findTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if p := filepath.Join(dir, name); exists(p) {
				return p, nil
			}
		}
	}
	return path, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fat is the boot partition inside the image.
type fat struct {
	image string
	begin int64
}

func (f fat) at() string { return fmt.Sprintf("%s@@%d", f.image, f.begin) }

// env keeps mtools from asking and from complaining of sizes that no floppy has.
func (f fat) env() []string { return []string{"MTOOLS_SKIP_CHECK=1"} }

func (f fat) read(ctx context.Context, name string) ([]byte, error) {
	out, err := do(ctx, f.env(), "", "mtype", "-i", f.at(), "::"+name)
	if err != nil {
		return nil, fmt.Errorf("the boot partition has no %s: %w", name, err)
	}
	return out, nil
}

func (f fat) write(ctx context.Context, name string, content []byte) error {
	tmp, err := os.CreateTemp("", "coldkeep-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // copied when all went well
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	_, err = do(ctx, f.env(), "", "mcopy", "-o", "-i", f.at(), tmp.Name(), "::"+name)
	return err
}
