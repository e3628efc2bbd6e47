// Package wire is the contract between agents and collectors over MQTT: topics,
// payloads, and the canonical bytes that the evidence chain is made of. Version 1
// of it is public; a change that an old peer would misread is version 2.
//
// It is shared by the firmware and the gateway and does no I/O.
package wire

import (
	"encoding/json"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Version is the contract's version, the "v" of every payload.
const Version = 1

// Limits of a batch, from the contract.
const (
	MaxPayload = 256 << 10 // bytes on the wire, compressed or not
	MaxRecords = 1000
	// maxInflated bounds what a gzipped payload may unfold to. A thousand records
	// with every field at its longest are below a megabyte.
	maxInflated = 2 << 20
)

// The last parts of the topics.
const (
	LeafReadings = "readings"
	LeafAck      = "ack"
	LeafStatus   = "status"
	LeafConfig   = "config"
	LeafCommand  = "command"
)

// Prefix begins every topic.
const Prefix = "coldkeep/1/"

// The states of a device's clock, the "clock" of a batch.
const (
	ClockNTP      = "ntp"
	ClockRTC      = "rtc"
	ClockUnsynced = "unsynced"
)

// The characters that names are made of, one bit a use. Every record's names are
// looked at, so this is a table and no regular expression.
const (
	inName = 1 << iota
	inProbe
	inEpoch
)

var nameChars = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = inName | inProbe | inEpoch
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = inName | inProbe | inEpoch
		t[c-'a'+'A'] = inProbe | inEpoch
	}
	t['-'] = inName | inProbe
	t['.'], t['_'], t[':'] = inProbe, inProbe, inProbe
	return t
}()

func madeOf(s string, use uint8) bool {
	for i := range len(s) {
		if nameChars[s[i]]&use == 0 {
			return false
		}
	}
	return true
}

// ValidName reports whether s can be a site or an agent: [a-z0-9-]{1,64}.
func ValidName(s string) bool { return len(s) >= 1 && len(s) <= 64 && madeOf(s, inName) }

// ValidProbe reports whether s can be a probe: [A-Za-z0-9._:-]{1,64}.
func ValidProbe(s string) bool { return len(s) >= 1 && len(s) <= 64 && madeOf(s, inProbe) }

// ValidEpoch reports whether s has the form of an epoch, a ULID.
func ValidEpoch(s string) bool { return len(s) == 26 && madeOf(s, inEpoch) }

// Topic joins the topic of a leaf of an agent.
func Topic(site coldkeep.SiteID, agent coldkeep.AgentID, leaf string) string {
	return Prefix + string(site) + "/" + string(agent) + "/" + leaf
}

