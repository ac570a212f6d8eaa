//! `highwater start`: begins a recording beside the steps of a CI job and returns.

use std::{
    ffi::OsString,
    fmt::Display,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::{fd::BorrowedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
};
use uuid::Uuid;

use super::{CommandError, environment, tell, working_folder};
use crate::{
    backend::Backend,
    background::{
        Standing,
        exports::{self, Variables},
        find::{self, Started},
        state::{self, Orders},
    },
    cli::StartTask,
    exit_codes,
    injection::Injection,
    plugin_files,
    procfs::Procfs,
    regular,
    settings::{self, Settings},
    spool, terminal,
    tree::{BACKGROUND, CHAIN_FLAG, chain_word},
};

/// How long the agent may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// The line by which the agent says that it records.
pub(super) const READY: &str = "ready";

/// What a job begins with.
struct Beginning {
    folder: PathBuf,
    orders: Orders,
}

/// Starts the agent and tells the next steps of it.
///
/// # Errors
/// When a recording was started here already. Whatever else keeps it from recording is told, and is no error: the tests run without.
pub fn start(task: StartTask) -> Result<u8, CommandError> {
    let env = environment();
    let quiet = settings::quiet(&task.given, &env);
    let settings = match settings::resolve(task.given, &env, &working_folder(), &[]) {
        Ok(settings) => settings,
        Err(error) => return Ok(not_recording(error)),
    };
    tell(&settings.places.problems);
    if settings.backend == Backend::Sysinfo {
        return Ok(not_recording(
            "who belongs to a job in the background is known on Linux alone (--backend linux); `highwater run --backend sysinfo` records a command",
        ));
    }
    let procfs = Procfs::system();
    let standing = match Standing::of(&procfs, std::process::id(), task.runner_pid) {
        Ok(standing) => standing,
        Err(error) => return Ok(not_recording(error)),
    };
    if let (Some(pid), None) = (task.runner_pid, standing.runner) {
        return Err(CommandError::NoRunner(pid));
    }
    // Of two that start at once the second shall see the first.
    let _turn = turn(&settings.places.spool);
    let before = match job_before(&procfs, &settings, &standing) {
        Err(CommandError::Find(error)) => return Ok(not_recording(error)),
        before => before?,
    };
    let beginning = beginning(&settings, &standing, before, task.max_age_us);
    match begin(&settings, &beginning) {
        Ok(variables) => {
            let exported = export(&variables, task.print_env);
            if !quiet {
                announce(&beginning, &settings, &standing, &exported, task.print_env);
            }
        }
        Err(reason) => return Ok(not_recording(reason)),
    }
    Ok(exit_codes::OK)
}

/// What keeps the agent from recording fails no job.
fn not_recording(why: impl Display) -> u8 {
    terminal::tell(format_args!("not recording: {why}"));
    exit_codes::OK
}

/// Waits for the turn to start below a spool; none where there is no room for its file, and nobody is waited for.
fn turn(spool: &Path) -> Option<File> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(spool);
    made.ok()?;
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let file = regular::open_with(&mut options, &spool.join("start.lock")).ok()?;
    flock(&file, FlockOperation::LockExclusive).ok()?;
    Some(file)
}

/// The job here whose agent is gone and that can be gone on with.
fn job_before(
    procfs: &Procfs,
    settings: &Settings,
    standing: &Standing,
) -> Result<Option<Started>, CommandError> {
    let present = |name: &str| std::env::var_os(name);
    let named = find::named(procfs, present);
    if named.is_none()
        && let Some(job) = job_of_run(present)
    {
        return Err(CommandError::BelowRun(job));
    }
    let chain: Vec<state::Process> = standing.chain.iter().copied().map(Into::into).collect();
    let mut before: Vec<Started> = find::here(procfs, &settings.places.spool, None)?;
    before.retain(|started| {
        let agent = &started.agent;
        agent.job == settings.job.name
            && agent.project == settings.job.project
            && agent.chain.last() == chain.last()
    });
    for started in named.into_iter().chain(before) {
        if started.lives {
            return Err(CommandError::Started {
                job: started.agent.job,
                uuid: started.agent.uuid,
                pid: started.agent.process.pid,
            });
        }
        let goes_on = spool::read_end(&started.folder).is_ok_and(|end| end.is_none())
            && spool::read_job(&started.folder)
                .is_ok_and(|job| job.boot_id == settings.job.boot_id);
        if goes_on {
            return Ok(Some(started));
        }
    }
    Ok(None)
}

/// The job of a `highwater run` around this command, whose agent still records.
fn job_of_run(present: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    let job = present("HIGHWATER_JOB")?;
    let events = PathBuf::from(present("HIGHWATER_EVENTS")?);
    spool::is_locked(events.parent()?).then(|| job.to_string_lossy().into_owned())
}

fn beginning(
    settings: &Settings,
    standing: &Standing,
    before: Option<Started>,
    max_age_us: u64,
) -> Beginning {
    let goes_on = before.is_some();
    let uuid = before
        .as_ref()
        .map_or_else(Uuid::now_v7, |before| before.agent.uuid);
    let folder = before.map_or_else(
        || settings.places.spool.join(uuid.to_string()),
        |before| before.folder,
    );
    let mut job = settings.job.clone();
    job.background = true;
    if goes_on && let Ok(known) = spool::read_job(&folder) {
        job = known;
    }
    let own = Procfs::system().stat(std::process::id(), &mut Vec::new());
    let now_ticks = own.ok().flatten().map_or(0, |stat| stat.start_ticks);
    let orders = Orders {
        uuid,
        job,
        repo_root: Some(settings.repo_root.clone()),
        server: settings.places.server.clone(),
        chain: standing.chain.iter().copied().map(Into::into).collect(),
        runner: standing.runner.map(Into::into),
        runner_command: standing.command.clone(),
        is_container: standing.is_container,
        since_ticks: if standing.is_of_one_job { 0 } else { now_ticks },
        max_age_us,
        plugin: settings.plugin,
        protects: settings.protects,
        goes_on,
        guarded: settings.guarded,
        forewarns: settings.forewarns,
    };
    Beginning { folder, orders }
}

