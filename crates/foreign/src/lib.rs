//! Every parser that eats foreign bytes, each as a function of bytes, with what must hold of it.
//!
//! The targets of libFuzzer in `fuzz/` call these with bytes that nobody meant, and an ordinary test with what such runs have found. A
//! function returns where the bytes are refused or all is well, and panics where something does not hold.
//!
//! Rooms: `wire` is what agents send, `marks` what the plugin writes, `spool` what lies on disk, `kernel` what the kernel says, `environ` what
//! is read in the memory of processes, `import` what other recorders left, `web` what is asked of the server. `pieces` cuts one input into several;
//! `seeds` makes inputs to begin with, of real things.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a panic is how what does not hold is told"
)]

mod environ;
mod import;
mod kernel;
mod marks;
mod pieces;
pub mod seeds;
mod spool;
mod web;
mod wire;

/// A parser.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called: a binary in `fuzz/`, a folder in `fuzz/findings`.
    pub name: &'static str,
    /// Tries it with bytes.
    pub body: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 16] = [
    target("batch", wire::batch),
    target("frame", wire::frame),
    target("json", wire::json),
    target("digest", wire::digest),
    target("mask", wire::mask),
    target("events", marks::events),
    target("spool", spool::spool),
    target("process", kernel::process),
    target("machine", kernel::machine),
    target("cgroup", kernel::cgroup),
    target("kernel_log", kernel::log),
    target("environ", environ::environ),
    target("mprof", import::mprof),
    target("pymon", import::pymon),
    target("token", web::token),
    target("request", web::request),
];

const fn target(name: &'static str, body: fn(&[u8])) -> Target {
    Target { name, body }
}

/// Tries a parser by its name.
///
/// # Panics
/// Where something does not hold, and where there is none of that name.
pub fn try_out(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target {name}"));
    (target.body)(bytes);
}
