//! The job that somebody means.

use std::path::Path;

use highwater_wire::report::JobReport;
use uuid::Uuid;

use super::CommandError;
use crate::{ci::Env, cli::JobWord, regular};

/// What `highwater start` leaves to the next steps.
const VARIABLE: &str = "HIGHWATER_JOB";

/// The job that is named by its uuid or its summary, else by the environment; none where neither names one.
pub(super) fn job(word: Option<&JobWord>, env: &Env) -> Result<Option<Uuid>, CommandError> {
    match word {
        Some(JobWord::Uuid(job)) => Ok(Some(*job)),
        Some(JobWord::Summary(path)) => of_summary(path).map(Some),
        None => {
            let word = env.get(VARIABLE).filter(|word| !word.is_empty());
            let job = word.map(|word| word.parse());
            let job = job.transpose();
            job.map_err(|_| CommandError::NoJobInVariable(VARIABLE))
        }
    }
}

/// What to say of a job that is not in the spool where no server is named. One that a summary tells of is not asked by itself: a token may go with it.
pub(super) fn no_server(word: Option<&JobWord>, job: Uuid, spool: &Path) -> CommandError {
    let page = match word {
        Some(JobWord::Summary(path)) => read(path).ok().and_then(|report| report.url),
        _ => None,
    };
    let server = page.and_then(|page| {
        let server = page.strip_suffix(&format!("/jobs/{job}"))?;
        Some(format!("--server {server}"))
    });
    CommandError::SentAway {
        job,
        spool: spool.to_owned(),
        server: server.unwrap_or_else(|| "--server or HIGHWATER_SERVER".to_owned()),
    }
}

/// The job of which `--summary` wrote a file.
pub(super) fn of_summary(path: &Path) -> Result<Uuid, CommandError> {
    read(path).map(|report| report.uuid)
}

fn read(path: &Path) -> Result<JobReport, CommandError> {
    let unread = |why: String| CommandError::NoSummary(path.to_owned(), why);
    let text = regular::read_text(path).map_err(|error| unread(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unread(format!("it is no summary: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_job_is_no_variable_that_is_missing() {
        let of = |value: &str| {
            let env = Env::from([(VARIABLE.to_owned(), value.to_owned())]);
            job(None, &env)
        };
        let uuid = Uuid::from_u128(7);
        assert_eq!(of(&uuid.to_string()).unwrap(), Some(uuid));
        assert_eq!(of("").unwrap(), None);
        assert_eq!(job(None, &Env::new()).unwrap(), None);
        assert!(matches!(of("seven"), Err(CommandError::NoJobInVariable(_))));
    }
}
