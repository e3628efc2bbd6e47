package recall

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

const (
	// sendTimeout bounds one attempt. A claim older than claimLife is of a process that has
	// died: nobody is sending it any more.
	sendTimeout = 30 * time.Second
	claimLife   = 10 * time.Minute
	// After an attempt that was not taken, the next waits: 2 min, 4 min … at most 6 h, and
	// after mostAttempts, some two days, it is given up.
	firstRetry   = 2 * time.Minute
	longestRetry = 6 * time.Hour
	mostAttempts = 16
)

// secret is what a link to unsubscribe carries: 130 bits.
func secret() string { return rand.Text() }

// Send sends at most one message for each site whose time it is. more says that there may be
// others now.
//
// A message is claimed, in a transaction of its own, before it is handed over, so that no
// two processes send it. What became of it is written down after. A process that dies
// between the two leaves a claim that nobody ends: such a message is unsure, as is one of which
// the connection broke after all of it had been handed over. It may have arrived, so that it
// is not sent again but by a person's word: nobody gets two, and a few may get none until
// somebody looks.
func (s *Service) Send(ctx context.Context) (more bool, err error) {
	now := s.clock.Now()
	stale, err := s.store.Stale(ctx, now.Add(-claimLife))
	if err != nil {
		return false, err
	}
	for _, n := range stale {
		n.State, n.Why = Unsure, "The program ended while it was being sent."
		if err := s.move(ctx, n, Sending); err != nil {
			return false, err
		}
	}
	sites, err := s.store.PendingSites(ctx, now)
	if err != nil {
		return false, err
	}
	for _, site := range sites {
		did, err := s.sendOne(ctx, site)
		if err != nil {
			return more, err
		}
		more = more || did
	}
	return more, nil
}

// move changes a notice's state; that another has done it is no error.
func (s *Service) move(ctx context.Context, n Notice, from NoticeState) error {
	err := s.store.Tx(ctx, func(tx Tx) error { return tx.MoveNotice(ctx, n, from) })
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return nil
	}
	return err
}

// open reports whether a message of a site's may go out now.
func (s *Service) open(ctx context.Context, r Reader, set *Settings, now time.Time) (bool, error) {
	zone, err := zoneOf(ctx, r, set.Site)
	if err != nil {
		return false, err
	}
	if _, quiet := set.quiet(now.In(zone)); quiet {
		return false, nil
	}
	n, err := r.ClaimedSince(ctx, set.Site, now.Add(-time.Hour))
	return n < set.PerHour, err
}

// sendOne sends the message of a site's that has waited longest.
func (s *Service) sendOne(ctx context.Context, site coldkeep.SiteID) (bool, error) {
	var n Notice
	var note channel.Note
	err := s.store.Tx(ctx, func(tx Tx) error {
		n, note = Notice{}, channel.Note{}
		now := s.clock.Now()
		set, err := settings(ctx, tx, site)
		if err != nil {
			return err
		}
		if ok, err := s.open(ctx, tx, &set, now); err != nil || !ok {
			return err
		}
		next, err := tx.NextPending(ctx, site, now)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			return nil
		}
		if err != nil {
			return err
		}
		why, err := s.against(ctx, tx, &next)
		if err != nil {
			return err
		}
		if why != "" {
			next.State, next.Why = Withdrawn, why
			if err := tx.MoveNotice(ctx, next, Pending); err != nil {
				return err
			}
			return s.untold(ctx, tx, next)
		}
		if note, err = s.note(ctx, tx, &set, &next); err != nil {
			return err
		}
		next.State, next.Claimed = Sending, &now
		next.Attempts++
		n = next
		return tx.MoveNotice(ctx, n, Pending)
	})
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return true, nil // another process was faster
	}
	if err != nil || n.ID == "" {
		return false, err
	}
	by, ok := s.notifiers[n.Channel]
	if !ok { // set up no more
		n.State, n.Due = Pending, s.clock.Now().Add(longestRetry)
		return false, s.move(ctx, n, Sending)
	}
	attempt, cancel := context.WithTimeout(ctx, sendTimeout)
	outcome, failure := by.Notify(attempt, note)
	cancel()
	return true, s.told(context.WithoutCancel(ctx), n, outcome, failure)
}

// told writes down what became of an attempt.
func (s *Service) told(ctx context.Context, n Notice, outcome channel.Outcome, failure error) error {
	now := s.clock.Now()
	n.Why = ""
	if failure != nil {
		n.Why = failure.Error() // which names neither address nor secret, see channel.Notifier
	}
	switch outcome {
	case channel.Taken:
		n.State, n.SentAt = Sent, &now
	case channel.Refused:
		n.State = Refused
	case channel.Unsure:
		n.State = Unsure
	default:
		n.State = Pending
		wait := firstRetry << min(n.Attempts-1, 10)
		n.Due = now.Add(min(wait, longestRetry))
		if n.Attempts >= mostAttempts {
			n.State = Refused
		}
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.MoveNotice(ctx, n, Sending); err != nil {
			return err
		}
		if n.State != Refused {
			return nil
		}
		return s.failed(ctx, tx, n, auth.System("Notices"))
	})
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return nil // it took longer than a claim lives, and is unsure
	}
	return err
}

