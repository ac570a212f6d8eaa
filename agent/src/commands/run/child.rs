//! The command as a child: how it is started and what its end means for the exit code.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
};

use rustix::{
    io::Errno,
    process::{WaitOptions, wait},
};

use super::RecordingProps;
use crate::{injection::Injection, signals};

/// Exit code for a program that is not there, as shells use it.
pub const NOT_FOUND: u8 = 127;
/// Exit code for a program that cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;

/// The command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No program of that name.
    #[error(
        "{program}: command not found; check its name and PATH, or, for a script, the program its first line names ({source})"
    )]
    NotFound {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is there and cannot be executed.
    #[error("{program}: cannot be executed; {hint} ({source})")]
    NotExecutable {
        /// The program.
        program: String,
        /// What to do.
        hint: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    pub(in crate::commands) fn new(program: &OsStr, source: io::Error) -> Self {
        let program = program.to_string_lossy().into_owned();
        let hint = match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NOTDIR) => return Self::NotFound { program, source },
            Some(Errno::ACCESS) => "make it executable (chmod +x), and see that it is a file",
            Some(Errno::NOEXEC) => {
                "give it a first line such as `#!/bin/sh`, or run it as `sh SCRIPT`"
            }
            Some(Errno::TOOBIG) => "its arguments and environment are too long",
            _ => "see what the system says",
        };
        Self::NotExecutable {
            program,
            hint,
            source,
        }
    }

    pub(super) fn no_command() -> Self {
        Self::new(OsStr::new(""), Errno::NOENT.into())
    }

    /// The exit code that shells use for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => NOT_FOUND,
            Self::NotExecutable { .. } => NOT_EXECUTABLE,
        }
    }
}

/// Starts the command in the agent's own process group, with its standard streams, and answers its number.
pub(super) fn start<S>(
    words: &[OsString],
    variables: Vec<(&'static str, OsString)>,
    recording: Option<&RecordingProps<S>>,
) -> Result<u32, StartError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(StartError::no_command());
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    if let Some(recording) = recording {
        command.env("HIGHWATER_JOB", recording.uuid.to_string());
        // A recording that the command makes is none of this one's.
        command.env_remove("HIGHWATER_CONFIRMS");
        if let Some(plugin) = &recording.plugin {
            let injection = Injection {
                events: &recording.events,
                plugin,
                repo_root: recording.repo_root.as_deref(),
                exact: recording.exact,
                diagnose: recording.diagnose,
            };
            command.envs(injection.variables(|name| std::env::var_os(name)));
            // By this a pytest knows that it runs inside a recorded one, which is none of this recording.
            command.env_remove("HIGHWATER_RECORDING");
        }
    }
    signals::hand_on(&mut command);
    let child = command
        .spawn()
        .map_err(|source| StartError::new(program, source))?;
    Ok(child.id())
}

/// Reaps one child that has ended; `None` when there is none. Waits for one when told to.
pub(super) fn reap(waits: bool) -> Option<(u32, ExitStatus)> {
    let options = if waits {
        WaitOptions::empty()
    } else {
        WaitOptions::NOHANG
    };
    let (pid, status) = rustix::io::retry_on_intr(|| wait(options)).ok().flatten()?;
    let pid = pid.as_raw_nonzero().get().cast_unsigned();
    Some((pid, ExitStatus::from_raw(status.as_raw())))
}

/// Exit code and signal; one of them is there.
pub(super) fn parts_of(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    (status.code(), status.signal())
}

/// What a shell would make of it: the exit code, or 128 and the signal's number.
pub(in crate::commands) fn exit_code_of(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
