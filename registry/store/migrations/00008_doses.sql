-- +goose Up
-- What was given, told of or refused. Dates are ISO text, '' for none. A dose keeps the
-- patient it was recorded for, also when that record is merged into another.
CREATE TABLE doses (
    id           TEXT PRIMARY KEY,
    patient      TEXT NOT NULL REFERENCES patients (id),
    kind         TEXT NOT NULL,
    given        TEXT NOT NULL,
    cvx          TEXT NOT NULL,
    mvx          TEXT NOT NULL,
    ndc          TEXT NOT NULL,
    lot          TEXT NOT NULL,
    expires      TEXT NOT NULL,
    stock        TEXT NOT NULL,
    unit         TEXT NOT NULL,
    body_site    TEXT NOT NULL,
    route        TEXT NOT NULL,
    amount       TEXT NOT NULL,
    eligibility  TEXT NOT NULL,
    funding      TEXT NOT NULL,
    vis          TEXT NOT NULL,
    given_by     TEXT NOT NULL,
    ordered_by   TEXT NOT NULL,
    site         TEXT NOT NULL,
    source       TEXT NOT NULL,
    elsewhere    TEXT NOT NULL,
    refusal      TEXT NOT NULL,
    note         TEXT NOT NULL,
    non_viable   TEXT NOT NULL,
    duplicate_of TEXT NOT NULL,
    distinct_from TEXT NOT NULL,
    deleted_by   TEXT NOT NULL,
    deleted_at   BIGINT,
    deleted_why  TEXT NOT NULL,
    entered_by   TEXT NOT NULL,
    entered_site TEXT NOT NULL,
    entered_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);
CREATE INDEX doses_patient ON doses (patient, given);
CREATE INDEX doses_stock ON doses (stock, given) WHERE stock <> '';
CREATE INDEX doses_lot ON doses (lot, given) WHERE lot <> '';

-- What a dose was before a change, as JSON, with who changed it and why. The row of
-- revision n holds the value that revision n+1 replaced.
CREATE TABLE dose_history (
    dose     TEXT NOT NULL REFERENCES doses (id),
    revision BIGINT NOT NULL,
    value    TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    at       BIGINT NOT NULL,
    why      TEXT NOT NULL,
    PRIMARY KEY (dose, revision)
);

-- Each change of the doses of a stock line: a dose drawn or given back, a count, a
-- waste. on_hand is what stood there afterwards.
CREATE TABLE stock_journal (
    id      TEXT PRIMARY KEY,
    lot     TEXT NOT NULL REFERENCES lots (id),
    at      BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    doses   BIGINT NOT NULL,
    on_hand BIGINT NOT NULL,
    dose    TEXT NOT NULL,
    by_name TEXT NOT NULL,
    why     TEXT NOT NULL
);
CREATE INDEX stock_journal_lot ON stock_journal (lot, id);
