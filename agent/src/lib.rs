//! Records the memory of pytest runs and ships it to a Highwater server.
//!
//! Rooms, from foundations to the top: `terminal`, `bounds`, `clock`, `regular`, `procfs`, `cgroup`, `spool`, `marks`, `environ`, `ci`, `injection`, `backend` | `tree`, `sampler`, `portable`,
//! `shipper` | `recorder`, `rescue`, `recording`, `summary` | `doctor` | `commands` | `cli` | `main`.

#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod backend;
pub mod background;
pub mod bounds;
pub mod budget;
pub mod cgroup;
pub mod ci;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod doctor;
pub mod environ;
pub mod exit_codes;
pub mod injection;
pub mod marks;
pub mod plugin_files;
pub mod portable;
pub mod procfs;
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
