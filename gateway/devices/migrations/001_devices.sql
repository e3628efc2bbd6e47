-- +goose Up
-- Times are ms since 1970-01-01 UTC on the collector's clock.

-- What each device was last told. body is its configuration with revision 0, ''
-- when it was taken back; the row stays, so that no revision is used twice.
CREATE TABLE devices_config (
    site       TEXT NOT NULL,
    agent      TEXT NOT NULL,
    revision   BIGINT NOT NULL,
    body       TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (site, agent)
);

-- How each device stood when that was last written down; heard_at 0 is never.
CREATE TABLE devices_seen (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    heard_at BIGINT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (site, agent)
);

-- Faults of devices, the latest revision of each. last_at is when it was last seen.
CREATE TABLE devices_fault (
    id       TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    is_open  BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    body     TEXT NOT NULL
);
CREATE INDEX devices_fault_by_device ON devices_fault (site, agent, kind, last_at);

-- Revisions of faults that have not been told yet.
CREATE TABLE devices_tell (
    id       TEXT NOT NULL,
    revision BIGINT NOT NULL,
    site     TEXT NOT NULL,
    at       BIGINT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (id, revision)
);

-- How far what others have raised was read.
CREATE TABLE devices_place (
    name TEXT PRIMARY KEY,
    at   BIGINT NOT NULL
);
