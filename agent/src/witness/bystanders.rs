//! The rest of the machine: processes that are no part of the job and take memory beside it, such as the database container of its tests.
//!
//! Of such a process no more than the name of its program and of its container or service is kept: arguments may hold secrets that are not the
//! job's to tell.

mod naming;

use std::collections::{HashMap, HashSet};

use highwater_wire::MEMORY_DAEMONS;

use crate::{
    procfs::{ProcError, Procfs, read_into},
    tree::ProcessKey,
};

/// So many are told, the largest.
const MOST_TOLD: usize = 8;
/// On one of so many looks everybody is looked at; on the others nobody who had no memory then. Those are mostly the kernel's threads, on a small machine half
/// of all; the number of one that ended may be another's since.
const EVERYBODY_EVERY: u32 = 6;
/// Smaller ones are in the sum alone, bytes.
const LEAST_BYTES: u64 = 64 << 20;

/// A process outside the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bystander {
    /// Which process.
    pub key: ProcessKey,
    /// Its program, and the container or service it belongs to.
    pub command: String,
    /// Its RSS, bytes.
    pub rss_bytes: u64,
}

/// All processes outside the job at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Sum of their RSS, bytes; what they share counts for each.
    pub rss_bytes: u64,
    /// The largest of them, largest first, then whoever ends processes when memory runs short.
    pub largest: Vec<Bystander>,
}

/// Looks at them.
#[derive(Debug)]
pub struct Bystanders {
    procfs: Procfs,
    agent_pid: u32,
    page_bytes: u64,
    /// Names of those that were told.
    names: HashMap<ProcessKey, String>,
    /// Who was there at the last look, and whether it is one of [`MEMORY_DAEMONS`].
    known: HashMap<u32, bool>,
    /// Who had no memory when everybody was looked at.
    bare: HashSet<u32>,
    looks: u32,
    buffer: Vec<u8>,
}

impl Bystanders {
    /// One that has seen nobody.
    #[must_use]
    pub fn new(procfs: Procfs, agent_pid: u32, page_bytes: u64) -> Self {
        Self {
            procfs,
            agent_pid,
            page_bytes,
            names: HashMap::new(),
            known: HashMap::new(),
            bare: HashSet::new(),
            looks: 0,
            buffer: Vec::new(),
        }
    }

