package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/recall/paper"
)

// recallRoutes are the screens of reminders and recalls. Each names the permission that its
// service asks for. A run is made in three steps, each a page of its own that can be left:
// whom, how, and what came of it.
func (s *server) recallRoutes(in *gin.RouterGroup) {
	in.GET("/recalls", s.recalls)                              // recall-patients or call-patients
	in.GET("/recalls/new", s.newRecall)                        // recall-patients
	in.POST("/recalls", s.startRecall)                         // recall-patients
	in.GET("/recalls/texts", s.recallTexts)                    // recall-patients
	in.POST("/recalls/texts", s.setRecallText)                 // recall-patients
	in.POST("/recalls/settings", s.setRecallSettings)          // recall-patients
	in.GET("/recalls/:id", s.oneRecall)                        // recall-patients or call-patients
	in.POST("/recalls/:id/issue", s.issueRecall)               // recall-patients
	in.POST("/recalls/:id/drop", s.dropRecall)                 // recall-patients
	in.POST("/recalls/:id/again", s.sendAgain)                 // recall-patients
	in.GET("/recalls/:id/letters.pdf", s.recallLetters)        // recall-patients
	in.GET("/recalls/:id/postcards.pdf", s.recallPostcards)    // recall-patients
	in.GET("/recalls/:id/labels.pdf", s.recallLabels)          // recall-patients
	in.GET("/recalls/:id/merge.csv", s.recallMerge)            // recall-patients
	in.GET("/recalls/:id/calls", s.recallCalls)                // recall-patients or call-patients
	in.POST("/recalls/:id/calls/:patient", s.recordCall)       // call-patients
	in.GET("/cold-recalls/:id", s.coldRecall)                  // recall-patients or call-patients
	in.POST("/cold-recalls/:id/notices", s.startColdNotices)   // recall-patients
	in.POST("/cold-recalls/:id/people/:patient", s.setCold)    // recall-patients; reached: call-patients
	in.GET("/patients/:id/notices", s.patientNotices)          // call-patients
	in.POST("/patients/:id/agreements", s.agree)               // call-patients
	in.POST("/patients/:id/agreements/:agreement", s.disagree) // call-patients
	in.POST("/patients/:id/attempts", s.recordAttempt)         // call-patients
	in.POST("/patients/:id/lost", s.callLost)                  // recall-patients
}

type recallsPage struct {
	Runs      []recall.Run
	Colds     []recall.Cold
	MayRecall bool
}

// Count is how many people of a recall stand so.
func (recallsPage) Count(c recall.Cold, s string) int { return c.Counts[recall.ColdState(s)] }

// recalls lists what goes on.
func (s *server) recalls(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	p := recallsPage{MayRecall: who.Anywhere(auth.RecallPatients)}
	var err error
	if p.Runs, err = s.Recall.List(ctx, who); err == nil {
		p.Colds, err = s.Recall.Colds(ctx, who)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "recalls", &page{Title: "Reminders and recalls", Nav: "recalls", Path: "/recalls", Data: p})
}

type newRecallPage struct {
	Groups []string
	Ready  bool
}

func (s *server) newRecall(c *gin.Context) {
	set, err := s.Recall.Settings(c.Request.Context(), principal(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "recallnew", &page{Title: "New reminder or recall", Nav: "recalls", Data: newRecallPage{s.Immunizations.GroupNames(), set.Ready()}})
}

// formDays reads a number of days; an empty field is fallback.
func formDays(c *gin.Context, field, label string, fallback int) (int, error) {
	v := strings.TrimSpace(c.PostForm(field))
	if v == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a whole number of days.", label)
	}
	return n, nil
}

