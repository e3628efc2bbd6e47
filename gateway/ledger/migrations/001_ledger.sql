-- +goose Up
-- Times are ms since 1970-01-01 UTC; ranges of seq include both ends.

CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    n    BIGINT NOT NULL
);
INSERT INTO counter (name, n) VALUES ('feed', 0);

-- What is known of a device, from its status topic and its batches.
CREATE TABLE agent (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    online      BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    status      TEXT NOT NULL,
    PRIMARY KEY (site, agent)
);

-- Which records of an epoch are dealt with: stored, quarantined or lost.
CREATE TABLE seq_range (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_seq)
);

-- Records that the device no longer had before they were stored: gaps for ever.
CREATE TABLE lost (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    from_seq    BIGINT NOT NULL,
    to_seq      BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_seq)
);

-- Clock state and configuration under which records were written: with the
-- readings, what the evidence chain is computed from.
CREATE TABLE stamp (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT NOT NULL,
    clock    TEXT NOT NULL,
    cfg      BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_seq)
);

CREATE TABLE event (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    probe       TEXT NOT NULL,
    event       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, seq)
);

-- Records that could not be stored as what they claim to be, under their seq.
CREATE TABLE quarantine (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    body        BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, seq)
);

-- Payloads that could not be read at all: the latest of each device.
CREATE TABLE bad_payload (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    n           BIGINT NOT NULL,
    topic       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    body        BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, n)
);

-- Stored readings that nobody has judged yet: from when on. gen tells the judge
-- whether more came while it worked.
CREATE TABLE unjudged (
    site    TEXT NOT NULL,
    agent   TEXT NOT NULL,
    probe   TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    gen     BIGINT NOT NULL,
    PRIMARY KEY (site, agent, probe)
);

-- Quarter hours of the temperature log that have changed since they were told.
CREATE TABLE unlogged (
    site    TEXT NOT NULL,
    agent   TEXT NOT NULL,
    probe   TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    gen     BIGINT NOT NULL,
    PRIMARY KEY (site, agent, probe, from_at)
);

CREATE TABLE logged (
    appliance TEXT NOT NULL,
    probe     TEXT NOT NULL,
    from_at   BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (appliance, probe, from_at)
);

-- The excursion engine's state after the sample of (at, seq).
CREATE TABLE checkpoint (
    site      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    probe     TEXT NOT NULL,
    appliance TEXT NOT NULL,
    rules     TEXT NOT NULL,
    at        BIGINT NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (site, agent, probe, appliance, rules, at)
);

-- The latest revision of each excursion; excursion_revision has them all.
CREATE TABLE excursion (
    id        TEXT PRIMARY KEY,
    revision  BIGINT NOT NULL,
    probe     TEXT NOT NULL,
    appliance TEXT NOT NULL,
    start_at  BIGINT NOT NULL,
    end_at    BIGINT,
    state     TEXT NOT NULL,
    judged_at BIGINT NOT NULL,
    body      TEXT NOT NULL
);
CREATE INDEX excursion_by_appliance ON excursion (appliance, start_at);

CREATE TABLE excursion_revision (
    id       TEXT NOT NULL,
    revision BIGINT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (id, revision)
);

-- What alerts and the registry must hear, in order.
CREATE TABLE feed (
    n    BIGINT PRIMARY KEY,
    at   BIGINT NOT NULL,
    body TEXT NOT NULL
);
