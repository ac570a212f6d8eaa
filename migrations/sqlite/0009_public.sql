-- A project that whoever reaches the server may read, as an open source project's are.
ALTER TABLE project ADD COLUMN public INTEGER NOT NULL DEFAULT 0;
