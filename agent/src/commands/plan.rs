//! `highwater plan`: cuts a suite that was recorded into jobs that fit a budget.

mod facts;
mod forms;

use std::path::Path;

use highwater_analysis::{
    figures::mebibytes,
    plan::{self, File, Plan, Wanted},
};
use highwater_wire::report::{PlanReport, PlannedJob, Predicted};

use facts::Found;

use super::{CommandError, environment, tell, working_folder};
use crate::{
    cli::{Form, PlanTask},
    exit_codes, regular,
    settings::{self, Given},
    terminal,
};

const DIAGNOSED: &str = "the job was diagnosed: garbage was collected and free memory given back after each file, so without that the jobs will take more than is predicted; plan from one that was not";

/// Prints the plan, and writes its files.
///
/// # Errors
/// When the recording cannot be had, nothing fits, or a file cannot be written.
pub fn plan(task: &PlanTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server.clone(),
        spool: task.spool.clone(),
        ..Given::default()
    };
    let places = settings::places(given, &env, &working_folder());
    tell(&places.problems);
    let found = facts::find(task.job, &places, &env)?;
    if found.is_diagnosed {
        terminal::tell(DIAGNOSED);
    }
    let report = report(&found, task)?;
    let text = match task.form {
        Form::Text => forms::text(&report),
        Form::Json => forms::json(&report)?,
        Form::Args => forms::args(&report),
        Form::Github => forms::github(&report)?,
    };
    if let Some(folder) = &task.write {
        write(folder, &report)?;
    }
    terminal::answer(&text);
    Ok(exit_codes::OK)
}

fn report(found: &Found, task: &PlanTask) -> Result<PlanReport, CommandError> {
    let facts = &found.facts;
    if facts.files.is_empty() {
        return Err(CommandError::NothingToPlan(found.job));
    }
    // No list of arguments, line or matrix holds such a name.
    let is_odd = |file: &&File| file.path.is_empty() || file.path.contains(char::is_control);
    if let Some(file) = facts.files.iter().find(is_odd) {
        return Err(CommandError::OddPath(forms::shown(&file.path)));
    }
    let budget_bytes = i64::try_from(task.budget_bytes).unwrap_or(i64::MAX);
    let wanted = Wanted {
        budget_bytes,
        jobs: task.jobs.map(|jobs| jobs as usize),
    };
    let shards = match plan::cut(facts.base_bytes, &facts.files, wanted) {
        Plan::Shards(shards) => shards,
        Plan::Infeasible { path, least_bytes } => {
            return Err(CommandError::Infeasible {
                path,
                budget: mebibytes(budget_bytes),
                base: mebibytes(facts.base_bytes),
                least: mebibytes(least_bytes),
            });
        }
        Plan::TooFew { least_jobs } => {
            return Err(CommandError::TooFewJobs {
                budget: mebibytes(budget_bytes),
                least_jobs,
            });
        }
    };
    let mut ordered = facts.files.clone();
    plan::order(&mut ordered);
    let jobs = shards
        .into_iter()
        .zip(1..)
        .map(|(shard, index)| PlannedJob {
            index,
            predicted: Predicted {
                peak_bytes: shard.peak_bytes,
                duration_us: shard.duration_us,
            },
            files: shard.files.into_iter().map(|file| file.path).collect(),
        });
    Ok(PlanReport {
        of: found.job,
        budget_bytes,
        base_bytes: facts.base_bytes,
        jobs: jobs.collect(),
        as_recorded: predicted(facts.base_bytes, &facts.files),
        best_order: predicted(facts.base_bytes, &ordered),
        is_partial: found.is_partial,
        not_run: facts.not_run.clone(),
        cut_short: facts.cut_short.clone(),
    })
}

fn predicted(base_bytes: i64, files: &[File]) -> Predicted {
    Predicted {
        peak_bytes: plan::peak(base_bytes, files),
        duration_us: files.iter().map(|file| file.duration_us).sum(),
    }
}

/// A file a job, and none of a plan of before that had more of them. Each is there whole or not at all, and what was in its place is replaced, not
/// followed.
fn write(folder: &Path, report: &PlanReport) -> Result<(), CommandError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::NotWritten(path, source)
    };
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    for job in &report.jobs {
        let path = folder.join(selection(job.index));
        let mut text = String::new();
        for file in &job.files {
            text.push_str(&forms::as_path(file));
            text.push('\n');
        }
        regular::replace(&path, text.as_bytes())
            .map_err(|(path, error)| CommandError::NotWritten(path, error))?;
    }
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix("test_selection_")?;
            let number = number.strip_suffix(".txt")?.parse::<usize>().ok()?;
            (name == selection(number)).then_some(number)
        });
        let is_file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
        if is_file && number.is_some_and(|number| number > report.jobs.len()) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn selection(index: usize) -> String {
    format!("test_selection_{index}.txt")
}
