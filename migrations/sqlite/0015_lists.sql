-- A list that is filtered is sorted by an index too: one for each set of filters that can be asked together (those of a run are few). The branch
-- is the run's, kept with the job for that.
ALTER TABLE job ADD COLUMN branch TEXT NOT NULL DEFAULT '';
UPDATE job SET branch = (SELECT branch FROM run WHERE run.id = job.run_id);
CREATE INDEX job_by_branch ON job (project_id, branch, started_unix_us DESC, id DESC);
CREATE INDEX job_by_name ON job (project_id, name, started_unix_us DESC, id DESC);
CREATE INDEX job_by_verdict ON job (project_id, verdict, started_unix_us DESC, id DESC);
CREATE INDEX job_by_branch_name ON job (project_id, branch, name, started_unix_us DESC, id DESC);
CREATE INDEX job_by_branch_verdict ON job (project_id, branch, verdict, started_unix_us DESC, id DESC);
CREATE INDEX job_by_name_verdict ON job (project_id, name, verdict, started_unix_us DESC, id DESC);
CREATE INDEX job_by_all ON job (project_id, branch, name, verdict, started_unix_us DESC, id DESC);
DROP INDEX job_by_run;
CREATE INDEX job_by_run ON job (run_id, started_unix_us DESC, id DESC);

-- The history of a file is read from its end, so it lies in that order.
CREATE TABLE fact_in_order (
    project_id      INTEGER NOT NULL,
    file_id         INTEGER NOT NULL REFERENCES file (id),
    started_unix_us BIGINT NOT NULL,
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
    PRIMARY KEY (project_id, file_id, started_unix_us DESC, job_id DESC, session)
) WITHOUT ROWID;
INSERT INTO fact_in_order
    SELECT f.project_id, f.file_id, j.started_unix_us, f.job_id, f.session, f.start_bytes, f.peak_bytes, f.peak_kind, f.tree_peak_bytes,
    f.spike_bytes, f.retained_bytes, f.import_bytes, f.tests, f.failed, f.duration_us, f.censored
    FROM file_fact f JOIN job j ON j.id = f.job_id;
DROP TABLE file_fact;
ALTER TABLE fact_in_order RENAME TO file_fact;
CREATE INDEX file_fact_by_job ON file_fact (job_id);

-- Which jobs may be settled is asked all the time, while thousands are live.
CREATE INDEX job_to_settle ON job (heard_unix_us) WHERE unsettled = 1 AND (end_body IS NOT NULL OR state IN ('lost', 'incomplete'));
