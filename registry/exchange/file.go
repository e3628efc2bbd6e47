package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// FileSubmission is a file that comes in.
type FileSubmission struct {
	Door  Door
	Name  string // of the file, for people
	Again bool   // take it once more although the very same file was taken before
}

// maxMessages bounds the messages of one file, and maxNotes what is told of the file itself.
const (
	maxMessages = 500_000
	maxNotes    = 100
)

// mayFile asks for a program of one site, or for a person of one who may take over records.
func (s *Service) mayFile(by auth.Principal) error {
	if by.Role == "" {
		return s.maySend(by)
	}
	if err := by.Require(auth.ImportPatients, by.Site); err != nil {
		return err
	}
	if by.Site == "" {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "A file is sent by somebody of the practice whose records they are.")
	}
	return nil
}

// SubmitFile takes a file of messages, with or without batch wrappers (FHS, BHS, BTS, FTS),
// and queues them durably: once it returns, every message of the file will have its turn, in
// order, whatever happens to the process. Work does them; Progress tells how far it is, and
// WriteAnswers gives the answer file once State is Done.
//
// by is an interface account, or a person of a practice who may take over records
// (auth.ImportPatients): such a person speaks for the own practice, and its file is done as
// that of a program would be, but for queries, which are refused.
//
// The very same file again, by its content, is the file that there is (Known), unless in
// asks for it again. Errors: EUNAUTHORIZED, EFORBIDDEN, EINVALID when the file holds no
// message or too many of them, or is larger than MaxFile (ErrTooLarge).
func (s *Service) SubmitFile(ctx context.Context, by auth.Principal, in FileSubmission, r io.Reader) (File, error) {
	var f File
	if err := s.mayFile(by); err != nil {
		return f, err
	}
	from, err := s.sender(ctx, by)
	if err != nil {
		return f, err
	}
	f = File{ID: ulid.Make().String(), Account: by.ID, Who: by.Name, Role: by.Role, Site: by.Site, Door: in.Door, Name: cut(in.Name, 200), Again: true, State: Receiving,
		Answers: from.Answers, At: s.clock.Now(), Findings: []Finding{}}
	f.SHA256 = "receiving/" + f.ID
	if err := s.store.Tx(ctx, func(tx Tx) error { return tx.InsertExchangeFile(ctx, f) }); err != nil {
		return f, err
	}
	taken, err := s.receive(ctx, by, f, in, r)
	if err != nil || taken.Known {
		// What was received of it goes; should that fail, Clear takes it away later.
		if e := s.store.Tx(context.WithoutCancel(ctx), func(tx Tx) error { return tx.DeleteExchangeFile(ctx, f.ID) }); err == nil {
			err = e
		}
		return taken, err
	}
	s.woken()
	return taken, nil
}

// receive reads a file's messages into the queue.
func (s *Service) receive(ctx context.Context, by auth.Principal, f File, in FileSubmission, r io.Reader) (File, error) {
	sum, limited := sha256.New(), &bounded{r: r, left: MaxFile}
	var waiting []Message
	flush := func() error {
		err := s.store.Tx(ctx, func(tx Tx) error {
			for _, m := range waiting {
				if err := tx.InsertExchangeMessage(ctx, m); err != nil {
					return err
				}
			}
			return nil
		})
		waiting = waiting[:0]
		return err
	}
	size := 0
	err := s.means.Split(io.TeeReader(limited, sum), func(p Part) error {
		text := p.Text
		if room := maxNotes - len(f.Findings); room > 0 {
			f.Findings = append(f.Findings, p.Notes[:min(room, len(p.Notes))]...)
		}
		switch p.Kind {
		case PartNothing:
			return nil
		case PartHead:
			f.Head = cut(f.Head+string(text)+"\r", 4000)
			return nil
		case PartFoot:
			f.Foot = cut(f.Foot+string(text)+"\r", 4000)
			return nil
		}
		if len(text) > MaxMessage {
			return ErrTooLarge
		}
		if f.Total++; f.Total > maxMessages {
			return coldkeep.Errorf(coldkeep.EINVALID, "The file has more than %d messages. Split it.", maxMessages)
		}
		id := ulid.Make().String()
		waiting = append(waiting, Message{ID: id, Door: f.Door, Account: f.Account, Who: f.Who, Site: f.Site, File: f.ID, Seq: f.Total, SHA256: sha(text), At: f.At, Text: s.sealed(text, id)})
		if size += len(text); len(waiting) >= 200 || size > 1<<20 {
			size = 0
			return flush()
		}
		return nil
	})
	if limited.over {
		return f, ErrTooLarge
	}
	if err != nil {
		return f, err
	}
	if f.Total == 0 {
		return f, coldkeep.Errorf(coldkeep.EINVALID, "There is no message in the file: no segment begins with MSH.")
	}
	if err := flush(); err != nil {
		return f, err
	}
	f.SHA256, f.Again, f.State = hex.EncodeToString(sum.Sum(nil)), in.Again, Queued
	err = s.store.Tx(ctx, func(tx Tx) error {
		if !in.Again {
			switch has, err := tx.ExchangeFileByContent(ctx, f.Account, f.SHA256); {
			case err == nil:
				has.Known = true
				f = has
				return nil
			case coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
				return err
			}
		}
		if err := tx.UpdateExchangeFile(ctx, f, Receiving); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "exchange.file", "file/"+f.ID, f.Site, "", ""))
	})
	return f, err
}

