//! The forms of a job's page that acknowledge a figure, and take that back.

use axum::{extract::State, response::Redirect};
use highwater_wire::report::NewAcknowledgement;
use serde::Deserialize;
use uuid::Uuid;

use super::{PageError, Path, Visitor, no_job, sign_in::SmallForm};
use crate::{
    access::Access, acknowledging::Project, error::AppError, reading::Job, state::AppState,
};

/// As the page sends it.
#[derive(Debug, Deserialize)]
pub(super) struct AcknowledgeForm {
    /// The figure, and behind a blank the path of a file.
    finding: String,
    reason: String,
    days: String,
    #[serde(default)]
    by: String,
    /// There where it is ticked.
    every_variant: Option<String>,
}

type Answer = Result<Redirect, PageError>;

/// Where somebody comes back to who was asked to sign in first.
pub(super) async fn back(Path(uuid): Path<Uuid>) -> Redirect {
    to_check(uuid)
}

/// The same from a form that withdraws one.
pub(super) async fn back_of_one(Path((uuid, _)): Path<(Uuid, Uuid)>) -> Redirect {
    to_check(uuid)
}

pub(super) async fn acknowledge(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(uuid): Path<String>,
    SmallForm(form): SmallForm<AcknowledgeForm>,
) -> Answer {
    let (uuid, id, slug) = project_of(&state, &access, &uuid).await?;
    let (figure, path) = match form.finding.split_once(' ') {
        Some((figure, path)) => (figure, Some(path.to_owned())),
        None => (form.finding.as_str(), None),
    };
    let hint = "go back and send the form again";
    let days = form.days.trim().parse().map_err(|_| {
        AppError::bad_request(format!("{:?} is no number of days", form.days), hint)
    })?;
    let new = NewAcknowledgement {
        job: uuid,
        figure: figure
            .parse()
            .map_err(|why: String| AppError::bad_request(why, hint))?,
        path,
        reason: form.reason,
        days: Some(days),
        until: None,
        by: Some(form.by),
        every_variant: form.every_variant.is_some(),
    };
    of(&state, &access, id, &slug).acknowledge(new).await?;
    Ok(to_check(uuid))
}

pub(super) async fn withdraw(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path((uuid, acknowledgement)): Path<(String, Uuid)>,
) -> Answer {
    let (uuid, id, slug) = project_of(&state, &access, &uuid).await?;
    let project = of(&state, &access, id, &slug);
    project.withdraw(acknowledgement).await?;
    Ok(to_check(uuid))
}

fn to_check(uuid: Uuid) -> Redirect {
    Redirect::to(&format!("/jobs/{uuid}#check"))
}

/// The job, and number and slug of its project.
async fn project_of(
    state: &AppState,
    access: &Access,
    uuid: &str,
) -> Result<(Uuid, i64, String), AppError> {
    let uuid = Uuid::parse_str(uuid).map_err(|_| no_job())?;
    let job = Job::find(state, access, uuid).await?;
    Ok((uuid, job.run().0, job.project().to_owned()))
}

fn of<'a>(state: &'a AppState, access: &'a Access, id: i64, slug: &'a str) -> Project<'a> {
    Project {
        state,
        access,
        id,
        slug,
    }
}
