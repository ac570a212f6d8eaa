-- Who may do what. Of a token only a digest is kept: `lookup` finds its row, the digest tells whether it is the one.
CREATE TABLE token (
    id              INTEGER PRIMARY KEY,
    lookup          TEXT NOT NULL UNIQUE,
    digest          BLOB NOT NULL,
    -- Of which project; NULL means all of them.
    project_id      INTEGER REFERENCES project (id),
    scope           TEXT NOT NULL,
    note            TEXT NOT NULL,
    created_unix_us BIGINT NOT NULL,
    expires_unix_us BIGINT,
    used_unix_us    BIGINT,
    revoked_unix_us BIGINT
);

CREATE INDEX token_by_project ON token (project_id);

-- A browser that somebody signed in with tokens: one row a token, so that one browser may look at several projects. It sees
-- what its tokens may see at that moment.
CREATE TABLE sign_in (
    digest          BLOB NOT NULL,
    token_id        INTEGER NOT NULL REFERENCES token (id),
    expires_unix_us BIGINT NOT NULL,
    PRIMARY KEY (digest, token_id)
) WITHOUT ROWID;

CREATE INDEX sign_in_by_expiry ON sign_in (expires_unix_us);
CREATE INDEX sign_in_by_token ON sign_in (token_id);
