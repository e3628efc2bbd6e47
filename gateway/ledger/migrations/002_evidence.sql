-- +goose Up
-- What proves the log: keys, seals, what was refused, what was found, and what
-- people have noted. Nothing here is ever changed but for the outcome of a check.

-- The keys that devices have shown. The first of a device is trusted on first use,
-- another only when a person says so.
CREATE TABLE device_key (
    site       TEXT NOT NULL,
    agent      TEXT NOT NULL,
    key        TEXT NOT NULL,
    pub        TEXT NOT NULL,
    trusted    BIGINT NOT NULL,
    trusted_by TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (site, agent, key)
);

-- at is the time of the sealed record as it came, 0 when it is not known. signed:
-- 0 the key is not known yet, 1 by a trusted key, 2 by one that is not trusted, 3 not
-- by the key it names.
-- chain: 0 not followed yet, 1 the records that came give h, 2 they do not, 3 some
-- are lost.
CREATE TABLE seal (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    sig         TEXT NOT NULL,
    oldest      BIGINT NOT NULL,
    hash        TEXT NOT NULL,
    key         TEXT NOT NULL,
    at          BIGINT NOT NULL,
    signed      BIGINT NOT NULL,
    chain       BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, seq, sig)
);
CREATE INDEX seal_unchecked ON seal (site, agent, epoch, seq) WHERE chain = 0 OR signed = 0;
CREATE INDEX seal_by_time ON seal (site, agent, epoch, at);

CREATE TABLE seal_refused (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    tries       BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    body        TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, seq)
);

-- Ranges whose seal was refused three times.
CREATE TABLE void_range (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    from_seq    BIGINT NOT NULL,
    to_seq      BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_seq, to_seq)
);

-- What was raised about a device's evidence, once each.
CREATE TABLE evidence_fault (
    site      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    epoch     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    raised_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, kind, subject)
);

-- What people have noted about stretches of a site's log. n counts from 1 a site,
-- and hash covers the annotation and the hash before it.
CREATE TABLE annotation (
    site     TEXT NOT NULL,
    n        BIGINT NOT NULL,
    agent    TEXT NOT NULL,
    probe    TEXT NOT NULL,
    from_at  BIGINT NOT NULL,
    to_at    BIGINT NOT NULL,
    epoch    TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT NOT NULL,
    person   TEXT NOT NULL,
    why      TEXT NOT NULL,
    noted_at BIGINT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (site, n)
);
