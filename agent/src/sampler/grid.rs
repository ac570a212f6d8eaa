//! The absolute grid of ticks: multiples of the interval since the job's start.

/// One second, µs.
const SECOND_US: i64 = 1_000_000;

/// Says when the next tick is due. A tick that was missed is skipped, never made up for, so ticks do not bunch.
#[derive(Debug, Clone)]
pub struct Grid {
    interval_us: i64,
    next: i64,
    second: Option<i64>,
}

/// One tick that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// How late against the grid, µs.
    pub lateness_us: u64,
    /// Ticks before it that were missed.
    pub missed: u64,
    /// Whether it is the first of its second.
    pub new_second: bool,
}

impl Grid {
    /// A grid of an interval, µs, whose first tick is due at once.
    #[must_use]
    pub fn new(interval_us: u64) -> Self {
        Self {
            interval_us: interval_us.cast_signed().max(1),
            next: 0,
            second: None,
        }
    }

    /// When the next tick is due, µs since the job's start.
    #[must_use]
    pub fn due_us(&self) -> i64 {
        self.next.saturating_mul(self.interval_us)
    }

    /// Takes the tick that is due: the latest one on the grid that is not after now.
    pub fn take(&mut self, now_us: i64) -> Turn {
        let tick = now_us.div_euclid(self.interval_us).max(self.next);
        let second = now_us.div_euclid(SECOND_US);
        // The grid begins with the job, but the first tick is taken once the command runs: nothing was missed before it.
        let missed = if self.second.is_none() {
            0
        } else {
            tick - self.next
        };
        let new_second = self.second.replace(second) != Some(second);
        self.next = tick + 1;
        Turn {
            lateness_us: now_us
                .saturating_sub(tick.saturating_mul(self.interval_us))
                .max(0)
                .cast_unsigned(),
            missed: missed.cast_unsigned(),
            new_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stay_on_the_grid_whenever_they_are_taken() {
        let mut grid = Grid::new(50_000);
        assert_eq!(grid.due_us(), 0);
        let first = grid.take(7_300);
        assert_eq!(
            (first.lateness_us, first.missed, first.new_second),
            (7_300, 0, true)
        );
        assert_eq!(grid.due_us(), 50_000);
        let second = grid.take(50_090);
        assert_eq!(
            (second.lateness_us, second.missed, second.new_second),
            (90, 0, false)
        );
        assert_eq!(grid.due_us(), 100_000);
    }

    #[test]
    fn missed_ticks_are_skipped_and_counted() {
        let mut grid = Grid::new(50_000);
        grid.take(0);
        let late = grid.take(1_234_567);
        assert_eq!(
            (late.lateness_us, late.missed, late.new_second),
            (34_567, 23, true)
        );
        assert_eq!(grid.due_us(), 1_250_000);
    }

    #[test]
    fn a_start_after_the_jobs_own_misses_nothing() {
        let mut grid = Grid::new(50_000);
        assert_eq!(grid.take(420_001).missed, 0);
        assert_eq!(grid.due_us(), 450_000);
    }
}
