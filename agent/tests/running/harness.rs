//! Runs the real binary and reads its spool back, also while it runs.

use std::{
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use highwater_agent::{spool, terminal};
use highwater_wire::v1::{Batch, End, Metric, Notice, Process, event::What};
use tempfile::TempDir;

/// How long a test waits for what must come; far more than it takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A place to run in: a working folder and a spool.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = TempDir::with_prefix("highwater running ").unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A file in the working folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.root.path().join("spool")
    }

    /// `highwater run` of some words, quiet, apart from whatever job this test itself runs in.
    pub(crate) fn agent(&self, words: &[&str]) -> Command {
        let mut command = self.bare(env!("CARGO_BIN_EXE_highwater"));
        command
            .args(["run", "--quiet", "--spool"])
            .arg(self.spool())
            .args(["--project", "o/r", "--job", "running"])
            .arg("--")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A program in the working folder, apart from whatever job this test itself runs in.
    pub(crate) fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("HIGHWATER_"))
            {
                command.env_remove(name);
            }
        }
        for name in ["GITHUB_ENV", "BASH_ENV", "BUILDKITE_ENV_FILE"] {
            command.env_remove(name);
        }
        command.current_dir(self.root.path().join("work"));
        command
    }

    /// Runs another subcommand on this spool to its end.
    pub(crate) fn command(&self, subcommand: &str, words: &[&str]) -> Output {
        let mut command = self.bare(env!("CARGO_BIN_EXE_highwater"));
        let command = command.arg(subcommand).arg("--spool").arg(self.spool());
        command.args(words).output().unwrap()
    }

    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running(self.agent(words).spawn().unwrap())
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.start(words).end()
    }

    /// The folders of the jobs in the spool.
    pub(crate) fn jobs(&self) -> Vec<PathBuf> {
        spool::open_jobs(&self.spool()).unwrap()
    }

    /// What is in the spool of the one job, also while it grows.
    pub(crate) fn recorded(&self) -> Recorded {
        let jobs = self.jobs();
        let [folder] = jobs.as_slice() else {
            panic!("one job was expected: {jobs:?}");
        };
        let recorded = spool::read(folder).unwrap();
        assert_eq!(recorded.skipped, 0);
        Recorded {
            batches: recorded
                .batches
                .into_iter()
                .map(|(_, _, batch)| batch)
                .collect(),
            end: recorded.end,
        }
    }
}

/// A running agent; killed when a test fails.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let status = self.0.wait().unwrap();
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            drop(self.0.kill());
        }
    }
}

/// How an agent ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code; the agent must not have died by a signal.
    pub(crate) fn code(&self) -> i32 {
        assert_eq!(self.status.signal(), None, "{self:?}");
        self.status.code().unwrap()
    }
}

/// What a spool holds.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) batches: Vec<Batch>,
    pub(crate) end: Option<End>,
}

impl Recorded {
    /// What is known of each process whose command holds a text, the later words over the earlier.
    pub(crate) fn processes(&self, part_of_command: &str) -> Vec<Process> {
        let mut found: Vec<Process> = Vec::new();
        let words = self
            .batches
            .iter()
            .flat_map(|batch| &batch.processes)
            .filter(|word| word.parent_pid != 0);
        for word in words {
            found.retain(|known| (known.pid, known.start_ticks) != (word.pid, word.start_ticks));
            found.push(word.clone());
        }
        found.retain(|process| process.command.contains(part_of_command));
        found
    }

    /// All values of a metric of a process, in the order they were recorded.
    pub(crate) fn values(&self, metric: Metric, pid: u32) -> Vec<i64> {
        self.collect(metric, |batch, process, _| {
            process.is_some_and(|at| batch.processes[at as usize].pid == pid)
        })
    }

    /// All values of a metric of a cgroup.
    pub(crate) fn cgroup(&self, metric: Metric, name: &str) -> Vec<i64> {
        self.collect(metric, |_, _, cgroup| cgroup == name)
    }

    /// All values of a metric, whosever.
    pub(crate) fn collect_all(&self, metric: Metric) -> Vec<i64> {
        self.collect(metric, |_, _, _| true)
    }

    fn collect(
        &self,
        metric: Metric,
        wanted: impl Fn(&Batch, Option<u32>, &str) -> bool,
    ) -> Vec<i64> {
        let mut values = Vec::new();
        for batch in &self.batches {
            for series in batch.samples.iter().flat_map(|samples| &samples.series) {
                if series.metric() == metric && wanted(batch, series.process, &series.cgroup) {
                    let mut value = 0;
                    values.extend(series.value_delta.iter().map(|delta| {
                        value += delta;
                        value
                    }));
                }
            }
        }
        values
    }

    /// What happened, in the order it was recorded.
    pub(crate) fn events(&self) -> Vec<What> {
        let all = self.batches.iter().flat_map(|batch| &batch.events);
        all.filter_map(|event| event.what.clone()).collect()
    }

    pub(crate) fn notices(&self, code: &str) -> Vec<&Notice> {
        let all = self.batches.iter().flat_map(|batch| &batch.notices);
        all.filter(|notice| notice.code == code).collect()
    }
}

/// Waits for something that must come.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn wait_for_file(path: &Path) -> String {
    wait_for(&path.display().to_string(), || {
        fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
}

/// Tells that a check could not run, past the test runner, which shows only what failing tests print; `cargo xtask test` counts it.
pub(crate) fn not_run(reason: &str) {
    terminal::answer(&format!("NOT RUN: {reason}"));
}

/// Sends a signal, as somebody else.
pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}
