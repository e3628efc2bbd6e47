package api

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// exchangeRoutes are the messages and files that came in, and what is agreed on with their
// senders: read-exchange; a file is sent by a program with exchange-records or a person with
// import-patients, and one message's text asks for view-patients.
func (s *server) exchangeRoutes(v1 *gin.RouterGroup) {
	v1.GET("/exchange/messages", s.get(s.exchangeMessages))
	v1.GET("/exchange/messages/:id", s.get(s.exchangeMessage))
	v1.GET("/exchange/files", s.get(s.exchangeFiles))
	v1.POST("/exchange/files", s.sendExchangeFile)
	v1.GET("/exchange/files/:id", s.get(s.exchangeFile))
	v1.GET("/exchange/files/:id/answers", s.exchangeAnswers)
	v1.GET("/exchange/senders", s.get(s.exchangeSenders))
	v1.POST("/exchange/senders/:id", s.post(64<<10, s.putExchangeSender))
	v1.GET("/exchange/reports", s.get(s.exchangeReports))
	s.undeductedRoutes(v1)
}

type messageJSON struct {
	ID         string              `json:"id"`
	Door       exchange.Door       `json:"door"`
	Sender     string              `json:"sender"`
	Account    string              `json:"account"`
	Site       coldkeep.SiteID     `json:"site"`
	File       string              `json:"file,omitempty"`
	Place      int                 `json:"place,omitempty"` // in the file, from 1
	Control    string              `json:"control_id,omitempty"`
	Type       string              `json:"type,omitempty"`
	Profile    string              `json:"profile,omitempty"`
	Version    string              `json:"version,omitempty"`
	Processing string              `json:"processing_id,omitempty"`
	At         time.Time           `json:"at"`
	TookMS     int64               `json:"took_ms"`
	Outcome    exchange.Outcome    `json:"outcome"`
	Kept       bool                `json:"kept"`
	Test       bool                `json:"test"`
	Matched    string              `json:"matched,omitempty"`
	Patient    string              `json:"patient,omitempty"`
	Doses      []exchange.DoseDone `json:"doses"`
	Findings   []exchange.Finding  `json:"findings"`
	Message    string              `json:"message,omitempty"` // of one alone
	Answer     string              `json:"answer,omitempty"`
	Cleared    *time.Time          `json:"cleared,omitempty"` // since when the texts are gone
}

func messageOut(m *exchange.Message) messageJSON {
	return messageJSON{ID: m.ID, Door: m.Door, Sender: m.Who, Account: m.Account, Site: m.Site, File: m.File, Place: m.Seq, Control: m.Control, Type: m.Type, Profile: m.Profile, Version: m.Version, Processing: m.Processing,
		At: m.At, TookMS: m.Took.Milliseconds(), Outcome: m.Outcome, Kept: m.Kept, Test: m.Test, Matched: string(m.Matched), Patient: m.Patient, Doses: some(m.Doses), Findings: some(m.Findings), Message: string(m.Text), Answer: string(m.Answer), Cleared: m.Cleared}
}

type messagesJSON struct {
	Messages []messageJSON `json:"messages"`
	Next     string        `json:"next,omitempty"` // before, for the next page
}

func queryTime(c *gin.Context, name string) (time.Time, error) {
	v := c.Query(name)
	if v == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return at, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a time such as 2026-01-31T08:15:00Z", name)
	}
	return at, nil
}

func (s *server) exchangeMessages(c *gin.Context) (any, error) {
	limit, err := queryInt(c, "limit", 0, 200)
	if err != nil {
		return nil, err
	}
	f := exchange.Filter{Account: c.Query("account"), Site: coldkeep.SiteID(c.Query("site")), File: c.Query("file"), Outcome: exchange.Outcome(c.Query("outcome")), Control: c.Query("control_id"), Before: c.Query("before"), Limit: int(limit)}
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.From, err = queryTime(c, "from"); err != nil {
		return nil, err
	}
	if f.To, err = queryTime(c, "to"); err != nil {
		return nil, err
	}
	all, err := s.Exchange.Messages(c.Request.Context(), principal(c), f)
	if err != nil {
		return nil, err
	}
	out := messagesJSON{Messages: each(all, messageOut)}
	if len(all) == f.Limit {
		out.Next = all[len(all)-1].ID
	}
	return out, nil
}

