//! Recordings made by hand, and random ones.

mod books;
mod builder;
mod endings;
mod figures;
mod job_peak;
