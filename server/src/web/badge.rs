//! A project's badge: how much memory its newest job took, or the shards of its newest run.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use highwater_analysis::{
    next_step::is_tight,
    trend::{MOST_EARLIER, trend},
};
use highwater_report::{Figures, badge, unknown_badge};
use highwater_store::{JobFilter, JobRow};
use highwater_wire::report::Verdict;
use serde::Deserialize;

use super::{PageError, Path, Query, Visitor};
use crate::{api, reading::of_branch, state::AppState, views::jobs::verdict_of};

/// Jobs that are looked through for those that the newest can be compared with: other legs and shards lie between them.
const LOOKED_THROUGH: u32 = 200;
/// How long others may keep what everybody may see.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// It is there to be shown on pages of other sites.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Of which jobs.
#[derive(Debug, Deserialize)]
pub(super) struct BadgeQuery {
    /// Of this name only.
    name: Option<String>,
    /// Of this branch only.
    branch: Option<String>,
}

pub(super) async fn show(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(project): Path<String>,
    Query(query): Query<BadgeQuery>,
) -> Result<Response, PageError> {
    let (id, slug) = api::find_project(&state, &access, &project).await?;
    let filter = JobFilter {
        name: query.name,
        ..JobFilter::default()
    };
    let rows = match query.branch {
        Some(branch) => of_branch(&state, id, &branch, filter, LOOKED_THROUGH).await?,
        None => state.store.jobs(id, &filter, LOOKED_THROUGH).await?,
    };
    let svg = figures(&rows).map_or_else(unknown_badge, |figures| badge(&figures));
    let kind = [(header::CONTENT_TYPE, "image/svg+xml")];
    let is_public = state.store.project(slug.as_str()).await?;
    let open = [
        (header::CACHE_CONTROL, KEPT),
        (RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
    ];
    Ok(match is_public.is_some_and(|project| project.public) {
        true => (kind, open, svg).into_response(),
        false => (kind, svg).into_response(),
    })
}

/// What the newest job that ended says, with the other shards of its run, beside those before it that ran the same.
fn figures(rows: &[JobRow]) -> Option<Figures> {
    let newest = rows.iter().find(|row| verdict_of(row).is_some())?;
    let suite = Suite::of(newest, rows);
    let mut told: Vec<i64> = Vec::new();
    let mut runs = vec![newest.run_id];
    for row in rows.iter().filter(|row| is_older(row, newest)) {
        // The shards of a run count together.
        let is_told = is_sharded(row) && runs.contains(&row.run_id);
        if !is_told && ran_the_same(row, newest) {
            runs.push(row.run_id);
            let earlier = Suite::of(row, rows);
            told.extend(earlier.is_good().then_some(earlier.peak_bytes()));
        }
    }
    told.truncate(MOST_EARLIER);
    let (died, peak_bytes) = (suite.died(), suite.peak_bytes());
    let shards = (suite.jobs.len(), newest.shard_total as usize);
    Some(Figures {
        peak_bytes,
        headroom_bytes: suite.jobs.iter().filter_map(|row| row.headroom_bytes).min(),
        is_tight: suite.is_tight(),
        died,
        trend: (!died && suite.is_whole())
            .then(|| trend(peak_bytes, &told))
            .flatten(),
        shards: (!suite.is_whole()).then_some(shards),
    })
}

fn is_sharded(row: &JobRow) -> bool {
    row.shard_total > 1
}

fn is_older(row: &JobRow, than: &JobRow) -> bool {
    (row.started_unix_us, row.id) < (than.started_unix_us, than.id)
}

/// Whether two are of suites that may be compared: of one in shards, which of them does not matter.
fn ran_the_same(row: &JobRow, as_row: &JobRow) -> bool {
    fn kind(of: &JobRow) -> (&str, &str, [&str; 2], u32, Option<u32>) {
        let alone = (!is_sharded(of)).then_some(of.shard_index);
        let branch = [of.branch.as_str(), &of.pull_request];
        (&of.name, &of.variant, branch, of.shard_total, alone)
    }
    kind(row) == kind(as_row)
}

/// A job, or the shards of one run that ended: of each the last attempt.
struct Suite<'a> {
    jobs: Vec<&'a JobRow>,
    total: usize,
}

impl<'a> Suite<'a> {
    fn of(one: &'a JobRow, rows: &'a [JobRow]) -> Self {
        if !is_sharded(one) {
            return Self {
                jobs: vec![one],
                total: 1,
            };
        }
        let mut shards: BTreeMap<u32, &JobRow> = BTreeMap::new();
        let of_run = rows.iter().filter(|row| row.run_id == one.run_id);
        for row in of_run.filter(|row| ran_the_same(row, one) && verdict_of(row).is_some()) {
            let last = shards.entry(row.shard_index).or_insert(row);
            if row.attempt > last.attempt {
                *last = row;
            }
        }
        Self {
            jobs: shards.into_values().collect(),
            total: one.shard_total as usize,
        }
    }

    fn peak_bytes(&self) -> i64 {
        self.jobs
            .iter()
            .map(|row| row.peak_bytes)
            .max()
            .unwrap_or(0)
    }

    /// Whether one of them has little left, of its own.
    fn is_tight(&self) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|row| is_tight(row.peak_bytes, row.headroom_bytes))
    }

    fn died(&self) -> bool {
        let mut verdicts = self.jobs.iter().filter_map(|row| verdict_of(row));
        verdicts.any(Verdict::is_of_memory)
    }

    fn is_whole(&self) -> bool {
        self.jobs.len() >= self.total
    }

    /// Whether its peak is one that others can be compared with.
    fn is_good(&self) -> bool {
        let is_over = |row: &&JobRow| verdict_of(row).is_some_and(|it| !it.is_early());
        self.is_whole() && self.jobs.iter().all(is_over)
    }
}
