//! Generates the wire types, and their JSON mapping, from the one schema.

use std::{env, path::PathBuf};

use prost::Message;
use prost_build::Config;

const SCHEMA: &str = "proto/highwater/v1/highwater.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile([SCHEMA], ["proto"])?;
    let encoded = descriptors.encode_to_vec();
    // The schema with its comments, for who describes it.
    std::fs::write(out.join("descriptors.bin"), &encoded)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .btree_map(["."])
        .ignore_unknown_fields()
        .out_dir(&out)
        .build(&[".highwater.v1"])?;
    Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
