//! What is worth a line: the first warning, and one that is clearly worse.

use highwater_wire::report::{ForecastReport, LimitCrossing};

/// More lines than this nobody reads.
const MOST: u32 = 5;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct News {
    said: Option<LimitCrossing>,
    times: u32,
}

impl News {
    /// Whether to say it: a warning, where there was none of this limit, or where the file lies before all that was held possible.
    pub(super) fn is_news(&mut self, report: &ForecastReport) -> bool {
        let first = report.crossings.first().filter(|_| report.is_warning);
        let Some(crossing) = first.filter(|_| self.times < MOST) else {
            return false;
        };
        let is_worse = |said: &LimitCrossing| {
            let is_other = (said.kind, &said.path) != (crossing.kind, &crossing.path);
            is_other || crossing.file < said.file_low
        };
        if !self.said.as_ref().is_none_or(is_worse) {
            return false;
        }
        self.said = Some(crossing.clone());
        self.times += 1;
        true
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
    fn nobody_is_told_for_ever() {
        let mut news = News::default();
        let said = (0..20).filter(|at| news.is_news(&report(true, 30 - at, 29 - at)));
        assert_eq!(said.count() as u32, MOST);
    }
}