/// Starts the agent, waits until it records, and answers the variables for the next steps.
fn begin(settings: &Settings, beginning: &Beginning) -> Result<Variables, String> {
    let Beginning { folder, orders } = beginning;
    let at = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
    let plugin = plugin_files::unpack(&settings.plugin_root).map_err(|error| error.to_string())?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| at(folder, &error))?;
    orders.write(folder).map_err(|error| error.to_string())?;
    state::reserve(folder).map_err(|error| error.to_string())?;
    let path = folder.join(state::LOG);
    let log = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|error| at(&path, &error))?;
    launch(folder, orders, log)?;
    let mut variables = vec![("HIGHWATER_JOB", OsString::from(orders.uuid.to_string()))];
    if !orders.plugin {
        return Ok(variables);
    }
    let injection = Injection {
        events: &folder.join("events"),
        plugin: &plugin,
        repo_root: Some(&settings.repo_root),
        exact: settings.exact,
        diagnose: settings.diagnose,
    };
    variables.extend(injection.variables(|name| std::env::var_os(name)));
    Ok(variables)
}

fn launch(folder: &Path, orders: &Orders, log: File) -> Result<(), String> {
    let failed = |error: io::Error| format!("the agent cannot be started: {error}");
    let program = std::env::current_exe().map_err(failed)?;
    keep_descriptors_to_ourselves();
    let chain: Vec<_> = orders.chain.iter().copied().map(Into::into).collect();
    let mut child = Command::new(program)
        .arg(BACKGROUND)
        .args([CHAIN_FLAG, &chain_word(&chain)])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    let (told, heard) = channel();
    if let Some(stdout) = child.stdout.take() {
        // A disk that hangs must not hold up the CI's step.
        let listen = move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line).map(|_| line);
            // Nobody listens any more only when it took too long.
            let _ = told.send(read);
        };
        if let Err(error) = thread::Builder::new().spawn(listen) {
            drop(child.kill());
            return Err(failed(error));
        }
    }
    let line = match heard.recv_timeout(PATIENCE) {
        Ok(line) => line.map_err(failed)?,
        Err(RecvTimeoutError::Disconnected) => String::new(),
        Err(RecvTimeoutError::Timeout) => {
            drop(child.kill());
            return Err(format!(
                "the agent did not begin within {} s (a disk that hangs?)",
                PATIENCE.as_secs()
            ));
        }
    };
    match line.trim_end() {
        READY => Ok(()),
        "" => Err(format!(
            "the agent ended before it recorded; see {}",
            folder.join(state::LOG).display()
        )),
        reason => Err(reason.to_owned()),
    }
}

/// The agent stays: a pipe that it inherited would keep whoever reads the other end waiting for it.
fn keep_descriptors_to_ourselves() {
    for entry in std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number: &i32| *number > 2) else {
            continue;
        };
        #[expect(
            unsafe_code,
            reason = "the standard library names only its own descriptors"
        )]
        // SAFETY: the number was just listed as an open descriptor of this process, which has one thread; it is used for two calls that
        // neither close nor keep it. If it is that of the listing itself, it is closed only afterwards.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(descriptor) {
            // One that cannot be changed is inherited; nothing worse comes of it.
            let _ = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC);
        }
    }
}

/// Tells the next steps; answers by what.
fn export(variables: &Variables, print_env: bool) -> Vec<&'static str> {
    if print_env {
        terminal::answer_bytes(&exports::for_eval(variables));
        return Vec::new();
    }
    let exported = exports::export(variables, |name| std::env::var_os(name));
    for failed in &exported.failed {
        terminal::tell(format_args!(
            "the next steps are not told of the recording by {failed}"
        ));
    }
    exported.written
}

fn announce(
    beginning: &Beginning,
    settings: &Settings,
    standing: &Standing,
    exported: &[&str],
    print_env: bool,
) {
    let Beginning { folder, orders } = beginning;
    let again = if orders.goes_on { "again " } else { "" };
    match &settings.places.server {
        Some(server) => {
            let env = environment();
            let token = settings.places.token.as_ref();
            let page = crate::shipper::Client::new(server, token, &env, orders.uuid).page();
            terminal::tell(format_args!("recording {again}to {page}"));
        }
        None => terminal::tell(format_args!(
            "recording {again}to {} (no server is named; `highwater upload` sends it)",
            folder.display()
        )),
    }
    match standing.runner {
        Some(runner) => terminal::tell(format_args!(
            "until `highwater stop`, or until process {} ({}) ends",
            runner.pid, standing.command
        )),
        None => terminal::tell("until `highwater stop`"),
    }
    if !print_env && exported.is_empty() {
        terminal::tell(
            "this CI has no file for variables: `eval \"$(highwater start --print-env)\"` tells the next commands of the recording; \
             without, their tests are read from memory and have no exact peaks",
        );
    }
}
