// Package w1 reads 1-Wire thermometers through the Linux kernel: w1-gpio or
// DS2482 masters with the w1_therm driver, as files below /sys/bus/w1/devices.
//
// See Documentation/w1/slaves/w1_therm.rst of the kernel, and the DS18B20 data
// sheet of Analog Devices.
package w1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

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

	mu      sync.Mutex
	masters map[string]*master
	known   map[coldkeep.ProbeID]*Probe
	expect  []coldkeep.ProbeID
}

// New makes a Bus on a root such as Root.
func New(root string) *Bus {
	return &Bus{root: root, masters: make(map[string]*master), known: make(map[coldkeep.ProbeID]*Probe)}
}

// Expect names probes that Scan gives also while the kernel does not show them, so that
// one that died while nobody looked is recorded as missing and not forgotten. Names
// that are none of 1-Wire are left out.
func (b *Bus) Expect(probes []coldkeep.ProbeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expect = nil
	for _, p := range probes {
		if _, ok := kindOf(string(p)); ok {
			b.expect = append(b.expect, p)
		}
	}
}

// kindOf tells the chip of a device's name, and whether it is a thermometer.
func kindOf(name string) (string, bool) {
	kind, ok := families[name[:min(2, len(name))]]
	return kind, ok && devicePattern.MatchString(name)
}

// Scan lists the thermometers that the kernel has found or that are expected, by name. A root that is
// not there is EUNAVAILABLE: 1-Wire is not switched on.
func (b *Bus) Scan(context.Context) ([]sensors.Probe, error) {
	entries, err := os.ReadDir(b.root)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "w1.Scan",
			"1-Wire devices at %s cannot be listed; is dtoverlay=w1-gpio set and the w1_therm module loaded?", b.root)
	}
	var out []sensors.Probe
	for _, e := range entries {
		if kind, ok := kindOf(e.Name()); ok {
			out = append(out, b.probe(coldkeep.ProbeID(e.Name()), kind))
		}
	}
	for _, id := range b.expected() {
		if !slices.ContainsFunc(out, func(p sensors.Probe) bool { return p.String() == string(id) }) {
			kind, _ := kindOf(string(id))
			out = append(out, b.probe(id, kind))
		}
	}
	slices.SortFunc(out, func(a, c sensors.Probe) int { return strings.Compare(a.String(), c.String()) })
	return out, nil
}

func (b *Bus) expected() []coldkeep.ProbeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.expect
}

// probe gives the Probe of a name, the same at each scan.
func (b *Bus) probe(id coldkeep.ProbeID, kind string) *Probe {
	b.mu.Lock()
	defer b.mu.Unlock()
	dir := filepath.Join(b.root, string(id))
	name, masterDir := home(dir)
	if p, ok := b.known[id]; ok && p.master.name == name {
		return p
	}
	m, ok := b.masters[name]
	if !ok {
		m = &master{name: name, dir: masterDir}
		b.masters[name] = m
	}
	m.join(id)
	p := &Probe{master: m, dir: dir, info: sensors.Info{Probe: id, Kind: kind, Bus: name}}
	var parasite bool
	p.info.Traits.Step, parasite = ask(dir, kind)
	if parasite {
		p.info.Note = "parasite power: give the probe its third wire, it may not have the power to convert"
	}
	b.known[id] = p
	return p
}

// askLimit bounds what a scan waits for a probe: the kernel asks the probe itself,
// on a bus that may hang (raspberrypi/linux#3491), and the other buses wait.
const askLimit = 2 * time.Second

// ask reads the step of a probe, and whether it lives on the data line alone.
func ask(dir, kind string) (coldkeep.Temperature, bool) {
	type answer struct {
		step     coldkeep.Temperature
		parasite bool
	}
	got := make(chan answer, 1)
	go func() {
		power, err := readFile(filepath.Join(dir, "ext_power"))
		got <- answer{step(dir, kind), err == nil && string(bytes.TrimSpace(power)) == "0"}
	}()
	select {
	case a := <-got:
		return a.step, a.parasite
	case <-time.After(askLimit):
		return 0, false
	}
}

// home gives name and folder of the bus master that a device hangs on, which is the
// folder that its link leads to.
func home(dir string) (name, master string) {
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "w1", ""
	}
	master = filepath.Dir(target)
	if name := filepath.Base(master); strings.HasPrefix(name, "w1_bus_master") {
		return name, master
	}
	return "w1", ""
}

// steps are the DS18B20's by resolution, in thousandths of °C rounded up (data
// sheet, table 2).
var steps = map[string]coldkeep.Temperature{"9": 500, "10": 250, "11": 125, "12": 63}

// step is that of a probe's resolution, 0 when the kernel does not tell. The
// DS18S20 has none to set.
func step(dir, kind string) coldkeep.Temperature {
	if kind == "ds18s20" {
		return 63
	}
	text, err := readFile(filepath.Join(dir, "resolution"))
	if err != nil {
		return 0
	}
	return steps[string(bytes.TrimSpace(text))]
}

// Probe is one thermometer. It holds nothing open: the kernel's file is opened
// for each sample, and a probe that went away and came back is the same probe.
type Probe struct {
	info   sensors.Info
	master *master
	dir    string
}

var (
	_ sensors.Probe    = (*Probe)(nil)
	_ sensors.Informer = (*Probe)(nil)
)

// String returns the probe's name, the family and serial number of its ROM, such
// as "28-000005e2fdc3".
func (p *Probe) String() string { return string(p.info.Probe) }

// Info tells chip, bus master and traits, and warns of parasite power.
func (p *Probe) Info() sensors.Info { return p.info }

// maxSlave is far beyond the two lines of w1_slave.
const maxSlave = 4096

// Sample has the kernel convert and read the probe, about 750 ms at 12 bits (data
// sheet, table 2); probes that share a master are converted together. ctx is not
// heeded once the kernel is at work: the read cannot be broken off, the caller has
// to stop waiting.
//
// The file w1_slave is read, because it shows what the probe's memory holds, and
// temperature only where there is no w1_slave. The driver's own check for a
// power-on value (bit 0 of features) stays as it is: it turns what ParseSlave can
// name into an empty file.
func (p *Probe) Sample(ctx context.Context) (sensors.Sample, error) {
	id := p.info.Probe
	if err := ctx.Err(); err != nil {
		return sensors.Failed(id, coldkeep.QualityTimeout), err
	}
	if err := p.master.convert(ctx, id); err != nil {
		return sensors.Failed(id, coldkeep.QualityTimeout), err
	}
	parse := ParseSlave
	text, err := readFile(filepath.Join(p.dir, "w1_slave"))
	if errors.Is(err, fs.ErrNotExist) {
		parse = ParseTemperature
		text, err = readFile(filepath.Join(p.dir, "temperature"))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return sensors.Failed(id, coldkeep.QualityMissing), nil
	case err != nil:
		return sensors.Failed(id, coldkeep.QualityError),
			coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "w1.Probe.Sample", "probe %s cannot be read", id)
	}
	value, q := parse(text)
	return sensors.Sample{Probe: id, Raw: value, Quality: q}, nil
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
