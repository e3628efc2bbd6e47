-- +goose Up
-- What is agreed on with an interface account that exchanges records for a practice.
-- applications is a JSON list of names in MSH-3 ([]: any), facilities a JSON list of who
-- it speaks for, by the code in MSH-4.
CREATE TABLE exchange_senders (
    account      TEXT PRIMARY KEY REFERENCES accounts (id),
    site         TEXT NOT NULL,
    production   BIGINT NOT NULL,
    applications TEXT NOT NULL,
    facilities   TEXT NOT NULL,
    answers      TEXT NOT NULL,
    deducts      BIGINT NOT NULL,
    updated_by   TEXT NOT NULL,
    updated_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);

-- Files of messages. account is the interface account or the person that sent it; role
-- is the person's. head and foot are the wrapper as it was sent, for the answer.
CREATE TABLE exchange_files (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    who        TEXT NOT NULL,
    role       TEXT NOT NULL,
    site       TEXT NOT NULL,
    door       TEXT NOT NULL,
    name       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    again      BIGINT NOT NULL,
    state      TEXT NOT NULL,
    total      BIGINT NOT NULL,
    head       TEXT NOT NULL,
    foot       TEXT NOT NULL,
    answers    TEXT NOT NULL,
    findings   TEXT NOT NULL,
    at         BIGINT NOT NULL,
    ended_at   BIGINT,
    cleared_at BIGINT
);
-- One file is taken once, unless it was asked for.
CREATE UNIQUE INDEX exchange_files_once ON exchange_files (account, sha256) WHERE again = 0;
CREATE INDEX exchange_files_site ON exchange_files (site, at);
CREATE INDEX exchange_files_work ON exchange_files (state, at);

-- Messages, of a file (with their place in it) or by themselves. outcome is '' while a
-- message waits, else AA, AE or AR. kept says that what it tells is in the record. The
-- texts, sealed when the registry has a key, are NULL once they have been cleared.
CREATE TABLE exchange_messages (
    id         TEXT PRIMARY KEY,
    door       TEXT NOT NULL,
    account    TEXT NOT NULL,
    who        TEXT NOT NULL,
    site       TEXT NOT NULL,
    file       TEXT NOT NULL,
    seq        BIGINT NOT NULL,
    control    TEXT NOT NULL,
    type       TEXT NOT NULL,
    profile    TEXT NOT NULL,
    version    TEXT NOT NULL,
    processing TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    took       BIGINT NOT NULL,
    outcome    TEXT NOT NULL,
    kept       BIGINT NOT NULL,
    test       BIGINT NOT NULL,
    matched    TEXT NOT NULL,
    patient    TEXT NOT NULL,
    doses      TEXT NOT NULL,
    findings   TEXT NOT NULL,
    message    BYTEA,
    answer     BYTEA,
    cleared_at BIGINT
);
-- What was kept once is not kept twice.
CREATE UNIQUE INDEX exchange_messages_once ON exchange_messages (account, sha256) WHERE kept = 1;
CREATE INDEX exchange_messages_account ON exchange_messages (account, at);
CREATE INDEX exchange_messages_site ON exchange_messages (site, at);
CREATE INDEX exchange_messages_at ON exchange_messages (at);
CREATE INDEX exchange_messages_file ON exchange_messages (file, seq) WHERE file <> '';
CREATE INDEX exchange_messages_patient ON exchange_messages (patient) WHERE patient <> '';
CREATE INDEX exchange_messages_text ON exchange_messages (at) WHERE cleared_at IS NULL;

-- Which dose a practice's order number (ORC-3) stands for, and when the last message about
-- it was made (MSH-7): an earlier one that arrives later changes nothing. deleted: the last
-- word was that there is no such dose, and dose may be ''.
CREATE TABLE exchange_orders (
    site      TEXT NOT NULL,
    authority TEXT NOT NULL,
    number    TEXT NOT NULL,
    dose      TEXT NOT NULL,
    sent      BIGINT NOT NULL,
    deleted   BIGINT NOT NULL,
    PRIMARY KEY (site, authority, number)
);
CREATE INDEX exchange_orders_dose ON exchange_orders (dose) WHERE dose <> '';

-- When the last message was made that spoke of a topic of a person, such as addresses.
CREATE TABLE exchange_words (
    patient TEXT NOT NULL,
    topic   TEXT NOT NULL,
    sent    BIGINT NOT NULL,
    PRIMARY KEY (patient, topic)
);

-- Doses that were given by a practice and not taken off a lot of its stock, with the
-- reason, until somebody has settled it.
CREATE TABLE exchange_undeducted (
    dose        TEXT PRIMARY KEY REFERENCES doses (id),
    patient     TEXT NOT NULL,
    site        TEXT NOT NULL,
    account     TEXT NOT NULL,
    message     TEXT NOT NULL,
    at          BIGINT NOT NULL,
    code        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    settled_at  BIGINT,
    settled_by  TEXT NOT NULL,
    settled_why TEXT NOT NULL
);
CREATE INDEX exchange_undeducted_open ON exchange_undeducted (site, at) WHERE settled_at IS NULL;

-- Who is written about takes turns: two messages that enter one new person at the same
-- moment would make two records.
CREATE TABLE exchange_turns (
    key TEXT PRIMARY KEY,
    n   BIGINT NOT NULL
);

-- What is counted of a sender's messages, by UTC day.
CREATE TABLE exchange_figures (
    account TEXT NOT NULL,
    site    TEXT NOT NULL,
    day     TEXT NOT NULL,
    measure TEXT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (account, site, day, measure)
);
CREATE INDEX exchange_figures_site ON exchange_figures (site, day);
