//! Finds a program and asks it something, with a bound on its time.

use std::{
    ffi::OsStr,
    io::Read,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// More than that of what a program says is not read, bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The first executable file of a name in the folders of a `PATH`, whose empty and relative parts begin at `folder`.
pub(crate) fn find(name: &str, path: &str, folder: &Path) -> Option<PathBuf> {
    path.split(':')
        .map(|part| folder.join(part).join(name))
        .find(|file| {
            file.metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
}

/// Why a program did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// In words.
    pub(crate) why: String,
    /// It took longer than was waited for: nothing is known of it.
    pub(crate) was_slow: bool,
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self {
            why,
            was_slow: false,
        }
    }
}

/// What a program writes to its standard output until it ends it. One that takes longer is killed, with all of its process group.
///
/// # Errors
/// When it cannot be started, takes too long or does not end well.
pub(crate) fn ask(command: &mut Command, patience: Duration) -> Result<String, Unanswered> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(OsStr::new(""))
        .to_string_lossy()
        .into_owned();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let (sender, said) = channel();
    if let Some(stdout) = child.stdout.take() {
        let read = move || {
            let mut text = Vec::new();
            let read = stdout.take(MOST_BYTES).read_to_end(&mut text);
            // Nobody listens any more only after the time is over.
            drop(sender.send(read.map(|_| String::from_utf8_lossy(&text).into_owned())));
        };
        if let Err(error) = thread::Builder::new().spawn(read) {
            kill_group(child.id());
            let ended = child
                .wait()
                .map_err(|error| format!("{name} was lost: {error}"))?;
            return Err(format!("nobody can listen to {name} ({ended}): {error}").into());
        }
    }
    let deadline = Instant::now() + patience;
    let said = said.recv_timeout(patience);
    // One that closes its output and goes on is not waited for any longer either.
    let mut ended = child.try_wait();
    while matches!(ended, Ok(None)) {
        if said.is_err() || Instant::now() >= deadline {
            kill_group(child.id());
            ended = child.wait().map(Some);
        } else {
            thread::sleep(Duration::from_millis(2));
            ended = child.try_wait();
        }
    }
    match (said, ended) {
        (Ok(Ok(text)), Ok(Some(status))) if status.success() => Ok(text),
        (Ok(_), Ok(Some(status))) => Err(format!("{name} ended with {status}").into()),
        (Ok(_), Err(error)) => Err(format!("{name} was lost: {error}").into()),
        _ => Err(Unanswered {
            why: format!(
                "{name} did not answer within {} s and was stopped",
                patience.as_secs()
            ),
            was_slow: true,
        }),
    }
}

fn kill_group(pid: u32) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        kill_process_group(group, Signal::KILL).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        let root = tempfile::tempdir().unwrap();
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("c/tool", 0o755)] {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(root.path().join("d/tool")).unwrap();
        for (path, expected) in [
            ("a:d:b:c", Some("b/tool")),
            ("nowhere:c:b", Some("c/tool")),
            ("a:d", None),
            ("", None),
        ] {
            let found = find("tool", path, root.path());
            let expected = expected.map(|name| root.path().join(name));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_is_said_is_answered_and_a_bad_end_is_told() {
        let long = Duration::from_secs(60);
        let of = |script: &str| ask(Command::new("sh").args(["-c", script]), long);
        assert_eq!(of("echo said; echo not >&2"), Ok("said\n".to_owned()));
        assert_eq!(
            of("exit 3"),
            Err("sh ended with exit status: 3".to_owned().into())
        );
        let told = ask(&mut Command::new("/no/such/program"), long).unwrap_err();
        assert!(
            told.why.starts_with("program cannot be started: "),
            "{told:?}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_stopped_with_what_it_started() {
        let began = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 600 & wait"]);
        let told = ask(&mut command, Duration::from_millis(200)).unwrap_err();
        assert!(
            told.was_slow && told.why.ends_with("and was stopped"),
            "{told:?}"
        );
        // The reader would still wait if the grandchild held the pipe: a bound far below its 600 s and far above what it takes.
        assert!(began.elapsed() < Duration::from_secs(120));
    }
}
