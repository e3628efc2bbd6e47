package firmware

import (
	"cmp"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// maxOffset bounds a correction: a probe that is off by more than 10 °C is to be
// replaced, and a larger number is a mistake of units.
const maxOffset = 10_000

// calibration is how each probe's raw value is corrected.
type calibration map[coldkeep.ProbeID]correction

// correction is what a probe's certificate says.
type correction struct {
	offset int32      // thousandths of °C, when there is no table
	table  [][2]int32 // [raw, offset], by raw
	until  time.Time  // the end of the certificate's last day; zero is never
}

// newCalibration reads the probes of a configuration. A probe twice, an offset
// beyond 10 °C, a table that does not rise, and a date that is none are EINVALID.
func newCalibration(probes []wire.ProbeConfig) (calibration, error) {
	cal := make(calibration, len(probes))
	for _, p := range probes {
		if _, twice := cal[p.Probe]; twice {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %s is there twice", p.Probe)
		}
		c := correction{offset: p.Offset, table: p.Table}
		if beyond(p.Offset) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %s: offset_mc %d is beyond ±%d", p.Probe, p.Offset, maxOffset)
		}
		for i, line := range p.Table {
			if beyond(line[1]) || i > 0 && line[0] <= p.Table[i-1][0] {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %s: line %d of its table, %v: want rising temperatures and offsets within ±%d", p.Probe, i+1, line, maxOffset)
			}
		}
		if p.Expires != "" {
			day, err := time.Parse(time.DateOnly, p.Expires)
			if err != nil {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "probe %s: expires %q is not a date such as 2027-03-01", p.Probe, p.Expires)
			}
			c.until = day.AddDate(0, 0, 1)
		}
		cal[p.Probe] = c
	}
	return cal, nil
}

func beyond(offset int32) bool { return offset > maxOffset || offset < -maxOffset }

// correct adds the offset of the table at raw, linear between its lines and
// constant beyond them; without a table, the one offset.
func (c *correction) correct(raw coldkeep.Temperature) coldkeep.Temperature {
	if len(c.table) == 0 {
		return raw + coldkeep.Temperature(c.offset)
	}
	i, _ := slices.BinarySearchFunc(c.table, int32(raw), func(line [2]int32, raw int32) int { return cmp.Compare(line[0], raw) })
	switch i {
	case 0:
		return raw + coldkeep.Temperature(c.table[0][1])
	case len(c.table):
		return raw + coldkeep.Temperature(c.table[i-1][1])
	}
	lo, hi := c.table[i-1], c.table[i]
	part := float64(int64(raw)-int64(lo[0])) / float64(int64(hi[0])-int64(lo[0]))
	return raw + coldkeep.FromCelsius((float64(lo[1])+part*float64(hi[1]-lo[1]))/1000)
}

// expired reports whether the certificate had run out at a time.
func (c *correction) expired(at time.Time) bool { return !c.until.IsZero() && !at.Before(c.until) }
