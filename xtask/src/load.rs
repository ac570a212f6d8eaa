//! `cargo xtask load`: plays many live jobs against a server of our own and says what it could carry.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    server::Server,
    tools::{self, Done, build, example, io, run_quietly, said, target},
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
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(true)?;
    let generator = example("load", true)?;
    let data = target().join("load");
    fs::create_dir_all(&data).map_err(io(&data))?;
    let spool = recording(&binaries, &data.join("trace"))?;
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

/// A real recording to be played, made once: networkx's tests of algorithms.
fn recording(binaries: &Path, folder: &Path) -> Done<PathBuf> {
    if let Some(job) = job_in(folder) {
        return Ok(job);
    }
    let venv = venv("demo", SUITE_PACKAGES)?;
    println!("xtask: recording networkx.algorithms -n 2, which will be played");
    let mut record = Command::new(binaries.join("highwater"));
    record
        .args(["run", "--quiet", "--project", "load/trace", "--spool"])
        .arg(folder)
        .arg("--")
        .arg(python(&venv))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"])
        .args(["--pyargs", "networkx.algorithms"]);
    run_quietly(&mut record)?;
    job_in(folder).ok_or_else(|| said("the recording is not in its spool"))
}

pub(crate) fn job_in(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten();
    entries.find_map(|entry| entry.path().join("end").exists().then(|| entry.path()))
}
