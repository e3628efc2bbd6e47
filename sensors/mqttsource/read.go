package mqttsource

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Message is one MQTT message.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // the broker had it before we asked
	At       time.Time
}

// Outcome is what a message says.
type Outcome struct {
	Samples []Sample
	// Offline says that Device, or with "" all of the make, is gone.
	Offline bool
	Device  string
	// Why says why a message that a rule is for gives nothing; "" when it is none of
	// ours, or gives something.
	Why string
}

// Sample is a sample of a probe of a device.
type Sample struct {
	sensors.Sample
	Device string
	// Own says that At is the message's own time, by which a second arrival is known.
	Own     bool
	History bool
}

// The bounds of a message.
const (
	maxPayload = 64 << 10
	maxSamples = 500
)

// What a message's own time may be: a device without a clock says 1970, and one whose
// clock is ahead would hide what comes after.
var ownTimeFrom = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

const ahead = 2 * time.Minute

// Read reads a message. It never fails: what cannot be made sense of gives nothing,
// and says why.
func (m *Mapping) Read(msg Message) Outcome {
	var all Outcome
	for i := range m.Rules {
		r := &m.Rules[i]
		if !matches(r.Topic, msg.Topic) || r.skips(msg.Topic) {
			continue
		}
		o := r.read(msg)
		all.Samples = append(all.Samples, o.Samples...)
		if o.Offline {
			all.Offline, all.Device = true, o.Device
		}
		if o.Why != "" {
			all.Why = o.Why
		}
	}
	if len(all.Samples) > 0 || all.Offline {
		all.Why = ""
	}
	return all
}

func (r *Rule) skips(topic string) bool {
	for _, f := range r.Skip {
		if matches(f, topic) {
			return true
		}
	}
	return false
}

// part is what is read of a message: one node of it, found under a key.
type part struct {
	topic []string
	root  any
	node  any
	key   string
}

func (r *Rule) read(msg Message) Outcome {
	if len(msg.Payload) > maxPayload {
		return Outcome{Why: "the message is too long"}
	}
	p := part{topic: strings.Split(msg.Topic, "/")}
	switch r.Payload {
	case "number", "word":
		p.root = strings.TrimSpace(string(msg.Payload))
	default:
		d := json.NewDecoder(bytes.NewReader(msg.Payload))
		d.UseNumber()
		if err := d.Decode(&p.root); err != nil {
			if len(r.Offline) > 0 && r.WordAt != "" { // older versions send the bare word
				p.root = strings.TrimSpace(string(msg.Payload))
				break
			}
			return Outcome{Why: "the message is not JSON, or is cut off"}
		}
		if _, err := d.Token(); err != io.EOF {
			return Outcome{Why: "there is more than one JSON value in the message"}
		}
	}
	p.node = p.root
	for at, want := range r.When {
		if got, ok := text(p.find("/" + at)); !ok || want != "*" && got != want {
			return Outcome{}
		}
	}
	if len(r.Offline) > 0 {
		return r.availability(p)
	}
	var out Outcome
	found := false
	each(p.root, r.Each, "", func(node any, key string) {
		p.node, p.key = node, key
		for i := range r.Values {
			if len(out.Samples) >= maxSamples {
				return
			}
			s, ok, why := r.value(&r.Values[i], p, msg)
			found = found || ok || why != ""
			if ok {
				out.Samples = append(out.Samples, s)
			} else if why != "" {
				out.Why = why
			}
		}
	})
	if !found && len(out.Samples) == 0 {
		out.Why = "there is no temperature in it"
	}
	return out
}

func (r *Rule) availability(p part) Outcome {
	word, ok := p.root.(string)
	if !ok {
		word, _ = text(p.find("/" + r.WordAt))
	}
	for _, w := range r.Offline {
		if strings.EqualFold(w, word) {
			device, ok := p.fill(r.Device)
			return Outcome{Offline: ok, Device: device}
		}
	}
	return Outcome{}
}

