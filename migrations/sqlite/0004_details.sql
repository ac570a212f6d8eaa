-- What is asked within one job only: ten thousand tests are one blob, not ten thousand rows.
CREATE TABLE detail (
    job_id  INTEGER NOT NULL REFERENCES job (id),
    kind    TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (job_id, kind)
) WITHOUT ROWID;
