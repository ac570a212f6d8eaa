//! What the guard says on standard error.

use std::thread;

use highwater_analysis::figures::mebibytes;
use signal_hook::consts::{SIGINT, SIGKILL, SIGTERM};

use super::{Roster, measure::Measured};
use crate::{terminal, tree::Member};

/// What an annotation is headed by.
const TITLE: &str = "Highwater: memory limit";
/// So many of those that hold the most are named.
const NAMED: usize = 3;

/// How far memory has come, which tests run, and who holds the most.
pub(super) fn situation(measured: &Measured, members: &[Member], roster: &Roster) -> String {
    let place = match (measured.kind, measured.path.as_str()) {
        ("budget", _) => "the memory limit".to_owned(),
        ("cgroup", path) => format!("the memory limit, a share of what the cgroup {path} allows"),
        _ => "the memory limit, a share of what the machine has".to_owned(),
    };
    let mut text = format!(
        "{} are used, and {place} is {}",
        size(measured.used_bytes),
        size(measured.limit_bytes)
    );
    let mut ranked: Vec<&Member> = members.iter().collect();
    ranked.sort_by_key(|member| std::cmp::Reverse(member.resident_bytes));
    let holders: Vec<String> = ranked
        .iter()
        .take(NAMED)
        .map(|member| {
            let player = roster.of(member.key).unwrap_or_default();
            let worker = match player.worker.as_str() {
                "" => String::new(),
                worker => format!(", {worker}"),
            };
            let test = player
                .test
                .map_or_else(String::new, |test| format!(" while it runs {test}"));
            format!(
                "process {}{worker} holds {}{test}",
                member.key.pid,
                size(member.resident_bytes)
            )
        })
        .collect();
    if !holders.is_empty() {
        text.push_str("; ");
        text.push_str(&holders.join(", "));
    }
    text
}

/// What is done to whom.
pub(super) fn deed(signal: i32, pids: &[u32], is_first: bool) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let pids = pids.join(", ");
    match signal {
        SIGINT if is_first => format!("pytest ({pids}) is told to stop (SIGINT)"),
        SIGINT => format!("pytest ({pids}) has not stopped and is told again (SIGINT)"),
        SIGTERM if is_first => {
            format!("pytest ({pids}) ignores SIGINT and is told to end (SIGTERM)")
        }
        SIGTERM => format!("pytest ({pids}) has not stopped and is told to end (SIGTERM)"),
        SIGKILL => format!("{pids} are killed before the kernel chooses (SIGKILL)"),
        other => format!("{pids} are sent signal {other}"),
    }
}

/// Says it, as a line and, where asked, as an annotation of GitHub's. On a thread of its own: a reader that does not read must not
/// make the grid wait.
pub(super) fn tell(text: String, annotates: bool) {
    let said = thread::Builder::new()
        .name("highwater-tell".to_owned())
        .stack_size(64 << 10)
        .spawn(move || {
            if annotates {
                terminal::annotate(TITLE, &text);
            }
            terminal::tell(text);
        });
    // Without a thread the event still tells it.
    drop(said);
}

fn size(bytes: u64) -> String {
    mebibytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_says_what_it_does() {
        assert_eq!(
            deed(SIGINT, &[7, 8], true),
            "pytest (7, 8) is told to stop (SIGINT)"
        );
        assert!(deed(SIGINT, &[7], false).contains("told again"));
        assert!(deed(SIGTERM, &[7], false).contains("SIGTERM"));
        assert!(deed(SIGKILL, &[7], false).contains("killed"));
    }
}
