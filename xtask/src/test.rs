//! `cargo xtask test`: every test of every language, with one closing line over all.

use std::{path::Path, process::Command};

use clap::{Args, ValueEnum};

use crate::{
    chromium::chromium,
    dist::{self, Target},
    fuzz,
    steps::{self, mention, say, step},
    tools::{
        Done, apt_install, build, command, example, on_path, root, run_and_read, run_side_by_side,
        said,
    },
    venv::{python, venv},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only a part of the tests.
    #[arg(long)]
    only: Option<Part>,
    /// Show all that the programs put out, as where CI is set; else that of those which fail.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Rust,
    Fuzz,
    Python,
    E2e,
    Dist,
}

/// What the runners counted.
#[derive(Debug, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
    broken: Vec<String>,
    not_run: Vec<String>,
}

/// What a Rust test writes that cannot run where it is; the runner itself then calls it passed.
const NOT_RUN: &str = "NOT RUN: ";

/// How long each target is fuzzed.
const FUZZ_SECONDS: u32 = 4;

/// Packages that the plugin must get along with.
const COMPATIBLE: &[&str] = &[
    "pytest-xdist",
    "pytest-cov",
    "pytest-randomly",
    "pytest-timeout",
    "pytest-rerunfailures",
    "pytest-repeat",
    "pytest-asyncio",
    "freezegun",
    "time-machine",
    "pyfakefs",
    "numpy",
];

/// Packages of the tests that go from end to end.
pub(crate) const E2E_PACKAGES: &[&str] = &[
    "pytest>=9,<10",
    "pytest-xdist",
    "pytest-timeout",
    "setproctitle",
    "tox",
    "nox",
    "networkx",
    "playwright",
    "axe-playwright-python",
    "pyjwt[crypto]",
    "pyyaml",
    "memory_profiler",
    "pyarrow",
    "perfetto",
];

/// What holds the server to its API's document. It brings plugins of pytest along, which no test that is recorded should load: so it is apart.
const SCHEMATHESIS: &[&str] = &["schemathesis>=4.32,<5"];

