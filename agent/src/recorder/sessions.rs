//! The pytest sessions of the job, as their processes tell of them.

use std::collections::BTreeMap;

use highwater_wire::{marks::SessionLine, v1::Session};

use crate::{bounds::bounded, tree::ProcessKey};

/// So many are said in one batch, which holds twice as many; anybody can write the words of thousands.
const MOST_SAID: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: BTreeMap<String, (Session, bool)>,
    /// The session each process is in, and whether the process leads it (is no worker of it).
    of: BTreeMap<ProcessKey, (String, bool)>,
}

impl Sessions {
    pub(super) fn joined(&mut self, key: ProcessKey, line: SessionLine) {
        let leads = line.role != "worker";
        let (session, is_news) = self.known.entry(line.session.clone()).or_default();
        session.id.clone_from(&line.session);
        if leads {
            session.root = line.root;
            session.args = bounded(line.args);
            session.dist = line.dist;
            session.numprocesses = line.numprocesses;
            *is_news = true;
        } else if session.root.is_empty() {
            session.root = line.root;
            *is_news = true;
        }
        self.of.insert(key, (line.session, leads));
    }

    /// A session whose tests are read from outside begins.
    pub(super) fn sampled(
        &mut self,
        leader: ProcessKey,
        id: String,
        root: String,
        args: Vec<String>,
        began_us: i64,
    ) {
        let session = Session {
            id: id.clone(),
            root,
            args,
            began_us: Some(began_us),
            sampled: true,
            ..Session::default()
        };
        self.of.insert(leader, (id.clone(), true));
        self.known.insert(id, (session, true));
    }

    /// So many workers of it were seen. How they are dealt the tests is not.
    pub(super) fn has_workers(&mut self, id: &str, workers: u32) {
        if let Some((session, is_news)) = self.known.get_mut(id) {
            session.numprocesses = workers;
            *is_news = true;
        }
    }

    pub(super) fn sampled_ended(&mut self, id: &str, t_us: i64) {
        if let Some((session, is_news)) = self.known.get_mut(id) {
            session.ended_us = Some(t_us);
            *is_news = true;
        }
    }

    pub(super) fn began(&mut self, key: ProcessKey, t_us: i64) {
        if let Some(session) = self.led_by(key) {
            session.began_us = Some(t_us);
        }
    }

    pub(super) fn ended(&mut self, key: ProcessKey, t_us: i64, exit_status: i32) {
        if let Some(session) = self.led_by(key) {
            session.ended_us = Some(t_us);
            session.exit_status = Some(exit_status);
        }
    }

    fn led_by(&mut self, key: ProcessKey) -> Option<&mut Session> {
        let (id, true) = self.of.get(&key)? else {
            return None;
        };
        let (session, is_news) = self.known.get_mut(id)?;
        *is_news = true;
        Some(session)
    }

    /// Says what is new; the rest waits for the next batch.
    pub(super) fn say_news(&mut self, sessions: &mut Vec<Session>) {
        let news = self.known.values_mut().filter(|(_, is_news)| *is_news);
        for (session, is_news) in news.take(MOST_SAID) {
            *is_news = false;
            sessions.push(session.clone());
        }
    }

    pub(super) fn has_news(&self) -> bool {
        self.known.values().any(|(_, is_news)| *is_news)
    }

    /// How many batches it takes to say all of them.
    pub(super) fn batches(&self) -> usize {
        self.known.len().div_ceil(MOST_SAID)
    }

    pub(super) fn say_all_again(&mut self) {
        self.known
            .values_mut()
            .for_each(|(_, is_news)| *is_news = true);
    }
}
