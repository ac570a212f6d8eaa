//! `highwater status`: what an agent in the background sees.

use super::{CommandError, environment, stop, tell, working_folder};
use crate::{
    background::state::Process,
    cli::StatusTask,
    clock::JobClock,
    exit_codes,
    procfs::Procfs,
    settings::{self, Given},
    spool,
    summary::{self, Live, look},
    terminal,
};

/// Shows the job that was started here, as far as it is recorded.
///
/// # Errors
/// When none was started here, or its spool cannot be read.
pub fn status(task: StatusTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        spool: task.spool,
        ..Given::default()
    };
    let places = settings::places(given, &env, &working_folder())?;
    tell(&places.problems);
    let started = stop::one(&places.spool, task.job.as_deref())?;
    let has_ended = spool::read_end(&started.folder)?.is_some();
    let end = match started.lives && !has_ended {
        true => summary::End::NotYet,
        false => summary::End::InSpool,
    };
    let digest = summary::digest_of(&started.folder, Vec::new(), end)?;
    let Process { pid, .. } = started.agent.process;
    let procfs = Procfs::system();
    let page_bytes = rustix::param::page_size() as u64;
    let rss = |pid| {
        let statm = procfs.open_statm(pid, page_bytes).ok()??;
        Some(statm.read().ok()??.resident_bytes)
    };
    let clock = JobClock::new(spool::read_job(&started.folder)?.started_monotonic_us);
    let live = Live::of(&digest, (pid, started.lives), clock.now_us(), &rss);
    if task.json {
        let text = serde_json::to_string_pretty(&live).map_err(std::io::Error::other)?;
        terminal::answer(&text);
        return Ok(exit_codes::OK);
    }
    let look = look::of_stdout(&env);
    let who = match (started.lives, has_ended) {
        (true, _) => format!("process {pid} records"),
        (false, true) => "it has ended".to_owned(),
        (false, false) => format!(
            "its agent (process {pid}) is gone; `highwater start` goes on with it, `highwater stop` ends it"
        ),
    };
    terminal::answer(&format!(
        "job {} ({}): {who}",
        stop::shown(&started.agent.job),
        started.agent.uuid
    ));
    terminal::answer(&summary::status(&live, &digest, &look));
    Ok(exit_codes::OK)
}
