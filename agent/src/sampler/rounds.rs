//! When PSS and swap are read: rarely, and never for more than their share of a core.
//!
//! Reading PSS holds the address space's lock of a process, so a big one is stalled for milliseconds. All processes are
//! read in one round, since the correction of the tree compares them, and the time between two rounds is at least the cost
//! of the last divided by the share, but for what was saved; so no process either is read more often than its own cost allows. A process alone
//! shares with nobody in the tree: its PSS is not read.

use super::slow::{Cost, Round};
use crate::{budget::Budget, tree::Member};

/// Share of one core that reading PSS and swap may take.
const ROUNDS_SHARE: f64 = 0.000_2;
/// The same where a guard decides by what PSS says is shared: a stop for memory that counts twice would cost more.
const GUARDED_SHARE: f64 = 0.000_5;
/// What was not used of it in so many µs may be used at once: a suite grows most while it starts.
const SAVED_US: i64 = 25_000_000;
/// A tree that grew by this much beyond what it was at the last round has a new maximum worth a round.
const NEW_MAXIMUM: f64 = 1.1;
/// And by at least so many bytes: in a tree that is small there is little to correct.
const NEW_MAXIMUM_BYTES: u64 = 4 << 20;
/// Rounds without any reason are this far apart at least, µs.
const PERIOD_US: i64 = 2_000_000;
/// And so many times as far as the budget asks: what they take of it all the time is little, and those with a reason have room.
const CALM: i64 = 2;
/// A process is this old when its PSS is first read, µs: younger ones are mostly copies about to call exec.
const SETTLED_US: i64 = 300_000;

/// Decides on rounds.
#[derive(Debug)]
pub struct Rounds {
    /// Whether the machine has swap at all.
    pub has_swap: bool,
    budget: Budget,
    asked_us: i64,
    last_cost_us: i64,
    highest: u64,
}

impl Default for Rounds {
    fn default() -> Self {
        Self::of_share(ROUNDS_SHARE)
    }
}

impl Rounds {
    /// Those of a recording with a guard.
    #[must_use]
    pub fn guarded() -> Self {
        Self::of_share(GUARDED_SHARE)
    }

    fn of_share(share: f64) -> Self {
        Self {
            has_swap: false,
            budget: Budget::saving(share, SAVED_US),
            asked_us: 0,
            last_cost_us: 0,
            highest: 0,
        }
    }

    /// Whether a round should begin now, and of what. `sum` is the RSS of all members, bytes.
    pub fn due(&mut self, now_us: i64, sum: u64, members: &[Member], cost: &Cost) -> Option<Round> {
        if let Some(cost_us) = cost.take_finished() {
            self.budget.spend(self.asked_us, cost_us);
            self.last_cost_us = cost_us;
        }
        if cost.is_busy() || !self.budget.allows(now_us) {
            return None;
        }
        let period = PERIOD_US.max(CALM * self.budget.wait_us(self.last_cost_us));
        let is_time = now_us - self.asked_us >= period;
        let round = if members.len() > 1 {
            let newcomer = members
                .iter()
                .any(|member| !member.has_pss && now_us - member.seen_us >= SETTLED_US);
            let maximum = sum as f64 > self.highest as f64 * NEW_MAXIMUM
                && sum - self.highest >= NEW_MAXIMUM_BYTES;
            (is_time || newcomer || maximum).then_some(Round::Pss {
                swap: self.has_swap,
            })
        } else {
            (is_time && self.has_swap && !members.is_empty()).then_some(Round::Swap)
        };
        if round.is_some() {
            self.asked_us = now_us;
            self.highest = self.highest.max(sum);
        }
        round
    }
}

#[cfg(test)]
mod tests;
