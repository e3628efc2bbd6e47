package mqttsource

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// now is when every message of the tests comes.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// lora wraps a decoded object, as a codec makes it, into an uplink.
func lora(object string) string {
	return `{"time":"2026-11-01T11:59:58.123456789+00:00","deviceInfo":{"devEui":"24e124"},"data":"AQ==","object":` + object + `}`
}

const loraTopic = "application/a/device/24e124/event/up"

// recorded are the messages of real and documented devices, and what each must give:
// "probe value quality", with the message's own time when it has one; "" is nothing.
// file names a file of ../shared; the others are written here after their
// descriptions.
var recorded = []struct {
	file, text, topic string
	retained          bool
	wrap              func(string) string
	want              string
}{
	{file: "z2m_freezer_minus16.json", topic: "zigbee2mqtt/Gefrierschrank Keller", want: "z2m:Gefrierschrank-Keller-c5b9b7 -16.31"},
	{text: `{"battery":100,"temperature":5.2,"humidity":60}`, topic: "zigbee2mqtt/Kühlschrank Küche", want: "z2m:K--hlschrank-K--che-e5be37 5.2"},
	{text: `{"temperature":5.2}`, topic: "zigbee2mqtt/clinic/fridge", want: "z2m:clinic-fridge-e849cd 5.2"},
	{file: "z2m_freezer_minus16.json", topic: "zigbee2mqtt/freezer", retained: true, want: "! retained, and without a time: nobody knows how old it is"},
	{text: `{"temperature":5.2,"last_seen":"2026-11-01T11:58:00Z"}`, topic: "zigbee2mqtt/fridge", retained: true, want: "z2m:fridge 5.2 @2026-11-01T11:58:00Z"},
	{text: `{"temperature":5.2,"last_seen":1793534280000}`, topic: "zigbee2mqtt/fridge", want: "z2m:fridge 5.2 @2026-11-01T11:58:00Z"},
	{text: `{"temperature":null}`, topic: "zigbee2mqtt/fridge", want: "z2m:fridge missing"},
	{file: "z2m_door_contact_device_temperature.json", topic: "zigbee2mqtt/Aqara WindowSensorHome", want: "! there is no temperature in it"},
	{file: "z2m_no_temperature.json", topic: "zigbee2mqtt/Dashboard-Tablet", want: "! there is no temperature in it"},
	{file: "z2m_bridge_state.txt", topic: "zigbee2mqtt/bridge/state", retained: true},
	{text: "offline", topic: "zigbee2mqtt/bridge/state", retained: true, want: "offline all"},
	{text: `{"state":"offline"}`, topic: "zigbee2mqtt/bridge/state", want: "offline all"},
	{text: `{"state":"online"}`, topic: "zigbee2mqtt/bridge/state"},
	{text: `{"state":"offline"}`, topic: "zigbee2mqtt/fridge/availability", want: "offline fridge"},
	{file: "z2m_bridge_event_leave.json", topic: "zigbee2mqtt/bridge/event"},
	{file: "ha_discovery_z2m_battery.json", topic: "homeassistant/sensor/0x28dba7fffe06df5d/battery/config", retained: true},
	{file: "ha_discovery_z2m_bridge.json", topic: "homeassistant/binary_sensor/x/connection_state/config", retained: true},

	{file: "tasmota_ds18b20_single_old.json", topic: "tele/tasmota/SENSOR", want: "tasmota:tasmota:DS18B20 20.6"},
	{file: "tasmota_ds18b20_multi.json", topic: "tele/tasmota/SENSOR", want: "tasmota:00000566CC39 13.3; tasmota:0000059352D4 1.2; tasmota:000005937C90 22.5"},
	{text: `{"Time":"2021-01-02T09:09:44","DS18B20-1":{"Temperature":13.3},"TempUnit":"C"}`, topic: "tele/tasmota/SENSOR", want: "! the probe has no name that stays"},
	{text: `{"DS18B20":{"Id":"0000059352D4","Temperature":34.2},"TempUnit":"F"}`, topic: "tele/tasmota/SENSOR", want: "tasmota:0000059352D4 1.222"},
	{text: `{"DS18B20":{"Id":"0000059352D4","Temperature":3.2},"TempUnit":"K"}`, topic: "tele/tasmota/SENSOR", want: "tasmota:0000059352D4 error"},
	{text: `{"DS18B20":{"Id":"0000059352D4","Temperature":null},"TempUnit":"C"}`, topic: "tele/tasmota/SENSOR", want: "tasmota:0000059352D4 missing"},
	{text: `{"Time":"2021-01-02T09:09:44","DS18B20-1":{"Id":"00000566CC39","Temperature":13.3},"DS18B2`, topic: "tele/tasmota/SENSOR", want: "! the message is not JSON, or is cut off"},
	{file: "tasmota_ble_multi.json", topic: "tele/tasmota/SENSOR", want: "tasmota:tasmota:LYWSD02-a2fd09 21.4; tasmota:tasmota:LYWSD03-52680f 21.1; tasmota:tasmota:MJ_HT_V1-d8799d 21.4"},
	{file: "tasmota_state.json", topic: "tele/tasmota/STATE"},
	{text: "Offline", topic: "tele/tasmota/LWT", retained: true, want: "offline tasmota"},
	{text: "Online", topic: "tele/tasmota/LWT", retained: true},

	{file: "shelly_plus_ht_usb_power.json", topic: "shellyplusht-c049ef8bc088/events/rpc", want: "shelly:shellyplusht-c049ef8bc088:temperature:0 19 @2022-11-27T09:29:12Z"},
	{text: `{"src":"s-1","params":{"ts":null,"temperature:0":{"id":0,"tC":null,"tF":null,"errors":["read"]}}}`, topic: "clinic/s-1/events/rpc", want: "shelly:s-1:temperature:0 error"},
	{text: `{"src":"s-1","method":"NotifyStatus","params":{"ts":1793534280.5,"humidity:0":{"rh":60}}}`, topic: "s-1/events/rpc", want: "! there is no temperature in it"},
	{text: "4.38", topic: "shellies/ht-1/sensor/temperature", want: "shelly:ht-1 4.38"},
	{text: "39.88", topic: "shellies/ht-1/sensor/temperature_f"},
	{text: "999", topic: "shellies/ht-1/ext_temperature/0", want: "shelly:ht-1:ext-0 missing"},
	{text: "4.38", topic: "shellies/ht-1/sensor/temperature", retained: true, want: "! retained, and without a time: nobody knows how old it is"},

	{file: "esphome_status.txt", topic: "fridge/status", retained: true},
	{text: "offline", topic: "fridge/status", want: "offline fridge"},
	{text: "4.5", topic: "fridge/sensor/vaccine_temperature/state", want: "esphome:fridge:vaccine_temperature 4.5"},
	{text: "4.5", topic: "fridge/sensor/vaccine_temperature/state", retained: true, want: "! retained, and without a time: nobody knows how old it is"},
	{text: "nan", topic: "fridge/sensor/vaccine_temperature/state", want: "esphome:fridge:vaccine_temperature missing"},
	{text: "61.2", topic: "fridge/sensor/humidity/state"},

	{file: "ruuvi_gateway_mqtt_data_with_timestamps.json", topic: "ruuvi/C8:25:2D:8E:9C:2C/F4:1F:0C:28:CB:D6", want: "ruuvi:F4:1F:0C:28:CB:D6 27.75 @2022-05-27T16:13:47Z"},
	{file: "ruuvi_gateway_mqtt_data_without_timestamps.json", topic: "ruuvi/C8:25:2D:8E:9C:2C/F4:1F:0C:28:CB:D6", want: "ruuvi:F4:1F:0C:28:CB:D6 28.66"},
	{text: `{"data":"0201061BFF99040580004C6DC6D7000CFFF803F4ADB6AD697FF41F0C28CBD6"}`, topic: "ruuvi/a/b", want: "ruuvi:b missing"},
	{text: `{"data":"0201061BFF990405FC184C6DC6D7000CFFF803F4ADB6AD697FF41F0C28CBD6"}`, topic: "ruuvi/a/b", want: "ruuvi:b -5"},
	{text: `{"data":"02010611FF9904030F1AE8"}`, topic: "ruuvi/a/b", want: "! there is no temperature in it"}, // another format
	{file: "ruuvi_gateway_status.json", topic: "ruuvi/C8:25:2D:8E:9C:2C/gw_status"},

	{file: "chirpstack_v4_up_docs.json", topic: loraTopic, want: "! there is no temperature in it"},
	{file: "chirpstack_v4_up_dragino_lht65n.json", topic: "application/635fda7b/device/a840419edb62011c/event/up",
		want: "lora:a840419edb62011c:housing 24.73 @2026-08-27T14:39:44Z; lora:a840419edb62011c:probe 22.93 @2026-08-27T14:39:44Z"},
	{file: "chirpstack_v4_join_docs.json", topic: "application/a/device/b/event/join"},
	{file: "chirpstack_v4_log_docs.json", topic: "application/a/device/b/event/log"},

	{file: "milesight_ts201_probe.json", topic: loraTopic, wrap: lora, want: "lora:24e124 30.8 @2026-11-01T11:59:58Z"},
	{file: "milesight_ts201_read_error.json", topic: loraTopic, wrap: lora, want: "lora:24e124 error @2026-11-01T11:59:58Z"},
	{file: "milesight_ts201_history_alarm.json", topic: loraTopic, wrap: lora, want: "lora:24e124 -6.7 @2023-09-08T03:53:43Z history"},
	{file: "milesight_ts301_temp_and_door.json", topic: loraTopic, wrap: lora, want: "lora:24e124:1 24.1 @2026-11-01T11:59:58Z"},
	{file: "milesight_ts301_two_probes_alarm.json", topic: loraTopic, wrap: lora, want: "lora:24e124:1 24.1 @2026-11-01T11:59:58Z; lora:24e124:2 24.7 @2026-11-01T11:59:58Z"},
	{text: `{"history":[{"temperature":-6.7}]}`, topic: loraTopic, wrap: lora, want: "! a past value without a time"},
	{text: `{"TempC_DS":4.1,"Ext_sensor":"No external sensor"}`, topic: loraTopic, wrap: lora, want: "lora:24e124:probe missing @2026-11-01T11:59:58Z"},

	// The topic says lsn50-temp-0, the message lht52-temp-0: the EUI is the device.
	{file: "ttn_v3_up_dragino_lht52_probe_missing.json", topic: "v3/piegn@ttn/devices/lsn50-temp-0/up",
		want: "lora:A8404188A184579F:housing 28.77 @2022-08-25T21:12:53Z; lora:A8404188A184579F:probe missing @2022-08-25T21:12:53Z"},
	{file: "ttn_v3_up_dragino_lht65.json", topic: "v3/smarthouse-22rdk-29600@ttn/devices/lht65-4c84/up",
		want: "lora:A8404163F1834C84:housing 14.65 @2021-11-11T08:33:35Z; lora:A8404163F1834C84:probe 13.18 @2021-11-11T08:33:35Z"},
	{file: "ttn_v3_up_dragino_lsn50_3probes.json", topic: "v3/piegn@ttn/devices/lsn50-temp-1/up",
		want: "lora:A84041291183FF1B:black 37.5 @2022-08-25T21:09:07Z; lora:A84041291183FF1B:red 28.3 @2022-08-25T21:09:07Z; lora:A84041291183FF1B:white 20.4 @2022-08-25T21:09:07Z"},
	{text: `{"end_device_ids":{"dev_eui":"A1"},"received_at":"2026-11-01T11:59:58Z","uplink_message":{"frm_payload":"DiD//wAADP////8=","decoded_payload":{"Temp_Red":-0.1,"Temp_White":-0.1,"Temp_Black":-0.1}}}`,
		topic: "v3/a@ttn/devices/b/up", want: "lora:A1:black missing @2026-11-01T11:59:58Z; lora:A1:red missing @2026-11-01T11:59:58Z; lora:A1:white missing @2026-11-01T11:59:58Z"},
	{text: `{"end_device_ids":{"dev_eui":"A1"},"received_at":"2026-11-01T11:59:58Z","uplink_message":{"decoded_payload":{"Temp_Red":-0.1,"Temp_White":4.1}}}`,
		topic: "v3/a@ttn/devices/b/up", want: "lora:A1:red missing @2026-11-01T11:59:58Z; lora:A1:white 4.1 @2026-11-01T11:59:58Z"},
	{text: `{"end_device_ids":{"dev_eui":"A1"},"received_at":"2026-11-01T11:59:58Z","uplink_message":{"decoded_payload":{"TempC1":0,"TempC_SHT":5.1,"Door_status":"OPEN"}}}`,
		topic: "v3/a@ttn/devices/b/up", want: "lora:A1:1 zeros @2026-11-01T11:59:58Z; lora:A1:housing 5.1 @2026-11-01T11:59:58Z"},
	{file: "ttn_v3_up_mclimate_docs.json", topic: "v3/starter-kit@tti/devices/eui-70b3d52dd600035a/up", want: "lora:70B3D52DD600035A 21.5 @2025-04-16T11:54:13Z"},
	{text: `{"end_device_ids":{"dev_eui":"A1"},"received_at":"2026-11-01T11:59:58Z","uplink_message":{"decoded_payload":{"sensorTemperature":21.5,"thermistorProperlyConnected":false}}}`,
		topic: "v3/a@ttn/devices/b/up", want: "lora:A1 open @2026-11-01T11:59:58Z"},
	// A time that cannot be is none: it is now.
	{text: `{"end_device_ids":{"dev_eui":"A1"},"received_at":"2027-11-01T11:59:58Z","uplink_message":{"decoded_payload":{"sensorTemperature":21.5}}}`, topic: "v3/a@ttn/devices/b/up", want: "lora:A1 21.5"},

	{file: "theengs_ble_tempodisc.json", topic: "home/TheengsGateway/BTtoMQTT/F35285AABBCC", want: "theengs:F35285AABBCC 24.1"},

	{file: "sparkplug_nbirth.json", topic: "spBv1.0/Sparkplug B Devices/NBIRTH/Raspberry Pi"},
	{file: "sparkplug_dbirth.json", topic: "spBv1.0/Sparkplug B Devices/DBIRTH/Raspberry Pi/Pibrella"},
	{file: "sparkplug_ndata.json", topic: "spBv1.0/Sparkplug B Devices/NDATA/Raspberry Pi"},
	{file: "sparkplug_ddata.json", topic: "spBv1.0/Sparkplug B Devices/DDATA/Raspberry Pi/Pibrella"},
}

