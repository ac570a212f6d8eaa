//! One job that died, with names that try everything, in each form.

use highwater_analysis::{
    digest::{Context, Digest, digest},
    recording::Recording,
};
use highwater_wire::{
    report::{
        Confidence, Course, Culprit, Ending, Evidence, GrowthReport, JobState, RemarkKind,
        ReportDocument, Room, Severity, Span, Verdict,
    },
    v1::{self, mark::What},
};
use uuid::Uuid;

use super::*;

mod broken_limits;
mod forecast_and_diagnosis;
mod refuted;

const MB: u64 = 1_000_000;
/// A path that is markup, a command, the end of a comment and several lines at once.
pub(crate) const HOSTILE: &str = "tests/--><script>alert(1)</script>|`a` @org #1 ::error::x,y:z]]>\"'&\\\n::error ::forged\r# head\u{202e}.py";

fn mark(ms: i64, rss_mb: u64, what: What) -> v1::Mark {
    v1::Mark {
        process: 0,
        t_us: ms * 1_000,
        rss_bytes: rss_mb * MB,
        peak_bytes: Some(rss_mb * MB),
        what: Some(what),
    }
}

fn begin(path: &str) -> What {
    What::TestBegin(v1::TestBegin {
        execution: 1,
        path: path.to_owned(),
        nodeid: format!("{path}::test_one"),
        ..v1::TestBegin::default()
    })
}

/// A job of two files, one of them with a name of one's own, under a budget of 500 MB.
pub(crate) fn recorded(path: &str) -> Digest {
    let ended = || {
        What::TestEnd(v1::TestEnd {
            outcome: "passed".to_owned(),
            ..v1::TestEnd::default()
        })
    };
    let batch = v1::Batch {
        version: 1,
        to_us: 3_000_000,
        processes: vec![v1::Process {
            pid: 7,
            role: Some(v1::Role::Pytest.into()),
            session: "s".to_owned(),
            exact: Some(true),
            ..v1::Process::default()
        }],
        sessions: vec![v1::Session {
            id: "s".to_owned(),
            ..v1::Session::default()
        }],
        samples: vec![v1::Samples {
            t_us_delta: vec![0, 1_000_000, 1_000_000],
            series: vec![v1::Series {
                metric: v1::Metric::Rss.into(),
                process: Some(0),
                value_delta: vec![40_000_000, 60_000_000, 80_000_000],
                ..v1::Series::default()
            }],
            ..v1::Samples::default()
        }],
        marks: vec![
            mark(0, 40, What::SessionBegin(v1::Empty {})),
            mark(10, 40, begin("tests/test_calm.py")),
            mark(1_000, 100, ended()),
            mark(1_001, 100, begin(path)),
            mark(2_900, 180, ended()),
            mark(
                2_950,
                180,
                What::SessionEnd(v1::SessionEnd { exit_status: 0 }),
            ),
        ],
        ..v1::Batch::default()
    };
    let mut recording = Recording::new(v1::Job {
        project: "owner/repo".to_owned(),
        name: "unit".to_owned(),
        budget_bytes: 500 * MB,
        ..v1::Job::default()
    });
    recording.add(Uuid::nil(), 0, &batch);
    recording.set_end(v1::End {
        ended_us: 3_000_000,
        exit_code: Some(0),
        ..v1::End::default()
    });
    let context = Context {
        uuid: Uuid::nil(),
        state: JobState::Finished,
        revision: 1,
        clock_skew_us: None,
    };
    digest(&recording, &context)
}

/// The same job, had the kernel ended it.
pub(crate) fn died(path: &str) -> Digest {
    let mut digest = recorded(path);
    digest.job.ending = Some(Ending {
        verdict: Verdict::OomCgroup,
        confidence: Confidence::Certain,
        sentence: format!("The kernel ended {path}"),
        evidence: vec![Evidence {
            at_us: Some(1),
            sentence: format!("killed {path}"),
        }],
        culprits: ["file", "fixture", "other"]
            .map(|kind| Culprit {
                kind: kind.to_owned(),
                name: match kind {
                    "file" => path.to_owned(),
                    "fixture" => format!("db ({path})"),
                    _ => format!("{path} (process 12)"),
                },
                bytes: 5 << 20,
            })
            .into(),
        victim: Some(format!("{path}::test_one")),
        next_step: "Cut it".to_owned(),
    });
    digest.job.name = path.to_owned();
    digest.job.branch = path.to_owned();
    digest
}

