//! Of what is told of cutting a job that memory ended.

use highwater_wire::report::{JobReport, LimitKind, LimitUse, Verdict};

use super::*;
use crate::samples;

/// A job that its cgroup of 200 MB ended, in so many workers, with what one file needs for a while, MB.
fn died(workers: u32, needs: i64) -> (JobReport, Facts) {
    const MB: i64 = 1_000_000;
    let mut job = samples::job();
    let ending = job.ending.as_mut().unwrap();
    ending.verdict = Verdict::OomCgroup;
    job.sessions = vec![samples::session(workers)];
    job.peak_bytes = 190_000_000;
    job.limits = vec![LimitUse {
        kind: LimitKind::Cgroup,
        path: "/a".to_owned(),
        limit_bytes: 200_000_000,
        worst_used_bytes: 190_000_000,
    }];
    let facts = Facts {
        base_bytes: 50 * MB,
        controller_bytes: 10 * MB,
        imported_bytes: 20 * MB,
        files: vec![file("light", MB, MB, 1), file("heavy", needs * MB, MB, 1)],
        ..Facts::default()
    };
    (job, facts)
}

#[test]
fn the_command_of_a_hint_is_a_plan_that_is_found_and_else_it_says_what_is_needed() {
    for (workers, needs, budget) in [
        (0, 110, Some("170MB")),
        // No file needs 85 %, and the one that needs most has room.
        (0, 130, Some("180MB")),
        (0, 150, Some("200MB")),
        (0, 151, None),
        (2, 50, Some("170MB --workers 2")),
        (2, 90, Some("200MB --workers 2")),
        // Beside another worker it has none.
        (2, 91, Some("170MB")),
        (2, 151, None),
    ] {
        let (job, facts) = died(workers, needs);
        let hint = hint(&job, &facts, None).unwrap();
        let Some(budget) = budget else {
            let why = hint.why_not().unwrap();
            assert_eq!(
                why,
                "No cut of the suite fits into the limit of the cgroup, 190.7 MiB: heavy alone brings a job to 191.7 MiB, which stands at 47.7 MiB before its first file. It needs a runner that has 225.6 MiB for it, that file less memory, or each job less before its first file (fixtures in a narrower scope, imports where they are needed)."
            );
            let refused = report(&job, &facts, &Asked::default()).unwrap_err();
            let refused = refused.to_string();
            assert!(
                refused.starts_with("no plan fits into the limit of the cgroup, 190.7 MiB: a job stands at 47.7 MiB before its first file (among it 19.1 MiB for the imports of all test files")
                    && refused.contains("heavy alone brings it to 191.7 MiB")
                    && refused.contains("; it needs a runner that has 225.6 MiB for it, that file less memory, or each job less"),
                "{refused}"
            );
            continue;
        };
        let command = format!("highwater plan --budget {budget} {}", job.uuid);
        assert_eq!(hint.command(), Some(command.as_str()), "{workers} {needs}");
        let mut words = budget.split("MB");
        let asked = Asked {
            budget_bytes: words
                .next()
                .and_then(|megabytes| Some(megabytes.parse::<i64>().ok()? * 1_000_000)),
            workers: words
                .next()
                .filter(|words| !words.is_empty())
                .map(|_| workers),
            ..Asked::default()
        };
        let named = report(&job, &facts, &asked).unwrap();
        assert_eq!((named.limit, notes::of_budget(&named)), (None, None));
        // The same is found where no budget is named, and it is said what it was taken of.
        let taken = report(
            &job,
            &facts,
            &Asked {
                budget_bytes: None,
                ..asked
            },
        )
        .unwrap();
        assert_eq!(
            (taken.id, Some(taken.budget_bytes)),
            (named.id, asked.budget_bytes)
        );
        let of = match budget {
            "170MB" | "170MB --workers 2" => "85 % of the limit of the cgroup, 190.7 MiB",
            "180MB" => {
                "90 % of the limit of the cgroup, 190.7 MiB, which the file that needs most takes"
            }
            _ => {
                "100 % of the limit of the cgroup, 190.7 MiB, which the file that needs most takes"
            }
        };
        assert_eq!(notes::of_budget(&taken).as_deref(), Some(of));
    }
    let (mut job, facts) = died(0, 110);
    // 40 MB are others', whatever runs.
    job.peak_bytes = 150_000_000;
    let taken = report(&job, &facts, &Asked::default()).unwrap();
    let of = "100 % of the 152.6 MiB that others leave of the limit of the cgroup, 190.7 MiB, which the file that needs most takes";
    assert_eq!(notes::of_budget(&taken).as_deref(), Some(of));
    job.limits.clear();
    assert_eq!(hint(&job, &facts, None), None);
    assert_eq!(
        report(&job, &facts, &Asked::default()),
        Err(Refusal::NoLimit)
    );
}
