//! Who was there: one record a process, folded from every word the agent said of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use highwater_wire::{report::Role, v1};

use crate::recording::{ProcessKey, Recording, Subject};

/// What is known of one process.
#[derive(Debug, Clone)]
pub(super) struct ProcessFacts {
    pub(super) key: ProcessKey,
    /// From 1, in the order they started; those outside the job come after all others.
    pub(super) number: u32,
    /// Position of the parent in the same list; the one it was born to, not the one that adopted it.
    pub(super) parent: Option<usize>,
    pub(super) parent_pid: u32,
    pub(super) role: Role,
    pub(super) worker: Option<String>,
    /// Sessions it took part in, in the order they were learnt.
    pub(super) sessions: Vec<String>,
    pub(super) command: String,
    pub(super) started_us: i64,
    pub(super) ended_us: Option<i64>,
    /// When it ended, or until when anything is known at all.
    pub(super) until_us: i64,
    pub(super) exact: Option<bool>,
    pub(super) exact_reason: String,
    pub(super) peak_error_bytes: u64,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) forked_from: u32,
    /// What its address space may grow to (RLIMIT_AS), bytes, and the largest it was.
    pub(super) address_space_limit_bytes: Option<u64>,
    pub(super) address_space_peak_bytes: Option<u64>,
    /// What its private memory that it may write to may grow to (RLIMIT_DATA), bytes.
    pub(super) data_limit_bytes: Option<u64>,
    pub(super) oom_score_adj: Option<i32>,
    /// Whether its address space was about as large as its parent's when it was first seen.
    pub(super) as_large_as_parent: Option<bool>,
    /// Every memory cgroup it was in, the last it went to last.
    pub(super) cgroups: Vec<String>,
    pub(super) versions: [(&'static str, String); 3],
}

impl ProcessFacts {
    fn new(key: ProcessKey) -> Self {
        Self {
            key,
            number: 0,
            parent: None,
            parent_pid: 0,
            role: Role::Child,
            worker: None,
            sessions: Vec::new(),
            command: String::new(),
            started_us: i64::MAX,
            ended_us: None,
            until_us: 0,
            exact: None,
            exact_reason: String::new(),
            peak_error_bytes: 0,
            exit_code: None,
            signal: None,
            forked_from: 0,
            address_space_limit_bytes: None,
            address_space_peak_bytes: None,
            data_limit_bytes: None,
            oom_score_adj: None,
            as_large_as_parent: None,
            cgroups: Vec::new(),
            versions: [
                ("python", String::new()),
                ("pytest", String::new()),
                ("plugin", String::new()),
            ],
        }
    }

    /// How long something took that began in this process at an instant, in µs; what never ended took until the process's own end.
    pub(super) fn duration_us(&self, began_us: i64, ended_us: Option<i64>) -> i64 {
        (ended_us.unwrap_or(self.until_us) - began_us).max(0)
    }

    fn hear(&mut self, word: &v1::Process) {
        if self.parent_pid == 0 {
            self.parent_pid = word.parent_pid;
        }
        if !word.command.is_empty() {
            self.command.clone_from(&word.command);
        }
        match word.role() {
            v1::Role::Unspecified => {}
            // A process of the machine that joined the job is one of its children.
            v1::Role::Child if self.role != Role::Other => {}
            v1::Role::Child => self.role = Role::Child,
            v1::Role::Pytest => self.role = Role::Pytest,
            v1::Role::Controller => self.role = Role::Controller,
            v1::Role::Worker => self.role = Role::Worker,
            v1::Role::Other => self.role = Role::Other,
        }
        if !word.worker.is_empty() {
            self.worker = Some(word.worker.clone());
        }
        if !word.session.is_empty() && !self.sessions.contains(&word.session) {
            self.sessions.push(word.session.clone());
        }
        self.started_us = self.started_us.min(word.started_us.unwrap_or(i64::MAX));
        self.ended_us = word.ended_us.or(self.ended_us);
        if let Some(exact) = word.exact {
            self.exact = Some(exact);
            self.exact_reason.clone_from(&word.exact_reason);
        }
        self.peak_error_bytes = self
            .peak_error_bytes
            .max(word.peak_error_bytes.unwrap_or(0));
        self.exit_code = word.exit_code.or(self.exit_code);
        self.signal = word.signal.or(self.signal);
        self.address_space_limit_bytes = word
            .address_space_limit_bytes
            .or(self.address_space_limit_bytes);
        self.address_space_peak_bytes = self
            .address_space_peak_bytes
            .max(word.address_space_peak_bytes);
        self.data_limit_bytes = word.data_limit_bytes.or(self.data_limit_bytes);
        self.as_large_as_parent = self.as_large_as_parent.or(word.as_large_as_parent);
        self.oom_score_adj = word.oom_score_adj.or(self.oom_score_adj);
        if !word.cgroup.is_empty() && self.cgroups.last() != Some(&word.cgroup) {
            self.cgroups.push(word.cgroup.clone());
        }
        if word.forked_from != 0 {
            self.forked_from = word.forked_from;
        }
        for ((_, known), said) in
            self.versions
                .iter_mut()
                .zip([&word.python, &word.pytest, &word.plugin])
        {
            if !said.is_empty() {
                known.clone_from(said);
            }
        }
    }
}

/// Folds what was said of each process and numbers them.
pub(super) fn gather(recording: &Recording) -> Vec<ProcessFacts> {
    let mut keys: BTreeSet<ProcessKey> = recording.words().keys().copied().collect();
    keys.extend(recording.marks().map(|(key, _)| key));
    let mut first_seen = BTreeMap::new();
    for group in recording.groups().values() {
        for (series, runs) in &group.series {
            let Subject::Process(key) = &series.subject else {
                continue;
            };
            let seen = runs
                .first()
                .and_then(|run| group.t_us.get(run.first))
                .copied();
            let entry = first_seen.entry(*key).or_insert(i64::MAX);
            *entry = (*entry).min(seen.unwrap_or(i64::MAX));
            keys.insert(*key);
        }
    }
    let mut processes: Vec<_> = keys.into_iter().map(ProcessFacts::new).collect();
    for process in &mut processes {
        for word in recording.words().get(&process.key).into_iter().flatten() {
            process.hear(word);
        }
        if process.started_us == i64::MAX {
            process.started_us = first_seen.get(&process.key).copied().unwrap_or(0);
        }
        process.until_us = process.ended_us.unwrap_or_else(|| recording.last_us());
    }
    // Processes outside the job come last, so that the numbers of the job's own do not hang on them.
    processes.sort_by_key(|process| {
        let outside = process.role == Role::Other;
        (outside, process.started_us, process.key)
    });
    for (position, number) in (1..).enumerate().take(processes.len()) {
        processes[position].number = number;
    }
    let mut of_pid: HashMap<u32, Vec<usize>> = HashMap::new();
    let members = |process: &&ProcessFacts| process.role != Role::Other;
    for (position, process) in processes.iter().filter(members).enumerate() {
        of_pid.entry(process.key.pid).or_default().push(position);
    }
    for position in 0..processes.len() {
        let candidates = of_pid.get(&processes[position].parent_pid);
        processes[position].parent = candidates.and_then(|at| parent_of(&processes, at, position));
    }
    processes
}

/// The latest started process of the parent's number that was there when this one started; candidates stand in order of their start. By the ticks of
/// the kernel's clock: what started in the same one may stand in either order once they are made µs.
fn parent_of(processes: &[ProcessFacts], candidates: &[usize], child: usize) -> Option<usize> {
    let start_ticks = processes[child].key.start_ticks;
    candidates
        .iter()
        .rev()
        .copied()
        .find(|at| *at != child && processes[*at].key.start_ticks <= start_ticks)
}
