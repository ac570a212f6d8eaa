//! Limits, and what counts against each beside the job: what is used of it less what the job's processes hold, at the last readings. They hold their
//! RSS less what PSS last found to be shared among several.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use highwater_analysis::{
    forecast::{Limit, Measured},
    robust,
};
use highwater_wire::report::LimitKind;

use crate::{
    sampler::{GridBlock, SecondReading, SlowReading},
    tree::ProcessKey,
};

/// So many of the last readings count, as in the digest.
const READINGS: usize = 30;

/// More readings than this do not wait for a block: it does not come.
const MOST_WAITING: usize = 64;

/// One limit.
#[derive(Debug, Default)]
struct Read {
    limit_bytes: i64,
    /// What was used beside the job.
    beside: VecDeque<f64>,
}

impl Read {
    fn take(&mut self, limit_bytes: u64, used_bytes: u64, held_bytes: i64) {
        self.limit_bytes = signed(limit_bytes);
        if self.beside.len() == READINGS {
            self.beside.pop_front();
        }
        self.beside
            .push_back((signed(used_bytes) - held_bytes) as f64);
    }

    fn limit(&self) -> Option<Limit> {
        let mut beside: Vec<f64> = self.beside.iter().copied().collect();
        Some(Limit {
            limit_bytes: self.limit_bytes,
            beside_bytes: robust::median(&mut beside)? as i64,
        })
    }
}

/// A reading of one limit.
#[derive(Debug)]
struct Reading {
    t_us: i64,
    /// None: the machine.
    cgroup: Option<Arc<str>>,
    limit_bytes: u64,
    used_bytes: u64,
}

/// What is measured of each limit.
#[derive(Debug, Default)]
pub(super) struct Limits {
    budget_bytes: i64,
    machine: Read,
    cgroups: BTreeMap<Arc<str>, Read>,
    /// RSS of each process at the last tick.
    rss: HashMap<ProcessKey, i64>,
    /// What it shares with others of the job, as far as PSS told.
    shared: HashMap<ProcessKey, i64>,
    /// What was read and waits for the block of its time.
    waiting: Vec<Reading>,
    sums: Vec<i64>,
}

impl Limits {
    pub(super) fn of_budget(bytes: u64) -> Self {
        Self {
            budget_bytes: signed(bytes),
            ..Self::default()
        }
    }

    /// Takes a block; answers the highest that all held together in it, what they share counted once.
    pub(super) fn saw(&mut self, block: &GridBlock) -> Option<i64> {
        self.sums.clear();
        self.sums.resize(block.t_us.len(), 0);
        for column in &block.columns {
            for (sum, rss) in self.sums.iter_mut().skip(column.first).zip(&column.rss) {
                *sum = sum.saturating_add(signed(*rss));
            }
            if let Some(last) = column.rss.last() {
                self.rss.insert(column.key, signed(*last));
            }
        }
        // One alone shares with nobody in the job.
        if block.columns.len() > 1 {
            let shared: i64 = self.shared.values().sum();
            for sum in &mut self.sums {
                *sum -= shared.min(*sum);
            }
        }
        self.settle(&block.t_us);
        self.sums.iter().copied().max()
    }

    /// Compares what was read with what was held then: a job that grows has moved on by the next second.
    fn settle(&mut self, ticks: &[i64]) {
        let Some(last_us) = ticks.last().copied() else {
            return;
        };
        for reading in self.waiting.extract_if(.., |it| it.t_us <= last_us) {
            let after = ticks.partition_point(|t_us| *t_us <= reading.t_us);
            let Some(held) = self.sums.get(after.saturating_sub(1)) else {
                continue;
            };
            let read = match reading.cgroup {
                Some(path) => self.cgroups.entry(path).or_default(),
                None => &mut self.machine,
            };
            read.take(reading.limit_bytes, reading.used_bytes, *held);
        }
    }

