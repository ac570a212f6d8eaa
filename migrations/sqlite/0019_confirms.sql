-- A job that measures files of another again stands for nothing by itself: `confirms` names that other, and lists and histories pass it by.
ALTER TABLE job ADD COLUMN confirms BLOB;
CREATE INDEX job_by_confirms ON job (project_id, confirms, id DESC) WHERE confirms IS NOT NULL;
