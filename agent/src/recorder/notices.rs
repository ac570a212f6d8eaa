//! What the recorder has to say about its own work: each kind at once when it first happens, then with its count at the end.

use std::collections::BTreeMap;

use highwater_wire::{codec::MAX_NAME_BYTES, v1::Notice};

use crate::{bounds::cut, clock::process_cpu_us, procfs::Procfs};

/// Longest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 2_000;
/// Kinds beyond this are all counted as one: names may come from outside.
const MAX_KINDS: usize = 100;

#[derive(Debug)]
struct Kind {
    first: String,
    count: u64,
    said: u64,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    kinds: BTreeMap<String, Kind>,
    news: Vec<Notice>,
}

impl Notices {
    pub(super) fn report(&mut self, t_us: i64, code: &str, mut message: String, count: u64) {
        cut(&mut message, MAX_MESSAGE_BYTES);
        let mut code = code.to_owned();
        cut(&mut code, MAX_NAME_BYTES);
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&code) {
            code = "more_notices".to_owned();
        }
        let kind = self.kinds.entry(code.clone()).or_insert_with(|| Kind {
            first: message.clone(),
            count: 0,
            said: 0,
        });
        kind.count += count;
        if kind.said == 0 {
            kind.said = count;
            self.news.push(Notice {
                t_us,
                code,
                message,
                count,
            });
        }
    }

    /// Says of each kind that happened again how often it did since it was said; whoever reads adds them up.
    pub(super) fn sum_up(&mut self, t_us: i64) {
        for (code, kind) in self
            .kinds
            .iter_mut()
            .filter(|(_, kind)| kind.count > kind.said)
        {
            self.news.push(Notice {
                t_us,
                code: code.clone(),
                message: kind.first.clone(),
                count: kind.count - kind.said,
            });
            kind.said = kind.count;
        }
    }

    /// Whether more of a kind happened than any batch tells.
    pub(super) fn has_more_of(&self, code: &str) -> bool {
        let is_news = self.news.iter().any(|notice| notice.code == code);
        let kind = self.kinds.get(code);
        is_news || kind.is_some_and(|kind| kind.count > kind.said)
    }

    /// What recording cost this agent itself.
    pub(super) fn own_cost(&mut self, t_us: i64) {
        let cpu = Notice {
            t_us,
            code: "agent_cpu_us".to_owned(),
            message: "CPU time of the agent, user and system".to_owned(),
            count: process_cpu_us().max(0).cast_unsigned(),
        };
        self.news.push(cpu);
        let status = Procfs::system().status(std::process::id(), &mut Vec::new());
        if let Ok(Some(status)) = status {
            self.news.push(Notice {
                t_us,
                code: "agent_rss_bytes".to_owned(),
                message: "highest RSS of the agent".to_owned(),
                count: status.high_water_bytes,
            });
        }
    }

    pub(super) fn say_news(&mut self, notices: &mut Vec<Notice>) {
        notices.append(&mut self.news);
    }
}
