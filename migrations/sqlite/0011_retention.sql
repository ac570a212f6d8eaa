-- What retention removed of a job, and when, µs since 1970. It is said before the rows go, which happens a part at a time: from then on nobody
-- takes what is still there for the whole.
ALTER TABLE job ADD COLUMN pages_removed_unix_us BIGINT;
ALTER TABLE job ADD COLUMN detail_removed_unix_us BIGINT;
-- Rows that are still to go: 0 none, 1 samples and what restores the recording, 2 also rows within the job, 3 the job itself.
ALTER TABLE job ADD COLUMN removing INTEGER NOT NULL DEFAULT 0;

-- Everything that tells whether a job's time has come, so that looking reads no row of `job`. A job under way is not in it: its batches must
-- not pay for it.
CREATE INDEX job_by_age ON job (project_id, heard_unix_us, pages_removed_unix_us, detail_removed_unix_us, removing, unsettled, pinned)
    WHERE unsettled = 0 AND pinned = 0;
CREATE INDEX job_removing ON job (id) WHERE removing > 0;
