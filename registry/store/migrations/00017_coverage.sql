-- +goose Up

-- Coverage is assessed over everybody who was born in a span, in the order of birth and id.
DROP INDEX patients_birth;
CREATE INDEX patients_birth ON patients (birth, id);

-- Whose patients a practice has, or had on an earlier day, and whom it has vaccinated.
CREATE INDEX patient_statuses_of ON patient_statuses (site, patient);
CREATE INDEX doses_site ON doses (site, patient) WHERE site <> '';

-- Measures that an administrator has added. A version never changes: results name the one
-- that they were made with. definition is JSON.
CREATE TABLE coverage_measures (
    id         TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    at         BIGINT NOT NULL,
    retired_by TEXT NOT NULL,
    retired_at BIGINT,
    PRIMARY KEY (id, version)
);

-- Assessments. asked is what was asked for, with the whole definitions of the measures, as
-- JSON: a result stays explainable when a measure has changed since. cutoff is the moment after
-- which nothing that was entered counts. One that is running is some process's as long as
-- beat_at is fresh; tries counts those that have begun it.
CREATE TABLE coverage_runs (
    id       TEXT PRIMARY KEY,
    site     TEXT NOT NULL,
    asked    TEXT NOT NULL,
    day      TEXT NOT NULL,
    cutoff   BIGINT NOT NULL,
    zone     TEXT NOT NULL,
    by_id    TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    at       BIGINT NOT NULL,
    state    TEXT NOT NULL,
    tries    BIGINT NOT NULL,
    worker   TEXT NOT NULL,
    beat_at  BIGINT NOT NULL,
    done     BIGINT NOT NULL,
    total    BIGINT NOT NULL,
    schedule TEXT NOT NULL,
    began_at BIGINT,
    ended_at BIGINT,
    ended_by TEXT NOT NULL,
    trouble  TEXT NOT NULL
);
CREATE INDEX coverage_runs_site ON coverage_runs (site, id);
CREATE INDEX coverage_runs_work ON coverage_runs (id) WHERE state IN ('waiting', 'running');

-- The counts of an assessment, n in their order; part '' is the measure as a whole. No person
-- is in it.
CREATE TABLE coverage_counts (
    run           TEXT NOT NULL REFERENCES coverage_runs (id),
    n             BIGINT NOT NULL,
    day           TEXT NOT NULL,
    dim           TEXT NOT NULL,
    value         TEXT NOT NULL,
    measure       TEXT NOT NULL,
    part          TEXT NOT NULL,
    people        BIGINT NOT NULL,
    valid         BIGINT NOT NULL,
    counted       BIGINT NOT NULL,
    valid_only    BIGINT NOT NULL,
    counted_only  BIGINT NOT NULL,
    near          BIGINT NOT NULL,
    near_counted  BIGINT NOT NULL,
    missed        BIGINT NOT NULL,
    visits        BIGINT NOT NULL,
    missed_visits BIGINT NOT NULL,
    PRIMARY KEY (run, n)
);

-- One row: the smallest number of people that is told to who may not see patients.
CREATE TABLE coverage_smallest (
    one     BIGINT PRIMARY KEY,
    n       BIGINT NOT NULL,
    by_name TEXT NOT NULL,
    at      BIGINT NOT NULL,
    why     TEXT NOT NULL
);
