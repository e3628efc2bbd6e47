package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kernelPackage depends on Debian's present kernel for ARMv7 boards.
const kernelPackage = "linux-image-armmp"

// kernel is Debian's kernel, unpacked.
type kernel struct {
	image, dtb string
	modules    map[string]string // path by name
}

var versioned = regexp.MustCompile(`Depends: (linux-image-\S+-armmp)\b`)

// fetchKernel gets the kernel's package with this machine's package sources, which
// have lists, and cache of their own under dir: nothing of the system changes, and no
// root is needed. A kernel that is there is used again.
func fetchKernel(ctx context.Context, dir string) (*kernel, error) {
	root := filepath.Join(dir, "root")
	if k, err := openKernel(root); err == nil {
		return k, nil
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, "apt", d), 0o755); err != nil { //nolint:gosec // public packages
			return nil, err
		}
	}
	apt := func(program string, args ...string) (string, error) {
		own := []string{"-q", "-o", "APT::Architecture=armhf", "-o", "APT::Architectures::=armhf", "-o", "Dir::State=" + filepath.Join(dir, "apt"),
			"-o", "Dir::State::lists=" + filepath.Join(dir, "apt", "lists"), "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + filepath.Join(dir, "apt", "cache"),
			"-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"}
		return command(ctx, dir, program, append(own, args...)...)
	}
	// A source that has nothing for ARM fails the update as a whole; what matters is
	// whether the kernel is known then.
	_, updated := apt("apt-get", "update")
	out, err := apt("apt-cache", "depends", kernelPackage)
	m := versioned.FindStringSubmatch(out)
	if m == nil {
		return nil, errors.Join(fmt.Errorf("the package sources of this machine know no %s for armhf", kernelPackage), err, updated)
	}
	if _, err := apt("apt-get", "download", m[1]); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(dir, m[1]+"_*.deb"))
	if err != nil || len(debs) == 0 {
		return nil, fmt.Errorf("apt-get has left no package %s in %s", m[1], dir)
	}
	unpacked := root + ".new" // half of it is never taken for all
	if err := os.RemoveAll(unpacked); err != nil {
		return nil, err
	}
	if _, err := command(ctx, dir, "dpkg-deb", "-x", debs[len(debs)-1], unpacked); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(root), os.Rename(unpacked, root)); err != nil {
		return nil, err
	}
	return openKernel(root)
}

// command runs a program and gives what it says, and an error that says it too.
func command(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", program, args[len(args)-1], err, out)
	}
	return string(out), nil
}

func openKernel(root string) (*kernel, error) {
	k := &kernel{modules: map[string]string{}}
	for pattern, into := range map[string]*string{"boot/vmlinuz-*-armmp": &k.image, "usr/lib/linux-image-*/" + deviceTree: &k.dtb} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%d files %s in the kernel's package, want one", len(found), pattern)
		}
		*into = found[0]
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			k.modules[strings.ReplaceAll(name, "-", "_")] = path // the kernel takes both for one
		}
		return err
	})
	return k, err
}

// inOrder gives the modules' files, each behind those that it depends on.
func (k *kernel) inOrder(names ...string) (paths []string, err error) {
	var add func(name string) error
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		path, ok := k.modules[name]
		if !ok {
			return fmt.Errorf("kernel module %s is not in the kernel's package", name)
		}
		if slices.Contains(paths, path) {
			return nil
		}
		needs, err := depends(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		paths = append(paths, path)
		return nil
	}
	for _, n := range names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// depends reads what a module says of itself: strings KEY=VALUE in the section
// .modinfo, of which "depends" lists names with commas (linux/moduleparam.h,
// scripts/mod/modpost.c).
func depends(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
