//! `cargo xtask load`: plays many live jobs against a server of our own and says what it could carry.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, ValueEnum};

use crate::{
    server::Server,
    tools::{self, Done, build, command, example, io, root, run_quietly, said, target},
    venv::{SUITE_PACKAGES, python, venv},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many jobs are live at once.
    #[arg(long, default_value_t = 10_000)]
    jobs: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(15..))]
    seconds: u64,
    /// What the jobs run.
    #[arg(long, value_enum, default_value_t = Suite::Networkx)]
    suite: Suite,
}

/// A recording that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// networkx's tests of algorithms with two workers: many small tests, so as much as a suite tells at all.
    Networkx,
    /// The example of 85 files, some tests a second.
    Example,
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(true)?;
    let generator = example("load", true)?;
    let data = target().join("load");
    fs::create_dir_all(&data).map_err(io(&data))?;
    let spool = match options.suite {
        Suite::Networkx => recording(
            &binaries,
            &data.join("trace"),
            "50ms",
            &["networkx.algorithms"],
        )?,
        Suite::Example => recording_of_the_example(&binaries, &data.join("example"))?,
    };
    let database = data.join("highwater.db");
    for name in ["highwater.db", "highwater.db-wal", "highwater.db-shm"] {
        let path = data.join(name);
        if path.exists() {
            fs::remove_file(&path).map_err(io(&path))?;
        }
    }
    let acknowledged = data.join("acknowledged.txt");
    let server = Server::start(&binaries, &database, 0)?;
    let mut play = Command::new(&generator);
    play.arg("play").arg(&server.url);
    play.arg("--spool").arg(&spool);
    play.args(["--jobs", &options.jobs.to_string()]);
    play.args(["--seconds", &options.seconds.to_string()]);
    play.args(["--server-pid", &server.pid().to_string()]);
    play.arg("--acknowledged").arg(&acknowledged);
    let played = tools::run(&mut play);
    // In an orderly way, so that what waits is written.
    drop(server);
    played?;
    let mut verify = Command::new(&generator);
    verify
        .arg("verify")
        .arg(format!("sqlite://{}", database.display()))
        .arg("--acknowledged")
        .arg(&acknowledged);
    tools::run(&mut verify)
}

/// A real recording to be sent, made once: a suite with two workers, a sample each interval.
pub(crate) fn recording(
    binaries: &Path,
    folder: &Path,
    interval: &str,
    suite: &[&str],
) -> Done<PathBuf> {
    if let Some(job) = job_in(folder) {
        return Ok(job);
    }
    let venv = venv("demo", SUITE_PACKAGES)?;
    let shown = suite.join(" ");
    println!("xtask: recording {shown} -n 2, a sample each {interval}, which will be sent");
    let mut record = Command::new(binaries.join("highwater"));
    record
        .args(["run", "--quiet", "--project", "load/trace"])
        .args(["--interval", interval, "--spool"])
        .arg(folder)
        .arg("--")
        .arg(python(&venv))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"])
        .arg("--pyargs")
        .args(suite);
    run_quietly(&mut record)?;
    job_in(folder).ok_or_else(|| said("the recording is not in its spool"))
}

/// The example of 85 files, recorded once.
pub(crate) fn recording_of_the_example(binaries: &Path, folder: &Path) -> Done<PathBuf> {
    if let Some(job) = job_in(folder) {
        return Ok(job);
    }
    let suite = folder.join("suite");
    fs::create_dir_all(&suite).map_err(io(&suite))?;
    let venv = venv("demo", SUITE_PACKAGES)?;
    let mut generate = command(python(&venv));
    generate.arg(root().join("examples/accumulating-suite/generate.py"));
    tools::run(generate.arg(&suite).args(["--scale", "0.05"]))?;
    println!("xtask: recording the example of 85 files");
    let mut record = command(binaries.join("highwater"));
    record.args(["run", "--quiet", "--project", "load/example", "--spool"]);
    record.arg(folder).arg("--").arg(python(&venv));
    record.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    run_quietly(record.current_dir(&suite))?;
    job_in(folder).ok_or_else(|| said("the recording is not in its spool"))
}

pub(crate) fn job_in(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten();
    entries.find_map(|entry| entry.path().join("end").exists().then(|| entry.path()))
}
