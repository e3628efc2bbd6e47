-- +goose Up
-- What messages have said of a dose under an order number, so that they may come in any
-- order: JSON of when the last one was made that spoke of each thing ("heard"), since when
-- ("since"), and the reactions they told of. '' of one that was heard of before: its last
-- message counts as having spoken of everything.
ALTER TABLE exchange_orders ADD COLUMN said TEXT NOT NULL DEFAULT '';
