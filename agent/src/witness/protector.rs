//! Lets the kernel, when memory runs out, take the tests and not who tells of them: the job's processes get a higher `oom_score_adj` than the
//! agent and the CI's runner above it.
//!
//! Raising needs no privilege. Children inherit, so it is mostly one write a job; nothing is ever lowered.

use std::{fs::File, io::Write};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{
    procfs::{Procfs, read_into},
    tree::ProcessKey,
};

/// So far above the highest of agent and ancestors: half of the memory there is.
const ABOVE: i32 = 500;
/// The highest there is: always the first to be killed.
const HIGHEST: i32 = 1000;
/// So many ancestors are looked at.
const MOST_ANCESTORS: usize = 32;

/// Raises `oom_score_adj`.
#[derive(Debug)]
pub struct Protector {
    procfs: Procfs,
    target: i32,
    buffer: Vec<u8>,
}

impl Protector {
    /// One that raises above the agent, the others that are named (of a CI's runner that is not its ancestor), and all they descend from;
    /// `None` where nothing can be higher than they are, or nothing is known.
    #[must_use]
    pub fn above(procfs: &Procfs, agent_pid: u32, others: &[u32]) -> Option<Self> {
        let mut buffer = Vec::new();
        let mut highest = read(procfs, agent_pid, &mut buffer)?;
        for first in [agent_pid].iter().chain(others) {
            let mut pid = *first;
            for _ in 0..MOST_ANCESTORS {
                let Some(value) = read(procfs, pid, &mut buffer) else {
                    break;
                };
                highest = highest.max(value);
                let stat = procfs.stat(pid, &mut buffer).ok().flatten();
                match stat.map(|stat| stat.parent_pid) {
                    None | Some(0 | 1) => break,
                    Some(parent) => pid = parent,
                }
            }
        }
        (highest < HIGHEST).then(|| Self {
            procfs: procfs.clone(),
            target: (highest + ABOVE).min(HIGHEST),
            buffer,
        })
    }

    /// What processes are raised to.
    #[must_use]
    pub fn target(&self) -> i32 {
        self.target
    }

    /// Raises a process of the job; what it was raised to, itself or by inheritance. `None` where it stands higher already, is gone (another may have
    /// its number), or may not be changed.
    pub fn raise(&mut self, key: ProcessKey) -> Option<i32> {
        let now = read(&self.procfs, key.pid, &mut self.buffer)?;
        if now < self.target {
            let mut file = self.open(key)?;
            file.write_all(self.target.to_string().as_bytes()).ok()?;
        }
        (now <= self.target).then_some(self.target)
    }

    /// Opens the value of a process, and of no other that has its number later.
    fn open(&mut self, key: ProcessKey) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, self.procfs.path_of(key.pid, ""), flags, Mode::empty()).ok()?;
        // Asked after its folder is held: whoever has the number now had it then.
        let stat = self.procfs.stat(key.pid, &mut self.buffer).ok()??;
        if stat.start_ticks != key.start_ticks {
            return None;
        }
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = openat(&folder, "oom_score_adj", flags, Mode::empty()).ok()?;
        Some(File::from(file))
    }
}

fn read(procfs: &Procfs, pid: u32, buffer: &mut Vec<u8>) -> Option<i32> {
    read_into(&procfs.path_of(pid, "oom_score_adj"), buffer).ok()??;
    std::str::from_utf8(buffer).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A line of processes, each the child of the one before, with these values; the last is the agent.
    fn line(values: &[&str]) -> (TempDir, Procfs, u32) {
        let root = TempDir::new().unwrap();
        for (at, value) in values.iter().enumerate() {
            let folder = root.path().join((at + 2).to_string());
            fs::create_dir_all(&folder).unwrap();
            let stat = format!(
                "{} (p) S {} {}1 {}17 0\n",
                at + 2,
                at + 1,
                "0 ".repeat(17),
                "0 ".repeat(15)
            );
            fs::write(folder.join("stat"), stat).unwrap();
            fs::write(folder.join("oom_score_adj"), value).unwrap();
        }
        let procfs = Procfs::new(root.path());
        (root, procfs, values.len() as u32 + 1)
    }

    /// One of the line, as it began.
    fn key(pid: u32) -> ProcessKey {
        ProcessKey {
            pid,
            start_ticks: 1,
        }
    }

    #[test]
    fn whoever_has_the_number_of_one_that_is_gone_is_left_alone() {
        let (root, procfs, agent) = line(&["0\n", "0\n"]);
        let mut protector = Protector::above(&procfs, agent, &[]).unwrap();
        let before = ProcessKey {
            start_ticks: 2,
            ..key(2)
        };
        assert_eq!(protector.raise(before), None);
        let file = root.path().join("2/oom_score_adj");
        assert_eq!(fs::read_to_string(file).unwrap(), "0\n");
    }

    #[test]
    fn the_job_stands_above_agent_and_runner() {
        for (values, target) in [
            (&["0\n", "0\n"][..], Some(500)),
            (&["0\n", "500\n"], Some(1000)),
            (&["300\n", "-900\n", "0\n"], Some(800)),
            (&["0\n", "1000\n"], None),
            (&["-1000\n"], Some(-500)),
        ] {
            let (_root, procfs, agent) = line(values);
            let protector = Protector::above(&procfs, agent, &[]);
            assert_eq!(protector.map(|it| it.target()), target, "{values:?}");
        }
        // An agent in the background is no child of the runner.
        let (_root, procfs, agent) = line(&["100\n", "0\n"]);
        let above = |others: &[u32]| {
            let protector = Protector::above(&procfs, agent - 1, others);
            protector.map(|it| it.target())
        };
        fs::write(procfs.path_of(agent, "oom_score_adj"), "300\n").unwrap();
        assert_eq!((above(&[]), above(&[agent])), (Some(600), Some(800)));
        assert!(Protector::above(&Procfs::new("/nowhere"), 1, &[]).is_none());
    }

    #[test]
    fn a_process_is_raised_and_never_lowered() {
        let (root, procfs, agent) = line(&["0\n", "0\n"]);
        let mut protector = Protector::above(&procfs, agent, &[77]).unwrap();
        let file = root.path().join("2/oom_score_adj");
        for (before, told, after) in [
            ("0\n", Some(500), "500"),
            ("500\n", Some(500), "500\n"),
            ("900\n", None, "900\n"),
            ("-1000\n", Some(500), "500"),
        ] {
            fs::write(&file, before).unwrap();
            assert_eq!(protector.raise(key(2)), told, "{before:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
        assert_eq!(protector.raise(key(77)), None);
    }
}
