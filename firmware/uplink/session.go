package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const (
	// gzipFrom is the size from which a payload is compressed; below it gzip's own
	// frame eats what it saves.
	gzipFrom = 1 << 10
	// batchBytes leaves room in a payload for the batch's own fields.
	batchBytes = wire.MaxPayload - 4<<10
	// maxResends bounds the ranges that wait to be sent again on command.
	maxResends = 16
)

// session is one connection. Its fields belong to the goroutine of run, but for
// inbox and lost.
type session struct {
	*Uplink
	client  mqtt.Client
	box     *outbox.Box
	inbox   *inbox
	lost    chan struct{} // closed when the connection is lost
	lostErr error         // set before lost is closed

	lanes     lanes
	epoch     string // that next and flying belong to
	next      int64  // seq to publish next
	flying    []flight
	window    int  // batches that may fly; one while the collector is silent
	delivered bool // an ack has moved the outbox on
	resends   []span
	resending mqtt.Token // of the resent batch under way
}

// flight is a batch on its way.
type flight struct {
	last  int64 // its highest seq
	n     int64 // how many records
	at    time.Time
	token mqtt.Token
}

// span is a range of seqs, both ends included.
type span struct{ from, to int64 }

// await waits for a token, for at most d.
func (s *session) await(ctx context.Context, t mqtt.Token, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.lost: // a token of a cut connection may never finish
		if s.lostErr != nil {
			return s.lostErr
		}
		return errLost
	case <-timer.C: // Error() of a token that is not done is nil
		return errors.New("the broker does not answer")
	}
}