func (s *server) exchangeMessage(c *gin.Context) (any, error) {
	m, err := s.Exchange.Message(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	return messageOut(&m), nil
}

type fileJSON struct {
	ID       string                   `json:"id"`
	Name     string                   `json:"name"`
	Door     exchange.Door            `json:"door"`
	Sender   string                   `json:"sender"`
	Account  string                   `json:"account"`
	Site     coldkeep.SiteID          `json:"site"`
	SHA256   string                   `json:"sha256"`
	State    exchange.FileState       `json:"state"`
	Messages int                      `json:"messages"`
	Finished *int                     `json:"finished,omitempty"` // of one alone, as are outcomes
	Outcomes map[exchange.Outcome]int `json:"outcomes,omitempty"`
	Findings []exchange.Finding       `json:"findings"`
	Answers  exchange.Answers         `json:"answers"`
	At       time.Time                `json:"at"`
	Ended    *time.Time               `json:"ended,omitempty"`
	Cleared  *time.Time               `json:"cleared,omitempty"`
	Known    bool                     `json:"known,omitempty"` // the very same file was there already
}

func fileOut(f *exchange.File) fileJSON {
	return fileJSON{ID: f.ID, Name: f.Name, Door: f.Door, Sender: f.Who, Account: f.Account, Site: f.Site, SHA256: f.SHA256, State: f.State, Messages: f.Total, Findings: some(f.Findings), Answers: f.Answers, At: f.At, Ended: f.Ended, Cleared: f.Cleared, Known: f.Known}
}

func (s *server) exchangeFiles(c *gin.Context) (any, error) {
	all, err := s.Exchange.Files(c.Request.Context(), principal(c), 200)
	return each(all, fileOut), err
}

// sendExchangeFile takes the file as the body, whose name may be in Content-Disposition: it is
// no part of an address. It needs no idempotency key: the same file again is the one that
// there is.
func (s *server) sendExchangeFile(c *gin.Context) {
	by := principal(c)
	// Of who may not, not even the file is read.
	perm := auth.ImportPatients
	if by.Role == "" {
		perm = auth.ExchangeRecords
	}
	err := by.Require(perm, by.Site)
	if err == nil && by.Site == "" {
		err = coldkeep.Errorf(coldkeep.EFORBIDDEN, "a file is sent by a program, or somebody, of the practice whose records they are")
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	if media, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type")); media != "" && media != "text/plain" && media != "application/hl7-v2" && media != "application/octet-stream" {
		write(c, http.StatusUnsupportedMediaType, coldkeep.EINVALID, "Content-Type: want text/plain or application/hl7-v2")
		return
	}
	// A long file takes its time; one that comes too slowly is cut by the server in front.
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(time.Hour)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.Log.Debug("exchange: read deadline", "err", err)
	}
	_, params, _ := mime.ParseMediaType(c.GetHeader("Content-Disposition"))
	f, err := s.Exchange.SubmitFile(c.Request.Context(), by, exchange.FileSubmission{Door: exchange.Upload, Name: params["filename"], Again: c.Query("again") == "yes"}, http.MaxBytesReader(c.Writer, c.Request.Body, exchange.MaxFile))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, exchange.ErrTooLarge):
		write(c, http.StatusRequestEntityTooLarge, coldkeep.EINVALID, "body: the file, or a message in it, is too large")
	case err != nil:
		s.problem(c, err)
	default:
		c.JSON(http.StatusOK, fileOut(&f))
	}
}

