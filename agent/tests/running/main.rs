//! `highwater run` with real processes: what the command sees of it, and what the recording holds of the command.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod backends;
mod background;
mod cgroups;
mod command;
mod doctor;
mod environment;
mod evidence;
mod full_disk;
mod guard;
mod hanging;
mod harness;
mod interrupts;
mod leftovers;
mod living;
mod memory_lock;
mod peer;
mod plugin;
mod processes;
mod protection;
mod removed;
mod shipping;
mod steps;
mod stopping;
mod terminal;
