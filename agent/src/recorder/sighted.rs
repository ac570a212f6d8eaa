//! Turns what the sampler saw of pytests without the plugin into sessions and marks, as the plugin would have made them.
//!
//! Such a session is marked as sampled, its tests have no outcome, and what happened between two ticks is not there. Whoever turns out to have the
//! plugin, or to belong to a test, is not looked at any more. How a session ended is not seen either: the exit code of its process says whether it
//! was in order, and only then are its last tests closed; what ran in one that was killed stays open.

mod settle;

use std::{collections::HashMap, path::PathBuf};

use highwater_wire::{
    codec::MAX_TEXT_BYTES,
    v1::{Empty, Mark, Role, TestBegin, TestEnd, TestPhase, mark::What},
};
use prost::Message as _;
use uuid::Uuid;

use super::{BatchSink, Recorder, table::Table, test_paths::TestPaths};
use crate::{
    bounds::{bounded, cut},
    environ::{Phase, is_title},
    pytest::{arguments, is_pytest, is_worker},
    sampler::{Glance, Seeing, Sight, Unwatched},
    tree::ProcessKey,
};

const UNKNOWN: &str = "unknown";
/// A test that is not seen for so long has ended, µs.
const IDLE_US: i64 = 1_000_000;
/// What a phase has for an outcome that is not known.
const NOTHING: &str = "-";

/// What is known of pytests without the plugin.
#[derive(Debug, Default)]
pub struct Sighted {
    unwatched: Unwatched,
    paths: TestPaths,
    /// Whether the command was given the plugin: then its lack is worth a word.
    wants_plugin: bool,
    /// Who may lead a session, and of whom nothing is said before a test is seen: on a machine that is busy a plugin may come late.
    waiting: HashMap<ProcessKey, Waiting>,
    sessions: HashMap<ProcessKey, SampledSession>,
    runners: HashMap<ProcessKey, Runner>,
}

/// A session, by the process that leads it.
#[derive(Debug)]
struct SampledSession {
    id: String,
    folder: PathBuf,
    /// Who started it, the nearest first.
    ancestors: Vec<ProcessKey>,
    workers: u32,
}

/// A process of a session: its leader, or a worker.
#[derive(Debug)]
struct Runner {
    leader: ProcessKey,
    folder: PathBuf,
    has_run: bool,
    open: Option<(String, Option<Phase>)>,
    /// RSS from which the open test counts.
    open_bytes: u64,
    /// Since when no test is seen though one is open, and the RSS then.
    idle: Option<(i64, u64)>,
    rss_bytes: u64,
    gone_us: Option<i64>,
}

/// A process that was seen and has not begun a session.
#[derive(Debug)]
struct Waiting {
    first: First,
    t_us: i64,
    rss_bytes: u64,
    gone_us: Option<i64>,
}

/// What a first sight of a process tells of it.
#[derive(Debug)]
struct First {
    folder: PathBuf,
    worker: Option<String>,
    by_title: bool,
    controller_rss_bytes: Option<u64>,
}

impl Sighted {
    /// Nobody yet.
    #[must_use]
    pub fn new(unwatched: Unwatched, repo_root: Option<PathBuf>, wants_plugin: bool) -> Self {
        Self {
            unwatched,
            paths: TestPaths::new(repo_root),
            wants_plugin,
            waiting: HashMap::new(),
            sessions: HashMap::new(),
            runners: HashMap::new(),
        }
    }

    pub(super) fn wants_plugin(&self) -> bool {
        self.wants_plugin
    }

    /// A process that has the plugin tells of itself.
    pub(super) fn has_plugin(&mut self, key: ProcessKey) {
        self.unwatched.insert(key);
        self.waiting.remove(&key);
        self.runners.remove(&key);
    }

    pub(super) fn gone(&mut self, key: ProcessKey, t_us: i64) {
        if let Some(runner) = self.runners.get_mut(&key) {
            runner.gone_us = Some(t_us);
        }
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.gone_us = Some(t_us);
        }
    }
}

