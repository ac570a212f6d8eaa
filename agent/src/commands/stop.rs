//! `highwater stop`: ends what `highwater start` began, sends what is left and tells the figures.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use highwater_wire::codec;

use super::{
    CommandError, environment, lost, others, step_summary, tell,
    told::{self, Sent},
    working_folder,
};
use crate::{
    background::{
        find::{self, Started},
        state::{self, Orders, Outcome, Stop},
    },
    ci::Env,
    cli::StopTask,
    exit_codes,
    procfs::Procfs,
    settings::{self, Given, Token},
    shipper::{self, Client},
    signals,
    spool::{self, SpoolError, Unwritten},
    summary::{self, look},
    terminal,
    tree::ProcessKey,
};

/// How long the agent may take to end: its own patience with a server, and time for a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an agent whose folder was removed may take to make it anew.
const MADE_ANEW: Duration = Duration::from_secs(5);
/// How long sending may take in the stead of an agent that is gone.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(20);
const SIGTERM: i32 = 15;
/// Of a name that is shown.
const MOST_COLUMNS: usize = 200;

/// Ends the recording.
///
/// # Errors
/// When it is not said which of several is meant, or none of them is called so. Whatever else keeps it from being ended or sent is told, and is
/// no error: a job does not fail for want of its recording.
pub fn stop(task: StopTask) -> Result<u8, CommandError> {
    match end(task) {
        Err(error) if !is_misuse(&error) => {
            terminal::tell(error);
            Ok(exit_codes::OK)
        }
        ended => ended,
    }
}

fn is_misuse(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::Several(_) | CommandError::NoneCalled { .. }
    )
}

fn end(task: StopTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        spool: task.spool,
        summary: task.summary,
        step_summary: task.step_summary,
        quiet: task.quiet,
        ..Given::default()
    };
    let quiet = settings::quiet(&given, &env);
    let summary = settings::summary(&given, &env);
    let step_summary = settings::step_summary(given.clone(), &env, &working_folder());
    let places = settings::places(given, &env, &working_folder())?;
    tell(&places.problems);
    let started = match one(&places.spool, task.job.as_deref()) {
        Err(CommandError::WithoutFolder { agent, .. }) => return end_without_folder(agent),
        started => started?,
    };
    let word = Stop {
        exit_code: task.exit_code,
        ci_status: task.status.unwrap_or_else(|| ci_status(&env)),
        agent_lost: false,
    };
    let folder = started.folder.as_path();
    let page = started.agent.page.as_deref().map(shown);
    let server = server_of(folder);
    let sent = match started.lives {
        true => end_agent(&started, &word)?,
        false => None,
    };
    if sent.is_none() && !spool::is_job(folder) {
        tell_gone(server.as_deref(), page.as_deref());
        return Ok(exit_codes::OK);
    }
    let (left, end) = match (&sent, spool::read_end(folder)) {
        (None, Ok(None)) => complete(folder, word)?,
        _ => (Unwritten::default(), summary::End::InSpool),
    };
    let digest = match summary::digest_of(folder, Vec::new(), end) {
        Ok(digest) => Some(digest),
        Err(error) => {
            terminal::tell(format_args!("no summary: {error}"));
            None
        }
    };
    if let Some(digest) = digest.as_ref().filter(|_| !quiet) {
        let look = look::of_stderr(&env);
        terminal::show(&summary::terminal(digest, page.as_deref(), &look));
    }
    if let Some(digest) = digest.as_ref().filter(|_| step_summary) {
        step_summary::add(digest, page.as_deref(), &env);
    }
    let sent = match (sent, &server) {
        (Some(sent), _) => Some(sent),
        (None, Some(server)) => Some(send(folder, server, places.token.as_ref(), &env, left)),
        (None, None) => None,
    };
    let sent = sent.filter(|_| server.is_some());
    let kept = told::settle(folder, sent.as_ref());
    let mut digest = digest;
    if let (Some(file), Some(digest)) = (&summary, &mut digest) {
        told::write_summary(file, digest, page, kept.as_deref());
    }
    // Last of all: a server may take its time.
    if let (Some(digest), None) = (digest.filter(|_| !quiet), &kept) {
        others::tell(&digest, server.as_deref(), places.token.as_ref(), &env);
    }
    let uuid = started.agent.uuid;
    told::tell_unsent(
        server.as_deref(),
        uuid,
        kept.as_deref().map(|kept| (kept, false)),
        sent.as_ref(),
        quiet,
    );
    Ok(exit_codes::OK)
}

/// A name from a file that tests can write, as it may stand on a terminal.
pub(super) fn shown(name: &str) -> String {
    summary::fitted(name, MOST_COLUMNS)
}

/// Says that nothing is left of a recording whose agent ended while it was to be told to.
fn tell_gone(server: Option<&str>, page: Option<&str>) {
    match (server, page) {
        (Some(_), Some(page)) => terminal::tell(format_args!(
            "the recording ended meanwhile and its folder is gone: all of it was sent, or something removed it; {page} shows what arrived"
        )),
        _ => terminal::tell(
            "the job's folder was removed while the recording went on: what was recorded is lost",
        ),
    }
}

