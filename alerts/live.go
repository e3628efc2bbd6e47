package alerts

import (
	"context"
	"sync"

	"github.com/coldkeep/coldkeep"
)

// broadcast hands events to all subscribers. A slow one loses none: what it has
// not taken yet is kept, equal events as one, so it never holds more than there
// are appliances.
type broadcast struct {
	mu   sync.Mutex
	subs map[*subscriber]struct{}
}

type subscriber struct {
	pending []coldkeep.LiveEvent // guarded by broadcast.mu
	more    signal
}

// Subscribe returns events of type "alert" from now on. The channel is closed when
// ctx ends.
func (s *Service) Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent {
	b, out := &s.live, make(chan coldkeep.LiveEvent)
	sub := &subscriber{more: newSignal()}
	b.mu.Lock()
	if b.subs == nil {
		b.subs = make(map[*subscriber]struct{})
	}
	b.subs[sub] = struct{}{}
	b.mu.Unlock()
	go func() {
		defer close(out)
		defer func() {
			b.mu.Lock()
			delete(b.subs, sub)
			b.mu.Unlock()
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.more:
			}
			b.mu.Lock()
			events := sub.pending
			sub.pending = nil
			b.mu.Unlock()
			for _, e := range events {
				select {
				case <-ctx.Done():
					return
				case out <- e:
				}
			}
		}
	}()
	return out
}

func (b *broadcast) publish(e coldkeep.LiveEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for sub := range b.subs {
		for _, p := range sub.pending {
			if p == e {
				continue next
			}
		}
		sub.pending = append(sub.pending, e)
		sub.more.wake()
	}
}
