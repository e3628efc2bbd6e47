-- +goose Up

-- What the collector has learned to tell of an excursion. witnesses is a JSON array;
-- contexts are words with blanks between.
ALTER TABLE excursions ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE excursions ADD COLUMN degree_minutes DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE excursions ADD COLUMN mkt_mc BIGINT;
ALTER TABLE excursions ADD COLUMN witnesses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE excursions ADD COLUMN contexts TEXT NOT NULL DEFAULT '';
CREATE INDEX excursions_site ON excursions (site, latest, kind);

ALTER TABLE assignments ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- A site's own range, as it was typed ("36F"); absent: the profile's.
ALTER TABLE appliances ADD COLUMN limit_low TEXT;
ALTER TABLE appliances ADD COLUMN limit_high TEXT;
ALTER TABLE appliances ADD COLUMN limit_reason TEXT NOT NULL DEFAULT '';

CREATE TABLE contexts (
    id         TEXT PRIMARY KEY,
    appliance  TEXT NOT NULL REFERENCES appliances (id),
    kind       TEXT NOT NULL,
    from_at    BIGINT NOT NULL,
    to_at      BIGINT,
    note       TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX contexts_appliance ON contexts (appliance, from_at);

-- The spans in which units were out of service, from the trail, which alone has kept
-- them so far.
INSERT INTO contexts (id, appliance, kind, from_at, to_at, note, by_name, created_at)
SELECT 'service-' || s.id, a.id, 'out-of-service', s.at, s.next_at, '', s.who, s.at
FROM (SELECT id, subject, what, at, who, LEAD(at) OVER (PARTITION BY subject ORDER BY at, id) AS next_at
      FROM audit WHERE what IN ('unit.in-service', 'unit.out-of-service')) s
JOIN appliances a ON s.subject = 'unit/' || a.id
WHERE s.what = 'unit.out-of-service';

-- Every certificate is kept; the one with the highest n of a probe is in force.
CREATE TABLE calibrations (
    site        TEXT NOT NULL REFERENCES sites (id),
    agent       TEXT NOT NULL,
    probe       TEXT NOT NULL,
    n           BIGINT NOT NULL,
    offset_mc   BIGINT NOT NULL,
    points      TEXT NOT NULL,
    certificate TEXT NOT NULL,
    expires     TEXT NOT NULL,
    by_name     TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (site, agent, probe, n)
);

-- Devices that ask to be let in. A claim is what the device itself says; nothing of it
-- counts until a person has accepted it.
CREATE TABLE claims (
    code          TEXT PRIMARY KEY,
    public_key    TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    model         TEXT NOT NULL,
    serial        TEXT NOT NULL,
    version       TEXT NOT NULL,
    state         TEXT NOT NULL,
    site          TEXT NOT NULL,
    agent         TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    decided_by    TEXT NOT NULL,
    decided_at    BIGINT
);
CREATE INDEX claims_state ON claims (state, created_at);

-- The key that a device's seals are to be signed by; '' when none was told.
ALTER TABLE devices ADD COLUMN public_key TEXT NOT NULL DEFAULT '';

-- How long a lot may be out of range in its life, in minutes, and who says so.
ALTER TABLE lots ADD COLUMN budget_warm_min BIGINT;
ALTER TABLE lots ADD COLUMN budget_cold_min BIGINT;
ALTER TABLE lots ADD COLUMN budget_source TEXT NOT NULL DEFAULT '';

UPDATE mirror SET revision = revision + 1;
