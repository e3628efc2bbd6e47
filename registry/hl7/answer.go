package hl7

import (
	"strconv"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

func itoa(n int) string { return strconv.Itoa(n) }

// response is what a query is answered with.
type response struct {
	profile guide.Profile
	ack     guide.Outcome
	status  guide.QueryStatus
	body    func(w *writer) // absent: nothing follows the query
}

func nothing(ack guide.Outcome, status guide.QueryStatus) response {
	return response{profile: guide.None, ack: ack, status: status}
}

// responder frames answers in the registry's name.
func (m *Messages) responder() *guide.Responder {
	return &guide.Responder{Application: guide.Authority{Namespace: m.us.Application}, Facility: guide.Authority{Namespace: m.us.Facility}, Organization: m.us.Facility,
		Now: m.clock.Now, NewID: func() string { return ulid.Make().String() }}
}

// acknowledge writes the answer to an update, or to what cannot be answered otherwise.
func (m *Messages) acknowledge(res *guide.Result, outcome guide.Outcome, found []guide.Finding) []byte {
	return m.responder().Ack(res, outcome, found).Bytes()
}

// respond writes the answer to a query.
func (m *Messages) respond(res *guide.Result, a response, found []guide.Finding) []byte {
	b := m.responder().Response(res, a.profile, a.status, a.ack, found)
	if a.body != nil {
		a.body(&writer{m: m, b: b, old: res.Guide == guide.Old})
	}
	return b.Bytes()
}
