// Package channel says what a means of reaching people carries besides alerts: plain notes
// to one address, such as a clinic's request to call it. The channels are the folders
// below.
package channel

import (
	"context"
	"time"
)

// Note is a text to one address. It is not about an alert.
type Note struct {
	ID      string    // the same on every attempt
	To      string    // an e-mail address, or a telephone number as "+" and its digits
	From    string    // the name that it comes from, such as the clinic's; "" is the channel's own
	ReplyTo string    // an e-mail address; "" is the sender's
	Subject string    // of an e-mail
	Text    string    // plain
	At      time.Time // when it was decided to be sent
	Stop    string    // address of the page on which who gets it ends this; "" for none
}

// Outcome is what became of an attempt to send a note.
type Outcome string

// The outcomes. Unsure is for a connection that broke after all of the note had been
// handed over and before the other side had said that it takes it: it may arrive, so it is
// not tried again without a person's word.
const (
	Taken   Outcome = "taken"
	Refused Outcome = "refused" // for good: a bad address, or the other side does not want it
	Later   Outcome = "later"   // not taken; the same note may get through later
	Unsure  Outcome = "unsure"
)

// Notifier carries notes. A note that is not taken comes with an error, which holds neither
// the address nor a secret. It may be called from many goroutines and returns soon after
// ctx ends.
type Notifier interface {
	Name() string
	Notify(ctx context.Context, n Note) (Outcome, error)
}

// The names of the notifiers.
const (
	Email = "email"
	SMS   = "sms"
)