func (s *server) startRecall(c *gin.Context) {
	p := recall.Params{Mode: recall.Mode(c.PostForm("mode")), Groups: c.PostFormArray("group"), ZIPs: strings.FieldsFunc(c.PostForm("zip"), func(r rune) bool { return r == ',' || r == ' ' || r == ';' })}
	r, err := func() (recall.Run, error) {
		var err error
		for _, f := range []struct {
			field, label string
			fallback     int
			into         *int
		}{{"due_within", "Due within", 0, &p.DueWithin}, {"overdue_by", "Late by", 0, &p.OverdueBy}, {"not_within", "No notice within", 0, &p.NotWithin}, {"respond", "Answer within", 60, &p.Respond}} {
			if *f.into, err = formDays(c, f.field, f.label, f.fallback); err != nil {
				return recall.Run{}, err
			}
		}
		if err := s.formCohort(c, &p); err != nil {
			return recall.Run{}, err
		}
		return s.Recall.Start(c.Request.Context(), principal(c), p)
	}()
	if err != nil {
		s.done(c, "/recalls/new", "", err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/recalls/"+r.ID)
}

// formCohort reads birth dates, or ages, which are birth dates of today.
func (s *server) formCohort(c *gin.Context, p *recall.Params) (err error) {
	if p.BornFrom, err = formDate(c, "born_from", "Born from"); err != nil {
		return err
	}
	if p.BornTo, err = formDate(c, "born_to", "Born until"); err != nil {
		return err
	}
	now := s.Clock.Now().In(s.localZone(c))
	for _, f := range []struct {
		field, label string
		into         *coldkeep.Date
		more         int // months; who is at most 2 is younger than 3
		days         int
	}{{"age_from", "Age from", &p.BornTo, 0, 0}, {"age_to", "Age up to", &p.BornFrom, 1, 1}} {
		v := strings.TrimSpace(c.PostForm(f.field))
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 1400 {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want a whole number.", f.label)
		}
		months := n + f.more
		if c.PostForm(f.field+"_unit") == "years" {
			months = (n + f.more) * 12
		}
		if f.into.Known() {
			return coldkeep.Errorf(coldkeep.EINVALID, "Give an age or a birth date, not both.")
		}
		*f.into = coldkeep.DateOf(now.AddDate(0, -months, f.days))
	}
	return nil
}

type recallPage struct {
	dates
	recall.View
	MayRecall bool
	Reasons   []reasonRow
	LeftOut   int
	Choices   []channelChoice
	Percent   int
	Unsure    int
	Waiting   int // messages that wait
	Stocks    []paper.Stock
	ColdRun   *recall.Cold
}

type reasonRow struct {
	Title string
	N     int
}

type channelChoice struct {
	Channel recall.Channel
	N       int
	Not     string // why it cannot be chosen
}

func (s *server) oneRecall(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	v, err := s.Recall.Get(ctx, who, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	p := recallPage{View: v, MayRecall: who.May(auth.RecallPatients, v.Site), Stocks: paper.Stocks(), Percent: min(100*v.Looked/max(v.Expected, 1), 100)}
	for _, r := range recall.Reasons() {
		if n := v.Reasons[r]; n > 0 {
			p.Reasons = append(p.Reasons, reasonRow{r.Title(), n})
			p.LeftOut += n
		}
	}
	for _, ch := range recall.Channels() {
		o := channelChoice{Channel: ch, N: v.ByChannel[ch]}
		switch {
		case !s.Recall.Carries(ch):
			o.Not = "not set up here"
		case o.N == 0:
			o.Not = "reaches nobody"
		}
		p.Choices = append(p.Choices, o)
	}
	for _, t := range v.Tallies {
		p.Unsure += t.States[recall.Unsure]
		p.Waiting += t.States[recall.Pending] + t.States[recall.Sending]
	}
	if v.Cold != "" {
		all, err := s.Recall.Colds(ctx, who)
		if err != nil {
			s.fail(c, err)
			return
		}
		if i := slices.IndexFunc(all, func(k recall.Cold) bool { return k.ID == v.Cold }); i >= 0 {
			p.ColdRun = &all[i]
		}
	}
	if v.Busy() {
		c.Header("Refresh", "2") // shows how far it is, also without scripts
	}
	s.render(c, http.StatusOK, "recall", &page{Title: "Reminder or recall", Nav: "recalls", Data: p})
}

// ToTell is how many people are to be told.
func (p recallPage) ToTell() int { return p.View.Reasons[recall.Told] }

// Rate is a share in per cent.
func (recallPage) Rate(n, of int) string {
	if of == 0 {
		return "–"
	}
	return strconv.Itoa((100*n+of/2)/of) + " %"
}

// Has reports whether notices were made by a channel.
func (p recallPage) Has(ch string) bool {
	return slices.ContainsFunc(p.Tallies, func(t recall.Tally) bool { return string(t.Channel) == ch && t.States[recall.Paper] > 0 })
}

func (s *server) issueRecall(c *gin.Context) {
	id := c.Param("id")
	err := func() error {
		round, err := formNumber(c, "round")
		if err != nil {
			return err
		}
		var channels []recall.Channel
		for _, ch := range c.PostFormArray("channel") {
			channels = append(channels, recall.Channel(ch))
		}
		return s.Recall.Issue(c.Request.Context(), principal(c), id, round, channels)
	}()
	s.done(c, "/recalls/"+id, "The notices are being made.", err)
}

func (s *server) dropRecall(c *gin.Context) {
	err := s.Recall.Drop(c.Request.Context(), principal(c), c.Param("id"))
	s.done(c, "/recalls", "The run has been given up. Nobody was told anything.", err)
}

func (s *server) sendAgain(c *gin.Context) {
	n, err := s.Recall.AgainAll(c.Request.Context(), principal(c), c.Param("id"))
	s.done(c, "/recalls/"+c.Param("id"), plural(n, "message")+" will be sent again.", err)
}

// printed answers with a file of a run's notices.
func (s *server) printed(c *gin.Context, ch recall.Channel, as, name, media string, build func(*recall.Material) ([]byte, error)) {
	round, err := strconv.Atoi(c.DefaultQuery("round", "0"))
	if err != nil || round < 0 {
		round = 0
	}
	m, err := s.Recall.Print(c.Request.Context(), principal(c), c.Param("id"), ch, round, as)
	if err == nil && len(m.Sheets) == 0 {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is nothing to print: no such notice was made, or meanwhile there is a reason not to send it.")
	}
	var b []byte
	if err == nil {
		b, err = build(&m)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Content-Disposition", `attachment; filename="`+name+`"`)
	c.Data(http.StatusOK, media, b)
}

func (s *server) recallLetters(c *gin.Context) {
	s.printed(c, recall.Letter, "letters", "letters.pdf", "application/pdf", paper.Letters)
}

func (s *server) recallPostcards(c *gin.Context) {
	s.printed(c, recall.Postcard, "postcards", "postcards.pdf", "application/pdf", paper.Postcards)
}

func (s *server) recallLabels(c *gin.Context) {
	ch := recall.Letter
	if c.Query("of") == string(recall.Postcard) {
		ch = recall.Postcard
	}
	skip, err := strconv.Atoi(c.DefaultQuery("skip", "0"))
	if err != nil {
		skip = -1
	}
	s.printed(c, ch, "labels", "labels.pdf", "application/pdf", func(m *recall.Material) ([]byte, error) {
		return paper.Labels(m, c.DefaultQuery("stock", "5160"), skip)
	})
}

func (s *server) recallMerge(c *gin.Context) {
	s.printed(c, recall.Letter, "mail merge", "mail-merge.csv", "text/csv; charset=utf-8", paper.Merge)
}

type callsPage struct {
	dates
	recall.Material
	Results []struct {
		Result recall.Result
		Title  string
	}
}

// ResultTitle is a result in words.
func (callsPage) ResultTitle(r recall.Result) string {
	for _, k := range recall.Results() {
		if k.Result == r {
			return k.Title
		}
	}
	return string(r)
}

func (s *server) recallCalls(c *gin.Context) {
	m, err := s.Recall.Print(c.Request.Context(), principal(c), c.Param("id"), recall.Phone, 0, "calls")
	if err != nil {
		s.fail(c, err)
		return
	}
	p := callsPage{Material: m}
	for _, r := range recall.Results() {
		if r.Result != recall.Returned {
			p.Results = append(p.Results, r)
		}
	}
	s.render(c, http.StatusOK, "recallcalls", &page{Title: "Calls", Nav: "recalls", Data: p})
}

func (s *server) recordCall(c *gin.Context) {
	run, id := c.Param("id"), c.Param("patient")
	err := s.Recall.Try(c.Request.Context(), principal(c), id, recall.Attempt{Run: run, Channel: recall.Phone, Result: recall.Result(c.PostForm("result")), Address: c.PostForm("number"), Note: c.PostForm("note")})
	s.done(c, "/recalls/"+run+"/calls#p-"+id, "The call has been recorded.", err)
}

type textsPage struct {
	recall.Settings
	Texts []recall.Text
}

// Clock is minutes of a day as a form shows them.
func (textsPage) Clock(m int) string {
	return pad(m/60) + ":" + pad(m%60)
}

func pad(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func (s *server) recallTexts(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	set, err := s.Recall.Settings(ctx, who)
	var p textsPage
	if err == nil {
		p.Settings = set
		p.Texts, err = s.Recall.Texts(ctx, who)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "recalltexts", &page{Title: "Notices: sender and texts", Nav: "recalls", Path: "/recalls/texts", Data: p})
}

func (s *server) setRecallText(c *gin.Context) {
	rev, err := strconv.ParseInt(c.PostForm("revision"), 10, 64)
	if err != nil {
		rev = -1
	}
	t := recall.Text{Kind: recall.TextKind(c.PostForm("kind")), Language: c.PostForm("language"), Revision: rev, Subject: c.PostForm("subject"), Body: c.PostForm("body")}
	s.done(c, "/recalls/texts#t-"+string(t.Kind)+"-"+t.Language, "The text is in force.", s.Recall.SetText(c.Request.Context(), principal(c), t))
}

func (s *server) setRecallSettings(c *gin.Context) {
	err := func() error {
		v := recall.Settings{Name: c.PostForm("name"), Street: c.PostForm("street"), City: c.PostForm("city"), State: c.PostForm("state"), ZIP: c.PostForm("zip"), Phone: c.PostForm("phone"), Email: c.PostForm("email")}
		var err error
		for field, into := range map[string]*int{"begin": &v.Begin, "end": &v.End} {
			h, m, ok := strings.Cut(c.PostForm(field), ":")
			hours, e1 := strconv.Atoi(h)
			minutes, e2 := strconv.Atoi(m)
			if !ok || e1 != nil || e2 != nil || minutes > 59 || minutes < 0 {
				return coldkeep.Errorf(coldkeep.EINVALID, "Hours: want times such as 09:00.")
			}
			*into = hours*60 + minutes
		}
		if v.PerHour, err = formNumber(c, "per_hour"); err != nil {
			return err
		}
		if v.Revision, err = strconv.ParseInt(c.PostForm("revision"), 10, 64); err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "Revision: want a whole number.")
		}
		return s.Recall.SetSettings(c.Request.Context(), principal(c), v)
	}()
	s.done(c, "/recalls/texts", "It has been recorded.", err)
}

// Hours is when messages go out.
func (p recallPage) Hours() string {
	return textsPage{}.Clock(p.Settings.Begin) + " and " + textsPage{}.Clock(p.Settings.End)
}
