// Package mqttsource takes readings of other makers' sensors from an MQTT broker in
// the clinic: Zigbee2MQTT, Tasmota, Shelly, ESPHome, Ruuvi, ChirpStack, The Things
// Stack. How each of them says a temperature is data, in a mapping file a make (folder
// makes); a clinic may bring its own.
//
//	broker ──► Source ──► Mapping.Read ──► samples ──► gate, outbox, as from any probe
//
// A value is taken when the mapping says exactly what it is, and at the time at which
// it was measured. What is no measurement of now is none: a retained message without a
// time, a number that stands for "no probe", a housing's or a chip's temperature.
package mqttsource

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

//go:embed makes/*.json
var makes embed.FS

// Mapping says how one make tells temperatures.
type Mapping struct {
	Make  string `json:"make"`
	About string `json:"about,omitempty"` // for who reads the file
	// SilenceS is after how many seconds without a message a probe is missing.
	SilenceS int    `json:"silence_s"`
	Rules    []Rule `json:"rules"`
}

// Rule says what messages of one kind of topic hold.
type Rule struct {
	// Topic is an MQTT filter. A level may also be a pattern with *, such as *temp*: it
	// is subscribed to as + and looked at when a message comes.
	Topic string `json:"topic"`
	// Skip are filters of topics that are not of this kind all the same.
	Skip []string `json:"skip,omitempty"`
	// Payload is "json" (when empty), "number" for a number alone, or "word".
	Payload string `json:"payload,omitempty"`
	// When must all hold: a path and the text that is there; "*" is anything.
	When map[string]string `json:"when,omitempty"`
	// Device names what an availability message speaks of; a template.
	Device string `json:"device,omitempty"`
	// Offline are the words that say that Device, or with none all of the make, is
	// gone; WordAt is where the word is in a JSON payload. Such a rule has no values.
	Offline []string `json:"offline,omitempty"`
	WordAt  string   `json:"word_at,omitempty"`
	// Each leads to the parts of a message that are read one by one, with * for any
	// member; "" is the message.
	Each string `json:"each,omitempty"`
	// Time is when all of it was measured; nil is now, on arrival.
	Time   *Time   `json:"time,omitempty"`
	Values []Value `json:"values,omitempty"`
}

// Time is where a message says when.
type Time struct {
	At string `json:"at"`
	// Form is "unix" (seconds), "unix-ms", "rfc3339", or "auto": a text is RFC 3339, a
	// number beyond 10¹¹ milliseconds.
	Form string `json:"form"`
	// History says that the parts are older than the message: one without a time, or
	// with one that cannot be, is nothing at all.
	History bool `json:"history,omitempty"`
}

// Value is one temperature in a part of a message.
type Value struct {
	// At is where the number is; "" takes it from Binary, or is the payload itself.
	At string `json:"at,omitempty"`
	// Probe are the templates of the probe's name; the first that can be filled in is
	// it.
	Probe []Name `json:"probe"`
	// Unit is "C" (when empty) or "F"; UnitAt is where the message says it.
	Unit   string `json:"unit,omitempty"`
	UnitAt string `json:"unit_at,omitempty"`
	// Absent are numbers that mean a fault: °C as text, and the quality.
	Absent map[string]coldkeep.Quality `json:"absent,omitempty"`
	// Faults are other signs of one, looked at first.
	Faults []Fault `json:"faults,omitempty"`
	// Binary is the number in its raw form: where it is read from when At is "", and
	// looked at for its absent forms when it is not.
	Binary *Binary `json:"binary,omitempty"`
}

// Name is a template of a probe's name, such as "tasmota:{.Id}": {topic.1} is a level
// of the topic, {topic.1+} all from there on, {key} what the last * of Each stood for,
// {.path} a text of the part, {/path} one of the message.
type Name struct {
	Name string `json:"name"`
	// Unless is a pattern of keys for which the name is not to be used, because they
	// change from message to message.
	Unless string `json:"unless,omitempty"`
}

