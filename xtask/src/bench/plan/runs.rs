//! Recording a suite and its shards, and planning between.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use highwater_wire::report::{PlanReport, ReportDocument};

use super::Suite;
use crate::tools::{Done, io, said};

/// Name of the recording that plans are made of. It is of one process: the plan says what workers make of it.
pub(super) const WHOLE: &str = "whole";

/// What a recording says.
pub(super) struct Recorded {
    pub(super) peak_bytes: u64,
    /// Each file that ran, and of how many tests, in the order of their paths.
    pub(super) tests: Vec<(String, u64)>,
}

/// Part of a suite in so many workers.
pub(super) struct Runs<'a> {
    pub(super) binaries: &'a Path,
    pub(super) python: &'a Path,
    pub(super) data: &'a Path,
    pub(super) suite: &'a Suite,
    pub(super) workers: u32,
}

impl Runs<'_> {
    /// Records pytest with some flags more.
    pub(super) fn record(&self, name: &str, flags: &[String]) -> Done<Recorded> {
        println!(
            "xtask: {} in {} workers: {name}",
            self.suite.name, self.workers
        );
        let spool = self.spool(name);
        let mut command = self.highwater("run");
        command.args(["--quiet", "--spool"]).arg(&spool);
        command
            .arg("--")
            .arg(self.python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
        command.args(["-k", self.suite.wanted]).args(flags);
        command.arg("--pyargs").args(self.suite.packages);
        let status = command
            .stdout(Stdio::null())
            .status()
            .map_err(io(self.python))?;
        if status.code() != Some(0) {
            return Err(said(format!("{} did not pass: {status}", self.suite.name)));
        }
        let text = read(
            self.highwater("report")
                .args(["--format", "json", "--spool"])
                .arg(&spool),
        )?;
        let document: ReportDocument =
            serde_json::from_str(&text).map_err(|error| said(format!("report: {error}")))?;
        let ran = document.files.into_iter().filter(|file| file.visits > 0);
        let mut tests: Vec<(String, u64)> = ran.map(|file| (file.path, file.tests)).collect();
        tests.sort();
        Ok(Recorded {
            peak_bytes: document.job.peak_bytes,
            tests,
        })
    }

    /// What base and largest file need: the least budget, which the refusal of a budget of a byte names.
    pub(super) fn least_budget(&self) -> Done<u64> {
        let output = self.planning(1).output().map_err(io(self.binaries))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let bytes = told
            .rsplit_once(" bytes)")
            .and_then(|(before, _)| before.rsplit_once('('));
        bytes
            .and_then(|(_, bytes)| bytes.parse().ok())
            .ok_or_else(|| said(format!("no least budget is told: {told}")))
    }

    pub(super) fn plan(&self, budget_bytes: u64) -> Done<PlanReport> {
        let mut command = self.planning(budget_bytes);
        let text = read(command.arg("--write").arg(self.spool("plan")))?;
        serde_json::from_str(&text).map_err(|error| said(format!("plan: {error}")))
    }

    /// How pytest runs a shard of that plan.
    pub(super) fn flags_of(&self, shard: &str) -> Vec<String> {
        let plan = self.spool("plan").join("plan.json");
        let plan = format!("--highwater-plan={}", plan.to_string_lossy());
        let mut flags = vec!["--highwater-shard", shard, &plan];
        let workers = self.workers.to_string();
        if self.workers > 1 {
            flags.extend(["-n", &workers, "--dist", "loadfile"]);
        }
        flags.into_iter().map(str::to_owned).collect()
    }

    fn planning(&self, budget_bytes: u64) -> Command {
        let mut command = self.highwater("plan");
        command
            .args(["--format", "json", "--spool"])
            .arg(self.spool(WHOLE));
        command.args(["--budget", &budget_bytes.to_string()]);
        if self.workers > 1 {
            command.args(["--workers", &self.workers.to_string()]);
        }
        command
    }

    /// In an environment of its own: what a CI's variables say is not to be recorded, and libraries take threads, and memory for each, by the machine's cores.
    fn highwater(&self, command: &str) -> Command {
        let mut highwater = Command::new(self.binaries.join("highwater"));
        highwater
            .arg(command)
            .current_dir(self.data)
            .stdin(Stdio::null());
        highwater
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("PYTHONHASHSEED", "0");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["HIGHWATER_", "PYTEST_", "GITHUB_", "CI"]
                .iter()
                .any(|it| name.starts_with(it))
            {
                highwater.env_remove(name);
            }
        }
        highwater
    }

    fn spool(&self, name: &str) -> PathBuf {
        let Suite { name: suite, .. } = self.suite;
        self.data.join(match name {
            WHOLE => format!("{suite}-{name}"),
            _ => format!("{suite}-{}-{name}", self.workers),
        })
    }
}

/// What it prints; anything but success is an error.
fn read(command: &mut Command) -> Done<String> {
    let output = command.output().map_err(io(Path::new("highwater")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(said(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