fn written(format: Format, digest: &Digest) -> String {
    let source = Source {
        curves: vec![Curve::of_tree(&digest.tree)],
        ..Source::new(digest, Some("https://hw.example/jobs/x?\"><script>"))
    };
    write(format, &source).unwrap()
}

#[test]
fn a_file_that_gave_back_what_it_took_is_exposed_all_the_same() {
    let mut digest = recorded("tests/test_b.py");
    let [file, ..] = &mut digest.files[..] else {
        panic!("{:?}", digest.files)
    };
    (file.retained_bytes, file.spike_bytes) = (0, 300 << 20);
    let text = written(Format::Prometheus, &digest);
    let is_there = |gauge: &str, bytes: i64| {
        let line = |it: &str| {
            it.starts_with(&format!("highwater_file_{gauge}_bytes{{"))
                && it.contains("test_calm.py")
                && it.ends_with(&format!(" {bytes}"))
        };
        text.lines().any(line)
    };
    assert!(
        is_there("spike", 300 << 20) && is_there("retained", 0),
        "{text}"
    );
}

#[test]
fn prometheus_tells_a_file_with_and_without_its_children() {
    let mut digest = recorded("tests/test_b.py");
    let [file, ..] = &mut digest.files[..] else {
        panic!("{:?}", digest.files)
    };
    (file.retained_bytes, file.children_retained_bytes) = (7, 30 << 20);
    (file.spike_bytes, file.tree_spike_bytes) = (8, 40 << 20);
    let text = written(Format::Prometheus, &digest);
    let of_file = |gauge: &str| {
        let gauge = format!("highwater_file_{gauge}_bytes{{");
        let mut lines = text.lines().filter(|line| line.starts_with(&gauge));
        let line = lines.find(|line| line.contains("test_calm.py"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<i64>().ok())
    };
    assert_eq!(of_file("retained"), Some(7));
    assert_eq!(of_file("tree_retained"), Some(7 + (30 << 20)));
    assert_eq!(of_file("spike"), Some(8));
    assert_eq!(of_file("tree_spike"), Some(40 << 20));
}

#[test]
fn a_file_that_was_cut_short_is_told_with_at_least_what_it_retained() {
    let mut digest = recorded("tests/test_b.py");
    let tables = [Format::Terminal, Format::Markdown, Format::Html];
    let least =
        |digest: &Digest| tables.map(|form| written(form, digest).contains("at least 57.2 MiB"));
    digest.files[0].retained_bytes = 60_000_000;
    assert_eq!(least(&digest), [false; 3]);
    digest.files[0].censored = true;
    assert_eq!(least(&digest), [true; 3]);
    let text = written(Format::Terminal, &digest);
    let column = |word: &str| {
        let line = text.lines().find(|line| line.contains(word)).unwrap();
        line.split(word).next().unwrap().chars().count() + word.chars().count()
    };
    assert_eq!(
        column("   peak  tests"),
        column(" 95.4 MiB      1"),
        "{text}"
    );
}

#[test]
fn a_calm_job_has_nothing_to_say() {
    let digest = recorded("tests/test_b.py");
    assert_eq!(remarks::of(&digest), []);
    assert_eq!(written(Format::Github, &digest), "");
    assert_eq!(written(Format::Gitlab, &digest), "[]\n");
    assert_eq!(comment(&digest.job, &[], None, None), None);
    let junit = written(Format::Junit, &digest);
    assert!(junit.contains("tests=\"3\" failures=\"0\""), "{junit}");
    insta::assert_snapshot!(written(Format::Markdown, &digest));
}

#[test]
fn a_death_is_told_with_what_held_the_memory_and_where() {
    let digest = died("tests/test_b.py");
    let remarks = remarks::of(&digest);
    let told: Vec<_> = remarks
        .iter()
        .map(|it| (it.kind, it.severity, it.path.as_deref()))
        .collect();
    let path = Some("tests/test_b.py");
    assert_eq!(
        told,
        [
            (RemarkKind::Death, Severity::Error, path),
            (RemarkKind::Culprit, Severity::Warning, path),
            (RemarkKind::Culprit, Severity::Warning, path),
            (RemarkKind::Culprit, Severity::Warning, None),
        ]
    );
    let junit = written(Format::Junit, &digest);
    assert!(junit.contains("tests=\"3\" failures=\"2\""), "{junit}");
    for format in [
        Format::Junit,
        Format::Github,
        Format::Gitlab,
        Format::Prometheus,
    ] {
        insta::assert_snapshot!(format.as_str(), written(format, &digest));
    }
}

#[test]
fn the_same_thing_keeps_its_fingerprint_whatever_it_measured() {
    let first = remarks::of(&died("tests/test_b.py"));
    let mut later = died("tests/test_b.py");
    if let Some(ending) = &mut later.job.ending {
        ending.sentence = "It was ended again".to_owned();
        ending.culprits.iter_mut().for_each(|it| it.bytes *= 2);
        ending.culprits[2].name = "tests/test_b.py (process 99)".to_owned();
    }
    let prints = |remarks: &[Remark]| -> Vec<Uuid> {
        remarks.iter().map(|remark| remark.fingerprint).collect()
    };
    let mut all = prints(&first);
    assert_eq!(all, prints(&remarks::of(&later)));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), first.len());
    later.job.name = "another".to_owned();
    assert_ne!(prints(&first)[0], prints(&remarks::of(&later))[0]);
}

