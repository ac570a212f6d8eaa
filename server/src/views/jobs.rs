//! Jobs in a list.

use highwater_analysis::time::rfc3339;
use highwater_store::{HistoryPoint, JobRow};
use highwater_wire::{
    ids::ProjectSlug,
    report::{Verdict, leg},
};

use super::format;

/// The state of a job that has not ended.
const RUNNING: &str = "running";

/// A job in a list.
#[derive(Debug, Clone)]
pub(crate) struct JobLine {
    pub(crate) href: String,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) ending: String,
    pub(crate) tone: &'static str,
    pub(crate) peak: String,
    pub(crate) peak_kind: String,
    pub(crate) headroom: String,
    pub(crate) tests: String,
    pub(crate) duration: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
    pub(crate) run: String,
    pub(crate) run_href: String,
    pub(crate) started: String,
    pub(crate) started_at: String,
}

/// Address of a file's page, as jobs of a name ran it; empty where no address names the file.
pub(crate) fn file_href(project_href: &str, path: &str, name: &str) -> String {
    match path {
        "" | "." | ".." => String::new(),
        path => format!(
            "{project_href}/files/{}?name={}",
            format::in_address(path),
            format::in_address(name)
        ),
    }
}

/// Address of a project's page.
pub(crate) fn project_href(slug: &str) -> String {
    format!("/p/{}", ProjectSlug::path_of(slug))
}

/// A run as links call it.
pub(crate) fn run_name(provider: &str, id: &str) -> String {
    format!("{provider} {}", id.chars().take(13).collect::<String>())
}

impl From<JobRow> for JobLine {
    fn from(row: JobRow) -> Self {
        let running = row.state == RUNNING;
        // As [`verdict_of`] says it, with endings of other versions.
        let verdict = row.verdict.as_deref().filter(|_| !running);
        let figure = |text: String| if running { "…".to_owned() } else { text };
        Self {
            href: format!("/jobs/{}", row.uuid),
            detail: detail(&row),
            ending: verdict.unwrap_or(&row.state).replace('_', " "),
            tone: format::tone(verdict),
            peak: figure(format::mebibytes(row.peak_bytes)),
            peak_kind: if running {
                String::new()
            } else {
                row.peak_kind
            },
            headroom: figure(
                row.headroom_bytes
                    .map_or_else(|| "–".to_owned(), format::mebibytes),
            ),
            tests: figure(if row.failed > 0 {
                format!("{} ({} failed)", row.tests, row.failed)
            } else {
                row.tests.to_string()
            }),
            duration: figure(format::duration(row.duration_us)),
            branch: row.branch,
            commit: format::commit(&row.head_commit),
            run: run_name(&row.provider, &row.provider_run_id),
            run_href: format!("{}/runs/{}", project_href(&row.project), row.run_id),
            started: format::moment(row.started_unix_us),
            started_at: rfc3339(row.started_unix_us),
            name: row.name,
        }
    }
}

/// How a job ended; none of one that has not, or whose ending no version knows.
pub(crate) fn verdict_of(row: &JobRow) -> Option<Verdict> {
    // What is stored of a job that runs again is from when it was given up.
    let told = row.verdict.as_deref().filter(|_| row.state != RUNNING)?;
    Verdict::ALL.into_iter().find(|it| it.as_str() == told)
}

/// What tells jobs of one name apart: matrix leg, shard, attempt.
pub(super) fn detail(row: &JobRow) -> String {
    let shard = (row.shard_total > 0).then_some((row.shard_index, row.shard_total));
    let variant = serde_json::from_str(&row.variant).unwrap_or_default();
    let detail = detail_of(&variant, shard, row.attempt);
    match (row.confirms, detail.as_str()) {
        (None, _) => detail,
        (Some(_), "") => AGAIN.to_owned(),
        (Some(_), _) => format!("{detail}, {AGAIN}"),
    }
}

/// What is said of a job that runs files of another again.
const AGAIN: &str = "some files again";

pub(crate) fn detail_of_history(point: &HistoryPoint) -> String {
    let shard = (point.shard_total > 0).then_some((point.shard_index, point.shard_total));
    let variant = serde_json::from_str(&point.variant).unwrap_or_default();
    detail_of(&variant, shard, point.attempt)
}

pub(crate) fn detail_of(
    variant: &std::collections::BTreeMap<String, String>,
    shard: Option<(u32, u32)>,
    attempt: u32,
) -> String {
    let mut parts = leg(variant);
    parts.extend(shard.map(|(index, total)| format!("shard {index}/{total}")));
    parts.extend((attempt > 1).then(|| format!("attempt {attempt}")));
    parts.join(", ")
}
