-- Whether the job was diagnosed, which changes its figures: a plan or a forecast of another takes them only where no other job tells. Of jobs that were settled before
-- it is what they are compared by that says so; 0 of those that nothing is compared with.
ALTER TABLE job ADD COLUMN diagnosed INTEGER NOT NULL DEFAULT 0;
UPDATE job SET diagnosed = 1 WHERE comparable LIKE '%, diagnosed' OR comparable LIKE '%, traced';
