-- +goose Up

-- What a practice has set for its notices; site '' is the programme. hours are minutes of
-- the site's day between which something is sent.
CREATE TABLE recall_settings (
    site       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    street     TEXT NOT NULL,
    city       TEXT NOT NULL,
    state      TEXT NOT NULL,
    zip        TEXT NOT NULL,
    phone      TEXT NOT NULL,
    email      TEXT NOT NULL,
    begin_min  BIGINT NOT NULL,
    end_min    BIGINT NOT NULL,
    per_hour   BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    by_name    TEXT NOT NULL,
    at         BIGINT NOT NULL
);

-- The texts of notices that a practice has put in place of those that come with the
-- program. Every earlier one stays.
CREATE TABLE recall_texts (
    site     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    language TEXT NOT NULL,
    revision BIGINT NOT NULL,
    subject  TEXT NOT NULL,
    body     TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (site, kind, language, revision)
);

-- A run: who is asked to come, by which parameters and which schedule. last is how far the
-- program has come with what it does for the run, '' the beginning. round counts how often
-- notices were made; channels are those of the round.
CREATE TABLE recall_runs (
    id         TEXT PRIMARY KEY,
    site       TEXT NOT NULL,
    cold       TEXT NOT NULL,
    state      TEXT NOT NULL,
    params     TEXT NOT NULL,
    schedule   TEXT NOT NULL,
    today      TEXT NOT NULL,
    last       TEXT NOT NULL,
    looked     BIGINT NOT NULL,
    expected   BIGINT NOT NULL,
    round      BIGINT NOT NULL,
    channels   TEXT NOT NULL,
    by_id      TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    at         BIGINT NOT NULL,
    issued_at  BIGINT,
    ended_at   BIGINT
);
CREATE INDEX recall_runs_site ON recall_runs (site, at);
CREATE INDEX recall_runs_busy ON recall_runs (at, id) WHERE state IN ('counting', 'issuing');

-- What was found of each person of a run's cohort: verdict '' is to be told, any other is
-- the reason why not. vaccine_groups is a JSON list of what is due. Nothing else of the record is here.
CREATE TABLE recall_people (
    run            TEXT NOT NULL REFERENCES recall_runs (id),
    patient        TEXT NOT NULL REFERENCES patients (id),
    verdict        TEXT NOT NULL,
    vaccine_groups TEXT NOT NULL,
    channels       TEXT NOT NULL,
    noticed_on     TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    outcome_on     TEXT NOT NULL,
    outcome_by     TEXT NOT NULL,
    PRIMARY KEY (run, patient)
);
CREATE INDEX recall_people_patient ON recall_people (patient, run);
CREATE INDEX recall_people_verdict ON recall_people (run, verdict);

-- A notice is for a household. target is what it is sent to: an e-mail address or a
-- telephone number; '' on paper. stop is what the link to unsubscribe carries.
CREATE TABLE recall_notices (
    id          TEXT PRIMARY KEY,
    run         TEXT NOT NULL REFERENCES recall_runs (id),
    site        TEXT NOT NULL,
    round       BIGINT NOT NULL,
    channel     TEXT NOT NULL,
    household   TEXT NOT NULL,
    language    TEXT NOT NULL,
    target      TEXT NOT NULL,
    state       TEXT NOT NULL,
    stop        TEXT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    claimed_at  BIGINT,
    sent_at     BIGINT,
    made_at     BIGINT NOT NULL,
    why         TEXT NOT NULL,
    UNIQUE (run, channel, round, household)
);
CREATE UNIQUE INDEX recall_notices_stop ON recall_notices (stop) WHERE stop <> '';
CREATE INDEX recall_notices_outbox ON recall_notices (due_at, id) WHERE state IN ('pending', 'sending');
CREATE INDEX recall_notices_rate ON recall_notices (site, claimed_at) WHERE claimed_at IS NOT NULL;

-- Whom a notice is about: nobody is in two notices of a run by the same channel.
CREATE TABLE recall_notice_people (
    run      TEXT NOT NULL,
    channel  TEXT NOT NULL,
    patient  TEXT NOT NULL REFERENCES patients (id),
    notice   TEXT NOT NULL REFERENCES recall_notices (id),
    PRIMARY KEY (run, channel, patient)
);
CREATE INDEX recall_notice_people_notice ON recall_notice_people (notice);
CREATE INDEX recall_notice_people_patient ON recall_notice_people (patient);

-- That who answers for a person has agreed to messages at an address or a number.
CREATE TABLE recall_consents (
    id       TEXT PRIMARY KEY,
    patient  TEXT NOT NULL REFERENCES patients (id),
    channel  TEXT NOT NULL,
    target   TEXT NOT NULL,
    agreed   TEXT NOT NULL,
    site     TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    at       BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX recall_consents_patient ON recall_consents (patient) WHERE ended_at IS NULL;
CREATE INDEX recall_consents_target ON recall_consents (channel, target) WHERE ended_at IS NULL;

-- Tries to reach a person: what a call has come to, what came back from the post. address
-- is a hash of the one that something came back from.
CREATE TABLE recall_attempts (
    id      TEXT PRIMARY KEY,
    patient TEXT NOT NULL REFERENCES patients (id),
    site    TEXT NOT NULL,
    run     TEXT NOT NULL,
    channel TEXT NOT NULL,
    result  TEXT NOT NULL,
    address TEXT NOT NULL,
    note    TEXT NOT NULL,
    by_name TEXT NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX recall_attempts_patient ON recall_attempts (patient, at);
