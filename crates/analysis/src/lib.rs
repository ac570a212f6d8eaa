//! What a recording means: pure functions from what arrived to the figures that are shown. No IO, no clock, no chance.
//!
//! [`recording::Recording`] gathers batches in any order; [`digest::digest`] turns it into the figures of the job, its
//! processes, sessions, test files, tests and fixtures. Server and agent call the same two, so that the page, the API,
//! the terminal and `--summary` cannot disagree. `growth`, `forecast` and `robust` are the statistics that it asks, `diagnosis` says why memory stayed,
//! and `compare` holds the figures of jobs against each other.
//!
//! Architecture invariant: the same batches, in whatever order they came, give the same recording and the same digest.

pub mod arrival;
pub mod branches;
pub mod chance;
pub mod changepoint;
pub mod check;
pub mod compare;
pub mod counts;
pub mod diagnosis;
pub mod digest;
pub mod figures;
pub mod forecast;
pub mod growth;
pub mod history;
pub mod next_step;
pub mod plan;
pub mod recording;
pub mod regression;
pub mod robust;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod scopes;
pub mod time;
pub mod trend;
