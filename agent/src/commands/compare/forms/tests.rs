use serde_json::json;

use super::*;

/// A monolith that died and two shards of it, as a server tells them.
fn report(path: &str) -> ComparisonReport {
    let side = |verdict: &str, peak: u64, censored: bool| {
        json!({"jobs": [{"uuid": uuid::Uuid::nil(), "project": "owner/repo", "name": "unit", "variant": {}, "shard": null, "attempt": 1,
                "branch": "", "commit": "", "started_at": "2026-01-01T00:00:00Z", "state": "finished", "verdict": verdict, "confidence": "certain",
                "censored": censored, "peak_bytes": peak << 20, "peak_kind": "exact", "headroom_bytes": null, "duration_us": 5, "tests": 3, "failed": 0}],
            "verdict": verdict, "censored": censored, "peak_bytes": peak << 20, "peak_kind": "exact", "tree_peak_bytes": null, "headroom_bytes": null,
            "limit_bytes": null, "duration_us": 5_000_000, "duration_sum_us": 5_000_000, "tests": 3, "failed": 0, "files": 1,
            "retained_bytes": 0, "growth_per_file_bytes": null})
    };
    let file = |retained: i64| {
        json!({"jobs": 1, "peak_bytes": 0, "peak_kind": "exact", "tree_peak_bytes": 0, "spike_bytes": 0, "tree_spike_bytes": 3 << 20,
            "retained_bytes": retained << 20, "fixture_bytes": 0, "import_bytes": 2 << 20, "tests": 1, "failed": 0, "duration_us": 1, "censored": false})
    };
    let told = |path: &str, change: &str, figures: &[&str]| {
        json!({"path": path, "moved_from": null, "change": change, "beyond_noise": figures, "before": file(1), "after": file(9),
            "retained_change_bytes": 8 << 20, "tree_spike_change_bytes": 0})
    };
    let counts = json!({"new": 0, "gone": 0, "moved": 0, "changed": 3, "alike": 1, "not_run_before": 0, "not_run_after": 0});
    let report = json!({"sentence": "Peak 300.0 MiB → 90.0 MiB.", "notes": ["Versions differ: a → b."],
        "before": side("oom_cgroup", 300, true), "after": side("passed", 90, false), "counts": counts,
        "files": [told(path, "changed", &["retained"]), told("alike.py", "alike", &[])], "files_left": 2,
        "fixtures": [{"name": "db", "base": "conftest.py", "change": "new", "beyond_noise": ["setup"], "before": null, "after": null,
            "setup_change_bytes": 5 << 20, "retained_change_bytes": 0}], "fixtures_left": 0});
    serde_json::from_value(report).unwrap()
}

#[test]
fn a_comparison_is_told_in_columns() {
    assert_eq!(
        text(&report("tests/test_a.py")),
        "Peak 300.0 MiB → 90.0 MiB.
note: Versions differ: a → b.

                                 before     after              change
Ending                   died of memory    passed
Peak                 at least 300.0 MiB  90.0 MiB  −210.0 MiB (−70 %)
Duration                 at least 5.0 s     5.0 s                   –
Tests                        at least 3         3                   –
Failed                       at least 0         0                   –
Test files that ran          at least 1         1                   –
Retained by them       at least 0.0 MiB   0.0 MiB                   –

4 test files: 3 changed, 1 alike.
what                        retained              spike             import  file
changed: retained  1.0 MiB → 9.0 MiB  3.0 MiB → 3.0 MiB  2.0 MiB → 2.0 MiB  tests/test_a.py
and 2 more; --format json has all of them

Fixtures that changed:
what  one set-up  retained  fixture
new     +5.0 MiB         –  db (conftest.py)
"
    );
}

#[test]
fn what_a_comparison_quotes_is_neither_markup_nor_moves_a_cursor() {
    let hostile = "a|b\u{1b}[2J\n<img src=x>*@all*.py";
    let text = text(&report(hostile));
    assert!(text.contains("a|b\\u{1b}[2J\\n<img src=x>"), "{text}");
    let markdown = markdown(&report(hostile));
    let row = r"| changed: retained | 1.0 MiB → 9.0 MiB | 3.0 MiB → 3.0 MiB | 2.0 MiB → 2.0 MiB | a\|b\\u{1b}\[2J\\n&lt;img src=x>\*\@all\*.py |";
    assert!(markdown.contains(row), "{markdown}");
}