// value reads one value of a part. ok false with a reason is a value that is there and
// not taken.
func (r *Rule) value(v *Value, p part, msg Message) (s Sample, ok bool, why string) {
	raw, q, there := v.number(p)
	if !there {
		return s, false, ""
	}
	name, ok := p.name(v.Probe)
	if !ok {
		return s, false, "the probe has no name that stays"
	}
	device, _ := p.fill(r.Device)
	s = Sample{Sample: sensors.Sample{Probe: name, Raw: raw, Quality: q, At: msg.At}, Device: device}
	at, has := r.time(p, msg.At)
	switch {
	case has:
		s.At, s.Own = at, true
		s.History = r.Time.History
	case r.Time != nil && r.Time.History:
		return s, false, "a past value without a time"
	case msg.Retained:
		return s, false, "retained, and without a time: nobody knows how old it is"
	}
	return s, true, ""
}

// time is the own time of a part.
func (r *Rule) time(p part, now time.Time) (at time.Time, ok bool) {
	if r.Time == nil {
		return at, false
	}
	word, ok := text(p.find(r.Time.At))
	if !ok {
		return at, false
	}
	form := r.Time.Form
	seconds, err := strconv.ParseFloat(word, 64)
	if form == "auto" {
		switch {
		case err != nil:
			form = "rfc3339"
		case seconds > 1e11:
			form = "unix-ms"
		default:
			form = "unix"
		}
	}
	switch {
	case form == "rfc3339":
		if at, err = time.Parse(time.RFC3339Nano, word); err != nil {
			return at, false
		}
	case err != nil || math.IsNaN(seconds) || math.Abs(seconds) > 1e14:
		return at, false
	case form == "unix-ms":
		at = time.UnixMilli(int64(seconds))
	default:
		at = time.UnixMilli(int64(seconds * 1000))
	}
	at = at.UTC()
	return at, !at.Before(ownTimeFrom) && !at.After(now.Add(ahead))
}

// number gives the value, or the quality that says why there is none; false when the
// part does not speak of it.
func (v *Value) number(p part) (coldkeep.Temperature, coldkeep.Quality, bool) {
	const none = coldkeep.NoTemperature
	for _, f := range v.Faults {
		if f.in(p) {
			return none, f.Quality, true
		}
	}
	var c float64
	switch {
	case v.At == "" && v.Binary != nil:
		raw, there := v.Binary.find(p)
		if !there {
			return none, "", false
		}
		if v.Binary.absent(raw) {
			return none, coldkeep.QualityMissing, true
		}
		c = float64(int16(raw)) * v.Binary.Scale
	default:
		node, there := p.node, true
		if v.At != "" {
			node, there = p.find(v.At)
		}
		if !there {
			return none, "", false
		}
		word, isText := text(node, true)
		f, err := strconv.ParseFloat(word, 64)
		switch {
		case node == nil:
			return none, coldkeep.QualityMissing, true
		case !isText:
			return none, coldkeep.QualityError, true
		case err != nil || math.IsNaN(f) || math.IsInf(f, 0): // "unavailable", "nan"
			return none, coldkeep.QualityMissing, true
		}
		c = f
		if v.Binary != nil {
			raw, there := v.Binary.find(p)
			doubt, err := coldkeep.ParseTemperature(v.Binary.Doubt)
			if there && v.Binary.absent(raw) || !there && err == nil && coldkeep.FromCelsius(c) == doubt {
				return none, coldkeep.QualityMissing, true
			}
		}
	}
	unit := v.Unit
	if v.UnitAt != "" {
		if u, ok := text(p.find(v.UnitAt)); ok {
			unit = u
		}
	}
	t := coldkeep.FromCelsius(c)
	for word, q := range v.Absent {
		if want, err := coldkeep.ParseTemperature(word); err == nil && want == t {
			return none, q, true
		}
	}
	switch unit {
	case "", "C":
	case "F":
		t = coldkeep.FromCelsius((c - 32) * 5 / 9)
	default:
		return none, coldkeep.QualityError, true // a unit that is not known
	}
	if !t.Known() {
		return none, coldkeep.QualityRange, true
	}
	return t, "", true
}