#[test]
fn growth_speaks_where_a_limit_is_near_and_headroom_where_little_is_left() {
    let mut digest = recorded("tests/test_b.py");
    let span = |value| Span {
        value,
        low: value,
        high: value,
    };
    let mut growth = GrowthReport {
        session: 1,
        course: Course::Steady,
        sentence: "Memory grew on and on.".to_owned(),
        files: 40,
        grown_bytes: 0,
        per_file_bytes: span(1),
        per_minute_bytes: span(1),
        steps: Vec::new(),
        room: Some(Room {
            kind: digest.job.limits[0].kind,
            bytes: 1,
            files: span(39),
            duration_us: span(1),
        }),
    };
    for (files, course, severity) in [
        (39, Course::Steady, Some(Severity::Warning)),
        (40, Course::Steady, Some(Severity::Notice)),
        (39, Course::Steps, Some(Severity::Notice)),
        (39, Course::LevelsOff, None),
        (39, Course::Level, None),
    ] {
        growth.course = course;
        growth.room.as_mut().unwrap().files = span(files);
        digest.job.growth = vec![growth.clone()];
        let told = remarks::of(&digest);
        assert_eq!(told.first().map(|it| it.severity), severity, "{course:?}");
        let speaks = comment(&digest.job, &told, None, None).is_some();
        assert_eq!(speaks, severity == Some(Severity::Warning));
    }
    digest.job.growth.clear();
    for (used, begins) in [(449, ""), (451, "Little is left"), (501, "More was used")] {
        digest.job.limits[0].worst_used_bytes = used * MB;
        digest.job.peak_bytes = used * MB;
        let told = remarks::of(&digest);
        let sentence = told.first().map_or("", |it| it.sentence.as_str());
        assert!(sentence.starts_with(begins) && sentence.is_empty() == begins.is_empty());
    }
}

#[test]
fn hostile_names_are_text_in_every_form() {
    let digest = died(HOSTILE);
    for format in Format::ALL {
        let text = written(format, &digest);
        assert!(text.ends_with('\n'), "{format:?}");
        // There a path is a value that programs compare.
        let is_raw = matches!(format, Format::Json | Format::Gitlab | Format::Prometheus);
        assert!(
            is_raw || !text.contains(['\u{202e}', '\r', '\0']),
            "{format:?}: {text}"
        );
        if matches!(
            format,
            Format::Markdown | Format::Junit | Format::Html | Format::Badge
        ) {
            assert!(!text.contains("<script"), "{format:?}: {text}");
            assert!(!text.contains("\n# head"), "{format:?}: {text}");
        }
    }
    let github = written(Format::Github, &digest);
    assert_eq!(github.lines().count(), 4, "{github}");
    for line in github.lines() {
        let (properties, _) = line[2..].split_once("::").unwrap();
        assert!(line.starts_with("::error ") || line.starts_with("::warning "));
        assert!(properties.matches('=').count() <= 3, "{line}");
    }
    let prometheus = written(Format::Prometheus, &digest);
    for line in prometheus.lines() {
        assert!(
            line.starts_with("# ") || line.starts_with("highwater_"),
            "{line}"
        );
    }
    let marked = comment(&digest.job, &remarks::of(&digest), None, None).unwrap();
    assert!(marked.starts_with(&marker(&digest.job)));
    assert_eq!(marked.matches("-->").count(), 1, "{marked}");
    assert_eq!(taken_back(&digest.job, &[]).matches("-->").count(), 1);
}

