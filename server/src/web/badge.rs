//! A project's badge: how much memory its newest job took.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use highwater_analysis::trend::{MOST_EARLIER, trend};
use highwater_report::{Figures, badge, unknown_badge};
use highwater_store::{JobFilter, JobRow};
use highwater_wire::report::Verdict;
use serde::Deserialize;

use super::{PageError, Path, Query, Visitor};
use crate::{api, state::AppState};

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
        branch: query.branch,
        ..JobFilter::default()
    };
    let rows = state.store.jobs(id, &filter, LOOKED_THROUGH).await?;
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

/// The newest job that ended, beside those before it that ran the same.
fn figures(rows: &[JobRow]) -> Option<Figures> {
    let verdict = |row: &JobRow| {
        let told = row.verdict.as_deref()?;
        Verdict::ALL.into_iter().find(|it| it.as_str() == told)
    };
    let newest = rows.iter().position(|row| verdict(row).is_some())?;
    let (newest, earlier) = rows[newest..].split_first()?;
    let ran_the_same = |row: &&JobRow| {
        let same = |of: &JobRow| {
            let JobRow {
                name,
                variant,
                shard_index,
                shard_total,
                branch,
                ..
            } = of.clone();
            (name, variant, shard_index, shard_total, branch)
        };
        same(row) == same(newest) && verdict(row).is_some_and(|it| !it.is_early())
    };
    let earlier = earlier.iter().filter(ran_the_same).take(MOST_EARLIER);
    let earlier: Vec<i64> = earlier.map(|row| row.peak_bytes).collect();
    let died = verdict(newest).is_some_and(Verdict::is_of_memory);
    Some(Figures {
        peak_bytes: newest.peak_bytes,
        headroom_bytes: newest.headroom_bytes,
        died,
        trend: (!died)
            .then(|| trend(newest.peak_bytes, &earlier))
            .flatten(),
    })
}
