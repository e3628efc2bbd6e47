package main

import (
	"maps"
	"path"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/mqttsource"
)

// bringFlags are other makers' sensors on a broker in the clinic.
type bringFlags struct {
	SensorBroker       string   `help:"Broker in the clinic on which other makers' sensors are, such as tcp://127.0.0.1:1883; their readings are recorded as the device's own." placeholder:"URL" env:"COLDKEEP_SENSOR_BROKER"`
	SensorUsername     string   `help:"User at that broker." placeholder:"USER" env:"COLDKEEP_SENSOR_USERNAME"`
	SensorPasswordFile string   `help:"File that holds its password." placeholder:"FILE" env:"COLDKEEP_SENSOR_PASSWORD_FILE"`
	SensorMap          []string `help:"What its messages mean: chirpstack, esphome, ruuvi, shelly, tasmota, theengs, ttn, zigbee2mqtt, or a mapping file of your own (*.json); the first eight unless given." placeholder:"MAP" env:"COLDKEEP_SENSOR_MAPS"`
	SensorOnly         []string `help:"Probes to take, by patterns such as 'z2m:fridge*'; all unless given." placeholder:"PATTERN" env:"COLDKEEP_SENSOR_ONLY"`
}

// check reads the mappings; none without a broker.
func (f *bringFlags) mappings() ([]*mqttsource.Mapping, error) {
	if f.SensorBroker == "" {
		return nil, nil
	}
	if _, err := firmware.ParseBroker(f.SensorBroker); err != nil {
		return nil, usageError{coldkeep.Errorf(coldkeep.EINVALID, "--sensor-broker: %s", coldkeep.ErrorMessage(err))}
	}
	for _, pattern := range f.SensorOnly {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, usageError{coldkeep.Errorf(coldkeep.EINVALID, "--sensor-only %q: %v", pattern, err)}
		}
	}
	names := f.SensorMap
	if len(names) == 0 {
		names = mqttsource.Makes()
	}
	var out []*mqttsource.Mapping
	for _, name := range names {
		m, err := mqttsource.Load(name)
		if err != nil {
			return nil, usageError{coldkeep.Errorf(coldkeep.EINVALID, "--sensor-map: %s", coldkeep.ErrorMessage(err))}
		}
		out = append(out, m)
	}
	return out, nil
}

// bring makes the source of a broker's sensors.
func (f *bringFlags) bring(start firmware.Start, clientID string, mappings []*mqttsource.Mapping) (sensors.Source, error) {
	password, err := passwordFile("--sensor-password-file", f.SensorPasswordFile)
	if err != nil {
		return nil, err
	}
	known := maps.Clone(start.Last)
	for _, p := range start.Configured {
		if _, ok := known[p]; !ok {
			known[p] = time.Time{}
		}
	}
	return mqttsource.New(mqttsource.Config{Broker: f.SensorBroker, Username: f.SensorUsername, Password: password, ClientID: clientID,
		Mappings: mappings, Known: known, Only: f.takes, Clock: start.Clock, Log: start.Log})
}

func (f *bringFlags) takes(p coldkeep.ProbeID) bool {
	return len(f.SensorOnly) == 0 || slices.ContainsFunc(f.SensorOnly, func(pattern string) bool {
		ok, err := path.Match(pattern, string(p))
		return ok && err == nil
	})
}
