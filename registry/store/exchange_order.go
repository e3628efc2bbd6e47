package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

const orderColumns = `site, authority, number, dose, sent, deleted, said`

// orderSaid is the column said: times in milliseconds, and what was spoken of at each.
type orderSaid struct {
	Since     int64               `json:"since,omitempty"`
	Heard     []orderHeard        `json:"heard,omitempty"`
	Reactions []orderSaidReaction `json:"reactions,omitempty"`
}

type orderHeard struct {
	At int64  `json:"at"`
	Of string `json:"of"`
}

type orderSaidReaction struct {
	At    int64  `json:"at"`
	Event string `json:"event"`
}

func exchangeOrder(s scanner) (o exchange.Order, err error) {
	var sent, deleted int64
	var text string
	if err = s.Scan(&o.Site, &o.Authority, &o.Number, &o.Dose, &sent, &deleted, &text); err != nil {
		return o, err
	}
	o.Sent, o.Deleted = database.Time(sent), deleted != 0
	if text == "" { // it was heard of before more than the last message's time was kept
		o.Heard = immunization.HeardAll(o.Sent)
		return o, nil
	}
	var said orderSaid
	if err = json.Unmarshal([]byte(text), &said); err != nil {
		return o, err
	}
	if said.Since != 0 {
		o.Since = database.Time(said.Since)
	}
	o.Heard = immunization.Heard{}
	for _, h := range said.Heard {
		for name := range strings.FieldsSeq(h.Of) {
			o.Heard[name] = database.Time(h.At)
		}
	}
	for _, r := range said.Reactions {
		o.Reactions = append(o.Reactions, exchange.SaidReaction{Sent: database.Time(r.At), Event: r.Event})
	}
	return o, nil
}

func saidOf(o *exchange.Order) (string, error) {
	var said orderSaid
	if !o.Since.IsZero() {
		said.Since = database.Millis(o.Since)
	}
	at := map[int64][]string{}
	for name, t := range o.Heard {
		at[database.Millis(t)] = append(at[database.Millis(t)], name)
	}
	for _, t := range slices.Sorted(maps.Keys(at)) {
		slices.Sort(at[t])
		said.Heard = append(said.Heard, orderHeard{t, strings.Join(at[t], " ")})
	}
	for _, r := range o.Reactions {
		said.Reactions = append(said.Reactions, orderSaidReaction{database.Millis(r.Sent), r.Event})
	}
	text, err := json.Marshal(said)
	return string(text), err
}

func (r rows) OrderNumber(ctx context.Context, site coldkeep.SiteID, authority, number string) (exchange.Order, error) {
	return one(ctx, r.q, exchangeOrder, "There is no such order number.", `SELECT `+orderColumns+` FROM exchange_orders WHERE site = $1 AND authority = $2 AND number = $3`, string(site), authority, number)
}

func (r rows) OrderNumbersOf(ctx context.Context, site coldkeep.SiteID, doses []string) (map[string][]exchange.Order, error) {
	out := map[string][]exchange.Order{}
	for chunk := range slices.Chunk(doses, 500) {
		where, args := anyOf("dose", 2, chunk)
		all, err := list(ctx, r.q, exchangeOrder, `SELECT `+orderColumns+` FROM exchange_orders WHERE site = $1 AND dose <> '' AND `+where+` ORDER BY sent, authority, number`, append([]any{string(site)}, args...)...)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			out[o.Dose] = append(out[o.Dose], o)
		}
	}
	return out, nil
}

func (t *tx) PutOrderNumber(ctx context.Context, o exchange.Order) error {
	said, err := saidOf(&o)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO exchange_orders (`+orderColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (site, authority, number) DO UPDATE SET dose = excluded.dose, sent = excluded.sent, deleted = excluded.deleted, said = excluded.said`,
		string(o.Site), o.Authority, o.Number, o.Dose, database.Millis(o.Sent), flag(o.Deleted), said)
}
