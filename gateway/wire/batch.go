package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/coldkeep/coldkeep"
)

// BadRecord is a record of a readable batch that cannot be stored as what it
// claims to be. It keeps its place in the epoch.
type BadRecord struct {
	Seq    int64
	Raw    []byte // as it came
	Reason string
}

// AppendBatch appends the JSON of b, uncompressed.
func AppendBatch(out []byte, b *Batch) []byte {
	out = append(out, `{"v":1,"epoch":`...)
	out = appendString(out, b.Epoch)
	out = append(out, `,"seq":`...)
	out = strconv.AppendInt(out, b.Seq, 10)
	out = append(out, `,"oldest":`...)
	out = strconv.AppendInt(out, b.Oldest, 10)
	out = append(out, `,"clock":`...)
	out = appendString(out, b.Clock)
	if b.Config != 0 {
		out = append(out, `,"cfg":`...)
		out = strconv.AppendInt(out, b.Config, 10)
	}
	out = append(out, `,"records":[`...)
	for i := range b.Records {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendRecord(out, &b.Records[i])
	}
	out = append(out, ']')
	if b.Seal != nil {
		seal, _ := json.Marshal(b.Seal) // two integers and three strings always marshal
		out = append(append(out, `,"seal":`...), seal...)
	}
	return append(out, '}')
}

func appendRecord(out []byte, r *Record) []byte {
	out = append(out, '{')
	if r.IsEvent() {
		out = append(out, `"e":`...)
		out = appendString(out, r.Event)
		out = append(out, ',')
	}
	if r.Probe != "" {
		out = append(out, `"p":`...)
		out = appendString(out, string(r.Probe))
		out = append(out, ',')
	}
	out = append(out, `"t":`...)
	out = strconv.AppendInt(out, r.At, 10)
	if !r.IsEvent() {
		out = append(out, `,"c":`...)
		if r.Celsius.Known() {
			out = r.Celsius.AppendText(out)
		} else {
			out = append(out, "null"...)
		}
	}
	for _, f := range [...]struct {
		name string
		v    coldkeep.Temperature
	}{{`,"r":`, r.Raw}, {`,"lo":`, r.Lo}, {`,"hi":`, r.Hi}} {
		if f.v.Known() {
			out = f.v.AppendText(append(out, f.name...))
		}
	}
	if r.Quality != "" {
		out = appendString(append(out, `,"q":`...), string(r.Quality))
	}
	if r.Detail != "" {
		out = appendString(append(out, `,"d":`...), r.Detail)
	}
	return append(out, '}')
}

func appendString(out []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string always marshals
	return append(out, b...)
}

type rawBatch struct {
	V       int               `json:"v"`
	Epoch   string            `json:"epoch"`
	Seq     int64             `json:"seq"`
	Oldest  int64             `json:"oldest"`
	Clock   string            `json:"clock"`
	Config  int64             `json:"cfg"`
	Records []json.RawMessage `json:"records"`
	Seal    *Seal             `json:"seal"`
}

type rawRecord struct {
	P  string               `json:"p"`
	T  *int64               `json:"t"`
	C  coldkeep.Temperature `json:"c"`
	R  coldkeep.Temperature `json:"r"`
	Lo coldkeep.Temperature `json:"lo"`
	Hi coldkeep.Temperature `json:"hi"`
	Q  coldkeep.Quality     `json:"q"`
	E  string               `json:"e"`
	D  string               `json:"d"`
}

// earliest is 2000-01-01: no reading of ours is older, and a device whose clock
// was never set reports 1970.
const earliest = 946_684_800_000

// DecodeBatch reads the payload of readings, gzipped or not. A record whose time
// is after latest (ms) or that is malformed is given as a BadRecord under its own
// seq, and Records holds the zero Record in its place; the rest is good. A payload
// that cannot be read as a batch at all is EINVALID.
func DecodeBatch(payload []byte, latest int64) (*Batch, []BadRecord, error) {
	if len(payload) > MaxPayload {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "payload of %d bytes, at most %d are allowed", len(payload), MaxPayload)
	}
	payload, err := inflate(payload)
	if err != nil {
		return nil, nil, err
	}
	// Most of what is no batch shows it in its first byte. A flood of that need not be
	// taken apart.
	if start := bytes.TrimLeft(payload, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "payload is not a batch: no JSON object")
	}
	var raw rawBatch
	if err := json.Unmarshal(payload, &raw); err != nil {
		return nil, nil, coldkeep.Wrap(err, coldkeep.EINVALID, "wire.DecodeBatch", "payload is not a batch: %v", err)
	}
	if raw.V != Version {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "batch version %d, want %d", raw.V, Version)
	}
	b := &Batch{Epoch: raw.Epoch, Seq: raw.Seq, Oldest: raw.Oldest, Clock: raw.Clock, Config: raw.Config,
		Records: make([]Record, len(raw.Records)), Seal: raw.Seal}
	if b.Seal != nil {
		// What is no base64url or key id cannot be a seal's. It is taken out here, so that
		// the seal is refused for its signature and the records are not.
		for _, field := range []*string{&b.Seal.Hash, &b.Seal.Key, &b.Seal.Sig} {
			if len(*field) > 256 || !madeOf(*field, inProbe) {
				*field = ""
			}
		}
	}
	if err := checkBatch(b); err != nil {
		return nil, nil, err
	}
	b.Oldest = max(b.Oldest, 1)
	var bad []BadRecord
	for i, msg := range raw.Records {
		rec, reason := decodeRecord(msg, latest)
		if reason != "" {
			bad = append(bad, BadRecord{Seq: b.Seq + int64(i), Raw: append([]byte(nil), msg...), Reason: reason})
			continue
		}
		b.Records[i] = rec
	}
	return b, bad, nil
}

