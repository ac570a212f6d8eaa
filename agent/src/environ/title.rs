//! What an xdist worker writes over its command line where `setproctitle` is installed: everybody may read it.

use crate::procfs::{Procfs, read_into};

const RUNNING: &[u8] = b"[pytest-xdist running] ";
const IDLE: &[u8] = b"[pytest-xdist idle]";

/// What a title says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Title<'a> {
    /// The node id of the test that runs; its end may be missing, for a title has no more room than the command line had.
    Running(&'a [u8]),
    /// No test runs.
    Idle,
}

/// Whether these words of a command line are such a title, which changes with each test and is no command.
#[must_use]
pub fn is_title(words: &[String]) -> bool {
    let first = words.first().map(String::as_bytes);
    first.is_some_and(|first| parse(first).is_some())
}

/// Reads the title of a process; `None` where it has none.
pub(super) fn read<'a>(procfs: &Procfs, pid: u32, buffer: &'a mut Vec<u8>) -> Option<Title<'a>> {
    read_into(&procfs.path_of(pid, "cmdline"), buffer).ok()??;
    parse(buffer)
}

fn parse(line: &[u8]) -> Option<Title<'_>> {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    if let Some(nodeid) = line.strip_prefix(RUNNING) {
        return Some(Title::Running(nodeid));
    }
    (line.trim_ascii_end() == IDLE).then_some(Title::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_of_xdist_is_told_from_any_other_command() {
        for (line, expected) in [
            (
                &b"[pytest-xdist running] a/t.py::t[x y]"[..],
                Some(Title::Running(b"a/t.py::t[x y]")),
            ),
            (
                b"[pytest-xdist running] t.py::t\0\0\0",
                Some(Title::Running(b"t.py::t")),
            ),
            (b"[pytest-xdist idle]", Some(Title::Idle)),
            (b"[pytest-xdist idle]\0\0", Some(Title::Idle)),
            (b"python\0-c\0[pytest-xdist idle]\0", None),
            (b"[pytest-xdist]", None),
            (b"", None),
        ] {
            assert_eq!(parse(line), expected, "{}", line.escape_ascii());
        }
        assert!(is_title(&["[pytest-xdist idle]".to_owned()]));
        assert!(!is_title(&[]));
    }
}
