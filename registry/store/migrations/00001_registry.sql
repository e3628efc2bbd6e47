-- +goose Up

-- One row. Every change of what the collector mirrors adds one to the revision in
-- its own transaction, so revisions commit in the order of their numbers.
CREATE TABLE mirror (
    one      BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO mirror (one, revision) VALUES (1, 1);

CREATE TABLE sites (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    vfc_pin   TEXT NOT NULL,
    time_zone TEXT NOT NULL
);

CREATE TABLE people (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    username      TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    site          TEXT REFERENCES sites (id),
    password_hash TEXT NOT NULL,
    active        BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    locked_until  BIGINT,
    created_at    BIGINT NOT NULL
);

CREATE TABLE sessions (
    token   TEXT PRIMARY KEY,
    data    BYTEA NOT NULL,
    expires BIGINT NOT NULL
);

CREATE TABLE accounts (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    token_sha256 TEXT NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    revoked      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE devices (
    site          TEXT NOT NULL REFERENCES sites (id),
    agent         TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    revoked       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (site, agent)
);

-- turn is a lock both engines know: a transaction that decides which lots stood in
-- a unit, or moves one, first writes it, and others wait for its commit.
CREATE TABLE appliances (
    id         TEXT PRIMARY KEY,
    site       TEXT NOT NULL REFERENCES sites (id),
    name       TEXT NOT NULL,
    unit       TEXT NOT NULL,
    profile    TEXT NOT NULL,
    in_service BIGINT NOT NULL,
    turn       BIGINT NOT NULL
);

CREATE TABLE assignments (
    id        TEXT PRIMARY KEY,
    site      TEXT NOT NULL REFERENCES sites (id),
    agent     TEXT NOT NULL,
    probe     TEXT NOT NULL,
    appliance TEXT NOT NULL REFERENCES appliances (id),
    from_at   BIGINT NOT NULL,
    to_at     BIGINT
);
CREATE INDEX assignments_series ON assignments (site, agent, probe);

CREATE TABLE on_call (
    site           TEXT PRIMARY KEY REFERENCES sites (id),
    webhooks       TEXT NOT NULL,
    emails         TEXT NOT NULL,
    repeat_after_s BIGINT NOT NULL
);

-- Every revision is kept; latest marks the one that is shown.
CREATE TABLE intervals (
    appliance   TEXT NOT NULL REFERENCES appliances (id),
    probe       TEXT NOT NULL,
    from_at     BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    latest      BIGINT NOT NULL,
    to_at       BIGINT NOT NULL,
    min_mc      BIGINT,
    min_at      BIGINT,
    max_mc      BIGINT,
    max_at      BIGINT,
    mean_mc     BIGINT,
    readings    BIGINT NOT NULL,
    gap_s       BIGINT NOT NULL,
    fault_s     BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (appliance, probe, from_at, revision)
);
CREATE INDEX intervals_time ON intervals (appliance, from_at);

CREATE TABLE excursions (
    id          TEXT NOT NULL,
    revision    BIGINT NOT NULL,
    latest      BIGINT NOT NULL,
    site        TEXT NOT NULL REFERENCES sites (id),
    appliance   TEXT NOT NULL REFERENCES appliances (id),
    probe       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    rule        TEXT NOT NULL,
    profile     TEXT NOT NULL,
    start_at    BIGINT NOT NULL,
    end_at      BIGINT,
    peak_at     BIGINT NOT NULL,
    extreme_mc  BIGINT,
    minutes_out DOUBLE PRECISION NOT NULL,
    actions     TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (id, revision)
);
CREATE INDEX excursions_appliance ON excursions (appliance, start_at);

CREATE TABLE appliance_status (
    appliance   TEXT PRIMARY KEY REFERENCES appliances (id),
    probe       TEXT NOT NULL,
    at          BIGINT,
    celsius_mc  BIGINT,
    quality     TEXT NOT NULL,
    state       TEXT NOT NULL,
    since       BIGINT NOT NULL,
    online      BIGINT NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE TABLE lots (
    id            TEXT PRIMARY KEY,
    site          TEXT NOT NULL REFERENCES sites (id),
    lot           TEXT NOT NULL,
    product       TEXT NOT NULL,
    cvx           TEXT NOT NULL,
    ndc           TEXT NOT NULL,
    mvx           TEXT NOT NULL,
    expires       TEXT NOT NULL,
    funding       TEXT NOT NULL,
    doses_on_hand BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX lots_site ON lots (site, lot);

-- Where a lot stood. The open span of a lot is the one without an end.
CREATE TABLE placements (
    id        TEXT PRIMARY KEY,
    lot       TEXT NOT NULL REFERENCES lots (id),
    appliance TEXT NOT NULL REFERENCES appliances (id),
    from_at   BIGINT NOT NULL,
    to_at     BIGINT
);
CREATE INDEX placements_lot ON placements (lot);
CREATE INDEX placements_appliance ON placements (appliance, from_at);

-- until_at is when the excursion behind the hold was over; a lot put into the unit
-- later was not touched by it.
CREATE TABLE holds (
    id         TEXT PRIMARY KEY,
    excursion  TEXT NOT NULL UNIQUE,
    site       TEXT NOT NULL REFERENCES sites (id),
    appliance  TEXT NOT NULL REFERENCES appliances (id),
    since      BIGINT NOT NULL,
    until_at   BIGINT,
    reason     TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX holds_appliance ON holds (appliance);

CREATE TABLE hold_lots (
    hold       TEXT NOT NULL REFERENCES holds (id),
    lot        TEXT NOT NULL REFERENCES lots (id),
    state      TEXT NOT NULL,
    joined_as  TEXT NOT NULL,
    joined_at  BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at BIGINT,
    reason     TEXT NOT NULL,
    PRIMARY KEY (hold, lot)
);
CREATE INDEX hold_lots_lot ON hold_lots (lot);

CREATE TABLE proposals (
    id         TEXT PRIMARY KEY,
    hold       TEXT NOT NULL REFERENCES holds (id),
    action     TEXT NOT NULL,
    since      BIGINT,
    reason     TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at BIGINT,
    decision   TEXT NOT NULL
);
CREATE INDEX proposals_hold ON proposals (hold);

CREATE TABLE audit (
    id      TEXT PRIMARY KEY,
    at      BIGINT NOT NULL,
    who_id  TEXT NOT NULL,
    who     TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    site    TEXT NOT NULL,
    why     TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);

-- A row without a status is a call that has been begun and not answered.
CREATE TABLE idempotency (
    account TEXT NOT NULL,
    key     TEXT NOT NULL,
    request TEXT NOT NULL,
    status  BIGINT,
    answer  BYTEA,
    at      BIGINT NOT NULL,
    PRIMARY KEY (account, key)
);
