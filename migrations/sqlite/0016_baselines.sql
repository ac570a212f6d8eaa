-- What a job is compared with: jobs of its name and branch that went well and ran alike, in the order of their commits, which is not that in which
-- they came. `comparable` is NULL for a job that did not go well, or was settled before there was this column.
ALTER TABLE job ADD COLUMN comparable TEXT;
-- When its commit was made, or where that is not known when the job began, µs since 1970.
ALTER TABLE job ADD COLUMN ordered_unix_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX job_by_baseline ON job (project_id, name, branch, comparable, ordered_unix_us DESC, id DESC) WHERE comparable IS NOT NULL;
