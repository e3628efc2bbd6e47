package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/sample"
)

// exchangeRoutes are what came in from EHRs and what became of it: read-exchange; files are
// sent by somebody of a practice with import-patients, and what is agreed on with a sender is
// changed with manage-people.
func (s *server) exchangeRoutes(in *gin.RouterGroup) {
	in.GET("/exchange", s.exchangeMonitor)
	in.GET("/exchange/messages/:id", s.exchangeMessage)
	in.GET("/exchange/files", s.exchangeFiles)
	in.GET("/exchange/sample.hl7", s.exchangeSample)
	in.GET("/exchange/files/:id", s.exchangeFile)
	in.GET("/exchange/files/:id/answers", s.exchangeAnswers)
	in.GET("/exchange/senders", s.exchangeSenders)
	in.GET("/exchange/senders/:id", s.exchangeSender)
	in.POST("/exchange/senders/:id", s.putExchangeSender)
}

// outcomeWords says what became of a message.
func outcomeWords(m *exchange.Message) stateWord {
	switch {
	case m.Outcome == exchange.Rejected:
		return stateWord{Class: "excursion", Icon: "fault", Word: "Rejected"}
	case m.Outcome == exchange.Erred && m.Kept:
		return stateWord{Class: "warning", Icon: "warning", Word: "Taken, with errors"}
	case m.Outcome == exchange.Erred && m.Test:
		return stateWord{Class: "warning", Icon: "warning", Word: "Test, with errors"}
	case m.Outcome == exchange.Erred:
		return stateWord{Class: "excursion", Icon: "fault", Word: "Not taken"}
	case m.Test:
		return stateWord{Class: "ok", Icon: "ok", Word: "Test, fine"}
	case m.Kept:
		return stateWord{Class: "ok", Icon: "ok", Word: "Taken"}
	case m.Outcome == exchange.Accepted:
		return stateWord{Class: "ok", Icon: "ok", Word: "Answered"}
	}
	return stateWord{Class: "no-data", Icon: "no-data", Word: "Waits"}
}

// doorWords is a way in, in words.
func doorWords(d exchange.Door) string {
	switch d {
	case exchange.HTTP:
		return "web"
	case exchange.SOAP:
		return "web service (SOAP)"
	case exchange.SFTP:
		return "SFTP"
	case exchange.Upload:
		return "uploaded"
	}
	return string(d)
}

// messageLine is a message in a list.
type messageLine struct {
	exchange.Message
	State stateWord
	Via   string
	Worst string // its gravest finding, in words
}

func messageLines(all []exchange.Message) []messageLine {
	out := make([]messageLine, len(all))
	for i := range all {
		out[i] = messageLine{Message: all[i], State: outcomeWords(&all[i]), Via: doorWords(all[i].Door)}
		worst := ""
		for _, f := range all[i].Findings {
			if f.Code != "0" && grave[f.Severity] > grave[worst] {
				worst, out[i].Worst = f.Severity, f.Text
			}
		}
	}
	return out
}

var grave = map[string]int{"I": 1, "W": 2, "E": 3}

// messagesShown is how many messages a page has.
const messagesShown = 50

type monitorPage struct {
	Messages []messageLine
	Senders  []exchange.Sender
	Asked    exchange.Filter
	Day      string
	Narrowed bool
	Next     string // query of the next page; "" is that there is none
}