// Fault is a sign in a message that the probe gave nothing.
type Fault struct {
	At string `json:"at"`
	// Is is the text that is the sign; "" is anything but null, false and an empty list.
	Is      string           `json:"is,omitempty"`
	Quality coldkeep.Quality `json:"quality"`
}

// Binary is a number of sixteen bits, the high byte first, in two's complement, inside
// bytes in a text.
type Binary struct {
	At       string   `json:"at"`
	Encoding string   `json:"encoding"`         // "hex" or "base64"
	After    string   `json:"after,omitempty"`  // hex of the bytes before, looked for
	Offset   int      `json:"offset"`           // from there on, or from the beginning
	Scale    float64  `json:"scale,omitempty"`  // °C a bit
	Absent   []string `json:"absent,omitempty"` // hex of what means no probe
	// Doubt is what the absent form looks like as a number, °C as text: not taken when the
	// bytes are not in the message.
	Doubt string `json:"doubt,omitempty"`
}

// maxRules and the like bound a mapping file.
const (
	maxFile    = 256 << 10
	maxRules   = 100
	maxSilence = 24 * time.Hour
)

// Makes lists the mappings that the program brings.
func Makes() []string {
	entries, _ := makes.ReadDir("makes") // it is embedded
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".json"))
	}
	return out
}

// Load reads a mapping by the name of a make, or from a file when the name has a
// slash or ends in .json. One that is not there is ENOTFOUND, a wrong one EINVALID.
func Load(name string) (*Mapping, error) {
	if !strings.ContainsRune(name, '/') && !strings.HasSuffix(name, ".json") {
		b, err := makes.ReadFile("makes/" + name + ".json")
		if err != nil {
			return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "no mapping is called %q; there are %s, or give a file", name, strings.Join(Makes(), ", "))
		}
		return Parse(b)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.ENOTFOUND, "mqttsource.Load", "mapping %s cannot be read", name)
	}
	m, err := Parse(b)
	return m, coldkeep.Wrap(err, coldkeep.EINVALID, "mqttsource.Load", "mapping %s: %s", name, coldkeep.ErrorMessage(err))
}

// Parse reads a mapping file. What is wrong is EINVALID, with the rule.
func Parse(b []byte) (*Mapping, error) {
	var m Mapping
	if len(b) > maxFile {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "more than %d bytes", maxFile)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // a misspelt word would make another rule
	if err := d.Decode(&m); err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "not a mapping: %v", err)
	}
	switch {
	case m.Make == "" || len(m.Make) > 40:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "make is missing, or too long")
	case len(m.Rules) == 0 || len(m.Rules) > maxRules:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%d rules: want 1 to %d", len(m.Rules), maxRules)
	case m.SilenceS < 60 || m.SilenceS > int(maxSilence/time.Second):
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "silence_s %d: want 60 to %d", m.SilenceS, int(maxSilence/time.Second))
	}
	for i := range m.Rules {
		if err := m.Rules[i].check(); err != nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "rule %d, topic %q: %s", i+1, m.Rules[i].Topic, coldkeep.ErrorMessage(err))
		}
	}
	return &m, nil
}

func (r *Rule) check() error {
	invalid := func(format string, args ...any) error {
		return coldkeep.Errorf(coldkeep.EINVALID, format, args...)
	}
	for _, f := range append([]string{r.Topic}, r.Skip...) {
		if !validFilter(f) {
			return invalid("filter %q: want levels, + for one, # for the rest", f)
		}
	}
	switch {
	case r.Payload != "" && r.Payload != "json" && r.Payload != "number" && r.Payload != "word":
		return invalid("payload %q: want json, number or word", r.Payload)
	case (len(r.Offline) > 0) == (len(r.Values) > 0):
		return invalid("want either offline words or values")
	case r.Payload == "word" && len(r.Values) > 0:
		return invalid("a word has no value")
	}
	if t := r.Time; t != nil && (t.At == "" || !slices.Contains([]string{"unix", "unix-ms", "rfc3339", "auto"}, t.Form)) {
		return invalid("time form %q: want unix, unix-ms, rfc3339 or auto, and a place", t.Form)
	}
	for i := range r.Values {
		if err := r.Values[i].check(); err != nil {
			return invalid("value %d: %s", i+1, coldkeep.ErrorMessage(err))
		}
		if r.Values[i].At == "" && r.Values[i].Binary == nil && r.Payload != "number" {
			return invalid("value %d: where is it?", i+1)
		}
	}
	return nil
}

