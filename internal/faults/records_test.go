package faults

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// record is the book of a device: a fridge that hums about 5 °C, one in three with
// episodes of warmth, one in three of frost, the others with a door that was left
// open for a minute. There are readings that failed, and events between them.
func record(device int, seq, at int64) wire.Record {
	r := wire.Record{Probe: fleet.Probe, At: at, Celsius: coldkeep.NoTemperature, Raw: coldkeep.NoTemperature, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature}
	switch {
	case seq%101 == 50:
		r.Probe, r.Event, r.Detail = "", wire.EventDoorOpen, "front door"
		return r
	case seq%89 == 44:
		r.Quality = coldkeep.QualityCRC
		return r
	}
	r.Celsius = celsius(device, seq)
	return r
}

// The episodes, in minutes of the record's own time.
const (
	episodeEvery = 720
	ramp         = 20
	stay         = 40
)

func celsius(device int, minute int64) coldkeep.Temperature {
	hum := int64([...]int{0, 62, 125, 62, 0, -62, -125, -62}[minute%8]) + int64(device%5)*31
	m := minute%episodeEvery - int64(60+device*13%60)
	out := int64(0) // share of the episode, in thousandths
	switch {
	case m >= 0 && m < ramp:
		out = m * 1000 / ramp
	case m >= ramp && m < ramp+stay:
		out = 1000
	case m >= ramp+stay && m < 2*ramp+stay:
		out = (2*ramp + stay - m) * 1000 / ramp
	}
	t := 5000 + hum
	switch device % 3 {
	case 0:
		t += 6 * out // to 11 °C
	case 1:
		t -= 6 * out // to -1 °C
	default:
		if minute%300 == 70 {
			t = 8600
		}
	}
	return coldkeep.Temperature(t)
}

// trace is the log that the real agent plays, and so its book.
type trace struct {
	path string
	rows []string // "time celsius"
}

const traceProbe = coldkeep.ProbeID("28-0000000000aa")

// newTrace writes a log of the rig's time.
func (r *rig) newTrace() *trace {
	r.Helper()
	t := &trace{path: filepath.Join(r.dir, "trace.csv")}
	var rows [][]string
	for m := range r.records {
		at := r.from.Add(time.Duration(m) * spacing)
		c := celsius(999, int64(m+1))
		rows = append(rows, []string{at.Format(time.RFC3339), c.String(), string(traceProbe)})
		t.rows = append(t.rows, fmt.Sprintf("%s %s", at.Format(csvTime), c))
	}
	r.writeCSV(t.path, rows)
	return t
}

// writeCSV writes a log as replay and the agent read it.
func (r *rig) writeCSV(path string, rows [][]string) {
	r.Helper()
	f, err := os.Create(path)
	r.must(err)
	w := csv.NewWriter(f)
	r.must(w.Write([]string{"time", "celsius", "probe"}))
	r.must(w.WriteAll(rows))
	r.must(f.Close())
}
