//! Highwater beside mprof, psrecord and procpath on the same suite at 10 Hz.
//!
//! In each round the suite runs alone, under each recorder in turn, and alone once more: the last over the first is the null comparison. A
//! recorder's own CPU time is that of its process, without the suite's.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    agent::cpu_seconds,
    figures::{Cost, median, ratios},
};
use crate::{
    tools::{Done, io, said},
    venv::venv,
};

const PACKAGES: [&str; 4] = ["memory_profiler", "psrecord", "procpath", "setuptools<81"];
/// As part of a command line it tells the recorder from the suite.
const RECORDERS: [&str; 4] = ["highwater run", "mprof run", "psrecord", "procpath record"];

pub(super) struct Peers<'a> {
    pub(super) binaries: &'a Path,
    pub(super) python: &'a Path,
    pub(super) data: &'a Path,
    pub(super) suite: &'a str,
    pub(super) rounds: u32,
}

impl Peers<'_> {
    pub(super) fn run(&self) -> Done<Value> {
        let bin = venv("peers", &PACKAGES)?.join("bin");
        let (suite, rounds) = (self.suite, self.rounds);
        println!("\n# Beside others at 10 Hz: {suite}, {rounds} rounds");
        self.time("", &self.suite())?;
        let mut first = Vec::new();
        let mut last = Vec::new();
        let mut costs = vec![Vec::new(); RECORDERS.len()];
        let mut shares = vec![Vec::new(); RECORDERS.len()];
        for round in 1..=rounds {
            first.push(self.time("", &self.suite())?.0);
            for (at, name) in RECORDERS.iter().enumerate() {
                let (cost, own) = self.time(name, &self.recorded(at, &bin)?)?;
                shares[at].push(own / cost.wall);
                costs[at].push(cost);
            }
            last.push(self.time("", &self.suite())?.0);
            println!("round {round} of {rounds}");
        }
        println!(
            "                    own % of a core    CPU ratio (min median max)    wall ratio (min median max)"
        );
        let mut rows = Vec::new();
        for ((name, costs), shares) in RECORDERS.iter().zip(&costs).zip(shares) {
            let share = median(shares);
            let over = ratios(costs, &first);
            println!(
                "{name:<18}  {:>15.3}    {}        {}",
                share * 100.0,
                over.cpu,
                over.wall
            );
            rows.push(json!({"recorder": name, "core_share": share, "over_plain": over.to_json()}));
        }
        let itself = ratios(&last, &first);
        println!(
            "{:<18}  {:>15}    {}        {}",
            "none (null)", "", itself.cpu, itself.wall
        );
        Ok(json!({"suite": suite, "rounds": rounds, "recorders": rows, "null": itself.to_json()}))
    }

    fn suite(&self) -> Vec<OsString> {
        let words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs"];
        let mut command = vec![self.python.into()];
        command.extend(words.map(OsString::from));
        command.extend(self.suite.split(' ').map(OsString::from));
        command
    }

    fn recorded(&self, recorder: usize, bin: &Path) -> Done<Vec<OsString>> {
        let out = self.data.join(format!("peer-{recorder}"));
        for path in [&out, &out.with_extension("sqlite")] {
            if path.is_file() {
                fs::remove_file(path).map_err(io(path))?;
            }
        }
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let mut command = match recorder {
            0 => {
                let mut command = vec![self.binaries.join("highwater").into()];
                command.extend(words(&[
                    "run",
                    "--quiet",
                    "--interval",
                    "100ms",
                    "--project",
                    "bench/peers",
                    "--spool",
                ]));
                command.push(self.data.join("spool-of-peers").into());
                command.extend(words(&["--"]));
                command
            }
            1 => {
                let mut command = vec![bin.join("mprof").into()];
                command.extend(words(&["run", "--nopython", "-C", "-T", "0.1", "-o"]));
                command.push(out.into());
                command
            }
            2 => {
                let suite: Vec<_> = self
                    .suite()
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect();
                let mut command = vec![bin.join("psrecord").into(), suite.join(" ").into()];
                command.extend(words(&["--interval", "0.1", "--include-children", "--log"]));
                command.push(out.into());
                return Ok(command);
            }
            _ => {
                let script = "db=$1 procpath=$2; shift 2; \"$@\" & suite=$!\n\
                    \"$procpath\" record -i 0.1 -d \"$db\" --stop-without-result -p $suite & recorder=$!\n\
                    wait $suite; code=$?; kill $recorder; wait $recorder; exit $code";
                let mut command = words(&["bash", "-c", script, "beside"]);
                command.push(out.with_extension("sqlite").into());
                command.push(bin.join("procpath").into());
                command
            }
        };
        command.extend(self.suite());
        Ok(command)
    }

    /// Runs a command; its cost with all below it, and the CPU seconds of the recorder alone.
    fn time(&self, recorder: &str, words: &[OsString]) -> Done<(Cost, f64)> {
        let began = Instant::now();
        let mut shell = Command::new("bash")
            .args([
                "-c",
                "TIMEFORMAT='%U %S'; { time \"$@\" >/dev/null 2>/dev/null; } 2>times; exit 0",
                "bench",
            ])
            .args(words)
            .current_dir(self.data)
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::null())
            .spawn()
            .map_err(io(Path::new("bash")))?;
        let (mut own, mut pid) = (0.0, None);
        while shell.try_wait().map_err(io(Path::new("bash")))?.is_none() {
            pid = pid.or_else(|| find(shell.id(), recorder, 3));
            own = pid.map_or(own, |pid| cpu_seconds(pid).max(own));
            sleep(Duration::from_millis(20));
        }
        let wall = began.elapsed().as_secs_f64();
        let times = self.data.join("times");
        let text = fs::read_to_string(&times).map_err(io(&times))?;
        let cpu = text
            .split_whitespace()
            .filter_map(|word| word.parse::<f64>().ok())
            .sum();
        if !recorder.is_empty() && own == 0.0 {
            return Err(said(format!("`{recorder}` was not seen to run")));
        }
        Ok((Cost { cpu, wall }, own))
    }
}

/// The descendant whose command line holds a text.
fn find(pid: u32, text: &str, depth: u32) -> Option<u32> {
    if text.is_empty() || depth == 0 {
        return None;
    }
    let children = PathBuf::from(format!("/proc/{pid}/task/{pid}/children"));
    let children = fs::read_to_string(children).ok()?;
    let pids: Vec<u32> = children
        .split(' ')
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let is_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // A shell that names the recorder among its words is none.
        line.contains(text) && !line.starts_with("bash")
    };
    let found = pids.iter().copied().find(is_it);
    found.or_else(|| pids.iter().find_map(|pid| find(*pid, text, depth - 1)))
}
