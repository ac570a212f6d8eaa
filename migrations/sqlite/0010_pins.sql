-- A job that somebody pinned: retention passes it by.
ALTER TABLE job ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
