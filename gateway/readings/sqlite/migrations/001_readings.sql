-- +goose Up
CREATE TABLE series (
    id    INTEGER PRIMARY KEY,
    site  TEXT NOT NULL,
    agent TEXT NOT NULL,
    probe TEXT NOT NULL,
    UNIQUE (site, agent, probe)
) STRICT;

CREATE TABLE epoch (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Temperatures in thousandths of a degree Celsius, times in ms since 1970 UTC.
-- The key holds the epoch last: two epochs may use one seq in one millisecond.
CREATE TABLE reading (
    series  INTEGER NOT NULL REFERENCES series (id),
    at      INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    epoch   INTEGER NOT NULL REFERENCES epoch (id),
    celsius INTEGER,
    raw     INTEGER,
    lo      INTEGER,
    hi      INTEGER,
    quality TEXT NOT NULL,
    PRIMARY KEY (series, at, seq, epoch)
) STRICT, WITHOUT ROWID;
