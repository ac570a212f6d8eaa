-- How far the clock of the recorded machine was ahead of the server's when the job began, µs; NULL where the sender did not say what its
-- clock showed. `started_unix_us` is by the server's clock where they differ.
ALTER TABLE job ADD COLUMN clock_skew_us BIGINT;
