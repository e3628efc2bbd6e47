// Package sensors is the border between the physical world and the record: what
// a probe is, what a source of samples is, and the plausibility gate that keeps
// a sensor fault from being taken for a temperature.
//
// Each chip, bus or other source is a package below this one. None of them
// judges: a driver says what the hardware said, the Gate says whether it can be
// believed.
package sensors

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Sample is what one probe gave at one time, before the gate and before
// calibration.
type Sample struct {
	Probe coldkeep.ProbeID
	// At is when the sample was taken. The zero time means "now": whoever records
	// the sample stamps it.
	At time.Time
	// Raw is the value as the probe gave it, in thousandths of a degree Celsius;
	// NoTemperature when it gave none.
	Raw coldkeep.Temperature
	// Quality says why Raw is absent, when the driver knows; "" otherwise.
	Quality coldkeep.Quality
	// Thin says that there are more samples than are to be recorded: of those between two
	// points of the reporting grid one is, with the extremes of the others.
	Thin bool
	// Traits is what is known of the probe; the zero value, of a recorded log for
	// instance, is nothing.
	Traits Traits
}

// Traits is what the gate must know of a probe to tell a frozen or leaping value
// from a temperature. The zero Traits switches the rules that need them off.
type Traits struct {
	// Step is one step of the probe's output, in thousandths of a degree Celsius,
	// rounded up; 0 when it is not known.
	Step coldkeep.Temperature
	// Buffered says that the probe stands in glycol, glass beads or the like, as
	// vaccine storage asks for: its temperature cannot leap.
	Buffered bool
}

// Failed makes the sample of a probe that gave nothing, and says why.
func Failed(p coldkeep.ProbeID, q coldkeep.Quality) Sample {
	return Sample{Probe: p, Raw: coldkeep.NoTemperature, Quality: q}
}

// Probe is one thermometer that can be asked.
type Probe interface {
	// String returns the probe's name, its ProbeID.
	String() string
	// Sample reads the probe once. A fault that the driver can name comes as a
	// Sample with a Quality and no error; an error means that the driver could not
	// tell, and the caller records QualityError, or QualityTimeout when ctx ended.
	// No value of a Sample that comes with an error may be used.
	Sample(ctx context.Context) (Sample, error)
	// Halt ends the use of the probe and frees what it holds.
	Halt() error
}

// Info describes a probe to people: what it is and where it hangs. Probes that
// share a Bus are read one after the other.
type Info struct {
	Probe coldkeep.ProbeID
	Kind  string // such as "ds18b20"
	Bus   string // such as "w1_bus_master1"

	Traits Traits
	// Note is what a technician should know of the probe as it is wired, such as
	// "parasite power"; "" when there is nothing to say.
	Note string
}

// Informer is a Probe that can describe itself.
type Informer interface {
	Info() Info
}

// Describe returns the Info of p, and no more than its name when it has none.
func Describe(p Probe) Info {
	if i, ok := p.(Informer); ok {
		return i.Info()
	}
	return Info{Probe: coldkeep.ProbeID(p.String())}
}

// Emit receives samples. An error means that they were not recorded; the source
// stops and returns it.
type Emit func(context.Context, []Sample) error

// Source yields samples over time: probes on a steady grid, a model, a recorded
// log. Run calls emit from one goroutine at a time, with the samples of each
// probe in the order of their times, and returns when ctx ends (with ctx.Err()),
// when emit fails (with its error), or when there is nothing more to come (nil).
// Samples given to one call of emit are recorded together or not at all.
type Source interface {
	Run(ctx context.Context, emit Emit) error
}
