//! What memory comes to, and why it stays, in each form.

use highwater_wire::report::{
    Advice, Diagnosis, Ending, ForecastReport, Grown, LimitCrossing, LimitKind, Why,
};

use highwater_analysis::next_step;

use super::*;

/// A job that was cut short and diagnosed: what would have come, and what stayed.
fn looked_at(path: &str) -> Digest {
    let mut digest = recorded(path);
    let found = Diagnosis {
        sentence: "After 2 visits 80.0 MiB had stayed: 60.0 MiB live Python objects, 20.0 MiB garbage not yet collected.".to_owned(),
        advice: [(Why::Live, "Clear the cache."), (Why::Garbage, "Break the cycles.")]
            .map(|(why, sentence)| Advice {
                why,
                bytes: 5,
                sentence: format!("{sentence} Most in {path}."),
            })
            .into(),
        visits: 2,
        stayed_bytes: 80 << 20,
        garbage_bytes: 20 << 20,
        live_bytes: 60 << 20,
        types: vec![Grown {
            name: path.to_owned(),
            count: 1_000,
            bytes: 60 << 20,
        }],
        ..Diagnosis::default()
    };
    if let Some(file) = digest.files.iter_mut().find(|file| file.path == path) {
        file.diagnosis = Some(found.clone());
    }
    digest.job.diagnosis = Some(found);
    digest.job.forecast = Some(ForecastReport {
        session: 1,
        sentence: format!(
            "Had it gone on so, memory would have come to 700.0 MiB by the end. It would have crossed the budget at file 3, {path}."
        ),
        files_done: 2,
        files: 4,
        files_known: 0,
        elsewhere: None,
        is_warning: true,
        peak_bytes: Span {
            value: 700 << 20,
            low: 600 << 20,
            high: 800 << 20,
        },
        crossings: vec![LimitCrossing {
            kind: LimitKind::Budget,
            path: String::new(),
            limit_bytes: 500 << 20,
            percent: 93,
            file: Some(3),
            file_low: Some(3),
            file_high: None,
            test_file: path.to_owned(),
        }],
    });
    // As a digest with a diagnosis has it.
    if let Some(ending) = digest.job.ending.take() {
        digest.job.ending = Some(Ending {
            next_step: next_step::of_ending(&digest.job, &ending),
            ..ending
        });
    }
    digest
}

#[test]
fn every_form_tells_what_is_ahead_and_why_memory_stays() {
    let digest = looked_at("tests/test_b.py");
    for format in Format::ALL {
        let text = written(format, &digest);
        match format {
            // It is one picture of the peak.
            Format::Badge => continue,
            // Figures are told there, not sentences.
            Format::Prometheus => {
                assert!(
                    text.contains("highwater_job_forecast_peak_bytes{"),
                    "{text}"
                );
                assert!(text.contains(",why=\"live\"} 62914560"), "{text}");
            }
            _ => {
                for needle in [
                    "Had it gone on so",
                    "80.0 MiB had stayed",
                    "Clear the cache",
                    "Break the cycles",
                ] {
                    assert!(text.contains(needle), "{format:?} lacks {needle:?}: {text}");
                }
            }
        }
        let name = format!("looked_at_{}", format.as_str());
        match format {
            Format::Markdown
            | Format::Junit
            | Format::Github
            | Format::Gitlab
            | Format::Prometheus => {
                insta::assert_snapshot!(name, text);
            }
            Format::Html => {
                for needle in [
                    "<h2>Why memory stays</h2>",
                    "<h2>What grew most over the job</h2>",
                    ">60.0 MiB<",
                    "+1000",
                ] {
                    assert!(text.contains(needle), "{needle}");
                }
            }
            Format::Json => {
                let document: ReportDocument = serde_json::from_str(&text).unwrap();
                assert_eq!(document.job.forecast, digest.job.forecast);
                assert_eq!(document.job.diagnosis, digest.job.diagnosis);
            }
            Format::Terminal | Format::Badge => {}
        }
    }
}

#[test]
fn a_forecast_speaks_up_only_while_there_is_time_and_a_diagnosis_never() {
    let mut digest = looked_at("tests/test_b.py");
    let of = |digest: &Digest| -> Vec<(RemarkKind, Severity, String)> {
        let told = remarks::of(digest).into_iter();
        told.map(|it| (it.kind, it.severity, it.subject)).collect()
    };
    let forecast = |severity| (RemarkKind::Forecast, severity, "session 1".to_owned());
    let diagnosis = |part: &str| (RemarkKind::Diagnosis, Severity::Notice, part.to_owned());
    let stays = ["", "live", "garbage"].map(diagnosis);
    let mut expected = vec![forecast(Severity::Notice)];
    expected.extend(stays);
    assert_eq!(of(&digest), expected);
    assert_eq!(
        comment(&digest.job, &remarks::of(&digest), None, None),
        None
    );
    digest.job.state = JobState::Running;
    expected[0] = forecast(Severity::Warning);
    assert_eq!(of(&digest), expected);
    let at: Vec<_> = remarks::of(&digest).into_iter().map(|it| it.path).collect();
    assert_eq!(at[0].as_deref(), Some("tests/test_b.py"));
    if let Some(forecast) = &mut digest.job.forecast {
        forecast.is_warning = false;
        forecast.crossings.clear();
    }
    expected[0] = forecast(Severity::Notice);
    assert_eq!(of(&digest), expected);
}

#[test]
fn hostile_names_in_them_are_text_too() {
    let digest = looked_at(HOSTILE);
    for format in [
        Format::Markdown,
        Format::Junit,
        Format::Html,
        Format::Github,
        Format::Terminal,
    ] {
        let text = written(format, &digest);
        assert!(!text.contains(['\u{202e}', '\r']), "{format:?}: {text}");
        assert!(
            !text.contains("\n# head") && !text.contains("\n::error ::forged"),
            "{format:?}: {text}"
        );
        assert!(
            matches!(format, Format::Github | Format::Terminal) || !text.contains("<script"),
            "{format:?}"
        );
    }
}
