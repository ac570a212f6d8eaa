use highwater_analysis::check::{Limits, check};
use highwater_wire::report::{Finding, FindingCause};

use super::*;

/// A limit of some files whose glob is markup, an emphasis and a command at once.
const GLOB: &str = "*<script>*`@org` #1 ::error::*";

/// What is told of a job of which such a file is over its limit, and got worse besides.
fn told(digest: &Digest) -> Vec<Remark> {
    let limits = Limits {
        files: vec![format!("{GLOB}=max-peak:1kB").parse().unwrap()],
        ..Limits::default()
    };
    let mut check = check(&digest.job, &digest.files, "main", &[], &limits);
    let [over] = &check.findings[..] else {
        panic!("{check:?}")
    };
    let worse = Finding {
        cause: FindingCause::Changed,
        limit: None,
        ..over.clone()
    };
    check.findings.push(worse);
    let mut remarks = Vec::new();
    remarks::add_findings(&mut remarks, &digest.job, &check);
    remarks
}

#[test]
fn a_broken_limit_is_told_with_its_files_wherever_findings_are() {
    let path = "tests/<script> `@org` #1 ::error::.py";
    let digest = recorded(path);
    let remarks = told(&digest);
    let [over, worse] = &remarks[..] else {
        panic!("{remarks:?}")
    };
    assert_eq!(over.subject, format!("max-peak of {path}"));
    assert_eq!(worse.subject, format!("peak of {path}"));
    assert_ne!(over.fingerprint, worse.fingerprint);
    assert!(over.sentence.ends_with(&format!("(max-peak of {GLOB}).")));
    for format in Format::ALL {
        let source = Source {
            remarks: remarks.clone(),
            ..Source::new(&digest, None)
        };
        let text = write(format, &source).unwrap();
        // The others tell of no finding, whatever its cause.
        let tells = matches!(
            format,
            Format::Terminal
                | Format::Markdown
                | Format::Json
                | Format::Html
                | Format::Github
                | Format::Gitlab
        );
        assert_eq!(text.contains("max-peak of "), tells, "{format:?}: {text}");
        if matches!(format, Format::Markdown | Format::Junit | Format::Html) {
            assert!(!text.contains("<script>"), "{format:?}: {text}");
        }
    }
    let comment = comment(&digest.job, &remarks, None, None).unwrap();
    assert!(
        comment.contains("max-peak of ") && !comment.contains("<script>"),
        "{comment}"
    );
}
