use highwater_wire::{report::RecorderReport, v1::Notice};

use super::builder::Story;

fn story(said: &[(&str, &str, u64)]) -> Story {
    let mut story = Story::new();
    story.batch.notices = said
        .iter()
        .zip(0..)
        .map(|((code, message, count), t_us)| Notice {
            t_us,
            code: (*code).to_owned(),
            message: (*message).to_owned(),
            count: *count,
        })
        .collect();
    story
}

#[test]
fn what_happened_again_is_told_once_with_how_often() {
    let job = story(&[
        ("marks_malformed", "line 3", 1),
        ("spool_failed", "", 2),
        ("marks_malformed", "line 3", 4),
        ("plugin_slow", "it is", 1),
    ])
    .digest()
    .job;
    let told: Vec<String> = job.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "marks_malformed: line 3 (5 times)",
            "plugin_slow: it is",
            "spool_failed: 2"
        ]
    );
    assert_eq!(job.recorder, None);
}

#[test]
fn what_recording_took_is_a_figure_and_no_notice() {
    let job = story(&[
        ("agent_cpu_us", "CPU time of the agent", 1_500),
        ("agent_rss_bytes", "highest RSS of the agent", 9 << 20),
    ])
    .digest()
    .job;
    let took = RecorderReport {
        cpu_us: 1_500,
        rss_bytes: 9 << 20,
    };
    assert_eq!((job.recorder, job.notices), (Some(took), Vec::new()));
}
