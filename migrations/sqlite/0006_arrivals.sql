-- How often something new arrived for a job: raised in the transaction that keeps it, so whether the pages hold everything is
-- a comparison of integers and no matter of clocks.
ALTER TABLE job ADD COLUMN arrivals INTEGER NOT NULL DEFAULT 0;
