package api

import (
	"crypto/hmac"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// recallRoutes are reminders and recalls. Each names the permission that its service asks for.
func (s *server) recallRoutes(v1 *gin.RouterGroup) {
	v1.GET("/recalls", s.get(s.recalls))                                          // recall-patients or call-patients
	v1.POST("/recalls", s.post(64<<10, s.startRecall))                            // recall-patients
	v1.GET("/recalls/:id", s.get(s.oneRecall))                                    // recall-patients or call-patients
	v1.POST("/recalls/:id/issue", s.post(4<<10, s.issueRecall))                   // recall-patients
	v1.GET("/cold-recalls", s.get(s.coldRecalls))                                 // recall-patients or call-patients
	v1.GET("/cold-recalls/:id", s.get(s.coldRecall))                              // recall-patients or call-patients
	v1.POST("/cold-recalls/:id/people/:patient", s.post(16<<10, s.setColdRecall)) // recall-patients; reached: call-patients
	v1.GET("/patients/:id/notices", s.get(s.patientNotices))                      // call-patients
}

type runJSON struct {
	ID       string           `json:"id"`
	Site     coldkeep.SiteID  `json:"site"` // "" the jurisdiction
	Cold     string           `json:"cold_recall,omitempty"`
	State    recall.State     `json:"state"`
	Params   recall.Params    `json:"params"`
	Schedule string           `json:"schedule"`
	On       coldkeep.Date    `json:"on"`
	Looked   int              `json:"looked"`
	Expected int              `json:"expected"`
	Round    int              `json:"round"`
	Channels []recall.Channel `json:"channels,omitempty"`
	By       string           `json:"by"`
	At       time.Time        `json:"at"`
	IssuedAt *time.Time       `json:"issued_at,omitempty"`
}

func runOut(r *recall.Run) runJSON {
	return runJSON{r.ID, r.Site, r.Cold, r.State, r.Params, r.Schedule, r.Today, r.Looked, r.Expected, r.Round, r.Channels, r.By, r.At, r.IssuedAt}
}

func (s *server) recalls(c *gin.Context) (any, error) {
	all, err := s.Recall.List(c.Request.Context(), principal(c))
	out := make([]runJSON, len(all))
	for i := range all {
		out[i] = runOut(&all[i])
	}
	return out, err
}

// startJSON is either a cohort or a cold-chain recall.
type startJSON struct {
	recall.Params
	Cold string `json:"cold_recall"`
}

func (s *server) startRecall(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[startJSON](body)
	if err != nil {
		return nil, err
	}
	var r recall.Run
	if in.Cold != "" {
		r, err = s.Recall.StartCold(c.Request.Context(), principal(c), in.Cold)
	} else {
		r, err = s.Recall.Start(c.Request.Context(), principal(c), in.Params)
	}
	return runOut(&r), err
}

type runViewJSON struct {
	runJSON
	ToTell    int                    `json:"to_tell"`
	LeftOut   map[recall.Reason]int  `json:"left_out"`
	ByChannel map[recall.Channel]int `json:"reached_by"`
	Tallies   []tallyJSON            `json:"notices"`
}

type tallyJSON struct {
	Channel recall.Channel             `json:"channel"`
	Notices int                        `json:"notices"`
	People  int                        `json:"people"`
	Came    int                        `json:"came"`
	States  map[recall.NoticeState]int `json:"states"`
}

func (s *server) oneRecall(c *gin.Context) (any, error) {
	v, err := s.Recall.Get(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := runViewJSON{runJSON: runOut(&v.Run), ToTell: v.Reasons[recall.Told], LeftOut: map[recall.Reason]int{}, ByChannel: v.ByChannel, Tallies: []tallyJSON{}}
	for r, n := range v.Reasons {
		if r != recall.Told {
			out.LeftOut[r] = n
		}
	}
	for _, t := range v.Tallies {
		out.Tallies = append(out.Tallies, tallyJSON(t))
	}
	return out, nil
}

type issueJSON struct {
	Round    int              `json:"round"`
	Channels []recall.Channel `json:"channels"`
}

func (s *server) issueRecall(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[issueJSON](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("id")}, s.Recall.Issue(c.Request.Context(), principal(c), c.Param("id"), in.Round, in.Channels)
}

type coldJSON struct {
	ID     string                   `json:"id"`
	Site   coldkeep.SiteID          `json:"site"`
	Hold   string                   `json:"hold,omitempty"`
	By     string                   `json:"decided_by,omitempty"`
	Why    string                   `json:"why"`
	Opened time.Time                `json:"opened_at"`
	Total  int                      `json:"people"`
	Done   int                      `json:"at_an_end"`
	Counts map[recall.ColdState]int `json:"states"`
}

func coldOut(r *recall.Cold) coldJSON {
	return coldJSON{r.ID, r.Site, r.Hold, r.By, r.Why, r.Opened, r.Total, r.Done(), r.Counts}
}

func (s *server) coldRecalls(c *gin.Context) (any, error) {
	all, err := s.Recall.Colds(c.Request.Context(), principal(c))
	out := make([]coldJSON, len(all))
	for i := range all {
		out[i] = coldOut(&all[i])
	}
	return out, err
}

// coldPersonJSON names nobody: the id opens the record to who may see it.
type coldPersonJSON struct {
	Patient  string           `json:"patient,omitempty"` // absent of a record that is locked by another site
	Locked   bool             `json:"locked,omitempty"`
	State    recall.ColdState `json:"state"`
	Since    time.Time        `json:"since"`
	Revision int64            `json:"revision"`
	Doses    []string         `json:"doses,omitempty"`
	Advice   []adviceJSON     `json:"advice,omitempty"`
}

type adviceJSON struct {
	Group    string        `json:"vaccine_group"`
	Repeat   bool          `json:"repeat"`
	Earliest coldkeep.Date `json:"earliest,omitzero"`
	Due      coldkeep.Date `json:"recommended,omitzero"`
	Number   int           `json:"dose_number,omitempty"`
	Words    string        `json:"words"`
}

type coldViewJSON struct {
	coldJSON
	Locked int              `json:"locked"`
	People []coldPersonJSON `json:"list"`
}

func (s *server) coldRecall(c *gin.Context) (any, error) {
	v, err := s.Recall.GetCold(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := coldViewJSON{coldJSON: coldOut(&v.Cold), Locked: v.Locked, People: []coldPersonJSON{}}
	for i := range v.People {
		e := &v.People[i]
		p := coldPersonJSON{Patient: e.Patient, Locked: e.Locked, State: e.State, Since: e.Since, Revision: e.Revision}
		for k := range e.Doses {
			p.Doses = append(p.Doses, e.Doses[k].ID)
		}
		for _, a := range e.Advice {
			p.Advice = append(p.Advice, adviceJSON{a.Group, a.Repeat, a.Earliest, a.Due, a.Number, a.Words})
		}
		out.People = append(out.People, p)
	}
	return out, nil
}

type setColdJSON struct {
	State    recall.ColdState `json:"state"`
	Note     string           `json:"note"`
	Revision int64            `json:"revision"`
}

func (s *server) setColdRecall(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[setColdJSON](body)
	if err != nil {
		return nil, err
	}
	return did{c.Param("patient")}, s.Recall.SetCold(c.Request.Context(), principal(c), c.Param("id"), c.Param("patient"), in.State, in.Note, in.Revision)
}

type noticeJSON struct {
	ID      string             `json:"id"`
	Run     string             `json:"run"`
	Site    coldkeep.SiteID    `json:"site"`
	Channel recall.Channel     `json:"channel"`
	State   recall.NoticeState `json:"state"`
	MadeAt  time.Time          `json:"made_at"`
	Groups  []recall.Group     `json:"vaccine_groups"`
	Outcome recall.Outcome     `json:"outcome,omitempty"`
	On      coldkeep.Date      `json:"outcome_on,omitzero"`
}

func (s *server) patientNotices(c *gin.Context) (any, error) {
	chart, err := s.Recall.Of(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := []noticeJSON{}
	for i := range chart.Notices {
		n := &chart.Notices[i]
		out = append(out, noticeJSON{n.ID, n.Notice.Run, n.Site, n.Channel, n.State, n.MadeAt, n.Groups, n.Outcome, n.On})
	}
	return out, nil
}

// answerLife is how old a signature of an answer may be.
const answerLife = 10 * time.Minute

type smsAnswerJSON struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// smsAnswers is where answers to text messages come in.
const smsAnswers = "/api/v1/sms/answers"

// smsAnswer takes what a family has answered to a text message from the carrier's gateway,
// which signs it as the registry signs what it sends. It says the same whether or not anybody
// has that number.
func (s *server) smsAnswer(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, 16<<10))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			s.tooLarge(c, tooLarge.Limit)
			return
		}
		s.problem(c, coldkeep.Wrap(err, coldkeep.EINVALID, "api.smsAnswer", "body: could not be read"))
		return
	}
	if !signed(s.SMSSecret, c.GetHeader(webhook.SignatureHeader), body, time.Now()) {
		s.problem(c, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "the answer is not signed by the gateway"))
		return
	}
	in, err := decodeOne[smsAnswerJSON](body)
	if err == nil {
		_, err = s.Recall.Answer(c.Request.Context(), in.From, in.Text)
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// signed checks a signature "t=<unix seconds>,v1=<hex>" of a body.
func signed(secret []byte, header string, body []byte, now time.Time) bool {
	t, _, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	at, err := strconv.ParseInt(t, 10, 64)
	if len(secret) == 0 || !ok || err != nil {
		return false
	}
	sent := time.Unix(at, 0)
	if age := now.Sub(sent); age > answerLife || age < -answerLife {
		return false
	}
	return hmac.Equal([]byte(webhook.Sign(secret, sent, body)), []byte(header))
}
