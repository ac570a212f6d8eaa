-- Addresses that are told when a job died or a check found something new. The secret is kept as it is: each post is signed with it.
CREATE TABLE webhook (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL REFERENCES project (id),
    url             TEXT NOT NULL,
    on_death        INTEGER NOT NULL,
    on_finding      INTEGER NOT NULL,
    format          TEXT NOT NULL,
    -- 1 when the address may be one of a private network.
    allow_private   INTEGER NOT NULL,
    secret          BLOB NOT NULL,
    created_unix_us BIGINT NOT NULL,
    -- Messages that found its queue full.
    dropped         BIGINT NOT NULL
);

CREATE INDEX webhook_by_project ON webhook (project_id);

-- Jobs that were finalised and of which webhooks are not told yet: written with the figures of the job, so that a server that is killed in between
-- tells of it after its next start.
CREATE TABLE news (
    job_uuid BLOB PRIMARY KEY,
    revision INTEGER NOT NULL
) WITHOUT ROWID;

-- What is sent, and what became of it.
CREATE TABLE delivery (
    id              INTEGER PRIMARY KEY,
    webhook_id      INTEGER NOT NULL REFERENCES webhook (id),
    -- What its receiver knows it by, the same at each try.
    message         BLOB NOT NULL,
    kind            TEXT NOT NULL,
    -- Of which job; NULL for a test. No reference: it may outlive the job.
    job_uuid        BLOB,
    revision        INTEGER NOT NULL,
    -- What is told in short: the same is told once of a job, however often that is finalised.
    told            TEXT NOT NULL,
    -- Empty once it is done with.
    body            BLOB NOT NULL,
    state           TEXT NOT NULL,
    tries           INTEGER NOT NULL,
    -- When it is tried next; NULL once it is done with.
    next_unix_us    BIGINT,
    created_unix_us BIGINT NOT NULL,
    tried_unix_us   BIGINT,
    -- What the address answered last, and what was wrong with that.
    status          INTEGER,
    problem         TEXT NOT NULL
);

CREATE UNIQUE INDEX delivery_once ON delivery (webhook_id, job_uuid, kind, revision);
CREATE INDEX delivery_waiting ON delivery (webhook_id, next_unix_us) WHERE next_unix_us IS NOT NULL;
CREATE INDEX delivery_done ON delivery (created_unix_us) WHERE next_unix_us IS NULL;

-- Nobody is told of a recording that came as a file.
ALTER TABLE job ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;
