//! `highwater run`: records a command from its settings to its summary.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use highwater_wire::{VERSION, v1};
use uuid::Uuid;

use super::{
    environment, others, planned,
    run::{self, RecordingProps, RunOutcome, RunProps},
    step_summary, tell,
    told::{self, Sent},
    working_folder,
};
use crate::{
    cli::RunTask,
    closing::{Closed, Sending},
    exit_codes,
    injection::{self, Outer, outer_job},
    plugin_files,
    settings::{self, Settings},
    shipper::{self, Client, Shipper},
    spool::Spool,
    summary::{self, look},
    terminal,
};

/// Everything that stands ready before the command starts.
struct Prepared {
    settings: Settings,
    folder: PathBuf,
    uuid: Uuid,
    stream: Uuid,
    shipper: Option<Shipper>,
    page: Option<String>,
}

/// Runs the command and records it; the exit code is the command's.
///
/// Whatever is wrong with the settings, the command runs; but not where a flag names a plan of which no shard can be run: the whole suite would run instead of
/// a part.
pub fn record(mut task: RunTask) -> u8 {
    let env = environment();
    if let Err(error) = planned::settle(&mut task.given, &env) {
        terminal::tell(format_args!("{error}; nothing was run"));
        return exit_codes::FAILED;
    }
    let outer = outer_job(|name| std::env::var_os(name));
    let by_flags = injection::of_plan(task.given.plan.as_deref(), task.given.shard);
    if outer == Outer::Recorded {
        let error = run::become_command(&task.command, by_flags);
        terminal::tell(&error);
        return error.exit_code();
    }
    let words: Vec<String> = task
        .command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let quiet = settings::quiet(&task.given, &env);
    if let Outer::Over(job) = &outer
        && !quiet
    {
        terminal::tell(format_args!(
            "job {job}, which the environment names, is not recorded any more: this command is recorded as a job of its own"
        ));
    }
    let settings = settings::resolve(task.given, &env, &working_folder(), &words);
    let variables = match &settings {
        Ok(settings) => {
            let shard = settings.job.shard.map(|shard| (shard.index, shard.total));
            injection::of_plan(settings.plan.as_deref(), shard)
        }
        Err(_) => by_flags,
    };
    let prepared = settings
        .map_err(|error| error.to_string())
        .and_then(prepare);
    let (prepared, recording) = match prepared {
        Ok((prepared, recording)) => (Some(prepared), Some(recording)),
        Err(reason) => {
            terminal::tell(format_args!("not recording: {reason}"));
            (None, None)
        }
    };
    if let Some(prepared) = prepared.as_ref().filter(|_| !quiet) {
        terminal::tell(announcement(prepared));
    }
    let mut outcome = run::run(RunProps {
        command: task.command,
        variables,
        recording,
    });
    if let Some(error) = &outcome.not_started {
        terminal::tell(error);
    }
    for warning in &outcome.warnings {
        terminal::tell(warning);
    }
    if let Some(prepared) = prepared {
        if outcome.not_started.is_some() && prepared.page.is_none() {
            forget(&prepared.folder, &mut outcome);
        } else {
            let quiet = quiet || outcome.not_started.is_some();
            match outcome.batches {
                Some(batches) => {
                    let concluding = || conclude(prepared, &mut outcome, batches, quiet);
                    if let Err(fault) = summary::guarded(concluding) {
                        terminal::tell(fault);
                    }
                }
                None => leave(prepared, &outcome),
            }
        }
    }
    outcome.exit_code
}

/// Of a command that never ran there is nothing to keep, unless a server was told that it began.
fn forget(folder: &Path, outcome: &mut RunOutcome<Spool>) {
    drop(outcome.sink.take());
    if let Err(error) = shipper::discard(folder) {
        terminal::tell(format_args!("{}: {error}", folder.display()));
    }
}

fn prepare(settings: Settings) -> Result<(Prepared, RecordingProps<Spool>), String> {
    tell(&settings.places.problems);
    let places = &settings.places;
    let uuid = Uuid::now_v7();
    let plugin = settings
        .plugin
        .then(|| plugin_files::unpack(&settings.plugin_root))
        .transpose()
        .map_err(|error| error.to_string())?;
    let spool =
        Spool::create(&places.spool, &settings.job, uuid).map_err(|error| error.to_string())?;
    let spool = spool.with_elsewhere(settings::spool_elsewhere(&places.spool, &environment()));
    let client = places
        .server
        .as_deref()
        .map(|server| Client::new(server, places.token.as_ref(), &environment(), uuid));
    let page = client.as_ref().map(Client::page);
    let shipper = match client
        .map(|client| Shipper::start(client, spool.folder(), spool.handoff()))
        .transpose()
    {
        Ok(shipper) => shipper,
        Err(error) => {
            terminal::tell(format_args!("not sending while recording: {error}"));
            None
        }
    };
    let prepared = Prepared {
        folder: spool.folder().to_path_buf(),
        uuid,
        stream: spool.stream(),
        shipper,
        page,
        settings: settings.clone(),
    };
    let recording = RecordingProps {
        uuid,
        events: spool.events(),
        sink: spool,
        plugin,
        repo_root: Some(settings.repo_root),
        backend: settings.backend,
        exact: settings.exact,
        diagnose: settings.diagnose,
        protects: settings.protects,
        guarded: settings.guarded,
        forewarns: settings.forewarns,
        job: settings.job,
    };
    Ok((prepared, recording))
}

