//! What the guard does next: a pure decision on what was measured.
//!
//! To warn is said once for each time the limit is passed. To stop begins with SIGINT, on which pytest writes its reports and ends
//! with 2. One that does not answer is asked again, then told to end, and killed only where the kernel is about to do the same.

use signal_hook::consts::{SIGINT, SIGKILL, SIGTERM};

use super::OnLimit;

/// The signals of a stop, one after another while memory stays above the limit.
const RUNGS: [i32; 4] = [SIGINT, SIGINT, SIGTERM, SIGKILL];
/// Where nobody is there to be told, it is looked again after so long, µs.
const LOOK_AGAIN_US: i64 = 1_000_000;

/// How near the limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Below 80 % of the limit.
    Calm,
    /// Above that.
    Tight,
    /// At the limit or above it.
    Over,
    /// The kernel will strike at any moment.
    Last,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Warn,
    Signal(i32),
}

/// Where the guard stands.
#[derive(Debug)]
pub(super) struct Ladder {
    on_limit: OnLimit,
    /// Whether passing the limit is news.
    is_news: bool,
    rung: usize,
    /// When somebody was told last who is still there.
    told_us: Option<i64>,
    not_before_us: i64,
}

/// What the next step follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) now_us: i64,
    pub(super) pressure: Pressure,
    /// Everybody who was told to stop has ended, or nobody was told.
    pub(super) are_gone: bool,
    /// How long those who were told have, µs.
    pub(super) grace_us: i64,
}

impl Ladder {
    pub(super) fn new(on_limit: OnLimit) -> Self {
        Self {
            on_limit,
            is_news: true,
            rung: 0,
            told_us: None,
            not_before_us: i64::MIN,
        }
    }

    /// The next step.
    pub(super) fn next(&mut self, look: Look) -> Option<Step> {
        if look.are_gone {
            // What comes after them has done nothing yet, and is asked from the first rung on.
            self.told_us = None;
            self.rung = 0;
        }
        match look.pressure {
            Pressure::Calm => {
                self.is_news = true;
                // Who still runs has given way: should it come here again, it is asked from the first rung on, but not too soon.
                self.rung = 0;
                None
            }
            Pressure::Tight => None,
            Pressure::Over | Pressure::Last => self.over(look),
        }
    }

    fn over(&mut self, look: Look) -> Option<Step> {
        if self.on_limit == OnLimit::Warn {
            return std::mem::take(&mut self.is_news).then_some(Step::Warn);
        }
        let signal = *RUNGS.get(self.rung)?;
        let had_its_time = self
            .told_us
            .is_none_or(|told_us| look.now_us >= told_us + look.grace_us);
        let is_allowed = signal != SIGKILL || look.pressure == Pressure::Last;
        (had_its_time && look.now_us >= self.not_before_us && is_allowed)
            .then_some(Step::Signal(signal))
    }

    /// Nobody can be asked to stop: what they are told instead.
    pub(super) fn pass_over_asking(&mut self) -> i32 {
        self.rung = RUNGS.iter().take_while(|it| **it == SIGINT).count();
        RUNGS[self.rung]
    }

    /// Somebody was told.
    pub(super) fn told(&mut self, now_us: i64) {
        self.rung += 1;
        self.told_us = Some(now_us);
    }

    /// There was nobody to tell. Answers whether that is news.
    pub(super) fn nobody(&mut self, now_us: i64) -> bool {
        self.not_before_us = now_us + LOOK_AGAIN_US;
        std::mem::take(&mut self.is_news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(now_us: i64, pressure: Pressure, are_gone: bool) -> Look {
        Look {
            now_us,
            pressure,
            are_gone,
            grace_us: 10,
        }
    }

    /// Goes through a story of pressures, each lasting a tick of 1; answers what was done when. Nobody told ever ends.
    fn steps(on_limit: OnLimit, story: &[(Pressure, i64)]) -> Vec<(i64, Step)> {
        let mut ladder = Ladder::new(on_limit);
        let (mut now, mut done) = (0, Vec::new());
        for (pressure, ticks) in story {
            for _ in 0..*ticks {
                now += 1;
                if let Some(step) = ladder.next(look(now, *pressure, false)) {
                    done.push((now, step));
                    if let Step::Signal(_) = step {
                        ladder.told(now);
                    }
                }
            }
        }
        done
    }

    #[test]
    fn a_warning_is_said_once_for_each_time_the_limit_is_passed() {
        use Pressure::{Calm, Last, Over, Tight};
        let story = [
            (Tight, 3),
            (Over, 5),
            (Tight, 3),
            (Last, 5),
            (Calm, 1),
            (Over, 5),
        ];
        assert_eq!(
            steps(OnLimit::Warn, &story),
            [(4, Step::Warn), (18, Step::Warn)]
        );
    }

    #[test]
    fn who_does_not_answer_is_asked_again_then_told_to_end_and_killed_only_at_the_last() {
        use Pressure::{Last, Over};
        let expected = [
            (1, Step::Signal(SIGINT)),
            (11, Step::Signal(SIGINT)),
            (21, Step::Signal(SIGTERM)),
        ];
        assert_eq!(steps(OnLimit::Stop, &[(Over, 100)]), expected);
        let to_the_last = steps(OnLimit::Stop, &[(Over, 40), (Last, 100)]);
        assert_eq!(to_the_last[..3], expected);
        assert_eq!(to_the_last[3..], [(41, Step::Signal(SIGKILL))]);
    }

    #[test]
    fn who_gave_way_is_not_pressed_further() {
        use Pressure::{Calm, Over, Tight};
        let story = [(Over, 5), (Tight, 100)];
        assert_eq!(steps(OnLimit::Stop, &story), [(1, Step::Signal(SIGINT))]);
        // Where it rises again, it is asked as if for the first time, and not before its grace is over.
        let story = [(Over, 2), (Calm, 2), (Over, 15)];
        assert_eq!(
            steps(OnLimit::Stop, &story),
            [(1, Step::Signal(SIGINT)), (11, Step::Signal(SIGINT))]
        );
    }

    #[test]
    fn what_runs_after_those_who_ended_is_asked_at_once() {
        let mut ladder = Ladder::new(OnLimit::Stop);
        assert_eq!(
            ladder.next(look(1, Pressure::Over, true)),
            Some(Step::Signal(SIGINT))
        );
        ladder.told(1);
        assert_eq!(ladder.next(look(2, Pressure::Over, false)), None);
        assert_eq!(
            ladder.next(look(3, Pressure::Over, true)),
            Some(Step::Signal(SIGINT))
        );
    }

    #[test]
    fn that_nobody_is_there_to_be_told_is_said_once() {
        let mut ladder = Ladder::new(OnLimit::Stop);
        assert!(ladder.next(look(1, Pressure::Over, true)).is_some());
        assert!(ladder.nobody(1));
        assert_eq!(ladder.next(look(2, Pressure::Over, true)), None);
        let later = 1 + LOOK_AGAIN_US;
        assert!(ladder.next(look(later, Pressure::Over, true)).is_some());
        assert!(!ladder.nobody(later));
    }
}
