//! What other jobs saw of files that were cut short, or did not run.

use serde::Deserialize;
use uuid::Uuid;

use super::Facts;
use crate::branches::Branch;

/// So many of a file's newest figures are looked at.
pub const MOST_EARLIER: u32 = 20;
/// Of so many files at most: each is a question to the store, and of the agent to the server.
const MOST_FILES: usize = 128;

/// A file in one job of its history, as the API tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ran {
    /// The job.
    pub job: Uuid,
    /// Its branch; empty where it is not known.
    #[serde(default)]
    pub branch: String,
    /// Number of its pull request; empty outside, and of servers that do not tell.
    #[serde(default)]
    pub pull_request: String,
    /// Whether the job was diagnosed, so that its files began lower; servers that do not tell say no.
    #[serde(default)]
    pub diagnosed: bool,
    /// What it needed above its start, its children's memory at its highest among it, bytes.
    #[serde(default)]
    pub tree_spike_bytes: i64,
    /// The same without its children's; all that servers tell which do not know those.
    pub spike_bytes: i64,
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

    /// Whether it tells what the file needs: it ran to its end, in another job than this one.
    #[must_use]
    pub fn tells_beside(&self, job: Uuid) -> bool {
        self.job != job && !self.censored
    }

    fn is_of(&self, branch: &Branch) -> bool {
        self.branch == branch.name && self.pull_request == branch.pull_request
    }
}

impl Facts {
    /// The files of which other jobs are to be asked: those that were cut short, then those that did not run.
    #[must_use]
    pub fn to_recall(&self) -> Vec<String> {
        let unknown = self.cut_short.iter().chain(&self.not_run);
        unknown.take(MOST_FILES).cloned().collect()
    }

