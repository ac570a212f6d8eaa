//! Documents for tests: a job and a file of which nothing is to be said.

use highwater_wire::report::{
    Confidence, Ending, EnvironmentReport, FileRow, FixtureRow, JobReport, JobState, PeakKind,
    PeakMetric, RunReport, SessionReport, Verdict,
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
        tree_spike_bytes: 0,
        children_start_bytes: 0,
        children_retained_bytes: 0,
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
        import_failed: false,
        workers: Vec::new(),
        diagnosis: None,
    }
}

/// A fixture of the session that was set up once and took nothing; defined at a node id.
#[must_use]
pub fn fixture(name: &str, base: &str) -> FixtureRow {
    FixtureRow {
        name: name.to_owned(),
        scope: "session".to_owned(),
        path: String::new(),
        base: base.to_owned(),
        session: 1,
        setups: 1,
        setup_bytes: 0,
        released_bytes: 0,
        retained_bytes: 0,
        spike_bytes: 0,
        children_bytes: 0,
        duration_us: 0,
        open: 0,
    }
}

/// The first session of a job, in so many workers of xdist; 0 without xdist.
#[must_use]
pub fn session(numprocesses: u32) -> SessionReport {
    SessionReport {
        ordinal: 1,
        id: String::new(),
        root: String::new(),
        args: Vec::new(),
        dist: "no".to_owned(),
        numprocesses,
        began_us: None,
        ended_us: None,
        exit_status: None,
        tests: 1,
        unfinished: 0,
        not_begun: None,
        failed: 0,
        fallen: None,
        sampled: false,
    }
}
