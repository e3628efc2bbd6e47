package hl7

import (
	"context"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// query finds whom a query asks for and answers it. A record that is locked to the asker is
// answered as if it were not there.
func (m *Messages) query(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, res *guide.Result) (exchange.Result, error) {
	q := res.Query
	out := exchange.Result{Figures: map[string]int{}}
	refuse := func(a response, f guide.Finding) (exchange.Result, error) {
		all := slices.Concat(res.Findings, []guide.Finding{f})
		out.Trail = []audit.Entry{m.people.AskRefused(by)}
		out.Outcome, out.Findings, out.Answer = exchange.Outcome(a.ack), findings(all), m.respond(res, a, all)
		return out, nil
	}
	if err := by.Require(auth.ExchangeRecords, by.Site); err != nil {
		return refuse(nothing(guide.AE, "AE"), allowed(err))
	}
	p, ours, _ := m.person(r, &q.Person)
	got, err := m.people.AskTold(ctx, tx, by, patient.Asked{Patient: p, Ours: ours, Limit: q.Limit, Strict: q.Forecast, Test: r.Test})
	switch coldkeep.ErrorCode(err) {
	case "":
	case coldkeep.EINVALID:
		f, _ := refusal(err, asked(res))
		f.Code, f.AppCode, f.Rule = guide.RequiredFieldMissing, guide.RequiredMissing, "too-broad"
		return refuse(nothing(guide.AE, "AE"), f)
	case coldkeep.EFORBIDDEN:
		return refuse(nothing(guide.AE, "AE"), allowed(err))
	case coldkeep.ETOOMANY: // a cause that has nothing to do with what it says
		f := guide.Finding{Severity: guide.Error, Code: guide.InternalError, Rule: "too-often", Text: coldkeep.ErrorMessage(err)}
		out.Trail = []audit.Entry{m.people.AskRefused(by)}
		all := []guide.Finding{f}
		out.Outcome, out.Findings, out.Answer = exchange.Rejected, findings(all), m.acknowledge(res, guide.AR, all)
		return out, nil
	default:
		return out, err
	}
	a, err := m.answer(ctx, tx, by, r, q, got, &out)
	if err != nil {
		return out, err
	}
	a.ack = res.Outcome
	all := res.Findings
	if r.Test {
		all = append(slices.Clone(all), testedQuery)
	}
	out.Commit, out.Outcome, out.Findings = true, exchange.Outcome(a.ack), findings(all)
	out.Answer = m.respond(res, a, all)
	return out, nil
}

// testedQuery is what comes with the answer to a query of a sender that is being tested, or
// that says itself that it is a test (MSH-11): nobody has agreed yet that it may see people.
var testedQuery = guide.Finding{Severity: guide.Information, Code: guide.Accepted, Rule: "tested",
	Text: "This was a test: the query was looked at, and nobody was looked for. Queries are answered with people's records once the sender is in production."}

// answer is what a query that was understood is answered with.
func (m *Messages) answer(ctx context.Context, tx exchange.Tx, by auth.Principal, r *exchange.Request, q *guide.Query, got patient.Answered, out *exchange.Result) (response, error) {
	switch got.Reply {
	case patient.ReplyOne:
		v, err := m.doses.ViewTold(ctx, tx, by, got.Person.ID)
		if err != nil {
			return response{}, err
		}
		orders, err := m.orders(ctx, tx, r, v)
		out.Patient, out.Figures[exchange.FigAnswered] = got.Person.ID, 1
		if q.Forecast {
			return response{profile: guide.Evaluated, status: guide.OK, body: func(w *writer) {
				w.pid(&got.Person, r.Site, r.Facility)
				w.evaluated(v, orders)
			}}, err
		}
		return response{profile: guide.History, status: guide.OK, body: func(w *writer) {
			w.pid(&got.Person, r.Site, r.Facility)
			w.pd1(&got.Person, r.Site)
			w.history(v, orders)
		}}, err
	case patient.ReplySome:
		out.Figures[exchange.FigCandidates], out.Fleeting = 1, true
		return response{profile: guide.Candidates, status: guide.OK, body: func(w *writer) {
			for i := range got.Faces {
				w.face(i+1, &got.Faces[i])
			}
		}}, nil
	case patient.ReplyTooMany:
		out.Figures[exchange.FigNobody] = 1
		return nothing("", guide.TooMany), nil
	}
	out.Figures[exchange.FigNobody] = 1
	return nothing("", guide.NotFound), nil
}

// asked is the place of a query's words.
func asked(res *guide.Result) er7.Location {
	for _, s := range res.Echo {
		if s.Name == "QPD" || s.Name == "QRD" {
			return s.At(0)
		}
	}
	return er7.Location{}
}
