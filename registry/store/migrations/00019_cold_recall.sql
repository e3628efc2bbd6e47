-- +goose Up

-- Recalls of people who were given doses that cannot be trusted, one for each cause: a hold,
-- or a lot or a dose without one. site is the practice that gave them.
CREATE TABLE cold_recalls (
    id        TEXT PRIMARY KEY,
    site      TEXT NOT NULL,
    cause     TEXT NOT NULL UNIQUE,
    hold      TEXT NOT NULL,
    by_name   TEXT NOT NULL,
    why       TEXT NOT NULL,
    opened_at BIGINT NOT NULL
);
CREATE INDEX cold_recalls_site ON cold_recalls (site, opened_at);
CREATE INDEX cold_recalls_hold ON cold_recalls (hold);

-- How each person stands in one: the state, since when, by whose word. seen is of which
-- doses of the person the program has looked whether one closes it.
CREATE TABLE cold_people (
    recall   TEXT NOT NULL REFERENCES cold_recalls (id),
    patient  TEXT NOT NULL REFERENCES patients (id),
    state    TEXT NOT NULL,
    since    BIGINT NOT NULL,
    by_name  TEXT NOT NULL,
    note     TEXT NOT NULL,
    revision BIGINT NOT NULL,
    seen     TEXT NOT NULL,
    PRIMARY KEY (recall, patient)
);
CREATE INDEX cold_people_patient ON cold_people (patient);
CREATE INDEX cold_people_open ON cold_people (recall, patient) WHERE state IN ('open', 'reached');

-- Every step of it, the earlier ones too.
CREATE TABLE cold_steps (
    id      TEXT PRIMARY KEY,
    recall  TEXT NOT NULL REFERENCES cold_recalls (id),
    patient TEXT NOT NULL REFERENCES patients (id),
    state   TEXT NOT NULL,
    by_name TEXT NOT NULL,
    note    TEXT NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX cold_steps_person ON cold_steps (recall, patient, at);

-- The doses that are not to be trusted. A dose is in one recall.
CREATE TABLE cold_doses (
    dose    TEXT PRIMARY KEY REFERENCES doses (id),
    recall  TEXT NOT NULL REFERENCES cold_recalls (id),
    patient TEXT NOT NULL REFERENCES patients (id)
);
CREATE INDEX cold_doses_person ON cold_doses (recall, patient);

CREATE INDEX doses_non_viable ON doses (id) WHERE non_viable <> '';
