-- +goose Up
-- The judge follows appliances, with all their probes together; what it had of single
-- probes can be derived anew.
DROP TABLE checkpoint;

-- A state after all samples up to at; history is the fingerprint of what was known
-- then of which probe stood in the appliance when.
CREATE TABLE appliance_checkpoint (
    appliance TEXT NOT NULL,
    rules     TEXT NOT NULL,
    at        BIGINT NOT NULL,
    history   TEXT NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (appliance, rules, at)
);

CREATE INDEX event_by_time ON event (site, agent, at);
