package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Decoder reads batches without making garbage for each reading: names that come
// again and again are kept, and the records' memory is used again. It reads the
// plain form in which agents write; whatever else JSON allows, and whatever is
// wrong, it leaves to DecodeBatch, so that both give the same answers.
//
// The zero Decoder is ready for use. It is not safe for concurrent use.
type Decoder struct {
	names map[string]string
	batch Batch
	seal  Seal

	in []byte
	i  int

	gz    *gzip.Reader // used again, as is the room for what it gives
	src   bytes.Reader
	plain []byte
}

// keptNames bounds the memory that names take: a device that invents probes must
// not fill it.
const keptNames = 100_000

// Decode is DecodeBatch. The Batch it returns is good until the next call.
func (d *Decoder) Decode(payload []byte, latest int64) (*Batch, []BadRecord, error) {
	if len(payload) <= MaxPayload {
		if plain, ok := d.inflate(payload); ok && d.fast(plain, latest) {
			return &d.batch, nil, nil
		}
	}
	return DecodeBatch(payload, latest)
}

// inflate unfolds a gzipped payload. What cannot be, DecodeBatch says.
func (d *Decoder) inflate(payload []byte) ([]byte, bool) {
	if len(payload) < 2 || payload[0] != 0x1f || payload[1] != 0x8b {
		return payload, true
	}
	d.src.Reset(payload)
	var err error
	if d.gz == nil {
		d.gz, err = gzip.NewReader(&d.src)
	} else {
		err = d.gz.Reset(&d.src)
	}
	if err != nil {
		d.gz = nil
		return nil, false
	}
	d.plain = d.plain[:0]
	for len(d.plain) <= maxInflated {
		if cap(d.plain) == len(d.plain) {
			d.plain = slices.Grow(d.plain, max(4096, len(d.plain)))
		}
		n, err := d.gz.Read(d.plain[len(d.plain):cap(d.plain)])
		d.plain = d.plain[:len(d.plain)+n]
		if errors.Is(err, io.EOF) {
			return d.plain, len(d.plain) <= maxInflated
		}
		if err != nil {
			return nil, false
		}
	}
	return nil, false
}

// fast reads a plain batch in which nothing is wrong, and says whether it was one.
func (d *Decoder) fast(in []byte, latest int64) bool {
	d.in, d.i = in, 0
	b := &d.batch
	*b = Batch{Records: b.Records[:0]}
	version, records := int64(0), false
	if !d.object(func(key []byte) bool {
		var ok bool
		switch string(key) {
		case "v":
			version, ok = d.integer()
		case "epoch":
			b.Epoch, ok = d.name()
		case "seq":
			b.Seq, ok = d.integer()
		case "oldest":
			b.Oldest, ok = d.integer()
		case "clock":
			b.Clock, ok = d.name()
		case "cfg":
			b.Config, ok = d.integer()
		case "records":
			ok = !records && d.records(latest)
			records = true
		case "seal":
			ok = d.readSeal()
		}
		return ok
	}) {
		return false
	}
	d.space()
	if d.i != len(d.in) || version != Version || len(b.Records) == 0 || checkBatch(b) != nil {
		return false
	}
	b.Oldest = max(b.Oldest, 1)
	return true
}

func (d *Decoder) records(latest int64) bool {
	if !d.byte('[') {
		return false
	}
	for first := true; ; first = false {
		if d.byte(']') {
			return !first
		}
		if !first && !d.byte(',') {
			return false
		}
		none := coldkeep.NoTemperature
		d.batch.Records = append(d.batch.Records, Record{Celsius: none, Raw: none, Lo: none, Hi: none})
		r := &d.batch.Records[len(d.batch.Records)-1]
		timed := false
		if !d.object(func(key []byte) bool {
			var ok bool
			var s string
			switch string(key) {
			case "p":
				s, ok = d.name()
				r.Probe = coldkeep.ProbeID(s)
			case "t":
				r.At, ok = d.integer()
				timed = true
			case "c":
				r.Celsius, ok = d.temperature()
			case "r":
				r.Raw, ok = d.temperature()
			case "lo":
				r.Lo, ok = d.temperature()
			case "hi":
				r.Hi, ok = d.temperature()
			case "q":
				s, ok = d.name()
				r.Quality = coldkeep.Quality(s)
			case "e":
				r.Event, ok = d.name()
			case "d":
				var raw []byte
				raw, ok = d.text()
				r.Detail = string(raw)
			}
			return ok
		}) {
			return false
		}
		if len(d.batch.Records) > MaxRecords || checkRecord(r, timed, latest) != "" {
			return false
		}
	}
}

