//! What to do about a job: one rule for every form, page and answer, so that none says that nothing is to be done above something that is.

use highwater_wire::report::{
    CheckFigure, Ending, Finding, FindingCause, JobReport, JobState, LimitKind, LimitUse, Verdict,
};

use crate::{figures::count, plan};

/// What is to be done about a job of which nothing is to be told.
pub const NOTHING: &str = "Nothing to do.";
/// Less left below a limit than this part of what the job used and what was left is little.
const LEAST_HEADROOM_PART: i64 = 10;

const MAKE_ROOM: &str = "Make room before the suite grows into its limit: look at the files and fixtures that retained the most, cut it into jobs that fit, or raise the limit.";
const FOLLOW_ADVICE: &str = "Follow the advice on why memory stays.";
const STILL_TIME: &str = "Expect it to be ended for memory: stop it in time and cut it into jobs that fit, or raise the limit.";

/// What to do about a job, whose ending asks for something of its own. Of one that died that is all that counts; else what its limits and its growth do and
/// what a diagnosis advises comes behind.
#[must_use]
pub fn of_ending(job: &JobReport, ending: &Ending) -> String {
    if ending.verdict.is_early() {
        return ending.next_step.clone();
    }
    let tightest = LimitUse::tightest(&job.limits);
    let is_over_budget =
        tightest.is_some_and(|it| it.kind == LimitKind::Budget && it.left_bytes() < 0);
    // Of a budget that was passed the ending speaks by itself, and there is no room left to make.
    let ran = matches!(ending.verdict, Verdict::Passed | Verdict::TestsFailed);
    let lacks_room =
        ran && !is_over_budget && (job_is_tight(job) || job.growth.iter().any(plan::grows_near));
    let is_advised = job.diagnosis.iter().any(|it| !it.advice.is_empty());
    let parts = [
        Some(ending.next_step.as_str()).filter(|own| *own != NOTHING),
        lacks_room.then_some(MAKE_ROOM),
        is_advised.then_some(FOLLOW_ADVICE),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => NOTHING.to_owned(),
        false => parts.join(" "),
    }
}

/// What to do next, with what a check found of the job in front; `None` of a job that still runs and that nothing threatens, or of whose end nothing is known.
#[must_use]
pub fn of(job: &JobReport, findings: &[Finding]) -> Option<String> {
    let Some(ending) = &job.ending else {
        let warns = job.forecast.as_ref().is_some_and(|it| it.is_warning);
        let is_threatened = warns && job.state == JobState::Running;
        return is_threatened.then(|| STILL_TIME.to_owned());
    };
    let own = ending.next_step.as_str();
    Some(
        match found(findings).filter(|_| !ending.verdict.is_early()) {
            None => own.to_owned(),
            Some(found) if own == NOTHING => found,
            Some(found) => format!("{found} {own}"),
        },
    )
}

fn found(findings: &[Finding]) -> Option<String> {
    let mut failing = findings.iter().filter(|it| it.fails());
    let first = failing.next()?;
    let what = match (first.figure, &first.path) {
        (CheckFigure::Retained, Some(path)) => format!("what {path} retains"),
        (CheckFigure::Spike, Some(path)) => format!("what {path} needs for a while"),
        (figure, Some(path)) => format!("the {} of {path}", figure.as_str()),
        (CheckFigure::Imports, None) => "what the test files import".to_owned(),
        (figure, None) => format!("the {} of the job", figure.as_str()),
    };
    let how = match first.cause {
        FindingCause::Limit => "is beyond its limit",
        _ => "got worse",
    };
    let more = match failing.count() {
        0 => String::new(),
        more => format!(", and at {}", count(more, "more finding")),
    };
    Some(format!("Look at {what}, which {how}{more}."))
}

/// Whether little is left below the tightest limit of a job, both in bytes: less than a small part of what the job may take, which is what it took and what was
/// left. What others take of the limit counts on neither side, so that a large machine that others fill is no want of a small job.
#[must_use]
pub fn is_tight(peak_bytes: i64, headroom_bytes: Option<i64>) -> bool {
    headroom_bytes.is_some_and(|left| left < peak_bytes.saturating_add(left) / LEAST_HEADROOM_PART)
}

