//! Plans that somebody asked to keep: under their id, for shards that start apart. A plan is kept as it was made, and never changed.

use highwater_store::{NewPlan, PlanContent, Put, StoreError};
use highwater_wire::report::PlanReport;
use uuid::Uuid;

use super::{PlanQuery, plan};
use crate::{
    access::{Access, Scope},
    error::AppError,
    reading::Job,
    state::AppState,
};

/// That a plan is used is noted so often: what makes room was not used for longer.
const NOTED_EACH_US: i64 = 3_600_000_000;

/// A plan that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) report: PlanReport,
    /// Slug of its project.
    pub(crate) project: String,
    /// When it was kept, µs since 1970.
    pub(crate) created_unix_us: i64,
}

/// Keeps the plan of a job; true where it was not kept before. One that was is answered as it was kept.
pub(crate) async fn keep(
    state: &AppState,
    access: &Access,
    uuid: Uuid,
    query: &PlanQuery,
) -> Result<(PlanReport, bool), AppError> {
    let mut job = Job::find(state, access, uuid).await?;
    let slug = job.project().to_owned();
    if !access.may(&slug, Scope::Admin) {
        return Err(access.refused(&slug, Scope::Admin));
    }
    let report = plan(state, &mut job, query).await?;
    let (project, _) = job.run();
    // Nobody keeps a connection of the store while the writer has others to serve.
    drop(job);
    let id = report.id;
    let document = serde_json::to_vec(&report).map_err(|error| AppError::internal(&error))?;
    let pack = move || PlanContent::pack(&document);
    let content = state.reading.run(0, pack).await;
    let new = NewPlan {
        uuid: id,
        project,
        job: uuid,
        content: content.map_err(|error| AppError::internal(&error))??,
        now_unix_us: state.wall_unix_us(),
    };
    match state.store.keep_plan(new).await? {
        Put::New => {
            tracing::info!(target: "audit", project = slug, plan = %id, %uuid, by = access.by(), "a plan is kept");
            Ok((report, true))
        }
        Put::Same => Ok((find(state, access, id).await?.report, false)),
        other => Err(AppError::internal(&format!(
            "plan {id} of {slug}: {other:?}"
        ))),
    }
}

/// A plan that is kept and may be seen; one that may not is not found.
pub(crate) async fn find(state: &AppState, access: &Access, id: Uuid) -> Result<Kept, AppError> {
    let found = state.store.kept_plan(id).await?;
    let found = found.filter(|kept| access.may_read(&kept.project, kept.public));
    let row = found.ok_or_else(|| access.hidden(no_plan(id)))?;
    note_use(state, id, row.used_unix_us);
    let read = move || {
        let document = row.content.unpack()?;
        let report = serde_json::from_slice(&document);
        Ok::<_, StoreError>((report, row.project, row.created_unix_us))
    };
    let read = state.reading.run(0, read).await;
    let (report, project, created_unix_us) = read.map_err(|error| AppError::internal(&error))??;
    Ok(Kept {
        report: report.map_err(|error| AppError::internal(&format!("kept plan {id}: {error}")))?,
        project,
        created_unix_us,
    })
}

/// For an id that names no plan.
pub(crate) fn no_plan(id: impl std::fmt::Display) -> AppError {
    AppError::not_found(
        format!("there is no plan {id}"),
        "check the id, or keep the plan with `highwater plan --keep`; those that were not used for longest make room for others",
    )
}

/// Holds nobody up.
fn note_use(state: &AppState, id: Uuid, noted_unix_us: i64) {
    let now = state.wall_unix_us();
    if now.saturating_sub(noted_unix_us) < NOTED_EACH_US {
        return;
    }
    let store = state.store.clone();
    tokio::spawn(async move {
        if let Err(error) = store.plan_used(id, now).await {
            tracing::warn!(%error, plan = %id, "the use of a plan was not noted");
        }
    });
}
