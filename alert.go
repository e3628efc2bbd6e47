package coldkeep

import "time"

// AlertState is where an alert stands.
type AlertState string

// The states of an alert. It ends with a person, not with the temperature: a
// resolved excursion leaves its alert open until somebody has answered.
const (
	AlertOpen         AlertState = "open"
	AlertAcknowledged AlertState = "acknowledged"
)

// Alert calls a person to an appliance. One is raised per excursion that asks for
// it, however often the news of it arrives.
type Alert struct {
	ID             string      `json:"id"`
	Site           SiteID      `json:"site"`
	Appliance      ApplianceID `json:"appliance"`
	Excursion      Excursion   `json:"excursion"` // its latest revision
	State          AlertState  `json:"state"`
	RaisedAt       time.Time   `json:"raised_at"`
	AcknowledgedAt *time.Time  `json:"acknowledged_at"`
	AcknowledgedBy string      `json:"acknowledged_by,omitempty"` // the person's name
	Note           string      `json:"note,omitempty"`
}

// Change is an entry of the collector's feed: something that alerts and the
// registry must hear of, in the order in which it was decided. N grows by one an
// entry and is never used twice; a consumer keeps the N it has dealt with.
type Change struct {
	N         int64      `json:"n"`
	At        time.Time  `json:"at"` // when it was decided, on the collector's clock
	Excursion *Excursion `json:"excursion,omitempty"`
	Interval  *Interval  `json:"interval,omitempty"`
}

// Bucket is a downsampled stretch of an appliance's readings. It never hides an
// extreme.
type Bucket struct {
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	Min    Temperature `json:"min"` // null in an empty bucket
	Max    Temperature `json:"max"`
	Mean   Temperature `json:"mean"`
	Count  int         `json:"count"`
	Gaps   int         `json:"gaps"`   // silences beyond the profile's limit that touch it
	Faults int         `json:"faults"` // records in which the probe gave no value
}

// LiveEvent tells a screen that something about an appliance has changed, so that
// it asks for the rest itself. It holds no data of its own.
type LiveEvent struct {
	Type      string      `json:"type"` // "status", "excursion" or "alert"
	Site      SiteID      `json:"site"`
	Appliance ApplianceID `json:"appliance"`
}
