-- Figures of test files are asked across jobs, so they are rows.
CREATE TABLE file (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id),
    path       TEXT NOT NULL,
    UNIQUE (project_id, path)
);

CREATE TABLE file_fact (
    project_id      INTEGER NOT NULL,
    file_id         INTEGER NOT NULL REFERENCES file (id),
    job_id          INTEGER NOT NULL REFERENCES job (id),
    session         INTEGER NOT NULL,
    start_bytes     BIGINT NOT NULL,
    peak_bytes      BIGINT NOT NULL,
    peak_kind       TEXT NOT NULL,
    tree_peak_bytes BIGINT NOT NULL,
    spike_bytes     BIGINT NOT NULL,
    retained_bytes  BIGINT NOT NULL,
    import_bytes    BIGINT NOT NULL,
    tests           BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    duration_us     BIGINT NOT NULL,
    censored        INTEGER NOT NULL,
    PRIMARY KEY (project_id, file_id, job_id, session)
) WITHOUT ROWID;

CREATE INDEX file_fact_by_job ON file_fact (job_id);
