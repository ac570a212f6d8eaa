-- A figure that somebody knows of: until `until_unix_us` as much of it fails no check. `variant` is NULL where it counts for every matrix leg, `path` for a figure of the job. `shard` is `i/n` for a figure of a job that is a part of its suite.
CREATE TABLE acknowledgement (
    id                INTEGER PRIMARY KEY,
    uuid              BLOB NOT NULL UNIQUE,
    project_id        INTEGER NOT NULL REFERENCES project (id),
    name              TEXT NOT NULL,
    variant           TEXT,
    shard             TEXT,
    figure            TEXT NOT NULL,
    path              TEXT,
    bytes             BIGINT NOT NULL,
    -- The job that it was seen in, which may go before it.
    job               BLOB NOT NULL,
    reason            TEXT NOT NULL,
    by_whom           TEXT NOT NULL,
    created_unix_us   BIGINT NOT NULL,
    until_unix_us     BIGINT NOT NULL,
    withdrawn_unix_us BIGINT
);

CREATE INDEX acknowledgement_by_project ON acknowledgement (project_id, created_unix_us DESC, id DESC);
CREATE INDEX acknowledgement_by_name ON acknowledgement (project_id, name, until_unix_us) WHERE withdrawn_unix_us IS NULL;
