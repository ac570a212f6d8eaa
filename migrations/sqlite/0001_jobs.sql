-- Identities first: everything else hangs on a job, and a job on its run and project.
CREATE TABLE project (
    id   INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE
);

CREATE TABLE run (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL REFERENCES project (id),
    provider        TEXT NOT NULL,
    provider_run_id TEXT NOT NULL,
    branch          TEXT NOT NULL,
    head_commit     TEXT NOT NULL,
    pull_request    TEXT NOT NULL,
    event           TEXT NOT NULL,
    url             TEXT NOT NULL,
    started_unix_us BIGINT NOT NULL,
    UNIQUE (project_id, provider, provider_run_id)
);

CREATE TABLE job (
    id              INTEGER PRIMARY KEY,
    uuid            BLOB NOT NULL UNIQUE,
    project_id      INTEGER NOT NULL REFERENCES project (id),
    run_id          INTEGER NOT NULL REFERENCES run (id),
    name            TEXT NOT NULL,
    variant         TEXT NOT NULL,
    shard_index     INTEGER NOT NULL,
    shard_total     INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    state           TEXT NOT NULL,
    revision        INTEGER NOT NULL,
    -- The messages as they came: what arrives again is compared with them.
    begin_body      BLOB NOT NULL,
    end_body        BLOB,
    started_unix_us BIGINT NOT NULL,
    -- By the server's clock: when the job was last heard of.
    heard_unix_us   BIGINT NOT NULL,
    -- 1 when something arrived that is not yet in the pages.
    unsettled       INTEGER NOT NULL,
    duration_us     BIGINT NOT NULL,
    peak_bytes      BIGINT NOT NULL,
    peak_kind       TEXT NOT NULL,
    headroom_bytes  BIGINT,
    verdict         TEXT,
    confidence      TEXT,
    tests           BIGINT NOT NULL,
    failed          BIGINT NOT NULL
);

CREATE INDEX job_by_project ON job (project_id, started_unix_us DESC, id DESC);
CREATE INDEX job_by_run ON job (run_id);
CREATE INDEX job_unsettled ON job (unsettled, heard_unix_us) WHERE unsettled = 1;
CREATE INDEX run_by_project ON run (project_id, started_unix_us DESC, id DESC);
