-- +goose Up
-- What is true of a patient and bears on vaccination.
CREATE TABLE facts (
    id         TEXT PRIMARY KEY,
    patient    TEXT NOT NULL REFERENCES patients (id),
    kind       TEXT NOT NULL,
    code       TEXT NOT NULL,
    title      TEXT NOT NULL,
    from_on    TEXT NOT NULL,
    until_on   TEXT NOT NULL,
    basis      TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    site       TEXT NOT NULL,
    at         BIGINT NOT NULL,
    ended_by   TEXT NOT NULL,
    ended_at   BIGINT,
    ended_why  TEXT NOT NULL
);
CREATE INDEX facts_patient ON facts (patient);

-- Adverse events after vaccination. The items of the VAERS form are JSON.
CREATE TABLE reactions (
    id        TEXT PRIMARY KEY,
    patient   TEXT NOT NULL REFERENCES patients (id),
    items     TEXT NOT NULL,
    by_name   TEXT NOT NULL,
    site      TEXT NOT NULL,
    at        BIGINT NOT NULL,
    ended_by  TEXT NOT NULL,
    ended_at  BIGINT,
    ended_why TEXT NOT NULL
);
CREATE INDEX reactions_patient ON reactions (patient);

-- vaccine_groups is a JSON list of CDC's names; [] covers all.
CREATE TABLE exemptions (
    id             TEXT PRIMARY KEY,
    patient        TEXT NOT NULL REFERENCES patients (id),
    kind           TEXT NOT NULL,
    vaccine_groups TEXT NOT NULL,
    from_on        TEXT NOT NULL,
    until_on       TEXT NOT NULL,
    signer         TEXT NOT NULL,
    source         TEXT NOT NULL,
    by_name        TEXT NOT NULL,
    site           TEXT NOT NULL,
    at             BIGINT NOT NULL,
    ended_by       TEXT NOT NULL,
    ended_at       BIGINT,
    ended_why      TEXT NOT NULL
);
CREATE INDEX exemptions_patient ON exemptions (patient);

-- A practice's file of patients and doses: read, looked at, then taken over row by row.
CREATE TABLE imports (
    id         TEXT PRIMARY KEY,
    site       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    state      TEXT NOT NULL,
    total      BIGINT NOT NULL,
    by_id      TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    at         BIGINT NOT NULL,
    ended_at   BIGINT,
    UNIQUE (site, sha256)
);
CREATE INDEX imports_site ON imports (site, at);

-- value is the row as it was read, JSON; findings is a JSON list. verdict is what the
-- dry run says of it; done_at is when it was taken over.
CREATE TABLE import_rows (
    import   TEXT NOT NULL REFERENCES imports (id),
    n        BIGINT NOT NULL,
    value    TEXT NOT NULL,
    verdict  TEXT NOT NULL,
    findings TEXT NOT NULL,
    patient  TEXT NOT NULL,
    done_at  BIGINT,
    PRIMARY KEY (import, n)
);

-- Releases of the immunization schedule in our own compact form. The active one is the
-- one that forecasts are made by; none: the one that comes with the program.
CREATE TABLE schedules (
    id           TEXT PRIMARY KEY,
    version      TEXT NOT NULL,
    released     TEXT NOT NULL,
    content      BYTEA NOT NULL,
    loaded_by    TEXT NOT NULL,
    loaded_at    BIGINT NOT NULL,
    active       BIGINT NOT NULL,
    activated_by TEXT NOT NULL,
    activated_at BIGINT
);
