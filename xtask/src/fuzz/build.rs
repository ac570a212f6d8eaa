//! Building the targets: for libFuzzer a program counts which of its edges it passes.

use std::{path::PathBuf, process::Command};

use crate::tools::{Done, command, root, run, said, target};

/// What cargo-fuzz gives rustc, as far as stable Rust takes it.
const COUNTING: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// How the targets are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// This project's crates count; everything else is as the tests have it.
    Quick,
    /// Everything counts.
    Whole,
    /// And is watched by AddressSanitizer.
    Address,
}

impl Built {
    /// Builds; the folder of the binaries.
    pub(super) fn build(self) -> Done<PathBuf> {
        if self == Self::Quick {
            return quick();
        }
        let host = host()?;
        let mut flags = format!("--cfg fuzzing {}", COUNTING.join(" "));
        let mut cargo = command("cargo");
        let mut folder = target().join("fuzz/whole");
        if self == Self::Address {
            folder = target().join("fuzz/address");
            flags.push_str(" -Zsanitizer=address");
            cargo = command("rustup");
            cargo.args(["run", "nightly", "cargo"]);
            // What is set for the toolchain of the workspace is not for another.
            cargo.env_remove("RUSTC").env_remove("CARGO");
        }
        // Build scripts of crates would see that a task runs cargo, and be run again whenever somebody else does.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        // With a target named, neither build scripts nor macros count.
        cargo
            .args(["build", "--release", "--quiet", "--bins", "--target", &host])
            .env("RUSTFLAGS", flags)
            .arg("--target-dir")
            .arg(&folder)
            .arg("--manifest-path")
            .arg(root().join("fuzz/Cargo.toml"));
        println!(
            "xtask: building the fuzz targets (all is built anew the first time, which takes some minutes)"
        );
        run(&mut cargo)?;
        Ok(folder.join(host).join("release"))
    }
}

fn quick() -> Done<PathBuf> {
    let mut cargo = command(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--bins", "--manifest-path"])
        .arg(root().join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(target())
        .env("RUSTC_WRAPPER", root().join("fuzz/rustc"))
        .env("HIGHWATER_COUNTING", COUNTING.join(" "));
    run(&mut cargo)?;
    Ok(target().join("debug"))
}

/// What this machine is to rustc.
fn host() -> Done<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output();
    let told = output
        .map_err(|error| said(format!("rustc: {error}")))?
        .stdout;
    let told = String::from_utf8_lossy(&told);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| said("rustc does not say what this machine is"))
}
