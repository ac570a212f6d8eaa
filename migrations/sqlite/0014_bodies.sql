-- The body of a batch goes when its job is finalised, its digest stays. In one row they left pages behind that were nearly empty for as long as
-- the job is kept; apart, bodies come and go at one end of a table of their own, and digests lie close.
CREATE TABLE body (
    job_id    INTEGER NOT NULL,
    stream_no INTEGER NOT NULL,
    seq       BIGINT NOT NULL,
    content   BLOB NOT NULL,
    UNIQUE (job_id, stream_no, seq)
);
INSERT INTO body (job_id, stream_no, seq, content)
    SELECT job_id, stream_no, seq, body FROM batch WHERE body IS NOT NULL;
CREATE TABLE batch_digest (
    job_id    INTEGER NOT NULL,
    stream_no INTEGER NOT NULL,
    seq       BIGINT NOT NULL,
    digest    BLOB NOT NULL,
    PRIMARY KEY (job_id, stream_no, seq)
) WITHOUT ROWID;
INSERT INTO batch_digest (job_id, stream_no, seq, digest) SELECT job_id, stream_no, seq, digest FROM batch;
DROP TABLE batch;
ALTER TABLE batch_digest RENAME TO batch;
