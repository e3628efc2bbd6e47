package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

const (
	// queueBytes bounds what one worker holds, both what waits and what it works on: some
	// 25,000 single readings, or five times as many in batches. What is more waits at the
	// broker and on the devices.
	queueBytes = 4 << 20
	// enoughBytes is when a worker waits no longer for more: beyond it a commit hardly
	// gets cheaper.
	enoughBytes = 1 << 20
	// pauseBetween is the least time between the starts of two takes of a worker that is not
	// busy enough: at 1,000 messages a second a commit then carries dozens of them, and
	// none waits for as long as a person could notice.
	pauseBetween = 80 * time.Millisecond
	// itemBytes is what an item weighs beside its payload.
	itemBytes = 64
)

// item is a message that waits; its payload is in the queue's memory.
type item struct {
	*route
	from, to int // of the payload
	size     int // of the payload before it was cut
	retained bool
}

func (i *item) weight() int { return i.to - i.from + itemBytes }

// load is some messages with their payloads.
type load struct {
	items []item
	bytes []byte
}

func (l *load) payload(i *item) []byte { return l.bytes[i.from:i.to] }

func (l *load) clear() {
	clear(l.items)
	l.items, l.bytes = l.items[:0], l.bytes[:0]
}

// queue holds the messages of one worker, of at most queueBytes together.
type queue struct {
	counts *Counts
	ready  chan struct{} // has a token when something waits
	enough chan struct{} // has a token when there is no use in waiting for more

	mu      sync.Mutex
	waiting load
	weight  int           // of what waits
	working int           // of what was taken and not let go yet
	room    chan struct{} // closed when there is room again, then replaced
}

func newQueue(c *Counts) *queue {
	return &queue{counts: c, ready: make(chan struct{}, 1), enough: make(chan struct{}, 1), room: make(chan struct{})}
}

// put copies a message in, and waits until there is room for it.
func (q *queue) put(ctx context.Context, r *route, m Message) error {
	size := max(m.Size, len(m.Payload))
	payload := m.Payload[:min(len(m.Payload), wire.MaxPayload+1)]
	weight := len(payload) + itemBytes
	for {
		q.mu.Lock()
		if q.weight+q.working+weight <= queueBytes {
			from := len(q.waiting.bytes)
			q.waiting.bytes = append(q.waiting.bytes, payload...)
			q.waiting.items = append(q.waiting.items, item{route: r, from: from, to: len(q.waiting.bytes), size: size, retained: m.Retained})
			first, full := q.weight == 0, q.weight < enoughBytes && q.weight+weight >= enoughBytes
			q.weight += weight
			q.mu.Unlock()
			q.counts.QueuedBytes.Add(int64(weight))
			if first {
				signal(q.ready)
			}
			if full {
				signal(q.enough)
			}
			return nil
		}
		room := q.room
		q.mu.Unlock()
		signal(q.enough)
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take waits until something is there and it is time for it, and swaps it for the
// emptied spare. False when ctx ends.
func (q *queue) take(ctx context.Context, last time.Time, pause time.Duration, spare load) (load, bool) {
	select {
	case <-q.ready:
	case <-ctx.Done():
		return load{}, false
	}
	if wait := pause - time.Since(last); wait > 0 {
		q.mu.Lock()
		enough := q.weight >= enoughBytes
		q.mu.Unlock()
		if !enough {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-q.enough:
			case <-ctx.Done():
			}
			timer.Stop()
		}
	}
	spare.clear()
	q.mu.Lock()
	defer q.mu.Unlock()
	got := q.waiting
	q.waiting, q.working, q.weight = spare, q.weight, 0
	select {
	case <-q.enough:
	default:
	}
	return got, ctx.Err() == nil
}

// release lets go of taken items that are dealt with.
func (q *queue) release(items []item) {
	n := 0
	for i := range items {
		n += items[i].weight()
	}
	q.mu.Lock()
	q.working -= n
	close(q.room)
	q.room = make(chan struct{})
	q.mu.Unlock()
	q.counts.QueuedBytes.Add(-int64(n))
}