// ParseTopic splits a topic of this contract. A foreign or malformed one is
// EINVALID.
func ParseTopic(topic string) (site coldkeep.SiteID, agent coldkeep.AgentID, leaf string, err error) {
	rest, ok := strings.CutPrefix(topic, Prefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 || !ValidName(parts[0]) || !ValidName(parts[1]) {
		return "", "", "", coldkeep.Errorf(coldkeep.EINVALID, "topic %q is not coldkeep/1/{site}/{agent}/{leaf}", topic)
	}
	return coldkeep.SiteID(parts[0]), coldkeep.AgentID(parts[1]), parts[2], nil
}

// Batch is the payload of readings: consecutive records of one epoch.
type Batch struct {
	Epoch   string
	Seq     int64 // of the first record; record i has Seq+i
	Oldest  int64 // lowest seq of the epoch the agent still holds
	Clock   string
	Config  int64 // revision of the configuration in force, 0 when none was
	Records []Record
	Seal    *Seal
}

// Record is one line of an agent's book: a reading of a probe, or an event.
type Record struct {
	Probe   coldkeep.ProbeID
	At      int64 // ms since 1970-01-01 UTC
	Celsius coldkeep.Temperature
	Raw     coldkeep.Temperature
	Lo, Hi  coldkeep.Temperature
	Quality coldkeep.Quality
	Event   string // an event when not empty; then Probe may be empty
	Detail  string
}

// IsEvent reports whether the record is an event rather than a reading.
func (r *Record) IsEvent() bool { return r.Event != "" }

// The events that the contract names. Others may come and are kept.
const (
	EventBoot           = "boot"
	EventPowerLost      = "power-lost"
	EventPowerBack      = "power-back"
	EventBatteryLow     = "battery-low"
	EventDoorOpen       = "door-open"
	EventDoorClosed     = "door-closed"
	EventClockStep      = "clock-step"
	EventClockCorrected = "clock-corrected"
	EventProbeAdded     = "probe-added"
	EventProbeRemoved   = "probe-removed"
	EventOutboxWrapped  = "outbox-wrapped"
	EventAlarmLocal     = "alarm-local"
	EventMinMaxReset    = "minmax-reset"
)

// Seal signs the chain at a seq (evidence).
type Seal struct {
	Seq    int64  `json:"seq"`
	Oldest int64  `json:"oldest"`
	Hash   string `json:"h"`   // base64url SHA-256
	Key    string `json:"key"` // key id
	Sig    string `json:"sig"` // base64url Ed25519
}

// Ack says how far the collector has stored an epoch: every record up to and
// including Seq is durable or recorded as permanently missing.
type Ack struct {
	V     int    `json:"v"`
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
}

// Status is an agent's birth, retained, and its will.
type Status struct {
	V       int            `json:"v"`
	Online  bool           `json:"online"`
	Epoch   string         `json:"epoch,omitempty"`
	Version string         `json:"version,omitempty"`
	Config  int64          `json:"cfg,omitempty"`
	Key     string         `json:"key,omitempty"` // KeyID of Pub
	Pub     string         `json:"pub,omitempty"` // the device's public key, EncodeKey
	Probes  []ProbeInfo    `json:"probes,omitempty"`
	Health  map[string]any `json:"health,omitempty"`
}

// ProbeInfo describes a probe that an agent has found.
type ProbeInfo struct {
	Probe coldkeep.ProbeID `json:"p"`
	Kind  string           `json:"kind"`
	Bus   string           `json:"bus,omitempty"`
}

// Config is what a collector tells an agent, retained.
type Config struct {
	V        int           `json:"v"`
	Revision int64         `json:"cfg"`
	Interval int           `json:"interval_s"`
	Probes   []ProbeConfig `json:"probes"`
	// Holds are the lots on hold in the device's appliances as the collector last knew
	// them, for the device to show while nobody can be asked. It is an addition to version
	// 1: an agent that does not know it leaves it out, and a collector need not send it.
	Holds []Hold `json:"holds,omitempty"`
}

// MaxHolds bounds the holds of a configuration.
const MaxHolds = 200

// Hold is a lot that is not to be used.
type Hold struct {
	Appliance coldkeep.ApplianceID `json:"appliance"`
	Lot       string               `json:"lot"`
	Product   string               `json:"product,omitempty"`
	Since     string               `json:"since,omitempty"` // RFC 3339
}

// ProbeConfig is an agent's part of what the registry knows of a probe.
type ProbeConfig struct {
	Probe       coldkeep.ProbeID     `json:"p"`
	Appliance   coldkeep.ApplianceID `json:"appliance,omitempty"`
	Unit        coldkeep.Unit        `json:"unit,omitempty"`
	Offset      int32                `json:"offset_mc,omitempty"` // thousandths of °C
	Table       [][2]int32           `json:"table,omitempty"`     // [at, offset], thousandths of °C
	Certificate string               `json:"certificate,omitempty"`
	Expires     string               `json:"expires,omitempty"` // ISO date
	Local       *LocalAlarm          `json:"local,omitempty"`
}

// LocalAlarm is the limit at which the device itself sounds.
type LocalAlarm struct {
	Low   int32 `json:"low_mc"` // thousandths of °C
	High  int32 `json:"high_mc"`
	After int   `json:"after_s"`
}

// The commands that a collector sends.
const (
	CommandResend    = "resend"
	CommandIdentify  = "identify"
	CommandSampleNow = "sample-now"
	CommandUpdate    = "update"
)

// Command asks an agent for something. It is not retained: an agent that misses
// one loses nothing, since what is unacknowledged is sent again anyway.
type Command struct {
	V     int    `json:"v"`
	Cmd   string `json:"cmd"`
	Epoch string `json:"epoch,omitempty"`
	From  int64  `json:"from,omitempty"`
	To    int64  `json:"to,omitempty"`
}

// Decode reads one of the small JSON payloads (Ack, Status, Config, Command) and
// checks its version. What is not readable is EINVALID.
func Decode(payload []byte, into any) error {
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "wire.Decode", "payload is not JSON: %v", err)
	}
	if v.V != Version {
		return coldkeep.Errorf(coldkeep.EINVALID, "payload version %d, want %d", v.V, Version)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return coldkeep.Wrap(err, coldkeep.EINVALID, "wire.Decode", "payload: %v", err)
	}
	return nil
}