/// The same of a whole report.
#[must_use]
pub fn job_is_tight(job: &JobReport) -> bool {
    let left = LimitUse::tightest(&job.limits).map(LimitUse::left_bytes);
    is_tight(job.peak_bytes.cast_signed(), left)
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::{
        Advice, Confidence, Course, Diagnosis, ForecastReport, GrowthReport, Room, Span, Why,
    };

    use super::*;
    use crate::samples;

    fn ended(verdict: Verdict, own: &str) -> JobReport {
        JobReport {
            ending: Some(Ending {
                verdict,
                confidence: Confidence::Certain,
                sentence: String::new(),
                evidence: Vec::new(),
                culprits: Vec::new(),
                victim: None,
                next_step: own.to_owned(),
            }),
            ..samples::job()
        }
    }

    fn used(job: JobReport, kind: LimitKind, used: u64) -> JobReport {
        let limit = LimitUse {
            kind,
            path: String::new(),
            limit_bytes: 100,
            worst_used_bytes: used,
        };
        JobReport {
            limits: vec![limit],
            peak_bytes: used,
            ..job
        }
    }

    #[test]
    fn what_others_take_of_a_limit_makes_nothing_tight() {
        for (peak, left, expected) in [
            (91, Some(9), true),
            (90, Some(10), false),
            (1, Some(9), false),
            (50, Some(-1), true),
            (1, Some(-50), true),
            (50, None, false),
            (i64::MAX, Some(1), true),
        ] {
            assert_eq!(is_tight(peak, left), expected, "{peak} {left:?}");
        }
    }

    /// What is to be done about a job as a digest leaves it.
    fn step(job: &JobReport, findings: &[Finding]) -> String {
        let mut job = job.clone();
        let ending = job.ending.clone().unwrap();
        job.ending = Some(Ending {
            next_step: of_ending(&job, &ending),
            ..ending
        });
        of(&job, findings).unwrap()
    }

    fn finding(cause: FindingCause) -> Finding {
        Finding {
            figure: CheckFigure::Retained,
            path: Some("a.py".to_owned()),
            cause,
            limit: None,
            sentence: "a.py retains more.".to_owned(),
            bytes: 2,
            before_bytes: Some(1),
            least_bytes: 1,
            noise_bytes: None,
            since: None,
            tests: None,
            acknowledged: None,
            again: None,
            fixtures: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_to_be_done_only_where_nothing_is_told() {
        let calm = used(ended(Verdict::Passed, NOTHING), LimitKind::Cgroup, 50);
        assert_eq!(step(&calm, &[]), NOTHING);
        for cause in [FindingCause::ChangedBefore, FindingCause::NearLimit] {
            assert_eq!(step(&calm, &[finding(cause)]), NOTHING);
        }
        let one = [finding(FindingCause::Limit)];
        assert_eq!(
            step(&calm, &one),
            "Look at what a.py retains, which is beyond its limit."
        );
        let three = [FindingCause::Changed; 3].map(finding);
        assert!(step(&calm, &three).ends_with(" which got worse, and at 2 more findings."));
        let tight = used(calm, LimitKind::Cgroup, 91);
        assert_eq!(step(&tight, &[]), MAKE_ROOM);
        let both = step(&tight, &one);
        assert!(
            both.starts_with("Look at what a.py retains") && both.ends_with(MAKE_ROOM),
            "{both}"
        );
    }

    #[test]
    fn what_the_ending_asks_for_stays_between_what_was_found_and_what_else_is_told() {
        let failed = ended(Verdict::TestsFailed, "Look at the failed tests.");
        let one = [finding(FindingCause::Changed)];
        assert_eq!(
            step(&failed, &one),
            "Look at what a.py retains, which got worse. Look at the failed tests."
        );
        let tight = used(failed, LimitKind::Machine, 95);
        let told = format!("Look at the failed tests. {MAKE_ROOM}");
        assert_eq!(step(&tight, &[]), told);
        let found = "Look at what a.py retains, which got worse.";
        assert_eq!(step(&tight, &one), format!("{found} {told}"));
        // A diagnosis advises too.
        let mut diagnosed = ended(Verdict::Passed, NOTHING);
        diagnosed.diagnosis = Some(Diagnosis {
            advice: vec![Advice {
                why: Why::Garbage,
                bytes: 1,
                sentence: String::new(),
            }],
            ..Diagnosis::default()
        });
        assert_eq!(step(&diagnosed, &[]), FOLLOW_ADVICE);
        let over = used(
            ended(Verdict::Passed, "Raise the budget."),
            LimitKind::Budget,
            101,
        );
        let span = Span {
            value: -1,
            low: -1,
            high: -1,
        };
        let growing = JobReport {
            growth: vec![GrowthReport {
                session: 1,
                course: Course::Steady,
                sentence: String::new(),
                files: 9,
                grown_bytes: 9,
                per_file_bytes: span,
                per_minute_bytes: span,
                steps: Vec::new(),
                room: Some(Room {
                    kind: LimitKind::Budget,
                    bytes: -1,
                    files: span,
                    duration_us: span,
                }),
            }],
            ..over.clone()
        };
        for over in [over, growing] {
            assert_eq!(step(&over, &[]), "Raise the budget.");
        }
        let died = used(ended(Verdict::OomCgroup, "Cut it."), LimitKind::Cgroup, 100);
        assert_eq!(step(&died, &one), "Cut it.");
    }

    #[test]
    fn a_job_that_runs_has_a_next_step_where_a_limit_will_be_crossed() {
        let bytes = Span {
            value: 1,
            low: 1,
            high: 1,
        };
        let forecast = |is_warning| ForecastReport {
            session: 1,
            sentence: String::new(),
            files_done: 1,
            files: 2,
            files_known: 0,
            elsewhere: None,
            is_warning,
            peak_bytes: bytes,
            crossings: Vec::new(),
        };
        let running = |is_warning| JobReport {
            state: JobState::Running,
            ending: None,
            forecast: Some(forecast(is_warning)),
            ..samples::job()
        };
        assert_eq!(of(&running(false), &[]), None);
        assert_eq!(of(&running(true), &[]).as_deref(), Some(STILL_TIME));
    }
}
