//! What the guard says on standard error.

use std::{thread, time::Duration};

use highwater_analysis::figures::mebibytes;
use signal_hook::consts::{SIGINT, SIGKILL, SIGTERM};

use super::{Roster, measure::Measured};
use crate::{
    terminal,
    tree::{Member, ProcessKey},
};

/// What an annotation is headed by.
const TITLE: &str = "Highwater: memory limit";
/// So many of those that hold the most are named.
const NAMED: usize = 3;
/// No longer is it waited for what the plugin wrote.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far memory has come, and who holds the most.
#[derive(Debug)]
pub(super) struct Situation {
    at_us: i64,
    figures: String,
    /// The largest processes with their bytes.
    holders: Vec<(ProcessKey, u64)>,
    roster: Roster,
}

impl Situation {
    pub(super) fn of(at_us: i64, measured: &Measured, members: &[Member], roster: &Roster) -> Self {
        let mut ranked: Vec<&Member> = members.iter().collect();
        ranked.sort_by_key(|member| std::cmp::Reverse(member.resident_bytes));
        let holders = ranked.iter().take(NAMED);
        Self {
            at_us,
            figures: figures(measured),
            holders: holders
                .map(|member| (member.key, member.resident_bytes))
                .collect(),
            roster: roster.clone(),
        }
    }

    /// In words, with the tests that ran then. The plugin's marks come to the roster a little later, so this waits for them; where they take too
    /// long, no test is named rather than one that had ended.
    fn words(&self, patience: Duration) -> String {
        let is_read = self.roster.is_read_until(self.at_us, patience);
        let holders = self.holders.iter().map(|(key, bytes)| {
            let player = self.roster.of(*key).unwrap_or_default();
            let worker = match player.worker.as_str() {
                "" => String::new(),
                worker => format!(", {worker}"),
            };
            let test = player.test_at(self.at_us).filter(|_| is_read);
            let test = test.map_or_else(String::new, |test| format!(" while it runs {test}"));
            format!("process {}{worker} holds {}{test}", key.pid, size(*bytes))
        });
        let mut said = vec![self.figures.clone()];
        said.extend([holders.collect::<Vec<_>>().join(", ")]);
        said.retain(|part| !part.is_empty());
        said.join("; ")
    }
}

fn figures(measured: &Measured) -> String {
    let place = match (measured.kind, measured.path.as_str()) {
        ("budget", _) => "the memory limit".to_owned(),
        ("cgroup", path) => format!("the memory limit, a share of what the cgroup {path} allows,"),
        _ => "the memory limit, a share of what the machine has,".to_owned(),
    };
    format!(
        "{} are used, and {place} is {}",
        size(measured.used_bytes),
        size(measured.limit_bytes)
    )
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
/// make the grid wait, nor must what the plugin's files have not told yet.
pub(super) fn tell(situation: Situation, deed: String, annotates: bool) {
    let said = thread::Builder::new()
        .name("highwater-tell".to_owned())
        .stack_size(64 << 10)
        .spawn(move || {
            let text = situation.words(PATIENCE) + &deed;
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
    use highwater_wire::{
        marks::SessionLine,
        v1::{Mark, TestBegin, TestEnd, mark::What},
    };

    use super::*;

    const PYTEST: ProcessKey = ProcessKey {
        pid: 7,
        start_ticks: 1,
    };

    fn began(t_us: i64, nodeid: &str) -> Mark {
        let test = TestBegin {
            nodeid: nodeid.to_owned(),
            ..TestBegin::default()
        };
        Mark {
            t_us,
            what: Some(What::TestBegin(test)),
            ..Mark::default()
        }
    }

    fn ended(t_us: i64) -> Mark {
        Mark {
            t_us,
            what: Some(What::TestEnd(TestEnd::default())),
            ..Mark::default()
        }
    }

    fn at(at_us: i64, roster: &Roster) -> Situation {
        Situation {
            at_us,
            figures: "5 of 4".to_owned(),
            holders: vec![(PYTEST, 5 << 20)],
            roster: roster.clone(),
        }
    }

    #[test]
    fn the_test_that_ran_at_the_moment_is_named_and_none_that_ended_before_or_began_since() {
        let roster = Roster::default();
        roster.joined(PYTEST, &SessionLine::default());
        for mark in [began(10, "a"), ended(20), began(30, "b"), ended(40)] {
            roster.heard(PYTEST, &mark);
        }
        roster.read_until(50);
        let words = |at_us| at(at_us, &roster).words(Duration::ZERO);
        assert_eq!(words(15), "5 of 4; process 7 holds 5.0 MiB while it runs a");
        assert_eq!(words(25), "5 of 4; process 7 holds 5.0 MiB");
        assert!(words(35).ends_with("while it runs b"));
        assert!(words(45).ends_with("MiB"));
        // What was written last is not read yet: the test may have ended.
        roster.heard(PYTEST, &began(60, "c"));
        assert!(words(65).ends_with("MiB"));
    }

    #[test]
    fn it_waits_until_what_was_written_by_the_moment_is_read() {
        let roster = Roster::default();
        roster.joined(PYTEST, &SessionLine::default());
        roster.heard(PYTEST, &began(10, "a"));
        let situation = at(35, &roster);
        let said = thread::spawn(move || situation.words(Duration::from_secs(60)));
        roster.heard(PYTEST, &ended(20));
        roster.heard(PYTEST, &began(30, "b"));
        roster.read_until(40);
        assert!(said.join().unwrap().ends_with("while it runs b"));
    }

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
