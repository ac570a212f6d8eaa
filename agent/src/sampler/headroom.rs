//! How much memory is left of the tightest limit that is known.
//!
//! Limits are read about once a second, but the tree's RSS on each tick: what it grew by since is taken off each limit, so that a process
//! which takes the rest within a second is noticed on the way.

use super::SecondReading;

/// One limit and what was used of it when it was read, bytes.
#[derive(Debug, Clone, Copy)]
struct Limit {
    bytes: u64,
    used: u64,
}

/// The limits at the last reading.
#[derive(Debug, Default)]
pub(super) struct Headroom {
    limits: Vec<Limit>,
    /// RSS of the tree at that time, bytes.
    sum_then: u64,
}

impl Headroom {
    /// Takes in a reading; `sum` is the RSS of the tree beside it, `budget_bytes` what the job may take, 0 without a budget.
    pub(super) fn learn(&mut self, reading: &SecondReading, sum: u64, budget_bytes: u64) {
        self.sum_then = sum;
        self.limits.clear();
        for (_, cgroup) in &reading.cgroups {
            let used = cgroup.working_set_bytes.or(cgroup.usage_bytes);
            if let (Some(bytes), Some(used)) = (cgroup.limit_bytes, used) {
                self.limits.push(Limit { bytes, used });
            }
        }
        let machine = &reading.machine;
        if let (Some(bytes), Some(left)) = (machine.total_bytes, machine.available_bytes) {
            let used = bytes.saturating_sub(left);
            self.limits.push(Limit { bytes, used });
        }
        self.limits.push(Limit {
            bytes: budget_bytes,
            used: sum,
        });
    }

    /// What is left of the tightest limit now that the tree's RSS is `sum`, in thousandths of it.
    pub(super) fn per_mille(&self, sum: u64) -> u32 {
        let growth = sum.saturating_sub(self.sum_then);
        let left = |limit: &Limit| {
            let left = limit
                .bytes
                .saturating_sub(limit.used.saturating_add(growth));
            u32::try_from(u128::from(left) * 1_000 / u128::from(limit.bytes)).unwrap_or(1_000)
        };
        let limits = self.limits.iter().filter(|limit| limit.bytes > 0);
        limits.map(left).min().unwrap_or(1_000)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{cgroup::CgroupReading, procfs::MachineReading};

    fn reading(used: u64, limit: u64, available: u64) -> SecondReading {
        SecondReading {
            machine: MachineReading {
                total_bytes: Some(1_000),
                available_bytes: Some(available),
                ..MachineReading::default()
            },
            cgroups: vec![(
                Arc::from("/a"),
                CgroupReading {
                    usage_bytes: Some(u64::MAX),
                    working_set_bytes: Some(used),
                    limit_bytes: Some(limit),
                    ..CgroupReading::default()
                },
            )],
            ..SecondReading::default()
        }
    }

    #[test]
    fn the_tightest_limit_counts() {
        let mut headroom = Headroom::default();
        assert_eq!(headroom.per_mille(1 << 40), 1_000, "no limit is known");
        for (cgroup, available, budget, left) in [
            ((100, 400), 900, 0, 750),
            ((100, 400), 90, 0, 90),
            ((400, 400), 900, 0, 0),
            ((500, 400), 900, 0, 0),
            ((100, 400), 900, 100, 500),
        ] {
            let reading = reading(cgroup.0, cgroup.1, available);
            headroom.learn(&reading, 50, budget);
            assert_eq!(
                headroom.per_mille(50),
                left,
                "{cgroup:?} {available} {budget}"
            );
        }
    }

    #[test]
    fn growth_since_the_reading_is_taken_off_and_what_was_given_back_is_not_trusted() {
        let mut headroom = Headroom::default();
        headroom.learn(&reading(100, 400, 900), 50, 0);
        assert_eq!(headroom.per_mille(250), 250);
        assert_eq!(headroom.per_mille(0), 750);
    }
}
