//! What crosses a process or the network: the types, their codec and their limits. No IO.
//!
//! - [`v1`]: the messages an agent sends, generated from `proto/highwater/v1/highwater.proto`.
//! - [`codec`]: their bytes (protobuf, zstd, JSON) and the checks of a message that comes from outside.
//! - [`marks`]: the events file of the pytest plugin (`pytest-plugin/FORMAT.md`).
//! - [`report`]: the documents that the API and `--summary` answer.
//! - [`ids`]: the identities of projects, jobs and streams.
//! - [`spool`]: the files of a spool, as bytes.
//!
//! Architecture invariant: nothing here opens a file or a socket, and nothing here knows a database.

pub mod codec;
pub mod ids;
pub mod marks;
pub mod mask;
pub mod receipt;
pub mod report;
pub mod spool;

/// The messages of wire version 1.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated code"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/highwater.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/highwater.v1.serde.rs"));
}

/// The wire schema with its comments: a `google.protobuf.FileDescriptorSet` in protobuf.
#[cfg(feature = "openapi")]
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Header of a request with what the sender's clock shows as it is sent, µs since 1970: the server measures by it how far their clocks are apart.
pub const CLOCK_HEADER: &str = "highwater-clock";

/// The wire version this crate writes; the only one it reads.
pub const VERSION: u32 = 1;

/// Daemons that end processes when memory runs short, as the kernel calls them: the agent tells of them however small they are, and an ending may rest on one.
pub const MEMORY_DAEMONS: [&str; 5] = ["earlyoom", "systemd-oomd", "nohang", "oomd", "oomd_bin"];

/// Provider of the runs of jobs that were brought in from files of other recorders.
pub const IMPORT: &str = "import";