/// Who leads the session that a process would run tests in; `None` where it belongs to a test, or to somebody who is recorded.
fn leader_of(table: &Table, key: ProcessKey, sighted: &Sighted) -> Option<ProcessKey> {
    let is_pytest_process = |key: &ProcessKey| {
        let words = table.words_of(*key);
        is_pytest(words) || is_worker(words) || is_title(words) || table.has_plugin(*key)
    };
    let words = table.words_of(key);
    let ancestors = table.ancestors(key);
    if !(is_worker(words) || is_title(words)) {
        return (!ancestors.iter().any(is_pytest_process)).then_some(key);
    }
    // xdist starts its workers itself.
    let (controller, above) = ancestors.split_first()?;
    let runs_tests = sighted
        .runners
        .get(controller)
        .is_some_and(|runner| runner.has_run);
    let is_of_a_test = runs_tests
        || table.speaks(*controller)
        || is_worker(table.words_of(*controller))
        || is_title(table.words_of(*controller))
        || above.iter().any(is_pytest_process);
    (!is_of_a_test).then_some(*controller)
}

impl<S: BatchSink> Recorder<S> {
    pub(super) fn sighted(&mut self, sight: Sight) {
        let (key, turn) = (sight.key, sight.turn());
        match sight.what {
            Seeing::Begun {
                folder,
                worker,
                by_title,
                controller_rss_bytes,
            } => {
                let first = First {
                    // Where that is as closed as its memory, most commands run where the agent does.
                    folder: folder
                        .or_else(|| std::env::current_dir().ok())
                        .unwrap_or_default(),
                    worker,
                    by_title,
                    controller_rss_bytes,
                };
                self.first_sight(key, first, turn);
            }
            Seeing::Running { nodeid, phase } => {
                self.begin_waiting(key);
                if let Some(runner) = self.sights.runners.get_mut(&key) {
                    runner.rss_bytes = sight.rss_bytes;
                }
                self.saw_running(key, nodeid, phase, turn);
            }
            Seeing::Idle => {
                if let Some(runner) = self.sights.runners.get_mut(&key) {
                    runner.rss_bytes = sight.rss_bytes;
                    // A test may have cleared the environment, and go on.
                    runner.idle = runner.open.as_ref().map(|_| (sight.t_us, sight.rss_bytes));
                }
            }
            Seeing::Unknown(reason) => {
                // Of a worker nobody is told but its controller.
                let words = self.table.words_of(key);
                let told = if is_worker(words) || is_title(words) {
                    self.table.ancestors(key).first().copied()
                } else {
                    Some(key)
                };
                if let Some(told) = told {
                    self.table.unseen(told, reason);
                }
            }
        }
    }

    fn first_sight(&mut self, key: ProcessKey, first: First, turn: Glance) {
        let Glance { t_us, rss_bytes } = turn;
        // Its plugin wrote before the first test: nothing that it said may be unread when it is judged.
        self.look(false);
        let leader = leader_of(&self.table, key, &self.sights);
        let Some(leader) = leader.filter(|_| !self.speaks(key)) else {
            self.sights.unwatched.insert(key);
            return;
        };
        if leader == key {
            if !self.sights.sessions.contains_key(&key) {
                let waiting = Waiting {
                    first,
                    t_us,
                    rss_bytes,
                    gone_us: None,
                };
                self.sights.waiting.insert(key, waiting);
            }
            return;
        }
        self.begin_waiting(leader);
        let controller_rss_bytes = first.controller_rss_bytes.unwrap_or(0);
        self.begin_session(leader, &first, t_us, controller_rss_bytes);
        let Some(session) = self.sights.sessions.get_mut(&leader) else {
            return;
        };
        session.workers += 1;
        let (id, workers) = (session.id.clone(), session.workers);
        // xdist numbers its workers in the order in which it starts them.
        let worker = first
            .worker
            .unwrap_or_else(|| format!("gw{}", self.table.elder_siblings(key, is_worker)));
        match first.by_title {
            true => self.table.sampled_by_title(key, &id, &worker, t_us),
            false => self.table.sampled(key, &id, Role::Worker, &worker, t_us),
        }
        self.table.sampled(leader, &id, Role::Controller, "", t_us);
        self.sessions.has_workers(&id, workers);
        self.begin_runner(key, leader, first.folder, t_us, rss_bytes);
    }

    /// Whether a process has the plugin, and told its session: that is on disk before the first test.
    fn speaks(&self, key: ProcessKey) -> bool {
        self.table.speaks(key)
    }

