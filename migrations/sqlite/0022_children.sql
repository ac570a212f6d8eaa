-- The spike of a file with what its children took above what they held as it began, bytes. NULL of jobs that were settled before: of these it is worked out
-- as it was then, from the peaks with and without children.
ALTER TABLE file_fact ADD COLUMN tree_spike_bytes BIGINT;
-- What children of a file that outlive it hold, bytes. 0 of jobs that were settled before.
ALTER TABLE file_fact ADD COLUMN children_retained_bytes BIGINT NOT NULL DEFAULT 0;
