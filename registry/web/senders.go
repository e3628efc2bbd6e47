package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// figureDays is over how many days the figures of a sender are told.
const figureDays = 30

type sendersPage struct {
	Senders []senderLine
	Days    int
}

type senderLine struct {
	exchange.Sender
	exchange.Report
}

// Account and Site are the sender's.
func (l senderLine) ID() string { return l.Sender.Account }

func (s *server) exchangeSenders(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	all, err := s.Exchange.Senders(ctx, who)
	if err != nil {
		s.fail(c, err)
		return
	}
	reports, err := s.reports(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := sendersPage{Days: figureDays}
	for _, x := range all {
		p.Senders = append(p.Senders, senderLine{x, reports[x.Account]})
	}
	s.render(c, http.StatusOK, "exchangesenders", &page{Title: "Senders", Nav: "exchange", Path: "/exchange/senders", Data: p})
}

// reports are the figures of senders, those of several sites of one together.
func (s *server) reports(c *gin.Context) (map[string]exchange.Report, error) {
	today := coldkeep.DateOf(s.Clock.Now())
	all, err := s.Exchange.Reports(c.Request.Context(), principal(c), today-figureDays+1, today)
	if err != nil {
		return nil, err
	}
	out := map[string]exchange.Report{}
	for _, r := range all {
		has, ok := out[r.Account]
		if !ok {
			out[r.Account] = r
			continue
		}
		for k, n := range r.Figures {
			has.Figures[k] += n
		}
		has.Findings = append(has.Findings, r.Findings...)
		out[r.Account] = has
	}
	return out, nil
}

// figureLine is a figure with what part of the whole it is.
type figureLine struct {
	Title string
	N, Of int
	Share string
}

// figures are those that a practice can do something about, under their headings.
var figures = []struct {
	title string
	lines []struct{ title, part, whole string }
}{
	{"Messages", []struct{ title, part, whole string }{
		{"Accepted (AA)", exchange.FigAA, exchange.FigMessages}, {"With errors (AE)", exchange.FigAE, exchange.FigMessages}, {"Rejected (AR)", exchange.FigAR, exchange.FigMessages},
		{"Sent before", exchange.FigRepeated, exchange.FigMessages}, {"Tested, nothing kept", exchange.FigTested, exchange.FigMessages},
		{"Queries answered with one record", exchange.FigAnswered, exchange.FigQueries}, {"Queries that found nobody", exchange.FigNobody, exchange.FigQueries}}},
	{"Patients", []struct{ title, part, whole string }{
		{"New to the registry", exchange.FigNew, exchange.FigPatients}, {"Possible duplicates", exchange.FigPossible, exchange.FigPatients}, {"Without a telephone", exchange.FigNoPhone, exchange.FigPatients}, {"Without an address", exchange.FigNoAddress, exchange.FigPatients},
		{"Without race", exchange.FigNoRace, exchange.FigPatients}, {"Without ethnicity", exchange.FigNoEthnicity, exchange.FigPatients}, {"Sex not known", exchange.FigUnknownSex, exchange.FigPatients},
		{"Children without a guardian", exchange.FigNoGuardian, exchange.FigChildren}, {"Children without mother’s maiden name", exchange.FigNoMother, exchange.FigChildren}}},
	{"Doses given by the practice", []struct{ title, part, whole string }{
		{"Reported within 1 day", exchange.FigWithinDay, exchange.FigGiven}, {"Reported within 7 days", exchange.FigWithinWeek, exchange.FigGiven}, {"Reported within 30 days", exchange.FigWithinMonth, exchange.FigGiven},
		{"Taken off the stock", exchange.FigDeducted, exchange.FigGiven}, {"Not taken off the stock", exchange.FigNotDeducted, exchange.FigGiven},
		{"Without a lot", exchange.FigNoLot, exchange.FigGiven}, {"Without a manufacturer", exchange.FigNoMaker, exchange.FigGiven}, {"Without an expiry date", exchange.FigNoExpiry, exchange.FigGiven},
		{"Without who gave it", exchange.FigNoGiver, exchange.FigGiven}, {"Without eligibility", exchange.FigNoEligible, exchange.FigGiven}, {"Without an information statement", exchange.FigNoVIS, exchange.FigGiven},
		{"Without route or site", exchange.FigNoRoute, exchange.FigGiven}, {"Without an order number", exchange.FigNoOrder, exchange.FigGiven}}},
}

type figureSection struct {
	Title string
	Lines []figureLine
}

type senderPage struct {
	exchange.Sender
	Report     exchange.Report
	Sections   []figureSection
	Days       int
	Keys       []auth.AccountKey
	Login      string
	Revoked    bool
	May        bool // the person may change it
	State      bool // and say what is the state's to say
	Facilities string
	Apps       string
}

func (s *server) exchangeSender(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	x, err := s.Exchange.Sender(ctx, who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	reports, err := s.reports(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	p := senderPage{Sender: x, Report: reports[x.Account], Days: figureDays, May: who.May(auth.ManagePeople, x.Site), State: who.May(auth.ManageProgramme, ""), Apps: strings.Join(x.Applications, "\n")}
	for _, f := range x.Facilities {
		p.Facilities += f.Code + " = " + string(f.Site) + "\n"
	}
	if p.May {
		accounts, keys, err := s.Auth.Accounts(ctx, who)
		if err != nil {
			s.fail(c, err)
			return
		}
		p.Keys = keys[x.Account]
		for _, a := range accounts {
			if a.ID == x.Account {
				p.Login, p.Revoked = a.Login(), a.Revoked
			}
		}
	}
	for _, sec := range figures {
		out := figureSection{Title: sec.title}
		for _, l := range sec.lines {
			line := figureLine{Title: l.title, N: p.Report.Figures[l.part], Of: p.Report.Figures[l.whole], Share: "–"}
			if share := p.Report.Share(l.part, l.whole); share >= 0 {
				line.Share = strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
			}
			out.Lines = append(out.Lines, line)
		}
		p.Sections = append(p.Sections, out)
	}
	s.render(c, http.StatusOK, "exchangesender", &page{Title: "A sender", Nav: "exchange", Data: p})
}

func (s *server) putExchangeSender(c *gin.Context) {
	back := "/exchange/senders/" + c.Param("id")
	x := exchange.Sender{Account: c.Param("id"), Production: c.PostForm("production") == "yes", Answers: exchange.Answers(c.PostForm("answers")), Deducts: c.PostForm("deducts") == "yes", Revision: number(c.PostForm("revision"))}
	for line := range strings.Lines(c.PostForm("applications")) {
		if line = strings.TrimSpace(line); line != "" {
			x.Applications = append(x.Applications, line)
		}
	}
	for line := range strings.Lines(c.PostForm("facilities")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		at := strings.LastIndex(line, "=")
		if at < 0 {
			s.done(c, back, "", coldkeep.Errorf(coldkeep.EINVALID, "Facilities: want a code and a site on each line, such as “IL0042 = lakeside”."))
			return
		}
		x.Facilities = append(x.Facilities, exchange.Facility{Code: strings.TrimSpace(line[:at]), Site: coldkeep.SiteID(strings.TrimSpace(line[at+1:]))})
	}
	_, err := s.Exchange.PutSender(c.Request.Context(), principal(c), x)
	s.done(c, back, "What is agreed on with this sender has been changed.", err)
}
