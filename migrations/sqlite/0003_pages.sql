-- Samples of a finalised job. A column is a series, or the ticks that all series of a rate share. Level 0 holds the values;
-- each level above holds least, greatest and last of 64 of the level below, so any zoom reads few pages.
CREATE TABLE series (
    job_id      INTEGER NOT NULL REFERENCES job (id),
    column_no   INTEGER NOT NULL,
    rate        INTEGER NOT NULL,
    metric      INTEGER NOT NULL,
    -- Number of the process in the rows of the job.
    process_no  INTEGER,
    pid         BIGINT,
    start_ticks BIGINT,
    cgroup      TEXT,
    PRIMARY KEY (job_id, column_no)
) WITHOUT ROWID;

CREATE TABLE page (
    job_id      INTEGER NOT NULL REFERENCES job (id),
    column_no   INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    first_index BIGINT NOT NULL,
    length      BIGINT NOT NULL,
    content     BLOB NOT NULL,
    PRIMARY KEY (job_id, column_no, level, first_index)
) WITHOUT ROWID;
