//! What is used of which limit.

use crate::{
    cgroup::{Cgroups, Level},
    procfs::{MachineFiles, Procfs},
};

use super::{LimitSize, ladder::Pressure};

/// From this share of a limit on it is near, and is measured at each tick.
const TIGHT: f64 = 0.8;
/// From this share of what is allowed on the kernel will strike at any moment.
const LAST: f64 = 0.98;
/// How often cgroups and machine are measured while nothing is near, µs.
const PERIOD_US: i64 = 1_000_000;
/// A job that holds less than this share of what is used could give back nothing that helps.
const OWN_SHARE: f64 = 0.1;

/// One limit and its use at one instant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// `budget`, `cgroup` or `machine`, as the wire has it.
    pub(super) kind: &'static str,
    /// Which cgroup.
    pub(super) path: String,
    pub(super) used_bytes: u64,
    /// Where the guard acts.
    pub(super) limit_bytes: u64,
    /// Where the kernel would; for a budget, at which it does not, the limit itself.
    pub(super) allowed_bytes: u64,
}

impl Measured {
    fn share(&self) -> f64 {
        self.used_bytes as f64 / self.limit_bytes.max(1) as f64
    }

    pub(super) fn pressure(&self) -> Pressure {
        if self.used_bytes < self.limit_bytes {
            if self.share() < TIGHT {
                Pressure::Calm
            } else {
                Pressure::Tight
            }
        } else if self.kind != BUDGET && self.used_bytes as f64 >= LAST * self.allowed_bytes as f64
        {
            Pressure::Last
        } else {
            Pressure::Over
        }
    }

    /// Whether the job, which holds so many bytes, has a part in this.
    pub(super) fn is_of_the_job(&self, own_bytes: u64) -> bool {
        self.kind == BUDGET || own_bytes as f64 >= OWN_SHARE * self.used_bytes as f64
    }
}

const BUDGET: &str = "budget";
const CGROUP: &str = "cgroup";
const MACHINE: &str = "machine";

/// Measures every limit that is watched.
#[derive(Debug)]
pub(super) struct Measures {
    size: LimitSize,
    machine: Option<MachineFiles>,
    cgroups: Option<Cgroups>,
    /// The worst of cgroups and machine, and when it was measured.
    last: Option<Measured>,
    due_us: i64,
    buffer: Vec<u8>,
}

impl Measures {
    /// Opens what is needed; what cannot be opened is not watched.
    pub(super) fn open(size: LimitSize, procfs: &Procfs, pid: u32) -> Self {
        Self {
            size,
            machine: procfs.open_machine().ok(),
            cgroups: Cgroups::of(procfs, pid).ok(),
            last: None,
            due_us: i64::MIN,
            buffer: Vec::new(),
        }
    }

    pub(super) fn watch(&mut self, text: &[u8]) {
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.watch(text, true);
            self.due_us = i64::MIN;
        }
    }

    /// The limit that is nearest, when the job's processes hold so many bytes.
    pub(super) fn nearest(&mut self, now_us: i64, own_bytes: u64) -> Option<Measured> {
        let is_near = self.last.as_ref().is_some_and(|last| last.share() >= TIGHT);
        if is_near || now_us >= self.due_us {
            self.due_us = now_us + PERIOD_US;
            self.last = self.nearest_of_the_kernel();
        }
        let budget = match self.size {
            LimitSize::Share(_) => None,
            LimitSize::Bytes(limit_bytes) => Some(Measured {
                kind: BUDGET,
                path: String::new(),
                used_bytes: own_bytes,
                limit_bytes,
                allowed_bytes: limit_bytes,
            }),
        };
        nearer(budget, self.last.clone())
    }

    fn nearest_of_the_kernel(&mut self) -> Option<Measured> {
        let machine = self
            .machine
            .as_ref()
            .and_then(|files| files.read(&mut self.buffer).ok());
        let mut nearest = machine.and_then(|machine| {
            let total = machine.total_bytes?;
            let used = total.saturating_sub(machine.available_bytes?);
            self.of_the_kernel(MACHINE, "", used, total)
        });
        let levels = self
            .cgroups
            .as_ref()
            .map_or(&[] as &[Level], |cgroups| cgroups.levels());
        for level in levels {
            let Ok(reading) = level.read(&mut self.buffer) else {
                continue;
            };
            let used = reading.working_set_bytes.or(reading.usage_bytes);
            if let (Some(used), Some(limit)) = (used, reading.limit_bytes) {
                let measured = self.of_the_kernel(CGROUP, level.name(), used, limit);
                nearest = nearer(nearest, measured);
            }
        }
        nearest
    }

    /// One of the kernel's limits; `None` where the size that was given is below it, so that it alone counts.
    fn of_the_kernel(
        &self,
        kind: &'static str,
        path: &str,
        used_bytes: u64,
        allowed_bytes: u64,
    ) -> Option<Measured> {
        let limit_bytes = (self.size.share() * allowed_bytes as f64) as u64;
        let counts = match self.size {
            LimitSize::Share(_) => true,
            LimitSize::Bytes(size) => size > limit_bytes,
        };
        counts.then(|| Measured {
            kind,
            path: path.to_owned(),
            used_bytes,
            limit_bytes,
            allowed_bytes,
        })
    }
}

