//! The lines of the log that tell of a kill for want of memory, as kernels since 3.10 write them.
//!
//! Since 4.20 a line `oom-kill:constraint=…` with all that led to it goes before `Killed process …`; before that,
//! `Task in /a killed as a result of limit of /b` did.

use highwater_wire::{
    codec::{MAX_NAME_BYTES, MAX_TEXT_BYTES},
    v1::KernelOom,
};

use crate::bounds::cut;

/// So many of one shortage are remembered.
const MOST_TOLD: usize = 256;

/// Remembers whose limit was met until the line that names the killed.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The cgroup whose limit was met; `None` where the machine was short.
    limited: Option<String>,
    /// Who was told of this shortage: where the kernel goes on to kill the whole group it names the first again, in any place.
    told: Vec<u32>,
}

/// What stands before `Killed process`, on one kernel or another.
const BEFORE_A_KILL: [&str; 4] = [
    "",
    "Out of memory: ",
    "Memory cgroup out of memory: ",
    "Out of memory (oom_kill_allocating_task): ",
];

impl Parser {
    /// Takes one record, `priority,number,µs since boot,flags;text` and lines with details; answers whom it tells of.
    pub(super) fn take(&mut self, record: &str) -> Option<KernelOom> {
        let (head, text) = record.split_once(';')?;
        let priority: u32 = head.split(',').next()?.parse().ok()?;
        // The facility stands above the lowest three bits; 0 is the kernel, whatever a program writes has another.
        if priority >> 3 != 0 {
            return None;
        }
        self.take_line(text.lines().next()?)
    }

    fn take_line(&mut self, line: &str) -> Option<KernelOom> {
        if let Some(fields) = line.strip_prefix("oom-kill:") {
            self.limited = field(fields, "oom_memcg").map(str::to_owned);
            self.told.clear();
            return None;
        }
        if line.starts_with("Task in ") {
            let limited = line.split_once(" as a result of limit of ");
            self.limited = limited.map(|(_, cgroup)| cgroup.trim().to_owned());
            self.told.clear();
            return None;
        }
        if line.starts_with("Out of memory: ") {
            self.limited = None;
        }
        let at = line.find("Killed process ")?;
        let before = &line[..at];
        // Other lines quote names that anybody can give: of a program that crashed, of its file.
        if !BEFORE_A_KILL.contains(&before) {
            return None;
        }
        let (pid, rest) = line[at..]
            .strip_prefix("Killed process ")?
            .split_once(' ')?;
        // `(name)` or, until 3.10, `(name), UID 0,`; the name may hold anything but what follows it.
        let rest = rest.strip_prefix('(')?;
        let end = [") total-vm:", "), UID ", ", UID "]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()?;
        let mut comm = rest[..end].trim_end_matches(')').to_owned();
        cut(&mut comm, MAX_NAME_BYTES);
        let pid = pid.parse().ok()?;
        if self.told.contains(&pid) {
            return None;
        }
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.push(pid);
        let mut cgroup = match &self.limited {
            Some(cgroup) => cgroup.clone(),
            // Some cgroup it was, if nothing says which.
            None if before.contains("emory cgroup") => "?".to_owned(),
            None => String::new(),
        };
        cut(&mut cgroup, MAX_TEXT_BYTES);
        Some(KernelOom {
            pid,
            comm,
            anon_bytes: kilobytes(rest, "anon-rss:").unwrap_or(0),
            cgroup,
        })
    }
}

/// The value of a field in `key=value,key=value`.
fn field<'a>(fields: &'a str, key: &str) -> Option<&'a str> {
    let start = fields
        .match_indices(key)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || fields.as_bytes().get(at - 1) == Some(&b','))?;
    let value = fields[start + key.len()..].strip_prefix('=')?;
    // A path may hold commas; what follows it is always this field.
    let end = value
        .find(",task_memcg=")
        .or_else(|| value.find(','))
        .unwrap_or(value.len());
    Some(&value[..end])
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let at = text.rfind(key)? + key.len();
    let digits = text[at..].split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse::<u64>().ok()?.checked_mul(1024)
}