// run subscribes, gives birth, and then delivers until the connection or ctx ends.
func (s *session) run(ctx context.Context) error {
	// The retained ack and config may come at once, so the subscriptions are first.
	t := s.client.SubscribeMultiple(map[string]byte{
		s.topic(wire.LeafAck): 1, s.topic(wire.LeafConfig): 1, s.topic(wire.LeafCommand): 1}, nil)
	if err := s.await(ctx, t, connectTimeout); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	if sub, ok := t.(*mqtt.SubscribeToken); ok {
		for topic, code := range sub.Result() {
			if code >= 0x80 {
				return fmt.Errorf("the broker does not let this user subscribe to %s", topic)
			}
		}
	}
	s.birth()
	s.cfg.Log.Info("connected to the broker", "broker", s.broker, "user", s.cfg.Username)
	for {
		changed := s.box.Changed()
		if err := s.read(ctx); err != nil {
			return err
		}
		wait, err := s.write(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-s.inbox.signal:
		case <-s.announce:
			s.birth()
		case <-timer.C:
		case <-s.lost:
			if s.lostErr != nil {
				return s.lostErr
			}
			return errLost
		case <-ctx.Done():
			timer.Stop()
			s.leave()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// birth publishes the status. The token is not waited for: a lost birth comes with
// a lost connection, and the next one gives it again.
func (s *session) birth() {
	st := s.cfg.Status()
	st.V, st.Online, st.Epoch = wire.Version, true, s.box.State().Epoch
	if pub := s.box.PublicKey(); pub != nil {
		st.Key, st.Pub = wire.KeyID(pub), wire.EncodeKey(pub)
	}
	payload, err := json.Marshal(st)
	if err != nil {
		s.cfg.Log.Error("status cannot be written as JSON", "err", err)
		return
	}
	s.client.Publish(s.topic(wire.LeafStatus), 1, true, payload)
}

// leave says good-bye, where a lost connection would have the broker publish the
// will.
func (s *session) leave() {
	t := s.client.Publish(s.topic(wire.LeafStatus), 1, true, offline())
	t.WaitTimeout(time.Second) // as far as it goes: the will says the same
	s.client.Disconnect(100)
}

// offline is the status of an agent that is gone.
func offline() []byte {
	b, _ := json.Marshal(wire.Status{V: wire.Version}) // always marshals
	return b
}

// read deals with what has come in.
func (s *session) read(ctx context.Context) error {
	for _, m := range s.inbox.take() {
		switch m.topic {
		case s.topic(wire.LeafAck):
			var a wire.Ack
			if s.decoded(m, &a) {
				if err := s.ack(ctx, a); err != nil {
					return err
				}
			}
		case s.topic(wire.LeafConfig):
			var c wire.Config
			// An empty retained message is a deleted one.
			if len(m.payload) > 0 && s.decoded(m, &c) {
				s.cfg.OnConfig(c)
			}
		case s.topic(wire.LeafCommand):
			var c wire.Command
			if s.decoded(m, &c) {
				s.command(c)
			}
		}
	}
	return nil
}

func (s *session) decoded(m message, into any) bool {
	err := wire.Decode(m.payload, into)
	if err != nil {
		s.cfg.Log.Warn("message from the collector is not readable", "topic", m.topic, "err", err)
	}
	return err == nil
}

func (s *session) ack(ctx context.Context, a wire.Ack) error {
	before := s.box.State()
	if a.Epoch != before.Epoch {
		s.cfg.Log.Debug("ack of another epoch", "epoch", a.Epoch)
		return nil
	}
	err := s.box.Ack(ctx, a.Epoch, a.Seq)
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		s.cfg.Log.Error("the collector knows records that the outbox does not", "err", err)
		if err := s.box.Renumber(ctx); err != nil {
			return err
		}
		s.birth() // with the new epoch
		return nil
	}
	if err != nil {
		return err
	}
	if s.box.State().Acked > before.Acked {
		s.delivered = true
		s.window = s.cfg.Window
	}
	return nil
}

func (s *session) command(c wire.Command) {
	if c.Cmd != wire.CommandResend {
		s.cfg.OnCommand(c)
		return
	}
	st := s.box.State()
	switch {
	case c.Epoch != st.Epoch:
		s.cfg.Log.Warn("resend of another epoch is not possible", "epoch", c.Epoch)
	case s.lanes.fresh != 0 && c.From > st.Acked:
		s.cfg.Log.Debug("resend of what the back-fill will bring", "from", c.From, "to", c.To)
	case c.From > c.To || c.To < 1 || c.From > st.Last:
		s.cfg.Log.Warn("resend of records that there are not", "from", c.From, "to", c.To, "last", st.Last)
	case len(s.resends) >= maxResends:
		s.cfg.Log.Warn("too many resends wait; this one is dropped, the collector will ask again", "from", c.From, "to", c.To)
	default:
		s.resends = append(s.resends, span{max(c.From, 1), min(c.To, st.Last)})
	}
}

// write publishes what the window allows, and returns how long there is nothing
// to do unless something happens.
func (s *session) write(ctx context.Context) (time.Duration, error) {
	st := s.box.State()
	if s.epoch != st.Epoch {
		s.epoch, s.next, s.flying, s.resends, s.lanes = st.Epoch, 0, nil, nil, lanes{}
	}
	s.next = max(s.next, st.Acked+1, st.Oldest)
	s.flying = slices.DeleteFunc(s.flying, func(f flight) bool { return f.last <= st.Acked })
	if err := s.overdue(&st); err != nil {
		return 0, err
	}
	until, err := s.newest(ctx, &st)
	if err != nil {
		return 0, err
	}
	wait := time.Hour // unless something is due; any wake-up comes by a channel
	for s.mayFly() {
		select {
		case <-s.lost:
			return 0, nil // whoever called sees it too
		default:
		}
		if wait = s.lanes.rest(time.Now(), s.cfg.Backfill); wait > 0 {
			break
		}
		wait = time.Hour
		last, token, err := s.publish(ctx, span{s.next, until})
		if err != nil {
			return 0, err
		}
		if token == nil {
			break
		}
		s.lanes.spend(last - s.next + 1)
		s.flying = append(s.flying, flight{last, last - s.next + 1, time.Now(), token})
		s.next = last + 1
	}
	s.merge()
	if err := s.resend(ctx); err != nil {
		return 0, err
	}
	if len(s.flying) > 0 {
		wait = min(wait, time.Until(s.flying[0].at.Add(s.cfg.ResendAfter)))
	}
	return max(wait, 0), nil
}

// smallBatches is how many times the window's batches may fly when they are short:
// seals cut a backlog into batches of a quarter of an hour.
const smallBatches = 4

// mayFly reports whether another batch may be published before an ack comes.
func (s *session) mayFly() bool {
	if s.window == 1 || len(s.flying) < s.window {
		return len(s.flying) < s.window
	}
	var n int64
	for _, f := range s.flying {
		n += f.n
	}
	return len(s.flying) < smallBatches*s.window && n < int64(s.window)*wire.MaxRecords
}

// overdue goes back to the last ack when the oldest batch in flight has not been
// acknowledged in time. A broker that has not even taken it is given up: paho keeps
// such messages in memory for the life of its client, and a new one has none.
// While the collector stays silent a single batch is tried at a time.
func (s *session) overdue(st *outbox.State) error {
	if len(s.flying) == 0 || time.Since(s.flying[0].at) < s.cfg.ResendAfter {
		return nil
	}
	for _, f := range s.flying {
		select {
		case <-f.token.Done():
		default:
			return errors.New("the broker does not take what is published")
		}
	}
	s.cfg.Log.Warn("the collector has not acknowledged; sending again", "from", st.Acked+1, "to", s.next-1, "after", s.cfg.ResendAfter)
	s.next, s.flying, s.window = max(st.Acked+1, st.Oldest), nil, 1
	return nil
}

// resend publishes the ranges that the collector asked for, delivered or not, one
// batch at a time.
func (s *session) resend(ctx context.Context) error {
	for len(s.resends) > 0 {
		if s.resending != nil {
			select {
			case <-s.resending.Done():
			default:
				return nil
			}
		}
		r := &s.resends[0]
		// Below the oldest there is nothing; a batch from there on says so, for it
		// carries the oldest.
		r.from = max(r.from, s.box.State().Oldest)
		last, token, err := s.publish(ctx, span{r.from, max(r.to, r.from)})
		if err != nil {
			return err
		}
		if r.from = last + 1; token == nil || r.from > r.to {
			s.resends = s.resends[1:]
		}
		if token != nil {
			s.resending = token
			go func() {
				select {
				case <-token.Done():
				case <-s.lost:
				}
				s.inbox.wake()
			}()
		}
	}
	return nil
}

// publish sends one batch from the beginning of a range, and returns its highest
// seq; no token when the range holds nothing.
func (s *session) publish(ctx context.Context, r span) (int64, mqtt.Token, error) {
	if r.from > r.to {
		return r.to, nil, nil
	}
	limit := int(min(r.to-r.from+1, wire.MaxRecords))
	records, err := s.box.ReadFrom(ctx, r.from, limit, batchBytes)
	if err != nil || len(records) == 0 {
		return r.to, nil, err
	}
	st := s.box.State()
	if st.Epoch != s.epoch {
		return r.to, nil, nil // renumbered meanwhile; the next round begins anew
	}
	first := &records[0]
	last := records[len(records)-1].Seq
	// A batch ends at a sealed record: whoever has stored that has its seal.
	seal, err := s.box.Seal(ctx, last)
	if err != nil {
		return r.to, nil, err
	}
	b := wire.Batch{Epoch: st.Epoch, Seq: first.Seq, Oldest: min(st.Oldest, first.Seq), Clock: first.Clock, Config: first.Config,
		Records: make([]wire.Record, len(records)), Seal: seal}
	for i := range records {
		b.Records[i] = records[i].Record
	}
	payload := wire.AppendBatch(nil, &b)
	if len(payload) > gzipFrom {
		payload = wire.Compress(payload)
	}
	token := s.client.Publish(s.topic(wire.LeafReadings), 1, false, payload)
	return last, token, nil
}
