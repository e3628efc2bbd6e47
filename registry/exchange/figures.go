package exchange

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// The measures of a sender's messages. Those of what updates tell are counted of updates
// that were looked at, whether they were kept or the sender is tested.
const (
	FigMessages = "messages"
	FigUpdates  = "updates"
	FigQueries  = "queries"
	FigTested   = "tested"   // of which nothing is kept because the sender is tested
	FigRepeated = "repeated" // that were kept before
	FigAA       = "outcome.AA"
	FigAE       = "outcome.AE"
	FigAR       = "outcome.AR"
	FigKept     = "kept"

	FigPatients     = "patients" // one an update
	FigNew          = "patients.new"
	FigMatched      = "patients.matched"
	FigPossible     = "patients.possible-duplicate"
	FigNoPhone      = "patients.no-phone"
	FigNoAddress    = "patients.no-address"
	FigNoRace       = "patients.no-race"
	FigNoEthnicity  = "patients.no-ethnicity"
	FigUnknownSex   = "patients.unknown-sex"
	FigChildren     = "children" // under 19
	FigNoGuardian   = "children.no-guardian"
	FigNoMother     = "children.no-mother"
	FigAnswered     = "queries.answered"   // with one record
	FigCandidates   = "queries.candidates" // with a list of people
	FigNobody       = "queries.nobody"
	FigDoses        = "doses"
	FigGiven        = "given" // by the sender's site
	FigHistorical   = "historical"
	FigRefused      = "refused"
	FigDeleted      = "deleted"
	FigDosesErred   = "doses.rejected"
	FigDeducted     = "given.deducted"
	FigNotDeducted  = "given.not-deducted"
	FigNoLot        = "given.no-lot"
	FigNoMaker      = "given.no-manufacturer"
	FigNoExpiry     = "given.no-expiry"
	FigNoGiver      = "given.no-provider"
	FigNoEligible   = "given.no-eligibility"
	FigNoVIS        = "given.no-vis"
	FigNoRoute      = "given.no-route-or-site"
	FigNoOrder      = "given.no-order-number"
	FigWithinDay    = "given.within-1-day" // between the dose and the message
	FigWithinWeek   = "given.within-7-days"
	FigWithinMonth  = "given.within-30-days"
	FigDaysToReport = "given.days-to-report" // the sum over all that were given

	findingPrefix = "finding|"
)

// count adds a message to its sender's figures.
func (s *Service) count(ctx context.Context, tx Tx, r Request, res Result, m *Message) error {
	n := map[string]int{FigMessages: 1}
	maps.Copy(n, res.Figures)
	switch {
	case r.Update:
		n[FigUpdates] = 1
	case r.Query:
		n[FigQueries] = 1
	}
	if m.Test {
		n[FigTested] = 1
	}
	if m.Kept {
		n[FigKept] = 1
	}
	n["outcome."+string(m.Outcome)] = 1
	for _, f := range m.Findings {
		if f.Code != "0" {
			n[findingPrefix+f.Severity+"|"+f.Code+"|"+f.Detail+"|"+f.Place+"|"+f.Rule]++
		}
	}
	return tx.AddExchangeFigures(ctx, m.Account, m.Site, coldkeep.DateOf(m.At), n)
}

// Report is how a sender's messages were in a span of days.
type Report struct {
	Account  string
	Name     string // "" of an account or person that is not there any more
	Site     coldkeep.SiteID
	Figures  map[string]int
	Findings []FindingCount // the commonest first
	Last     *time.Time     // when the last message came, at any time; absent: none has
}

// FindingCount is how often something was wrong.
type FindingCount struct {
	Severity, Code, Detail, Place, Rule string
	N                                   int
}

// Share is what part of a whole a measure is; -1 when there is no whole.
func (r *Report) Share(part, whole string) float64 {
	if r.Figures[whole] == 0 {
		return -1
	}
	return float64(r.Figures[part]) / float64(r.Figures[whole])
}

// Reports gives the figures of each sender of the own site, or of all, from a UTC day to
// another, both included: messages and their outcomes, the findings, how complete and how
// timely. Senders of which nothing came are among them. They hold counts alone. EFORBIDDEN
// unless by may read the exchange, EINVALID for days in the wrong order.
func (s *Service) Reports(ctx context.Context, by auth.Principal, from, to coldkeep.Date) ([]Report, error) {
	senders, err := s.Senders(ctx, by)
	if err != nil {
		return nil, err
	}
	if !from.Known() || !to.Known() || to < from {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "From and to: want two days, the earlier one first.")
	}
	last, err := s.store.LastExchangeMessages(ctx, by.Site)
	if err != nil {
		return nil, err
	}
	figures, err := s.store.ExchangeFigures(ctx, by.Site, from, to)
	if err != nil {
		return nil, err
	}
	type key struct {
		account string
		site    coldkeep.SiteID
	}
	at, out := map[key]int{}, []Report{}
	add := func(r Report) {
		if t, ok := last[r.Account]; ok {
			r.Last = &t
		}
		at[key{r.Account, r.Site}] = len(out)
		out = append(out, r)
	}
	names := map[string]string{}
	for _, x := range senders {
		names[x.Account] = x.Name
		add(Report{Account: x.Account, Name: x.Name, Site: x.Site, Figures: map[string]int{}})
	}
	for _, f := range figures {
		if by.Role == "" && f.Account != by.ID {
			continue
		}
		k := key{f.Account, f.Site}
		if _, ok := at[k]; !ok {
			add(Report{Account: f.Account, Name: names[f.Account], Site: f.Site, Figures: map[string]int{}})
		}
		r := &out[at[k]]
		if rest, ok := strings.CutPrefix(f.Measure, findingPrefix); ok {
			p := append(strings.Split(rest, "|"), "", "", "", "", "")
			r.Findings = append(r.Findings, FindingCount{p[0], p[1], p[2], p[3], p[4], f.N})
			continue
		}
		r.Figures[f.Measure] = f.N
	}
	for i := range out {
		slices.SortFunc(out[i].Findings, func(a, b FindingCount) int {
			return cmp.Or(b.N-a.N, strings.Compare(a.Severity+a.Code+a.Place+a.Rule, b.Severity+b.Code+b.Place+b.Rule))
		})
	}
	return out, nil
}
