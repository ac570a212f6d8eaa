//! The report as a comment on its pull request.

use highwater_report::{comment as text_of, marker, taken_back};
use highwater_wire::report::{JobReport, ReportDocument};

use crate::{
    ci::Env,
    commands::CommandError,
    github::{CommentError, Commented, Comments},
    terminal,
};

/// Writes, changes or takes back the comment. What cannot be for a reason that nobody here can mend is told, and is no error: a workflow runs for
/// pushes too, and for forks.
pub(super) fn comment(
    document: &ReportDocument,
    page: Option<&str>,
    env: &Env,
) -> Result<(), CommandError> {
    let job = &document.job;
    let Some(pull_request) = pull_request(job, env) else {
        terminal::tell("--comment: this job belongs to no pull request, so nothing was written");
        return Ok(());
    };
    let text = text_of(job, &document.remarks, document.plan_hint.as_ref(), page);
    let said = Comments::of(pull_request, env).and_then(|comments| {
        comments.say(
            &marker(job),
            text.as_deref(),
            &taken_back(job, &document.remarks),
        )
    });
    match said {
        Ok(Commented::Nothing | Commented::Unchanged) => {}
        Ok(Commented::Written(url)) => terminal::tell(format_args!("commented: {url}")),
        Ok(Commented::Changed(url)) => terminal::tell(format_args!("comment changed: {url}")),
        Err(error @ CommentError::Forbidden { .. }) if job.run.fork => {
            terminal::tell(format_args!("--comment: {error}"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Its number: of the recording, else of the workflow that runs here.
fn pull_request(job: &JobReport, env: &Env) -> Option<u64> {
    let of_workflow = || {
        let reference = env.get("GITHUB_REF")?.strip_prefix("refs/pull/")?;
        reference.split('/').next()?.parse().ok()
    };
    job.run.pull_request.parse().ok().or_else(of_workflow)
}