#[test]
fn documents_for_programs_are_what_they_say() {
    let digest = died(HOSTILE);
    let document: ReportDocument = serde_json::from_str(&written(Format::Json, &digest)).unwrap();
    assert_eq!(document.job, digest.job);
    assert_eq!(document.remarks, remarks::of(&digest));
    assert_eq!(document.files, digest.files);
    let issues: serde_json::Value =
        serde_json::from_str(&written(Format::Gitlab, &digest)).unwrap();
    for issue in issues.as_array().unwrap() {
        assert_eq!(issue["location"]["lines"]["begin"], 1);
        assert_eq!(issue["fingerprint"].as_str().unwrap().len(), 32);
        let severity = issue["severity"].as_str().unwrap();
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&severity));
    }
}

#[test]
fn a_summary_and_a_comment_stay_within_their_bounds() {
    let mut digest = died(&"t/&".repeat(2_000));
    let file = digest.files[0].clone();
    let test = digest.tests[0].clone();
    digest.files = vec![file; 20_000];
    digest.tests = vec![test; 20_000];
    if let Some(ending) = &mut digest.job.ending {
        let line = Evidence {
            at_us: None,
            sentence: "<&>".repeat(4_000),
        };
        ending.evidence = vec![line; 1_000];
        ending.verdict = Verdict::OomMachine;
    }
    let text = written(Format::Markdown, &digest);
    assert!(text.len() <= 512 << 10, "{}", text.len());
    assert!(text.contains("The rest is left out"));
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count()
    );
    let remark = remarks::of(&digest);
    let said = comment(&digest.job, &remark, None, None).unwrap();
    assert!(said.len() <= 65_536, "{}", said.len());
}

#[test]
fn the_page_asks_for_nothing_and_runs_nothing() {
    let page = written(Format::Html, &died("tests/test_b.py"));
    for needle in ["<script", "src=", "url(", "@import", "<link", "<iframe"] {
        assert!(!page.contains(needle), "{needle}");
    }
    assert!(page.contains("</svg>") && page.contains("prefers-color-scheme: dark"));
    let links: Vec<_> = page.split("href=\"").skip(1).collect();
    assert_eq!(links.len(), 1, "{links:?}");
}

#[test]
fn a_badge_says_what_is_known() {
    use highwater_analysis::trend::Trend;
    let mut figures = Figures {
        peak_bytes: 512 << 20,
        headroom_bytes: Some(1 << 30),
        is_tight: false,
        died: false,
        trend: Some(Trend::Up(12)),
        shards: None,
    };
    for (change, told, colour) in [
        (
            (Some(1 << 30), false),
            "memory: 512.0 MiB ↑ 12 %, 1024.0 MiB left",
            "#1a7a3c",
        ),
        (
            (Some(50 << 20), false),
            "memory: 512.0 MiB ↑ 12 %, 50.0 MiB left",
            "#8a5300",
        ),
        ((None, false), "memory: 512.0 MiB ↑ 12 %", "#1a7a3c"),
        (
            (None, true),
            "memory: 512.0 MiB ↑ 12 %, died of it",
            "#b3261e",
        ),
    ] {
        (figures.headroom_bytes, figures.died) = change;
        figures.is_tight = next_step::is_tight(figures.peak_bytes, figures.headroom_bytes);
        let svg = badge(&figures);
        assert!(svg.contains(&format!("<title>{told}</title>")), "{svg}");
        assert!(svg.contains(colour), "{svg}");
    }
    (figures.died, figures.shards) = (false, Some((2, 3)));
    assert!(badge(&figures).contains("MiB ↑ 12 %, 2 of 3 shards</title>"));
    assert!(unknown_badge().contains("no job yet"));
}
