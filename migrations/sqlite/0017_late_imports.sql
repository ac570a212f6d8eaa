-- What modules that tests of a file imported first took, bytes: no longer part of what the file retained. 0 of jobs that were settled before.
ALTER TABLE file_fact ADD COLUMN late_import_bytes BIGINT NOT NULL DEFAULT 0;
