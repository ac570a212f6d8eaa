//! `cargo xtask vm`: what this machine's kernel does not do of itself is tried in a small virtual machine.
//!
//! A Debian kernel boots on the root of this machine, read-only, with what is written kept in memory. So the agent that was just built and the
//! Python of the tests run there as they are. One scenario a boot; what it recorded is judged by `e2e/system/test_recorded.py`, which holds the
//! recordings that are kept in `e2e/fixtures/recorded` against the same expectations every day.

pub(crate) mod initramfs;
mod kernel;
mod machine;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    test::E2E_PACKAGES,
    tools::{Done, apt_install, build, command, io, root, run as run_command, said, target},
    venv::{python, venv},
};
pub(crate) use machine::Machine;

/// What can be tried; `e2e/vm/guest.py` has a function for each.
const SCENARIOS: [&str; 9] = [
    "oom_machine",
    "oom_machine_without_log",
    "oom_cgroup_nested",
    "oom_cgroup_without_log",
    "oom_group",
    "oom_group_with_agent",
    "oom_worker",
    "power_loss",
    "yama",
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these scenarios.
    #[arg(long = "only", value_name = "SCENARIO", value_parser = SCENARIOS)]
    only: Vec<String>,
    /// Put the recordings that are as expected in the place of those that the everyday tests read.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(options: &Options) -> Done {
    let machine = match prepare() {
        Ok(machine) => machine,
        Err(error) => {
            println!("xtask: not run: virtual machine: {error}");
            return Ok(());
        }
    };
    let venv = venv("e2e", E2E_PACKAGES)?;
    // As users have them: the pages of a debug build's binary would fill much of the scenarios' cgroups.
    let binaries = build(true)?;
    let initramfs = initramfs::make(&machine, &venv, &binaries)?;
    let recorded = target().join("vm/recorded");
    let scenarios: Vec<&str> = SCENARIOS
        .into_iter()
        .filter(|name| options.only.is_empty() || options.only.iter().any(|only| only == name))
        .collect();
    for scenario in &scenarios {
        println!("xtask: {scenario}");
        let out = recorded.join(scenario);
        if out.exists() {
            fs::remove_dir_all(&out).map_err(io(&out))?;
        }
        fs::create_dir_all(&out).map_err(io(&out))?;
        let name = out.join("scenario");
        fs::write(&name, scenario).map_err(io(&name))?;
        machine.boot(&initramfs, &out)?;
        if out.join("lost").exists() {
            machine.boot(&initramfs, &out)?;
        }
        let disk = out.join("disk");
        fs::remove_file(&disk).map_err(io(&disk))?;
        if fs::read_to_string(out.join("status")).is_ok_and(|status| status.trim() == "0") {
            continue;
        }
        let log = fs::read_to_string(out.join("guest.log")).unwrap_or_default();
        return Err(said(format!(
            "{scenario} did not come to its end; see {} and: {log}",
            out.join("console.log").display()
        )));
    }
    let mut tests = command(python(&venv));
    tests
        .args([
            "-m",
            "pytest",
            "-v",
            "-s",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
        ])
        .arg("e2e/system/test_recorded.py")
        .env("HIGHWATER_BIN_DIR", &binaries)
        .env("HIGHWATER_RECORDED", &recorded);
    run_command(&mut tests)?;
    if options.keep {
        for scenario in &scenarios {
            keep(&recorded.join(scenario))?;
        }
    }
    Ok(())
}

pub(crate) fn prepare() -> Done<Machine> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(said("only x86_64 Linux has been tried"));
    }
    let programs = [
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/busybox",
        "/usr/sbin/mkfs.ext4",
        "/usr/bin/cpio",
        "/usr/sbin/depmod",
    ];
    if programs.iter().any(|program| !Path::new(program).exists()) {
        apt_install(&[
            "qemu-system-x86",
            "busybox-static",
            "e2fsprogs",
            "cpio",
            "kmod",
        ])?;
    }
    kernel::find().map(|kernel| Machine { kernel })
}

/// Puts what was recorded where the everyday tests read it.
fn keep(out: &Path) -> Done {
    let to = root()
        .join("e2e/fixtures/recorded")
        .join(out.file_name().unwrap_or_default());
    if to.exists() {
        fs::remove_dir_all(&to).map_err(io(&to))?;
    }
    copy(&out.join("spool"), &to)?;
    println!("xtask: kept {}", to.display());
    Ok(())
}

/// Copies a folder. Where a recording has its end, all that the plugin wrote is in its segments.
fn copy(from: &Path, to: &Path) -> Done {
    fs::create_dir_all(to).map_err(io(to))?;
    let is_whole = from.join("end").exists();
    for entry in fs::read_dir(from).map_err(io(from))? {
        let path: PathBuf = entry.map_err(io(from))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_file() {
            fs::copy(&path, to.join(name)).map_err(io(&path))?;
        } else if !(is_whole && name == "events") {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}
