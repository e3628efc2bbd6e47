-- +goose Up

-- An organization enrols once and may have several sites. Those from before enrolment
-- was kept have none and count as approved, without an end.
CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

ALTER TABLE sites ADD COLUMN organization TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN kind TEXT NOT NULL DEFAULT 'provider';
ALTER TABLE sites ADD COLUMN enrolment TEXT NOT NULL DEFAULT 'approved';
ALTER TABLE sites ADD COLUMN enrolled_until BIGINT;
ALTER TABLE sites ADD COLUMN street TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN city TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN zip TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN phone TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN director TEXT NOT NULL DEFAULT '';

-- What an organization asks for: to join, one more site, or another year. form is what
-- was written on it, as JSON; code_sha256 is that of the code by which one without an
-- account asks how it stands.
CREATE TABLE applications (
    id           TEXT PRIMARY KEY,
    purpose      TEXT NOT NULL,
    state        TEXT NOT NULL,
    organization TEXT NOT NULL,
    site         TEXT NOT NULL,
    form         TEXT NOT NULL,
    agreement    BIGINT NOT NULL,
    code_sha256  TEXT NOT NULL,
    applied_by   TEXT NOT NULL,
    address      TEXT NOT NULL,
    applied_at   BIGINT NOT NULL,
    decided_by   TEXT NOT NULL,
    decided_at   BIGINT,
    reason       TEXT NOT NULL
);
CREATE INDEX applications_state ON applications (state, applied_at);
CREATE INDEX applications_site ON applications (site, applied_at);
CREATE UNIQUE INDEX applications_code ON applications (code_sha256);

-- Every version of a text is kept; the highest is in force.
CREATE TABLE policies (
    kind         TEXT NOT NULL,
    version      BIGINT NOT NULL,
    title        TEXT NOT NULL,
    body         TEXT NOT NULL,
    by_name      TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (kind, version)
);

CREATE TABLE acceptances (
    person     TEXT NOT NULL REFERENCES people (id),
    kind       TEXT NOT NULL,
    version    BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    PRIMARY KEY (person, kind, version)
);

-- must_change is a password that another has chosen: it opens nothing but the page where
-- it is changed, and that until one_time_until. totp_step is the last step whose code was
-- used, so that none works twice.
ALTER TABLE people ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN must_change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE people ADD COLUMN one_time_until BIGINT;
ALTER TABLE people ADD COLUMN totp_secret TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;

-- In which sites a person works, and as what. That of people.site is among them.
CREATE TABLE memberships (
    person     TEXT NOT NULL REFERENCES people (id),
    site       TEXT NOT NULL REFERENCES sites (id),
    role       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person, site)
);
CREATE INDEX memberships_site ON memberships (site);
INSERT INTO memberships (person, site, role, created_at) SELECT id, site, role, created_at FROM people WHERE site IS NOT NULL;

CREATE TABLE recovery_codes (
    person  TEXT NOT NULL REFERENCES people (id),
    sha256  TEXT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (person, sha256)
);

-- credential is all that the library keeps of one, flags and counters with it, as JSON.
CREATE TABLE passkeys (
    id         TEXT PRIMARY KEY,
    person     TEXT NOT NULL REFERENCES people (id),
    name       TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX passkeys_person ON passkeys (person);

-- Who a person is to an identity provider.
CREATE TABLE identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    person     TEXT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_person ON identities (issuer, person);

-- Sign-ins of people. A session of the browser names one, and is worth nothing once it
-- has ended.
CREATE TABLE sign_ins (
    id       TEXT PRIMARY KEY,
    person   TEXT NOT NULL REFERENCES people (id),
    site     TEXT NOT NULL,
    method   TEXT NOT NULL,
    strong   BIGINT NOT NULL,
    address  TEXT NOT NULL,
    agent    TEXT NOT NULL,
    at       BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX sign_ins_person ON sign_ins (person, at);

-- An interface account with a site acts for that practice alone.
ALTER TABLE accounts ADD COLUMN site TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN used_at BIGINT;

-- Public keys by which an interface account comes by SFTP, in the form of
-- authorized_keys.
CREATE TABLE account_keys (
    fingerprint TEXT PRIMARY KEY,
    account     TEXT NOT NULL REFERENCES accounts (id),
    public_key  TEXT NOT NULL,
    added_by    TEXT NOT NULL,
    added_at    BIGINT NOT NULL
);
CREATE INDEX account_keys_account ON account_keys (account);