func (s *server) exchangeMonitor(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	f := exchange.Filter{Account: c.Query("sender"), Outcome: exchange.Outcome(c.Query("outcome")), Before: c.Query("before"), Limit: messagesShown}
	p := monitorPage{Asked: f}
	senders, err := s.Exchange.Senders(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Senders = senders
	if d, err := coldkeep.ParseDate(c.Query("day")); err == nil {
		loc := time.UTC
		if who.Site != "" {
			if all, err := s.Auth.Sites(ctx, who); err == nil && len(all) > 0 {
				loc = zone(all[0])
			}
		}
		f.From, f.To, p.Day = d.Midnight(loc), (d + 1).Midnight(loc), d.String()
	}
	all, err := s.Exchange.Messages(ctx, who, f)
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Messages, p.Narrowed = messageLines(all), f.Account != "" || f.Outcome != "" || p.Day != ""
	if len(all) == messagesShown {
		q := url.Values{"before": {all[len(all)-1].ID}}
		for k, v := range map[string]string{"sender": f.Account, "outcome": string(f.Outcome), "day": p.Day} {
			if v != "" {
				q.Set(k, v)
			}
		}
		p.Next = q.Encode()
	}
	s.render(c, http.StatusOK, "exchange", &page{Title: "Messages", Nav: "exchange", Path: "/exchange", Data: p})
}

type messagePage struct {
	exchange.Message
	State    stateWord
	Via      string
	Whole    []exchange.Finding // of no segment
	Segments []segmentView
	Answered []segmentView
}

func (s *server) exchangeMessage(c *gin.Context) {
	m, err := s.Exchange.Message(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := messagePage{Message: m, State: outcomeWords(&m), Via: doorWords(m.Door)}
	p.Segments, p.Whole = segments(m.Text, m.Findings)
	p.Answered, _ = segments(m.Answer, nil)
	s.render(c, http.StatusOK, "exchangemessage", &page{Title: "A message", Nav: "exchange", Data: p})
}

type filesPage struct {
	Files []fileLine
	May   bool // the person may send one
	Most  int64
}

// fileLine is a file in a list.
type fileLine struct {
	exchange.File
	Via string
}

func (s *server) exchangeFiles(c *gin.Context) {
	who := principal(c)
	all, err := s.Exchange.Files(c.Request.Context(), who, 100)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := filesPage{May: mayUpload(who) == nil, Most: exchange.MaxFile >> 20}
	for _, f := range all {
		p.Files = append(p.Files, fileLine{f, doorWords(f.Door)})
	}
	s.render(c, http.StatusOK, "exchangefiles", &page{Title: "Files of messages", Nav: "exchange", Path: "/exchange/files", Data: p})
}

// mayUpload asks for somebody of a practice who may take over its records.
func mayUpload(who auth.Principal) error {
	if err := who.Require(auth.ImportPatients, who.Site); err != nil {
		return err
	}
	if who.Site == "" {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "A file is sent by somebody of the practice whose records they are.")
	}
	return nil
}

// exchangeSample is a file of messages about invented people, to try the page with.
func (s *server) exchangeSample(c *gin.Context) {
	who := principal(c)
	if err := mayUpload(who); err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="sample.hl7"`)
	c.Data(http.StatusOK, "application/hl7-v2; charset=utf-8", sample.File(s.Clock.Now(), string(who.Site)))
}

// sendExchangeFile streams the file into the queue: no second copy of it is kept, not even
// on the way.
func (s *server) sendExchangeFile(c *gin.Context) {
	who := principal(c)
	if err := mayUpload(who); err != nil { // of who may not, not even the file is read
		s.fail(c, err)
		return
	}
	choose := coldkeep.Errorf(coldkeep.EINVALID, "File: choose a file of HL7 messages of at most %d MB.", exchange.MaxFile>>20)
	parts, err := c.Request.MultipartReader()
	if err != nil {
		s.done(c, "/exchange/files", "", choose)
		return
	}
	again := false
	for {
		part, err := parts.NextPart()
		if err != nil {
			s.done(c, "/exchange/files", "", choose)
			return
		}
		switch part.FormName() {
		case "again":
			b, err := io.ReadAll(io.LimitReader(part, 10))
			again = err == nil && string(b) == "yes"
			continue
		case "file":
		default:
			continue
		}
		if part.FileName() == "" {
			s.done(c, "/exchange/files", "", choose)
			return
		}
		f, err := s.Exchange.SubmitFile(c.Request.Context(), who, exchange.FileSubmission{Door: exchange.Upload, Name: part.FileName(), Again: again}, part)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) || errors.Is(err, exchange.ErrTooLarge) {
			err = choose
		}
		if err != nil {
			s.done(c, "/exchange/files", "", err)
			return
		}
		word := "The file has been received. Its messages are being worked through."
		if f.Known {
			word = "This very file was sent before. Here is what became of it; nothing was done again."
		}
		s.done(c, "/exchange/files/"+f.ID, word, nil)
		return
	}
}

type filePage struct {
	exchange.Progress
	Via      string
	Percent  int
	Taken    int // messages that were accepted
	Messages []messageLine
	Only     string // outcome that the list is narrowed to
	Next     string
	Mine     bool // whose answers the person may read
}

// Count is how many messages had an outcome.
func (p filePage) Count(o string) int { return p.Outcomes[exchange.Outcome(o)] }

func (s *server) exchangeFile(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	r, err := s.Exchange.Progress(ctx, who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := filePage{Progress: r, Via: doorWords(r.Door), Percent: min(100*r.Finished/max(r.Total, 1), 100), Only: c.Query("outcome"), Mine: r.Account == who.ID || who.May(auth.ViewPatients, r.Site)}
	if p.Only == "" && r.Outcomes[exchange.Erred]+r.Outcomes[exchange.Rejected] > 0 {
		p.Only = string(exchange.Erred)
		if r.Outcomes[exchange.Erred] == 0 {
			p.Only = string(exchange.Rejected)
		}
	}
	f := exchange.Filter{File: r.ID, Before: c.Query("before"), Limit: messagesShown}
	if p.Only != "all" {
		f.Outcome = exchange.Outcome(p.Only)
	}
	all, err := s.Exchange.Messages(ctx, who, f)
	if err != nil {
		s.fail(c, err)
		return
	}
	p.Messages = messageLines(all)
	if len(all) == messagesShown {
		p.Next = url.Values{"before": {all[len(all)-1].ID}, "outcome": {p.Only}}.Encode()
	}
	if r.State != exchange.Done {
		c.Header("Refresh", "2") // shows how far it is, also without scripts
	}
	s.render(c, http.StatusOK, "exchangefile", &page{Title: "A file of messages", Nav: "exchange", Data: p})
}

func (s *server) exchangeAnswers(c *gin.Context) {
	var b bytes.Buffer
	if err := s.Exchange.WriteAnswers(c.Request.Context(), principal(c), c.Param("id"), &b); err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="answers-`+c.Param("id")+`.hl7"`)
	c.Data(http.StatusOK, "application/hl7-v2; charset=utf-8", b.Bytes())
}

// whole reads a whole number of a form, -1 for none.
func whole(v string) int64 {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
