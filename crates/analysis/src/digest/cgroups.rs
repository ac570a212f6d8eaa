//! Which of the cgroups that were read are the job's own, and which lie above them.

use std::collections::BTreeSet;

use highwater_wire::report::Role;

use super::{processes::ProcessFacts, readings};
use crate::recording::Recording;

/// The cgroups whose limits bind the job, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// Those that hold a process of the job; where no process names its cgroup, the innermost that was read.
    pub(super) own: Vec<String>,
    /// Those around an own one, the innermost first. They may hold neighbours too.
    pub(super) above: Vec<String>,
}

impl Cgroups {
    pub(super) fn of(recording: &Recording, processes: &[ProcessFacts]) -> Self {
        let read = readings::cgroups(recording);
        let members = processes.iter().filter(|it| it.role != Role::Other);
        let named: BTreeSet<&str> = members
            .flat_map(|process| process.cgroups.iter().map(String::as_str))
            .collect();
        let own: Vec<&str> = if named.is_empty() {
            read.iter()
                .copied()
                .max_by_key(|path| path.len())
                .into_iter()
                .collect()
        } else {
            named.into_iter().collect()
        };
        let mut above: Vec<&str> = read
            .into_iter()
            .filter(|path| !own.contains(path) && own.iter().any(|own| is_above(path, own)))
            .collect();
        above.sort_by_key(|path| std::cmp::Reverse(path.len()));
        let owned = |paths: Vec<&str>| paths.into_iter().map(str::to_owned).collect();
        Self {
            own: owned(own),
            above: owned(above),
        }
    }

    /// Every cgroup whose limit binds the job.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.own.iter().chain(&self.above).map(String::as_str)
    }

    /// The own cgroups that lie in no other own one.
    pub(super) fn outermost(&self) -> impl Iterator<Item = &str> {
        let inside = |path: &str| self.own.iter().any(|own| is_above(own, path));
        self.own
            .iter()
            .map(String::as_str)
            .filter(move |path| !inside(path))
    }
}

/// Whether a cgroup lies around another.
pub(super) fn is_above(outer: &str, inner: &str) -> bool {
    outer != inner
        && inner
            .strip_prefix(outer.trim_end_matches('/'))
            .is_some_and(|rest| rest.starts_with('/'))
}
