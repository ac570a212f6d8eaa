//! Whether the tests of a pytest without the plugin can be read from its memory: tried on a Python of this machine.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use super::{Check, python::interpreter};
use crate::program::find;
use crate::{
    ci::Env,
    clock::thread_cpu_us,
    environ::{Look, Reader, Reason},
    procfs::Procfs,
};

const NAME: &str = "environ";
/// What a Python may take to start: a cold disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at for the cost.
const LOOKS: u16 = 200;
/// What the Python is told to run, and what it has to show.
const NODEID: &str = "test_of_the_doctor.py::test";
const CHILD: &str = "import os, sys\n\
    os.environ['PYTEST_CURRENT_TEST'] = 'test_of_the_doctor.py::test (call)'\n\
    print('ready', flush=True)\n\
    sys.stdin.read()\n";

/// Starts a Python that says of itself that it runs a test, and looks.
pub(super) fn environ(env: &Env, folder: &Path) -> Check {
    let Some(python) = python(env, folder) else {
        return Check::not_checked(
            NAME,
            "no Python was found to look at",
            "run `highwater doctor` inside the environment of the tests",
        );
    };
    let mut child = match Ready::start(&python) {
        Ok(child) => child,
        Err(why) => {
            let seen = format!("{}: {why}", python.display());
            return Check::not_checked(NAME, seen, "see what is wrong with that Python");
        }
    };
    let mut reader = Reader::new(Procfs::system(), child.0.id());
    let seen = match reader.look() {
        Look::Running { nodeid, .. } if nodeid == NODEID => Ok(()),
        Look::Running { .. } | Look::Idle => Err(None),
        Look::Unknown(reason) => Err(Some(reason.clone())),
    };
    let began = thread_cpu_us();
    for _ in 0..LOOKS {
        reader.look();
    }
    let cost_us = (thread_cpu_us() - began) as f64 / f64::from(LOOKS);
    child.end();
    judge(seen, cost_us, &python)
}

/// What a look at a Python that runs a test means; `Err(None)` where it was read and showed none.
pub(super) fn judge(seen: Result<(), Option<Reason>>, cost_us: f64, python: &Path) -> Check {
    let python = python.display();
    match seen {
        Ok(()) => Check::works(
            NAME,
            format!("{python} shows its test without the plugin, {cost_us:.1} µs a look"),
        ),
        Err(None) => Check::limited(
            NAME,
            format!("{python} shows no test in its memory"),
            format!("{ONLY_WITHOUT}; let the plugin load"),
        ),
        Err(Some(reason)) => {
            let mend = mend(&reason);
            Check::limited(
                NAME,
                format!("{python}: {reason}"),
                format!("{ONLY_WITHOUT}; {mend}"),
            )
        }
    }
}

const ONLY_WITHOUT: &str = "tests of a pytest without the plugin are not named";

fn mend(reason: &Reason) -> &'static str {
    match reason {
        Reason::PtraceScope { scope: 3 } => {
            "let the plugin load: this setting holds until the machine is booted with another"
        }
        Reason::PtraceScope { .. } => {
            "let the plugin load, or set kernel.yama.ptrace_scope to 1 (`sysctl -w`, as root, on the host of a container)"
        }
        Reason::OtherUser { .. } => {
            "let the plugin load, or run the agent as the user of the tests"
        }
        Reason::Forbidden => {
            "let the plugin load; a container needs the capability for it (`docker run --cap-add SYS_PTRACE`), and no profile that forbids it"
        }
        Reason::NoSymbol => {
            "let the plugin load: this Python is built so that its environment cannot be found"
        }
        Reason::Gone
        | Reason::Replaced { .. }
        | Reason::Unreadable { .. }
        | Reason::Changing
        | Reason::TooLarge => "let the plugin load",
    }
}

/// The Python of the `pytest` on the path, else the one on the path itself.
fn python(env: &Env, folder: &Path) -> Option<PathBuf> {
    let path = env.get("PATH").map_or("", String::as_str);
    find("pytest", path, folder)
        .and_then(|script| interpreter(&script, path, folder))
        .or_else(|| {
            let mut names = ["python3", "python"].into_iter();
            names.find_map(|name| find(name, path, folder))
        })
}

/// A Python that waits; killed when it is let go.
struct Ready(Child);

impl Ready {
    fn start(python: &Path) -> Result<Self, String> {
        let child = Command::new(python)
            .args(["-B", "-c", CHILD])
            .env_remove("PYTEST_CURRENT_TEST")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let mut ready = Self(child);
        let (sender, said) = channel();
        if let Some(stdout) = ready.0.stdout.take() {
            thread::spawn(move || {
                let mut lines = BufReader::new(stdout).lines();
                let is_ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
                // Nobody listens any more only after the time is over.
                sender.send(is_ready).ok();
            });
        }
        match said.recv_timeout(PATIENCE) {
            Ok(true) => Ok(ready),
            Ok(false) => Err("ended without a word".to_owned()),
            Err(_) => Err(format!("said nothing for {} s", PATIENCE.as_secs())),
        }
    }

    fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.end();
    }
}
