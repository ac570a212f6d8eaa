//! Generates the types of the trace format that jobs are exported in.

use prost_build::Config;

const SCHEMA: &str = "proto/perfetto/trace.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let descriptors = protox::compile([SCHEMA], ["proto"])?;
    Config::new().compile_fds(descriptors)?;
    Ok(())
}