    /// Begins the session of who was waiting, unless its plugin has come meanwhile.
    fn begin_waiting(&mut self, key: ProcessKey) {
        if !self.sights.waiting.contains_key(&key) {
            return;
        }
        self.look(false);
        let Some(waiting) = self.sights.waiting.remove(&key) else {
            return;
        };
        if self.speaks(key) {
            self.sights.unwatched.insert(key);
            return;
        }
        self.begin_session(key, &waiting.first, waiting.t_us, waiting.rss_bytes);
        if let (Some(runner), Some(_)) = (self.sights.runners.get_mut(&key), waiting.gone_us) {
            runner.gone_us = waiting.gone_us;
        }
    }

    fn begin_session(&mut self, leader: ProcessKey, first: &First, t_us: i64, rss_bytes: u64) {
        if self.sights.sessions.contains_key(&leader) {
            return;
        }
        let session = SampledSession {
            id: Uuid::now_v7().simple().to_string(),
            folder: first.folder.clone(),
            ancestors: self.table.ancestors(leader),
            workers: 0,
        };
        let args = bounded(arguments(self.table.words_of(leader)).to_vec());
        let root = session.folder.to_string_lossy().into_owned();
        self.sessions
            .sampled(leader, session.id.clone(), root, args, t_us);
        self.table
            .sampled(leader, &session.id, Role::Pytest, "", t_us);
        self.sights.sessions.insert(leader, session);
        self.begin_runner(leader, leader, first.folder.clone(), t_us, rss_bytes);
    }

    fn begin_runner(
        &mut self,
        key: ProcessKey,
        leader: ProcessKey,
        folder: PathBuf,
        t_us: i64,
        rss_bytes: u64,
    ) {
        let runner = Runner {
            leader,
            folder,
            has_run: false,
            open: None,
            open_bytes: 0,
            idle: None,
            rss_bytes,
            gone_us: None,
        };
        self.sights.runners.insert(key, runner);
        self.mark(key, t_us, rss_bytes, What::SessionBegin(Empty {}));
    }

    fn saw_running(
        &mut self,
        key: ProcessKey,
        mut nodeid: String,
        phase: Option<Phase>,
        turn: Glance,
    ) {
        let Glance { t_us, rss_bytes } = turn;
        cut(&mut nodeid, MAX_TEXT_BYTES);
        let Some(runner) = self.sights.runners.get_mut(&key) else {
            // Said already, and perhaps not heard yet.
            self.sights.unwatched.insert(key);
            return;
        };
        runner.has_run = true;
        let before = runner.open.replace((nodeid.clone(), phase));
        let idle = runner.idle.take();
        let goes_on = before
            .as_ref()
            .is_some_and(|(known, last)| *known == nodeid && order(phase) >= order(*last));
        let was_in = before.as_ref().and_then(|(_, last)| *last);
        let mut ended = None;
        let mut whats = Vec::with_capacity(2);
        if !goes_on {
            ended = before.map(|_| idle.unwrap_or((t_us, rss_bytes)));
            runner.open_bytes = rss_bytes;
            let path = self.sights.paths.of(&nodeid, &runner.folder);
            whats.push(What::TestBegin(TestBegin {
                execution: 1,
                path,
                nodeid,
                ..TestBegin::default()
            }));
        }
        if let Some(phase @ (Phase::Call | Phase::Teardown)) = phase
            && !(goes_on && was_in == Some(phase))
        {
            let phase = phase.word().to_owned();
            whats.push(What::TestPhase(TestPhase { phase }));
        }
        if let Some((ended_us, rss_bytes)) = ended {
            self.mark(key, ended_us, rss_bytes, test_end());
        }
        for what in whats {
            self.mark(key, t_us, rss_bytes, what);
        }
    }

    fn mark(&mut self, key: ProcessKey, t_us: i64, rss_bytes: u64, what: What) {
        let mark = Mark {
            t_us,
            rss_bytes,
            what: Some(what),
            ..Mark::default()
        };
        self.gathered.marks_bytes += mark.encoded_len() + 4;
        self.gathered.marks.push((key, mark));
    }
}

/// Where a phase stands in the life of a test; one that goes back is of another execution.
fn order(phase: Option<Phase>) -> u8 {
    match phase {
        None | Some(Phase::Setup) => 0,
        Some(Phase::Call) => 1,
        Some(Phase::Teardown) => 2,
    }
}

fn test_end() -> What {
    What::TestEnd(TestEnd {
        outcome: UNKNOWN.to_owned(),
        setup: NOTHING.to_owned(),
        call: NOTHING.to_owned(),
        teardown: NOTHING.to_owned(),
        cause: String::new(),
    })
}
