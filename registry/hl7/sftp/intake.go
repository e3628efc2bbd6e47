package sftp

import (
	"context"
	"io"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// Sent is a file as it came by SFTP.
type Sent struct {
	File
	Account   string
	Exchanged string // exchange.File.ID: the same for the very same file
	Answers   exchange.Answers
	Removed   bool // the sender has removed its answer
}

// Store keeps which files came under which names.
type Store interface {
	InsertSent(ctx context.Context, f Sent) error
	Sent(ctx context.Context, account string, since time.Time) ([]Sent, error) // the earliest first
	RemoveSent(ctx context.Context, account, id string, at time.Time) error    // ENOTFOUND when there is none, or no more
	ForgetSent(ctx context.Context, before time.Time) error
}

// Queue takes files and gives their answers: exchange.Service.
type Queue interface {
	SubmitFile(ctx context.Context, by auth.Principal, in exchange.FileSubmission, r io.Reader) (exchange.File, error)
	WriteAnswers(ctx context.Context, by auth.Principal, id string, w io.Writer) error
}

// Intake is the exchange as a Server asks for it.
type Intake struct {
	queue Queue
	store Store
}

// NewIntake returns it.
func NewIntake(queue Queue, store Store) *Intake { return &Intake{queue, store} }

// Take implements Exchange. A process that dies between the two steps has not told the client
// that it has worked; the file that then comes again is the one that there is.
func (i *Intake) Take(ctx context.Context, by auth.Principal, name string, file io.Reader) error {
	var n counter
	f, err := i.queue.SubmitFile(ctx, by, exchange.FileSubmission{Door: exchange.SFTP, Name: name}, io.TeeReader(file, &n))
	if err != nil {
		return err
	}
	return i.store.InsertSent(ctx, Sent{File: File{ID: ulid.Make().String(), Name: name, Size: int64(n), At: time.Now()}, Account: by.ID, Exchanged: f.ID})
}

// Files implements Exchange.
func (i *Intake) Files(ctx context.Context, by auth.Principal, since time.Time) ([]File, error) {
	all, err := i.store.Sent(ctx, by.ID, since)
	out := make([]File, 0, len(all))
	for _, s := range all {
		s.NoAnswer = s.Removed || s.Answers == exchange.Never
		out = append(out, s.File)
	}
	return out, err
}

// Answer implements Exchange.
func (i *Intake) Answer(ctx context.Context, by auth.Principal, id string, to io.Writer) error {
	all, err := i.store.Sent(ctx, by.ID, time.Now().Add(-KeepAnswers))
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.ID == id {
			return i.queue.WriteAnswers(ctx, by, s.Exchanged, to)
		}
	}
	return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such answer.")
}

// Remove implements Exchange.
func (i *Intake) Remove(ctx context.Context, by auth.Principal, id string) error {
	return i.store.RemoveSent(ctx, by.ID, id, time.Now())
}

// Forget implements Exchange.
func (i *Intake) Forget(ctx context.Context) error {
	return i.store.ForgetSent(ctx, time.Now().Add(-KeepAnswers))
}