func (d *Decoder) readSeal() bool {
	d.seal = Seal{}
	d.batch.Seal = &d.seal
	return d.object(func(key []byte) bool {
		var ok bool
		var raw []byte
		switch string(key) {
		case "seq":
			d.seal.Seq, ok = d.integer()
		case "oldest":
			d.seal.Oldest, ok = d.integer()
		case "h":
			raw, ok = d.text()
			d.seal.Hash = string(raw)
			ok = ok && len(raw) <= 256 && madeOf(d.seal.Hash, inProbe)
		case "key":
			d.seal.Key, ok = d.name()
			ok = ok && len(d.seal.Key) <= 256 && madeOf(d.seal.Key, inProbe)
		case "sig":
			raw, ok = d.text()
			d.seal.Sig = string(raw)
			ok = ok && len(raw) <= 256 && madeOf(d.seal.Sig, inProbe)
		}
		return ok
	})
}

func (d *Decoder) space() {
	for d.i < len(d.in) {
		switch d.in[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

// byte takes c if it is next.
func (d *Decoder) byte(c byte) bool {
	d.space()
	if d.i < len(d.in) && d.in[d.i] == c {
		d.i++
		return true
	}
	return false
}

// object reads an object, calling value at the value of each key.
func (d *Decoder) object(value func(key []byte) bool) bool {
	if !d.byte('{') {
		return false
	}
	for first := true; ; first = false {
		if d.byte('}') {
			return !first
		}
		if !first && !d.byte(',') {
			return false
		}
		key, ok := d.text()
		if !ok || !d.byte(':') || !value(key) {
			return false
		}
	}
}

// text reads a string of printable ASCII without escapes.
func (d *Decoder) text() ([]byte, bool) {
	if !d.byte('"') {
		return nil, false
	}
	start := d.i
	for d.i < len(d.in) {
		c := d.in[d.i]
		switch {
		case c == '"':
			d.i++
			return d.in[start : d.i-1], true
		case c < 0x20 || c >= 0x7f || c == '\\':
			return nil, false
		}
		d.i++
	}
	return nil, false
}

// name reads a string that comes again and again.
func (d *Decoder) name() (string, bool) {
	raw, ok := d.text()
	if !ok {
		return "", false
	}
	if s, known := d.names[string(raw)]; known {
		return s, true
	}
	if d.names == nil || len(d.names) >= keptNames {
		d.names = map[string]string{}
	}
	s := string(raw)
	d.names[s] = s
	return s, true
}

// integer reads a whole number of at most 18 digits.
func (d *Decoder) integer() (int64, bool) {
	d.space()
	start := d.i
	negative := d.i < len(d.in) && d.in[d.i] == '-'
	if negative {
		d.i++
	}
	digits, v := d.i, int64(0)
	for d.i < len(d.in) && d.in[d.i]-'0' <= 9 {
		v = v*10 + int64(d.in[d.i]-'0')
		d.i++
	}
	n := d.i - digits
	if n == 0 || n > 18 || n > 1 && d.in[digits] == '0' || d.i == len(d.in) {
		return 0, false
	}
	if c := d.in[d.i]; c == '.' || c == 'e' || c == 'E' {
		d.i = start
		return 0, false
	}
	if negative {
		v = -v
	}
	return v, true
}

// temperature reads degrees with at most three decimals, or null.
func (d *Decoder) temperature() (coldkeep.Temperature, bool) {
	none := coldkeep.NoTemperature
	d.space()
	if d.i+4 <= len(d.in) && string(d.in[d.i:d.i+4]) == "null" {
		d.i += 4
		return none, true
	}
	negative := d.i < len(d.in) && d.in[d.i] == '-'
	if negative {
		d.i++
	}
	digits, v := d.i, int64(0)
	for d.i < len(d.in) && d.in[d.i]-'0' <= 9 && d.i-digits < 8 {
		v = v*10 + int64(d.in[d.i]-'0')
		d.i++
	}
	n := d.i - digits
	if n == 0 || n > 1 && d.in[digits] == '0' {
		return none, false
	}
	v *= 1000
	if d.i < len(d.in) && d.in[d.i] == '.' {
		d.i++
		scale, from := int64(100), d.i
		for d.i < len(d.in) && d.in[d.i]-'0' <= 9 {
			v += int64(d.in[d.i]-'0') * scale
			scale /= 10
			d.i++
		}
		if n := d.i - from; n == 0 || n > 3 {
			return none, false
		}
	}
	if d.i == len(d.in) || d.in[d.i] == 'e' || d.in[d.i] == 'E' || d.in[d.i]-'0' <= 9 || v > math.MaxInt32 {
		return none, false
	}
	if negative {
		v = -v
	}
	return coldkeep.Temperature(v), true
}
