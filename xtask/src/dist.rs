//! `cargo xtask dist`: what a release hands out, made and tried.
//!
//! On Linux the linker is zig's, which brings the symbols of glibc 2.17 (2012) along: what it links runs on every distribution since.
//! A glibc linked statically would run there too, but could resolve no names through NSS. zig and cargo-zigbuild come from PyPI,
//! so nothing has to be installed by hand. Which symbols the result really asks for is read from the file afterwards.

mod glibc;
mod trial;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use crate::{
    steps::mention,
    tools::{Done, command, io, path_with, root, run, run_quietly, said, target},
    venv::venv,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// For which system; this machine's own where none is named.
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// The agent alone, without the server.
    #[arg(long)]
    agent_only: bool,
}

/// A system that there are releases for, called as Rust does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    #[value(name = "x86_64-unknown-linux-gnu")]
    LinuxX86,
    #[value(name = "aarch64-unknown-linux-gnu")]
    LinuxArm,
    #[value(name = "x86_64-apple-darwin")]
    MacX86,
    #[value(name = "aarch64-apple-darwin")]
    MacArm,
}

/// What links, pinned: a release says what made it.
const LINKER: [&str; 2] = ["cargo-zigbuild==0.24.1", "ziglang==0.17.1"];

impl Target {
    /// What this machine runs, where there are releases for it.
    pub(crate) fn of_this_machine() -> Option<Self> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Some(Self::LinuxX86),
            ("linux", "aarch64") => Some(Self::LinuxArm),
            ("macos", "x86_64") => Some(Self::MacX86),
            ("macos", "aarch64") => Some(Self::MacArm),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LinuxX86 => "x86_64-unknown-linux-gnu",
            Self::LinuxArm => "aarch64-unknown-linux-gnu",
            Self::MacX86 => "x86_64-apple-darwin",
            Self::MacArm => "aarch64-apple-darwin",
        }
    }

    fn is_linux(self) -> bool {
        matches!(self, Self::LinuxX86 | Self::LinuxArm)
    }
}

/// What came of it.
pub(crate) struct Made {
    /// The packed folder.
    pub(crate) archive: PathBuf,
    /// What runs here and recorded, or why it was not tried.
    pub(crate) tried: Result<String, String>,
}

pub(crate) fn run_task(options: &Options) -> Done {
    let target = options
        .target
        .or_else(Target::of_this_machine)
        .ok_or_else(|| {
            said("there are no releases for this kind of system; name one by --target")
        })?;
    let made = make(target, options.agent_only)?;
    println!("xtask: {}", made.archive.display());
    match made.tried {
        Ok(how) => println!("xtask: tried: {how}"),
        Err(why) => println!("xtask: not tried: {why}"),
    }
    Ok(())
}

/// Builds, packs, checks what it needs of the system, and records a pytest with it where this machine can run it.
pub(crate) fn make(system: Target, agent_only: bool) -> Done<Made> {
    let programs: &[&str] = match agent_only || !system.is_linux() {
        true => &["highwater"],
        false => &["highwater", "highwater-server"],
    };
    let built = build(system, programs)?;
    let archive = pack(system, programs, &built)?;
    let unpacked = unpack(&archive)?;
    if system.is_linux() {
        for program in programs {
            let newest = glibc::check(&unpacked.join(program))?;
            mention(format_args!(
                "xtask: {program} asks for nothing newer than glibc {newest}"
            ));
        }
    }
    let tried = if Target::of_this_machine() == Some(system) {
        Ok(trial::record(&unpacked.join("highwater"))?)
    } else {
        Err(format!("this machine does not run {}", system.name()))
    };
    Ok(Made { archive, tried })
}

/// Compiles the agent for macOS, of whose frameworks the linker would need more than there is here.
///
/// # Errors
/// When it does not compile.
pub(crate) fn check_elsewhere() -> Done {
    let name = Target::MacArm.name();
    add_library(name)?;
    let venv = venv("dist", &LINKER)?;
    // By its own name: cargo has a `check` of its own, with the system's compiler for the parts in C.
    let mut check = command(venv.join("bin/cargo-zigbuild"));
    check
        .args([
            "check",
            "--locked",
            "--package",
            "highwater",
            "--target",
            name,
        ])
        .env("PATH", path_with(&venv.join("bin")));
    run(&mut check)
}

fn add_library(name: &str) -> Done {
    run_quietly(command("rustup").args(["target", "add", name]))
        .map_err(|error| said(format!("{error}; Rust's library for {name} is needed")))
}

/// Answers the folder of the programs.
fn build(system: Target, programs: &[&str]) -> Done<PathBuf> {
    let name = system.name();
    if Target::of_this_machine() != Some(system) {
        add_library(name)?;
    }
    let mut cargo = command(env!("CARGO"));
    if system.is_linux() {
        let venv = venv("dist", &LINKER)?;
        cargo
            .args(["zigbuild", "--target"])
            .arg(format!("{name}.{}", glibc::OLDEST))
            .env("PATH", path_with(&venv.join("bin")));
    } else {
        cargo.args(["build", "--target", name]);
    }
    cargo.args(["--release", "--locked"]);
    for program in programs {
        cargo.args(["--package", program]);
    }
    run(&mut cargo)?;
    Ok(target().join(name).join("release"))
}

/// One folder with the programs and what must come along, and beside the archive its SHA-256, as `sha256sum --check` reads it.
fn pack(system: Target, programs: &[&str], built: &Path) -> Done<PathBuf> {
    let name = format!("highwater-{}-{}", env!("CARGO_PKG_VERSION"), system.name());
    let folder = target().join("dist");
    let staged = folder.join(&name);
    if staged.exists() {
        fs::remove_dir_all(&staged).map_err(io(&staged))?;
    }
    fs::create_dir_all(&staged).map_err(io(&staged))?;
    let papers = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"];
    let programs = programs.iter().map(|program| built.join(program));
    for from in papers
        .map(|paper| root().join(paper))
        .into_iter()
        .chain(programs)
    {
        let to = staged.join(from.file_name().unwrap_or_default());
        fs::copy(&from, &to).map_err(io(&from))?;
    }
    let file = format!("{name}.tar.gz");
    let mut tar = command("tar");
    tar.arg("-czf")
        .arg(folder.join(&file))
        .arg("-C")
        .arg(&folder)
        .arg(&name);
    run_quietly(&mut tar)?;
    fs::remove_dir_all(&staged).map_err(io(&staged))?;
    let archive = folder.join(&file);
    let bytes = fs::read(&archive).map_err(io(&archive))?;
    let sum: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let sums = folder.join(format!("{file}.sha256"));
    fs::write(&sums, format!("{sum}  {file}\n")).map_err(io(&sums))?;
    Ok(archive)
}

/// Unpacks into a fresh folder, so that what is tried is what is handed out.
fn unpack(archive: &Path) -> Done<PathBuf> {
    let folder = target().join("dist").join("unpacked");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io(&folder))?;
    }
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let mut tar = command("tar");
    tar.arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(&folder)
        .arg("--strip-components=1");
    run_quietly(&mut tar)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_workflow_names_every_target_and_no_other() {
        let workflow = root().join(".github/workflows/release.yml");
        let workflow = fs::read_to_string(workflow).unwrap();
        let named: Vec<&str> = workflow
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- target: "))
            .collect();
        let mut known: Vec<&str> = Target::value_variants()
            .iter()
            .map(|target| target.name())
            .collect();
        for name in &named {
            assert_eq!(Target::from_str(name, false).unwrap().name(), *name);
            known.retain(|other| other != name);
        }
        assert_eq!(known, [""; 0], "not in the workflow");
    }
}