/// The one of which more is used; before that the one at which the kernel is about to strike.
fn nearer(one: Option<Measured>, other: Option<Measured>) -> Option<Measured> {
    let use_of = |measured: &Measured| (measured.pressure() == Pressure::Last, measured.share());
    match (one, other) {
        (Some(one), Some(other)) if use_of(&other) > use_of(&one) => Some(other),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(used_bytes: u64) -> Measured {
        Measured {
            kind: CGROUP,
            path: "/a".to_owned(),
            used_bytes,
            limit_bytes: 900,
            allowed_bytes: 1_000,
        }
    }

    #[test]
    fn pressure_follows_the_share_of_the_limit_and_of_what_is_allowed() {
        for (used, pressure) in [
            (0, Pressure::Calm),
            (719, Pressure::Calm),
            (721, Pressure::Tight),
            (899, Pressure::Tight),
            (900, Pressure::Over),
            (979, Pressure::Over),
            (980, Pressure::Last),
            (2_000, Pressure::Last),
        ] {
            assert_eq!(measured(used).pressure(), pressure, "{used}");
        }
    }

    #[test]
    fn a_job_that_holds_next_to_nothing_has_no_part_in_a_full_machine() {
        assert!(measured(900).is_of_the_job(90));
        assert!(!measured(900).is_of_the_job(89));
        let budget = Measured {
            kind: BUDGET,
            ..measured(900)
        };
        assert!(budget.is_of_the_job(0));
    }

    fn measures(size: LimitSize) -> Measures {
        Measures {
            size,
            machine: None,
            cgroups: None,
            last: None,
            due_us: 0,
            buffer: Vec::new(),
        }
    }

    #[test]
    fn the_kernels_limits_count_by_their_share_and_where_they_are_below_the_size_given() {
        let of = |size| measures(size).of_the_kernel(CGROUP, "/a", 1, 1_000);
        let limit = |size| of(size).map(|measured| measured.limit_bytes);
        assert_eq!(limit(LimitSize::Share(90)), Some(900));
        assert_eq!(limit(LimitSize::Share(50)), Some(500));
        assert_eq!(limit(LimitSize::Bytes(900)), None);
        assert_eq!(limit(LimitSize::Bytes(901)), Some(900));
    }

    #[test]
    fn of_two_limits_the_one_that_is_used_more_counts() {
        let (near, far) = (measured(800), measured(100));
        assert_eq!(
            nearer(Some(near.clone()), Some(far.clone())),
            Some(near.clone())
        );
        assert_eq!(nearer(Some(far), Some(near.clone())), Some(near.clone()));
        assert_eq!(nearer(None, Some(near.clone())), Some(near));
    }

    #[test]
    fn where_the_kernel_is_about_to_strike_counts_before_a_size_that_is_passed_by_more() {
        let budget = Measured {
            kind: BUDGET,
            allowed_bytes: 900,
            ..measured(2_000)
        };
        let nearest = |used| nearer(Some(budget.clone()), Some(measured(used)));
        assert_eq!(nearest(979), Some(budget.clone()));
        assert_eq!(nearest(980), Some(measured(980)));
    }

    #[test]
    fn what_the_job_holds_is_measured_against_the_size_given() {
        let mut measures = measures(LimitSize::Bytes(500));
        let measured = measures.nearest(0, 600).unwrap();
        assert_eq!(
            (measured.kind, measured.pressure()),
            (BUDGET, Pressure::Over)
        );
        assert!(measures.nearest(1, 100).unwrap().pressure() == Pressure::Calm);
    }
}