func (s *server) exchangeFile(c *gin.Context) (any, error) {
	p, err := s.Exchange.Progress(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := fileOut(&p.File)
	out.Finished, out.Outcomes = &p.Finished, p.Outcomes
	delete(out.Outcomes, exchange.Waiting)
	return out, nil
}

// exchangeAnswers gives the answer file whole: it is made before anything of it is sent.
func (s *server) exchangeAnswers(c *gin.Context) {
	var b bytes.Buffer
	if err := s.Exchange.WriteAnswers(c.Request.Context(), principal(c), c.Param("id"), &b); err != nil {
		s.problem(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="answers.hl7"`)
	c.Data(http.StatusOK, "application/hl7-v2; charset=utf-8", b.Bytes())
}

type senderJSON struct {
	Account      string              `json:"account"`
	Name         string              `json:"name"`
	Site         coldkeep.SiteID     `json:"site"`
	Production   bool                `json:"production"`
	Applications []string            `json:"applications"`
	Facilities   []exchange.Facility `json:"facilities"`
	Answers      exchange.Answers    `json:"answers"`
	Deducts      bool                `json:"deducts"`
	UpdatedBy    string              `json:"updated_by,omitempty"`
	Revision     int64               `json:"revision"`
}

func senderOut(x *exchange.Sender) senderJSON {
	return senderJSON{x.Account, x.Name, x.Site, x.Production, some(x.Applications), some(x.Facilities), x.Answers, x.Deducts, x.UpdatedBy, x.Revision}
}

func (s *server) exchangeSenders(c *gin.Context) (any, error) {
	all, err := s.Exchange.Senders(c.Request.Context(), principal(c))
	return each(all, senderOut), err
}

type newSender struct {
	Production   bool                `json:"production"`
	Applications []string            `json:"applications"`
	Facilities   []exchange.Facility `json:"facilities"`
	Answers      exchange.Answers    `json:"answers"`
	Deducts      bool                `json:"deducts"`
	Revision     int64               `json:"revision"`
}

func (s *server) putExchangeSender(c *gin.Context, body []byte) (any, error) {
	n, err := decodeOne[newSender](body)
	if err != nil {
		return nil, err
	}
	x, err := s.Exchange.PutSender(c.Request.Context(), principal(c), exchange.Sender{Account: c.Param("id"), Production: n.Production, Applications: n.Applications, Facilities: n.Facilities, Answers: n.Answers, Deducts: n.Deducts, Revision: n.Revision})
	return senderOut(&x), err
}

type reportJSON struct {
	Account  string           `json:"account"`
	Name     string           `json:"name,omitempty"`
	Site     coldkeep.SiteID  `json:"site"`
	Figures  map[string]int   `json:"figures"`
	Findings []findingNumbers `json:"findings"`
	Last     *time.Time       `json:"last,omitempty"`
}

func reportOut(r *exchange.Report) reportJSON {
	return reportJSON{r.Account, r.Name, r.Site, r.Figures, each(r.Findings, func(f *exchange.FindingCount) findingNumbers { return findingNumbers(*f) }), r.Last}
}

type findingNumbers struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Detail   string `json:"detail,omitempty"`
	Place    string `json:"place,omitempty"`
	Rule     string `json:"rule,omitempty"`
	N        int    `json:"n"`
}

func queryDay(c *gin.Context, name string, fallback coldkeep.Date) (coldkeep.Date, error) {
	v := c.Query(name)
	if v == "" {
		return fallback, nil
	}
	d, err := coldkeep.ParseDate(v)
	if err != nil {
		return d, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a day such as 2026-01-31", name)
	}
	return d, nil
}

func (s *server) exchangeReports(c *gin.Context) (any, error) {
	today := coldkeep.DateOf(s.Clock.Now())
	from, err := queryDay(c, "from", today-29)
	if err != nil {
		return nil, err
	}
	to, err := queryDay(c, "to", today)
	if err != nil {
		return nil, err
	}
	all, err := s.Exchange.Reports(c.Request.Context(), principal(c), from, to)
	return each(all, reportOut), err
}