// failed writes down that a notice has not reached those it is about: the address does
// not serve any more, and they count as told only when something else told them.
func (s *Service) failed(ctx context.Context, tx Tx, n Notice, by auth.Principal) error {
	for _, id := range n.Patients {
		if err := tx.InsertAttempt(ctx, Attempt{ID: ulid.Make().String(), Patient: id, Site: n.Site, Run: n.Run, Channel: n.Channel, Result: Returned, Address: hashOf(n.Target),
			Note: "refused by the other side", By: by.Name, At: s.clock.Now()}); err != nil {
			return err
		}
	}
	return s.untold(ctx, tx, n)
}

// untold takes back that people were told by a notice that told them nothing, unless another
// one did.
func (s *Service) untold(ctx context.Context, tx Tx, n Notice) error {
	for _, id := range n.Patients {
		told, err := tx.ToldIn(ctx, n.Run, []string{id})
		if err != nil {
			return err
		}
		if slices.Equal(told[id], []Channel{n.Channel}) {
			if err := tx.SetNoticed(ctx, n.Run, id, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// against gives the reason why a message that waits must not go out any more.
func (s *Service) against(ctx context.Context, tx Tx, n *Notice) (string, error) {
	r, err := tx.RecallRun(ctx, n.Run)
	if err != nil {
		return "", err
	}
	members, err := tx.Members(ctx, r.Site, n.Patients)
	if err != nil {
		return "", err
	}
	first := "It is about nobody any more."
	for i := range members {
		why, err := s.againstOne(ctx, tx, &r, n, &members[i])
		if err != nil || why == "" {
			return "", err // the message names nobody: it holds for who is left
		}
		if i == 0 {
			first = why
		}
	}
	return first, nil
}

func (s *Service) againstOne(ctx context.Context, tx Tx, r *Run, n *Notice, m *Member) (string, error) {
	c := candidate{standing: m.Standing, deceased: m.Deceased, locked: m.Locked && (m.LockSite != r.Site || r.Site == "")}
	if r.Cold != "" {
		c.standing = patient.Active
	}
	if why := who(&c); why != Told {
		return why.Title(), nil
	}
	w := wishOf(m.Publicity)
	if r.Cold == "" && !w.reminder && !w.recall {
		return WantsNone.Title(), nil
	}
	if n.Channel == SMS && !w.calls {
		return "Wants no calls.", nil
	}
	consents, err := tx.Consents(ctx, m.Family)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(consents, func(k Consent) bool { return k.Channel == n.Channel && k.Target == n.Target }) {
		return "The agreement to such messages has ended.", nil
	}
	return "", nil
}

// note is a message as it goes out. Nothing of a patient's is in it but the address.
func (s *Service) note(ctx context.Context, r Reader, set *Settings, n *Notice) (channel.Note, error) {
	all, err := texts(ctx, r, n.Site)
	if err != nil {
		return channel.Note{}, err
	}
	kind := EmailText
	if n.Channel == SMS {
		kind = SMSText
	}
	t := textOf(all, kind, n.Language)
	out := channel.Note{ID: n.ID, To: n.Target, From: set.Name, ReplyTo: set.Email, At: s.clock.Now()}
	out.Subject, out.Text = t.fill(map[string]string{"clinic": set.Name, "phone": set.Phone})
	if n.Channel == SMS {
		out.To, out.ReplyTo = e164(n.Target), ""
	} else if s.Origin != "" {
		out.Stop = s.Origin + "/stop/" + n.Stop
	}
	out.Text += ending(n.Channel, n.Language, out.Stop)
	return out, nil
}

// e164 writes a number of the registry's as carriers take it.
func e164(number string) string {
	if len(number) == 10 {
		return "+1" + number
	}
	return number
}

// Again sends a message of which it is not known whether it arrived, by a person's word.
// EFORBIDDEN, ENOTFOUND, ECONFLICT when it is not such a one.
func (s *Service) Again(ctx context.Context, by auth.Principal, notice string) error {
	n, err := s.store.Notice(ctx, notice)
	if err != nil {
		return err
	}
	if _, err := own(ctx, s.store, by, n.Run, auth.RecallPatients); err != nil {
		return err
	}
	if n.State != Unsure {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "What became of this message is known by now.")
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		n.State, n.Due, n.Claimed, n.Why = Pending, s.clock.Now(), nil, ""
		if err := tx.MoveNotice(ctx, n, Unsure); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.again", "recall/"+n.Run, n.Site, "", "notice "+n.ID))
	})
	s.woken()
	return err
}

// AgainAll is Again for every message of a run of which it is not known whether it arrived. n
// is how many there are. EFORBIDDEN, ENOTFOUND.
func (s *Service) AgainAll(ctx context.Context, by auth.Principal, run string) (n int, err error) {
	if _, err := own(ctx, s.store, by, run, auth.RecallPatients); err != nil {
		return 0, err
	}
	for _, ch := range []Channel{Email, SMS} {
		all, err := s.store.Notices(ctx, run, ch, 0)
		if err != nil {
			return n, err
		}
		for _, notice := range all {
			if notice.State != Unsure {
				continue
			}
			if err := s.Again(ctx, by, notice.ID); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
