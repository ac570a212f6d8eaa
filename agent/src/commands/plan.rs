//! `highwater plan`: cuts a suite that was recorded into jobs that fit a budget.

mod facts;
mod forms;
mod keep;

use std::path::Path;

use highwater_analysis::plan::{self, Asked, Refusal, forms as of_programs, notes::notes};
use highwater_wire::report::PlanReport;

use super::{CommandError, environment, kept, named, tell, working_folder};
use crate::{
    ci::Env,
    cli::{Form, JobWord, PlanTask, Which},
    exit_codes, regular,
    settings::{self, Given, Places},
    terminal,
};

/// Prints the plan, and writes its files.
///
/// # Errors
/// When the recording or the plan cannot be had, nothing fits, the server does not keep it, or a file cannot be written.
pub fn plan(task: &PlanTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server.clone(),
        spool: task.spool.clone(),
        ..Given::default()
    };
    let places = settings::places(given, &env, &working_folder())?;
    tell(&places.problems);
    let (report, is_kept) = match &task.which {
        Which::Kept(id) => (kept::fetch(*id, &places, &env)?, true),
        Which::Made {
            budget_bytes,
            jobs,
            workers,
            together,
            job,
            keep,
        } => {
            let asked = Asked {
                budget_bytes: budget_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
                jobs: jobs.map(|jobs| jobs as usize),
                workers: *workers,
                together: together.clone(),
            };
            let word = job.as_ref();
            let job = named::job(word, &env)?;
            match job.filter(|_| *keep) {
                Some(job) => (keep::keep(job, &asked, &places, &env)?, true),
                None => (made(job, word, &asked, &places, &env)?, false),
            }
        }
    };
    let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?;
    if let Some(folder) = &task.write {
        write(folder, &report, &json)?;
    }
    let named = match is_kept {
        true => report.id.to_string(),
        false => "plan.json".to_owned(),
    };
    // What programs read says nothing of it.
    if task.form != Form::Text {
        for note in notes(&report) {
            terminal::tell(format!("note: {note}"));
        }
    }
    let text = match task.form {
        Form::Text => forms::text(&report, is_kept),
        Form::Json => json,
        Form::Args => of_programs::args(&report),
        Form::Github => of_programs::github(&report),
        Form::Gitlab => of_programs::gitlab(&report, &named).trim_end().to_owned(),
    };
    terminal::print(&text).map_err(CommandError::NotPrinted)?;
    Ok(exit_codes::OK)
}

/// The plan of a recording, made here.
fn made(
    job: Option<uuid::Uuid>,
    word: Option<&JobWord>,
    asked: &Asked,
    places: &Places,
    env: &Env,
) -> Result<PlanReport, CommandError> {
    let found = facts::find(job, word, places, env)?;
    plan::report(&found.job, &found.facts, asked).map_err(|why| match why {
        Refusal::NoLimit => CommandError::NoBudget(found.job.uuid, why.into()),
        why => CommandError::Unplannable(found.job.uuid, why.into()),
    })
}

/// The plan, a file a job, and none of a plan of before that had more of them. Each is there whole or not at all, and what was in its place is
/// replaced, not followed.
fn write(folder: &Path, report: &PlanReport, json: &str) -> Result<(), CommandError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::NotWritten(path, source)
    };
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let selections = report.jobs.iter().map(|job| {
        let name = of_programs::selection_name(job.index);
        (name, of_programs::selection(job))
    });
    let plan = ("plan.json".to_owned(), format!("{json}\n"));
    for (name, text) in selections.chain([plan]) {
        regular::replace(&folder.join(name), text.as_bytes())
            .map_err(|(path, error)| CommandError::NotWritten(path, error))?;
    }
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix("test_selection_")?;
            let number = number.strip_suffix(".txt")?.parse::<usize>().ok()?;
            (name == of_programs::selection_name(number)).then_some(number)
        });
        let is_file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
        if is_file && number.is_some_and(|number| number > report.jobs.len()) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}
