package fleet

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// device is one device and its outbox. Its group's mutex guards it.
type device struct {
	cfg    *Config
	number int
	name   coldkeep.AgentID
	epoch  string
	topic  string // of its readings
	head   []byte // of every payload, up to the seq

	produced int64
	times    []int64 // of the records, when they are stamped as they are produced

	// The chain: its link at the last record, and the seals by their records.
	link   wire.Hash
	key    ed25519.PrivateKey
	pub    string
	keyID  string
	seals  map[int64]*wire.Seal
	sealed struct{ seq, at int64 }

	acked, next int64 // next is the seq to be sent next
	highest     int64 // ever sent
	flying      []flight
	window      int
	again       []span // asked for by the collector
}

// flight is a message that waits for its ack.
type flight struct {
	last  int64
	at    time.Time
	fresh bool // sent for the first time
}

type span struct{ from, to int64 }

func newDevice(cfg *Config, number int) *device {
	d := &device{cfg: cfg, number: number, name: cfg.Name(number), epoch: Epoch(number), next: 1, window: cfg.Window}
	d.topic = wire.Topic(cfg.Site, d.name, wire.LeafReadings)
	d.head = []byte(`{"v":1,"epoch":"` + d.epoch + `","clock":"ntp","cfg":1,"oldest":1,"seq":`)
	if cfg.Seal {
		d.key = key(number)
		pub := d.key.Public().(ed25519.PublicKey)
		d.pub, d.keyID = wire.EncodeKey(pub), wire.KeyID(pub)
		d.link = wire.FirstHash(cfg.Site, d.name, d.epoch)
		d.seals = map[int64]*wire.Seal{}
	}
	return d
}

// record is the device's book.
func (d *device) record(seq int64) wire.Record {
	at := int64(0)
	if d.cfg.Spacing > 0 {
		at = d.cfg.Start.UnixMilli() + (seq-1)*d.cfg.Spacing.Milliseconds()
	} else {
		at = d.times[seq-1]
	}
	return d.cfg.Record(d.number, seq, at)
}

// produce adds n records, and seals the chain where the contract wants it.
func (d *device) produce(n int) {
	var buf []byte
	for range n {
		d.produced++
		if d.cfg.Spacing == 0 {
			at := time.Now().UnixMilli()
			if k := len(d.times); k > 0 {
				at = max(at, d.times[k-1]+1) // no two of one moment, so that the rule of the seals is simple
			}
			d.times = append(d.times, at)
		}
		if d.key == nil {
			continue
		}
		r := d.record(d.produced)
		buf = wire.AppendCanonical(buf[:0], d.produced, &r, wire.ClockNTP, 1)
		d.link = d.link.Next(buf)
		if d.due(&r) {
			d.seals[d.produced] = wire.NewSeal(d.key, d.cfg.Site, d.name, d.epoch, d.produced, 1, d.link)
			d.sealed.seq, d.sealed.at = d.produced, r.At
		}
	}
}

// due is the contract's rule: a seal after a thousand records, or once a quarter of
// an hour lies between a record and the sealed one.
func (d *device) due(r *wire.Record) bool {
	return d.sealed.seq == 0 || d.produced-d.sealed.seq >= wire.SealRecords || r.At-d.sealed.at >= wire.SealEvery.Milliseconds()
}

// message is what next has found to be sent.
type message struct {
	payload  []byte
	from, to int64
	fresh    bool
}

// take gives the next message to send, if there is one now, and when to ask again
// when nothing happens before.
func (d *device) take(now time.Time, buf []byte) (m message, ok bool, wake time.Time) {
	if len(d.again) > 0 {
		s := &d.again[0]
		to := d.end(s.from, s.to)
		m = message{payload: d.encode(buf, s.from, to), from: s.from, to: to}
		if s.from = to + 1; s.from > s.to {
			d.again = d.again[1:]
		}
		return m, true, now
	}
	if len(d.flying) > 0 {
		due := d.flying[0].at.Add(d.cfg.ResendAfter)
		if now.After(due) {
			// Nobody has answered for too long: from the last ack on, one message at a time.
			d.next, d.flying, d.window = d.acked+1, d.flying[:0], 1
		} else {
			wake = due
		}
	}
	if d.next > d.produced || len(d.flying) >= d.window {
		return m, false, wake
	}
	to := d.end(d.next, d.produced)
	m = message{payload: d.encode(buf, d.next, to), from: d.next, to: to, fresh: d.next > d.highest}
	if d.cfg.Forget {
		d.acked = to
	} else {
		d.flying = append(d.flying, flight{to, now, m.fresh})
	}
	d.highest, d.next = max(d.highest, to), to+1
	return m, true, now
}

