-- +goose Up

-- A person's record. head is the record that stands for this one after merges, and the
-- record itself when it stands: every record of one person has the same head, and
-- merged_into is the one edge that an un-merge takes away. Nothing of a merged record is
-- moved. locked and lock_site repeat the open row of patient_locks; zip and county
-- repeat the current address, for counts. profile is what matching compares, in the
-- form of patient.Profile. swept is the revision that the sweep for duplicates has seen.
CREATE TABLE patients (
    id           TEXT PRIMARY KEY,
    head         TEXT NOT NULL,
    merged_into  TEXT NOT NULL DEFAULT '',
    birth        TEXT NOT NULL,
    birth_state  TEXT NOT NULL DEFAULT '',
    birth_nation TEXT NOT NULL DEFAULT '',
    sex          TEXT NOT NULL,
    multiple     BIGINT,
    birth_order  BIGINT NOT NULL DEFAULT 0,
    races        TEXT NOT NULL DEFAULT '',
    ethnicity    TEXT NOT NULL DEFAULT '',
    language     TEXT NOT NULL DEFAULT '',
    mother       TEXT NOT NULL DEFAULT '',
    deceased     BIGINT NOT NULL DEFAULT 0,
    died         TEXT NOT NULL DEFAULT '',
    publicity    TEXT NOT NULL DEFAULT '',
    offered_at   BIGINT,
    offered_by   TEXT NOT NULL DEFAULT '',
    locked       BIGINT NOT NULL DEFAULT 0,
    lock_site    TEXT NOT NULL DEFAULT '',
    zip          TEXT NOT NULL DEFAULT '',
    county       TEXT NOT NULL DEFAULT '',
    profile      TEXT NOT NULL,
    revision     BIGINT NOT NULL,
    swept        BIGINT NOT NULL DEFAULT 0,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX patients_head ON patients (head);
CREATE INDEX patients_birth ON patients (birth);
CREATE INDEX patients_unswept ON patients (id) WHERE swept < revision;

-- The lists of a person. n counts up in the order of entry; a row that has been
-- replaced stays, with the time and the name of who did it.
CREATE TABLE patient_names (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    family   TEXT NOT NULL,
    given    TEXT NOT NULL,
    middle   TEXT NOT NULL,
    suffix   TEXT NOT NULL,
    until_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (patient, n)
);

CREATE TABLE patient_addresses (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    street   TEXT NOT NULL,
    street2  TEXT NOT NULL,
    city     TEXT NOT NULL,
    state    TEXT NOT NULL,
    zip      TEXT NOT NULL,
    county   TEXT NOT NULL,
    country  TEXT NOT NULL,
    until_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (patient, n)
);

CREATE TABLE patient_contacts (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    value    TEXT NOT NULL,
    until_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (patient, n)
);

CREATE TABLE patient_identifiers (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    assigner TEXT NOT NULL,
    value    TEXT NOT NULL,
    until_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (patient, n)
);
CREATE INDEX patient_identifiers_value ON patient_identifiers (value, kind, assigner);

-- address and contacts are JSON: they are read with the guardian only.
CREATE TABLE patient_guardians (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    relation TEXT NOT NULL,
    family   TEXT NOT NULL,
    given    TEXT NOT NULL,
    middle   TEXT NOT NULL,
    address  TEXT NOT NULL,
    contacts TEXT NOT NULL,
    until_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (patient, n)
);

-- How a person stands with a practice; site '' is the jurisdiction.
CREATE TABLE patient_statuses (
    patient  TEXT NOT NULL REFERENCES patients (id),
    n        BIGINT NOT NULL,
    site     TEXT NOT NULL,
    standing TEXT NOT NULL,
    since    BIGINT NOT NULL,
    by_name  TEXT NOT NULL,
    until_at BIGINT,
    PRIMARY KEY (patient, n)
);
CREATE INDEX patient_statuses_site ON patient_statuses (site, standing, patient) WHERE until_at IS NULL;

-- Every change of a person's single fields, as JSON of the earlier and the new values.
CREATE TABLE patient_history (
    id       TEXT PRIMARY KEY,
    patient  TEXT NOT NULL REFERENCES patients (id),
    revision BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    who_id   TEXT NOT NULL,
    who      TEXT NOT NULL,
    site     TEXT NOT NULL,
    what     TEXT NOT NULL,
    why      TEXT NOT NULL,
    changes  TEXT NOT NULL
);
CREATE INDEX patient_history_patient ON patient_history (patient, id);

-- Hashes of what a person can be found by (patient.Keys).
CREATE TABLE patient_keys (
    key     BIGINT NOT NULL,
    patient TEXT NOT NULL REFERENCES patients (id),
    PRIMARY KEY (key, patient)
);
CREATE INDEX patient_keys_patient ON patient_keys (patient);

-- Opt-outs (77 Ill. Adm. Code 689.80) with the forms that say so.
CREATE TABLE patient_locks (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL REFERENCES patients (id),
    site        TEXT NOT NULL,
    form        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    by_name     TEXT NOT NULL,
    ended_at    BIGINT,
    ended_by    TEXT NOT NULL DEFAULT '',
    ended_form  TEXT NOT NULL DEFAULT ''
);
CREATE INDEX patient_locks_patient ON patient_locks (patient);

-- Who has found which record by a specific search, and until when it opens by that.
CREATE TABLE patient_grants (
    who      TEXT NOT NULL,
    patient  TEXT NOT NULL REFERENCES patients (id),
    until_at BIGINT NOT NULL,
    PRIMARY KEY (who, patient)
);

-- Records opened in an emergency. review is what the state found when it looked.
CREATE TABLE patient_emergencies (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL REFERENCES patients (id),
    who_id      TEXT NOT NULL,
    who         TEXT NOT NULL,
    site        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    why         TEXT NOT NULL,
    reviewed_at BIGINT,
    reviewed_by TEXT NOT NULL DEFAULT '',
    review      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX patient_emergencies_who ON patient_emergencies (patient, who_id);
CREATE INDEX patient_emergencies_open ON patient_emergencies (id) WHERE reviewed_at IS NULL;

-- Searches of a person in a slot of time, against trying out names.
CREATE TABLE patient_searches (
    who  TEXT NOT NULL,
    slot BIGINT NOT NULL,
    n    BIGINT NOT NULL,
    PRIMARY KEY (who, slot)
);

-- Pairs of records that may be one person; a < b. parts is the score's JSON.
CREATE TABLE patient_pairs (
    a          TEXT NOT NULL REFERENCES patients (id),
    b          TEXT NOT NULL REFERENCES patients (id),
    state      TEXT NOT NULL,
    score      DOUBLE PRECISION NOT NULL,
    parts      TEXT NOT NULL,
    found_by   TEXT NOT NULL,
    found_at   BIGINT NOT NULL,
    decided_by TEXT NOT NULL DEFAULT '',
    decided_at BIGINT,
    why        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (a, b)
);
CREATE INDEX patient_pairs_state ON patient_pairs (state, score);
CREATE INDEX patient_pairs_b ON patient_pairs (b);

-- Merges: each an edge from the record that was folded in to the one that stood.
CREATE TABLE patient_merges (
    id        TEXT PRIMARY KEY,
    loser     TEXT NOT NULL REFERENCES patients (id),
    survivor  TEXT NOT NULL REFERENCES patients (id),
    at        BIGINT NOT NULL,
    who_id    TEXT NOT NULL,
    who       TEXT NOT NULL,
    why       TEXT NOT NULL,
    undone_at BIGINT,
    undone_by TEXT NOT NULL DEFAULT '',
    undone_why TEXT NOT NULL DEFAULT ''
);
CREATE INDEX patient_merges_loser ON patient_merges (loser);
CREATE INDEX patient_merges_survivor ON patient_merges (survivor);

-- The key of the pseudonyms in de-identified reads: one row, made at first use.
CREATE TABLE pseudonym_key (
    one BIGINT PRIMARY KEY,
    key BYTEA NOT NULL
);
