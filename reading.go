package coldkeep

import "time"

// The names of things. A SiteID and an AgentID match [a-z0-9-]{1,64}; a probe's
// name is unique within its agent only (a DS18B20 carries its 64-bit ROM code, a
// recorded log carries what its column said).
type (
	// SiteID names a clinic's place.
	SiteID string
	// AgentID names a device at a site.
	AgentID string
	// ProbeID names a probe of a device.
	ProbeID string
	// ApplianceID names a fridge or freezer, wherever its probes come from.
	ApplianceID string
)

// Series is one probe of one device: the owner of a sequence of readings.
type Series struct {
	Site  SiteID  `json:"site"`
	Agent AgentID `json:"agent"`
	Probe ProbeID `json:"probe"`
}

// String gives "site/agent/probe".
func (s Series) String() string {
	return string(s.Site) + "/" + string(s.Agent) + "/" + string(s.Probe)
}

// Quality says why a probe gave no believable value, or what is to be doubted
// about the value it gave. "" is a good reading. The codes are those of the wire
// contract.
type Quality string

// The quality codes. The first group comes without a value, the second with one.
const (
	QualityGood    Quality = ""
	QualityCRC     Quality = "crc"     // checksum wrong
	QualityReset85 Quality = "reset85" // DS18B20 power-on value 85.000
	QualityZeros   Quality = "zeros"   // all-zero scratchpad, whose CRC is valid
	QualityOpen    Quality = "open"    // RTD open
	QualityShort   Quality = "short"   // RTD or bus shorted
	QualityMissing Quality = "missing" // the probe did not answer
	QualityStuck   Quality = "stuck"   // frozen at one raw value
	QualityRange   Quality = "range"   // beyond what the probe or the world can be
	QualityRate    Quality = "rate"    // changed faster than a probe in its buffer can
	QualityTimeout Quality = "timeout"
	QualityError   Quality = "error"

	QualityUncalibrated Quality = "uncalibrated" // certificate expired; value kept
	QualityClock        Quality = "clock"        // time not to be trusted; value kept
)

// Valid reports whether q is one of the contract's codes.
func (q Quality) Valid() bool { return q == QualityGood || q.HasValue() || q.NoValue() }

// HasValue reports whether q doubts a value but leaves it.
func (q Quality) HasValue() bool { return q == QualityUncalibrated || q == QualityClock }

// NoValue reports whether q explains an absent value.
func (q Quality) NoValue() bool {
	switch q {
	case QualityCRC, QualityReset85, QualityZeros, QualityOpen, QualityShort, QualityMissing,
		QualityStuck, QualityRange, QualityRate, QualityTimeout, QualityError:
		return true
	}
	return false
}

// Reading is one sample of one probe as the agent recorded it. Its identity is
// (Site, Agent, Epoch, Seq): the same identity is the same reading however often
// it arrives.
type Reading struct {
	Series
	Epoch string // ULID made with the agent's outbox
	Seq   int64  // from 1, per epoch, over all probes of the agent
	At    int64  // sample time, ms since 1970-01-01 UTC, as the agent knew it

	Celsius Temperature // after calibration; NoTemperature when Quality says why
	Raw     Temperature // before calibration, when sent
	Lo, Hi  Temperature // extremes since the probe's previous record, when sent
	Quality Quality
}

// Time returns the sample time in UTC.
func (r *Reading) Time() time.Time { return time.UnixMilli(r.At).UTC() }
