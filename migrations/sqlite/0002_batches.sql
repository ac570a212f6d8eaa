-- What arrives is kept as it came, one row a batch, so that ingest is one insert. After finalising the body goes and
-- the digest stays, to tell a repeated batch from one that contradicts.
CREATE TABLE stream (
    job_id    INTEGER NOT NULL REFERENCES job (id),
    stream_no INTEGER NOT NULL,
    uuid      BLOB NOT NULL,
    PRIMARY KEY (job_id, stream_no),
    UNIQUE (job_id, uuid)
) WITHOUT ROWID;

CREATE TABLE batch (
    job_id    INTEGER NOT NULL,
    stream_no INTEGER NOT NULL,
    seq       BIGINT NOT NULL,
    digest    BLOB NOT NULL,
    body      BLOB,
    PRIMARY KEY (job_id, stream_no, seq)
) WITHOUT ROWID;
