//! Prometheus's text format 0.0.4, for a textfile collector, a pushgateway or GitLab's metrics report.

use std::fmt::Write;

use highwater_wire::report::{FileRow, JobReport, Why, leg};

use crate::{Source, diagnosis, escape::label, limits, rank};

/// Test files that are told one by one, those that retained most.
const MOST_FILES: usize = 100;

pub(crate) fn write(source: &Source<'_>) -> String {
    let mut out = Exposition {
        text: String::new(),
        of_job: of_job(&source.digest.job),
    };
    job(&mut out, &source.digest.job);
    if !source.files_gone.is_empty() {
        // Writing to a string cannot fail.
        let _ = writeln!(out.text, "# {}", source.files_gone);
    }
    files(&mut out, &rank::largest(source.digest));
    out.text
}

/// Writing to a string cannot fail, so its answers are let go.
struct Exposition {
    text: String,
    /// The labels of every sample.
    of_job: String,
}

impl Exposition {
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.text, "# HELP highwater_{name} {help}");
        let _ = writeln!(self.text, "# TYPE highwater_{name} gauge");
        for (labels, value) in samples {
            let Self { text, of_job } = self;
            let _ = writeln!(text, "highwater_{name}{{{of_job}{labels}}} {value}");
        }
    }
}

fn of_job(job: &JobReport) -> String {
    let shard = job
        .shard
        .map(|shard| format!("{}/{}", shard.index, shard.total));
    let labels = [
        ("project", job.project.clone()),
        ("job", job.name.clone()),
        ("variant", leg(&job.variant).join(",")),
        ("shard", shard.unwrap_or_default()),
        ("branch", job.branch.clone()),
    ];
    let labels = labels.map(|(name, value)| format!("{name}=\"{}\"", label(&value)));
    labels.join(",")
}

fn job(out: &mut Exposition, job: &JobReport) {
    let one = |value: f64| [(String::new(), value)];
    out.gauge(
        "job_peak_bytes",
        "Highest simultaneous memory of the job's processes that was measured.",
        one(job.peak_bytes as f64),
    );
    out.gauge(
        "job_headroom_bytes",
        "The smallest room left under any limit.",
        job.headroom_bytes
            .map(|bytes| (String::new(), bytes as f64)),
    );
    out.gauge(
        "job_duration_seconds",
        "From start to end.",
        one(job.duration_us as f64 / 1e6),
    );
    out.gauge(
        "job_tests",
        "Executions of tests.",
        one(job
            .sessions
            .iter()
            .map(|session| session.tests)
            .sum::<u64>() as f64),
    );
    let verdict = job.ending.as_ref().map(|ending| ending.verdict.as_str());
    out.gauge(
        "job_ending",
        "How the job ended: always 1, with the verdict as a label.",
        verdict.map(|verdict| (format!(",verdict=\"{verdict}\""), 1.0)),
    );
    out.gauge(
        "job_censored",
        "1 where the job was cut short, so that its figures are lower bounds.",
        one(f64::from(u8::from(job.censored))),
    );
    let limit_labels: Vec<String> = job
        .limits
        .iter()
        .map(|limit| format!(",limit=\"{}\"", label(&limits::name(limit))))
        .collect();
    let all = || limit_labels.iter().cloned().zip(&job.limits);
    out.gauge(
        "job_limit_bytes",
        "The most that a limit allows.",
        all().map(|(labels, limit)| (labels, limit.limit_bytes as f64)),
    );
    out.gauge(
        "job_limit_used_bytes",
        "The most that was used of a limit.",
        all().map(|(labels, limit)| (labels, limit.worst_used_bytes as f64)),
    );
    forecast(out, job);
    let parts = job.diagnosis.iter().flat_map(|found| {
        let [_, _, parts @ ..] = diagnosis::parts(found);
        diagnosis::WHYS.map(Why::as_str).into_iter().zip(parts)
    });
    out.gauge(
        "job_diagnosis_bytes",
        "What test files left, taken apart: garbage, what the allocators keep free, live Python objects, the native rest.",
        parts.map(|(why, bytes)| (format!(",why=\"{why}\""), bytes as f64)),
    );
}

/// What memory comes to if it goes on so, or would have come to.
fn forecast(out: &mut Exposition, job: &JobReport) {
    let Some(forecast) = &job.forecast else {
        return;
    };
    let peak = forecast.peak_bytes;
    let ends = [
        ("value", peak.value),
        ("low", peak.low),
        ("high", peak.high),
    ];
    out.gauge(
        "job_forecast_peak_bytes",
        "The forecast of the peak at the end of the job, with the ends of its interval.",
        ends.map(|(end, bytes)| (format!(",end=\"{end}\""), bytes as f64)),
    );
    let crossings = forecast.crossings.iter().map(|it| {
        let limit = label(&limits::named(it.kind, &it.path));
        (format!(",limit=\"{limit}\""), f64::from(it.percent) / 100.0)
    });
    out.gauge(
        "job_forecast_crossing_ratio",
        "How likely a limit is crossed before the last test file ends.",
        crossings,
    );
}

fn files(out: &mut Exposition, files: &[&FileRow]) {
    type Figure = fn(&FileRow) -> i64;
    const FIGURES: [(&str, &str, Figure); 5] = [
        (
            "file_retained_bytes",
            "What a test file still held afterwards.",
            |file| file.retained_bytes,
        ),
        (
            "file_tree_retained_bytes",
            "What a test file still held afterwards, with what children hold that outlive it.",
            FileRow::tree_retained_bytes,
        ),
        (
            "file_peak_bytes",
            "Highest RSS of a worker inside a test file.",
            |file| file.peak_bytes,
        ),
        (
            "file_spike_bytes",
            "Largest peak of a visit above its start and what modules that its tests imported and fixtures that files share had taken.",
            |file| file.spike_bytes,
        ),
        (
            "file_tree_spike_bytes",
            "The same with what children took at the same time, above what they held when the visit began.",
            |file| file.tree_spike_bytes,
        ),
    ];
    for (name, help, figure) in FIGURES {
        let samples = files.iter().take(MOST_FILES).map(|file| {
            let path = label(&file.path);
            let labels = format!(",path=\"{path}\",session=\"{}\"", file.session);
            (labels, figure(file) as f64)
        });
        out.gauge(name, help, samples);
    }
}