func (v *Value) check() error {
	if len(v.Probe) == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "no probe")
	}
	for _, n := range v.Probe {
		if _, err := path.Match(n.Unless, ""); err != nil || n.Name == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "probe %q unless %q", n.Name, n.Unless)
		}
	}
	if v.Unit != "" && v.Unit != "C" && v.Unit != "F" {
		return coldkeep.Errorf(coldkeep.EINVALID, "unit %q: want C or F", v.Unit)
	}
	for text, q := range v.Absent {
		if _, err := coldkeep.ParseTemperature(text); err != nil || !q.NoValue() {
			return coldkeep.Errorf(coldkeep.EINVALID, "absent %q: %q: want a number and a quality", text, q)
		}
	}
	for _, f := range v.Faults {
		if f.At == "" || !f.Quality.NoValue() {
			return coldkeep.Errorf(coldkeep.EINVALID, "fault at %q: %q is no quality of a missing value", f.At, f.Quality)
		}
	}
	b := v.Binary
	if b == nil {
		return nil
	}
	if b.At == "" || b.Encoding != "hex" && b.Encoding != "base64" || b.Offset < 0 || b.Offset > 1000 || v.At == "" && b.Scale == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "binary: want a place, hex or base64, an offset, and a scale when the value is read from it")
	}
	if _, err := coldkeep.ParseTemperature(b.Doubt); err != nil && b.Doubt != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "binary: doubt %q is not a number", b.Doubt)
	}
	for _, text := range append([]string{b.After}, b.Absent...) {
		if _, err := hex.DecodeString(text); err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "binary: %q is not hex", text)
		}
	}
	return nil
}

// Topics are the filters to subscribe to.
func (m *Mapping) Topics() []string {
	var out []string
	for i := range m.Rules {
		levels := strings.Split(m.Rules[i].Topic, "/")
		for i, l := range levels {
			if strings.ContainsRune(l, '*') {
				levels[i] = "+"
			}
		}
		if f := strings.Join(levels, "/"); !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// names reports whether a probe's name begins as this make's do.
func (m *Mapping) names(id coldkeep.ProbeID) bool {
	for i := range m.Rules {
		for _, v := range m.Rules[i].Values {
			for _, n := range v.Probe {
				if begin, _, _ := strings.Cut(n.Name, "{"); begin != "" && strings.HasPrefix(string(id), begin) {
					return true
				}
			}
		}
	}
	return false
}

// validFilter reports whether a text is an MQTT filter with patterns.
func validFilter(f string) bool {
	levels := strings.Split(f, "/")
	for i, l := range levels {
		if _, err := path.Match(l, ""); err != nil || l == "#" && i != len(levels)-1 ||
			strings.ContainsAny(l, "+#") && len(l) > 1 {
			return false
		}
	}
	return f != "" && len(f) < 500
}

// matches reports whether a topic is one of a filter's.
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, l := range f {
		switch {
		case l == "#":
			return true
		case i >= len(t):
			return false
		case l == "+":
		case strings.ContainsRune(l, '*'):
			if ok, _ := path.Match(strings.ToLower(l), strings.ToLower(t[i])); !ok { // the pattern was checked
				return false
			}
		case l != t[i]:
			return false
		}
	}
	return len(f) == len(t)
}
