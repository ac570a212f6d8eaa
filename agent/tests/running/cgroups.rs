//! Real memory cgroups: limits, and the counter of kills. Needs root and a memory controller; says so where it has neither.

use std::{fs, path::PathBuf, process::Command};

use highwater_wire::v1::Metric;

use crate::harness::{Place, not_run};

/// A cgroup of version 1 or 2 below this process's own, removed again at the end.
pub(crate) struct Cgroup {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    limit_file: &'static str,
}

impl Cgroup {
    /// Makes one with a limit, or tells why that cannot be.
    pub(crate) fn with_limit(label: &str, bytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let line = own
            .lines()
            .find(|line| line.split(':').nth(1) == Some("memory"));
        let (mount, limit_file, path) = match line.and_then(|line| line.splitn(3, ':').nth(2)) {
            Some(path) => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path),
            None => {
                let path = own
                    .lines()
                    .find_map(|line| line.strip_prefix("0::"))
                    .ok_or("no cgroups at all")?;
                ("/sys/fs/cgroup", "memory.max", path)
            }
        };
        let name = format!(
            "{}/highwater-{label}-{}",
            path.trim_end_matches('/'),
            std::process::id()
        );
        let folder = PathBuf::from(format!("{mount}{name}"));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let cgroup = Self {
            folder,
            name,
            limit_file,
        };
        let limit = cgroup.folder.join(limit_file);
        match fs::write(&limit, bytes.to_string()) {
            Ok(()) => Ok(cgroup),
            Err(error) => Err(format!("{}: {error}", limit.display())),
        }
    }

    /// Where it tells what it uses.
    pub(crate) fn usage_file(&self) -> PathBuf {
        self.folder.join(match self.limit_file {
            "memory.max" => "memory.current",
            _ => "memory.usage_in_bytes",
        })
    }

    /// Runs the agent in it, with what it runs.
    fn run(&self, place: &Place, words: &[&str]) -> std::process::Output {
        self.holding(&place.agent(words)).output().unwrap()
    }

    /// A command that is run in it.
    pub(crate) fn holding(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.folder)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.folder.exists()
            && let Err(error) = fs::remove_dir(&self.folder)
        {
            eprintln!(
                "{} with its {} stays: {error}",
                self.folder.display(),
                self.limit_file
            );
        }
    }
}

/// Takes 2 MB more every 20 ms, until it may not.
const GROW: &str = "import time\nheld = []\nwhile True:\n    held.append(bytearray(b'x' * (2 << 20))); time.sleep(0.02)";

/// What may lie between the last sample before a death and the last that was in the spool by then, µs, on a machine that is not late.
const LAST_WORDS_US: i64 = 200_000;

#[test]
fn what_grows_to_its_death_is_in_the_spool_up_to_the_last_moments() {
    let cgroup = match Cgroup::with_limit("grow", 300 << 20) {
        Ok(cgroup) => cgroup,
        Err(reason) => {
            not_run(&format!("memory cgroup: {reason}"));
            return;
        }
    };
    let place = Place::new();
    let output = cgroup.run(&place, &["python3", "-c", GROW]);
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    let recorded = place.recorded();
    let ends = recorded.processes("python3");
    let died_us = ends
        .iter()
        .filter_map(|process| process.ended_us)
        .max()
        .unwrap();
    // When each tick was taken, how late, and by when it was in the spool.
    let mut ticks = Vec::new();
    for batch in &recorded.batches {
        for samples in &batch.samples {
            let mut t_us = 0;
            for (delta, late_us) in samples.t_us_delta.iter().zip(&samples.lateness_us) {
                t_us += delta;
                ticks.push((t_us, late_us.cast_signed(), batch.to_us));
            }
        }
    }
    ticks.retain(|(t_us, ..)| *t_us <= died_us);
    // Had the agent died with it, what it had taken last and not yet written would be lost.
    let written = ticks.iter().filter(|(.., by_us)| *by_us < died_us);
    let written_us = written.map(|(t_us, ..)| *t_us).max().unwrap();
    let taken_us = ticks.iter().map(|(t_us, ..)| *t_us).max().unwrap();
    let last_second = ticks.iter().filter(|tick| tick.0 > died_us - 1_000_000);
    let late_us = last_second.map(|(_, late_us, _)| *late_us).max().unwrap();
    let spans: Vec<_> = recorded
        .batches
        .iter()
        .map(|batch| (batch.from_us, batch.to_us))
        .collect();
    assert!(
        taken_us - written_us <= LAST_WORDS_US + late_us,
        "died at {died_us}, of {taken_us} what was up to {written_us} was written, {late_us} late, batches {spans:?}"
    );
    let short = spans
        .iter()
        .filter(|(from_us, to_us)| to_us - from_us < 500_000);
    assert!(short.count() >= 3, "{spans:?}");
}

const HOLD: &str = "import time; held = bytearray(b'x' * (48 << 20)); time.sleep(1.5)";

#[test]
fn limit_and_use_of_the_cgroup_are_recorded() {
    let cgroup = match Cgroup::with_limit("limit", 300 << 20) {
        Ok(cgroup) => cgroup,
        Err(reason) => {
            not_run(&format!("memory cgroup: {reason}"));
            return;
        }
    };
    let place = Place::new();
    let output = cgroup.run(&place, &["python3", "-c", HOLD]);
    assert!(output.status.success(), "{output:?}");
    let recorded = place.recorded();
    let values = |metric| recorded.cgroup(metric, &cgroup.name);
    let limits = values(Metric::CgroupLimit);
    assert!(
        !limits.is_empty() && limits.iter().all(|bytes| *bytes == 300 << 20),
        "{limits:?}"
    );
    let usage = values(Metric::CgroupUsage);
    assert!(usage.iter().any(|bytes| *bytes >= 48 << 20), "{usage:?}");
    let sets = values(Metric::CgroupWorkingSet);
    assert!(sets.len() == usage.len() && sets.iter().zip(&usage).all(|(set, usage)| set <= usage));
    assert!(values(Metric::CgroupPeak).last() >= usage.iter().max());
    assert!(
        values(Metric::CgroupOomKills)
            .iter()
            .all(|kills| *kills == 0)
    );
}

#[test]
fn a_kill_for_want_of_memory_is_counted_even_when_it_ends_the_command() {
    let cgroup = match Cgroup::with_limit("kill", 64 << 20) {
        Ok(cgroup) => cgroup,
        Err(reason) => {
            not_run(&format!("memory cgroup: {reason}"));
            return;
        }
    };
    let place = Place::new();
    let output = cgroup.run(
        &place,
        &["python3", "-c", "held = bytearray(b'x' * (400 << 20))"],
    );
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    let recorded = place.recorded();
    let kills = recorded.cgroup(Metric::CgroupOomKills, &cgroup.name);
    assert_eq!(
        (kills.first(), kills.last()),
        (Some(&0), Some(&1)),
        "before and after"
    );
    assert_eq!(recorded.end.unwrap().signal, Some(9));
}