    /// Looks at every process but the agent and those of the job.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub fn scan(&mut self, members: &HashSet<u32>) -> Result<Scan, ProcError> {
        let mut scan = Scan::default();
        let (mut large, mut daemons) = (Vec::new(), Vec::new());
        let mut known = HashMap::with_capacity(self.known.len());
        let is_at_everybody = self.looks.is_multiple_of(EVERYBODY_EVERY);
        self.looks = self.looks.wrapping_add(1);
        if is_at_everybody {
            self.bare.clear();
        }
        for pid in self.procfs.pids()? {
            if pid == self.agent_pid || members.contains(&pid) || self.bare.contains(&pid) {
                continue;
            }
            // Whatever fails is gone, or hidden from this user; a thread of the kernel has no memory.
            let statm = self.procfs.open_statm(pid, self.page_bytes).ok().flatten();
            let statm = statm.and_then(|file| file.read().ok().flatten());
            let rss_bytes = statm.map_or(0, |statm| statm.resident_bytes);
            scan.rss_bytes += rss_bytes;
            if rss_bytes == 0 {
                if is_at_everybody {
                    self.bare.insert(pid);
                }
                continue;
            }
            let is_daemon = self.known.get(&pid).copied();
            let is_daemon = is_daemon.unwrap_or_else(|| self.is_daemon(pid));
            known.insert(pid, is_daemon);
            if is_daemon {
                daemons.push((rss_bytes, pid));
            } else if rss_bytes >= LEAST_BYTES {
                large.push((rss_bytes, pid));
            }
        }
        self.known = known;
        large.sort_unstable_by(|one, other| other.cmp(one));
        large.truncate(MOST_TOLD);
        daemons.truncate(MOST_TOLD);
        scan.largest = large
            .into_iter()
            .chain(daemons)
            .filter_map(|(rss_bytes, pid)| self.look(pid, rss_bytes))
            .collect();
        self.names
            .retain(|key, _| scan.largest.iter().any(|told| told.key == *key));
        Ok(scan)
    }

    fn is_daemon(&mut self, pid: u32) -> bool {
        let path = self.procfs.path_of(pid, "comm");
        matches!(read_into(&path, &mut self.buffer), Ok(Some(())))
            && MEMORY_DAEMONS
                .iter()
                .any(|name| name.as_bytes() == self.buffer.trim_ascii_end())
    }

    fn look(&mut self, pid: u32, rss_bytes: u64) -> Option<Bystander> {
        let stat = self.procfs.stat(pid, &mut self.buffer).ok()??;
        let key = ProcessKey {
            pid,
            start_ticks: stat.start_ticks,
        };
        let command = match self.names.get(&key) {
            Some(name) => name.clone(),
            None => {
                let words = self.procfs.words(pid, &mut self.buffer).unwrap_or_default();
                // The words of a script begin with its interpreter.
                let words = match MEMORY_DAEMONS.contains(&stat.comm.as_str()) {
                    true => &[][..],
                    false => &words[..],
                };
                let program = naming::program(words, &stat.comm);
                let path = self.procfs.path_of(pid, "cgroup");
                let home = match read_into(&path, &mut self.buffer) {
                    Ok(Some(())) => naming::home(&String::from_utf8_lossy(&self.buffer)),
                    _ => None,
                };
                let name = naming::whole(&program, home.as_deref());
                self.names.insert(key, name.clone());
                name
            }
        };
        Some(Bystander {
            key,
            command,
            rss_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_largest_are_told_and_the_job_is_not_among_them() {
        let mut child = Command::new("python3")
            .args([
                "-c",
                "held = bytearray(b'x' * (80 << 20)); print(flush=True); input()",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let page_bytes = rustix::param::page_size() as u64;
        let own = std::process::id();
        let mut bystanders = Bystanders::new(Procfs::system(), own, page_bytes);
        let outside = bystanders.scan(&HashSet::new()).unwrap();
        let told = outside
            .largest
            .iter()
            .find(|told| told.key.pid == child.id());
        let inside = bystanders.scan(&HashSet::from([child.id()])).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        match told {
            Some(told) => {
                assert!(told.rss_bytes >= 80 << 20 && told.command.starts_with("python3"));
            }
            // In the sum alone, and only where so many run that are larger.
            None => {
                assert_eq!(outside.largest.len(), MOST_TOLD);
                assert!(outside.largest.iter().all(|it| it.rss_bytes >= 80 << 20));
            }
        }
        assert!(outside.rss_bytes >= 80 << 20);
        for told in &inside.largest {
            assert!(![own, child.id()].contains(&told.key.pid));
        }
    }

    #[test]
    fn a_number_that_was_bare_counts_again_within_some_looks() {
        let folder = tempfile::TempDir::new().unwrap();
        let statm = |pid: u32, text: &str| {
            let of = folder.path().join(pid.to_string());
            std::fs::create_dir_all(&of).unwrap();
            std::fs::write(of.join("statm"), text).unwrap();
        };
        statm(20, "9 3 1 1 0 1 0");
        statm(21, "0 0 0 0 0 0 0");
        let mut bystanders = Bystanders::new(Procfs::new(folder.path()), 10, 4096);
        let mut sum = || bystanders.scan(&HashSet::new()).unwrap().rss_bytes / 4096;
        assert_eq!(sum(), 3);
        // Another process has the number now.
        statm(21, "9 5 1 1 0 1 0");
        statm(22, "9 7 1 1 0 1 0");
        let sums: Vec<u64> = (1..=EVERYBODY_EVERY).map(|_| sum()).collect();
        assert_eq!(sums, [10, 10, 10, 10, 10, 15]);
    }

    #[test]
    fn a_daemon_that_ends_processes_is_told_however_small_it_is() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("earlyoom");
        std::fs::copy("/bin/cat", &path).unwrap();
        let mut child = Command::new(&path).stdin(Stdio::piped()).spawn().unwrap();
        // The kernel gives a program its name a moment after it has begun.
        let comm = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&comm).unwrap().trim() != "earlyoom" {
            std::thread::yield_now();
        }
        let mut bystanders = Bystanders::new(
            Procfs::system(),
            std::process::id(),
            rustix::param::page_size() as u64,
        );
        // Known from the first look on, and asked once.
        let told = [(); 2].map(|()| {
            let scan = bystanders.scan(&HashSet::new()).unwrap();
            let mut largest = scan.largest.into_iter();
            largest.find(|told| told.key.pid == child.id())
        });
        drop(child.stdin.take());
        child.wait().unwrap();
        for told in told {
            let told = told.unwrap();
            assert!(told.command.starts_with("earlyoom") && told.rss_bytes < LEAST_BYTES);
        }
    }
}