// checkBatch is EINVALID for a batch that cannot be one, whatever its records say.
func checkBatch(b *Batch) error {
	switch {
	case !ValidEpoch(b.Epoch):
		return coldkeep.Errorf(coldkeep.EINVALID, "batch epoch %.40q is not a ULID", b.Epoch)
	case b.Seq < 1 || b.Seq > 1<<53:
		return coldkeep.Errorf(coldkeep.EINVALID, "batch seq %d: they start at 1", b.Seq)
	case b.Oldest < 0 || b.Oldest > b.Seq:
		return coldkeep.Errorf(coldkeep.EINVALID, "batch oldest %d is beyond its seq %d", b.Oldest, b.Seq)
	case len(b.Records) == 0 && b.Seal == nil:
		return coldkeep.Errorf(coldkeep.EINVALID, "batch is empty")
	case len(b.Records) > MaxRecords:
		return coldkeep.Errorf(coldkeep.EINVALID, "batch of %d records, at most %d are allowed", len(b.Records), MaxRecords)
	case b.Config < 0:
		return coldkeep.Errorf(coldkeep.EINVALID, "batch cfg %d is negative", b.Config)
	}
	switch b.Clock {
	case ClockNTP, ClockRTC, ClockUnsynced, "":
		return nil
	}
	return coldkeep.Errorf(coldkeep.EINVALID, "batch clock %.20q: want ntp, rtc or unsynced", b.Clock)
}

func decodeRecord(msg []byte, latest int64) (Record, string) {
	none := coldkeep.NoTemperature
	raw := rawRecord{C: none, R: none, Lo: none, Hi: none}
	if err := json.Unmarshal(msg, &raw); err != nil {
		return Record{}, "not a record: " + err.Error()
	}
	r := Record{Probe: coldkeep.ProbeID(raw.P), Celsius: raw.C, Raw: raw.R, Lo: raw.Lo, Hi: raw.Hi, Quality: raw.Q, Event: raw.E, Detail: raw.D}
	if raw.T != nil {
		r.At = *raw.T
	}
	if reason := checkRecord(&r, raw.T != nil, latest); reason != "" {
		return Record{}, reason
	}
	return r, ""
}

// checkRecord gives the reason for which a record is not what it claims to be, ""
// for a good one.
func checkRecord(r *Record, timed bool, latest int64) string {
	switch {
	case !timed:
		return "no time t"
	case r.At < earliest:
		return "time t " + strconv.FormatInt(r.At, 10) + " is before 2000"
	case r.At > latest:
		return "time t " + strconv.FormatInt(r.At, 10) + " is in the future"
	case !(r.IsEvent() && r.Probe == "") && !ValidProbe(string(r.Probe)):
		return "probe name p is not [A-Za-z0-9._:-]{1,64}"
	case r.IsEvent() && !ValidName(r.Event):
		return "event e is not [a-z0-9-]{1,64}"
	case len(r.Detail) > 1024 || strings.ContainsFunc(r.Detail, unicode.IsControl):
		// A control character could forge the canonical bytes' separator.
		return "detail d is longer than 1024 bytes or has control characters"
	case r.IsEvent():
		return ""
	case !r.Quality.Valid():
		return "quality q is not one of the contract's codes"
	case !r.Celsius.Known() && !r.Quality.NoValue():
		return "no value c and no quality q that says why"
	case r.Celsius.Known() && r.Quality.NoValue():
		return "a value c beside quality " + string(r.Quality) + ", which means none"
	}
	return ""
}

// Compress gzips a payload.
func Compress(payload []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(payload) // a bytes.Buffer does not fail
	_ = w.Close()
	return out.Bytes()
}

func inflate(payload []byte) ([]byte, error) {
	if len(payload) < 2 || payload[0] != 0x1f || payload[1] != 0x8b {
		return payload, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "wire.inflate", "payload is not gzip: %v", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "wire.inflate", "gzip payload is broken: %v", err)
	}
	if len(out) > maxInflated {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "gzip payload unfolds to more than %d bytes", maxInflated)
	}
	return out, nil
}
