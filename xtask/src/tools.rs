//! Running other programs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    thread,
};

use crate::steps;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("cannot start `{program}`: {source}")]
    Start {
        program: String,
        source: std::io::Error,
    },
    #[error("`{command}` failed with {status}")]
    Failed {
        command: String,
        status: std::process::ExitStatus,
    },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Said(String),
}

pub(crate) type Done<T = ()> = Result<T, TaskError>;

pub(crate) fn said(text: impl Into<String>) -> TaskError {
    TaskError::Said(text.into())
}

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TaskError {
    move |source| TaskError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// A command in the workspace's root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn start_error(command: &Command, source: std::io::Error) -> TaskError {
    TaskError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

/// Runs to the end; anything but success is an error. What it puts out is seen where the task is not quiet.
pub(crate) fn run(command: &mut Command) -> Done {
    run_or(command, |code| code == Some(0))
}

/// The same where other exit codes are good too.
pub(crate) fn run_or(command: &mut Command, is_good: fn(Option<i32>) -> bool) -> Done {
    if steps::is_quiet() {
        return run_and_show(command, is_good);
    }
    let status = command
        .status()
        .map_err(|source| start_error(command, source))?;
    match is_good(status.code()) {
        true => Ok(()),
        false => Err(failed(command, status)),
    }
}

/// Runs to the end and answers whether it succeeded and what it printed. Its output is passed on where the task is not quiet, else shown when it fails.
pub(crate) fn run_and_read(command: &mut Command) -> Done<(bool, String)> {
    use std::io::{BufRead, BufReader};
    if steps::is_quiet() {
        let output = output(command)?;
        let is_good = output.status.success();
        if !is_good {
            steps::show(&both(&output));
        }
        return Ok((is_good, told(&output.stdout).into_owned()));
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| start_error(command, source))?;
    let mut text = String::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).split(b'\n') {
            let line = told(&line.map_err(io(Path::new("stdout")))?).into_owned();
            println!("{line}");
            text.push_str(&line);
            text.push('\n');
        }
    }
    let status = child
        .wait()
        .map_err(|source| start_error(command, source))?;
    Ok((status.success(), text))
}

/// Runs lanes of programs at the same time, those of a lane one after the other. Answers of each what [`run_and_read`] answers, lane by lane; what they put
/// out is passed on when all have ended.
pub(crate) fn run_side_by_side(lanes: Vec<Vec<Command>>) -> Done<Vec<(bool, String)>> {
    let run = |mut lane: Vec<Command>| lane.iter_mut().map(output).collect::<Vec<_>>();
    let outputs: Vec<Vec<Done<Output>>> = thread::scope(|scope| {
        let lanes = lanes.into_iter().map(|lane| scope.spawn(move || run(lane)));
        // All are started before one is waited for.
        let lanes: Vec<_> = lanes.collect();
        let ended = lanes.into_iter().map(|lane| {
            let gone = |_| vec![Err(said("a thread that runs programs ended by itself"))];
            lane.join().unwrap_or_else(gone)
        });
        ended.collect()
    });
    let read = outputs.into_iter().flatten().map(|output| {
        let output = output?;
        let is_good = output.status.success();
        if !steps::is_quiet() {
            println!("{}", both(&output));
        } else if !is_good {
            steps::show(&both(&output));
        }
        Ok((is_good, told(&output.stdout).into_owned()))
    });
    read.collect()
}

/// Runs quietly; its output is shown only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Done {
    run_and_show(command, |code| code == Some(0))
}

fn run_and_show(command: &mut Command, is_good: fn(Option<i32>) -> bool) -> Done {
    let output = output(command)?;
    if is_good(output.status.code()) {
        return Ok(());
    }
    steps::show(&both(&output));
    Err(failed(command, output.status))
}

fn failed(command: &Command, status: ExitStatus) -> TaskError {
    TaskError::Failed {
        command: format!("{command:?}"),
        status,
    }
}

fn output(command: &mut Command) -> Done<Output> {
    command
        .output()
        .map_err(|source| start_error(command, source))
}

/// What a program put out, that on its standard error behind the rest.
fn both(output: &Output) -> String {
    [told(&output.stdout), told(&output.stderr)].concat()
}

fn told(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Builds the two binaries and answers the folder they are in.
pub(crate) fn build(release: bool) -> Done<PathBuf> {
    let mut cargo = command(env!("CARGO"));
    cargo.args([
        "build",
        "--package",
        "highwater",
        "--package",
        "highwater-server",
    ]);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    Ok(target().join(if release { "release" } else { "debug" }))
}

/// Builds an example of the server and answers its program.
pub(crate) fn example(name: &str, release: bool) -> Done<PathBuf> {
    let mut cargo = command(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "highwater-server",
        "--example",
        name,
    ]);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    Ok(target().join(profile).join("examples").join(name))
}

/// `PATH` with a folder before all others.
pub(crate) fn path_with(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

/// Whether a program is found by its name.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    })
}

/// Installs packages of the system, where it is Debian's kind and we may.
pub(crate) fn apt_install(packages: &[&str]) -> Done {
    let hint = format!(
        "install {} with the system's package manager and try again",
        packages.join(" ")
    );
    let mut words: Vec<&str> = if is_root() {
        vec![]
    } else {
        vec!["sudo", "-n"]
    };
    words.push("apt-get");
    let what = format!(
        "installing {} from the system's packages",
        packages.join(" ")
    );
    steps::step(&what, || install(&words, packages, &hint))
}

fn install(words: &[&str], packages: &[&str], hint: &str) -> Done {
    for step in [
        vec!["update", "-q"],
        [
            &["install", "-y", "-q", "--no-install-recommends"][..],
            packages,
        ]
        .concat(),
    ] {
        let mut install = command(words[0]);
        install
            .args(&words[1..])
            .args(step)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run_quietly(&mut install).map_err(|error| said(format!("{error}; {hint}")))?;
    }
    Ok(())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
