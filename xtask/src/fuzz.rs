//! `cargo xtask fuzz`: tries every parser of foreign bytes with bytes that nobody meant.
//!
//! The targets in `fuzz/` are those of cargo-fuzz; they are built here as it builds them, but on stable Rust and without installing it. Short runs
//! instrument the crates of this project alone and use everything else as the tests have built it; long ones instrument everything, at full speed.

mod build;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    steps::mention,
    tools::{Done, command, io, root, run_quietly, said, target},
};
use build::Built;
use report::Report;

/// A run that takes more memory is a finding, MB.
const MOST_MEMORY_MB: u32 = 2_048;
/// An input that takes longer is a finding, s.
const LONGEST_S: u32 = 20;
/// Longest input that is made, bytes. A database has more than others.
const LONGEST_INPUT: u32 = 32 << 10;
/// For how long a finding is made smaller, s.
const MINIMISING_S: u32 = 20;
/// Where the chances of short runs begin.
const SHORT_SEED: u32 = 1;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Instrument this project's crates alone, as the tests do: built in a minute where the tests are built.
    #[arg(long)]
    quick: bool,
    /// Find misuse of memory too, with AddressSanitizer; needs a nightly Rust.
    #[arg(long, conflicts_with = "quick")]
    address: bool,
    /// Which targets; all where none is named.
    targets: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Done {
    let built = match (options.quick, options.address) {
        (true, _) => Built::Quick,
        (false, false) => Built::Whole,
        (false, true) => Built::Address,
    };
    let reports = run_targets(built, options.seconds, &options.targets, None)?;
    match reports
        .iter()
        .filter(|report| report.finding.is_some())
        .count()
    {
        0 => Ok(()),
        found => Err(said(format!(
            "{found} of {} targets found something",
            reports.len()
        ))),
    }
}

/// Runs each target for a second or two, as a part of the tests; each target's name, and whether it found nothing. They try nearly the same each time:
/// what chance alone finds is found by the long runs, not by a change that has nothing to do with it.
pub(crate) fn short_runs(seconds: u32) -> Done<Vec<(String, bool)>> {
    let reports = run_targets(Built::Quick, seconds, &[], Some(SHORT_SEED))?;
    Ok(reports
        .into_iter()
        .map(|report| (report.target, report.finding.is_none()))
        .collect())
}

fn run_targets(
    built: Built,
    seconds: u32,
    wanted: &[String],
    seed: Option<u32>,
) -> Done<Vec<Report>> {
    let all = targets()?;
    if let Some(other) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(said(format!(
            "there is no target {other}; there are {}",
            all.join(", ")
        )));
    }
    let seeds = seeds()?;
    let binaries = built.build()?;
    mention(report::HEAD);
    let mut reports = Vec::new();
    for name in all
        .iter()
        .filter(|name| wanted.is_empty() || wanted.contains(name))
    {
        let report = Run {
            name,
            binaries: &binaries,
            seeds: &seeds,
            seed,
        }
        .run(seconds)?;
        match report.finding {
            Some(_) => println!("{report}"),
            None => mention(&report),
        }
        reports.push(report);
    }
    Ok(reports)
}

/// The targets, by their files.
fn targets() -> Done<Vec<String>> {
    let folder = root().join("fuzz/targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io(&folder))? {
        let path = entry.map_err(io(&folder))?.path();
        names.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

/// Makes the inputs that each target begins with.
fn seeds() -> Done<PathBuf> {
    let folder = target().join("fuzz/seeds");
    let mut make = command(env!("CARGO"));
    make.args([
        "run",
        "--quiet",
        "--package",
        "highwater-foreign",
        "--example",
        "seeds",
    ]);
    run_quietly(make.arg(&folder))?;
    Ok(folder)
}

/// A target that is run.
struct Run<'a> {
    name: &'a str,
    binaries: &'a Path,
    seeds: &'a Path,
    /// Where its chances begin; elsewhere each time without one.
    seed: Option<u32>,
}

impl Run<'_> {
    fn run(&self, seconds: u32) -> Done<Report> {
        let work = target().join("fuzz");
        let corpus = work.join("corpus").join(self.name);
        let found = work.join("found").join(self.name);
        for folder in [&corpus, &found] {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let mut run = self.command();
        run.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={LONGEST_INPUT}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args(["-print_final_stats=1", "-reload=0"]);
        let words = root()
            .join("fuzz/dictionaries")
            .join(format!("{}.dict", self.name));
        if words.exists() {
            run.arg(format!("-dict={}", words.display()));
        }
        if let Some(seed) = self.seed {
            run.arg(format!("-seed={seed}"));
        }
        // What is new is kept in the first folder.
        run.arg(&corpus).arg(self.seeds.join(self.name));
        let findings = root().join("fuzz/findings").join(self.name);
        if findings.exists() {
            run.arg(&findings);
        }
        let output = run.output().map_err(io(&self.binary()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let mut report = Report::of(self.name, &told);
        if !output.status.success() {
            let log = found.join("log");
            fs::write(&log, told.as_bytes()).map_err(io(&log))?;
            report.finding = Some(self.explain(&told, &log)?);
        }
        Ok(report)
    }

    fn binary(&self) -> PathBuf {
        self.binaries.join(self.name)
    }

    fn command(&self) -> Command {
        let mut command = command(self.binary());
        command
            .arg(format!("-rss_limit_mb={MOST_MEMORY_MB}"))
            .arg(format!("-timeout={LONGEST_S}"));
        // Files that are read a thousand times a second need no disk.
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            command.env("TMPDIR", memory);
        }
        command
    }

    /// What was found, made as small as it gets in a little time, and how to see it again.
    fn explain(&self, told: &str, log: &Path) -> Done<String> {
        let why = report::why(told).unwrap_or("it ended with an error");
        let Some(input) = report::artifact(told) else {
            return Ok(format!("{why}; see {}", log.display()));
        };
        let folder = root().join("fuzz/findings").join(self.name);
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let name = input.file_name().unwrap_or_default();
        let kept = folder.join(name);
        fs::copy(&input, &kept).map_err(io(&kept))?;
        let smaller = input.with_extension("smaller");
        let mut minimise = self.command();
        minimise
            .arg("-minimize_crash=1")
            .arg(format!("-max_total_time={MINIMISING_S}"))
            .arg(format!("-exact_artifact_path={}", smaller.display()))
            .arg(&input);
        // It ends with an error whether or not it made it smaller.
        let minimised = minimise.output().map_err(io(&self.binary()))?;
        if smaller.exists() && !minimised.stderr.is_empty() {
            fs::copy(&smaller, &kept).map_err(io(&kept))?;
        }
        Ok(format!(
            "{why}\n  input: {}\n  again: {} {}\n  and in the tests: cargo test -p highwater-foreign --test findings\n  log: {}",
            kept.display(),
            self.binary().display(),
            kept.display(),
            log.display()
        ))
    }
}
