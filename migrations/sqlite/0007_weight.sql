-- About what the batches of a job take in memory when it is finalised, so that no job can grow past what a server holds.
ALTER TABLE job ADD COLUMN weight BIGINT NOT NULL DEFAULT 0;
