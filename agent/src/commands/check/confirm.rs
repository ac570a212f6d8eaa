//! `highwater check --confirm -- CMD`: runs the files again of which something was found, as a job of its own, before anybody is told to be worse.

use std::{
    ffi::OsString,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use highwater_analysis::{
    check::{MOST_CONFIRMED, suspects, went_well},
    figures::shown,
};
use highwater_wire::report::{CheckReport, JobReport, JobState};
use uuid::Uuid;

use super::{MOST_BYTES, PATIENCE};
use crate::{ci, commands::CommandError, shipper::Client, terminal};

/// How long the server may take until it shows what the second run was.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// So long after one look at it comes the next.
const LOOKS_EACH: Duration = Duration::from_millis(250);
/// The token that the second run records with, where the one that asks may only read.
const RECORD_TOKEN: &str = "HIGHWATER_RECORD_TOKEN";
/// What would make the second run another than it is meant to be: the job around it, its plan, and files that are the first run's.
const NOT_FOR_IT: [&str; 5] = [
    "HIGHWATER_JOB",
    "HIGHWATER_EVENTS",
    "HIGHWATER_PLAN",
    "HIGHWATER_SUMMARY",
    "HIGHWATER_QUIET",
];

/// What a second run needs to know.
pub(super) struct Again<'a> {
    pub(super) job: Uuid,
    pub(super) client: &'a Client,
    pub(super) server: &'a str,
    pub(super) folder: &'a Path,
    pub(super) command: &'a [OsString],
}

impl Again<'_> {
    /// Runs the suspicious files again where there are any. True once the server knows of a second measurement; why there is none is told, and then what was found stands.
    pub(super) fn measure(&self, report: &CheckReport) -> Result<bool, CommandError> {
        let (paths, left) = suspects(report);
        if paths.is_empty() {
            return Ok(false);
        }
        let files = self.files(&paths);
        if files.is_empty() {
            return Ok(false);
        }
        if left > 0 {
            terminal::tell(format_args!(
                "{left} files more are not run again, as {MOST_CONFIRMED} are the most: what was found of them stands"
            ));
        }
        let first = self.read(self.job);
        let first = first.map_err(|why| CommandError::NotRead(self.job, why))?;
        let scratch = tempfile::TempDir::new()?;
        let summary = scratch.path().join("summary.json");
        let words = files.iter().map(|file| shown(&file.to_string_lossy()));
        let words = words.collect::<Vec<String>>().join(" ");
        terminal::tell(format_args!("running again, to confirm: {words}"));
        let status = self.command(&first, &files, &summary)?.status()?;
        let stands = |why: &str| {
            terminal::tell(format_args!(
                "the second run confirms nothing, and what was found stands: {why}"
            ));
            Ok(false)
        };
        let second = std::fs::read_to_string(&summary).ok();
        let second: Option<JobReport> = second.and_then(|text| serde_json::from_str(&text).ok());
        let Some(second) = second else {
            return stands(&format!("it was not recorded ({status})"));
        };
        if !went_well(&second) {
            let ending = second.ending.as_ref();
            let sentence = ending.map_or("it has no ending", |ending| &ending.sentence);
            return stands(&shown(sentence));
        }
        match self.settled(second.uuid) {
            Ok(()) => Ok(true),
            Err(why) => stands(&why),
        }
    }

    /// The files as they lie here; of one that does not it is told.
    fn files(&self, paths: &[&str]) -> Vec<PathBuf> {
        let root = ci::repo_root(self.folder).unwrap_or_else(|| self.folder.to_path_buf());
        let mut files = Vec::new();
        for path in paths {
            let here = [root.join(path), self.folder.join(path)];
            match here.into_iter().find(|file| file.is_file()) {
                Some(file) => files.push(
                    file.strip_prefix(self.folder)
                        .map_or(file.clone(), Path::to_path_buf),
                ),
                None => terminal::tell(format_args!(
                    "{} is not below {}, so it is not run again: what was found of it stands",
                    shown(path),
                    root.display()
                )),
            }
        }
        files
    }

    /// This program, to record the command with the files behind it as the same job again.
    fn command(&self, first: &JobReport, files: &[PathBuf], summary: &Path) -> io::Result<Command> {
        let own = std::env::current_exe()?;
        let mut again = Command::new(&own);
        again.arg("run").arg("--summary").arg(summary);
        let run = &first.run;
        let attempt = first.attempt.to_string();
        for (flag, value) in [
            ("--server", self.server),
            ("--project", &first.project),
            ("--job", &first.name),
            ("--provider", &run.provider),
            ("--run-id", &run.id),
            ("--attempt", &attempt),
            ("--branch", &first.branch),
            ("--commit", &first.commit),
            ("--base-commit", &run.base_commit),
            ("--pull-request", &run.pull_request),
            ("--event", &run.event),
        ] {
            if !value.is_empty() {
                // In one word: a value may look like a flag.
                again.arg(format!("{flag}={value}"));
            }
        }
        for (key, value) in &first.variant {
            again.arg(format!("--variant={key}={value}"));
        }
        if let Some(shard) = first.shard {
            let shard = format!("{}/{}", shard.index, shard.total);
            again.args(["--shard", &shard]);
        }
        if let Some(diagnosis) = &first.diagnosis {
            again.arg(match diagnosis.tracing_bytes {
                0 => "--diagnose",
                _ => "--diagnose=tracemalloc",
            });
        }
        // Each in a process of its own: behind another it might live in memory that that one freed, and seem to take nothing.
        again.arg("--").arg(own).arg("one-by-one");
        for file in files {
            let mut flag = OsString::from("--file=");
            flag.push(file);
            again.arg(flag);
        }
        again.arg("--").args(self.command);
        for name in NOT_FOR_IT {
            again.env_remove(name);
        }
        again
            .env("HIGHWATER_CONFIRMS", first.uuid.to_string())
            .env("HIGHWATER_STEP_SUMMARY", "false");
        if let Some(token) = std::env::var_os(RECORD_TOKEN).filter(|token| !token.is_empty()) {
            again.env("HIGHWATER_TOKEN", token).env_remove(RECORD_TOKEN);
        }
        // Standard output is for what the check answers.
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        again.stdout(Stdio::from(stderr));
        Ok(again)
    }

    /// Waits until the server shows the second run.
    fn settled(&self, uuid: Uuid) -> Result<(), String> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let why = match self.read(uuid) {
                Ok(job) if job.state != JobState::Running && job.revision > 0 => return Ok(()),
                Ok(_) => "it is not finalised yet".to_owned(),
                Err(why) => why,
            };
            if Instant::now() >= until {
                return Err(format!("the server does not show job {uuid}: {why}"));
            }
            thread::sleep(LOOKS_EACH);
        }
    }

    fn read(&self, uuid: Uuid) -> Result<JobReport, String> {
        let answer = self
            .client
            .read(&format!("/api/v1/jobs/{uuid}"), PATIENCE, MOST_BYTES)?;
        serde_json::from_str(&answer)
            .map_err(|error| format!("what it answers is not understood: {error}"))
    }
}
