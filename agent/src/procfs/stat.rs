//! `/proc/PID/stat`: who a process is and whose child.

use std::path::Path;

use super::{ProcError, Procfs, read_into};

/// What of `stat` is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Short name of the program, as the kernel keeps it.
    pub comm: String,
    /// `R`, `S`, `Z`, ...
    pub state: char,
    /// Number of the parent.
    pub parent_pid: u32,
    /// Number of its process group; 0 when that is outside this PID namespace, or not known.
    pub group: u32,
    /// Start, in clock ticks since boot (field 22).
    pub start_ticks: u64,
    /// Whether the number is that of a thread: `/proc/TID/stat` answers too, though `/proc` does not list it.
    pub is_thread: bool,
    /// How it ended, as `wait` has it (field 52); 0 while it lives, and for whoever may not know.
    pub exit_status: i32,
}

impl Stat {
    /// Whether it has ended and waits to be reaped.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Field 38 of a thread that leads no process.
const EXIT_SIGNAL_OF_THREAD: &str = "-1";

impl Procfs {
    /// Reads `stat` of a process; `None` when it is gone.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn stat(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Option<Stat>, ProcError> {
        let path = self.path_of(pid, "stat");
        Ok(match read_into(&path, buffer)? {
            Some(()) => Some(parse(&path, buffer)?),
            None => None,
        })
    }

    /// Reads `stat` of the process that began then; `None` when it is gone, also where another has its number.
    ///
    /// # Errors
    /// As [`stat`](Self::stat): whether it is there is not known then.
    pub fn stat_of(
        &self,
        pid: u32,
        start_ticks: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Stat>, ProcError> {
        let stat = self.stat(pid, buffer)?;
        Ok(stat.filter(|stat| stat.start_ticks == start_ticks))
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Stat, ProcError> {
    let wrong = |reason: &str| ProcError::malformed(path, 1, reason);
    // The name may hold anything, parentheses and newlines too; nothing after it can hold a `)`.
    let open = text
        .iter()
        .position(|byte| *byte == b'(')
        .ok_or_else(|| wrong("has no `(`"))?;
    let close = text
        .iter()
        .rposition(|byte| *byte == b')')
        .ok_or_else(|| wrong("has no `)`"))?;
    let comm = text
        .get(open + 1..close)
        .ok_or_else(|| wrong("has `)` before `(`"))?;
    let rest =
        std::str::from_utf8(&text[close + 1..]).map_err(|_| wrong("is no text after the name"))?;
    let mut split = rest.split_ascii_whitespace();
    let fields: [&str; 36] = std::array::from_fn(|_| split.next().unwrap_or(""));
    let exit_status = split.nth(52 - 39).and_then(|status| status.parse().ok());
    // The first field after the name is field 3 of the manual.
    let field = |number: usize| fields[number - 3];
    Ok(Stat {
        comm: String::from_utf8_lossy(comm).into_owned(),
        state: field(3)
            .chars()
            .next()
            .ok_or_else(|| wrong("field 3 (state) is missing"))?,
        parent_pid: field(4)
            .parse()
            .map_err(|_| wrong("field 4 (parent) is no number"))?,
        // The dead have none.
        group: field(5).parse().unwrap_or(0),
        start_ticks: field(22)
            .parse()
            .map_err(|_| wrong("field 22 (start) is no number"))?,
        is_thread: field(38) == EXIT_SIGNAL_OF_THREAD,
        // Kernels before 3.5 end before it.
        exit_status: exit_status.unwrap_or(0),
    })
}
