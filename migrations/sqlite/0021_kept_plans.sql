-- Plans that somebody asked to keep, so that shards which start apart find one by its id. A plan outlives what retention takes of its job, and the job itself.
CREATE TABLE kept_plan (
    id              INTEGER PRIMARY KEY,
    -- Its id, a digest of its jobs: the same id, the same jobs.
    uuid            BLOB NOT NULL UNIQUE,
    project_id      INTEGER NOT NULL REFERENCES project (id),
    -- The job whose recording it rests on, which may go before it.
    job             BLOB NOT NULL,
    -- The document: JSON under zstd.
    content         BLOB NOT NULL,
    created_unix_us BIGINT NOT NULL,
    -- When it was last kept or fetched, to the hour: what was not used for longest makes room.
    used_unix_us    BIGINT NOT NULL
);

CREATE INDEX kept_plan_by_use ON kept_plan (project_id, used_unix_us, id);
CREATE INDEX kept_plan_by_job ON kept_plan (job, id);
