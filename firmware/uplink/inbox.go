package uplink

import (
	"sync"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// maxInbox bounds what waits to be read. Acks are cumulative and commands may be
// lost, so the oldest go when it is full.
const maxInbox = 64

// inbox takes messages from paho's router, which must never wait: a handler that
// blocks stops the pings (paho.mqtt.golang #474).
type inbox struct {
	signal chan struct{}

	mu       sync.Mutex
	messages []message
}

type message struct {
	topic   string
	payload []byte
}

func newInbox() *inbox { return &inbox{signal: make(chan struct{}, 1)} }

func (in *inbox) receive(_ mqtt.Client, m mqtt.Message) {
	in.mu.Lock()
	if len(in.messages) >= maxInbox {
		in.messages = in.messages[1:]
	}
	in.messages = append(in.messages, message{m.Topic(), m.Payload()})
	in.mu.Unlock()
	in.wake()
}

func (in *inbox) take() []message {
	in.mu.Lock()
	defer in.mu.Unlock()
	m := in.messages
	in.messages = nil
	return m
}

func (in *inbox) wake() {
	select {
	case in.signal <- struct{}{}:
	default: // awake already
	}
}
