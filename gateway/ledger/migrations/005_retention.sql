-- +goose Up
-- What may go when the time for which it must be kept is over.

-- How far each epoch had come when that was noted, about once a month, by the
-- collector's clock. A record is as old as its first mark, whatever its own time says.
CREATE TABLE arrived (
    site  TEXT NOT NULL,
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    at    BIGINT NOT NULL,
    seq   BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch, at)
);

-- Before when a device's readings were let go. gone is 1 when the readings store has
-- removed them.
CREATE TABLE let_go (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    before   BIGINT NOT NULL,
    noted_at BIGINT NOT NULL,
    gone     BIGINT NOT NULL,
    PRIMARY KEY (site, agent)
);

-- Up to which record, of an epoch; a proof begins after it.
CREATE TABLE let_go_epoch (
    site  TEXT NOT NULL,
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq   BIGINT NOT NULL,
    PRIMARY KEY (site, agent, epoch)
);
