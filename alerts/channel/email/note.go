package email

import (
	"context"
	"errors"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/coldkeep/coldkeep/alerts/channel"
)

var _ channel.Notifier = (*Channel)(nil)

// Notify mails a note. See channel.Notifier.
func (c *Channel) Notify(ctx context.Context, n channel.Note) (channel.Outcome, error) {
	msg, err := c.note(n)
	if err != nil {
		return channel.Refused, err
	}
	client, err := c.client(ctx)
	if err != nil {
		return channel.Later, err
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() {
		return channel.Taken, nil
	}
	retryable, told := judge(err)
	var se *mail.SendError
	switch {
	case !retryable:
		return channel.Refused, told
	case errors.As(err, &se) && se.Reason == mail.ErrSMTPDataClose && se.ErrorCode() < 400:
		// All of it was handed over, and what the server said of it was lost.
		return channel.Unsure, errors.New("the SMTP server was given it and its answer was lost")
	}
	return channel.Later, told
}

func (c *Channel) note(n channel.Note) (*mail.Msg, error) {
	msg := mail.NewMsg()
	from := *c.from
	if n.From != "" {
		from.Name = strings.Join(strings.Fields(n.From), " ")
	}
	if err := msg.From(from.String()); err != nil {
		return nil, errors.New("the sender is not an e-mail address")
	}
	to, err := netmail.ParseAddress(n.To)
	if err != nil || strings.ContainsAny(n.To, "\r\n") {
		return nil, errors.New("the target is not an e-mail address")
	}
	if err := msg.To(to.String()); err != nil {
		return nil, errors.New("the target is not an e-mail address")
	}
	if n.ReplyTo != "" {
		if err := msg.ReplyTo(n.ReplyTo); err != nil {
			return nil, errors.New("the address for answers is not an e-mail address")
		}
	}
	msg.SetMessageIDWithValue(n.ID + "@" + c.domain)
	msg.SetDateWithValue(n.At)
	msg.Subject(n.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday replies
	if n.Stop != "" {
		msg.SetGenHeader("List-Unsubscribe", "<"+n.Stop+">")
		msg.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click") // RFC 8058
	}
	msg.SetBodyString(mail.TypeTextPlain, n.Text)
	return msg, nil
}