fn announcement(prepared: &Prepared) -> String {
    match &prepared.page {
        Some(page) => format!("recording to {page}"),
        None => format!(
            "recording to {} (no server is named; `highwater upload` sends it)",
            prepared.folder.display()
        ),
    }
}

/// Closes the recording, sends what is left and tells the figures. Nothing here changes how the command ended.
fn conclude(mut prepared: Prepared, outcome: &mut RunOutcome<Spool>, batches: u64, quiet: bool) {
    let end = v1::End {
        version: VERSION,
        ended_us: outcome.ended_us,
        exit_code: outcome.command_exit.or_else(|| {
            outcome
                .not_started
                .as_ref()
                .map(|_| i32::from(outcome.exit_code))
        }),
        signal: outcome.command_signal,
        streams: vec![v1::StreamCount {
            stream: prepared.stream.to_string(),
            batches,
        }],
        agent_lost: false,
        forwarded_signal: outcome.forwarded_signal,
        ..v1::End::default()
    };
    if let Some(spool) = &outcome.sink {
        prepared.folder = spool.folder().to_path_buf();
    }
    // From here on nothing but the end is written.
    let _lock = outcome.sink.take().and_then(Spool::into_lock);
    let stream = prepared.stream;
    let (closed, warning) = Closed::with_end(&prepared.folder, stream, &outcome.unwritten, &end);
    if let Some(warning) = warning {
        terminal::tell(warning);
    }
    let beside = std::mem::take(&mut outcome.unwritten).into_iter();
    let beside = beside.map(|(seq, batch)| (stream, seq, batch)).collect();
    let digest = match summary::digest_of(&prepared.folder, beside, summary::End::Known(end)) {
        Ok(digest) => Some(digest),
        Err(error) => {
            terminal::tell(format_args!("no summary: {error}"));
            None
        }
    };
    if let Some(digest) = digest.as_ref().filter(|_| !quiet) {
        let look = look::of_stderr(&environment());
        terminal::show(&summary::terminal(digest, prepared.page.as_deref(), &look));
    }
    if let Some(digest) = digest.as_ref().filter(|_| prepared.settings.step_summary) {
        step_summary::add(digest, prepared.page.as_deref(), &environment());
    }
    let Sending {
        outcome: sent,
        lost,
    } = closed.send(prepared.shipper, &outcome.hurry);
    let sent = sent.as_ref().map(Sent::from);
    if let Some(lost) = lost {
        terminal::tell(lost);
    }
    let kept = told::settle(&prepared.folder, sent.as_ref());
    let mut digest = digest;
    if let (Some(file), Some(digest)) = (&prepared.settings.summary, &mut digest) {
        told::write_summary(file, digest, prepared.page, kept.as_deref());
    }
    let places = &prepared.settings.places;
    let hurries = outcome.hurry.load(Ordering::Relaxed);
    // Last of all: a server may take its time.
    if let (Some(digest), None) = (digest.filter(|_| !quiet && !hurries), &kept) {
        let server = places.server.as_deref();
        others::tell(&digest, server, places.token.as_ref(), &environment());
    }
    told::tell_unsent(
        places.server.as_deref(),
        prepared.uuid,
        kept.as_deref()
            .map(|kept| (kept, kept.parent() != Some(&places.spool))),
        sent.as_ref(),
        quiet,
    );
}

/// Leaves a recording whose recorder did not come to its end. Nothing here asks its disk, which may hang: the command's exit code comes all the same.
fn leave(prepared: Prepared, outcome: &RunOutcome<Spool>) {
    let sending = Closed::without_end().send(prepared.shipper, &outcome.hurry);
    if let Some(sent) = sending.outcome.filter(|sent| !sent.refused.is_empty()) {
        terminal::tell(sent.reason());
    }
    let server = prepared.settings.places.server.as_deref();
    terminal::tell(format_args!(
        "no summary of it, and no end; kept in {}; `highwater upload --server {} {}` completes and sends it",
        prepared.folder.display(),
        server.unwrap_or("URL"),
        prepared.uuid
    ));
}
