-- +goose Up

-- Files that came by SFTP, under the names that their senders know: the same file twice is
-- one of exchange_files, and two answers to be fetched. removed_at: the sender has removed
-- the answer (NULL: not).
CREATE TABLE sftp_files (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id),
    file       TEXT NOT NULL,
    name       TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE INDEX sftp_files_account ON sftp_files (account, at);
CREATE INDEX sftp_files_at ON sftp_files (at);
