//! What other jobs saw of files that were cut short.

use serde::Deserialize;
use uuid::Uuid;

use super::Facts;

/// So many of a file's newest figures are looked at.
pub const MOST_EARLIER: u32 = 20;
/// Of so many files at most.
const MOST_FILES: usize = 32;

/// A file in one job of its history, as the API tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Ran {
    /// The job.
    pub job: Uuid,
    /// What it needed above its start, its children's memory at its highest among it, bytes.
    pub tree_spike_bytes: i64,
    /// What it left behind, bytes.
    pub retained_bytes: i64,
    /// What children of it that outlive it hold, bytes.
    #[serde(default)]
    pub children_retained_bytes: i64,
    /// How long it took, µs.
    pub duration_us: i64,
    /// Whether it was cut short there.
    pub censored: bool,
}

impl Ran {
    /// What it left behind with its children, bytes.
    fn left_bytes(&self) -> i64 {
        self.retained_bytes
            .saturating_add(self.children_retained_bytes)
    }
}

impl Facts {
    /// The files of which other jobs are to be asked.
    #[must_use]
    pub fn to_recall(&self) -> Vec<String> {
        self.cut_short.iter().take(MOST_FILES).cloned().collect()
    }

    /// Plans a file that was cut short with the most that it needed in other jobs than this one, of those in which it ran to its end, and with no less than it was seen to need here. What it held as it was
    /// cut short may have been for a while, so what it leaves behind is the others' word alone.
    pub fn recall(&mut self, path: &str, job: Uuid, history: &[Ran]) {
        let others = || history.iter().filter(|it| it.job != job && !it.censored);
        let Some(at) = self.cut_short.iter().position(|it| it == path) else {
            return;
        };
        let most = |figure: fn(&Ran) -> i64| others().map(figure).max();
        let (Some(spike), Some(retained), Some(duration)) = (
            most(|it| it.tree_spike_bytes),
            most(Ran::left_bytes),
            most(|it| it.duration_us),
        ) else {
            return;
        };
        let Some(file) = self.files.iter_mut().find(|file| file.path == path) else {
            return;
        };
        let needed = file.spike_bytes.max(file.retained_bytes);
        file.spike_bytes = needed.max(spike.clamp(0, super::facts::MOST));
        file.retained_bytes = retained.clamp(0, super::facts::MOST);
        file.duration_us = file.duration_us.max(duration.clamp(0, super::facts::MOST));
        self.recalled.push(self.cut_short.remove(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::File;

    fn facts() -> Facts {
        let file = |path: &str| File {
            path: path.to_owned(),
            spike_bytes: 48,
            retained_bytes: 48,
            duration_us: 3,
        };
        Facts {
            files: vec![file("whole.py"), file("killed.py")],
            cut_short: vec!["killed.py".to_owned()],
            ..Facts::default()
        }
    }

    const KILLED: Uuid = Uuid::from_u128(1);

    fn ran(spike_bytes: i64, retained_bytes: i64) -> Ran {
        Ran {
            job: Uuid::from_u128(2),
            tree_spike_bytes: spike_bytes + 7,
            retained_bytes,
            children_retained_bytes: 0,
            duration_us: 9,
            censored: false,
        }
    }

    fn told(facts: &Facts) -> Vec<(i64, i64, i64)> {
        let told = |it: &File| (it.spike_bytes, it.retained_bytes, it.duration_us);
        facts.files.iter().map(told).collect()
    }

    #[test]
    fn a_file_that_was_cut_short_needs_the_most_that_it_needed_anywhere() {
        let mut facts = facts();
        let own = Ran {
            job: KILLED,
            ..ran(900, 900)
        };
        let cut_short = Ran {
            censored: true,
            ..ran(900, 900)
        };
        facts.recall(
            "killed.py",
            KILLED,
            &[own, ran(120, 4), cut_short, ran(90, 6)],
        );
        assert_eq!(told(&facts), [(48, 48, 3), (127, 6, 9)]);
        assert_eq!(
            (facts.cut_short.len(), &facts.recalled[..]),
            (0, &["killed.py".to_owned()][..])
        );
    }

    #[test]
    fn it_needs_no_less_than_it_was_seen_to_need_and_nothing_is_made_up() {
        let mut facts = facts();
        facts.recall("killed.py", KILLED, &[ran(20, -3)]);
        assert_eq!(told(&facts)[1], (48, 0, 9));
        let mut unknown = self::facts();
        unknown.recall("killed.py", KILLED, &[]);
        unknown.recall("whole.py", KILLED, &[ran(900, 900)]);
        assert_eq!(unknown, self::facts());
    }
}
