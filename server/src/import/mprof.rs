//! Files of mprof, the recorder of the package memory_profiler: one value a line.
//!
//! | line | means |
//! |---|---|
//! | `CMDLINE <command>` | what ran |
//! | `MEM <MiB> <s since 1970>` | memory of the process, or of it and its children (`--include-children`) |
//! | `CHLD <pid> <MiB> <s since 1970>` | memory of a child (`--multiprocess`), read right after the line `MEM` before it; pid 0: one that was gone then |
//! | `FUNC <name> <MiB> <s> <MiB> <s> [<depth>]` | begin and end of a function under `@profile`: nothing of ours |
//!
//! A last line without its end was being written when mprof was gone, and is none.

mod rounds;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use highwater_wire::{
    codec::{MAX_BYTES, MAX_LINE_BYTES, MAX_TEXT_BYTES},
    v1::Notice,
};

use super::{
    ImportError, Imported, Named,
    recording::{Batches, Identity, job, notice},
};
use rounds::Rounds;

const MIB: f64 = 1_048_576.0;
const KEYWORDS: [&str; 4] = ["CMDLINE", "MEM", "CHLD", "FUNC"];

const WHAT_IT_IS: &str = "mprof reads a value each interval, of the process, or of it and its children where it ran with --include-children; by which \
    measure of memory the file does not say. It tells of no tests, no limits and no ending";

/// Whether a file that begins so is one of mprof's.
pub(super) fn begins(head: &[u8]) -> bool {
    KEYWORDS.iter().any(|word| {
        head.strip_prefix(word.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b' '))
    })
}

/// Reads a file.
pub(super) fn read(path: &Path, named: &Named) -> Result<Imported, ImportError> {
    let project = named.project(path)?.as_str();
    let name = named.job("mprof");
    let mut identity = Identity::default();
    for part in ["mprof", project, &name] {
        identity.part(part.as_bytes());
    }
    let file = File::open(path).map_err(|error| ImportError::of(path, error))?;
    let mut parsed = Parsed::default();
    let mut lines = BufReader::new(file);
    let mut number = 0;
    let mut batches = Batches::default();
    loop {
        let mut line = Vec::new();
        let most = MAX_LINE_BYTES as u64 + 1;
        let read = lines.by_ref().take(most).read_until(b'\n', &mut line);
        read.map_err(|error| ImportError::of(path, error))?;
        if line.is_empty() {
            break;
        }
        number += 1;
        let at = |reason: String| ImportError::at(format!("{}:{number}", path.display()), reason);
        identity.part(&line);
        if line.len() > MAX_LINE_BYTES {
            return Err(at(format!("is longer than {MAX_LINE_BYTES} bytes")));
        }
        if line.pop() != Some(b'\n') {
            parsed.is_torn = true;
            break;
        }
        let line = String::from_utf8_lossy(&line);
        // What is read of children belongs to the look before it.
        if parsed.rounds.are_many() && line.starts_with("MEM ") {
            batches.add(path, parsed.rounds.batch(&parsed.command))?;
        }
        parsed.take(&line).map_err(at)?;
    }
    let Some(started_us) = parsed.rounds.started_us() else {
        return Err(ImportError::of(
            path,
            "holds no value: there is no line MEM in it",
        ));
    };
    let interval_us = parsed.rounds.interval_us();
    let mut last = parsed.rounds.batch(&parsed.command);
    last.notices = parsed.notices();
    batches.add(path, last)?;
    let mut job = job(project, name, started_us, interval_us);
    if !parsed.command.is_empty() {
        job.command = vec![parsed.command];
    }
    batches.end(path, job, identity)
}

#[derive(Debug, Default)]
struct Parsed {
    command: String,
    rounds: Rounds,
    functions: u64,
    is_torn: bool,
}

impl Parsed {
    /// Takes a line; what is wrong with it otherwise.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let fields: Vec<&str> = rest.split_whitespace().collect();
        match (word, fields.as_slice()) {
            ("CMDLINE", _) => {
                if self.command.is_empty() {
                    let end = rest.floor_char_boundary(MAX_TEXT_BYTES);
                    rest[..end].trim().clone_into(&mut self.command);
                }
            }
            ("MEM", [mib, at]) => self.rounds.begin(time(at)?, bytes(mib)?),
            ("CHLD", [child, mib, at]) => {
                time(at)?;
                let wrong = |_| format!("{child:?} is no number of a process");
                let pid: u32 = child.parse().map_err(wrong)?;
                let bytes = bytes(mib)?;
                if pid > 0 {
                    self.rounds.add(pid, bytes)?;
                }
            }
            // A name may hold spaces.
            ("FUNC", [_, .., _, _, _, _]) => self.functions += 1,
            ("MEM" | "CHLD" | "FUNC", _) => {
                return Err(format!("{word} with {} fields", fields.len()));
            }
            _ => {
                let shown: String = line.chars().take(40).collect();
                return Err(format!("{shown:?} is no line of mprof"));
            }
        }
        Ok(())
    }

    fn notices(&self) -> Vec<Notice> {
        let mut notices = vec![notice("imported_from_mprof", WHAT_IT_IS, 1)];
        if self.functions > 0 {
            let message = "lines FUNC, of functions under @profile, have no place in a job";
            notices.push(notice("functions_left_out", message, self.functions));
        }
        if self.is_torn {
            let message = "the last line has no end: mprof was gone while it wrote";
            notices.push(notice("last_line_torn", message, 1));
        }
        notices
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// µs since 1970.
fn time(text: &str) -> Result<i64, String> {
    // Until the year 9999.
    let seconds = number(text).filter(|seconds| (0.0..253_402_300_799.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("{text:?} is no time in seconds since 1970"))?;
    Ok((seconds * 1e6).round() as i64)
}

fn bytes(text: &str) -> Result<u64, String> {
    let most = MAX_BYTES as f64 / MIB;
    let mib = number(text).filter(|mib| (0.0..=most).contains(mib));
    let mib = mib.ok_or_else(|| format!("{text:?} is no size in MiB"))?;
    Ok((mib * MIB).round() as u64)
}

#[cfg(test)]
mod tests;
