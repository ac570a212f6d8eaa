//! How a session without the plugin ended, judged by exit codes.

use highwater_wire::v1::{Leave, mark::What};

use super::{
    super::{BatchSink, Recorder, advice::PATIENCE_US},
    IDLE_US, test_end,
};
use crate::{pytest::is_worker, tree::ProcessKey};

/// pytest's own exit statuses go up to this.
const HIGHEST_STATUS: i32 = 5;
/// Exit codes above this are a shell's word for a signal.
const HIGHEST_EXIT_CODE: i32 = 128;

/// How the process that led a session ended.
#[derive(Debug, Clone, Copy)]
struct SessionEnding {
    is_in_order: bool,
    is_success: bool,
}

impl<S: BatchSink> Recorder<S> {
    /// Begins the sessions in which no test was seen until their process ended, or for so long that no plugin comes any more.
    fn begin_overdue(&mut self, at_the_end: bool) {
        let now_us = self.clock.now_us();
        let waiting = self.sights.waiting.iter();
        let overdue = waiting.filter(|(_, waiting)| {
            at_the_end || waiting.gone_us.is_some() || now_us - waiting.t_us >= PATIENCE_US
        });
        let keys: Vec<ProcessKey> = overdue.map(|(key, _)| *key).collect();
        for key in keys {
            self.begin_waiting(key);
        }
    }

    /// Closes the tests that were not seen any more for a while, or at the end.
    fn close_idle(&mut self, at_the_end: bool) {
        let now_us = self.clock.now_us();
        let mut ended = Vec::new();
        for (key, runner) in &mut self.sights.runners {
            let is_over = |(t_us, _): &mut (i64, u64)| {
                at_the_end || runner.gone_us.is_some() || now_us - *t_us >= IDLE_US
            };
            if let Some((t_us, rss_bytes)) = runner.idle.take_if(is_over) {
                runner.open = None;
                // Behind the last test the interpreter lets go of all: what falls below where that test began is not its release.
                let is_last = at_the_end || runner.gone_us.is_some();
                let least = if is_last { runner.open_bytes } else { 0 };
                ended.push((*key, t_us, rss_bytes.max(least)));
            }
        }
        for (key, t_us, rss_bytes) in ended {
            self.mark(key, t_us, rss_bytes, test_end());
        }
    }

    /// Closes what was open in sessions that are found to have ended in order.
    pub(in crate::recorder) fn settle_sighted(&mut self, at_the_end: bool) {
        self.begin_overdue(at_the_end);
        self.close_idle(at_the_end);
        let mut settled = Vec::new();
        for (leader, session) in &self.sights.sessions {
            let ended_us = self.sights.runners.get(leader).and_then(|it| it.gone_us);
            let ending = self.ending_of(*leader, &session.ancestors, at_the_end);
            if let (Some(ended_us), Some(ending)) = (ended_us, ending) {
                settled.push((*leader, ended_us, ending));
            }
        }
        for (leader, ended_us, ending) in settled {
            if ending.is_in_order {
                self.leave(leader, ended_us, ending.is_success);
            }
            self.sights.sessions.remove(&leader);
            let runners = &mut self.sights.runners;
            runners.retain(|_, runner| runner.leader != leader);
        }
    }

    /// Has every process leave a session that ended in order.
    fn leave(&mut self, leader: ProcessKey, ended_us: i64, is_success: bool) {
        let Some(session) = self.sights.sessions.get(&leader) else {
            return;
        };
        let last_worker_us = self.table.last_child_us(leader, is_worker);
        let mut marks = Vec::new();
        for (key, runner) in &self.sights.runners {
            if runner.leader != leader {
                continue;
            }
            let gone_us = runner.gone_us.unwrap_or(ended_us);
            let mut mark = |what| marks.push((*key, gone_us, runner.rss_bytes, what));
            if runner.open.is_some() {
                // A worker in whose place another was started had not ended by itself.
                if last_worker_us.is_some_and(|born_us| born_us >= gone_us) && !is_success {
                    continue;
                }
                mark(test_end());
            }
            mark(What::Leave(Leave::default()));
        }
        self.sessions.sampled_ended(&session.id, ended_us);
        for (key, t_us, rss_bytes, what) in marks {
            self.mark(key, t_us, rss_bytes, what);
        }
    }

    /// How a session's process ended, by its own exit code, else that of the nearest who started it, else by whether a test was seen to run last;
    /// `None` while it may still become known.
    fn ending_of(
        &self,
        leader: ProcessKey,
        ancestors: &[ProcessKey],
        at_the_end: bool,
    ) -> Option<SessionEnding> {
        let runners = self.sights.runners.values();
        let is_idle = !runners
            .filter(|runner| runner.leader == leader)
            .any(|runner| runner.open.is_some());
        if let Some(own) = self.table.ending(leader) {
            let status = own.exit_code;
            return Some(SessionEnding {
                // Another status is of `pytest.exit` between two tests, or of a test that ended the process.
                is_in_order: status.is_some_and(|it| (0..=HIGHEST_STATUS).contains(&it) || is_idle),
                is_success: status == Some(0),
            });
        }
        let above = ancestors.iter().find_map(|key| self.table.ending(*key));
        match above {
            Some(above) => Some(SessionEnding {
                is_in_order: above.exit_code.is_some_and(|it| it <= HIGHEST_EXIT_CODE),
                is_success: above.exit_code == Some(0),
            }),
            None => at_the_end.then_some(SessionEnding {
                is_in_order: is_idle,
                is_success: false,
            }),
        }
    }
}