    /// Plans a file that was cut short, or did not run, with the most that it needed in other jobs than this one, of those in which it ran to its end: in those of the nearest branch that has any, and
    /// where none has in those of all others, which is noted. Jobs that were diagnosed count where there is no other among the near ones, or among all. One that was cut short needs no less than it was seen
    /// to need here. What it held as it was cut short may have been for a while, so what it leaves behind is the others' word alone.
    pub fn recall(&mut self, path: &str, job: Uuid, own: &Branch, history: &[Ran]) {
        let whole = |diagnosed| {
            let whole = history.iter().filter(|it| it.tells_beside(job));
            whole.filter(move |it| it.diagnosed == diagnosed)
        };
        let near = own.near();
        let nearest = |diagnosed| {
            let has = |near: &&Branch| whole(diagnosed).any(|it| it.is_of(near));
            near.iter().find(has).map(|near| (Some(near), diagnosed))
        };
        let of_any = || (None, whole(false).next().is_none());
        let nearest = nearest(false).or_else(|| nearest(true));
        let (near, diagnosed) = nearest.unwrap_or_else(of_any);
        let others = || whole(diagnosed).filter(|it| near.is_none_or(|near| it.is_of(near)));
        let most = |figure: fn(&Ran) -> i64| others().map(figure).max();
        let (Some(spike), Some(retained), Some(duration)) = (
            most(|it| it.tree_spike_bytes.max(it.spike_bytes)),
            most(Ran::left_bytes),
            most(|it| it.duration_us),
        ) else {
            return;
        };
        let place = |paths: &[String]| paths.iter().position(|it| it == path);
        let (cut_short, not_run) = (place(&self.cut_short), place(&self.not_run));
        let Some(file) = self.files.iter_mut().find(|file| file.path == path) else {
            return;
        };
        let (needed, took) = match (cut_short, not_run) {
            (Some(_), _) => (file.spike_bytes.max(file.retained_bytes), file.duration_us),
            // What it is planned with was taken from other files.
            (None, Some(_)) => (0, 0),
            (None, None) => return,
        };
        file.spike_bytes = needed.max(spike.clamp(0, super::facts::MOST));
        file.retained_bytes = retained.clamp(0, super::facts::MOST);
        file.duration_us = took.max(duration.clamp(0, super::facts::MOST));
        let list = match cut_short {
            Some(_) => &mut self.cut_short,
            None => &mut self.not_run,
        };
        list.retain(|it| it != path);
        self.recalled.push(path.to_owned());
        if near.is_none() {
            self.elsewhere.push(path.to_owned());
        }
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

    fn branch(name: &str, pull_request: &str) -> Branch {
        Branch {
            name: name.to_owned(),
            pull_request: pull_request.to_owned(),
            is_fork: false,
        }
    }

    const KILLED: Uuid = Uuid::from_u128(1);

    fn ran(spike_bytes: i64, retained_bytes: i64) -> Ran {
        Ran {
            job: Uuid::from_u128(2),
            branch: String::new(),
            pull_request: String::new(),
            diagnosed: false,
            tree_spike_bytes: spike_bytes + 7,
            spike_bytes,
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
            &branch("", ""),
            &[own, ran(120, 4), cut_short, ran(90, 6)],
        );
        assert_eq!(told(&facts), [(48, 48, 3), (127, 6, 9)]);
        assert_eq!(
            (facts.cut_short.len(), &facts.recalled[..]),
            (0, &["killed.py".to_owned()][..])
        );
    }

    #[test]
    fn a_file_that_did_not_run_needs_what_it_needed_in_other_jobs_and_else_is_guessed() {
        let mut facts = facts();
        let guessed = |path: &str| File {
            path: path.to_owned(),
            ..facts.files[0].clone()
        };
        let (light, unknown) = (guessed("light.py"), guessed("unknown.py"));
        facts.files.extend([light, unknown]);
        facts.not_run = vec!["light.py".to_owned(), "unknown.py".to_owned()];
        assert_eq!(facts.to_recall(), ["killed.py", "light.py", "unknown.py"]);
        facts.recall(
            "light.py",
            KILLED,
            &branch("", ""),
            &[ran(2, 1), ran(4, -3)],
        );
        facts.recall("unknown.py", KILLED, &branch("", ""), &[]);
        // Less than the guess, which was other files'.
        assert_eq!(told(&facts)[2..], [(11, 1, 9), (48, 48, 3)], "{facts:?}");
        assert_eq!(facts.recalled, ["light.py"]);
        assert_eq!(facts.not_run, ["unknown.py"]);
    }

    #[test]
    fn figures_of_its_own_branch_go_before_those_of_the_baseline_and_of_others_none_where_there_are_any()
     {
        let of = |branch: Branch, spike_bytes| Ran {
            branch: branch.name,
            pull_request: branch.pull_request,
            ..ran(spike_bytes, 1)
        };
        let cut_short = Ran {
            censored: true,
            ..of(branch("fix", ""), 800)
        };
        let foreign = of(branch("main", "7"), 700);
        let other = of(branch("wild", ""), 600);
        let main = of(branch("main", ""), 300);
        let own = of(branch("fix", ""), 200);
        let recalled = |history: &[Ran]| {
            let mut facts = facts();
            facts.recall("killed.py", KILLED, &branch("fix", ""), history);
            (facts.files[1].spike_bytes, facts.elsewhere)
        };
        let all = [cut_short, foreign, other, main, own];
        assert_eq!(recalled(&all), (207, vec![]));
        assert_eq!(recalled(&all[..4]), (307, vec![]));
        let elsewhere = vec!["killed.py".to_owned()];
        assert_eq!(recalled(&all[..3]), (707, elsewhere));
    }

    #[test]
    fn figures_of_diagnosed_jobs_count_only_where_no_other_job_tells() {
        let of = |branch: &str, diagnosed, spike_bytes| Ran {
            branch: branch.to_owned(),
            diagnosed,
            ..ran(spike_bytes, 1)
        };
        let recalled = |history: &[Ran]| {
            let mut facts = facts();
            facts.recall("killed.py", KILLED, &branch("fix", ""), history);
            (facts.files[1].spike_bytes, facts.elsewhere.len())
        };
        let all = [
            of("wild", true, 900),
            of("wild", false, 800),
            of("fix", true, 700),
            of("fix", false, 600),
            of("fix", true, 500),
        ];
        assert_eq!(recalled(&all), (607, 0));
        assert_eq!(recalled(&all[..3]), (707, 0));
        assert_eq!(
            recalled(&[of("main", false, 400), all[2].clone()]),
            (407, 0)
        );
        assert_eq!(recalled(&all[..2]), (807, 1));
        assert_eq!(recalled(&all[..1]), (907, 1));
    }

    #[test]
    fn of_so_many_files_other_jobs_are_asked_those_that_were_cut_short_first() {
        let mut facts = facts();
        facts.not_run = (0..2 * MOST_FILES).map(|at| at.to_string()).collect();
        let asked = facts.to_recall();
        assert_eq!((asked.len(), asked[0].as_str()), (MOST_FILES, "killed.py"));
    }

    #[test]
    fn it_needs_no_less_than_it_was_seen_to_need_and_nothing_is_made_up() {
        let mut facts = facts();
        facts.recall("killed.py", KILLED, &branch("", ""), &[ran(20, -3)]);
        assert_eq!(told(&facts)[1], (48, 0, 9));
        let mut unknown = self::facts();
        unknown.recall("killed.py", KILLED, &branch("", ""), &[]);
        unknown.recall("whole.py", KILLED, &branch("", ""), &[ran(900, 900)]);
        assert_eq!(unknown, self::facts());
    }
}
