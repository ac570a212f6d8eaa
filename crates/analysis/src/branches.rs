//! Of which branch a job is, and jobs of which others tell of it: what it is compared with ([`of_baseline`]), and what a plan or a forecast takes from others ([`Branch::near`]).

use highwater_wire::report::JobReport;

/// The branches that a baseline is looked for on where none is named, before a job's own.
pub const USUAL_BRANCHES: [&str; 2] = ["main", "master"];

/// What a job was recorded of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its name; of a pull request that of the branch which is to be merged, which in a fork may be `main` too. Empty where it is not known.
    pub name: String,
    /// Number of the pull request; empty outside.
    pub pull_request: String,
    /// Whether it is a fork's, so that a branch of the same name here is another.
    pub is_fork: bool,
}

impl Branch {
    /// The branch of a job.
    #[must_use]
    pub fn of(job: &JobReport) -> Self {
        Self {
            name: job.branch.clone(),
            pull_request: job.run.pull_request.clone(),
            is_fork: job.run.fork,
        }
    }

    /// Whether it is the branch of that name itself, and no pull request from one that is called so.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name && self.is_itself()
    }

    /// Whether it is a branch of the project, and no pull request.
    fn is_itself(&self) -> bool {
        self.pull_request.is_empty() && !self.is_fork
    }

    /// Those whose jobs tell of its own, the nearest first: itself, then of a pull request the branch that it comes from where that is no fork's, then those of a baseline. Every other may
    /// have changed anything.
    #[must_use]
    pub fn near(&self) -> Vec<Self> {
        let mut near = vec![self.clone()];
        for name in self.own().into_iter().chain(USUAL_BRANCHES) {
            let itself = Self {
                name: name.to_owned(),
                pull_request: String::new(),
                is_fork: false,
            };
            if !near.contains(&itself) {
                near.push(itself);
            }
        }
        near
    }

    /// The branches that are looked through for a baseline where none is named: the usual ones, then its own where that is no fork's.
    #[must_use]
    pub fn of_baseline(&self) -> Vec<String> {
        of_baseline(self.own().unwrap_or_default())
    }

    /// The branch of the project that it is, or that it is to be merged from, where that is none of the usual ones.
    fn own(&self) -> Option<&str> {
        let name = Some(self.name.as_str()).filter(|_| !self.is_fork);
        name.filter(|name| !name.is_empty() && !is_usual(name))
    }

    /// As people call it.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.pull_request.as_str(), self.name.as_str()) {
            ("", "") => "a branch that is not known".to_owned(),
            ("", name) => format!("branch {name}"),
            (number, _) => format!("pull request {number}"),
        }
    }
}

/// The branches that are looked through for a baseline where none is named: the usual ones, then a job's own.
#[must_use]
pub fn of_baseline(own: &str) -> Vec<String> {
    let mut branches = USUAL_BRANCHES.map(str::to_owned).to_vec();
    if !own.is_empty() && !is_usual(own) {
        branches.push(own.to_owned());
    }
    branches
}

/// Whether a branch is one of the usual ones.
#[must_use]
pub fn is_usual(name: &str) -> bool {
    USUAL_BRANCHES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(name: &str, pull_request: &str) -> Branch {
        Branch {
            name: name.to_owned(),
            pull_request: pull_request.to_owned(),
            is_fork: false,
        }
    }

    #[test]
    fn a_branch_of_the_name_that_a_forks_has_is_another() {
        let usual = [branch("main", ""), branch("master", "")];
        for (name, pull_request) in [("patch-1", "7"), ("main", "7"), ("patch-1", "")] {
            let fork = Branch {
                is_fork: true,
                ..branch(name, pull_request)
            };
            let near = [&[fork.clone()][..], &usual].concat();
            assert_eq!(fork.near(), near, "{fork:?}");
            assert_eq!(fork.of_baseline(), ["main", "master"], "{fork:?}");
            assert!(!fork.is(name), "{fork:?}");
        }
        let own = branch("patch-1", "7").of_baseline();
        assert_eq!(own, ["main", "master", "patch-1"]);
    }

    #[test]
    fn its_own_jobs_come_before_those_of_the_baseline_and_pull_requests_of_others_are_none() {
        let (main, master) = (branch("main", ""), branch("master", ""));
        for (of, near) in [
            (main.clone(), vec![main.clone(), master.clone()]),
            (master.clone(), vec![master.clone(), main.clone()]),
            (
                branch("fix", ""),
                vec![branch("fix", ""), main.clone(), master.clone()],
            ),
            (
                branch("fix", "7"),
                vec![
                    branch("fix", "7"),
                    branch("fix", ""),
                    main.clone(),
                    master.clone(),
                ],
            ),
            // Of a fork, whose main is not this one's.
            (
                branch("main", "7"),
                vec![branch("main", "7"), main.clone(), master.clone()],
            ),
            (
                branch("", ""),
                vec![branch("", ""), main.clone(), master.clone()],
            ),
            (branch("", "7"), vec![branch("", "7"), main, master]),
        ] {
            assert_eq!(of.near(), near, "{of:?}");
        }
        assert!(branch("main", "").is("main") && !branch("main", "7").is("main"));
    }

    #[test]
    fn a_baseline_is_looked_for_on_its_own_branch_last() {
        assert_eq!(of_baseline("master"), ["main", "master"]);
        assert_eq!(of_baseline("fix"), ["main", "master", "fix"]);
    }
}
