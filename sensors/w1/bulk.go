package w1

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
)

// master is a bus master of the kernel, and the conversion of all its probes at
// once: "trigger" written to therm_bulk_read starts one, and each probe's file then
// gives what is in its memory instead of converting again
// (Documentation/ABI/testing/sysfs-driver-w1_therm). Eight probes are read in one
// second instead of six.
type master struct {
	name string
	dir  string // "" when it is not known

	mu        sync.Mutex
	probes    []coldkeep.ProbeID
	converted time.Time
	read      map[coldkeep.ProbeID]bool // since then
}

const (
	// fresh is for how long the values of a bulk conversion are taken.
	fresh = 3 * time.Second
	// A bulk conversion takes as long as that of the finest probe, 750 ms at 12 bits
	// (data sheet, table 2).
	bulkLimit = 2 * time.Second
	bulkPoll  = 50 * time.Millisecond
)

// join notes that a probe hangs on the master.
func (m *master) join(p coldkeep.ProbeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.probes, p) {
		m.probes = append(m.probes, p)
	}
}

// convert sees to it that p's memory holds a fresh value, when p is not the only
// probe of the master and the kernel can convert all at once. When it cannot, for
// want of the file or of the right to write it, nothing is lost: the probe's own
// file converts.
func (m *master) convert(ctx context.Context, p coldkeep.ProbeID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir == "" || len(m.probes) < 2 {
		return nil
	}
	if !m.read[p] && time.Since(m.converted) < fresh {
		m.read[p] = true
		return nil
	}
	file := filepath.Join(m.dir, "therm_bulk_read")
	m.converted = time.Time{}
	if err := trigger(file); err != nil {
		return nil
	}
	for limit := time.Now().Add(bulkLimit); time.Now().Before(limit); {
		state, err := readFile(file)
		if err != nil || !bytes.HasPrefix(state, []byte("-1")) { // -1: a conversion is under way
			break
		}
		if err := (coldkeep.RealClock{}).Sleep(ctx, bulkPoll); err != nil {
			return err
		}
	}
	m.converted, m.read = time.Now(), map[coldkeep.ProbeID]bool{p: true}
	return nil
}

// trigger writes to a file that must be there.
func trigger(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("trigger\n")
	if err := f.Close(); err != nil {
		return err
	}
	return err
}
