//! `highwater acknowledge`: tells the server what is known of a figure, and shows what was told.

use std::{fmt::Write as _, time::Duration};

use highwater_analysis::{
    figures::{mebibytes, shown},
    time,
};
use highwater_wire::{
    ids::ProjectSlug,
    report::{Acknowledgement, AcknowledgementsPage, JobReport, NewAcknowledgement, leg},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    CommandError,
    answers::{Pages, understood},
    blame::as_recorded,
    environment, named, tell, working_folder,
};
use crate::{
    cli::{AcknowledgeTask, Acknowledging, CheckForm},
    exit_codes,
    settings::{self, Given},
    shipper::Client,
    terminal,
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What its answer may weigh, bytes: an acknowledgement has some hundred.
const MOST_BYTES: u64 = 16 << 20;
/// How a list of them is read.
const PAGES: Pages = Pages {
    rows: 1_000,
    patience: PATIENCE,
    most_bytes: MOST_BYTES,
};

/// Does it, and prints what counts.
///
/// # Errors
/// When no server or no job is named, or the server refuses.
pub fn acknowledge(task: &AcknowledgeTask) -> Result<u8, CommandError> {
    let env = environment();
    let project = match &task.what {
        Acknowledging::Figure { .. } => None,
        Acknowledging::Withdraw(_, project) | Acknowledging::List(project) => project.clone(),
    };
    let given = Given {
        server: task.server.clone(),
        project,
        ..Given::default()
    };
    let folder = working_folder();
    let settings = settings::resolve(given, &env, &folder, &[])?;
    tell(&settings.places.problems);
    let places = &settings.places;
    let server = places.server.as_ref().ok_or(CommandError::NoServerToAsk)?;
    let client = Client::new(server, places.token.as_ref(), &env, Uuid::nil());
    let of_project = |slug: &str| {
        format!(
            "/api/v1/projects/{}/acknowledgements",
            ProjectSlug::path_of(slug)
        )
    };
    let answer = match &task.what {
        Acknowledging::Figure {
            figure,
            file,
            reason,
            days,
            until,
            by,
            every_variant,
            job,
        } => {
            let job = named::job(job.as_ref(), &env)?.ok_or(CommandError::NoJobToCheck)?;
            let unread = |why| CommandError::NotRead(job, why);
            let report = client.read(&format!("/api/v1/jobs/{job}"), PATIENCE, MOST_BYTES);
            let report: JobReport = understood(&report.map_err(unread)?).map_err(unread)?;
            let file = file.as_deref();
            let new = NewAcknowledgement {
                job,
                figure: *figure,
                path: file.map(|file| as_recorded(file, &folder, &settings.repo_root)),
                reason: reason.clone(),
                days: *days,
                until: until.clone(),
                by: by.clone(),
                every_variant: *every_variant,
            };
            let body = serde_json::to_string(&new).map_err(std::io::Error::other)?;
            let made = client.post(&of_project(&report.project), &body);
            one(task, &made.map_err(CommandError::NotAcknowledged)?)?
        }
        Acknowledging::Withdraw(id, _) => {
            let path = format!("{}/{id}", of_project(&settings.job.project));
            let gone = client.delete(&path);
            one(task, &gone.map_err(CommandError::NotAcknowledged)?)?
        }
        Acknowledging::List(_) => {
            let path = of_project(&settings.job.project);
            let all = PAGES.all(&client, &path, |page: AcknowledgementsPage| {
                (page.acknowledgements, page.next)
            });
            let all = all.map_err(CommandError::NotAcknowledged)?;
            match task.form {
                CheckForm::Json => json(&all)?,
                CheckForm::Text => list(&all),
            }
        }
    };
    terminal::print(&answer).map_err(CommandError::NotPrinted)?;
    Ok(exit_codes::OK)
}

fn one(task: &AcknowledgeTask, answer: &str) -> Result<String, CommandError> {
    let known: Acknowledgement = understood(answer).map_err(CommandError::NotAcknowledged)?;
    match task.form {
        CheckForm::Json => json(&known),
        CheckForm::Text => Ok(format!("{}\n", line(&known))),
    }
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::other)?)
}

fn list(all: &[Acknowledgement]) -> String {
    let mut text = String::new();
    for known in all {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}", line(known));
    }
    if all.is_empty() {
        text.push_str("Nothing is acknowledged in this project.\n");
    }
    text
}

fn line(known: &Acknowledgement) -> String {
    let until = time::day(&known.until);
    let state = match (&known.withdrawn_at, known.counts) {
        (Some(at), _) => format!("withdrawn {}", time::day(at)),
        (None, true) => format!("counts until {until}"),
        (None, false) => format!("ended {until}"),
    };
    let of = known.path.as_deref().map_or("the job", |path| path);
    let leg = match &known.variant {
        Some(variant) if !variant.is_empty() => {
            format!(" ({})", shown(&leg(variant).join(", ")))
        }
        _ => String::new(),
    };
    let part = known.shard.map_or_else(String::new, |shard| {
        format!(", shard {}/{}", shard.index, shard.total)
    });
    format!(
        "{}  {state}: {} {} of {} in job {}{leg}{part}, by {}: {}",
        known.id,
        known.figure.as_str(),
        mebibytes(known.bytes),
        shown(of),
        shown(&known.name),
        shown(&known.by),
        shown(&known.reason)
    )
}
