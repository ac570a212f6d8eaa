//! The messages of `proto/perfetto/trace.proto`.

#![expect(clippy::all, unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/perfetto.protos.rs"));
