//! Recordings made by hand, and random ones.

mod books;
mod builder;
mod endings;
mod figures;
mod holders;
mod job_peak;
mod notices;
mod oom;
mod open_sessions;
mod sampled;