// end is the last record of a message that begins with from: at most a batch, and
// not past a sealed record.
func (d *device) end(from, to int64) int64 {
	to = min(to, from+int64(d.cfg.Batch)-1)
	for seq := from; seq < to && d.key != nil; seq++ {
		if d.seals[seq] != nil {
			return seq
		}
	}
	return to
}

// forgetFlights is what a lost connection does.
func (d *device) forgetFlights() {
	d.flying, d.again, d.next, d.window = d.flying[:0], nil, d.acked+1, d.cfg.Window
}

// ack moves the outbox on.
func (d *device) ack(seq int64, now time.Time, waited func(int, time.Duration)) (moved int64) {
	if seq <= d.acked {
		return 0
	}
	moved = seq - d.acked
	d.acked, d.window = seq, d.cfg.Window
	d.next = max(d.next, seq+1)
	n := 0
	for n < len(d.flying) && d.flying[n].last <= seq {
		if waited != nil && d.flying[n].fresh {
			waited(d.number, now.Sub(d.flying[n].at))
		}
		n++
	}
	d.flying = append(d.flying[:0], d.flying[n:]...)
	return moved
}

// encode writes records as a batch. It is wire.AppendBatch without looking for
// characters to escape, of which there are none here.
func (d *device) encode(out []byte, from, to int64) []byte {
	out = append(out[:0], d.head...)
	out = strconv.AppendInt(out, from, 10)
	out = append(out, `,"records":[`...)
	for seq := from; seq <= to; seq++ {
		r := d.record(seq)
		if seq > from {
			out = append(out, ',')
		}
		out = appendRecord(out, &r)
	}
	out = append(out, ']')
	if s := d.seals[to]; s != nil {
		b, _ := json.Marshal(s) // two integers and three strings always marshal
		out = append(append(out, `,"seal":`...), b...)
	}
	out = append(out, '}')
	if d.cfg.GzipFrom > 0 && len(out) > d.cfg.GzipFrom {
		z := zips.Get().(*zip)
		z.out.Reset()
		z.w.Reset(&z.out)
		_, _ = z.w.Write(out) // a bytes.Buffer does not fail
		_ = z.w.Close()
		out = append(out[:0], z.out.Bytes()...)
		zips.Put(z)
	}
	return out
}

// zip is a compressor and what it writes to; making one costs far more than using it.
type zip struct {
	out bytes.Buffer
	w   *gzip.Writer
}

var zips = sync.Pool{New: func() any { return &zip{w: gzip.NewWriter(nil)} }}

func appendRecord(out []byte, r *wire.Record) []byte {
	out = append(out, '{')
	if r.IsEvent() {
		out = append(append(append(out, `"e":"`...), r.Event...), `",`...)
	}
	if r.Probe != "" {
		out = append(append(append(out, `"p":"`...), r.Probe...), `",`...)
	}
	out = strconv.AppendInt(append(out, `"t":`...), r.At, 10)
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
		t    coldkeep.Temperature
	}{{`,"r":`, r.Raw}, {`,"lo":`, r.Lo}, {`,"hi":`, r.Hi}} {
		if f.t.Known() {
			out = f.t.AppendText(append(out, f.name...))
		}
	}
	if r.Quality != "" {
		out = append(append(append(out, `,"q":"`...), r.Quality...), '"')
	}
	if r.Detail != "" {
		out = append(append(append(out, `,"d":"`...), r.Detail...), '"')
	}
	return append(out, '}')
}