pub(crate) fn run(options: &Options) -> Done {
    steps::quiet_unless(options.verbose);
    let wanted = |part| options.only.is_none_or(|only| only == part);
    let mut count = Count::default();
    if wanted(Part::Rust) {
        step("Rust", || rust(&mut count))?;
    }
    if wanted(Part::Fuzz) {
        step(
            "every parser of foreign bytes, with bytes that nobody meant",
            || fuzzing(&mut count),
        )?;
    }
    if wanted(Part::Python) {
        plugin(&mut count)?;
    }
    if wanted(Part::E2e) {
        step("end to end, with the real binaries", || {
            end_to_end(&mut count)
        })?;
    }
    if wanted(Part::Dist) {
        distribution(&mut count)?;
    }
    for broken in &count.broken {
        println!("xtask: failed: {broken}");
    }
    for reason in &count.not_run {
        println!("xtask: not run: {reason}");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    if count.failed == 0 && count.broken.is_empty() && count.passed > 0 {
        Ok(())
    } else {
        Err(said("some tests failed"))
    }
}

fn rust(count: &mut Count) -> Done {
    // Where these cannot be had, the tests that need them say so.
    if !on_path("musl-gcc") {
        let _ = apt_install(&["musl-tools"]);
    }
    let mut cargo = command(env!("CARGO"));
    cargo
        .args(["test", "--workspace", "--no-fail-fast"])
        .env("INSTA_UPDATE", "no");
    let (good, text) = run_and_read(&mut cargo)?;
    count.rust(&text);
    if !good {
        count.broken.push("cargo test".to_owned());
    }
    Ok(())
}

/// Each target for some seconds: long enough to find what everybody would find.
fn fuzzing(count: &mut Count) -> Done {
    match fuzz::short_runs(FUZZ_SECONDS) {
        Ok(targets) => {
            for (target, is_good) in targets {
                count.one(is_good, &format!("fuzzing {target}"));
            }
        }
        Err(error) => {
            say(error);
            count.one(false, "fuzzing");
        }
    }
    Ok(())
}

fn plugin(count: &mut Count) -> Done {
    let vermin = venv("vermin", &["vermin"])?;
    let mut check = command(vermin.join("bin/vermin"));
    check.args([
        "--target=3.8-",
        "--violations",
        "--no-tips",
        "--eval-annotations",
        "pytest-plugin/highwater_pytest",
    ]);
    let what = "the plugin runs on Python 3.8, by its syntax and its imports";
    let (good, _) = step(what, || run_and_read(&mut check))?;
    count.one(good, "vermin");
    // The newest pytest meets every package; older ones meet those that still support them.
    let newest = venv("pytest9", &[&["pytest>=9,<10"][..], COMPATIBLE].concat())?;
    let older = [
        venv(
            "pytest8",
            &["pytest>=8,<9", "pytest-xdist", "pytest-forked"],
        )?,
        venv("pytest7", &["pytest>=7,<8", "pytest-xdist<3.6"])?,
    ];
    let mut compatible = tests_of_plugin(&newest, "pytest-plugin/tests");
    compatible.env("HIGHWATER_TEST_COMPAT", "1");
    let [eight, seven] = older.map(|venv| tests_of_plugin(&venv, "pytest-plugin/tests"));
    let examples = tests_of_plugin(&newest, "examples/accumulating-suite/tests");
    let what = "the plugin on pytest 9 with every compatible package and the examples, beside pytest 8 and 7 with those that still support them";
    // Each of these keeps one core busy and asserts on no clock.
    let lanes = vec![vec![compatible, examples], vec![eight, seven]];
    let runs = step(what, || run_side_by_side(lanes))?;
    for (name, (is_good, text)) in ["pytest9", "examples", "pytest8", "pytest7"]
        .iter()
        .zip(&runs)
    {
        count.of_pytest(name, *is_good, text);
    }
    Ok(())
}

fn tests_of_plugin(venv: &Path, folder: &str) -> Command {
    let mut tests = command(python(venv));
    tests.args(["-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider"]);
    tests.args(["-p", "no:randomly", folder]);
    tests.env("PYTHONPATH", root().join("pytest-plugin"));
    tests
}

fn end_to_end(count: &mut Count) -> Done {
    let binaries = build(false)?;
    example("hostile", false)?;
    example("load", false)?;
    if !on_path("strace") {
        // Where it cannot be had, the tests that need it say so.
        let _ = apt_install(&["strace"]);
    }
    let browser = chromium()?;
    let schemathesis = python(&venv("schemathesis", SCHEMATHESIS)?);
    let venv = venv("e2e", E2E_PACKAGES)?;
    let mut tests = command(python(&venv));
    tests.args([
        "-m",
        "pytest",
        "-q",
        "-rfEs",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--durations=25",
        "e2e",
    ]);
    tests
        .env("HIGHWATER_BIN_DIR", &binaries)
        .env("HIGHWATER_CHROMIUM", browser)
        .env("HIGHWATER_SCHEMATHESIS", schemathesis);
    let (is_good, text) = run_and_read(&mut tests)?;
    count.of_pytest("e2e", is_good, &text);
    Ok(())
}

/// The agent as a release hands it out: linked against an old glibc, packed, and tried.
fn distribution(count: &mut Count) -> Done {
    let Some(target) = Target::of_this_machine() else {
        count.skipped += 1;
        count
            .not_run
            .push("the agent of a release: there is none for this kind of system".to_owned());
        return Ok(());
    };
    let what = "the agent of a release (release build; some minutes the first time)";
    match step(what, || dist::make(target, true)) {
        Ok(made) => {
            mention(format_args!("xtask: {}", made.archive.display()));
            count.one(made.tried.is_ok(), "the agent of a release records");
        }
        Err(error) => {
            say(error);
            count.one(false, "the agent of a release");
        }
    }
    let what = "the agent compiles for a system that is no Linux";
    let compiles = step(what, dist::check_elsewhere);
    if let Err(error) = &compiles {
        say(error);
    }
    count.one(compiles.is_ok(), "the agent for macOS");
    Ok(())
}

impl Count {
    /// Adds what `cargo test` wrote.
    fn rust(&mut self, text: &str) {
        for line in text.lines() {
            // Another test's line may stand before it: both write to the same stream.
            if let Some((_, reason)) = line.split_once(NOT_RUN) {
                self.not_run.push(reason.to_owned());
            } else if let Some(line) = line.strip_prefix("test result: ") {
                self.add(line, &["passed"], &["failed"], &["ignored"]);
            }
        }
        self.names(text, |line| {
            line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
        });
        let not_run = self.not_run.len() as u64;
        self.passed -= not_run.min(self.passed);
        self.skipped += not_run;
    }

    /// Adds what a pytest wrote.
    fn of_pytest(&mut self, name: &str, is_good: bool, text: &str) {
        let last = text
            .lines()
            .rev()
            .find(|line| line.contains(" in ") && line.contains("passed"));
        self.add(
            last.unwrap_or(""),
            &["passed", "xfailed"],
            &["failed", "error", "errors"],
            &["skipped"],
        );
        self.names(text, |line| {
            line.strip_prefix("FAILED ")
                .or_else(|| line.strip_prefix("ERROR "))
        });
        if !is_good || last.is_none() {
            self.broken.push(name.to_owned());
        }
    }

    /// Adds the numbers that stand before words in a runner's closing line.
    fn add(&mut self, line: &str, passed: &[&str], failed: &[&str], skipped: &[&str]) {
        let words: Vec<&str> = line
            .split([' ', ',', ';', '.', '='])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else {
                continue;
            };
            if passed.contains(&pair[1]) {
                self.passed += number;
            } else if failed.contains(&pair[1]) {
                self.failed += number;
            } else if skipped.contains(&pair[1]) {
                self.skipped += number;
            }
        }
    }

    /// Keeps the names of failed tests, so that they stand beside the closing line and not thousands of lines before it.
    fn names(&mut self, text: &str, failed: impl Fn(&str) -> Option<&str>) {
        let names = text.lines().filter_map(failed).map(str::to_owned);
        self.broken.extend(names);
    }

    fn one(&mut self, good: bool, name: &str) {
        if good {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.broken.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_could_not_run_is_skipped_and_not_passed() {
        let mut count = Count::default();
        count.rust(
            "test a ... ok\ntest b ... NOT RUN: memory cgroup: needs root\nok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!((count.passed, count.failed, count.skipped), (1, 0, 1));
        assert_eq!(count.not_run, ["memory cgroup: needs root"]);
    }

    #[test]
    fn a_failed_test_is_named_at_the_end() {
        let mut count = Count::default();
        count.rust("test a::b ... FAILED\ntest a::c ... ok\n");
        assert_eq!(count.broken, ["a::b"]);
    }

    #[test]
    fn closing_lines_of_both_runners_are_added_up() {
        let mut count = Count::default();
        count.add(
            "ok. 21 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            &["passed"],
            &["failed"],
            &["ignored"],
        );
        count.add(
            "== 2 failed, 3 passed, 4 skipped, 1 error in 0.5s ==",
            &["passed"],
            &["failed", "error"],
            &["skipped"],
        );
        assert_eq!((count.passed, count.failed, count.skipped), (24, 3, 5));
    }
}