// bounded reads at most left bytes and notes when there are more.
type bounded struct {
	r    io.Reader
	left int64
	over bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.over = true
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func cut(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	for len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// Progress is a file with how many of its messages had which outcome.
type Progress struct {
	File
	Outcomes map[Outcome]int
	Finished int // messages that had their turn
}

// Progress tells how far a file is. ENOTFOUND when there is none that by may see, which are
// the own ones of a program and those of the own site, or of all, of who may read the
// exchange.
func (s *Service) Progress(ctx context.Context, by auth.Principal, id string) (Progress, error) {
	var p Progress
	var err error
	if p.File, err = s.file(ctx, by, id); err != nil {
		return p, err
	}
	p.Outcomes, err = s.store.ExchangeFileCounts(ctx, id)
	for o, n := range p.Outcomes {
		if o != Waiting {
			p.Finished += n
		}
	}
	return p, err
}

func (s *Service) file(ctx context.Context, by auth.Principal, id string) (File, error) {
	if !by.Known() {
		return File{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	f, err := s.store.ExchangeFile(ctx, id)
	if err == nil && (f.State == Receiving || f.Account != by.ID && (by.Role == "" || !by.May(auth.ReadExchange, f.Site))) {
		return File{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such file.")
	}
	return f, err
}

// Files lists files, the latest first: of a program its own, of a person those of the own
// site, or of all. EFORBIDDEN.
func (s *Service) Files(ctx context.Context, by auth.Principal, limit int) ([]File, error) {
	if err := by.Require(auth.ReadExchange, by.Site); err != nil {
		return nil, err
	}
	account := ""
	if by.Role == "" {
		account = by.ID
	}
	return s.store.ExchangeFiles(ctx, account, by.Site, min(max(limit, 1), 200))
}

// WriteAnswers writes the answer file of a file: the same wrapper, holding the answers to
// its messages in their order, all or those with errors, as the sender has asked for; of a
// sender that wants none, nothing. ECONFLICT while the file goes on, and when the answers
// have been cleared; ENOTFOUND as Progress. The answers of queries are views of patients;
// they were written into the trail when they were made, and the reading of the file is.
func (s *Service) WriteAnswers(ctx context.Context, by auth.Principal, id string, w io.Writer) error {
	f, err := s.file(ctx, by, id)
	switch {
	case err != nil:
		return err
	case f.Account != by.ID && !by.May(auth.ViewPatients, f.Site):
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Answers tell of patients, whom your role does not show.")
	case f.State != Done:
		return coldkeep.Errorf(coldkeep.ECONFLICT, "The file is still being worked through.")
	case f.Cleared != nil:
		return coldkeep.Errorf(coldkeep.ECONFLICT, "The answers are kept for 90 days and are gone.")
	case f.Answers == Never:
		return nil
	}
	if err := s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, s.entry(by, "exchange.answers", "file/"+f.ID, f.Site, "", ""))
	}); err != nil {
		return err
	}
	counts, err := s.store.ExchangeFileCounts(ctx, id)
	if err != nil {
		return err
	}
	n := counts[Erred] + counts[Rejected]
	if f.Answers == Always {
		n += counts[Accepted]
	}
	before, after := s.means.Wrap(f.Head, s.clock.Now(), n)
	if _, err := w.Write(before); err != nil {
		return err
	}
	for at := 0; ; {
		some, err := s.store.ExchangeFileAnswers(ctx, id, at, 100)
		if err != nil {
			return err
		}
		for _, m := range some {
			at = m.Seq
			if f.Answers == ErrorsOnly && m.Outcome == Accepted {
				continue
			}
			answer, err := s.opened(m.Answer, m.ID)
			if err != nil {
				return err
			}
			if _, err := w.Write(answer); err != nil {
				return err
			}
		}
		if len(some) == 0 {
			break
		}
	}
	_, err = w.Write(after)
	return err
}

// Work does the messages of files, until ctx ends. failed hears of what keeps it from
// working; it tries again.
func (s *Service) Work(ctx context.Context, failed func(error)) {
	pause := time.NewTicker(20 * time.Second) // also what another process was given
	defer pause.Stop()
	for {
		more, err := s.Step(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-pause.C:
		}
	}
}

// turnOf is how many messages of one sender's file are done before another's has its turn,
// so that a long file does not keep a short one waiting.
const turnOf = 25

// Step does some messages of each sender that has a file waiting. more says that there was
// something to do.
func (s *Service) Step(ctx context.Context) (more bool, err error) {
	files, err := s.store.ExchangeFileWork(ctx)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if err := s.work(ctx, f); err != nil {
			return true, err
		}
	}
	return len(files) > 0, nil
}

func (s *Service) work(ctx context.Context, f File) error {
	some, err := s.store.ExchangeFileNext(ctx, f.ID, turnOf)
	if err != nil {
		return err
	}
	by, err := s.senderOf(ctx, f)
	if err != nil {
		return err
	}
	if len(some) == 0 {
		now := s.clock.Now()
		f.State, f.Ended = Done, &now
		err := s.store.Tx(ctx, func(tx Tx) error {
			if err := tx.UpdateExchangeFile(ctx, f, Queued); err != nil {
				return err
			}
			return tx.Audit(ctx, s.entry(by, "exchange.file-done", "file/"+f.ID, f.Site, "", ""))
		})
		return elsewhere(err)
	}
	from, err := s.sender(ctx, by)
	if err != nil {
		return err
	}
	for _, m := range some {
		if err := s.next(ctx, by, from, f, m); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere forgives that another process has done the work.
func elsewhere(err error) error {
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return nil
	}
	return err
}

// senderOf is who a file's messages are done as: the account or the person, with what they
// may do today.
func (s *Service) senderOf(ctx context.Context, f File) (auth.Principal, error) {
	by := auth.Principal{ID: f.Account, Name: f.Who, Role: f.Role, Site: f.Site}
	if f.Role == "" {
		a, err := s.store.AccountByID(ctx, f.Account)
		if err != nil {
			return by, err
		}
		if !a.Revoked { // one that was revoked may do nothing any more
			by.Scopes = a.Scopes
		}
	}
	until, err := s.store.EnrolledUntil(ctx, f.Site)
	by.Lapsed = until != nil && !s.clock.Now().Before(*until)
	return by, err
}

// attempts is how often a message of a file is tried when the registry itself cannot do it,
// before it is answered so and the next has its turn.
const attempts = 3

// next does one message of a file.
func (s *Service) next(ctx context.Context, by auth.Principal, from Sender, f File, m Message) error {
	text, err := s.opened(m.Text, m.ID)
	if err != nil {
		return err
	}
	began := time.Now()
	env, err := s.means.Read(text)
	r := Request{ID: m.ID, Sender: from, Site: f.Site, Envelope: env, Text: text, At: m.At, File: true}
	m.Text = text
	switch {
	case err != nil:
		_, err = s.refused(ctx, r, m, began, &f, Rejected, Finding{Severity: "E", Code: "100", Detail: "", Text: coldkeep.ErrorMessage(err)})
	case by.Role == "" && len(by.Scopes) == 0:
		_, err = s.refused(ctx, r, m, began, &f, Rejected, Finding{Severity: "E", Code: "207", Text: "The interface account has been revoked."})
	case by.Role != "" && env.Query:
		_, err = s.refused(ctx, r, m, began, &f, Rejected, Finding{Severity: "E", Code: "200", Place: "MSH-9", Segment: 1, Text: "A file that a person uploads holds updates. Look for patients on the page for it."})
	default:
		_, err = s.do(ctx, by, from, m, env, text, &f)
	}
	switch coldkeep.ErrorCode(err) {
	case "":
		delete(s.retries, m.ID)
		return nil
	case coldkeep.EUNAVAILABLE:
		return err
	case coldkeep.ECONFLICT: // another process has done it, or others hold the record
		if s.retries[m.ID]++; s.retries[m.ID] < attempts {
			return nil
		}
	default:
		if s.retries[m.ID]++; s.retries[m.ID] < attempts || ctx.Err() != nil {
			return err
		}
	}
	delete(s.retries, m.ID)
	_, refused := s.refused(ctx, r, m, began, &f, Rejected, Finding{Severity: "E", Code: "207", Text: "The registry could not do this message. Its staff know of it."})
	return elsewhere(refused)
}

// receivingMost is how long the receiving of a file may take. What has not come to an end
// by then was broken off.
const receivingMost = 24 * time.Hour

// Clear takes away the texts of messages and answers after 90 days, and what is left of
// files whose receiving was broken off. It tells how many messages it has cleared.
func (s *Service) Clear(ctx context.Context) (int, error) {
	now := s.clock.Now()
	broken, err := s.store.ExchangeUnreceived(ctx, now.Add(-receivingMost))
	if err != nil {
		return 0, err
	}
	for _, f := range broken {
		if err := s.store.Tx(ctx, func(tx Tx) error { return tx.DeleteExchangeFile(ctx, f.ID) }); err != nil {
			return 0, err
		}
	}
	total := 0
	for {
		n := 0
		err := s.store.Tx(ctx, func(tx Tx) (err error) {
			n, err = tx.ClearExchangeMessages(ctx, now.Add(-keepTexts), now, 500)
			return err
		})
		if total += n; err != nil || n == 0 {
			return total, err
		}
	}
}
