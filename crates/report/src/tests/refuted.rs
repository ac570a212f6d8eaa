use highwater_analysis::check::{Limits, check};
use highwater_wire::report::{BaselineJob, Remeasured, Severity};

use super::*;

/// What is told of a job of which a file is over a limit, and ran again.
fn told(digest: &Digest, confirms: bool) -> Vec<Remark> {
    let limits = Limits {
        files: vec!["*=max-peak:1kB".parse().unwrap()],
        ..Limits::default()
    };
    let mut check = check(&digest.job, &digest.files, "main", &[], &limits);
    check.findings.truncate(1);
    check.findings[0].again = Some(Remeasured {
        job: digest.job.uuid,
        bytes: 1,
        confirms,
    });
    let mut remarks = Vec::new();
    remarks::add_findings(&mut remarks, &digest.job, &check);
    remarks
}

#[test]
fn a_comment_is_taken_back_with_what_was_refuted() {
    let digest = recorded("tests/<script> `@org` #1.py");
    let confirmed = told(&digest, true);
    assert_eq!(
        (confirmed[0].severity, confirmed[0].is_refuted),
        (Severity::Warning, false)
    );
    assert!(comment(&digest.job, &confirmed, None, None).is_some());
    assert!(!taken_back(&digest.job, &confirmed).contains("Refuted"));
    let refuted = told(&digest, false);
    assert_eq!(
        (refuted[0].severity, refuted[0].is_refuted),
        (Severity::Notice, true)
    );
    assert_eq!(refuted[0].fingerprint, confirmed[0].fingerprint);
    assert_eq!(comment(&digest.job, &refuted, None, None), None);
    let back = taken_back(&digest.job, &refuted);
    assert!(back.starts_with(&marker(&digest.job)), "{back}");
    assert!(
        back.contains("\n\nRefuted by a confirming run:\n\n- tests/"),
        "{back}"
    );
    assert!(!back.contains("<script>"), "{back}");
}

#[test]
fn each_form_for_people_tells_what_the_check_comes_to() {
    let digest = recorded("tests/test_big.py");
    let mut check = check(&digest.job, &digest.files, "main", &[], &Limits::default());
    let told = "There is not enough to compare with: 1 job of main went well";
    for jobs in [0, 1] {
        let job = BaselineJob {
            uuid: Uuid::nil(),
            commit: String::new(),
            ordered_at: String::new(),
        };
        check.baseline.jobs = vec![job; jobs];
        let source = Source::beside(&digest, None, Some(&check));
        for format in [Format::Terminal, Format::Markdown, Format::Html] {
            let text = write(format, &source).unwrap();
            assert_eq!(text.contains(told), jobs > 0, "{format:?}: {text}");
        }
    }
}
