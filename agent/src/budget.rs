//! Work whose cost is only known afterwards, held to a share of one core.

/// Lets work begin when what it cost so far, spread over time, stays within its share.
#[derive(Debug, Clone)]
pub struct Budget {
    share: f64,
    saved_us: i64,
    free_at_us: i64,
}

impl Budget {
    /// A share of one core, as 0.001 for a tenth of a percent, of which what was not used in the last `saved_us` may be used at once.
    #[must_use]
    pub fn saving(share: f64, saved_us: i64) -> Self {
        Self {
            share,
            saved_us,
            free_at_us: i64::MIN,
        }
    }

    /// Whether work may begin now.
    #[must_use]
    pub fn allows(&self, now_us: i64) -> bool {
        now_us >= self.free_at_us
    }

    /// How much CPU time may be used now, µs; less than nothing where too much was used already.
    #[must_use]
    pub fn room_us(&self, now_us: i64) -> i64 {
        let from = self.free_at_us.max(now_us.saturating_sub(self.saved_us));
        (now_us.saturating_sub(from) as f64 * self.share) as i64
    }

    /// Books work that began at `now_us` and took `cost_us` of CPU time: the next may begin after `cost / share`,
    /// sooner where something was saved.
    pub fn spend(&mut self, now_us: i64, cost_us: i64) {
        let from = self.free_at_us.max(now_us.saturating_sub(self.saved_us));
        self.free_at_us = from.saturating_add(self.wait_us(cost_us));
    }

    /// How long work of that cost must be apart to keep within the share, µs.
    #[must_use]
    pub fn wait_us(&self, cost_us: i64) -> i64 {
        (cost_us.max(1) as f64 / self.share) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_spread_over_time() {
        let mut budget = Budget::saving(0.001, 0);
        assert!(budget.allows(0));
        budget.spend(0, 13_000);
        assert!(!budget.allows(12_999_999));
        assert!(budget.allows(13_000_000));
    }

    #[test]
    fn what_was_saved_is_spent_at_once_and_no_more() {
        let mut budget = Budget::saving(0.001, 10_000_000);
        let mut rounds = 0;
        while budget.allows(60_000_000) {
            budget.spend(60_000_000, 1_000);
            rounds += 1;
        }
        assert_eq!(rounds, 11);
        assert!(budget.allows(61_000_000));
    }

    #[test]
    fn the_room_is_what_was_saved_less_what_was_spent() {
        let mut budget = Budget::saving(0.001, 10_000_000);
        assert_eq!(budget.room_us(60_000_000), 10_000);
        budget.spend(60_000_000, 4_000);
        assert_eq!(budget.room_us(60_000_000), 6_000);
        budget.spend(60_000_000, 8_000);
        assert_eq!(budget.room_us(60_000_000), -2_000);
        assert_eq!(budget.room_us(62_000_000), 0);
    }

    #[test]
    fn what_is_spent_over_a_long_time_is_the_share() {
        let mut budget = Budget::saving(0.001, 0);
        let mut spent = 0;
        for now_us in (0..1_000_000_000).step_by(50_000) {
            if budget.allows(now_us) {
                let cost = 10 + now_us % 7_000;
                budget.spend(now_us, cost);
                spent += cost;
            }
        }
        let share = spent as f64 / 1e9;
        assert!((0.000_9..=0.001_01).contains(&share), "{share}");
    }
}