// in reports whether the sign is in a part.
func (f *Fault) in(p part) (found bool) {
	root, at := p.node, f.At
	if rest, ok := strings.CutPrefix(at, "/"); ok {
		root, at = p.root, rest
	}
	each(root, at, "", func(node any, _ string) {
		word, isText := text(node, true)
		switch n := node.(type) {
		case nil:
		case []any:
			found = found || f.Is == "" && len(n) > 0
		default:
			found = found || isText && (word == f.Is || f.Is == "" && word != "false" && word != "")
		}
	})
	return found
}

// find gives the sixteen bits.
func (b *Binary) find(p part) (uint16, bool) {
	word, ok := text(p.find(b.At))
	if !ok {
		return 0, false
	}
	var raw []byte
	var err error
	if b.Encoding == "hex" {
		raw, err = hex.DecodeString(word)
	} else {
		raw, err = base64.StdEncoding.DecodeString(word)
	}
	if err != nil {
		return 0, false
	}
	at := b.Offset
	if b.After != "" {
		mark, _ := hex.DecodeString(b.After) // checked
		i := bytes.Index(raw, mark)
		if i < 0 {
			return 0, false
		}
		at += i + len(mark)
	}
	if at+2 > len(raw) {
		return 0, false
	}
	return uint16(raw[at])<<8 | uint16(raw[at+1]), true
}

func (b *Binary) absent(raw uint16) bool {
	for _, word := range b.Absent {
		if strings.EqualFold(word, fmt.Sprintf("%04x", raw)) {
			return true
		}
	}
	return false
}

// find follows a path, without *, from the part or, with /, from the message.
func (p *part) find(at string) (any, bool) {
	node := p.node
	if rest, ok := strings.CutPrefix(at, "/"); ok {
		node, at = p.root, rest
	}
	if at == "" {
		return node, true
	}
	for name := range strings.SplitSeq(at, ".") {
		switch n := node.(type) {
		case map[string]any:
			var ok bool
			if node, ok = n[name]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(n) {
				return nil, false
			}
			node = n[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// name is the first of the names that can be filled in, in the characters that a
// probe's name is made of.
func (p *part) name(names []Name) (coldkeep.ProbeID, bool) {
	for _, n := range names {
		if n.Unless != "" && glob(n.Unless, p.key) {
			continue
		}
		if s, ok := p.fill(n.Name); ok {
			return Safe(s), true
		}
	}
	return "", false
}

// fill fills a template in.
func (p *part) fill(template string) (string, bool) {
	var out strings.Builder
	for {
		before, rest, open := strings.Cut(template, "{")
		out.WriteString(before)
		if !open {
			return out.String(), true
		}
		field, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false
		}
		word, ok := p.field(field)
		if !ok || word == "" {
			return "", false
		}
		out.WriteString(word)
		template = after
	}
}

func (p *part) field(f string) (string, bool) {
	if level, ok := strings.CutPrefix(f, "topic."); ok {
		level, rest := strings.CutSuffix(level, "+")
		n, err := strconv.Atoi(level)
		if err != nil || n < 0 || n >= len(p.topic) {
			return "", false
		}
		if rest {
			return strings.Join(p.topic[n:], "/"), true
		}
		return p.topic[n], true
	}
	switch {
	case f == "key":
		return p.key, true
	case strings.HasPrefix(f, "."):
		return text(p.find(f[1:]))
	}
	return text(p.find(f))
}

// Safe makes a probe's name of any text: what has other characters, or is too long,
// gets a few digits by which two such stay apart.
func Safe(s string) coldkeep.ProbeID {
	const most, digits = 64, 6
	safe := []byte(s)
	for i, c := range safe {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._:-", rune(c)) {
			safe[i] = '-'
		}
	}
	if string(safe) == s && len(s) <= most {
		return coldkeep.ProbeID(s)
	}
	sum := sha256.Sum256([]byte(s))
	return coldkeep.ProbeID(string(safe[:min(len(safe), most-digits-1)]) + "-" + hex.EncodeToString(sum[:digits/2]))
}
