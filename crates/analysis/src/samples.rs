//! Documents for tests: a job and a file of which nothing is to be said.

use highwater_wire::report::{
    Confidence, Ending, EnvironmentReport, FileRow, JobReport, JobState, PeakKind, PeakMetric,
    RunReport, Verdict,
};
use uuid::Uuid;

/// A job that passed.
#[must_use]
pub fn job() -> JobReport {
    JobReport {
        uuid: Uuid::from_u128(7),
        state: JobState::Finished,
        revision: 1,
        project: "owner/repo".to_owned(),
        run: RunReport::default(),
        name: "unit".to_owned(),
        variant: [].into(),
        shard: None,
        attempt: 1,
        confirms: None,
        branch: "main".to_owned(),
        commit: "abc".to_owned(),
        environment: EnvironmentReport::default(),
        command: Vec::new(),
        sessions: Vec::new(),
        started_at: String::new(),
        clock_skew_us: None,
        ended_at: None,
        duration_us: 0,
        peak_bytes: 0,
        peak_at_us: 0,
        peak_during: Vec::new(),
        peak_high_bytes: 0,
        peak_metric: PeakMetric::Rss,
        peak_kind: PeakKind::Exact,
        peak_error_bytes: 0,
        limits: Vec::new(),
        check_limits: None,
        headroom_bytes: None,
        exit_code: Some(0),
        signal: None,
        censored: false,
        ending: Some(Ending {
            verdict: Verdict::Passed,
            confidence: Confidence::Certain,
            sentence: String::new(),
            evidence: Vec::new(),
            culprits: Vec::new(),
            victim: None,
            next_step: String::new(),
        }),
        growth: Vec::new(),
        diagnosis: None,
        forecast: None,
        notices: Vec::new(),
        recorder: None,
        ci_url: String::new(),
        agent_version: String::new(),
        url: None,
        spool: None,
    }
}

/// A file that ran once and took nothing.
#[must_use]
pub fn file(path: &str) -> FileRow {
    FileRow {
        path: path.to_owned(),
        session: 1,
        visits: 1,
        started_us: 0,
        start_bytes: 0,
        end_bytes: 0,
        peak_bytes: 0,
        peak_kind: PeakKind::Exact,
        tree_peak_bytes: 0,
        spike_bytes: 0,
        retained_bytes: 0,
        import_bytes: 0,
        late_import_bytes: 0,
        late_imports: Vec::new(),
        shared_fixture_bytes: 0,
        fixture_bytes: 0,
        between_bytes: 0,
        tests: 1,
        failed: 0,
        duration_us: 0,
        censored: false,
        workers: Vec::new(),
        diagnosis: None,
    }
}
