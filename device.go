package coldkeep

import "time"

// DeviceHealth is how a device stands, as far as the collector has heard. Its times
// are on the collector's clock.
type DeviceHealth struct {
	Site      SiteID     `json:"site"`
	Agent     AgentID    `json:"agent"`
	Online    bool       `json:"online"`
	LastHeard *time.Time `json:"last_heard"` // absent: never

	// ClockSkewMS is by how many ms the device's clock is ahead of the collector's, 0
	// while that is too little to be told from the way the readings took.
	ClockSkewMS int64  `json:"clock_skew_ms"`
	Clock       string `json:"clock,omitempty"` // "ntp", "rtc" or "unsynced", of the latest batch

	Config     int64  `json:"cfg"`      // the revision that the device says is in force
	WantConfig int64  `json:"want_cfg"` // the revision that it was sent; 0 for none
	Version    string `json:"version,omitempty"`

	Probes     []ProbeID `json:"probes"`     // that the device has found
	Unassigned []ProbeID `json:"unassigned"` // those of them that stand in no appliance
	Faults     []string  `json:"faults"`     // what is wrong with it now, in words
}
