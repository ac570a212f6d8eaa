//! Recordings made by hand, and random ones.

mod after_end;
mod background;
mod books;
mod builder;
mod children;
mod collections;
mod diagnosis;
mod endings;
mod failures;
mod figures;
mod forecast;
mod growth;
mod holders;
mod job_peak;
mod kernel;
mod modules;
mod notices;
mod oom;
mod open_sessions;
mod outside;
mod same_code;
mod sampled;
mod shared_fixtures;
mod signals;
mod silence;
mod time;
