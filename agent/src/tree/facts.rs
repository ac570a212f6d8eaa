//! When a process is looked at beside its memory, and what was seen of it then.

use std::sync::Arc;

/// How long after the first look the next ones follow, µs: a process is put into a cgroup, or given its limits, soon after its birth, mostly before it
/// calls exec.
const EARLY_LOOKS_US: [i64; 3] = [200_000, 1_000_000, 4_000_000];
/// Everybody is looked at so often then, µs; hardly anything changes later.
const LATER_EVERY_US: i64 = 20_000_000;
/// One whose address space is limited, µs: the largest it was is lost when it ends.
const LIMITED_EVERY_US: i64 = 1_000_000;
/// An address space that has grown by this share of its limit since it was told is told again: what it was before the end of a process is what counts.
const RISEN: u64 = 128;

/// What is seen of a process beside its memory; `None` where it is not known or there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Path of its memory cgroup.
    pub cgroup: Option<Arc<str>>,
    /// What its address space may grow to, bytes.
    pub address_space_limit_bytes: Option<u64>,
    /// The largest its address space was, bytes; for one with a limit.
    pub address_space_peak_bytes: Option<u64>,
    /// What its private memory that it may write to may grow to, bytes.
    pub data_limit_bytes: Option<u64>,
    /// What its `oom_score_adj` was raised to.
    pub oom_score_adj: Option<i32>,
}

/// The looks at one process.
#[derive(Debug, Default)]
pub struct FactLooks {
    /// What was told of it.
    pub told: Facts,
    looks: usize,
    first_us: i64,
    due_us: i64,
    /// The largest that its address space was at a tick, bytes.
    size_bytes: u64,
}

/// A look that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookAt {
    /// Whether it is the first since it was born, or called exec.
    pub is_first: bool,
}

impl FactLooks {
    /// Whether a look is due.
    #[must_use]
    pub fn due(&self, now_us: i64) -> Option<LookAt> {
        (now_us >= self.due_us).then_some(LookAt {
            is_first: self.looks == 0,
        })
    }

    /// Its address space has this size, bytes.
    pub(super) fn saw_size(&mut self, bytes: u64) {
        self.size_bytes = self.size_bytes.max(bytes);
    }

    /// Whether its address space is limited and is to be told anew; `told` says so then.
    pub fn takes_risen_size(&mut self) -> bool {
        let told = self.told.address_space_peak_bytes.unwrap_or(0);
        let step = self
            .told
            .address_space_limit_bytes
            .map(|limit| limit / RISEN);
        let has_risen = step.is_some_and(|step| self.size_bytes > told.saturating_add(step));
        if has_risen {
            self.told.address_space_peak_bytes = Some(self.size_bytes);
        }
        has_risen
    }

    /// It was looked at; says when the next look is due.
    pub fn looked(&mut self, now_us: i64) {
        if self.looks == 0 {
            self.first_us = now_us;
        }
        self.due_us = match EARLY_LOOKS_US.get(self.looks) {
            Some(after) => self.first_us + after,
            None if self.told.address_space_limit_bytes.is_some() => now_us + LIMITED_EVERY_US,
            None => now_us + LATER_EVERY_US,
        };
        self.looks += 1;
    }

    /// It has become another program: looks begin anew.
    pub(super) fn begin_anew(&mut self) {
        self.looks = 0;
        self.due_us = 0;
        self.size_bytes = 0;
        self.told.address_space_peak_bytes = None;
    }
}

/// Whether this is the command of a python, or of something that calls itself pytest.
#[must_use]
pub fn is_python(command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or("");
    let name = program.rsplit('/').next().unwrap_or("");
    name.starts_with("python") || name.starts_with("pypy") || command.contains("pytest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_settled_is_looked_at_more_rarely() {
        let mut looks = FactLooks::default();
        let mut at_ms = Vec::new();
        for now_us in (0..90_000_000).step_by(50_000) {
            if looks.due(now_us).is_some() {
                at_ms.push(now_us / 1_000);
                looks.looked(now_us);
            }
        }
        assert_eq!(at_ms[at_ms.len() - 4..], [24_000, 44_000, 64_000, 84_000]);
    }

    #[test]
    fn looks_are_close_at_first_and_begin_anew_with_another_program() {
        let mut looks = FactLooks::default();
        let mut at_ms = Vec::new();
        for now_us in (0..9_000_000).step_by(50_000) {
            if now_us == 8_000_000 {
                looks.begin_anew();
            }
            if looks.due(now_us).is_some() {
                at_ms.push(now_us / 1_000);
                looks.looked(now_us);
            }
        }
        assert_eq!(at_ms, [0, 200, 1_000, 4_000, 8_000, 8_200]);
    }

    #[test]
    fn a_limited_address_space_is_told_as_it_grows_and_no_oftener() {
        let mut looks = FactLooks::default();
        let told = |looks: &mut FactLooks, size_mb: u64| {
            looks.saw_size(size_mb << 20);
            looks.takes_risen_size()
        };
        assert!(!told(&mut looks, 900), "without a limit");
        looks.begin_anew();
        looks.told.address_space_limit_bytes = Some(1280 << 20);
        looks.told.address_space_peak_bytes = Some(100 << 20);
        let risen = [105, 110, 111, 111, 100, 1275].map(|size| told(&mut looks, size));
        assert_eq!(risen, [false, false, true, false, false, true]);
        assert_eq!(looks.told.address_space_peak_bytes, Some(1275 << 20));
    }

    #[test]
    fn pythons_are_known_by_their_words() {
        for line in [
            "python3 -m pytest",
            "/venv/bin/python -u -c 'import sys'",
            "/venv/bin/pytest -q",
            "'[pytest-xdist running] t.py'",
            "pypy3 x",
        ] {
            assert!(is_python(line), "{line}");
        }
        for line in ["sh -c 'sleep 1'", "node server.js", "[kworker]", ""] {
            assert!(!is_python(line), "{line}");
        }
    }
}
