// Package w1 reads 1-Wire thermometers through the Linux kernel: w1-gpio or
// DS2482 masters with the w1_therm driver, as files below /sys/bus/w1/devices.
//
// See Documentation/w1/slaves/w1_therm.rst of the kernel, and the DS18B20 data
// sheet of Analog Devices.
package w1

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Root is where the kernel shows 1-Wire devices.
const Root = "/sys/bus/w1/devices"

// The families that w1_therm drives and that measure -55 °C to +125 °C. Others are
// not thermometers, or noise: a floating data line shows phantom devices of family
// 00.
var families = map[string]string{
	"10": "ds18s20",
	"22": "ds1822",
	"28": "ds18b20",
	"42": "ds28ea00",
}

var devicePattern = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{12}$`)

// Bus is what hangs on the machine's 1-Wire masters.
type Bus struct {
	root string
}

// New makes a Bus on a root such as Root.
func New(root string) *Bus { return &Bus{root: root} }

// Scan lists the thermometers that the kernel has found, by name. A root that is
// not there is EUNAVAILABLE: 1-Wire is not switched on.
func (b *Bus) Scan(context.Context) ([]sensors.Probe, error) {
	entries, err := os.ReadDir(b.root)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "w1.Scan",
			"1-Wire devices at %s cannot be listed; is dtoverlay=w1-gpio set and the w1_therm module loaded?", b.root)
	}
	var out []sensors.Probe
	for _, e := range entries {
		name := e.Name()
		kind, ok := families[name[:min(2, len(name))]]
		if !ok || !devicePattern.MatchString(name) {
			continue
		}
		out = append(out, &Probe{id: coldkeep.ProbeID(name), kind: kind, bus: b.master(name), dir: filepath.Join(b.root, name)})
	}
	slices.SortFunc(out, func(a, c sensors.Probe) int { return strings.Compare(a.String(), c.String()) })
	return out, nil
}

// master names the bus master that a device hangs on, which is the folder that
// its link leads to.
func (b *Bus) master(name string) string {
	target, err := filepath.EvalSymlinks(filepath.Join(b.root, name))
	if err != nil {
		return "w1"
	}
	if m := filepath.Base(filepath.Dir(target)); strings.HasPrefix(m, "w1_bus_master") {
		return m
	}
	return "w1"
}

// Probe is one thermometer. It holds nothing open: the kernel's file is opened
// for each sample, and a probe that went away and came back is the same probe.
type Probe struct {
	id   coldkeep.ProbeID
	kind string
	bus  string
	dir  string
}

var (
	_ sensors.Probe    = (*Probe)(nil)
	_ sensors.Informer = (*Probe)(nil)
)

// String returns the probe's name, the family and serial number of its ROM, such
// as "28-000005e2fdc3".
func (p *Probe) String() string { return string(p.id) }

// Info tells chip and bus master.
func (p *Probe) Info() sensors.Info { return sensors.Info{Probe: p.id, Kind: p.kind, Bus: p.bus} }

// maxSlave is far beyond the two lines of w1_slave.
const maxSlave = 4096

// Sample has the kernel convert and read the probe, about 750 ms at 12 bits (data
// sheet, table 2). ctx is not heeded once the kernel is at work: the read cannot
// be broken off, the caller has to stop waiting.
func (p *Probe) Sample(ctx context.Context) (sensors.Sample, error) {
	if err := ctx.Err(); err != nil {
		return sensors.Failed(p.id, coldkeep.QualityTimeout), err
	}
	text, err := readFile(filepath.Join(p.dir, "w1_slave"))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return sensors.Failed(p.id, coldkeep.QualityMissing), nil
	case err != nil:
		return sensors.Failed(p.id, coldkeep.QualityError),
			coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "w1.Probe.Sample", "probe %s cannot be read", p.id)
	}
	value, q := ParseSlave(text)
	return sensors.Sample{Probe: p.id, Raw: value, Quality: q}, nil
}

// Halt does nothing: the probe holds nothing.
func (p *Probe) Halt() error { return nil }

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(io.LimitReader(f, maxSlave))
}
