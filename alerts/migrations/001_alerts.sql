-- +goose Up

-- How far the feed has been dealt with. Its one row moves in the transaction of
-- what was done with the entry.
CREATE TABLE alert_cursor (
    id BIGINT PRIMARY KEY,
    n  BIGINT NOT NULL
);

CREATE TABLE alert (
    id              TEXT   PRIMARY KEY,
    excursion       TEXT   NOT NULL UNIQUE, -- one alert an excursion
    revision        BIGINT NOT NULL,        -- latest seen
    site            TEXT   NOT NULL,
    appliance       TEXT   NOT NULL,
    body            TEXT   NOT NULL,        -- the excursion's latest revision, JSON
    state           TEXT   NOT NULL,        -- open, acknowledged
    raised_at       BIGINT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT   NOT NULL,
    note            TEXT   NOT NULL,
    told_at         BIGINT NOT NULL,        -- last telling, or the last look for somebody to tell
    told_state      TEXT   NOT NULL,        -- state of the excursion at the last telling
    tellings        BIGINT NOT NULL,        -- tellings that went to anybody
    targets         BIGINT NOT NULL         -- how many the last one went to
);
CREATE INDEX alert_by_state ON alert (state, site, raised_at);

-- What each stage of the pipeline decided about each revision and repetition.
CREATE TABLE alert_decision (
    id        TEXT   PRIMARY KEY,
    excursion TEXT   NOT NULL,
    revision  BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    stage     TEXT   NOT NULL,
    decision  TEXT   NOT NULL,
    reason    TEXT   NOT NULL
);
CREATE INDEX alert_decision_by_excursion ON alert_decision (excursion, id);

-- One telling to one target. The body is fixed when the row is made: the id is
-- what the receiver knows a repetition by.
CREATE TABLE alert_delivery (
    id      TEXT   PRIMARY KEY,
    alert   TEXT   NOT NULL REFERENCES alert (id),
    telling BIGINT NOT NULL,
    event   TEXT   NOT NULL,
    channel TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    body    TEXT   NOT NULL,
    state   TEXT   NOT NULL, -- pending, delivered, refused, superseded, expired
    reason  TEXT   NOT NULL
);
CREATE INDEX alert_delivery_by_state ON alert_delivery (state, id);
CREATE INDEX alert_delivery_by_alert ON alert_delivery (alert, id);

CREATE TABLE alert_attempt (
    delivery TEXT   NOT NULL REFERENCES alert_delivery (id),
    n        BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    took_ms  BIGINT NOT NULL,
    outcome  TEXT   NOT NULL, -- delivered, failed, refused
    reason   TEXT   NOT NULL,
    PRIMARY KEY (delivery, n)
);
