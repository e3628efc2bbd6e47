// Package transport says how the registry client's parcels reach a registry. REST
// to our own registry is one way; a file drop for a state's portal or a WHO DS01
// delivery would be others. Each passes the suite in transporttest.
package transport

import (
	"context"
	"time"
)

// Verdict is what a registry made of a parcel.
type Verdict int

// The verdicts. A parcel that got none (an error in place of an Answer) is sent
// again, unchanged.
const (
	// Accepted: the registry has it and keeps it.
	Accepted Verdict = iota + 1
	// Refused: it never will be accepted as it is.
	Refused
	// Busy: the registry asks to come again later.
	Busy
	// Unauthorized: it is we who are refused, not the parcel. Nothing gets through
	// until somebody mends the credentials.
	Unauthorized
)

// Answer is a registry's word on a parcel.
type Answer struct {
	Verdict Verdict
	Body    []byte        // what it said, when Accepted
	Reason  string        // why, otherwise; for the log and for people
	After   time.Duration // when Busy: how long it asks to be left alone, 0 when it does not say
}

// Transport carries parcels to one registry.
type Transport interface {
	// Post hands over one parcel: body to the place that path names in the contract
	// between collector and registry, such as "/api/v1/excursions". The same key
	// always comes with the same body, and a receiver that knows the key does nothing
	// a second time. An error means that it is not known whether the parcel arrived:
	// the registry is away, slow, cut off, or something else answers in its place. It
	// holds no secret. Post returns soon after ctx ends.
	Post(ctx context.Context, path, key string, body []byte) (Answer, error)
}
