-- +goose Up
-- Of a dose that was told of, often the month alone is known: given is then the first day of
-- it that can be meant, and is printed without its day.
ALTER TABLE doses ADD COLUMN day_unknown BIGINT NOT NULL DEFAULT 0;

-- The report about Vaccine Information Statements looks at a practice's own doses by day.
CREATE INDEX doses_given_at ON doses (site, given) WHERE site <> '';

-- What was printed of a patient. The code on the paper is kept as a hash alone, and what
-- can be compared with the paper as keyed hashes under that code: who has only this table
-- learns nothing of the person.
CREATE TABLE form_prints (
    id          TEXT PRIMARY KEY,
    code_sha256 TEXT NOT NULL UNIQUE,
    form        TEXT NOT NULL,
    patient     TEXT NOT NULL REFERENCES patients (id),
    site        TEXT NOT NULL,
    by_id       TEXT NOT NULL,
    by_name     TEXT NOT NULL,
    printed_at  BIGINT NOT NULL,
    pages       BIGINT NOT NULL,
    seals       TEXT NOT NULL
);
CREATE INDEX form_prints_patient ON form_prints (patient, id);

-- Editions of Vaccine Information Statements that the programme has added to those of the
-- code sets, or says otherwise of whether they are current. The latest row of a code stands.
CREATE TABLE vis_editions (
    id       TEXT PRIMARY KEY,
    code     TEXT NOT NULL,
    name     TEXT NOT NULL,
    edition  TEXT NOT NULL,
    current  BIGINT NOT NULL,
    cvx      TEXT NOT NULL,
    why      TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX vis_editions_code ON vis_editions (code, id);

-- The statements themselves, a file or an address for each language. The latest row of a
-- code and language stands; earlier ones are kept.
CREATE TABLE vis_texts (
    id        TEXT PRIMARY KEY,
    code      TEXT NOT NULL,
    language  TEXT NOT NULL,
    address   TEXT NOT NULL,
    media     TEXT NOT NULL,
    content   BYTEA,
    sha256    TEXT NOT NULL,
    size      BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL,
    why       TEXT NOT NULL,
    by_name   TEXT NOT NULL,
    at        BIGINT NOT NULL
);
CREATE INDEX vis_texts_code ON vis_texts (code, language, id);
