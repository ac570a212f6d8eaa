//! What is worth a line: the first warning, one that is clearly worse, and that none holds any longer.

use highwater_analysis::forecast::LIKELY;
use highwater_wire::report::{ForecastReport, LimitCrossing};

/// More lines than this nobody reads.
const MOST: u32 = 5;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The last of each limit.
    said: Vec<LimitCrossing>,
    times: u32,
}

impl News {
    /// Whether to say it: a warning, where there was none of this limit, or where the file lies before all that was held possible when there was.
    pub(super) fn is_news(&mut self, report: &ForecastReport) -> bool {
        let first = report.crossings.first().filter(|_| report.is_warning);
        let Some(crossing) = first.filter(|_| self.times < MOST) else {
            return false;
        };
        let is_same =
            |said: &&mut LimitCrossing| (said.kind, &said.path) == (crossing.kind, &crossing.path);
        match self.said.iter_mut().find(is_same) {
            Some(said) if crossing.file < said.file_low => *said = crossing.clone(),
            Some(_) => return false,
            None => self.said.push(crossing.clone()),
        }
        self.times += 1;
        true
    }

    /// Whether to take back what was said: where each limit of which it was said now likely holds. One that was crossed is told of no more.
    pub(super) fn is_taken_back(&mut self, report: &ForecastReport) -> bool {
        let likely_holds = |said: &LimitCrossing| {
            let is_same = |it: &&LimitCrossing| (it.kind, &it.path) == (said.kind, &said.path);
            let now = report.crossings.iter().find(is_same);
            now.is_some_and(|it| it.percent < LIKELY)
        };
        let is_taken_back = !self.said.is_empty() && self.said.iter().all(likely_holds);
        if is_taken_back {
            self.said.clear();
        }
        is_taken_back
    }
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::{LimitKind, Span};

    use super::*;

    fn report(is_warning: bool, low: u64, file: u64) -> ForecastReport {
        let peak_bytes = Span {
            value: 9,
            low: 8,
            high: 10,
        };
        ForecastReport {
            session: 1,
            sentence: String::new(),
            files_done: 5,
            files: 40,
            files_known: 0,
            elsewhere: None,
            is_warning,
            peak_bytes,
            crossings: vec![LimitCrossing {
                kind: LimitKind::Cgroup,
                path: "/a".to_owned(),
                limit_bytes: 7,
                percent: if is_warning { 90 } else { 20 },
                file: Some(file),
                file_low: Some(low),
                file_high: Some(40),
                test_file: String::new(),
            }],
        }
    }

    #[test]
    fn it_is_said_once_and_again_when_it_is_clearly_worse() {
        let mut news = News::default();
        let said = [
            report(false, 20, 30),
            report(true, 20, 30),
            report(true, 18, 25),
            report(true, 12, 19),
            report(true, 12, 19),
        ];
        let said = said.map(|report| news.is_news(&report));
        assert_eq!(said, [false, true, false, true, false]);
    }

    #[test]
    fn two_limits_in_turn_are_said_once_each() {
        let mut news = News::default();
        let said = (0..6).map(|at| {
            let mut report = report(true, 20, 30);
            if at % 2 == 1 {
                report.crossings[0].kind = LimitKind::Machine;
            }
            news.is_news(&report)
        });
        let said: Vec<bool> = said.collect();
        assert_eq!(said, [true, true, false, false, false, false]);
    }

    #[test]
    fn a_warning_that_no_longer_holds_is_taken_back_once() {
        let mut news = News::default();
        assert!(!news.is_taken_back(&report(false, 20, 30)), "none was said");
        assert!(news.is_news(&report(true, 20, 30)));
        let mut less_sure = report(false, 20, 30);
        less_sure.crossings[0].percent = LIKELY;
        assert!(!news.is_taken_back(&less_sure));
        let mut crossed = report(false, 20, 30);
        crossed.crossings.clear();
        assert!(!news.is_taken_back(&crossed));
        assert!(news.is_taken_back(&report(false, 20, 30)));
        assert!(!news.is_taken_back(&report(false, 20, 30)));
        assert!(news.is_news(&report(true, 20, 30)), "it may come again");
    }

    #[test]
    fn nobody_is_told_for_ever() {
        let mut news = News::default();
        let said = (0..20).filter(|at| news.is_news(&report(true, 30 - at, 29 - at)));
        assert_eq!(said.count() as u32, MOST);
    }
}