func all(t testing.TB) []*Mapping {
	t.Helper()
	var out []*Mapping
	for _, name := range Makes() {
		m, err := Load(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.Make != name {
			t.Errorf("%s calls itself %s", name, m.Make)
		}
		out = append(out, m)
	}
	return out
}

// says gives what all mappings together make of a message, as the table writes it.
func says(mappings []*Mapping, msg Message) string {
	var out []string
	for _, m := range mappings {
		o := m.Read(msg)
		for _, s := range o.Samples {
			line := strings.TrimSpace(fmt.Sprintf("%s %s", s.Probe, s.Raw)) + fmt.Sprintf(" %s", s.Quality)
			line = strings.TrimSpace(strings.ReplaceAll(line, "  ", " "))
			if s.Own {
				line += " @" + s.At.Format(time.RFC3339)
			}
			if s.History {
				line += " history"
			}
			out = append(out, line)
		}
		if o.Offline {
			device := o.Device
			if device == "" {
				device = "all"
			}
			out = append(out, "offline "+device)
		}
		if o.Why != "" {
			out = append(out, "! "+o.Why)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func TestRecordedMessages(t *testing.T) {
	const dir = "../../../shared/data/mqtt_payloads"
	files, err := filepath.Glob(dir + "/*.*")
	if err != nil {
		t.Fatal(err)
	}
	absent := len(files) == 0
	if absent && os.Getenv("CI") != "" {
		t.Fatalf("the recordings of %s are not there", dir)
	}
	mappings := all(t)
	used := map[string]bool{"README.md": true}
	for _, c := range recorded {
		payload := []byte(c.text)
		if c.file != "" {
			used[c.file] = true
			if payload, err = os.ReadFile(filepath.Join(dir, c.file)); err != nil {
				if !absent {
					t.Error(err)
				}
				continue
			}
		}
		if c.wrap != nil {
			payload = []byte(c.wrap(string(payload)))
		}
		if got := says(mappings, Message{Topic: c.topic, Payload: payload, Retained: c.retained, At: now}); got != c.want {
			t.Errorf("%s %.80s on %s:\n got %s\nwant %s", c.file, c.text, c.topic, got, c.want)
		}
	}
	for _, f := range files {
		if name := filepath.Base(f); !used[name] {
			t.Errorf("%s has no expected outcome", name)
		}
	}
	if absent {
		t.Skipf("the recordings of %s are not there; only those written here were read", dir)
	}
}

// Whatever comes, nothing is both a number and a fault, every name can travel, and
// no message stops the reader.
func FuzzRead(f *testing.F) {
	for _, c := range recorded {
		if c.text != "" {
			f.Add(c.topic, []byte(c.text), c.retained)
		}
	}
	mappings := all(f)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, retained bool) {
		for _, m := range mappings {
			o := m.Read(Message{Topic: topic, Payload: payload, Retained: retained, At: now})
			for _, s := range o.Samples {
				if s.Raw.Known() == s.Quality.NoValue() || !s.Quality.Valid() {
					t.Errorf("%v beside %q", s.Raw, s.Quality)
				}
				if len(s.Probe) == 0 || len(s.Probe) > 64 || Safe(string(s.Probe)) != s.Probe {
					t.Errorf("name %q", s.Probe)
				}
				if s.At.After(now.Add(ahead)) || retained && !s.Own {
					t.Errorf("at %v, own %v", s.At, s.Own)
				}
			}
		}
	})
}

// FuzzParse reads mapping files that a clinic brings.
func FuzzParse(f *testing.F) {
	for _, name := range Makes() {
		b, err := makes.ReadFile("makes/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(`{"a":{"b":[1,"2",null]}}`))
	}
	f.Fuzz(func(t *testing.T, b, payload []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := json.Marshal(m); err != nil {
			t.Error(err)
		} else if _, err := Parse(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
		for _, topic := range m.Topics() {
			m.Read(Message{Topic: strings.NewReplacer("+", "x", "#", "y/z").Replace(topic), Payload: payload, At: now})
		}
	})
}
