//! Records the memory of pytest runs and ships it to a Highwater server.
//!
//! Rooms, from foundations to the top: `terminal`, `bounds`, `bell`, `pool`, `pace`, `clock`, `pidfd`, `regular`, `program`, `pytest`, `procfs`, `memlock`, `cgroup`, `spool`, `marks`, `environ`, `ci`, `injection`, `backend` | `tree`, `signals`, `witness`, `guard`,
//! `sampler`, `portable`, `shipper`, `github` | `recorder`, `rescue`, `recording`, `closing`, `summary` | `doctor` | `background` | `commands` | `cli` | `main`.

#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod backend;
pub mod background;
pub mod bell;
pub mod bounds;
pub mod budget;
pub mod cgroup;
pub mod ci;
pub mod cli;
pub mod clock;
pub mod closing;
pub mod commands;
pub mod diagnose;
pub mod doctor;
pub mod environ;
pub mod exit_codes;
pub mod forecaster;
pub mod github;
pub mod guard;
pub mod injection;
pub mod marks;
pub mod memlock;
pub mod pace;
pub mod pidfd;
pub mod plugin_files;
pub mod pool;
pub mod portable;
pub mod procfs;
mod program;
pub mod pytest;
pub mod recorder;
pub mod recording;
pub mod regular;
pub mod rescue;
pub mod sampler;
pub mod settings;
pub mod shipper;
pub mod signals;
pub mod spool;
pub mod summary;
pub mod terminal;
pub mod tree;
pub mod witness;