/// The one job that was started here. An agent whose folder was removed makes it anew, and is waited for.
pub(super) fn one(root: &Path, job: Option<&str>) -> Result<Started, CommandError> {
    let procfs = Procfs::system();
    let until = Instant::now() + MADE_ANEW;
    loop {
        let found = one_with_folder(root, job);
        let Err(CommandError::NotStarted(_)) = found else {
            return found;
        };
        let present = |name: &str| std::env::var_os(name);
        let Some((agent, folder)) = find::without_folder(&procfs, root, present) else {
            // There is none, or what tells of it has just come back.
            return one_with_folder(root, job);
        };
        if Instant::now() >= until {
            return Err(CommandError::WithoutFolder { agent, folder });
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn one_with_folder(root: &Path, job: Option<&str>) -> Result<Started, CommandError> {
    let procfs = Procfs::system();
    if job.is_none()
        && let Some(named) = find::named(&procfs, |name| std::env::var_os(name))
    {
        return Ok(named);
    }
    let mut found = find::here(&procfs, root, job)?;
    match (found.pop(), found.as_slice()) {
        (None, _) => Err(none_called(&procfs, root, job)),
        (Some(one), []) => Ok(one),
        (Some(one), others) => {
            let all = others.iter().chain([&one]);
            Err(CommandError::Several(names(all)))
        }
    }
}

/// A name that is nobody's is only then surely wrong when others were started here: the one that is meant may not have been recorded, or be sent.
fn none_called(procfs: &Procfs, root: &Path, job: Option<&str>) -> CommandError {
    let others = match job {
        Some(_) => find::here(procfs, root, None).unwrap_or_default(),
        None => Vec::new(),
    };
    match job {
        Some(job) if !others.is_empty() => CommandError::NoneCalled {
            job: shown(job),
            others: names(&others),
        },
        _ => CommandError::NotStarted(root.to_path_buf()),
    }
}

fn names<'a>(started: impl IntoIterator<Item = &'a Started>) -> String {
    let name = |it: &Started| format!("{} ({})", shown(&it.agent.job), it.agent.uuid);
    started.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Ends the agent of a job whose folder was cleared away and not made anew; there is nothing left to tell.
fn end_without_folder(agent: ProcessKey) -> Result<u8, CommandError> {
    let pid = agent.pid;
    signals::send(&Procfs::system(), agent, SIGTERM)
        .map_err(|source| CommandError::NotTold { pid, source })?;
    terminal::tell(
        "the job's folder was removed while the recording went on, and could not be made anew: the agent was told to end and sends what it holds; what else had not been sent is lost",
    );
    Ok(exit_codes::OK)
}

/// Tells the agent to end and waits until it has; what became of the sending, or `None` where it died meanwhile or leaves that to whoever stops it.
fn end_agent(started: &Started, word: &Stop) -> Result<Option<Sent>, CommandError> {
    let (folder, process) = (&started.folder, started.agent.process);
    if let Err(error) = word.write(folder) {
        // On a full disk: ended it must be all the same, and its end makes room.
        terminal::tell(format_args!(
            "the agent is told to end, but not the exit code and the CI's word: {error}"
        ));
    }
    let procfs = Procfs::system();
    if let Err(source) = signals::send(&procfs, process.into(), SIGTERM)
        && process.lives(&procfs)
    {
        let pid = process.pid;
        return Err(CommandError::NotTold { pid, source });
    }
    let until = Instant::now() + PATIENCE;
    while process.lives(&procfs) {
        if Instant::now() >= until {
            return Err(CommandError::DoesNotEnd {
                pid: process.pid,
                seconds: PATIENCE.as_secs(),
                log: folder.join(state::LOG),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    let outcome = Outcome::read(folder).unwrap_or_else(|error| {
        terminal::tell(format_args!(
            "what became of the sending is not known: {error}"
        ));
        None
    });
    let Some(outcome) = outcome else {
        return Ok(None);
    };
    for warning in &outcome.warnings {
        terminal::tell(warning);
    }
    Ok((!outcome.left_to_stop).then_some(Sent {
        complete: outcome.complete,
        reason: outcome.reason,
    }))
}

/// Completes the recording of an agent that is gone; what the disk has no room for, and how it ended.
fn complete(folder: &Path, word: Stop) -> Result<(Unwritten, summary::End), CommandError> {
    terminal::tell("the agent is gone: what it recorded until then is told");
    let _lock = spool::lock_of_gone(folder)?;
    let word = Stop {
        agent_lost: true,
        ..word
    };
    match lost::complete(folder, |end| lost::say(end, &word)) {
        Err(SpoolError::Busy(_)) => {
            terminal::tell("a pytest of it still runs, so its end stays open");
            // Whoever completes it later cannot know what was found here.
            if let Err(error) = word.write(folder) {
                terminal::tell(error);
            }
            let end = lost::so_far(folder, |end| lost::say(end, &word))?;
            Ok((Unwritten::default(), summary::End::Known(end)))
        }
        completed => {
            let left = completed?;
            let end = end_of(&left);
            Ok((left, end))
        }
    }
}

fn end_of(left: &Unwritten) -> summary::End {
    let end = left.end.as_ref().and_then(|end| codec::decode(end).ok());
    end.map_or(summary::End::InSpool, summary::End::Known)
}

fn server_of(folder: &Path) -> Option<String> {
    Orders::read(folder).ok().flatten()?.server
}

fn send(folder: &Path, server: &str, token: Option<&Token>, env: &Env, left: Unwritten) -> Sent {
    let uuid = match spool::uuid_of(folder) {
        Ok(uuid) => uuid,
        Err(error) => {
            return Sent {
                complete: false,
                reason: error.to_string(),
            };
        }
    };
    let client = Client::new(server, token, env, uuid);
    Sent::from(&shipper::send_whole(client, folder, left, UPLOAD_PATIENCE))
}

/// What the CI itself says of the job: GitLab tells its `after_script`.
fn ci_status(env: &Env) -> String {
    env.get("CI_JOB_STATUS").cloned().unwrap_or_default()
}