    pub(super) fn read(&mut self, reading: &SecondReading) {
        let mut wait = |cgroup, limit_bytes, used_bytes| {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push(Reading {
                    t_us: reading.t_us,
                    cgroup,
                    limit_bytes,
                    used_bytes,
                });
            }
        };
        let machine = &reading.machine;
        if let (Some(total), Some(left)) = (machine.total_bytes, machine.available_bytes) {
            wait(None, total, total.saturating_sub(left));
        }
        for (path, cgroup) in &reading.cgroups {
            let used = cgroup.working_set_bytes.or(cgroup.usage_bytes);
            if let (Some(limit), Some(used)) = (cgroup.limit_bytes, used) {
                wait(Some(Arc::clone(path)), limit, used);
            }
        }
    }

    pub(super) fn shares(&mut self, reading: &SlowReading) {
        for value in &reading.values {
            if let (Some(pss), Some(rss)) = (value.pss_bytes, self.rss.get(&value.key)) {
                self.shared.insert(value.key, (rss - signed(pss)).max(0));
            }
        }
    }

    pub(super) fn gone(&mut self, key: ProcessKey) {
        self.rss.remove(&key);
        self.shared.remove(&key);
    }

    pub(super) fn measured(&self) -> Vec<Measured> {
        let measured = |kind, path: &str, limit: Option<Limit>| {
            Some(Measured {
                is_reached: false,
                kind,
                path: path.to_owned(),
                limit: limit?,
            })
        };
        let budget = (self.budget_bytes > 0).then_some(Limit {
            limit_bytes: self.budget_bytes,
            beside_bytes: 0,
        });
        let cgroups = self.cgroups.iter();
        let cgroups = cgroups.map(|(path, read)| measured(LimitKind::Cgroup, path, read.limit()));
        let rest = [
            measured(LimitKind::Machine, "", self.machine.limit()),
            measured(LimitKind::Budget, "", budget),
        ];
        cgroups.chain(rest).flatten().collect()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cgroup::CgroupReading,
        sampler::{Column, SlowValue},
    };

    fn key(pid: u32) -> ProcessKey {
        ProcessKey {
            pid,
            start_ticks: 1,
        }
    }

    fn column(pid: u32, first: usize, rss: &[u64]) -> Column {
        Column {
            key: key(pid),
            first,
            rss: rss.to_vec(),
            anon: Vec::new(),
        }
    }

    #[test]
    fn what_counts_beside_the_job_is_what_is_used_and_not_held() {
        let mut limits = Limits::of_budget(900);
        let block = GridBlock {
            t_us: vec![1, 2, 3],
            columns: vec![column(7, 0, &[100, 300, 200]), column(8, 1, &[50, 40])],
            ..GridBlock::default()
        };
        let cgroup = CgroupReading {
            working_set_bytes: Some(270),
            limit_bytes: Some(1_000),
            ..CgroupReading::default()
        };
        let unlimited = CgroupReading {
            working_set_bytes: Some(270),
            ..CgroupReading::default()
        };
        limits.read(&SecondReading {
            t_us: 3,
            cgroups: vec![("/a".into(), cgroup), ("/".into(), unlimited)],
            ..SecondReading::default()
        });
        assert_eq!(limits.saw(&block), Some(350));
        limits.shares(&SlowReading {
            values: vec![SlowValue {
                key: key(7),
                t_us: 3,
                pss_bytes: Some(170),
                swap_bytes: None,
            }],
        });
        let told = |limits: &Limits| {
            let all = limits.measured().into_iter();
            all.map(|it| (it.kind, it.limit.limit_bytes, it.limit.beside_bytes))
                .collect::<Vec<_>>()
        };
        let (cgroup, budget) = (LimitKind::Cgroup, LimitKind::Budget);
        assert_eq!(told(&limits), [(cgroup, 1_000, 30), (budget, 900, 0)]);
        // From then on 30 that 7 shares are taken off, and none of them once it is gone.
        assert_eq!(limits.saw(&block), Some(320));
        limits.gone(key(7));
        assert_eq!(limits.saw(&block), Some(350));
    }
}
