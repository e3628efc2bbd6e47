-- +goose Up

-- How far the feed has been dealt with, and the last number given to a parcel. Its
-- one row moves in the transaction of what was done with the entry.
CREATE TABLE registry_cursor (
    id     BIGINT PRIMARY KEY,
    n      BIGINT NOT NULL,
    parcel BIGINT NOT NULL
);

-- What the registry has yet to hear, in order. A parcel that it has accepted is
-- gone from here; one that it refuses stays and says why.
CREATE TABLE registry_outbox (
    n          BIGINT PRIMARY KEY,
    kind       TEXT   NOT NULL, -- interval, excursion, hold, proposal
    path       TEXT   NOT NULL,
    key        TEXT   NOT NULL, -- idempotency key; '' until an interval is in a batch
    batch      BIGINT,          -- of intervals that go in one call: n of the first
    body       TEXT   NOT NULL, -- JSON
    state      TEXT   NOT NULL, -- pending, refused
    attempts   BIGINT NOT NULL,
    last_error TEXT   NOT NULL,
    at         BIGINT NOT NULL  -- when its change was decided
);
CREATE INDEX registry_outbox_by_state ON registry_outbox (state, n);

-- The holds that were asked for.
CREATE TABLE registry_hold (
    excursion TEXT   PRIMARY KEY,
    id        TEXT   NOT NULL UNIQUE,
    appliance TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    revision  BIGINT NOT NULL, -- latest revision seen
    released  BIGINT NOT NULL  -- 1 when its release has been proposed
);

-- The latest mirror, so that the collector works while the registry is away.
CREATE TABLE registry_mirror (
    id   BIGINT PRIMARY KEY,
    body TEXT   NOT NULL
);
